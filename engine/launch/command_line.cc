#include "engine/launch/command_line.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "engine/launch/run_from_args.h"
#include "engine/worker.h"

namespace headway {

CommandLine::CommandLine(std::string usage, RunOptions defaults)
    : usage_(std::move(usage)), defaults_(std::move(defaults)) {}

absl::Status CommandLine::Parse(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  absl::StatusOr<internal::RunFlags> flags =
      internal::ParseRunFlags(arguments, internal::ReadEnvironmentVariable, defaults_, flags_);
  if (internal::IsUsageError(flags.status())) {
    const absl::string_view message = flags.status().message();
    return UsageError({message.data(), message.size()});
  }
  if (!flags.ok()) return flags.status();
  if (flags->help) {
    std::string text = absl::StrFormat("usage: %s\n", usage_);
    if (!flags_.empty()) text += "\nFlags:\n\n" + internal::ProgramFlagsHelp(flags_);
    return internal::HelpStatus(text + "\nFlags of the run:\n\n", defaults_);
  }
  run_flags_ = *std::move(flags);
  return absl::OkStatus();
}

absl::Status CommandLine::UsageError(std::string_view message) const {
  return internal::UsageError(
      absl::StrFormat("%s\nusage: %s", message, usage_.substr(0, usage_.find('\n'))));
}

absl::Status CommandLine::Run(const Dataflow& dataflow) const {
  return internal::RunWithFlags(dataflow, run_flags_, -1);
}

absl::Status CommandLine::Execute(absl::FunctionRef<absl::Status(Worker&)> program) const {
  return internal::ExecuteWithFlags(program, run_flags_);
}

}  // namespace headway
