#include "engine/launch/run_flags.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/launch/flag_values.h"
#include "engine/runtime/status_macros.h"
#include "engine/store/store.h"

namespace headway::internal {
namespace {

constexpr char kUsageErrorEnd[] = "--help explains the flags";
constexpr char kHelpEnd[] = "The line is about this process; with -p, about process 0.\n";

// The flags so far, and their origins.
struct Given {
  RunFlags flags;
  std::optional<int> process_id;
  std::string processes_from;  // the spelling of the flag, or the variable
  std::string process_id_from;
  std::string addresses_from;
  std::string recovery_store;  // empty: not given
  absl::Duration backup_interval = absl::ZeroDuration();
  std::string backup_interval_from;
  std::string restart_from;
  std::vector<std::string_view> names;  // of the flags on the command line
};

// Stores a value. Errors are the ends of sentences, as in flag_values.h.
using Store = absl::Status (*)(std::string_view value, const std::string& from, Given& given);

template <class Value, class Target>
absl::Status Assign(absl::StatusOr<Value> value, Target& target) {
  if (!value.ok()) return value.status();
  target = *std::move(value);
  return absl::OkStatus();
}

// Formats the default of a flag. Returns an empty text for a flag without a default.
using Default = std::string (*)(const RunOptions& defaults);

std::string NoDefault(const RunOptions&) { return ""; }

struct Flag {
  char letter;  // 0: no short form
  std::string_view name;
  std::string_view value;     // placeholder in the help; empty: the flag has no value
  std::string_view variable;  // environment variable; may be empty
  std::string_view help;
  Default default_value;
  Store store;
};

std::string TextOfBytes(int64_t bytes) {
  constexpr int64_t kMiB = int64_t{1} << 20;
  if (bytes % kMiB == 0) return absl::StrFormat("%dMiB", bytes / kMiB);
  return absl::StrFormat("%d", bytes);
}

absl::Status StoreEpochLength(std::string_view value, const std::string&, Given& given) {
  PeriodicEpochConfig epochs;
  HEADWAY_RETURN_IF_ERROR(Assign(ParsePositiveDuration(value), epochs.epoch_length));
  given.flags.run.epoch_config = epochs;
  return absl::OkStatus();
}

constexpr Flag kFlags[] = {
    {'w', "workers-per-process", "N", "HEADWAY_WORKERS_PER_PROCESS",
     "threads in each process that run the dataflow",
     [](const RunOptions& run) { return absl::StrFormat("%d", run.worker_count); },
     [](std::string_view value, const std::string&, Given& given) {
       return Assign(ParseNumber(value, 1, 256), given.flags.workers_per_process);
     }},
    {'p', "processes", "N", "HEADWAY_PROCESSES",
     "spawn N processes on this machine; without this flag and -a the dataflow runs in this "
     "process",
     NoDefault,
     [](std::string_view value, const std::string& from, Given& given) {
       given.processes_from = from;
       return Assign(ParseNumber(value, 1, 256), given.flags.processes);
     }},
    {'i', "process-id", "ID", "HEADWAY_PROCESS_ID",
     "number of this process in the cluster: the index of its address, from 0. On Kubernetes it is "
     "the ordinal of the pod, if HEADWAY_POD_NAME is the pod's name (and HEADWAY_STATEFULSET_NAME "
     "that of its stateful set)",
     NoDefault,
     [](std::string_view value, const std::string& from, Given& given) {
       given.process_id_from = from;
       return Assign(ParseNumber(value, 0, 65535), given.process_id);
     }},
    {'a', "addresses", "LIST", "HEADWAY_ADDRESSES",
     "addresses of all processes of a cluster, as in \"host:2101;host:2102\". Start every process, "
     "in any order, with the same flags except -i",
     NoDefault,
     [](std::string_view value, const std::string& from, Given& given) {
       given.addresses_from = from;
       return Assign(ParseAddresses(value), given.flags.addresses);
     }},
    {0, "secret-file", "FILE", "HEADWAY_SECRET_FILE",
     "file with the secret that proves membership in the cluster. HEADWAY_SECRET may hold the "
     "secret "
     "itself instead",
     NoDefault,
     [](std::string_view value, const std::string&, Given& given) {
       given.flags.secret_file = value;
       return value.empty() ? absl::InvalidArgumentError("is not the name of a file")
                            : absl::OkStatus();
     }},
    {0, "insecure", "", "",
     "allow addresses other than loopback without a secret. Any program that reaches them can join",
     NoDefault,
     [](std::string_view, const std::string&, Given& given) {
       given.flags.run.cluster.insecure = true;
       return absl::OkStatus();
     }},
    {0, "connect-timeout", "DURATION", "", "time limit for connecting all processes",
     [](const RunOptions& run) { return absl::FormatDuration(run.cluster.connect_timeout); },
     [](std::string_view value, const std::string&, Given& given) {
       return Assign(ParsePositiveDuration(value), given.flags.run.cluster.connect_timeout);
     }},
    {0, "peer-timeout", "DURATION", "", "silence after which a process counts as lost",
     [](const RunOptions& run) { return absl::FormatDuration(run.cluster.peer_timeout); },
     [](std::string_view value, const std::string&, Given& given) {
       return Assign(ParsePositiveDuration(value), given.flags.run.cluster.peer_timeout);
     }},
    {0, "max-bytes-in-flight", "BYTES", "",
     "limit of memory for records between steps in each process, such as 64MiB",
     [](const RunOptions& run) { return TextOfBytes(run.max_bytes_in_flight); },
     [](std::string_view value, const std::string&, Given& given) {
       return Assign(ParseBytes(value), given.flags.run.max_bytes_in_flight);
     }},
    {'r', "recovery", "STORE", "HEADWAY_RECOVERY",
     "keep the state in this store, and resume where the last run with it ended or died: a "
     "directory, if all processes are on one machine, or \"postgresql://...\". It is made if it is "
     "missing",
     NoDefault,
     [](std::string_view value, const std::string&, Given& given) {
       if (value.empty()) return absl::InvalidArgumentError("is not the name of a store");
       given.recovery_store = value;
       return absl::OkStatus();
     }},
    {'s', "snapshot-interval", "DURATION", "HEADWAY_SNAPSHOT_INTERVAL",
     "length of an epoch, at whose end a run with -r takes a snapshot; the same as --epoch-length",
     NoDefault, StoreEpochLength},
    {'b', "backup-interval", "DURATION", "HEADWAY_BACKUP_INTERVAL",
     "with -r: how long epochs stay apart in the store, so that copies of its partitions of "
     "different times fit together",
     NoDefault,
     [](std::string_view value, const std::string& from, Given& given) {
       given.backup_interval_from = from;
       return Assign(ParsePositiveDuration(value), given.backup_interval);
     }},
    {0, "restart", "", "HEADWAY_RESTART",
     "with -r: after a failure, resume by itself. With -a the others wait for a process that has "
     "died until it is started again",
     NoDefault,
     [](std::string_view value, const std::string& from, Given& given) {
       if (value == "1") given.restart_from = from;
       return value == "1" || value == "0"
                  ? absl::OkStatus()
                  : absl::InvalidArgumentError("is neither 1 (on) nor 0 (off)");
     }},
    {0, "epoch-length", "DURATION", "", "length of an epoch",
     [](const RunOptions& run) {
       const auto* periodic = std::get_if<PeriodicEpochConfig>(&run.epoch_config);
       return periodic == nullptr ? "" : absl::FormatDuration(periodic->epoch_length);
     },
     StoreEpochLength},
    {'h', "help", "", "", "explain the flags", NoDefault,
     [](std::string_view, const std::string&, Given& given) {
       given.flags.help = true;
       return absl::OkStatus();
     }},
};

std::string Spelling(const Flag& flag) {
  if (flag.letter == 0) return absl::StrFormat("--%s", flag.name);
  return absl::StrFormat("-%c/--%s", flag.letter, flag.name);
}

std::string Spelling(const ProgramFlag& flag) {
  return (flag.name.size() == 1 ? "-" : "--") + flag.name;
}

absl::Status Explain(const absl::Status& stored, std::string_view from, std::string_view value) {
  if (stored.ok()) return stored;
  return UsageError(absl::StrFormat("%s: '%s' %s", from, value, stored.message()));
}

// A flag, of the run or of the program, and the value that is attached to it, as in "-w3".
struct Match {
  const Flag* of_run = nullptr;
  const ProgramFlag* of_program = nullptr;
  std::optional<std::string_view> value = std::nullopt;

