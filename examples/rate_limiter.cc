// Lets each user make two requests in a minute: `rate_limiter LOG [-w WORKERS]`. The log is that of
// web_sessions.cc. The minute of a user begins with a request, and ends with a timer in event time,
// which also frees the state of the user.
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

struct LimitRate {
  struct State {
    int64_t end = 0;  // of the user's minute, in seconds
    int allowed = 0;
    int denied = 0;
  };
  using Result = std::string;
  using Context = StatefulContext<std::string, Result>;

  // Requests are earlier than timers that are due at the same time, so a request that comes after
  // the end of the minute ends it.
  StatefulAnswer OnItem(Context& context, State& state, const Request& request) const {
    if (state.allowed > 0 && request.time >= state.end) {
      Report(context, state);
      context.CancelTimers();
      state = State();
    }
    if (state.allowed == 0) {
      state.end = request.time + 60;
      context.SetEventTimer(absl::FromUnixSeconds(state.end));
    }
    const bool is_allowed = state.allowed < 2;
    ++(is_allowed ? state.allowed : state.denied);
    if (is_allowed) context.Emit(absl::StrFormat("gets %s at %d", request.page, request.time));
    return StatefulAnswer::kKeep;
  }
  StatefulAnswer OnEventTimer(Context& context, State& state, EventTime) const {
    Report(context, state);
    return StatefulAnswer::kDiscard;
  }

 private:
  static void Report(Context& context, const State& state) {
    if (state.denied == 0) return;
    context.Emit(absl::StrFormat("was denied %d until %d", state.denied, state.end));
  }
};

int main(int argc, char** argv) {
  CommandLine line("rate_limiter LOG\n\nPrints the requests that a limit of the rate allows.", {});
  if (absl::Status status = line.Parse(argc, argv); !status.ok()) return Finish(status);
  if (line.arguments().size() != 1) return Finish(line.UsageError("give one file"));
  Dataflow flow("rate_limiter", [&](Scope<>& scope) {
    const EventClock clock(
        [](const Request& request) { return absl::FromUnixSeconds(request.time); },
        absl::Seconds(10));
    scope.Input("log", CsvFile<Request>(line.arguments()[0])) | AssignEventTime("time", clock) |
        KeyOn("user", [](const Request& request) { return request.user; }) |
        Stateful("limit", LimitRate()) | Output("out", StdOutSink());
  });
  return Finish(line.Run(flow));
}
