#ifndef HEADWAY_ENGINE_LAUNCH_RUN_FLAGS_H_
#define HEADWAY_ENGINE_LAUNCH_RUN_FLAGS_H_

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

// Parses the arguments after the program's name. A flag overrides its environment variable. Reads
// no file, and prints nothing. InvalidArgument, a UsageError, names the flag or the variable, the
// value, and the values that are allowed.
absl::StatusOr<RunFlags> ParseRunFlags(std::span<const std::string> arguments,
                                       EnvironmentLookup environment);

// Returns the help for every flag, ready to print.
std::string RunFlagsHelp();

// Makes an InvalidArgument that is marked as a usage error. Its ExitCode is 2.
absl::Status UsageError(std::string_view message);
bool IsUsageError(const absl::Status& status);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_RUN_FLAGS_H_