  bool found() const { return of_run != nullptr || of_program != nullptr; }
  std::string spelling() const {
    return of_run != nullptr ? Spelling(*of_run) : Spelling(*of_program);
  }
  // The placeholder of the value; empty: the flag has none.
  std::string_view placeholder() const {
    return of_run != nullptr ? of_run->value : std::string_view(of_program->value);
  }
};

Match FindFlag(std::string_view argument, std::span<const ProgramFlag> program_flags) {
  Match match;
  std::string_view name;
  if (argument.starts_with("--")) {
    argument.remove_prefix(2);
    const size_t equals = argument.find('=');
    name = argument.substr(0, equals);
    if (name.size() == 1) return match;
    if (equals != std::string_view::npos) match.value = argument.substr(equals + 1);
  } else {
    name = argument.substr(1, 1);
    if (argument.size() > 2) match.value = argument.substr(2);
  }
  for (const Flag& flag : kFlags) {
    const bool is_letter = name.size() == 1 && name[0] == flag.letter;
    if (name == flag.name || is_letter) match.of_run = &flag;
  }
  for (const ProgramFlag& flag : program_flags) {
    if (name == flag.name) match.of_program = &flag;
  }
  return match;
}

// "-" and negative numbers begin like a flag.
bool IsWord(std::string_view argument) {
  if (!argument.starts_with('-') || argument == "-") return true;
  const char next = argument[1];
  return (next >= '0' && next <= '9') || next == '.';
}

// A mistake of the program, not of its user.
absl::Status CheckProgramFlags(std::span<const ProgramFlag> flags) {
  for (const ProgramFlag& flag : flags) {
    const bool is_name = !flag.name.empty() && !flag.name.starts_with('-') &&
                         flag.name.find('=') == std::string::npos;
    const Match match = is_name ? FindFlag(Spelling(flag), flags) : Match{};
    if (match.of_run == nullptr && match.of_program == &flag) continue;
    return absl::FailedPreconditionError(
        absl::StrFormat("the flag '%s' was added to the command line, but %s", Spelling(flag),
                        !is_name ? "its name is empty, begins with '-' or contains '='"
                        : match.of_run != nullptr ? "it is a flag of every run"
                                                  : "it was added twice"));
  }
  return absl::OkStatus();
}

absl::Status ReadArguments(std::span<const std::string> arguments,
                           std::span<const ProgramFlag> program_flags, Given& given) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--") {
      const auto rest = arguments.subspan(i + 1);
      given.flags.words.insert(given.flags.words.end(), rest.begin(), rest.end());
      break;
    }
    if (IsWord(arguments[i])) {
      given.flags.words.push_back(arguments[i]);
      continue;
    }
    const Match match = FindFlag(arguments[i], program_flags);
    if (!match.found()) {
      return UsageError(absl::StrFormat(
          "unknown flag '%s'; an argument that begins with '-' follows '--'", arguments[i]));
    }
    const std::string spelling = match.spelling();
    std::string_view value = match.value.value_or("");
    if (match.placeholder().empty() && match.value.has_value()) {
      return UsageError(
          absl::StrFormat("%s takes no value, but '%s' gives one", spelling, arguments[i]));
    }
    if (!match.placeholder().empty() && !match.value.has_value()) {
      if (++i == arguments.size()) {
        return UsageError(absl::StrFormat("%s needs a value: %s", spelling, match.placeholder()));
      }
      value = arguments[i];
      // The value was forgotten: as the name of a store, the next flag would be a directory.
      if (!IsWord(value) && FindFlag(value, program_flags).found()) {
        return UsageError(absl::StrFormat("%s needs a value, %s, but the flag '%s' follows",
                                          spelling, match.placeholder(), value));
      }
    }
    if (match.of_program != nullptr) {
      HEADWAY_RETURN_IF_ERROR(Explain(match.of_program->store(value), spelling, value));
      continue;
    }
    if (match.placeholder().empty()) value = "1";
    given.names.push_back(match.of_run->name);
    HEADWAY_RETURN_IF_ERROR(Explain(match.of_run->store(value, spelling, given), spelling, value));
  }
  return absl::OkStatus();
}

