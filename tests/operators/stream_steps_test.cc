// The steps that divide a stream, and Merge.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"

namespace headway {
namespace {

constexpr int kCount = 100;

template <class Predicate>
std::vector<int> NumbersWhere(Predicate keeps) {
  std::vector<int> numbers;
  for (int i = 0; i < kCount; ++i) {
    if (keeps(i)) numbers.push_back(i);
  }
  return numbers;
}
std::vector<int> Numbers() {
  return NumbersWhere([](int) { return true; });
}
std::vector<std::string> TextsOf(const std::vector<int>& numbers) {
  std::vector<std::string> texts;
  for (int i : numbers) texts.push_back(std::to_string(i));
  std::sort(texts.begin(), texts.end());
  return texts;
}
auto ToText() {
  return Map("text", [](int i) { return std::to_string(i); });
}

using Run = absl::FunctionRef<void(absl::FunctionRef<void(const Stream<int>&)> build)>;

// Calls test(run) for each shape and several lengths of epochs: run(build) runs the dataflow that
// `build` adds to a stream of the numbers.
void InShapes(absl::FunctionRef<void(Run run)> test) {
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    for (const int64_t epoch_records : {1, 7, 1000}) {
      CAPTURE(epoch_records);
      test([&](absl::FunctionRef<void(const Stream<int>&)> build) {
        Dataflow flow("flow", [&](Scope<>& scope) {
          Stream<int> numbers = scope.Input("numbers", TestingSource(Numbers()));
          if (shape.total() % 2 == 0) numbers = numbers | Redistribute("spread");
          build(numbers);
        });
        CheckOk(RunInShape(flow, shape, {.epoch_config = RecordCountEpochConfig{epoch_records}}));
      });
    }
  }
}

TEST_CASE("Branch gives each record to one of two streams") {
  auto is_small = [](int i) { return i < 30; };
  InShapes([&](Run run) {
    Collected<int> small;
    Collected<std::string> large;
    run([&](const Stream<int>& numbers) {
      auto [trues, falses] = numbers | Branch("small", is_small);
      trues | Exchange("exchange") | CollectInto("trues", small);
      falses | ToText() | CollectInto("falses", large);
    });
    CHECK(small.Sorted() == NumbersWhere(is_small));
    CHECK(large.Sorted() == TextsOf(NumbersWhere([&](int i) { return !is_small(i); })));
  });
}

TEST_CASE("Branch divides strings, and the streams can be merged again") {
  InShapes([&](Run run) {
    Collected<std::string> all;
    run([&](const Stream<int>& numbers) {
      auto [trues, falses] =
          numbers | ToText() | Branch("short", [](std::string_view s) { return s.size() < 2; });
      trues | Merge("merge", falses, falses) | CollectInto("collect", all);
    });
    auto expected = NumbersWhere([](int) { return true; });
    for (int i : NumbersWhere([](int i) { return i >= 10; })) expected.push_back(i);
    CHECK(all.Sorted() == TextsOf(expected));
  });
}

TEST_CASE("one stream of a Branch, or none, may be left unused") {
  InShapes([&](Run run) {
    Collected<int> small;
    Collected<int> large;
    run([&](const Stream<int>& numbers) {
      auto is_small = [](int i) { return i < 30; };
      (numbers | Branch("first", is_small)).trues | CollectInto("trues", small);
      (numbers | Branch("second", is_small)).falses | CollectInto("falses", large);
      numbers | Branch("third", is_small);
    });
    CHECK(small.Sorted() == NumbersWhere([](int i) { return i < 30; }));
    CHECK(large.Sorted() == NumbersWhere([](int i) { return i >= 30; }));
  });
}

// Counts its copies that were constructed from another.
struct Copied {
  int value = 0;
  std::shared_ptr<int> copies = std::make_shared<int>(0);

  explicit Copied(int x) : value(x) {}
  Copied(Copied&&) = default;
  Copied(const Copied& other) : value(other.value), copies(other.copies) { ++*copies; }
  Copied& operator=(Copied&&) = default;
  Copied& operator=(const Copied&) = default;
};

TEST_CASE("Branch and Split move records, and divide those that can only be moved") {
  Collected<int> copies;
  Collected<int> unique;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    InputHandle<int> input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      auto see = [&](const Copied& record) { copies.Add(*record.copies); };
      auto numbers = scope.Input(input);
      auto [odd, even] = numbers | Map("copied", [](int i) { return Copied(i); }) |
                         Branch("odd", [](const Copied& c) { return c.value % 2 != 0; });
      odd | Inspect("see_odd", see);
      auto split = even | Split<2>("split", [](const Copied& c) { return c.value / 10; });
      split[0] | Inspect("see_0", see);
      split[1] | Inspect("see_1", see);
      auto owned = numbers | Map("own", [](int i) { return std::make_unique<int>(i); }) |
                   Branch("own_odd", [](const std::unique_ptr<int>& i) { return *i % 2 != 0; });
      owned.trues | Inspect("see_own", [&](const std::unique_ptr<int>& i) { unique.Add(*i); });
    }));
    for (int i = 0; i < 20; ++i) input.Send(i);
    return absl::OkStatus();
  }));
  CHECK(copies.InOrder() == std::vector<int>(20, 0));
  CHECK(unique.InOrder() == std::vector<int>{1, 3, 5, 7, 9, 11, 13, 15, 17, 19});
}

enum class Size : uint8_t { kSmall, kMedium, kLarge };

