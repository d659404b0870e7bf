#ifndef HEADWAY_CLI_RECOVERY_COMMAND_H_
#define HEADWAY_CLI_RECOVERY_COMMAND_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace headway::cli {

// `headway recovery COMMAND STORE ...`, parsed.
struct RecoveryCommand {
  std::string name = {};  // "inspect", for example; empty: help of all commands
  bool help = false;
  std::string store = {};                   // as in StoreAt
  std::vector<std::string> arguments = {};  // after the store
  int partition_count = 0;                  // of init
};

// The standard streams of a command.
struct CommandStreams {
  absl::FunctionRef<void(std::string_view text)> print;
  // Reads a line without its end. Returns false at the end of the input.
  absl::FunctionRef<absl::StatusOr<bool>(std::string& line)> read_line;
};

// Parses the arguments after `headway recovery`. InvalidArgument: they cannot be understood; the
// message has the usage.
absl::StatusOr<RecoveryCommand> ParseRecoveryCommand(const std::vector<std::string>& arguments);

// Runs a command. Prints its result, or its help.
absl::Status RunRecoveryCommand(const RecoveryCommand& command, CommandStreams streams);

}  // namespace headway::cli

#endif  // HEADWAY_CLI_RECOVERY_COMMAND_H_
