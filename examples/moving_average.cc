// The average of the last twenty seconds of each sensor, every ten seconds: `moving_average
// READINGS
// [-w WORKERS]`. The file is a CSV file with the columns sensor, time (in seconds) and celsius. A
// reading may come up to five seconds late. One that comes when all of its windows are closed is
// printed as such, and is in no average.
#include <cstdint>
#include <string>

#include "absl/strings/str_format.h"
#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

struct Reading {
  std::string sensor;
  int64_t time = 0;
  double celsius = 0;
};
HEADWAY_COLUMNS(Reading, sensor, time, celsius);

struct Average {
  struct State {
    double sum = 0;
    int64_t count = 0;
  };
  void Add(State& state, EventTime, const Reading& reading) const {
    state.sum += reading.celsius;
    ++state.count;
  }
  void Merge(State& state, const State& other) const {
    state.sum += other.sum;
    state.count += other.count;
  }
  double Result(const State& state) const { return state.sum / static_cast<double>(state.count); }
};

int main(int argc, char** argv) {
  CommandLine line("moving_average READINGS\n\nPrints the averages of sensors.", {});
  if (absl::Status status = line.Parse(argc, argv); !status.ok()) return Finish(status);
  if (line.arguments().size() != 1) return Finish(line.UsageError("give one file"));
  Dataflow flow("moving_average", [&](Scope<>& scope) {
    const EventClock clock(
        [](const Reading& reading) { return absl::FromUnixSeconds(reading.time); },
        absl::Seconds(5));
    auto averages = scope.Input("readings", CsvFile<Reading>(line.arguments()[0])) |
                    KeyOn("sensor", [](const Reading& reading) { return reading.sensor; }) |
                    WindowWith("average", clock,
                               SlidingWindows(absl::Seconds(20), absl::Seconds(10)), Average());
    averages | Map("text", [](const auto& record) {
      const auto& [sensor, average] = record;
      return absl::StrFormat("%s until %d: %.2f", sensor,
                             absl::ToUnixSeconds(average.window.end_time()), average.value);
    }) | Output("out", StdOutSink());
    averages.late() | Map("late_text", [](const auto& record) {
      return absl::StrFormat("%s at %d is late", record.first, record.second.time);
    }) | Output("late_out", StdOutSink());
  });
  return Finish(line.Run(flow));
}
