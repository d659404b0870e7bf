#ifndef HEADWAY_ENGINE_LAUNCH_RUN_FROM_ARGS_H_
#define HEADWAY_ENGINE_LAUNCH_RUN_FROM_ARGS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "engine/dataflow.h"
#include "engine/runtime/config.h"

namespace headway {

class Worker;

// Runs a dataflow with the flags of the command line and the environment: in this process, on
// processes that it spawns (-p), or as one process of a cluster (-i, -a). The flags of recovery are
// -r (HEADWAY_RECOVERY), -s (HEADWAY_SNAPSHOT_INTERVAL), -b (HEADWAY_BACKUP_INTERVAL) and --restart
// (HEADWAY_RESTART). `options` are the options of the run that no flag sets. A complete main:
//
//   absl::Status status = RunFromArgs(flow, argc, argv, {.stop_on_signals = true});
//   if (!status.ok()) std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
//   return ExitCode(status);
//
// Prefer a CommandLine (command_line.h) for a program with flags or arguments of its own.
//
// Prints nothing, except for a status line if standard error is a terminal: epoch, records/s, bytes
// in flight, lag. The line is rewritten twice a second and erased at the end. It shows the part of
// the run in this process, or in process 0 of the spawned ones.
//
// If the reader of the output ends, SIGPIPE ends the program, as usual; with -p also if a spawned
// process was the writer.
//
// --help runs nothing: the help is the message of a Cancelled status. Errors: InvalidArgument for
// invalid flags; those of RunMain, SpawnCluster and ClusterMain. Call it before the program starts
// threads.
absl::Status RunFromArgs(const Dataflow& dataflow, int argc, char** argv,
                         const RunOptions& options = {});

// The same for a program that drives each worker by itself, as with Execute. Prints no status line.
absl::Status ExecuteFromArgs(int argc, char** argv,
                             absl::FunctionRef<absl::Status(Worker&)> program,
                             const RunOptions& options = {});

// Returns the arguments that are neither flags of RunFromArgs nor their values. They are for the
// program, and RunFromArgs ignores them. Empty if a flag is invalid or asks for help: RunFromArgs
// says so. A CommandLine tells the two from a command line without arguments.
std::vector<std::string> ProgramArguments(int argc, char** argv);

// Returns the exit code for a status of RunFromArgs: 0 if it is OK or that of --help, 1 if the run
// failed, 2 if the flags are invalid or their secret cannot be read.
int ExitCode(const absl::Status& status);

namespace internal {

struct RunFlags;

// Reads a variable of this process.
std::optional<std::string> ReadEnvironmentVariable(const std::string& variable);

// Runs a dataflow with the given flags, and reads the file with the secret. The run stops
// gracefully once `stop_descriptor` is readable (-1: absent; not owned, not read).
absl::Status RunWithFlags(const Dataflow& dataflow, const RunFlags& flags, int stop_descriptor);
// The same for the program of a host, without a status line.
absl::Status ExecuteWithFlags(absl::FunctionRef<absl::Status(Worker&)> program,
                              const RunFlags& flags);

}  // namespace internal
}  // namespace headway

#endif  // HEADWAY_ENGINE_LAUNCH_RUN_FROM_ARGS_H_
