#include "cli/recovery_command.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cli/opened_store.h"
#include "cli/step_commands.h"
#include "cli/store_check.h"
#include "cli/store_compaction.h"
#include "cli/store_report.h"
#include "engine/runtime/status_macros.h"
#include "engine/store/store.h"

namespace headway::cli {
namespace {

constexpr int kPartitionsMax = 4096;

absl::Status Init(const RecoveryCommand& command, CommandStreams& streams) {
  const std::shared_ptr<RecoveryStore> store = StoreAt(command.store);
  const absl::StatusOr<int> there = store->PartitionCount();
  if (!there.ok()) return there.status();
  if (*there > 0) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s exists already, with %d partitions", store->Describe(), *there));
  }
  const int processors = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int count = command.partition_count > 0 ? command.partition_count : processors;
  HEADWAY_RETURN_IF_ERROR(store->Create(count, RandomStoreId()));
  streams.print(absl::StrFormat("made %s, with %d %s\n", store->Describe(), count,
                                count == 1 ? "partition" : "partitions"));
  return absl::OkStatus();
}

absl::Status Inspect(const RecoveryCommand& command, CommandStreams& streams) {
  constexpr int kTries = 10;  // a run that uses the store may compact it meanwhile
  absl::StatusOr<std::string> report;
  for (int i = 0; i < kTries; ++i) {
    absl::StatusOr<OpenedStore> store = OpenedStore::ToRead(StoreAt(command.store));
    if (!store.ok()) return store.status();
    report = ReportStore(*store);
    if (!absl::IsNotFound(report.status())) break;
  }
  if (!report.ok()) return report.status();
  streams.print(*report);
  return absl::OkStatus();
}

absl::Status Export(const RecoveryCommand& command, CommandStreams& streams) {
  absl::StatusOr<OpenedStore> store = OpenedStore::ToRead(StoreAt(command.store));
  if (!store.ok()) return store.status();
  return ExportStep(*store, command.arguments[0], [&streams](std::string_view line) {
    streams.print(line);
    streams.print("\n");
  });
}

absl::Status Import(const RecoveryCommand& command, CommandStreams& streams) {
  absl::StatusOr<OpenedStore> store = OpenedStore::ToWrite(StoreAt(command.store), command.name);
  if (!store.ok()) return store.status();
  const absl::StatusOr<uint64_t> rows =
      ImportStep(*store, command.arguments[0], streams.read_line, absl::ToUnixMillis(absl::Now()));
  if (!rows.ok()) return rows.status();
  streams.print(absl::StrFormat("the step '%s' has the state of %d %s now\n", command.arguments[0],
                                *rows, *rows == 1 ? "line" : "lines"));
  return absl::OkStatus();
}

absl::Status Drop(const RecoveryCommand& command, CommandStreams&) {
  absl::StatusOr<OpenedStore> store = OpenedStore::ToWrite(StoreAt(command.store), command.name);
  return store.ok() ? DropStep(*store, command.arguments[0]) : store.status();
}

absl::Status Rename(const RecoveryCommand& command, CommandStreams&) {
  absl::StatusOr<OpenedStore> store = OpenedStore::ToWrite(StoreAt(command.store), command.name);
  return store.ok() ? RenameStep(*store, command.arguments[0], command.arguments[1])
                    : store.status();
}

absl::Status Compact(const RecoveryCommand& command, CommandStreams&) {
  absl::StatusOr<OpenedStore> store = OpenedStore::ToWrite(StoreAt(command.store), command.name);
  return store.ok() ? CompactStore(*store) : store.status();
}

absl::Status Verify(const RecoveryCommand& command, CommandStreams& streams) {
  absl::StatusOr<OpenedStore> store = OpenedStore::ToRead(StoreAt(command.store));
  if (!store.ok()) return store.status();
  const std::vector<std::string> faults = CheckStore(*store);
  if (!faults.empty()) return absl::DataLossError(absl::StrJoin(faults, "\n"));
  size_t runs = 0;
  for (const OpenedPartition& each : store->partitions()) runs += each.contents.runs.size();
  streams.print(absl::StrFormat("%s is whole: %d runs in %d partitions\n", store->Describe(), runs,
                                store->partitions().size()));
  return absl::OkStatus();
}

struct Entry {
  const char* name;
  const char* arguments;  // after the store
  size_t argument_count;  // the least one
  const char* summary;
  const char* help;
  absl::Status (*run)(const RecoveryCommand&, CommandStreams&);
};

constexpr Entry kCommands[] = {
    {"init", "[N]", 0, "makes an empty store with N partitions",
     "Makes an empty store with N partitions, 1 to 4096. Without N there is one for each "
     "processor\n"
     "of this machine. A run makes its store by itself, with a partition for each worker; make it\n"
     "before if later runs may have more workers. The number never changes.\n",
     Init},
    {"inspect", "", 0, "prints where the next run resumes, the generations, partitions and steps",
     "Prints the epoch at which the next run resumes, the generations (starts of the cluster), "
     "the\n"
     "partitions with their commits and sizes, and the steps with their live keys. Reads all "
     "state.\n"
     "A run may use the store meanwhile.\n",
     Inspect},
    {"export", "STEP", 1, "prints the state of a step as JSON lines",
     "Prints the state of a step as of the epoch at which the next run resumes: a JSON line for\n"
     "each key, with the hash that selects its worker, the key and the state. They are bytes of "
     "the\n"
     "step's codec: plain text if they are printable, {\"string\": TEXT} if they are an encoded\n"
     "string, else {\"base64\": BYTES}. STEP is the name of the dataflow, a dot, and the step id, "
     "as\n"
     "`headway recovery inspect` prints it. Stop the run before.\n",
     Export},
    {"import", "STEP", 1, "replaces the state of a step by JSON lines",
     "Replaces the state of a step by the JSON lines of standard input, as `headway recovery\n"
     "export` prints them. Nothing is changed if a line is malformed. The hashes are those of the\n"
     "lines. A step that the store does not have is added, so the exported steps of one store "
     "make\n"
     "another one, with another number of partitions. No run may use the store.\n",
     Import},
    {"drop-step", "STEP", 1, "removes a step and its state",
     "Removes a step and its state, for a dataflow that does not have the step any more. STEP is "
     "as\n"
     "`headway recovery inspect` prints it. No run may use the store.\n",
     Drop},
    {"rename-step", "OLD NEW", 2, "gives a step a new id",
     "Gives a step a new id, for a dataflow in which the step has one. OLD and NEW are the name "
     "of\n"
     "the dataflow, a dot, and the step id. No run may use the store.\n",
     Rename},
    {"compact", "", 0, "merges the runs of each step into one",
     "Merges all snapshots of each step into one, and removes keys that are gone. Older copies of\n"
     "partitions do not fit the store afterwards. No run may use the store.\n",
     Compact},
    {"verify", "", 0, "reads and checks all of the store",
     "Reads every block, and checks the checksums, the order and the hashes of rows, the tables, "
     "and\n"
     "that the partitions have an epoch in common. Exit code 1 if there is a fault. Stop the run\n"
     "before.\n",
     Verify},
};

const Entry* Find(std::string_view name) {
  const auto* const found = std::find_if(std::begin(kCommands), std::end(kCommands),
                                         [&](const Entry& entry) { return entry.name == name; });
  return found == std::end(kCommands) ? nullptr : found;
}

std::string UsageOf(const Entry& entry) {
  return absl::StrFormat("usage: headway recovery %s STORE%s%s\n", entry.name,
                         *entry.arguments == '\0' ? "" : " ", entry.arguments);
}

constexpr char kUsage[] = "usage: headway recovery COMMAND STORE [ARGUMENT...]\n";

std::string HelpOfAll() {
  std::string text = kUsage;
  text +=
      "\nLooks into a recovery store, and changes it. STORE is a directory, or a URI of "
      "PostgreSQL.\n\n";
  for (const Entry& entry : kCommands) {
    absl::StrAppendFormat(&text, "  %-12s %-8s %s\n", entry.name, entry.arguments, entry.summary);
  }
  text +=
      "\n`headway recovery COMMAND --help` says more. The exit code is 0 for success, 1 for a "
      "failure,\n2 if the command cannot be understood.\n";
  return text;
}

}  // namespace

