#include "engine/launch/run_flags.h"

#include <algorithm>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_format.h"
#include "engine/launch/flag_values.h"
#include "engine/runtime/status_macros.h"

namespace headway::internal {
namespace {

constexpr char kUsagePayload[] = "headway/usage";

// The flags so far, and their origins.
struct Given {
  RunFlags flags;
  std::optional<int> process_id;
  std::string processes_from;  // the spelling of the flag, or the variable
  std::string process_id_from;
  std::string addresses_from;
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

struct Flag {
  char letter;  // 0: no short form
  std::string_view name;
  std::string_view value;     // placeholder in the help; empty: the flag has no value
  std::string_view variable;  // environment variable; may be empty
  std::string_view help;
  Store store;
};

constexpr Flag kFlags[] = {
    {'w', "workers-per-process", "N", "HEADWAY_WORKERS_PER_PROCESS",
     "threads in each process that run the dataflow (1)",
     [](std::string_view value, const std::string&, Given& given) {
       return Assign(ParseNumber(value, 1, 256), given.flags.workers_per_process);
     }},
    {'p', "processes", "N", "HEADWAY_PROCESSES",
     "spawn N processes on this machine; without this flag and -a the dataflow runs in this "
     "process",
     [](std::string_view value, const std::string& from, Given& given) {
       given.processes_from = from;
       return Assign(ParseNumber(value, 1, 256), given.flags.processes);
     }},
    {'i', "process-id", "ID", "HEADWAY_PROCESS_ID",
     "number of this process in the cluster: the index of its address, from 0. On Kubernetes it is "
     "the ordinal of the pod, if HEADWAY_POD_NAME is the pod's name (and HEADWAY_STATEFULSET_NAME "
     "that of its stateful set)",
     [](std::string_view value, const std::string& from, Given& given) {
       given.process_id_from = from;
       return Assign(ParseNumber(value, 0, 65535), given.process_id);
     }},
    {'a', "addresses", "LIST", "HEADWAY_ADDRESSES",
     "addresses of all processes of a cluster, as in \"host:2101;host:2102\". Start every process, "
     "in any order, with the same flags except -i",
     [](std::string_view value, const std::string& from, Given& given) {
       given.addresses_from = from;
       return Assign(ParseAddresses(value), given.flags.addresses);
     }},
    {0, "secret-file", "FILE", "HEADWAY_SECRET_FILE",
     "file with the secret that proves membership in the cluster. HEADWAY_SECRET may hold the "
     "secret "
     "itself instead",
     [](std::string_view value, const std::string&, Given& given) {
       given.flags.secret_file = value;
       return value.empty() ? absl::InvalidArgumentError("is not the name of a file")
                            : absl::OkStatus();
     }},
    {0, "insecure", "", "",
     "allow addresses other than loopback without a secret. Any program that reaches them can join",
     [](std::string_view, const std::string&, Given& given) {
       given.flags.run.cluster.insecure = true;
       return absl::OkStatus();
     }},
    {0, "connect-timeout", "DURATION", "", "time limit for connecting all processes (30s)",
     [](std::string_view value, const std::string&, Given& given) {
       return Assign(ParsePositiveDuration(value), given.flags.run.cluster.connect_timeout);
     }},
    {0, "peer-timeout", "DURATION", "", "silence after which a process counts as lost (10s)",
     [](std::string_view value, const std::string&, Given& given) {
       return Assign(ParsePositiveDuration(value), given.flags.run.cluster.peer_timeout);
     }},
    {0, "max-bytes-in-flight", "BYTES", "",
     "limit of memory for records between steps in each process, such as 64MiB (256MiB)",
     [](std::string_view value, const std::string&, Given& given) {
       return Assign(ParseBytes(value), given.flags.run.max_bytes_in_flight);
     }},
    {0, "epoch-length", "DURATION", "", "length of an epoch (10s)",
     [](std::string_view value, const std::string&, Given& given) {
       PeriodicEpochConfig epochs;
       HEADWAY_RETURN_IF_ERROR(Assign(ParsePositiveDuration(value), epochs.epoch_length));
       given.flags.run.epoch_config = epochs;
       return absl::OkStatus();
     }},
    {'h', "help", "", "", "explain the flags",
     [](std::string_view, const std::string&, Given& given) {
       given.flags.help = true;
       return absl::OkStatus();
     }},
};

std::string Spelling(const Flag& flag) {
  if (flag.letter == 0) return absl::StrFormat("--%s", flag.name);
  return absl::StrFormat("-%c/--%s", flag.letter, flag.name);
}

absl::Status StoreValue(const Flag& flag, const std::string& from, std::string_view value,
                        Given& given) {
  absl::Status stored = flag.store(value, from, given);
  if (stored.ok()) return stored;
  return UsageError(absl::StrFormat("%s: '%s' %s", from, value, stored.message()));
}

// A flag, and the value that is attached to it, as in "-w3".
struct Match {
  const Flag* flag = nullptr;
  std::optional<std::string_view> value = std::nullopt;
};

Match FindFlag(std::string_view argument) {
  for (const Flag& flag : kFlags) {
    if (argument.starts_with("--")) {
      const std::string_view text = argument.substr(2);
      const size_t equals = text.find('=');
      if (text.substr(0, equals) != flag.name) continue;
      if (equals == std::string_view::npos) return {.flag = &flag};
      return {.flag = &flag, .value = text.substr(equals + 1)};
    }
    if (flag.letter != 0 && argument.size() > 1 && argument[0] == '-' &&
        argument[1] == flag.letter) {
      if (argument.size() == 2) return {.flag = &flag};
      return {.flag = &flag, .value = argument.substr(2)};
    }
  }
  return {};
}

absl::Status ReadArguments(std::span<const std::string> arguments, Given& given) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const auto [flag, attached] = FindFlag(arguments[i]);
    if (!arguments[i].starts_with('-')) {
      given.flags.words.push_back(arguments[i]);
      continue;
    }
    if (flag == nullptr) {
      return UsageError(
          absl::StrFormat("unknown argument '%s'; --help explains the flags", arguments[i]));
    }
    std::string_view value = attached.value_or("");
    if (flag->value.empty() && attached.has_value()) {
      return UsageError(
          absl::StrFormat("%s takes no value, but '%s' gives one", Spelling(*flag), arguments[i]));
    }
    if (!flag->value.empty() && !attached.has_value()) {
      if (++i == arguments.size()) {
        return UsageError(absl::StrFormat("%s needs a value: %s", Spelling(*flag), flag->value));
      }
      value = arguments[i];
    }
    given.names.push_back(flag->name);
    HEADWAY_RETURN_IF_ERROR(StoreValue(*flag, Spelling(*flag), value, given));
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
      HEADWAY_RETURN_IF_ERROR(StoreValue(flag, variable, *value, given));
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

// Checks the flags that need or exclude each other.
absl::Status Combine(EnvironmentLookup environment, Given& given) {
  RunFlags& flags = given.flags;
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

}  // namespace

absl::StatusOr<RunFlags> ParseRunFlags(std::span<const std::string> arguments,
                                       EnvironmentLookup environment) {
  for (const std::string& argument : arguments) {
    // Help works in spite of invalid flags.
    if (argument == "-h" || argument == "--help") return RunFlags{.help = true};
  }
  Given given;
  HEADWAY_RETURN_IF_ERROR(ReadArguments(arguments, given));
  HEADWAY_RETURN_IF_ERROR(ReadEnvironment(environment, given));
  HEADWAY_RETURN_IF_ERROR(Combine(environment, given));
  return std::move(given.flags);
}

std::string RunFlagsHelp() {
  constexpr size_t kIndent = 6;
  constexpr size_t kLineEnd = 90;
  std::string help;
  for (const Flag& flag : kFlags) {
    help += flag.letter == 0 ? "  " : absl::StrFormat("  -%c, ", flag.letter);
    help += absl::StrFormat("--%s", flag.name);
    if (!flag.value.empty()) help += absl::StrFormat(" %s", flag.value);
    if (!flag.variable.empty()) help += absl::StrFormat("  [%s]", flag.variable);
    size_t column = kLineEnd;
    for (std::string_view rest = flag.help; !rest.empty();) {
      const std::string_view word = rest.substr(0, rest.find(' '));
      if (column + word.size() + 1 > kLineEnd) {
        help += "\n" + std::string(kIndent - 1, ' ');
        column = kIndent;
      }
      help += absl::StrFormat(" %s", word);
      column += word.size() + 1;
      rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    }
    help += "\n";
  }
  help +=
      "\nA value may be attached or separate: -w3, -w 3, --workers-per-process=3. The environment\n"
      "variable in brackets is used when the flag is not given.\n"
      "\nIf standard error is a terminal, it shows a status line while a dataflow runs: the "
      "earliest\n"
      "incomplete epoch, the records that sources emit per second, the bytes in flight between\n"
      "steps, and the lag, the time for which the earliest incomplete epoch has been behind the\n"
      "sources. The line is about this process; with -p, about process 0.\n";
  return help;
}

absl::Status UsageError(std::string_view message) {
  absl::Status status = absl::InvalidArgumentError(absl::StrFormat("%s", message));
  status.SetPayload(kUsagePayload, absl::Cord());
  return status;
}

bool IsUsageError(const absl::Status& status) {
  return status.GetPayload(kUsagePayload).has_value();
}

}  // namespace headway::internal
