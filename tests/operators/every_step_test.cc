// Every step of the library, in runs of all kinds: its results depend on none of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "headway.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/store/memory_store.h"
#include "tests/engine/thread_cluster.h"

namespace headway {
namespace {

// A key and a value, which is also its event time.
using Event = std::pair<int64_t, int64_t>;
using Events = std::vector<Event>;
using Values = std::vector<int64_t>;
using Maybe = std::optional<int64_t>;
using Rows = std::vector<std::pair<int64_t, std::tuple<int64_t, int64_t>>>;
using LeftRows = std::vector<std::pair<int64_t, std::tuple<int64_t, Maybe>>>;
// A step's name and one of its results.
using Text = std::pair<std::string, std::string>;
using Texts = std::vector<std::string>;

// No event is earlier than the latest one by more.
constexpr int64_t kDisorder = 6;
const auto kTime = [](int64_t value) { return value; };
const auto kTimeOfEvent = [](const Event& event) { return event.second; };
const EventClock kClock(kTime);

// Keys 0, 1, 2 and 4. The times differ, and are out of order.
Events LeftEvents() {
  Events events;
  for (int64_t i = 0; i < 40; ++i) events.emplace_back(i * i % 7, 4 * i + i * 5 % 7 * 3);
  return events;
}
// Keys 0 to 4; between the times of the left.
Events RightEvents() {
  Events events;
  for (int64_t i = 0; i < 20; ++i) events.emplace_back(i * 3 % 5, 8 * i + i * 5 % 7 * 3 + 1);
  return events;
}
// Of keys 1 to 3.
const Events kTable = {{1, 100}, {2, 200}, {3, 300}, {1, 101}};

std::string TextOf(const auto& result) {
  std::string text;
  internal::AppendText(text, result);
  return text;
}
template <class R>
std::string TextOf(const std::pair<int64_t, Windowed<R>>& result) {
  const Windowed<R>& windowed = result.second;
  return TextOf(
      std::tuple(result.first, windowed.window.start, windowed.window.end, windowed.value));
}
template <class R>
std::string TextOf(const Windowed<R>& result) {
  return TextOf(std::tuple(result.window.start, result.window.end, result.value));
}
struct NamedText {
  std::string name;
  Text operator()(const auto& result) const { return {name, TextOf(result)}; }
};

template <class R>
Texts TextsOf(const std::vector<R>& results) {
  Texts texts;
  for (const R& result : results) texts.push_back(TextOf(result));
  return texts;
}

std::string SortedLines(Texts texts) {
  std::ranges::sort(texts);
  std::string lines;
  for (const std::string& text : texts) lines += text + "\n";
  return lines;
}

// The streams that a step of the table may read. The watermarks are those of the values.
struct Inputs {
  std::string name;
  Stream<Event> left;
  Stream<Event> right;
  Stream<Event> table;