// Reads the variables of the flags that are not on the command line.
absl::Status ReadEnvironment(EnvironmentLookup environment, Given& given) {
  const auto is_given = [&given](std::string_view name) {
    return std::find(given.names.begin(), given.names.end(), name) != given.names.end();
  };
  for (const Flag& flag : kFlags) {
    if (flag.variable.empty() || is_given(flag.name)) continue;
    const std::string variable(flag.variable);
    if (std::optional<std::string> value = environment(variable)) {
      HEADWAY_RETURN_IF_ERROR(Explain(flag.store(*value, variable, given), variable, *value));
    }
  }
  if (is_given("secret-file")) return absl::OkStatus();
  if (std::optional<std::string> secret = environment("HEADWAY_SECRET")) {
    if (!given.flags.secret_file.empty()) {
      return UsageError("HEADWAY_SECRET and HEADWAY_SECRET_FILE are both set; unset one of them");
    }
    if (secret->empty()) return UsageError("HEADWAY_SECRET: the secret is empty");
    given.flags.run.cluster.secret = *std::move(secret);
  }
  return absl::OkStatus();
}

// The flags of recovery, which need each other.
absl::Status CombineRecovery(Given& given) {
  std::optional<RecoveryConfig>& recovery = given.flags.run.recovery_config;
  if (!given.recovery_store.empty()) {
    if (!recovery.has_value()) recovery.emplace();
    recovery->store = StoreAt(given.recovery_store);
  }
  for (const std::string& from : {given.backup_interval_from, given.restart_from}) {
    if (!from.empty() && !recovery.has_value()) {
      return UsageError(absl::StrFormat("%s needs -r/--recovery, the store of the state", from));
    }
  }
  if (!given.backup_interval_from.empty()) recovery->backup_interval = given.backup_interval;
  if (!given.restart_from.empty() && !given.flags.run.restart.has_value()) {
    given.flags.run.restart.emplace();
  }
  return absl::OkStatus();
}

