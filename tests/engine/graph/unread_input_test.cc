// Steps that leave batches in an input while the steps before them wait for the credit.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/jumping_clock.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"

namespace headway {
namespace {

// Far more than the credit.
constexpr uint64_t kNumbers = 40 * internal::kExclusiveBytes / sizeof(uint64_t);

auto Numbers() {
  return ManualSource([](int worker, int workers,
                         std::optional<uint64_t>) -> Generator<std::pair<uint64_t, uint64_t>> {
    for (auto i = static_cast<uint64_t>(worker); i < kNumbers;
         i += static_cast<uint64_t>(workers)) {
      co_yield {i, i};
    }
  });
}

// A join whose two sides come from one source. It reads the probe side only after `may_read`, or
// after the build side has ended.
Dataflow Join(std::atomic<bool>& may_read, std::atomic<uint64_t>& count) {
  return Dataflow("join", [&](Scope<>& scope) {
    const Stream<uint64_t> numbers = scope.Input("numbers", Numbers());
    const Stream<uint64_t> build =
        numbers | Filter("every thousandth", [](uint64_t x) { return x % 1000 == 0; });
    const auto by_number = pact::Exchange{[](uint64_t x) { return x; }};
    numbers | BinaryFrontier<uint64_t>("join", build, by_number, by_number, [&](Capability<>) {
      return [&](NodeInput<uint64_t>& probe_side, NodeInput<uint64_t>& build_side,
                 NodeOutput<uint64_t>&) {
        build_side.ForEach([](const CapabilityRef<Epoch>&, Batch<uint64_t>&) {});
        if (!may_read && !build_side.frontier().empty()) return;
        probe_side.ForEach(
            [&](const CapabilityRef<Epoch>&, Batch<uint64_t>& batch) { count += batch.size(); });
      };
    });
  });
}

TEST_CASE("a step that leaves an input unread until another has ended is named, not waited for") {
  for (const int workers : kWorkerCounts) {
    CAPTURE(workers);
    JumpingClock clock;
    std::atomic<bool> may_read{false};
    std::atomic<uint64_t> count{0};
    CheckError(RunMain(Join(may_read, count),
                       {.worker_count = workers, .max_bytes_in_flight = 1 << 18, .clock = &clock}),
               absl::StatusCode::kResourceExhausted,
               {"step 'join'", "unread in its input 0", "max_bytes_in_flight"});
    CHECK(count == 0);
  }
}

TEST_CASE("the log names it if another process may still change something") {
  std::atomic<bool> may_read{false};
  std::atomic<uint64_t> count{0};
  Collected<std::string> warnings;
  JumpingClock clock;
  const auto log = [&](LogSeverity severity, std::string_view message) {
    const bool names_input = message.find("unread in its input 0") != std::string_view::npos;
    if (severity != LogSeverity::kWarning || !names_input) return;
    warnings.Add(std::string(message));
    may_read = true;
  };
  CheckOk(RunInShape(Join(may_read, count), {2, 1},
                     {.max_bytes_in_flight = 1 << 18, .log_hook = log, .clock = &clock}));
  CHECK(count == kNumbers);
  REQUIRE(warnings.size() > 0);
  CHECK(warnings.InOrder()[0].find("step 'join' on worker") != std::string::npos);
}

}  // namespace
}  // namespace headway
