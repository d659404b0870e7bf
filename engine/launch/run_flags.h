#ifndef HEADWAY_ENGINE_LAUNCH_RUN_FLAGS_H_
#define HEADWAY_ENGINE_LAUNCH_RUN_FLAGS_H_

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/runtime/config.h"

namespace headway::internal {

// The flags of a run, from the command line and the environment.
struct RunFlags {
  bool help = false;                    // the other members have no meaning
  std::vector<std::string> words = {};  // the arguments that are no flags, for the program
  int workers_per_process = 1;
  std::optional<int> processes = std::nullopt;  // if given: spawn this number of processes
  int process_id = 0;
  std::vector<std::string> addresses = {};  // if not empty: this process is member of a cluster
  std::string secret_file = {};
  RunOptions run = {};
};

// Returns the value of an environment variable, if it is set.
using EnvironmentLookup =
    absl::FunctionRef<std::optional<std::string>(const std::string& variable)>;

// A flag of the program itself. Made by CommandLine::AddFlag.
struct ProgramFlag {
  std::string name;   // without dashes; a name of one character is given as -n
  std::string value;  // placeholder in the help; empty: the flag has no value
  std::string help;
  // Stores a value. An error is the end of a sentence, as in flag_values.h.
  std::function<absl::Status(std::string_view value)> store;
};

// Parses the arguments after the program's name. A flag overrides its environment variable, which
// overrides `defaults`. An argument that does not begin with '-', "-", a negative number, and all
// arguments after "--" are words. Reads no file, and prints nothing. InvalidArgument, a UsageError,
// names the flag or the variable, the value, and the values that are allowed.
absl::StatusOr<RunFlags> ParseRunFlags(std::span<const std::string> arguments,
                                       EnvironmentLookup environment,
                                       const RunOptions& defaults = {},
                                       std::span<const ProgramFlag> program_flags = {});

// Returns the help for every flag, ready to print.
std::string RunFlagsHelp(const RunOptions& defaults = {});
std::string ProgramFlagsHelp(std::span<const ProgramFlag> flags);

// Makes an InvalidArgument whose ExitCode is 2. A usage error ends with a reference to --help,
// which is its mark: a payload would be shown by ToString.
absl::Status UsageError(std::string_view message);
bool IsUsageError(const absl::Status& status);

// Makes the Cancelled status of --help, whose ExitCode is 0: its message is `text` and the help for
// the flags of a run. The end of that help is the mark.
absl::Status HelpStatus(std::string_view text, const RunOptions& defaults);
bool IsHelp(const absl::Status& status);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_RUN_FLAGS_H_
