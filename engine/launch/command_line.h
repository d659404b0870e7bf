#ifndef HEADWAY_ENGINE_LAUNCH_COMMAND_LINE_H_
#define HEADWAY_ENGINE_LAUNCH_COMMAND_LINE_H_

#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/dataflow.h"
#include "engine/launch/flag_values.h"
#include "engine/launch/run_flags.h"
#include "engine/runtime/config.h"

namespace headway {

class Worker;

// The command line of a program with flags or arguments of its own: it is parsed once, and decides
// where the program's dataflow runs, as RunFromArgs does:
//
//   int64_t min_count = 1;
//   CommandLine line("wordcount [FLAG...] FILE...", {.stop_on_signals = true});
//   line.AddFlag("min-count", &min_count, "print only words that occur so often");
//
//   absl::Status status = line.Parse(argc, argv);
//   if (status.ok() && line.arguments().empty()) status = line.UsageError("no file is given");
//   if (status.ok()) status = line.Run(WordCount(line.arguments(), min_count));
//   if (!status.ok()) std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
//   return ExitCode(status);
//
// Thread safety: none.
class CommandLine {
 public:
  // `usage` is the program's part of the help. Its first line is shown with usage errors too.
  // `defaults` are the options of the run; flags and the environment override them.
  explicit CommandLine(std::string usage, RunOptions defaults = {});
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  // Adds the flag `--name VALUE`, or `-n VALUE` for a name of one character. Parse stores its value
  // in *value, which outlives Parse; *value holds the default before. A bool flag has no value: it
  // is true if the flag is given. `Value` is bool, an integer, a floating-point number, a string or
  // an absl::Duration.
  template <class Value>
  // NOLINTNEXTLINE(performance-unnecessary-value-param): moved, but where Value is refused
  void AddFlag(std::string name, Value* value, std::string help) {
    using internal::FlagValue;
    flags_.push_back({.name = std::move(name),
                      .value = std::string(FlagValue<Value>::kPlaceholder),
                      .help = std::move(help) + FlagValue<Value>::DescribeDefault(*value),
                      .store = [value](std::string_view text) {
                        return FlagValue<Value>::Store(text, *value);
                      }});
  }

  // Parses the arguments of main, and the environment. Errors, ready to print: InvalidArgument for
  // wrong flags (ExitCode 2), with the usage; Cancelled for --help (ExitCode 0), with the help;
  // FailedPrecondition for flags that AddFlag got twice, or that are flags of a run.
  absl::Status Parse(int argc, char** argv);

  // The arguments that are neither flags nor their values, in their order. "--" ends the flags: all
  // arguments after it are here.
  const std::vector<std::string>& arguments() const { return run_flags_.words; }
  // The options of the run, as the flags say. The secret file is read by Run.
  const RunOptions& options() const { return run_flags_.run; }

  // Makes an error for wrong arguments, with the usage. Its ExitCode is 2.
  absl::Status UsageError(std::string_view message) const;

  // RunFromArgs and ExecuteFromArgs with the parsed flags. REQUIRES: Parse returned OK.
  absl::Status Run(const Dataflow& dataflow) const;
  absl::Status Execute(absl::FunctionRef<absl::Status(Worker&)> program) const;

 private:
  const std::string usage_;
  const RunOptions defaults_;
  std::vector<internal::ProgramFlag> flags_;
  internal::RunFlags run_flags_;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_LAUNCH_COMMAND_LINE_H_
