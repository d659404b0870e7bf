#ifndef HEADWAY_ENGINE_LAUNCH_RUN_FROM_ARGS_H_
#define HEADWAY_ENGINE_LAUNCH_RUN_FROM_ARGS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "engine/dataflow.h"

namespace headway {

class Worker;

// Runs a dataflow as the command line and the environment say: in this process, on processes that
// it spawns (-p), or as one process of a cluster (-i, -a). It is all that a program's main needs:
//
//   absl::Status status = RunFromArgs(flow, argc, argv);
//   if (!status.ok()) std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
//   return ExitCode(status);
//
// It handles no signals, and prints nothing, but for one thing: if the standard error output is a
// terminal, a line there shows how the run gets on (epoch, records/s, bytes in flight, lag). It is
// written over twice a second, shows the part of the run that is in this process, or in process 0
// of those that it spawns, and is gone in the end. --help runs nothing: the explanation of the
// flags is the message of a Cancelled status. InvalidArgument for flags that are wrong; otherwise
// the errors of RunMain, SpawnCluster and ClusterMain. Call it before the program starts threads.
absl::Status RunFromArgs(const Dataflow& dataflow, int argc, char** argv);

// The same for a program that drives each worker by itself, as with Execute. It prints nothing at
// all.
absl::Status ExecuteFromArgs(int argc, char** argv,
                             absl::FunctionRef<absl::Status(Worker&)> program);

// The words of the command line that are no flags of RunFromArgs, nor values of them: they are the
// program's own, and RunFromArgs passes over them. Empty if the flags are wrong, which RunFromArgs
// reports.
std::vector<std::string> ProgramArguments(int argc, char** argv);

// The exit code of a program that ends with this status of RunFromArgs: 0 if the run, or --help, is
// OK, 1 if the run failed, 2 if the flags cannot be understood, contradict each other, or name a
// secret that cannot be read.
int ExitCode(const absl::Status& status);

namespace internal {

struct RunFlags;

// Looks into the environment of this process.
std::optional<std::string> ReadEnvironmentVariable(const std::string& variable);

// Runs a dataflow as the flags say. It is stopped gracefully when `stop_descriptor` becomes
// readable (-1: none; not owned, and not read). Reads the file with the secret.
absl::Status RunWithFlags(const Dataflow& dataflow, const RunFlags& flags, int stop_descriptor);

}  // namespace internal
}  // namespace headway

#endif  // HEADWAY_ENGINE_LAUNCH_RUN_FROM_ARGS_H_