  template <class R>
  Stream<Text> Texts(const Stream<R>& results) const {
    return results | Map(name + ".text", NamedText{name});
  }
};

// A row of the table.
struct Row {
  std::string name;
  Stream<Text> (*build)(const Inputs& in);
  Texts (*model)(const Events& left, const Events& right);
};

// The parts of slow models.

std::map<int64_t, Values> ByKey(const Events& events) {
  std::map<int64_t, Values> by_key;
  for (const auto& [key, value] : events) by_key[key].push_back(value);
  return by_key;
}
// f(values of the key) for each key.
template <class F>
auto OfEachKey(const Events& events, F f) {
  std::vector<std::pair<int64_t, decltype(f(Values()))>> results;
  for (const auto& [key, values] : ByKey(events)) results.emplace_back(key, f(values));
  return TextsOf(results);
}
// f(values of the key so far) for each event.
template <class F>
auto OfEachPrefix(const Events& events, F f) {
  std::vector<std::pair<int64_t, decltype(f(Values()))>> results;
  std::map<int64_t, Values> by_key;
  for (const auto& [key, value] : events) {
    by_key[key].push_back(value);
    results.emplace_back(key, f(by_key[key]));
  }
  return TextsOf(results);
}
// f(event) returns the results of an event.
template <class F>
Texts OfEachEvent(const Events& events, F f) {
  Events results;
  for (const Event& event : events) {
    for (const Event& result : f(event)) results.push_back(result);
  }
  return TextsOf(results);
}
Texts Unchanged(const Events& left, const Events&) { return TextsOf(left); }

int64_t SumOf(const Values& values) {
  int64_t sum = 0;
  for (int64_t value : values) sum += value;
  return sum;
}
int64_t CountOf(const Values& values) { return static_cast<int64_t>(values.size()); }
int64_t LargestOf(const Values& values) { return *std::ranges::max_element(values); }
Values TopOf(Values values) {
  std::ranges::sort(values, std::greater());
  values.resize(std::min<size_t>(values.size(), 3));
  return values;
}
Texts SumOfEachKey(const Events& left, const Events&) { return OfEachKey(left, SumOf); }
Texts CountOfEachKey(const Events& left, const Events&) { return OfEachKey(left, CountOf); }
Texts TopOfEachKey(const Events& left, const Events&) { return OfEachKey(left, TopOf); }
// An identity of several events of a key. Which of them comes first depends on the key's partition
// alone.
const auto kIdentity = [](const Event& event) { return std::pair(event.first, event.second % 4); };

Texts FirstOfEachIdentity(const Events& left, const Events&) {
  Events first;
  std::set<std::pair<int64_t, int64_t>> seen;
  for (const Event& event : left) {
    if (seen.insert(kIdentity(event)).second) first.push_back(event);
  }
  return TextsOf(first);
}

// The pairs of values of a key for which `meets` is true.
template <class Meets>
Rows PairsOf(const Events& left, const Events& right, Meets meets) {
  Rows rows;
  for (const auto& [key, value] : left) {
    for (const auto& [other, right_value] : right) {
      if (key == other && meets(value, right_value)) rows.push_back({key, {value, right_value}});
    }
  }
  return rows;
}
// All pairs, with the left or the right values that have no partner.
Texts OuterPairs(const Events& left, const Events& right, bool with_left, bool with_right) {
  std::vector<std::pair<int64_t, std::tuple<Maybe, Maybe>>> rows;
  const auto lefts = ByKey(left);
  const auto rights = ByKey(right);
  for (const auto& [key, values] : PairsOf(left, right, [](int64_t, int64_t) { return true; })) {
    rows.push_back({key, {std::get<0>(values), std::get<1>(values)}});
  }
  for (const auto& [key, value] : left) {
    if (with_left && !rights.contains(key)) rows.push_back({key, {value, std::nullopt}});
  }
  for (const auto& [key, value] : right) {
    if (with_right && !lefts.contains(key)) rows.push_back({key, {std::nullopt, value}});
  }
  return TextsOf(rows);
}
// Each value with the latest one of `versions` that is not later.
LeftRows VersionsOf(const Events& left, const Events& versions) {
  LeftRows rows;
  for (const auto& [key, value] : left) {
    Maybe valid;
    for (const auto& [other, version] : versions) {
      if (other == key && version <= value) valid = std::max(valid.value_or(version), version);
    }
    rows.push_back({key, {value, valid}});
  }
  return rows;
}
// Each value with the last row of the table.
LeftRows TableRowsOf(const Events& left) {
  LeftRows rows;
  for (const auto& [key, value] : left) {
    Maybe found;
    for (const auto& [other, row] : kTable) {
      if (other == key) found = row;
    }
    rows.push_back({key, {value, found}});
  }
  return rows;
}
Rows Matched(const LeftRows& rows) {
  Rows matched;
  for (const auto& [key, row] : rows) {
    const auto& [value, other] = row;
    if (other.has_value()) matched.push_back({key, {value, *other}});
  }
  return matched;
}

// f(values in the order of time) for each key and window.
template <class F>
Texts OfEachWindow(const Events& events, int64_t length, int64_t slide, F f) {
  std::map<std::tuple<int64_t, int64_t, int64_t>, Values> windows;
  for (const auto& [key, value] : events) {
    for (int64_t start = -length / slide * slide; start <= value; start += slide) {
      if (value < start + length) windows[{key, start, start + length}].push_back(value);
    }
  }
  std::vector<std::tuple<int64_t, int64_t, int64_t, decltype(f(Values()))>> results;
  for (auto& [window, values] : windows) {
    std::ranges::sort(values);
    results.push_back(std::tuple_cat(window, std::tuple(f(values))));
  }
  return TextsOf(results);
}
Texts SumOfEachWindow(const Events& left, const Events&) {
  return OfEachWindow(left, 20, 20, SumOf);
}

// Emits a value when event time has come 10 beyond it, and at the end the number of values.
struct ValuesLater {
  using State = int64_t;
  using Result = int64_t;
  using Context = StatefulContext<int64_t, int64_t>;

