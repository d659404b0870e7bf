// The steps that treat one record at a time.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"

namespace headway {
namespace {

// Runs `build` on a stream of these records in each shape, with short epochs and with none, and
// checks that it collects `expected`. Records come from worker 0, and from others by an exchange.
template <class D, class R, class Build>
void CheckStep(const std::vector<D>& records, std::vector<R> expected, Build build) {
  std::sort(expected.begin(), expected.end());
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    for (const bool short_epochs : {false, true}) {
      CAPTURE(short_epochs);
      Collected<R> seen;
      Dataflow flow("flow", [&](Scope<>& scope) {
        Stream<D> stream = scope.Input("records", TestingSource(records));
        if (shape.total() % 2 == 0) stream = stream | Redistribute("spread");
        build(stream) | CollectInto("collect", seen);
      });
      RunOptions options;
      if (short_epochs) options.epoch_config = RecordCountEpochConfig{7};
      CheckOk(RunInShape(flow, shape, options));
      REQUIRE(seen.Sorted() == expected);
    }
  }
}

// The results of `f` for the records, in a vector.
template <class R, class D, class F>
std::vector<R> Model(const std::vector<D>& records, F f) {
  std::vector<R> results;
  for (const D& record : records) f(record, results);
  return results;
}

constexpr int kCount = 40;

std::vector<int> Numbers() {
  std::vector<int> numbers;
  for (int i = 0; i < kCount; ++i) numbers.push_back(i);
  return numbers;
}

// Every tenth string is longer than others.
std::string TextOf(int i) {
  return i % 10 == 3 ? std::string(5000, static_cast<char>('a' + i % 26)) : std::to_string(i);
}
std::vector<std::string> Texts() {
  return Model<std::string>(Numbers(), [](int i, auto& to) { to.push_back(TextOf(i)); });
}

using Named = std::pair<std::string, int>;
std::vector<Named> NamedNumbers() {
  return Model<Named>(Numbers(), [](int i, auto& to) { to.push_back({"key" + TextOf(i % 4), i}); });
}
// A value that is not in columns.
using Lists = std::pair<int, std::vector<int>>;
std::vector<Lists> NumberedLists() {
  return Model<Lists>(Numbers(), [](int i, auto& to) {
    to.push_back({i % 5, std::vector<int>(static_cast<size_t>(i % 7), i)});
  });
}

TEST_CASE("MapInPlace changes numbers, strings, and pairs with strings") {
  CheckStep(
      Numbers(), Model<int>(Numbers(), [](int i, auto& to) { to.push_back(2 * i); }),
      [](const auto& stream) { return stream | MapInPlace("double", [](int& i) { i *= 2; }); });
  CheckStep(Texts(),
            Model<std::string>(Texts(), [](const auto& s, auto& to) { to.push_back(s + s); }),
            [](const auto& stream) {
              return stream | MapInPlace("double", [](std::string& s) { s += std::string(s); });
            });
  CheckStep(
      NamedNumbers(),
      Model<Named>(NamedNumbers(),
                   [](const auto& r, auto& to) { to.push_back({r.first + "!", r.second + 1}); }),
      [](const auto& stream) {
        return stream | MapInPlace("more", [](Named& record) {
                 record.first.push_back('!');
                 ++record.second;
               });
      });
}

TEST_CASE("FilterMap keeps the records for which its function returns a value") {
  auto half = [](int i) { return i % 2 == 0 ? std::optional(i / 2) : std::nullopt; };
  CheckStep(Numbers(),
            Model<int>(Numbers(),
                       [](int i, auto& to) {
                         if (i % 2 == 0) to.push_back(i / 2);
                       }),
            [&](const auto& stream) { return stream | FilterMap("half", half); });
  // A view in the optional becomes a string.
  auto rest = [](std::string_view s) {
    return s.size() > 1 ? std::optional(s.substr(1)) : std::nullopt;
  };
  CheckStep(Texts(),
            Model<std::string>(Texts(),
                               [](const auto& s, auto& to) {
                                 if (s.size() > 1) to.push_back(s.substr(1));
                               }),
            [&](const auto& stream) { return stream | FilterMap("rest", rest); });
}

TEST_CASE("Flatten emits the elements of vectors, arrays, sets, maps and strings") {
  auto flatten = [](const auto& stream) { return stream | Flatten("flatten"); };
  std::vector<std::vector<std::string>> lists;
  std::vector<std::string> elements;
  std::vector<std::array<int, 2>> arrays;
  std::vector<std::vector<bool>> bits;
  std::vector<std::map<std::string, int>> maps;
  std::vector<std::set<std::string>> sets;
  for (int i = 0; i < kCount; ++i) {
    lists.emplace_back(static_cast<size_t>(i % 4), TextOf(i));
    elements.insert(elements.end(), lists.back().begin(), lists.back().end());
    arrays.push_back({i, -i});
    bits.push_back({i % 3 == 0, true});
    maps.push_back({{"a", i}, {"b" + TextOf(i), -i}});
    sets.push_back({"a" + TextOf(i), "b"});
  }
  CheckStep(lists, elements, flatten);
  CheckStep(
      arrays,
      Model<int>(arrays, [](const auto& a, auto& to) { to.insert(to.end(), a.begin(), a.end()); }),
      flatten);
  CheckStep(
      bits,
      Model<bool>(bits, [](const auto& b, auto& to) { to.insert(to.end(), b.begin(), b.end()); }),
      flatten);
  CheckStep(maps,
            Model<std::pair<std::string, int>>(
                maps, [](const auto& m, auto& to) { to.insert(to.end(), m.begin(), m.end()); }),
            flatten);
  CheckStep(sets,
            Model<std::string>(
                sets, [](const auto& s, auto& to) { to.insert(to.end(), s.begin(), s.end()); }),
            flatten);
  CheckStep(Texts(),
            Model<char>(Texts(),
                        [](const auto& s, auto& to) { to.insert(to.end(), s.begin(), s.end()); }),
            flatten);
}

TEST_CASE("Flatten moves the elements of its records") {
  struct Element {
    explicit Element(int x) : value(x), copies(std::make_shared<int>(0)) {}
    Element(const Element& other) : value(other.value), copies(other.copies) { ++*copies; }
    Element(Element&&) = default;
    Element& operator=(const Element&) = default;
    Element& operator=(Element&&) = default;
    int value;
    std::shared_ptr<int> copies;
  };
  Collected<int> copies;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    InputHandle<std::vector<Element>> input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input) | Flatten("flatten") |
          Inspect("see", [&](const Element& element) { copies.Add(*element.copies); });
    }));
    std::vector<Element> elements;
    elements.reserve(2);
    elements.emplace_back(1);
    elements.emplace_back(2);
    input.Send(std::move(elements));
    return absl::OkStatus();
  }));
  CHECK(copies.InOrder() == std::vector<int>{0, 0});
}

