// A step with two inputs, written for this program: joins the records of two streams that have the
// same key in the same epoch. Here an epoch is an hour, and the streams are temperatures and
// humidities measured by stations. `join [-w WORKERS]`.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_format.h"
#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

// left | JoinInEpoch("id", right): (K, A) and (K, B) become (K, (A, B)), as soon as both have
// arrived. The step forgets an epoch's records when the epoch is complete on both inputs.
template <class K, class B>
auto JoinInEpoch(std::string step_id, Stream<std::pair<K, B>> right) {
  return [=]<class A>(const Stream<std::pair<K, A>>& left) {
    using Left = std::pair<K, A>;
    using Right = std::pair<K, B>;
    using Joined = std::pair<K, std::pair<A, B>>;
    struct Sides {
      std::vector<A> left;
      std::vector<B> right;
    };
    auto key = [](const auto& record) -> const K& { return record.first; };
    return left |
           BinaryFrontier<Joined>(
               step_id, right, pact::Exchange{key}, pact::Exchange{key}, [](Capability<>) {
                 return [epochs = std::map<Epoch, absl::flat_hash_map<K, Sides>>()](
                            NodeInput<Left>& lefts, NodeInput<Right>& rights,
                            NodeOutput<Joined>& out) mutable {
                   lefts.ForEach([&](const CapabilityRef<Epoch>& time, Batch<Left>& batch) {
                     auto session = out.SessionAt(time);
                     for (const auto& [k, a] : batch) {
                       Sides& sides = epochs[time.time()][k];
                       for (const B& b : sides.right) session.Give(Joined(k, {a, b}));
                       sides.left.push_back(a);
                     }
                   });
                   rights.ForEach([&](const CapabilityRef<Epoch>& time, Batch<Right>& batch) {
                     auto session = out.SessionAt(time);
                     for (const auto& [k, b] : batch) {
                       Sides& sides = epochs[time.time()][k];
                       for (const A& a : sides.left) session.Give(Joined(k, {a, b}));
                       sides.right.push_back(b);
                     }
                   });
                   while (!epochs.empty()) {
                     const Epoch first = epochs.begin()->first;
                     if (lefts.frontier().LessEqual(first)) break;
                     if (rights.frontier().LessEqual(first)) break;
                     epochs.erase(epochs.begin());
                   }
                 };
               });
  };
}

int main(int argc, char** argv) {
  constexpr Epoch kHours = 4;
  constexpr int kStations = 5;
  using Reading = std::pair<int, int>;  // station, value

  return Finish(ExecuteFromArgs(argc, argv, [&](Worker& worker) -> absl::Status {
    InputHandle<Reading> temperature;
    InputHandle<Reading> humidity;
    HEADWAY_RETURN_IF_ERROR(worker.Build("join", [&](Scope<>& scope) {
      scope.Input(temperature) | JoinInEpoch("join", scope.Input(humidity))  //
          | Map("text",
                [](const std::pair<int, std::pair<int, int>>& joined) {
                  const auto& [station, values] = joined;
                  return absl::StrFormat("station %d: %d degrees, %d percent", station,
                                         values.first, values.second);
                })  //
          | Output("out", StdOutSink());
    }));
    for (Epoch hour = 0; hour < kHours; ++hour) {
      for (int station = worker.index(); station < kStations; station += worker.count()) {
        // Station 3 has no hygrometer. Station 4 sleeps every other hour.
        const int value = station * 10 + static_cast<int>(hour);
        if (station != 4 || hour % 2 == 0) temperature.Send(Reading(station, value));
        if (station != 3) humidity.Send(Reading(station, 100 - value));
      }
      temperature.AdvanceTo(hour + 1);
      humidity.AdvanceTo(hour + 1);
      HEADWAY_RETURN_IF_ERROR(worker.Step());
    }
    return absl::OkStatus();
  }));
}
