#ifndef HEADWAY_OPERATORS_IO_RANGE_SOURCE_H_
#define HEADWAY_OPERATORS_IO_RANGE_SOURCE_H_

#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "engine/step/source.h"

namespace headway {

namespace internal {

// Emits the elements of a range. The position is the number of elements that were emitted.
template <class Range>
class RangeReader {
 public:
  using Record = std::ranges::range_value_t<Range>;

  static absl::StatusOr<RangeReader> At(Range range, const std::optional<std::string>& position) {
    int64_t count = 0;  // the difference type of a view of int64_t may be no built-in type
    if (position.has_value() && !absl::SimpleAtoi(*position, &count)) {
      return absl::DataLossError("the stored position in the range is not a number");
    }
    RangeReader reader(std::move(range));
    std::ranges::advance(reader.at_->next,
                         static_cast<std::ranges::range_difference_t<Range>>(count),
                         std::ranges::end(reader.at_->range));
    reader.at_->emitted = count;
    return reader;
  }

  absl::StatusOr<SourceState> Poll(SourceOutput<Record>& out) {
    for (; at_->next != std::ranges::end(at_->range); ++at_->next, ++at_->emitted) {
      if (!out.WantsMore()) return SourceState::More();
      out.Emit(Record(*at_->next));
    }
    return SourceState::Done();
  }
  std::string Snapshot() const { return std::to_string(at_->emitted); }

 private:
  // Iterators may refer to their range, so it stays where it is.
  struct Place {
    explicit Place(Range from) : range(std::move(from)), next(std::ranges::begin(range)) {}
    Range range;
    std::ranges::iterator_t<Range> next;
    int64_t emitted = 0;
  };

  explicit RangeReader(Range range) : at_(std::make_unique<Place>(std::move(range))) {}

  std::unique_ptr<Place> at_;
};

}  // namespace internal

// Yields the elements of a range, on worker 0 only: a container, a view, or a pair of iterators as
// std::ranges::subrange.
//
//   RangeSource(std::views::iota(0, 1'000'000) | std::views::filter(is_prime))
//
// Elements are read when the dataflow can take them, so a range may be longer than memory, or
// endless. Reading an element must not block. A run that resumes advances a new range by the number
// of elements that were emitted: in one move if it has random access, else one by one. So the range
// must have the same elements again. An exception of the range is a failure of the step.
template <class Range>
class RangeSource {
  static_assert(std::ranges::input_range<Range>,
                "RangeSource: the argument must be a range: a container, a view, or iterators as "
                "std::ranges::subrange(first, last)");

 public:
  using Record = std::ranges::range_value_t<Range>;
  using Reader = internal::RangeReader<Range>;

  explicit RangeSource(Range range) : range_(std::move(range)) {}

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    return std::vector<std::string>{"range"};
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string&,
                                       const std::optional<std::string>& position) {
    return Reader::At(std::move(range_), position);
  }

 private:
  Range range_;
};

// Yields the elements of a range of each worker: `function(worker_index, worker_count)` returns it.
//
//   RangeOfEachWorker([](int worker, int workers) {
//     return std::views::iota(0) | std::views::transform([=](int i) { return i * workers + worker;
//     });
//   })
//
// The position is that of each worker: a run that resumes needs the same number of workers. The
// rest is as for RangeSource.
template <class Function>
class RangeOfEachWorker {
  static_assert(std::is_invocable_v<Function&, int, int>,
                "RangeOfEachWorker: the function must take (int worker_index, int worker_count) "
                "and return a range");
  using Range = std::invoke_result_t<Function&, int, int>;
  static_assert(std::ranges::input_range<Range> && !std::is_reference_v<Range>,
                "RangeOfEachWorker: the function must return a range by value");

 public:
  using Record = std::ranges::range_value_t<Range>;
  using Reader = internal::RangeReader<Range>;

  explicit RangeOfEachWorker(Function function) : function_(std::move(function)) {}

  absl::StatusOr<Reader> Open(const SourceContext& context,
                              const std::optional<std::string>& position) {
    return Reader::At(function_(context.worker_index, context.worker_count), position);
  }

 private:
  Function function_;
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_RANGE_SOURCE_H_