  StatefulAnswer OnItem(Context& context, State& count, int64_t value) {
    ++count;
    context.SetEventTimer(value + 10);
    return StatefulAnswer::kKeep;
  }
  StatefulAnswer OnEventTimer(Context& context, State&, EventTime at) {
    context.Emit(at);
    return StatefulAnswer::kKeep;
  }
  StatefulAnswer OnEnd(Context& context, State& count) {
    context.Emit(-count);
    return StatefulAnswer::kDiscard;
  }
};

const auto kAdd = [](int64_t& sum, int64_t value) { sum += value; };
const auto kPlus = [](int64_t a, int64_t b) { return a + b; };
const auto kKeyOfEvent = [](const Event& event) { return event.first; };
const auto kTen = [](const Event& event) { return event.second % 10; };

// Steps on one record, on streams, and on the place and time of records.
Row kTransforms[] = {
    {"Map",
     [](const Inputs& in) {
       return in.Texts(in.left | Map(in.name, [](const Event& event) {
                         return Event(event.second, event.first);
                       }));
     },
     [](const Events& left, const Events&) {
       return OfEachEvent(left, [](const Event& e) { return Events{{e.second, e.first}}; });
     }},
    {"MapInPlace",
     [](const Inputs& in) {
       return in.Texts(in.left | MapInPlace(in.name, [](Event& event) { ++event.second; }));
     },
     [](const Events& left, const Events&) {
       return OfEachEvent(left, [](const Event& e) { return Events{{e.first, e.second + 1}}; });
     }},
    {"MapValue",
     [](const Inputs& in) {
       return in.Texts(in.left | MapValue(in.name, [](int64_t value) { return value * 2; }));
     },
     [](const Events& left, const Events&) {
       return OfEachEvent(left, [](const Event& e) { return Events{{e.first, e.second * 2}}; });
     }},
    {"Filter",
     [](const Inputs& in) {
       return in.Texts(in.left | Filter(in.name, [](const Event& e) { return e.second % 2 == 0; }));
     },
     [](const Events& left, const Events&) {
       return OfEachEvent(left, [](const Event& e) { return Events(e.second % 2 == 0, e); });
     }},
    {"FilterValue",
     [](const Inputs& in) {
       return in.Texts(in.left | FilterValue(in.name, [](int64_t v) { return v % 3 == 0; }));
     },
     [](const Events& left, const Events&) {
       return OfEachEvent(left, [](const Event& e) { return Events(e.second % 3 == 0, e); });
     }},
    {"FilterMap",
     [](const Inputs& in) {
       return in.Texts(in.left | FilterMap(in.name, [](const Event& e) {
                         return e.second % 3 == 0 ? std::optional(e) : std::nullopt;
                       }));
     },
     [](const Events& left, const Events&) {
       return OfEachEvent(left, [](const Event& e) { return Events(e.second % 3 == 0, e); });
     }},
    {"FilterMapValue",
     [](const Inputs& in) {
       return in.Texts(in.left | FilterMapValue(in.name, [](int64_t v) {
                         return v % 2 == 0 ? Maybe(v) : std::nullopt;
                       }));
     },
     [](const Events& left, const Events&) {
       return OfEachEvent(left, [](const Event& e) { return Events(e.second % 2 == 0, e); });
     }},
    {"FlatMap",
     [](const Inputs& in) {
       return in.Texts(in.left | FlatMap(in.name, [](const Event& e) {
                         return Events(static_cast<size_t>(e.second % 3), e);
                       }));
     },
     [](const Events& left, const Events&) {
       return OfEachEvent(
           left, [](const Event& e) { return Events(static_cast<size_t>(e.second % 3), e); });
     }},
    {"FlatMapValue",
     [](const Inputs& in) {
       return in.Texts(in.left | FlatMapValue(in.name, [](int64_t v) {
                         return Values(static_cast<size_t>(v % 3), v);
                       }));
     },
     [](const Events& left, const Events&) {
       return OfEachEvent(
           left, [](const Event& e) { return Events(static_cast<size_t>(e.second % 3), e); });
     }},
    {"Flatten",
     [](const Inputs& in) {
       return in.Texts(
           in.left |
           Map(in.name + ".lists", [](const Event& e) { return Values{e.first, e.second}; }) |
           Flatten(in.name));
     },
     [](const Events& left, const Events&) {
       Values values;
       for (const auto& [key, value] : left) values.insert(values.end(), {key, value});
       return TextsOf(values);
     }},
    {"Inspect",
     [](const Inputs& in) { return in.Texts(in.left | Inspect(in.name, [](const Event&) {})); },
     Unchanged},
    {"InspectBatch",
     [](const Inputs& in) {
       return in.Texts(in.left | InspectBatch(in.name, [](const Batch<Event>&) {}));
     },
     Unchanged},
    {"InspectTime",
     [](const Inputs& in) {
       return in.Texts(in.left | InspectTime(in.name, [](const Event&, Epoch, int) {}));
     },
     Unchanged},
    {"Raises",
     [](const Inputs& in) {
       const auto none = in.left | Filter(in.name + ".none", [](const Event&) { return false; });
       none | Raises(in.name);
       return in.Texts(none);
     },
     [](const Events&, const Events&) { return Texts(); }},
    {"KeyOn", [](const Inputs& in) { return in.Texts(in.left | KeyOn(in.name, kTen)); },
     [](const Events& left, const Events&) {
       std::vector<std::pair<int64_t, Event>> keyed;
       for (const Event& event : left) keyed.emplace_back(event.second % 10, event);
       return TextsOf(keyed);
     }},
    {"KeyRemove", [](const Inputs& in) { return in.Texts(in.left | KeyRemove(in.name)); },
     [](const Events& left, const Events&) {
       Values values;
       for (const Event& event : left) values.push_back(event.second);
       return TextsOf(values);
     }},
    {"Branch",
     [](const Inputs& in) {
       auto [trues, falses] =
           in.left | Branch(in.name, [](const Event& event) { return event.second % 2 == 0; });
       return in.Texts(trues | MapInPlace(in.name + ".0", [](Event& event) { event.first = 0; }) |
                       Merge(in.name + ".all", falses));
     },
     [](const Events& left, const Events&) {
       return OfEachEvent(left, [](const Event& e) {
         return Events{{e.second % 2 == 0 ? 0 : e.first, e.second}};
       });
     }},
    {"Split",
     [](const Inputs& in) {
       auto [first, second, third] =
           in.left | Split<3>(in.name, [](const Event& event) { return event.second % 3; });
       return in.Texts(first | Merge(in.name + ".all", third));
     },
     [](const Events& left, const Events&) {
       return OfEachEvent(left, [](const Event& e) { return Events(e.second % 3 != 1, e); });
     }},
    {"Merge", [](const Inputs& in) { return in.Texts(in.left | Merge(in.name, in.right)); },
     [](const Events& left, const Events& right) {
       Events all = left;
       all.insert(all.end(), right.begin(), right.end());
       return TextsOf(all);
     }},
    {"Exchange", [](const Inputs& in) { return in.Texts(in.left | Exchange(in.name, kTen)); },
     Unchanged},
    {"Redistribute", [](const Inputs& in) { return in.Texts(in.left | Redistribute(in.name)); },
     Unchanged},
    {"Gather", [](const Inputs& in) { return in.Texts(in.left | Gather(in.name)); }, Unchanged},
    // The number of copies is that of the workers.
    {"Broadcast",
     [](const Inputs& in) {
       return in.Texts(in.left | Broadcast(in.name) | Distinct(in.name + ".distinct"));
     },
     Unchanged},
    {"Delay",
     [](const Inputs& in) {
       return in.Texts(in.left | Delay(in.name, [](const Event& event, Epoch now) {
                         return now + static_cast<Epoch>(event.second % 4);
                       }));
     },
     Unchanged},
    {"AsyncMap",
     [](const Inputs& in) {
       return in.Texts(in.left | AsyncMap(in.name, [](const Event& event) { return event; },
                                          {.concurrency = 1}));
     },
     Unchanged},
    {"EnrichCached",
     [](const Inputs& in) {
       return in.Texts(in.left | EnrichCached<int64_t>(
                                     in.name, [](int64_t key) { return key * 100; },
                                     [](auto& cache, const Event& event) {
                                       return Event(cache.Get(event.first), event.second);
                                     },
                                     {.max_entries = 2}));
     },
     [](const Events& left, const Events&) {
       return OfEachEvent(left, [](const Event& e) { return Events{{e.first * 100, e.second}}; });
     }},
};

Row kKeyedSteps[] = {
    {"StatefulMap",
     [](const Inputs& in) {
       return in.Texts(in.left | StatefulMap<int64_t>(in.name, [](Maybe& sum, int64_t value) {
                         sum = sum.value_or(0) + value;
                         return *sum;
                       }));
     },
     [](const Events& left, const Events&) { return OfEachPrefix(left, SumOf); }},
    {"StatefulFlatMap",
     [](const Inputs& in) {
       return in.Texts(in.left | StatefulFlatMap<int64_t>(in.name, [](Maybe& sum, int64_t value) {
                         sum = sum.value_or(0) + value;
                         return Values{*sum};
                       }));
     },
     [](const Events& left, const Events&) { return OfEachPrefix(left, SumOf); }},
    {"Stateful",
     [](const Inputs& in) { return in.Texts(in.left | Stateful(in.name, ValuesLater())); },
     [](const Events& left, const Events&) {
       Events results;
       for (const auto& [key, value] : left) results.emplace_back(key, value + 10);
       for (const auto& [key, values] : ByKey(left)) results.emplace_back(key, -CountOf(values));
       return TextsOf(results);
     }},
    {"FoldFinal",
     [](const Inputs& in) { return in.Texts(in.left | FoldFinal(in.name, int64_t{0}, kAdd)); },
     SumOfEachKey},
    {"ReduceFinal",
     [](const Inputs& in) { return in.Texts(in.left | ReduceFinal(in.name, kPlus)); },
     SumOfEachKey},
    {"CountFinal",
     [](const Inputs& in) { return in.Texts(in.left | CountFinal(in.name, kKeyOfEvent)); },
     CountOfEachKey},
    {"MaxFinal", [](const Inputs& in) { return in.Texts(in.left | MaxFinal(in.name)); },
     [](const Events& left, const Events&) { return OfEachKey(left, LargestOf); }},
    {"MinFinal", [](const Inputs& in) { return in.Texts(in.left | MinFinal(in.name)); },
     [](const Events& left, const Events&) {
       return OfEachKey(left, [](const Values& v) { return *std::ranges::min_element(v); });
     }},
    {"TopKFinal", [](const Inputs& in) { return in.Texts(in.left | TopKFinal(in.name, 3)); },
     TopOfEachKey},
    {"RunningFold",
     [](const Inputs& in) { return in.Texts(in.left | RunningFold(in.name, int64_t{0}, kAdd)); },
     [](const Events& left, const Events&) { return OfEachPrefix(left, SumOf); }},
    {"RunningReduce",
     [](const Inputs& in) { return in.Texts(in.left | RunningReduce(in.name, kPlus)); },
     [](const Events& left, const Events&) { return OfEachPrefix(left, SumOf); }},
    {"RunningCount",
     [](const Inputs& in) { return in.Texts(in.left | RunningCount(in.name, kKeyOfEvent)); },
     [](const Events& left, const Events&) { return OfEachPrefix(left, CountOf); }},
    // The last update of a key counts all of its records, whatever the epochs.
    {"RunningCount in epochs",
     [](const Inputs& in) {
       return in.Texts(in.left | RunningCount(in.name, kKeyOfEvent, UpdateEach::kEpoch) |
                       MaxFinal(in.name + ".last"));
     },
     CountOfEachKey},
    {"RunningTopK",
     [](const Inputs& in) {
       return in.Texts(in.left | RunningTopK(in.name, 3, {}, UpdateEach::kEpoch) |
                       FoldFinal(in.name + ".last", Values(),
                                 [](Values& last, const Values& top) { last = top; }));
     },
     TopOfEachKey},
    {"Distinct", [](const Inputs& in) { return in.Texts(in.left | Distinct(in.name, kIdentity)); },
     FirstOfEachIdentity},
    {"Deduplicate",
     [](const Inputs& in) {
       return in.Texts(in.left | Deduplicate(in.name, absl::Hours(1), kIdentity));
     },
     FirstOfEachIdentity},
    {"Collect",
     [](const Inputs& in) { return in.Texts(in.left | Collect(in.name, {.size_max = 3})); },
     [](const Events& left, const Events&) {
       std::vector<std::pair<int64_t, Values>> lists;
       for (const auto& [key, values] : ByKey(left)) {
         for (size_t i = 0; i < values.size(); ++i) {
           if (i % 3 == 0) lists.push_back({key, {}});
           lists.back().second.push_back(values[i]);
         }
       }
       return TextsOf(lists);
     }},
    // The results of the epochs together are those of the stream.
    {"CountPerEpoch",
     [](const Inputs& in) {
       return in.Texts(in.left | CountPerEpoch(in.name, kKeyOfEvent) |
                       ReduceFinal(in.name + ".sum", kPlus));
     },
     CountOfEachKey},
    {"FoldPerEpoch",
     [](const Inputs& in) {
       return in.Texts(in.left | FoldPerEpoch(in.name, int64_t{0}, kAdd) |
                       ReduceFinal(in.name + ".sum", kPlus));
     },
     SumOfEachKey},
    {"ReducePerEpoch",
     [](const Inputs& in) {
       return in.Texts(in.left | ReducePerEpoch(in.name, kPlus) |
                       ReduceFinal(in.name + ".sum", kPlus));
     },
     SumOfEachKey},
    {"TopKPerEpoch",
     [](const Inputs& in) {
       return in.Texts(in.left | TopKPerEpoch(in.name, 3) |
                       FlatMapValue(in.name + ".values", [](const Values& top) { return top; }) |
                       TopKFinal(in.name + ".top", 3));
     },
     TopOfEachKey},
    {"DistinctPerEpoch",
     [](const Inputs& in) {
       return in.Texts(in.left | DistinctPerEpoch(in.name, kIdentity) |
                       Distinct(in.name + ".distinct", kIdentity));
     },
     FirstOfEachIdentity},
};

// The left stream in epochs in which the whole table has come.
Stream<Event> BehindTable(const Inputs& in) {
  return in.left | Delay(in.name + ".delay", [](const Event&, Epoch now) { return now + 10; });
}

Row kJoins[] = {
    {"Join",
     [](const Inputs& in) {
       return in.Texts(in.left | Join<JoinEmit::kFinal, JoinInsert::kProduct>(in.name, in.right));
     },
     [](const Events& left, const Events& right) { return OuterPairs(left, right, true, true); }},
    {"InnerJoin", [](const Inputs& in) { return in.Texts(in.left | InnerJoin(in.name, in.right)); },
     [](const Events& left, const Events& right) { return OuterPairs(left, right, false, false); }},
    {"LeftJoin", [](const Inputs& in) { return in.Texts(in.left | LeftJoin(in.name, in.right)); },
     [](const Events& left, const Events& right) { return OuterPairs(left, right, true, false); }},
    {"RightJoin", [](const Inputs& in) { return in.Texts(in.left | RightJoin(in.name, in.right)); },
     [](const Events& left, const Events& right) { return OuterPairs(left, right, false, true); }},
    {"OuterJoin", [](const Inputs& in) { return in.Texts(in.left | OuterJoin(in.name, in.right)); },
     [](const Events& left, const Events& right) { return OuterPairs(left, right, true, true); }},
    {"IntervalJoin",
     [](const Inputs& in) {
       return in.Texts(in.left |
                       IntervalJoin(in.name, kClock, in.right, kClock, JoinInterval(-10, 20)));
     },
     [](const Events& left, const Events& right) {
       return TextsOf(PairsOf(left, right, [](int64_t value, int64_t other) {
         return value - 10 <= other && other <= value + 20;
       }));
     }},
    {"TemporalJoin",
     [](const Inputs& in) {
       return in.Texts(in.left | TemporalJoin(in.name, kClock, in.right, kClock));
     },
     [](const Events& left, const Events& right) {
       return TextsOf(Matched(VersionsOf(left, right)));
     }},
    {"TemporalLeftJoin",
     [](const Inputs& in) {
       return in.Texts(in.left | TemporalLeftJoin(in.name, kClock, in.right, kClock));
     },
     [](const Events& left, const Events& right) { return TextsOf(VersionsOf(left, right)); }},
    {"BroadcastJoin",
     [](const Inputs& in) { return in.Texts(BehindTable(in) | BroadcastJoin(in.name, in.table)); },
     [](const Events& left, const Events&) { return TextsOf(Matched(TableRowsOf(left))); }},
    {"BroadcastLeftJoin",
     [](const Inputs& in) {
       return in.Texts(BehindTable(in) | BroadcastLeftJoin(in.name, in.table));
     },
     [](const Events& left, const Events&) { return TextsOf(TableRowsOf(left)); }},
};

Row kWindows[] = {
    {"WindowWith",
     [](const Inputs& in) {
       return in.Texts(in.left | WindowWith(in.name, kClock, SlidingWindows(30, 10),
                                            internal::CountAggregate()));
     },
     [](const Events& left, const Events&) { return OfEachWindow(left, 30, 10, CountOf); }},
    {"WindowFold",
     [](const Inputs& in) {
       return in.Texts(in.left |
                       WindowFold<int64_t>(in.name, kClock, TumblingWindows(20), kAdd, kAdd));
     },
     SumOfEachWindow},
    {"WindowReduce",
     [](const Inputs& in) {
       return in.Texts(in.left | WindowReduce(in.name, kClock, TumblingWindows(20), kPlus));
     },
     SumOfEachWindow},
    {"WindowCount",
     [](const Inputs& in) {
       return in.Texts(in.left | WindowCount(in.name, kClock, SessionWindows(12)));
     },
     [](const Events& left, const Events&) {
       std::vector<std::tuple<int64_t, int64_t, int64_t, int64_t>> sessions;
       for (auto [key, values] : ByKey(left)) {
         std::ranges::sort(values);
         for (size_t i = 0; i < values.size(); ++i) {
           if (i == 0 || values[i] > values[i - 1] + 12) sessions.push_back({key, values[i], 0, 0});
           std::get<2>(sessions.back()) = values[i] + 13;
           ++std::get<3>(sessions.back());
         }
       }
       return TextsOf(sessions);
     }},
    {"WindowCollect",
     [](const Inputs& in) {
       return in.Texts(in.left | WindowCollect(in.name, kClock, TumblingWindows(20)));
     },
     [](const Events& left, const Events&) {
       return OfEachWindow(left, 20, 20, [](const Values& values) { return values; });
     }},
    {"WindowJoin",
     [](const Inputs& in) {
       return in.Texts(
           in.left | WindowJoin(in.name, kClock, TumblingWindows(20), JoinSide(in.right, kClock)));
     },
     [](const Events& left, const Events& right) {
       std::vector<std::tuple<int64_t, int64_t, int64_t, std::tuple<int64_t, int64_t>>> rows;
       const auto same = [](int64_t value, int64_t other) { return value / 20 == other / 20; };
       for (const auto& [key, values] : PairsOf(left, right, same)) {
         const int64_t start = std::get<0>(values) / 20 * 20;
         rows.emplace_back(key, start, start + 20, values);
       }
       return TextsOf(rows);
     }},
    {"AllWindowWith",
     [](const Inputs& in) {
       return in.Texts(in.left | AllWindowWith(in.name, EventClock(kTimeOfEvent),
                                               SlidingWindows(30, 10), internal::CountAggregate()));
     },
     [](const Events& left, const Events&) {
       std::map<std::tuple<int64_t, int64_t>, int64_t> counts;
       for (const auto& [key, value] : left) {
         for (int64_t start = value / 10 * 10; start > value - 30; start -= 10) {
           ++counts[{start, start + 30}];
         }
       }
       std::vector<std::tuple<int64_t, int64_t, int64_t>> results;
       for (const auto& [window, count] : counts) {
         results.push_back(std::tuple_cat(window, std::tuple(count)));
       }
       return TextsOf(results);
     }},
    {"WindowMax",
     [](const Inputs& in) {
       return in.Texts(in.left | WindowMax(in.name, kClock, TumblingWindows(20)));
     },
     [](const Events& left, const Events&) { return OfEachWindow(left, 20, 20, LargestOf); }},
    {"WindowMin",
     [](const Inputs& in) {
       return in.Texts(in.left | WindowMin(in.name, kClock, TumblingWindows(20)));
     },
     [](const Events& left, const Events&) {
       return OfEachWindow(left, 20, 20, [](const Values& values) { return values[0]; });
     }},
    {"WindowTopK",
     [](const Inputs& in) {
       return in.Texts(in.left | WindowTopK(in.name, kClock, TumblingWindows(20), 3));
     },
     [](const Events& left, const Events&) { return OfEachWindow(left, 20, 20, TopOf); }},
};

std::vector<Row> EveryStep() {
  std::vector<Row> rows(std::begin(kTransforms), std::end(kTransforms));
  rows.insert(rows.end(), std::begin(kKeyedSteps), std::end(kKeyedSteps));
  rows.insert(rows.end(), std::begin(kJoins), std::end(kJoins));
  rows.insert(rows.end(), std::begin(kWindows), std::end(kWindows));
  return rows;
}

// Events in a partition for each key: the partitions end at different times, on different workers.
class KeyPartitions {
 public:
  using Record = Event;

