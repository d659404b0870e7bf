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

// What the command line and the environment say about a run.
struct RunFlags {
  bool help = false;                    // then nothing else counts
  std::vector<std::string> words = {};  // that are no flags: the program's own
  int workers_per_process = 1;
  std::optional<int> processes = std::nullopt;  // given: spawn so many
  int process_id = 0;
  std::vector<std::string> addresses = {};  // given: this is a process of a cluster
  std::string secret_file = {};
  RunOptions run = {};
};

// The value of a variable of the environment, if it is set.
using EnvironmentLookup =
    absl::FunctionRef<std::optional<std::string>(const std::string& variable)>;

// Reads the flags (without the program's name). A flag beats its variable of the environment. Reads
// no file, and prints nothing. InvalidArgument, a UsageError, names the flag or the variable, the
// value, and what is expected.
absl::StatusOr<RunFlags> ParseRunFlags(std::span<const std::string> arguments,
                                       EnvironmentLookup environment);

// Explains every flag, a line or more each, ready to be printed.
std::string RunFlagsHelp();

// InvalidArgument, marked as a mistake in the use of a program. Its ExitCode is 2.
absl::Status UsageError(std::string_view message);
bool IsUsageError(const absl::Status& status);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_RUN_FLAGS_H_
