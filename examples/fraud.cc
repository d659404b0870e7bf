// Warns of a large charge that follows a small one within a minute, the sign of a stolen card:
// `fraud CHARGES [-w WORKERS]`. CHARGES is a CSV file with the columns time (in seconds), card and
// amount. The minute is one of the times in the file. The warnings are the same, however late the
// program reads it, and if it resumes after a stop.
#include <cstdint>
#include <string>

#include "absl/strings/str_format.h"
#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

struct Charge {
  int64_t time = 0;
  std::string card;
  int64_t amount = 0;
};
HEADWAY_COLUMNS(Charge, time, card, amount);

struct DetectFraud {
  using State = int64_t;  // the time of the last small charge, while it is not a minute ago
  using Result = std::string;
  using Context = StatefulContext<std::string, Result>;
  static constexpr int64_t kSmall = 2;
  static constexpr int64_t kLarge = 500;
  static constexpr int64_t kWithin = 60;  // seconds

  // A state without a timer is new: the card has no small charge. The timer frees the state when no
  // earlier charge can come, which is later than the end of the minute.
  StatefulAnswer OnItem(Context& context, int64_t& small, const Charge& charge) const {
    const bool was_small = context.CancelEventTimer(EndOf(small));
    if (charge.amount < kSmall) {
      small = charge.time;
    } else if (!was_small || charge.time >= small + kWithin) {
      return StatefulAnswer::kDiscard;
    } else if (charge.amount > kLarge) {
      context.Emit(absl::StrFormat("charge of %d at %d, %d s after a small one", charge.amount,
                                   charge.time, charge.time - small));
      return StatefulAnswer::kDiscard;
    }
    context.SetEventTimer(EndOf(small));
    return StatefulAnswer::kKeep;
  }
  StatefulAnswer OnEventTimer(Context&, int64_t&, EventTime) const {
    return StatefulAnswer::kDiscard;
  }

 private:
  static absl::Time EndOf(int64_t small) { return absl::FromUnixSeconds(small + kWithin); }
};

int main(int argc, char** argv) {
  CommandLine line("fraud CHARGES\n\nWarns of cards that may be stolen.", {});
  if (absl::Status status = line.Parse(argc, argv); !status.ok()) return Finish(status);
  if (line.arguments().size() != 1) return Finish(line.UsageError("give one file"));
  Dataflow flow("fraud", [&](Scope<>& scope) {
    const EventClock clock([](const Charge& charge) { return absl::FromUnixSeconds(charge.time); },
                           absl::Seconds(10));
    scope.Input("charges", CsvFile<Charge>(line.arguments()[0])) | AssignEventTime("time", clock) |
        KeyOn("card", [](const Charge& charge) { return charge.card; }) |
        Stateful("detect", DetectFraud()) | Output("out", StdOutSink());
  });
  return Finish(line.Run(flow));
}