// Checks the flags that need or exclude each other.
absl::Status Combine(EnvironmentLookup environment, Given& given) {
  RunFlags& flags = given.flags;
  HEADWAY_RETURN_IF_ERROR(CombineRecovery(given));
  const bool has_addresses = !flags.addresses.empty();
  if (flags.processes.has_value() && (has_addresses || given.process_id.has_value())) {
    return UsageError(absl::StrFormat(
        "%s spawns all processes on this machine, but %s is for one process of a cluster that is "
        "started by hand: leave one of them out",
        given.processes_from, has_addresses ? given.addresses_from : given.process_id_from));
  }
  if (!has_addresses) {
    if (!given.process_id.has_value()) return absl::OkStatus();
    return UsageError(absl::StrFormat("%s needs -a/--addresses, the addresses of all processes",
                                      given.process_id_from));
  }
  if (!given.process_id.has_value()) {
    if (std::optional<std::string> pod = environment("HEADWAY_POD_NAME")) {
      given.process_id_from = "HEADWAY_POD_NAME";
      const absl::Status status =
          Assign(ParsePodOrdinal(*pod, environment("HEADWAY_STATEFULSET_NAME")), given.process_id);
      if (!status.ok()) {
        return UsageError(absl::StrFormat("HEADWAY_POD_NAME: '%s' %s", *pod, status.message()));
      }
    }
  }
  if (!given.process_id.has_value()) {
    return UsageError(absl::StrFormat(
        "%s needs -i/--process-id, the index of this process in the list of %d addresses, from 0",
        given.addresses_from, flags.addresses.size()));
  }
  flags.process_id = *given.process_id;
  if (flags.process_id >= static_cast<int>(flags.addresses.size())) {
    return UsageError(absl::StrFormat(
        "%s: there is no process %d; %s has %d addresses, and their numbers begin with 0",
        given.process_id_from, flags.process_id, given.addresses_from, flags.addresses.size()));
  }
  return absl::OkStatus();
}