TEST_CASE("InspectBatch sees all records, as a range or as a span, and passes them on") {
  for (const Shape shape : kShapes) {
    Collected<int> spanned;
    Collected<std::string> ranged;
    Collected<std::string> after;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("records", TestingSource(Numbers())) |
          InspectBatch("span",
                       [&](std::span<const int> batch) {
                         for (int i : batch) spanned.Add(i);
                       }) |
          Map("text", TextOf) |
          InspectBatch("range",
                       [&](const auto& batch) {
                         CHECK(batch.size() > 0);
                         for (std::string_view text : batch) ranged.Add(std::string(text));
                       }) |
          CollectInto("after", after);
    });
    CheckOk(RunInShape(flow, shape));
    std::vector<std::string> texts = Texts();
    std::sort(texts.begin(), texts.end());
    CHECK(spanned.Sorted() == Numbers());
    CHECK(ranged.Sorted() == texts);
    CHECK(after.Sorted() == texts);
  }
}

TEST_CASE("InspectTime sees each record with its epoch and its worker") {
  for (const Shape shape : kShapes) {
    using Seen = std::tuple<int64_t, Epoch, int>;
    Collected<Seen> seen;
    Collected<std::pair<Epoch, int64_t>> timed;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(10)) |
          InspectTime("see",
                      [&](int64_t x, Epoch epoch, int worker) { seen.Add({x, epoch, worker}); }) |
          CollectWithTime("timed", timed);
    });
    CheckOk(RunInShape(flow, shape, {.epoch_config = RecordCountEpochConfig{3}}));
    // NumbersOfEachWorker yields index * 1000 + i on worker `index`.
    std::vector<Seen> expected;
    for (const auto& [epoch, x] : timed.InOrder()) {
      expected.push_back({x, epoch, static_cast<int>(x / 1000)});
    }
    std::sort(expected.begin(), expected.end());
    CHECK(expected.size() == 10U * static_cast<size_t>(shape.total()));
    CHECK(seen.Sorted() == expected);
  }
}

