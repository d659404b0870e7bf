#ifndef HEADWAY_TESTS_ENGINE_RUN_HELPERS_H_
#define HEADWAY_TESTS_ENGINE_RUN_HELPERS_H_

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <mutex>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "headway.h"

namespace headway {

inline constexpr int kWorkerCounts[] = {1, 2, 3, 8};

inline void CheckOk(const absl::Status& status) { CHECK_MESSAGE(status.ok(), status.ToString()); }

// Checks that the status has this code, and a message with each of `parts` in it.
inline void CheckError(const absl::Status& status, absl::StatusCode code,
                       std::initializer_list<std::string> parts) {
  INFO(status.ToString());
  CHECK(status.code() == code);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(std::string(status.message()).find(part) != std::string::npos);
  }
}

inline std::string OnWorker(int index) { return "on worker " + std::to_string(index) + ":"; }

// 0, 1, ... end - 1.
inline std::vector<int> NumbersTo(int end) {
  std::vector<int> numbers(static_cast<size_t>(end));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

// The records that the workers of a run have collected. Thread safe.
template <class D>
class Collected {
 public:
  void Add(D record) {
    std::lock_guard lock(mutex_);
    records_.push_back(std::move(record));
  }
  std::vector<D> InOrder() const {
    std::lock_guard lock(mutex_);
    return records_;
  }
  std::vector<D> Sorted() const {
    std::vector<D> records = InOrder();
    std::sort(records.begin(), records.end());
    return records;
  }
  size_t size() const {
    std::lock_guard lock(mutex_);
    return records_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<D> records_;
};

// Adds the records of the stream to `collected`.
template <class D>
auto CollectInto(std::string step_id, Collected<D>& collected) {
  return Inspect(std::move(step_id),
                 [&collected](const auto& record) { collected.Add(D(record)); });
}

// Adds (time, record) pairs.
template <class D, class T>
auto CollectWithTime(std::string step_id, Collected<std::pair<T, D>>& collected) {
  return Unary<D>(std::move(step_id), pact::Pipeline{}, [&collected](Capability<T>) {
    return [&collected](NodeInput<D, T>& in, NodeOutput<D, T>& out) {
      in.ForEach([&](const CapabilityRef<T>& time, Batch<D>& batch) {
        for (const auto& record : batch) collected.Add({time.time(), D(record)});
        out.SessionAt(time).GiveBatch(std::move(batch));
      });
    };
  });
}

// Yields index * 1000, index * 1000 + 1, ..., `count` numbers on each worker.
inline auto NumbersOfEachWorker(int64_t count) {
  return ManualSource(
      [count](int index, int,
              std::optional<int64_t> resume) -> Generator<std::pair<int64_t, int64_t>> {
        for (int64_t i = resume.value_or(0); i < count; ++i) co_yield {i + 1, index * 1000 + i};
      });
}

// Yields 0, 1, 2, ... on each worker, until asked to stop.
inline auto Endless(std::atomic<int64_t>* emitted, std::function<void(int, int64_t)> before_item) {
  return ManualSource(
      [=](int index, int, std::optional<int64_t>) -> Generator<std::pair<int64_t, int64_t>> {
        for (int64_t i = 0;; ++i) {
          before_item(index, i);
          ++*emitted;
          co_yield {i + 1, i};
        }
      });
}

// A source that never has anything to emit, and asks for `wait` until it is polled again.
struct Silent {
  using Record = int64_t;
  struct Reader {
    absl::StatusOr<SourceState> Poll(SourceOutput<int64_t>&) {
      if (polls != nullptr) ++*polls;
      return SourceState::Idle(wait);
    }
    std::string Snapshot() const { return ""; }
    absl::Duration wait;
    std::atomic<int>* polls;
  };
  absl::StatusOr<Reader> Open(const SourceContext&, std::optional<std::string>) {
    return Reader{wait, polls};
  }
  absl::Duration wait = absl::Hours(1);
  std::atomic<int>* polls = nullptr;  // counts them
};

}  // namespace headway

#endif  // HEADWAY_TESTS_ENGINE_RUN_HELPERS_H_
