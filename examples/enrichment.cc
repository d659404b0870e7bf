// Adds the country of each user to the requests of a web log: `enrichment LOG USERS [-w WORKERS]`.
// The log is that of web_sessions.cc. USERS is a CSV file with the columns user and country. It is
// small: every worker gets all of it, and the requests stay on the worker that has read them.
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

struct User {
  std::string user;
  std::string country;
};
HEADWAY_COLUMNS(User, user, country);

int main(int argc, char** argv) {
  CommandLine line("enrichment LOG USERS\n\nPrints the requests of a web log with countries.", {});
  if (absl::Status status = line.Parse(argc, argv); !status.ok()) return Finish(status);
  if (line.arguments().size() != 2) return Finish(line.UsageError("give two files"));
  Dataflow flow("enrichment", [&](Scope<>& scope) {
    auto countries =
        scope.Input("users", CsvFile<User>(line.arguments()[1])) |
        Map("country", [](const User& user) { return std::pair(user.user, user.country); });
    // A request meets the table as it is at the end of its epoch; a request of an unknown user
    // stays.
    scope.Input("log", CsvFile<Request>(line.arguments()[0])) |
        KeyOn("user", [](const Request& request) { return request.user; }) |
        BroadcastLeftJoin("join", countries) |
        Map("text",
            [](const auto& row) {
              const auto& [request, country] = row.second;
              return absl::StrFormat("%s from %s reads %s at %d", row.first,
                                     country.value_or("somewhere"), request.page, request.time);
            }) |
        Output("out", StdOutSink());
  });
  return Finish(line.Run(flow));
}
