// headway-flights FILE [WORKERS]: counts the flights of each origin and hour of the day, and adds
// up their delays, from a file of Parquet. Prints lines "origin,hour,flights,delay".

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "headway.h"
#include "operators/parquet/parquet_source.h"

namespace {

struct Flight {
  std::chrono::sys_time<std::chrono::microseconds> date;
  int64_t delay = 0;
  std::string origin;
};
HEADWAY_COLUMNS(Flight, date, delay, origin);

struct Total {
  int64_t flights = 0;
  int64_t delay = 0;
};

std::pair<std::string, Total> ByOriginAndHour(const Flight& flight) {
  const auto of_day = flight.date - std::chrono::floor<std::chrono::days>(flight.date);
  const int64_t hour = std::chrono::floor<std::chrono::hours>(of_day).count();
  return {absl::StrCat(flight.origin, ",", hour), {1, flight.delay}};
}

}  // namespace

int main(int argc, char** argv) {
  const std::string file = argc > 1 ? argv[1] : "";
  const headway::Dataflow flow("flights", [&](headway::Scope<>& scope) {
    scope.Input("flights", headway::ParquetSource<Flight>(file)) |
        headway::Map("key", &ByOriginAndHour) |
        headway::ReduceFinal("total",
                             [](const Total& a, const Total& b) {
                               return Total{a.flights + b.flights, a.delay + b.delay};
                             }) |
        headway::Map("line",
                     [](const auto& total) {
                       return absl::StrCat(std::string(total.first), ",", total.second.flights, ",",
                                           total.second.delay);
                     }) |
        headway::Output("out", headway::StdOutSink());
  });
  headway::RunOptions options;
  if (argc > 2) options.worker_count = std::stoi(argv[2]);
  return headway::RunMain(flow, options).ok() ? 0 : 1;
}