// Appends the explanation of a flag, in lines of a terminal.
void AppendHelp(std::string_view text, std::string& help) {
  constexpr size_t kIndent = 6;
  constexpr size_t kLineEnd = 90;
  size_t column = kLineEnd;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (column + word.size() + 1 > kLineEnd) {
      help += '\n';
      help.append(kIndent - 1, ' ');
      column = kIndent;
    }
    help += absl::StrFormat(" %s", word);
    column += word.size() + 1;
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  help += "\n";
}

bool EndsWith(const absl::Status& status, std::string_view end) {
  const absl::string_view message = status.message();
  return std::string_view(message.data(), message.size()).ends_with(end);
}

}  // namespace

absl::StatusOr<RunFlags> ParseRunFlags(std::span<const std::string> arguments,
                                       EnvironmentLookup environment, const RunOptions& defaults,
                                       std::span<const ProgramFlag> program_flags) {
  HEADWAY_RETURN_IF_ERROR(CheckProgramFlags(program_flags));
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    // Help works in spite of invalid flags.
    if (argument == "-h" || argument == "--help") return RunFlags{.help = true};
  }
  Given given;
  given.flags.workers_per_process = defaults.worker_count;
  given.flags.run = defaults;
  HEADWAY_RETURN_IF_ERROR(ReadArguments(arguments, program_flags, given));
  HEADWAY_RETURN_IF_ERROR(ReadEnvironment(environment, given));
  HEADWAY_RETURN_IF_ERROR(Combine(environment, given));
  return std::move(given.flags);
}

std::string ProgramFlagsHelp(std::span<const ProgramFlag> flags) {
  std::string help;
  for (const ProgramFlag& flag : flags) {
    help += "  " + Spelling(flag);
    if (!flag.value.empty()) help += " " + flag.value;
    AppendHelp(flag.help, help);
  }
  return help;
}

std::string RunFlagsHelp(const RunOptions& defaults) {
  std::string help;
  for (const Flag& flag : kFlags) {
    help += flag.letter == 0 ? "  " : absl::StrFormat("  -%c, ", flag.letter);
    help += absl::StrFormat("--%s", flag.name);
    if (!flag.value.empty()) help += absl::StrFormat(" %s", flag.value);
    if (!flag.variable.empty()) help += absl::StrFormat("  [%s]", flag.variable);
    const std::string default_value = flag.default_value(defaults);
    AppendHelp(default_value.empty() ? std::string(flag.help)
                                     : absl::StrFormat("%s (%s)", flag.help, default_value),
               help);
  }
  help +=
      "\nA value may be attached or separate: -w3, -w 3, --workers-per-process=3. The environment\n"
      "variable in brackets is used when the flag is not given. \"--\" ends the flags.\n"
      "\nIf standard error is a terminal, it shows a status line while a dataflow runs: the "
      "earliest\n"
      "incomplete epoch, the records that sources emit per second, the bytes in flight between\n"
      "steps, and the lag, the time for which the earliest incomplete epoch has been behind the\n"
      "sources. ";
  help += kHelpEnd;
  return help;
}

absl::Status UsageError(std::string_view message) {
  return absl::InvalidArgumentError(absl::StrFormat("%s; %s", message, kUsageErrorEnd));
}

bool IsUsageError(const absl::Status& status) {
  return absl::IsInvalidArgument(status) && EndsWith(status, kUsageErrorEnd);
}

absl::Status HelpStatus(std::string_view text, const RunOptions& defaults) {
  return absl::CancelledError(absl::StrFormat("%s%s", text, RunFlagsHelp(defaults)));
}

bool IsHelp(const absl::Status& status) {
  return absl::IsCancelled(status) && EndsWith(status, kHelpEnd);
}

}  // namespace headway::internal