absl::StatusOr<RecoveryCommand> ParseRecoveryCommand(const std::vector<std::string>& arguments) {
  RecoveryCommand command;
  std::vector<std::string> words;
  bool flags = true;
  for (const std::string& argument : arguments) {
    if (flags && (argument == "--help" || argument == "-h")) {
      command.help = true;
    } else if (flags && argument == "--") {
      flags = false;
    } else if (flags && argument.size() > 1 && argument[0] == '-') {
      return absl::InvalidArgumentError(absl::StrFormat("unknown flag '%s'\n%s", argument, kUsage));
    } else {
      words.push_back(argument);
    }
  }
  if (words.empty()) {
    if (command.help) return command;
    return absl::InvalidArgumentError(absl::StrCat(
        "no command is given; `headway recovery --help` lists the commands\n", kUsage));
  }
  const Entry* const entry = Find(words[0]);
  if (entry == nullptr) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "unknown command 'recovery %s'; `headway recovery --help` lists the commands\n%s", words[0],
        kUsage));
  }
  command.name = entry->name;
  if (command.help) return command;
  const size_t most = command.name == "init" ? 1 : entry->argument_count;
  if (words.size() < 2 + entry->argument_count || words.size() > 2 + most) {
    return absl::InvalidArgumentError(absl::StrFormat("%s\n%s",
                                                      words.size() < 2 ? "no store is given"
                                                      : words.size() < 2 + entry->argument_count
                                                          ? "an argument is missing"
                                                          : "too many arguments",
                                                      UsageOf(*entry)));
  }
  command.store = words[1];
  command.arguments.assign(words.begin() + 2, words.end());
  if (command.name == "init" && !command.arguments.empty()) {
    const std::string& text = command.arguments[0];
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), command.partition_count);
    if (error != std::errc() || end != text.data() + text.size() || command.partition_count < 1 ||
        command.partition_count > kPartitionsMax) {
      return absl::InvalidArgumentError(
          absl::StrFormat("the number of partitions must be from 1 to %d, not '%s'\n%s",
                          kPartitionsMax, text, UsageOf(*entry)));
    }
  }
  return command;
}

absl::Status RunRecoveryCommand(const RecoveryCommand& command, CommandStreams streams) {
  const Entry* const entry = Find(command.name);
  if (entry == nullptr || command.help) {
    streams.print(entry == nullptr ? HelpOfAll()
                                   : absl::StrFormat("%s\n%s", UsageOf(*entry), entry->help));
    return absl::OkStatus();
  }
  return entry->run(command, streams);
}

}  // namespace headway::cli
