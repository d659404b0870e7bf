#ifndef HEADWAY_OPERATORS_IO_TESTING_H_
#define HEADWAY_OPERATORS_IO_TESTING_H_

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "engine/batch/batch.h"
#include "engine/step/sink.h"
#include "engine/step/source.h"

namespace headway {

// Yields the given items, on worker 0 only. Its one partition is "items". For tests and examples.
template <class D>
class TestingSource {
 public:
  using Record = D;

  explicit TestingSource(std::vector<D> items) : items_(std::move(items)) {}

  class Reader {
   public:
    Reader(std::vector<D> items, size_t next) : items_(std::move(items)), next_(next) {}

    absl::StatusOr<SourceState> Poll(SourceOutput<D>& out) {
      while (next_ < items_.size() && out.WantsMore()) out.Emit(std::move(items_[next_++]));
      return next_ < items_.size() ? SourceState::More() : SourceState::Done();
    }
    std::string Snapshot() const { return std::to_string(next_); }

   private:
    std::vector<D> items_;
    size_t next_;
  };

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    return std::vector<std::string>{"items"};
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string&,
                                       const std::optional<std::string>& position) {
    size_t next = 0;
    if (position.has_value() && !absl::SimpleAtoi(*position, &next)) {
      return absl::DataLossError("the stored position of the items is not a number");
    }
    return Reader(std::move(items_), next);
  }

 private:
  std::vector<D> items_;
};

// Appends the records of all workers of this process to a vector of the caller's. The vector has to
// outlive the run, and must not be touched before the run's end. For tests and examples: records on
// other processes stay there.
template <class D>
class TestingSink {
 public:
  explicit TestingSink(std::vector<D>* collected) : collected_(collected) {}

  class Writer {
   public:
    explicit Writer(std::vector<D>* collected) : collected_(collected) {}
    absl::Status Write(ReadType<D> record) {
      unflushed_.emplace_back(record);
      return absl::OkStatus();
    }
    absl::Status Flush() {
      // Each worker may have a sink of its own for the vector, so all sinks share the lock.
      static std::mutex mutex;
      std::lock_guard lock(mutex);
      for (auto&& record : unflushed_) collected_->push_back(std::move(record));
      unflushed_.clear();
      return absl::OkStatus();
    }

   private:
    std::vector<D>* collected_;
    std::vector<D> unflushed_;
  };

  absl::StatusOr<Writer> Open(const SinkContext&) { return Writer(collected_); }

 private:
  std::vector<D>* collected_;
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_TESTING_H_