TEST_CASE("Split divides by an index or an enum; unused streams cost no records") {
  auto size_of = [](int i) {
    return i < 10 ? Size::kSmall : i < 50 ? Size::kMedium : Size::kLarge;
  };
  InShapes([&](Run run) {
    std::array<Collected<int>, 5> by_digit;
    Collected<int> medium;
    run([&](const Stream<int>& numbers) {
      std::array<Stream<int>, 5> streams = numbers | Split<5>("digit", [](int i) { return i % 5; });
      for (size_t i = 0; i < streams.size(); ++i) {
        streams[i] | Exchange("exchange" + std::to_string(i)) |
            CollectInto("collect" + std::to_string(i), by_digit[i]);
      }
      auto sizes = numbers | Split<3>("size", size_of);
      sizes[1] | CollectInto("medium", medium);
    });
    for (int digit = 0; digit < 5; ++digit) {
      CHECK(by_digit[static_cast<size_t>(digit)].Sorted() ==
            NumbersWhere([&](int i) { return i % 5 == digit; }));
    }
    CHECK(medium.Sorted() == NumbersWhere([&](int i) { return size_of(i) == Size::kMedium; }));
  });
}

TEST_CASE("Split refuses an index that is out of range, also for a stream that none reads") {
  for (const int bad : {-1, 3, 1000}) {
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(Numbers())) |
          Split<3>("split", [bad](int i) { return i == 50 ? bad : 0; });
    });
    CheckError(RunMain(flow, {.worker_count = 2}), absl::StatusCode::kAborted,
               {"step 'split'", "it returned " + std::to_string(bad), "from 0 to 2"});
  }
}

TEST_CASE("Split gives each alternative of a variant a stream of its own") {
  using Event = std::variant<int, std::string, int, std::monostate>;
  auto event_of = [](int i) {
    switch (i % 4) {
      case 0:
        return Event(std::in_place_index<0>, i);
      case 1:
        return Event(std::to_string(i));
      case 2:
        return Event(std::in_place_index<2>, i);
      default:
        return Event(std::monostate());
    }
  };
  InShapes([&](Run run) {
    Collected<int> first;
    Collected<std::string> texts;
    Collected<int> third;
    run([&](const Stream<int>& numbers) {
      auto [a, b, c, none] = numbers | Map("event", event_of) | Split("kind");
      a | CollectInto("first", first);
      b | Filter("any", [](std::string_view) { return true; }) | CollectInto("texts", texts);
      c | Exchange("exchange") | CollectInto("third", third);
    });
    CHECK(first.Sorted() == NumbersWhere([](int i) { return i % 4 == 0; }));
    CHECK(texts.Sorted() == TextsOf(NumbersWhere([](int i) { return i % 4 == 1; })));
    CHECK(third.Sorted() == NumbersWhere([](int i) { return i % 4 == 2; }));
  });
}

TEST_CASE("records keep their order and their time in each stream of a Branch") {
  Collected<std::pair<Epoch, int64_t>> before;
  Collected<std::pair<Epoch, int64_t>> odd;
  Dataflow flow("flow", [&](Scope<>& scope) {
    auto numbers =
        scope.Input("numbers", NumbersOfEachWorker(50)) | CollectWithTime("before", before);
    (numbers | Branch("odd", [](int64_t x) { return x % 2 != 0; })).trues |
        CollectWithTime("after", odd);
  });
  CheckOk(RunMain(flow, {.epoch_config = RecordCountEpochConfig{3}}));
  auto expected = before.InOrder();
  std::erase_if(expected, [](const auto& record) { return record.second % 2 == 0; });
  CHECK(expected.size() == 25);
  CHECK(odd.InOrder() == expected);
}

TEST_CASE("a function of Branch that throws fails the run with the step") {
  Dataflow flow("flow", [](Scope<>& scope) {
    scope.Input("numbers", TestingSource(Numbers())) |
        Branch("bomb", [](int i) -> bool { throw std::runtime_error(std::to_string(i)); });
  });
  CheckError(RunMain(flow), absl::StatusCode::kAborted, {"step 'bomb'", "threw: 0"});
}

TEST_CASE("Merge takes any number of streams, as arguments or in a vector") {
  InShapes([&](Run run) {
    Collected<int> seen;
    Collected<int> alone;
    run([&](const Stream<int>& numbers) {
      auto split = numbers | Split<20>("split", [](int i) { return i % 20; });
      const std::vector<Stream<int>> others(split.begin() + 1, split.end());
      split[0] | Merge("merge", others) | CollectInto("collect", seen);
      numbers | Merge("alone", std::vector<Stream<int>>()) | CollectInto("collect_alone", alone);
    });
    CHECK(seen.Sorted() == Numbers());
    CHECK(alone.Sorted() == Numbers());
  });
}

TEST_CASE("a stream of a Branch feeds a cycle whose other stream leaves it") {
  // Halves numbers until they are odd.
  InShapes([&](Run run) {
    Collected<int> seen;
    run([&](const Stream<int>& numbers) {
      auto [loop, back] = numbers.scope().Feedback<int>("loop", 1);
      auto [even, odd] = numbers | Merge("merge", back) |
                         Branch("even", [](int i) { return i != 0 && i % 2 == 0; });
      even | Map("half", [](int i) { return i / 2; }) | ConnectLoop(loop);
      odd | CollectInto("odd", seen);
    });
    std::vector<int> expected = Numbers();
    for (int& i : expected) {
      while (i != 0 && i % 2 == 0) i /= 2;
    }
    std::sort(expected.begin(), expected.end());
    CHECK(seen.Sorted() == expected);
  });
}

}  // namespace
}  // namespace headway