  class Reader {
   public:
    Reader(Events events, size_t next) : events_(std::move(events)), next_(next) {}
    absl::StatusOr<SourceState> Poll(SourceOutput<Event>& out) {
      for (; next_ < events_.size(); ++next_) {
        if (!out.WantsMore()) return SourceState::More();
        out.Emit(events_[next_]);
      }
      return SourceState::Done();
    }
    std::string Snapshot() const { return std::to_string(next_); }

   private:
    Events events_;
    size_t next_;
  };

  explicit KeyPartitions(Events events) : events_(std::move(events)) {}

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    std::set<std::string> keys;
    for (const Event& event : events_) keys.insert(std::to_string(event.first));
    return std::vector<std::string>(keys.begin(), keys.end());
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& key,
                                       std::optional<std::string> position) {
    Events of_key = events_;
    std::erase_if(of_key, [&](const Event& event) { return std::to_string(event.first) != key; });
    return Reader(std::move(of_key), std::stoull(position.value_or("0")));
  }

 private:
  Events events_;
};

// The events come from worker 0 in batches of this size, or from the partitions of all workers.
constexpr int64_t kPartitioned = 0;

// All steps in one dataflow. Their results are kept as state until the end of the input, so that
// those of an epoch that is not committed are not counted.
class EveryStepFlow {
 public:
  explicit EveryStepFlow(int64_t batch_size)
      : flow_("every_step", [this, batch_size](Scope<>& scope) { Build(scope, batch_size); }) {}

