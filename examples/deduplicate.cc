// Removes repeated messages: `deduplicate FILE... [-w WORKERS]`. Each file is a CSV file with the
// columns id and text. A sender that gets no confirmation sends a message again, perhaps by another
// way, so an id may come several times, in one file or in several. An id is remembered for an hour,
// so that a program that never ends does not need more and more memory.
#include <string>

#include "absl/strings/str_cat.h"
#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

struct Message {
  std::string id;
  std::string text;
};
HEADWAY_COLUMNS(Message, id, text);

int main(int argc, char** argv) {
  CommandLine line("deduplicate FILE...\n\nPrints each message of the files once.", {});
  if (absl::Status status = line.Parse(argc, argv); !status.ok()) return Finish(status);
  if (line.arguments().empty()) return Finish(line.UsageError("give one file or more"));
  Dataflow flow("deduplicate", [&](Scope<>& scope) {
    scope.Input("messages", CsvFile<Message>(line.arguments())) |
        Deduplicate("once", absl::Hours(1), [](const Message& message) { return message.id; }) |
        Map("text",
            [](const Message& message) { return absl::StrCat(message.id, ": ", message.text); }) |
        Output("out", StdOutSink());
  });
  return Finish(line.Run(flow));
}
