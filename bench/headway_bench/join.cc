// Joins two streams of numbers under keys, and does the same in a loop without an engine.

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/steps.h"

namespace headway::bench {

namespace {

using Value = std::pair<uint64_t, uint64_t>;  // key, number
using Row = std::pair<uint64_t, std::tuple<uint64_t, uint64_t>>;

uint64_t Contribution(uint64_t key, uint64_t left, uint64_t right) {
  return key ^ (left << 1) ^ (right << 20);
}

// The values of a round. Each key has a left value once in `keys` numbers, and a right value one
// round before the next left one. So almost all keys wait for their right value, and the rows do
// not depend on the order within a round.
class Rounds {
 public:
  Rounds(uint64_t keys, uint64_t per_round, Range own)
      : keys_(keys), per_round_(per_round), own_(own) {}

  void FillLeft(uint64_t round, std::vector<Value>& values) const {
    Fill(round * per_round_, 0, values);
  }
  // No values before the first key's turn.
  void FillRight(uint64_t round, std::vector<Value>& values) const {
    values.clear();
    const uint64_t waits = keys_ - per_round_;
    if (round * per_round_ >= waits) Fill(round * per_round_ - waits, 7, values);
  }

 private:
  void Fill(uint64_t first, uint64_t offset, std::vector<Value>& values) const {
    values.clear();
    for (uint64_t n = first + own_.first; n < first + own_.last; ++n) {
      values.emplace_back(SplitMix64(n % keys_), n + offset);
    }
  }

  const uint64_t keys_;
  const uint64_t per_round_;
  const Range own_;
};

// The loop without an engine, with the table of keyed steps.
class BareJoin {
 public:
  void Add(const std::vector<Value>& lefts, const std::vector<Value>& rights) {
    AddSide<0>(lefts);
    AddSide<1>(rights);
  }
  uint64_t checksum() const { return checksum_; }

 private:
  // As many as a batch has.
  static constexpr size_t kChunk = 1000;

  template <size_t side>
  void AddSide(const std::vector<Value>& values) {
    for (size_t begin = 0; begin < values.size(); begin += kChunk) {
      const Value* const chunk = values.data() + begin;
      table_.AtEach(
          std::min(kChunk, values.size() - begin), [&](size_t i) { return chunk[i].first; },
          [&](size_t i, Sides& sides) {
            std::get<side>(sides) = chunk[i].second;
            if (!std::get<1 - side>(sides).has_value()) return;
            checksum_ += Contribution(chunk[i].first, *std::get<0>(sides), *std::get<1>(sides));
            table_.Erase(chunk[i].first);
          });
    }
  }

  using Sides = std::tuple<std::optional<uint64_t>, std::optional<uint64_t>>;
  FlatTable<uint64_t, Sides> table_;
  uint64_t checksum_ = 0;
};

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  const uint64_t keys = options.number("keys");
  const uint64_t per_round = options.number("epoch");
  const uint64_t rounds = options.number("rounds");
  if (per_round == 0 || keys % per_round != 0) {
    return absl::InvalidArgumentError("join needs --keys that are a multiple of --epoch");
  }
  const Rounds input(keys, per_round, Share(per_round, worker.index(), worker.count()));
  uint64_t checksum = 0;
  uint64_t records = 0;

  InputHandle<Value> left;
  InputHandle<Value> right;
  ProbeHandle<> probe;
  HEADWAY_RETURN_IF_ERROR(worker.Build("join", [&](Scope<>& scope) {
    scope.Input(left) | Join("join", scope.Input(right)) | Inspect("check", [&](const Row& row) {
      checksum += Contribution(row.first, std::get<0>(row.second), std::get<1>(row.second));
    }) | Probe(probe);
  }));

  // The loop and the dataflow take turns, round by round, so that both see the same machine.
  BareJoin bare;
  std::vector<Value> lefts;
  std::vector<Value> rights;
  uint64_t bare_nanos = 0;
  uint64_t join_nanos = 0;
  HEADWAY_RETURN_IF_ERROR(harness.Start(rounds));
  for (Epoch round = 0; round < rounds; ++round) {
    input.FillLeft(round, lefts);
    input.FillRight(round, rights);
    records += lefts.size() + rights.size();
    const uint64_t start = harness.clock().Nanos();
    bare.Add(lefts, rights);
    const uint64_t middle = harness.clock().Nanos();
    SendAll<Value>(left, lefts);
    SendAll<Value>(right, rights);
    left.AdvanceTo(round + 1);
    right.AdvanceTo(round + 1);
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(round + 1); }));
    bare_nanos += middle - start;
    join_nanos += harness.clock().Nanos() - middle;
    harness.SetDone(round);
  }
  if (worker.count() == 1 && checksum != bare.checksum()) {
    return absl::InternalError("the rows of the join are not those of the loop");
  }
  Outcome outcome{.seconds = static_cast<double>(join_nanos) / 1e9,
                  .rounds = rounds,
                  .records = records,
                  .checksum = checksum};
  outcome.figures.emplace_back("bare_seconds", static_cast<double>(bare_nanos) / 1e9);
  outcome.figures.emplace_back("ratio_to_bare",
                               static_cast<double>(bare_nanos) / static_cast<double>(join_nanos));
  return outcome;
}

}  // namespace

Benchmark JoinBenchmark() {
  return {
      .name = "join",
      .summary = "joins two streams by key, and does the same in a loop without an engine",
      .arguments = {Number("keys", 1'000'000, "distinct keys, a multiple of --epoch"),
                    Number("epoch", 100'000, "records of each side per epoch, over all workers"),
                    Number("rounds", 100, "epochs, each complete before the next")},
      .run = Run};
}

}  // namespace headway::bench