  const Dataflow& dataflow() const { return flow_; }
  // The next run is stopped when it has read so many events.
  void StopAt(int events, const StopHandle& stop) {
    stop_at_ = events;
    stop_ = stop;
  }

  bool HasEnded() const { return ends_.size() > 0; }
  // Checks the results of the last run, which has come to the end of the input.
  void Check() {
    std::map<std::string, Texts> results;
    for (const auto& [name, texts] : ends_.InOrder()) results[name] = texts;
    for (const Row& row : EveryStep()) {
      CAPTURE(row.name);
      CHECK(SortedLines(results[row.name]) == SortedLines(row.model(LeftEvents(), RightEvents())));
    }
  }

 private:
  static Stream<Event> InputOf(Scope<>& scope, const std::string& id, const Events& events,
                               int64_t batch_size) {
    if (batch_size == kPartitioned) return scope.Input(id, KeyPartitions(events));
    return scope.Input(id, TestingSource(events, {.batch_size = batch_size}));
  }

  void Build(Scope<>& scope, int64_t batch_size) {
    const EventClock clock(kTimeOfEvent, kDisorder);
    const auto left = InputOf(scope, "left", LeftEvents(), batch_size) |
                      Inspect("stop",
                              [this](const Event&) {
                                if (--stop_at_ == 0) stop_.RequestStop();
                              }) |
                      AssignEventTime("left time", clock);
    const auto right =
        InputOf(scope, "right", RightEvents(), batch_size) | AssignEventTime("right time", clock);
    const auto table = scope.Input("table", TestingSource(kTable));
    std::vector<Stream<Text>> texts;
    for (const Row& row : EveryStep()) {
      texts.push_back(row.build({row.name, left, right, table}));
    }
    const Stream<Text> first = texts.back();
    texts.pop_back();
    first | Merge("all", texts) |
        FoldFinal("results", Texts(),
                  [](Texts& all, std::string_view text) { all.emplace_back(text); }) |
        Inspect("ends", [this](const auto& end) {
          Texts all;
          for (const auto& text : end.second) all.emplace_back(text);
          ends_.Add({std::string(end.first), std::move(all)});
        });
  }