TEST_CASE("InspectTime sees the time of a nested scope") {
  using Round = Product<Epoch, uint64_t>;
  Collected<std::pair<uint64_t, int>> rounds;
  Dataflow flow("flow", [&](Scope<>& scope) {
    auto numbers = scope.Input("numbers", TestingSource(std::vector<int>{3}));
    scope.Iterate("loop", [&](Scope<Round>& inner) {
      auto [loop, again] = inner.Feedback<int>("again", {.outer = 0, .inner = 1});
      numbers | Enter(inner) | Merge("all", again) |
          InspectTime("see", [&](int i, const Round& time, int) { rounds.Add({time.inner, i}); }) |
          Map("less", [](int i) { return i - 1; }) |
          Filter("positive", [](int i) { return i > 0; }) | ConnectLoop(loop);
      return 0;
    });
  });
  CheckOk(RunMain(flow));
  CHECK(rounds.InOrder() == std::vector<std::pair<uint64_t, int>>{{0, 3}, {1, 2}, {2, 1}});
}

struct Opaque {
  int x = 0;
};

TEST_CASE("Raises fails the run with the step and the record, and does nothing without a record") {
  Dataflow quiet("flow", [](Scope<>& scope) {
    scope.Input("numbers", TestingSource(Numbers())) | Filter("none", [](int) { return false; }) |
        Raises("bad");
  });
  Dataflow failing("flow", [](Scope<>& scope) {
    scope.Input("named", TestingSource(NamedNumbers())) |
        FilterValue("one", [](int i) { return i == 6; }) | Raises("bad");
  });
  Dataflow opaque("flow", [](Scope<>& scope) {
    scope.Input("numbers", TestingSource(Numbers())) |
        Map("opaque", [](int i) { return Opaque{i}; }) | Raises("bad");
  });
  Dataflow huge("flow", [](Scope<>& scope) {
    scope.Input("numbers", TestingSource(std::vector{std::string(100'000, 'x')})) | Raises("bad");
  });
  for (const Shape shape : kShapes) {
    CheckOk(RunInShape(quiet, shape));
    CheckError(RunInShape(failing, shape), absl::StatusCode::kAborted,
               {"step 'bad'", "a record arrived, where none is allowed: (key2, 6)"});
  }
  CheckError(RunMain(opaque), absl::StatusCode::kAborted, {"step 'bad'", "none is allowed"});
  const absl::Status status = RunMain(huge);
  CheckError(status, absl::StatusCode::kAborted, {"xxx..."});
  CHECK(status.message().size() < 2000);
}

TEST_CASE("steps on values keep the keys, with and without strings") {
  CheckStep(NamedNumbers(),
            Model<Named>(NamedNumbers(),
                         [](const auto& r, auto& to) { to.push_back({r.first, -r.second}); }),
            [](const auto& s) { return s | MapValue("negate", [](int i) { return -i; }); });
  using Texted = std::pair<std::string, std::string>;
  CheckStep(NamedNumbers(),
            Model<Texted>(NamedNumbers(),
                          [](const auto& r, auto& to) {
                            to.push_back({r.first, std::to_string(r.second).substr(0, 1)});
                          }),
            [](const auto& s) {
              return s | MapValue("text", [](int i) { return std::to_string(i); }) |
                     MapValue("first", [](std::string_view text) { return text.substr(0, 1); });
            });
  CheckStep(NumberedLists(),
            Model<std::pair<int, size_t>>(
                NumberedLists(),
                [](const auto& r, auto& to) { to.push_back({r.first, 2 * r.second.size()}); }),
            [](const auto& s) {
              return s |
                     MapValue("double",
                              [](std::vector<int> list) {
                                list.insert(list.end(), list.begin(), list.end());
                                return list;
                              }) |
                     MapValue("size", [](const std::vector<int>& list) { return list.size(); });
            });
  CheckStep(NamedNumbers(),
            Model<int>(NamedNumbers(), [](const auto& r, auto& to) { to.push_back(r.second); }),
            [](const auto& s) { return s | KeyRemove("remove"); });
  CheckStep(NumberedLists(),
            Model<std::vector<int>>(NumberedLists(),
                                    [](const auto& r, auto& to) { to.push_back(r.second); }),
            [](const auto& s) { return s | KeyRemove("remove"); });
  CheckStep(NumberedLists(),
            Model<Lists>(NumberedLists(),
                         [](const auto& r, auto& to) {
                           if (r.second.size() > 3) to.push_back(r);
                         }),
            [](const auto& s) {
              return s | FilterValue("long", [](const auto& list) { return list.size() > 3; });
            });
  CheckStep(NamedNumbers(),
            Model<Texted>(NamedNumbers(),
                          [](const auto& r, auto& to) {
                            if (r.second % 3 == 0) {
                              to.push_back({r.first, std::to_string(r.second)});
                            }
                          }),
            [](const auto& s) {
              return s | FilterMapValue("third", [](int i) {
                       return i % 3 == 0 ? std::optional(std::to_string(i)) : std::nullopt;
                     });
            });
}

TEST_CASE("FlatMapValue pairs each element with the key, lazily") {
  // A range that refers to the value.
  CheckStep(NumberedLists(),
            Model<std::pair<int, int>>(NumberedLists(),
                                       [](const auto& r, auto& to) {
                                         for (int i : r.second) {
                                           to.push_back({r.first, i});
                                         }
                                       }),
            [](const auto& s) {
              return s | FlatMapValue("elements", [](const std::vector<int>& list) {
                       return std::views::all(list);
                     });
            });
  // Views of a string in columns, under a key in columns.
  using Texted = std::pair<std::string, std::string>;
  CheckStep(NamedNumbers(),
            Model<Texted>(NamedNumbers(),
                          [](const auto& r, auto& to) {
                            for (char c : std::to_string(r.second)) {
                              to.push_back({r.first, std::string(1, c)});
                            }
                          }),
            [](const auto& s) {
              return s | MapValue("text", [](int i) { return std::to_string(i); }) |
                     FlatMapValue("digits", [](std::string_view text) {
                       return std::views::iota(size_t{0}, text.size()) |
                              std::views::transform([=](size_t i) { return text.substr(i, 1); });
                     });
            });
  // A range that refers to a value, beside a key in columns.
  using Listed = std::pair<std::string, std::array<int, 4>>;
  std::vector<Listed> lists;
  for (int i = 0; i < 20; ++i) lists.emplace_back("k" + std::to_string(i), std::array{i, i, 7, i});
  CheckStep(lists,
            Model<Named>(lists,
                         [](const auto& r, auto& to) {
                           for (int i : r.second) to.push_back({r.first, i});
                         }),
            [](const auto& stream) {
              return stream | FlatMapValue("of_lists", [](const std::array<int, 4>& list) {
                       return std::views::all(list);
                     });
            });
  // Far more elements than fit into memory, of which the run takes a few.
  std::atomic<int64_t> taken = 0;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("named", TestingSource(std::vector<Named>{{"key", 1}})) |
        FlatMapValue("endless", [](int) { return std::views::iota(int64_t{0}); }) |
        Exchange("exchange", FirstOfPair()) | Inspect("see", [&](const auto&) {
          if (++taken == 10'000) throw std::runtime_error("enough");
        });
  });
  const RunOptions options = {.worker_count = 2, .max_bytes_in_flight = 1 << 20};
  CheckError(RunMain(flow, options), absl::StatusCode::kAborted, {"'see'", "enough"});
}

TEST_CASE("an exception of a function names its step") {
  using Numbered = Stream<std::pair<int, int>>;
  const std::vector<std::pair<std::string, std::function<void(const Numbered&)>>> steps = {
      {"MapInPlace",
       [](const Numbered& s) {
         s | MapInPlace("bomb", [](std::pair<int, int>&) { throw std::runtime_error("boom"); });
       }},
      {"FilterMap",
       [](const Numbered& s) {
         s | FilterMap("bomb",
                       [](const auto&) -> std::optional<int> { throw std::runtime_error("boom"); });
       }},
      {"InspectBatch",
       [](const Numbered& s) {
         s | InspectBatch("bomb", [](const auto&) { throw std::runtime_error("boom"); });
       }},
      {"InspectTime",
       [](const Numbered& s) {
         s | InspectTime("bomb", [](const auto&, Epoch, int) { throw std::runtime_error("boom"); });
       }},
      {"MapValue",
       [](const Numbered& s) {
         s | MapValue("bomb", [](int) -> int { throw std::runtime_error("boom"); });
       }},
      {"FilterValue",
       [](const Numbered& s) {
         s | FilterValue("bomb", [](int) -> bool { throw std::runtime_error("boom"); });
       }},
      {"FilterMapValue",
       [](const Numbered& s) {
         s | FilterMapValue("bomb",
                            [](int) -> std::optional<int> { throw std::runtime_error("boom"); });
       }},
      {"FlatMapValue",
       [](const Numbered& s) {
         s | FlatMapValue("bomb",
                          [](int) -> std::vector<int> { throw std::runtime_error("boom"); });
       }},
  };
  for (const auto& [name, step] : steps) {
    CAPTURE(name);
    Dataflow flow("flow", [&](Scope<>& scope) {
      step(scope.Input("pairs", TestingSource(std::vector<std::pair<int, int>>{{1, 2}})));
    });
    CheckError(RunMain(flow, {.worker_count = 2}), absl::StatusCode::kAborted,
               {"step 'bomb'", OnWorker(0), "its function threw: boom"});
  }
}

}  // namespace
}  // namespace headway
