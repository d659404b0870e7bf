// Records that can be moved and not copied.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"

namespace headway {

using Owner = std::unique_ptr<int64_t>;

template <>
struct Codec<Owner> {
  static void Encode(const Owner& owner, Encoder& encoder) {
    Codec<int64_t>::Encode(*owner, encoder);
  }
  static bool Decode(Decoder& decoder, Owner* owner) {
    *owner = std::make_unique<int64_t>();
    return Codec<int64_t>::Decode(decoder, owner->get());
  }
};

namespace {

// Yields 0, 1, ... count - 1 on each worker.
auto Owners(int64_t count) {
  return ManualSource(
      [count](int, int, std::optional<int64_t>) -> Generator<std::pair<int64_t, Owner>> {
        for (int64_t i = 0; i < count; ++i) co_yield {i, std::make_unique<int64_t>(i)};
      });
}

int64_t Value(const Owner& owner) { return *owner; }

TEST_CASE("records that can only be moved go through every kind of step") {
  constexpr int64_t kCount = 10'000;
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Collected<int64_t> seen;
    std::atomic<int64_t> inspected{0};
    Dataflow flow("flow", [&](Scope<>& scope) {
      ProbeHandle<> probe;
      Stream<Owner> odd = scope.Input("odd", Owners(2 * kCount)) |
                          Filter("is_odd", [](const Owner& owner) { return *owner % 2 == 1; });
      Stream<Owner> even = scope.Input("all", Owners(kCount)) | Map("double", [](Owner owner) {
                             *owner *= 2;
                             return owner;
                           });
      Stream<Owner> merged = odd | Probe(probe) | Merge("merge", even) |
                             Inspect("look", [&](const Owner&) { ++inspected; }) |
                             FlatMap("twice", [](Owner owner) {
                               std::vector<Owner> owners;
                               owners.push_back(std::make_unique<int64_t>(*owner));
                               owners.push_back(std::move(owner));
                               return owners;
                             });
      Stream<Owner> nested = scope.Iterate("nested", [&](auto& inner) {
        return merged | Enter(inner) |
               Map("negate",
                   [](Owner owner) {
                     *owner = -*owner;
                     return owner;
                   }) |
               Leave(scope);
      });
      nested | Exchange("spread", Value) | KeyOn("key", Value) |
          StatefulMap<Owner>("pairs",
                             [](std::optional<Owner>& first, Owner owner) -> Owner {
                               if (!first.has_value()) first = std::make_unique<int64_t>(1);
                               return owner;
                             }) |
          Map("value", [](std::pair<int64_t, Owner> record) { return *record.second; }) |
          CollectInto("collect", seen);
    });
    CheckOk(RunMain(flow, {.worker_count = workers}));
    CHECK(inspected == 2 * kCount * workers);
    std::vector<int64_t> expected;
    for (int64_t i = 0; i < 2 * kCount; ++i) expected.insert(expected.end(), 2 * workers, -i);
    std::sort(expected.begin(), expected.end());
    CHECK(seen.Sorted() == expected);
  }
}

TEST_CASE("a second use of a stream of records that can only be moved is an error of that step") {
  const std::pair<const char*, std::function<void(Stream<Owner>)>> second_uses[] = {
      {"second", [](Stream<Owner> stream) { stream | Filter("second", Value); }},
      {"second",
       [](Stream<Owner> stream) {
         stream | FlatMap("second", [](Owner) { return std::vector<int64_t>(); });
       }},
      {"second", [](Stream<Owner> stream) { stream | Exchange("second", Value); }},
      {"second",
       [](Stream<Owner> stream) {
         stream | Merge("second", stream.scope().Input("other", Owners(1)));
       }},
      {"nested.Enter",
       [](Stream<Owner> stream) {
         stream.scope().Iterate("nested", [&](auto& inner) { return stream | Enter(inner); });
       }},
  };
  for (const auto& [step, second_use] : second_uses) {
    CAPTURE(step);
    Dataflow flow("flow", [&](Scope<>& scope) {
      Stream<Owner> owners = scope.Input("owners", Owners(10));
      owners | Map("first", Value);
      second_use(owners);
    });
    CheckError(RunMain(flow, {.worker_count = 2}), absl::StatusCode::kInvalidArgument,
               {std::string("step '") + step + "' on worker ", "can only be moved"});
  }
}

}  // namespace
}  // namespace headway