  Dataflow flow_;
  std::atomic<int> stop_at_ = 0;
  StopHandle stop_;
  Collected<std::pair<std::string, Texts>> ends_;
};

constexpr int64_t kBatchSizes[] = {1, 7, 1024, kPartitioned};
constexpr Shape kRunShapes[] = {{1, 1}, {1, 2}, {1, 3}, {1, 8}, {2, 2}};

std::vector<EpochConfig> EpochConfigs() {
  return {TestingEpochConfig(), PeriodicEpochConfig{absl::Milliseconds(1)}};
}

TEST_CASE("every step has a row in the table") {
  std::set<std::string> names;
  for (const char* folder : {"operators", "operators/windows"}) {
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(HEADWAY_SOURCE_DIR "/") + folder)) {
      if (entry.path().extension() != ".h") continue;
      std::ifstream file(entry.path());
      bool is_internal = false;
      for (std::string line; std::getline(file, line);) {
        if (line.starts_with("namespace internal {")) is_internal = true;
        if (line.starts_with("}  // namespace internal")) is_internal = false;
        if (line.starts_with("inline ")) line.erase(0, 7);
        const size_t end = line.find("(std::string step_id");
        if (!is_internal && line.starts_with("auto ") && end != std::string::npos) {
          names.insert(line.substr(5, end - 5));
        }
      }
    }
  }
  CHECK(names.size() > 60);
  for (const Row& row : EveryStep()) names.erase(row.name);
  // These are AllWindowWith with an aggregate of the library.
  std::erase_if(names, [](const std::string& name) { return name.starts_with("AllWindow"); });
  for (const std::string& name : names) FAIL_CHECK(name << " is missing");
}

