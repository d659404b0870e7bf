#ifndef HEADWAY_OPERATORS_IO_TESTING_H_
#define HEADWAY_OPERATORS_IO_TESTING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "engine/batch/batch.h"
#include "engine/step/sink.h"
#include "engine/step/source.h"

namespace headway {

// Marks between the records of a TestingSource.
//
// The input ends. The next run with the recovery store continues after the mark.
struct TestingEnd {};
// The run fails with Aborted, the first time that a source of this process comes to this mark or to
// a copy of it. A run that resumes passes it.
struct TestingAbort {
  std::shared_ptr<std::atomic<bool>> has_fired = std::make_shared<std::atomic<bool>>(false);
};
// The source is idle for this time of the run's clock.
struct TestingPause {
  absl::Duration duration;
};

// A record, or a mark.
template <class D>
using TestingItem = std::variant<D, TestingEnd, TestingAbort, TestingPause>;

struct TestingSourceOptions {
  // The most records of one batch; at least 1.
  int64_t batch_size = INT64_MAX;
};

// Yields the given items, on worker 0 only. Its one partition is "items". For tests and examples:
//
//   TestingSource(std::vector<int>{1, 2, 3}, {.batch_size = 2})
//   TestingSource(std::vector<TestingItem<int>>{1, TestingEnd(), 2})
//
// A run that resumes continues after the records and marks of the last one, with any number of
// workers.
template <class D>
class TestingSource {
  struct Mark {
    size_t before;  // so many records precede it
    std::variant<TestingEnd, TestingAbort, TestingPause> kind;
  };

 public:
  using Record = D;

  explicit TestingSource(std::vector<D> items, TestingSourceOptions options = {})
      : items_(std::move(items)), options_(options) {}
  // A template, so that a braced list is a list of records.
  template <class Item>
    requires std::is_same_v<Item, TestingItem<D>>
  explicit TestingSource(std::vector<Item> items, TestingSourceOptions options = {})
      : options_(options) {
    for (Item& item : items) {
      if (D* record = std::get_if<D>(&item)) {
        items_.push_back(std::move(*record));
      } else if (std::holds_alternative<TestingEnd>(item)) {
        marks_.push_back({items_.size(), TestingEnd()});
      } else if (const auto* abort = std::get_if<TestingAbort>(&item)) {
        marks_.push_back({items_.size(), *abort});
      } else {
        marks_.push_back({items_.size(), std::get<TestingPause>(item)});
      }
    }
  }

  class Reader {
   public:
    // `position` counts the records and marks that were passed.
    Reader(std::vector<D> items, std::vector<Mark> marks, int64_t batch_size, size_t position)
        : items_(std::move(items)), marks_(std::move(marks)), batch_size_(batch_size) {
      while (mark_ < marks_.size() && marks_[mark_].before + mark_ < position) ++mark_;
      next_ = position - mark_;
    }

    absl::StatusOr<SourceState> Poll(SourceOutput<D>& out) {
      const size_t end = mark_ < marks_.size() ? marks_[mark_].before : items_.size();
      while (next_ < end && out.emitted() < batch_size_ && out.WantsMore()) {
        out.Emit(std::move(items_[next_++]));
      }
      if (next_ < end) return SourceState::More();
      return mark_ < marks_.size() ? Pass(marks_[mark_++]) : SourceState::Done();
    }
    std::string Snapshot() const { return std::to_string(next_ + mark_); }

   private:
    absl::StatusOr<SourceState> Pass(const Mark& mark) {
      if (std::holds_alternative<TestingEnd>(mark.kind)) return SourceState::Done();
      if (const auto* pause = std::get_if<TestingPause>(&mark.kind)) {
        return SourceState::Idle(pause->duration);
      }
      if (std::get<TestingAbort>(mark.kind).has_fired->exchange(true)) return SourceState::More();
      return absl::AbortedError("the source came to its mark TestingAbort");
    }

    std::vector<D> items_;
    std::vector<Mark> marks_;
    int64_t batch_size_;
    size_t next_ = 0;  // of items_
    size_t mark_ = 0;  // of marks_
  };

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    if (options_.batch_size < 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "TestingSourceOptions::batch_size is ", options_.batch_size, "; it must be at least 1"));
    }
    return std::vector<std::string>{"items"};
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string&,
                                       const std::optional<std::string>& position) {
    size_t at = 0;
    if (position.has_value() && !absl::SimpleAtoi(*position, &at)) {
      return absl::DataLossError("the stored position of the items is not a number");
    }
    return Reader(std::move(items_), std::move(marks_), options_.batch_size, at);
  }

 private:
  std::vector<D> items_;
  std::vector<Mark> marks_;
  TestingSourceOptions options_;
};

template <class D>
TestingSource(std::vector<TestingItem<D>>, TestingSourceOptions = {}) -> TestingSource<D>;

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
