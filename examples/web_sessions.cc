// The sessions of a web log: `web_sessions LOG [-w WORKERS]`. The log is a CSV file with the
// columns time (in seconds), user and page. A session of a user is a series of requests with at
// most a minute between them. Each session is printed when it is over: when the log has come so far
// that no request of it can follow. Requests may be written up to ten seconds late.
#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/str_format.h"
#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

struct Request {
  int64_t time = 0;
  std::string user;
  std::string page;
};
HEADWAY_COLUMNS(Request, time, user, page);

int main(int argc, char** argv) {
  CommandLine line("web_sessions LOG\n\nPrints the sessions of a web log.", {});
  if (absl::Status status = line.Parse(argc, argv); !status.ok()) return Finish(status);
  if (line.arguments().size() != 1) return Finish(line.UsageError("give one file"));
  Dataflow flow("web_sessions", [&](Scope<>& scope) {
    const EventClock clock(
        [](const Request& request) { return absl::FromUnixSeconds(request.time); },
        absl::Seconds(10));
    scope.Input("log", CsvFile<Request>(line.arguments()[0])) |
        KeyOn("user", [](const Request& request) { return request.user; }) |
        WindowCollect("session", clock, SessionWindows(absl::Minutes(1))) |
        Map("text",
            [](const auto& record) {
              const auto& [user, session] = record;
              std::string pages;
              for (const Request& request : session.value) pages += " " + request.page;
              return absl::StrFormat("%s from %d:%s", user,
                                     absl::ToUnixSeconds(session.window.start_time()), pages);
            }) |
        Output("out", StdOutSink());
  });
  return Finish(line.Run(flow));
}
