// The most visited pages of each minute: `top_pages LOG [-w WORKERS]`. The log is that of
// web_sessions.cc. Two steps with windows follow each other: the first counts the requests of each
// page and minute, on all workers. The second finds the two greatest counts of a minute, and gets
// the few counts only. Its event time is the window of a count.
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

struct Request {
  int64_t time = 0;
  std::string page;
};
HEADWAY_COLUMNS(Request, time, page);

// The visits of a page in a minute.
struct Visits {
  EventTime minute = 0;
  std::string page;
  int64_t count = 0;
};

int main(int argc, char** argv) {
  CommandLine line("top_pages LOG\n\nPrints the two most visited pages of each minute.", {});
  if (absl::Status status = line.Parse(argc, argv); !status.ok()) return Finish(status);
  if (line.arguments().size() != 1) return Finish(line.UsageError("give one file"));
  Dataflow flow("top_pages", [&](Scope<>& scope) {
    const TumblingWindows minutes(absl::Minutes(1));
    const EventClock of_requests(
        [](const Request& request) { return absl::FromUnixSeconds(request.time); },
        absl::Seconds(10));
    const EventClock of_visits([](const Visits& visits) { return visits.minute; });
    scope.Input("log", CsvFile<Request>(line.arguments()[0])) |
        KeyOn("page", [](const Request& request) { return request.page; }) |
        WindowCount("visits", of_requests, minutes) |
        Map("minute",
            [](const auto& record) {
              const auto& [page, counted] = record;
              return std::pair(counted.window.start,
                               Visits{counted.window.start, std::string(page), counted.value});
            }) |
        WindowTopK("top", of_visits, minutes, 2,
                   [](const Visits& a, const Visits& b) {
                     return a.count != b.count ? a.count > b.count : a.page < b.page;
                   }) |
        Map("text",
            [](const auto& record) {
              std::string text = absl::StrFormat(
                  "minute %d:", absl::ToUnixSeconds(record.second.window.start_time()) / 60);
              for (const Visits& visits : record.second.value) {
                absl::StrAppendFormat(&text, " %s %d", visits.page, visits.count);
              }
              return text;
            }) |
        Output("out", StdOutSink());
  });
  return Finish(line.Run(flow));
}