TEST_CASE("results depend neither on workers, processes and batches nor on epochs") {
  for (const Shape shape : kRunShapes) {
    for (const int64_t batch_size : kBatchSizes) {
      for (const EpochConfig& epochs : EpochConfigs()) {
        CAPTURE(shape.processes);
        CAPTURE(shape.workers);
        CAPTURE(batch_size);
        CAPTURE(epochs.index());
        EveryStepFlow flow(batch_size);
        CheckOk(RunInShape(flow.dataflow(), shape, {.epoch_config = epochs}));
        flow.Check();
      }
    }
  }
}

TEST_CASE("results are those of one run after a stop in the middle") {
  for (size_t i = 0; i < std::size(kRunShapes); ++i) {
    CAPTURE(i);
    EveryStepFlow flow(kBatchSizes[i % 2]);
    RunOptions options{
        .epoch_config = EpochConfigs()[i % 2],
        .recovery_config = RecoveryConfig{.store = std::make_shared<internal::MemoryStore>()}};
    flow.StopAt(15, options.stop);
    CheckOk(RunInShape(flow.dataflow(), kRunShapes[i], options));
    CHECK(!flow.HasEnded());
    options.stop = StopHandle();
    CheckOk(RunInShape(flow.dataflow(), kRunShapes[(i + 2) % std::size(kRunShapes)], options));
    flow.Check();
  }
}

TEST_CASE("results are those of one run after a crash in the middle") {
  for (size_t i = 0; i < std::size(kRunShapes); ++i) {
    CAPTURE(i);
    auto store = std::make_shared<internal::MemoryStore>();
    const RunOptions options{.epoch_config = EpochConfigs()[(i + 1) % 2],
                             .recovery_config = RecoveryConfig{.store = store}};
    EveryStepFlow flow(kBatchSizes[i % std::size(kBatchSizes)]);
    store->CrashAt(14, i % 2 == 0);
    CHECK(!RunInShape(flow.dataflow(), kRunShapes[i], options).ok());
    store->Restart();
    CheckOk(RunInShape(flow.dataflow(), kRunShapes[(i + 2) % std::size(kRunShapes)], options));
    flow.Check();
  }
}

}  // namespace
}  // namespace headway
