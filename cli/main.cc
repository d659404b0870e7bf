// The command `headway`: runs a dataflow that a shared library exports, and looks after recovery
// stores.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "cli/dataflow_library.h"
#include "cli/getter.h"
#include "cli/recovery_command.h"
#include "cli/stop_signals.h"
#include "comm/system/output.h"
#include "engine/launch/export_interface.h"
#include "engine/launch/run_flags.h"
#include "engine/launch/run_from_args.h"
#include "engine/runtime/config.h"
#include "engine/runtime/version.h"

namespace headway::cli {
namespace {

constexpr int kUsageExitCode = 2;

constexpr char kUsage[] =
    "usage: headway run LIBRARY[:GETTER[(ARGUMENT, ...)]] [FLAG...]\n"
    "       headway recovery COMMAND STORE [ARGUMENT...]\n"
    "       headway --help | --version\n";

constexpr char kHelp[] =
    "\n"
    "Runs the dataflow that the shared library LIBRARY exports under the name GETTER ('flow' if "
    "it\n"
    "is left out). A getter that is a function has arguments: whole and floating-point numbers,\n"
    "true, false, and strings in quotes. Quote all of it for the shell:\n"
    "\n"
    "  headway run \"libwords.so:Words('words.txt')\" -w2\n"
    "\n"
    "Without -p and -a the dataflow runs in this process. SIGINT (Ctrl-C) and SIGTERM stop the "
    "run\n"
    "gracefully; a second one ends it at once. The exit code is 0 if the run was OK or was "
    "stopped,\n"
    "1 if it failed, 2 if the command cannot be understood.\n"
    "`headway recovery --help` is about the stores of runs with recovery.\n"
    "\n";

void Print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

int PrintError(std::string_view message, int exit_code) {
  std::string text = "headway: ";
  text += message;
  if (!text.ends_with('\n')) text += '\n';
  internal::WriteAll(STDERR_FILENO, text);
  return exit_code;
}

// Escapes the control characters of a message, which may contain text of user code.
std::string OneLine(std::string_view message) {
  std::string line;
  for (const char each : message) {
    const auto byte = static_cast<unsigned char>(each);
    if (byte >= 0x20 && byte != 0x7f) {
      line += each;
    } else {
      absl::StrAppendFormat(&line, "\\x%02x", byte);
    }
  }
  return line;
}

// Prints a diagnostic of a run. Errors are left out: the result has the first of them.
void PrintDiagnostic(int32_t severity, std::string_view text) {
  const auto kind = static_cast<LogSeverity>(severity);
  if (kind == LogSeverity::kError) return;
  PrintError((kind == LogSeverity::kWarning ? "warning: " : "note: ") + OneLine(text), 0);
}

// Fills the place of a closed standard descriptor: otherwise a connection of the run would take it
// and receive the program's output. Reads and writes of the replacement fail.
void OccupyStandardDescriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) >= 0) continue;
    // open returns the lowest free descriptor.
    open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

// Flushes standard output. Returns `exit_code`, or 1 if that fails.
int FlushOutput(int exit_code) {
  const bool failed_before = std::ferror(stdout) != 0;
  const int error = internal::FlushStream(stdout);
  if (exit_code != 0 || (error == 0 && !failed_before)) return exit_code;  // reported already
  const std::string why = failed_before ? "an earlier write failed" : std::strerror(error);
  return PrintError("cannot write to standard output: " + why, 1);
}

int PrintUsageError(const absl::Status& status) {
  return PrintError(std::string(status.message()), kUsageExitCode);
}

HeadwayValue ToValue(const Literal& literal) {
  HeadwayValue value = {};
  if (const auto* integer = std::get_if<int64_t>(&literal)) {
    value.kind = kHeadwayInteger;
    value.integer = *integer;
  } else if (const auto* number = std::get_if<double>(&literal)) {
    value.kind = kHeadwayNumber;
    value.number = *number;
  } else if (const auto* truth = std::get_if<bool>(&literal)) {
    value.kind = kHeadwayBool;
    value.integer = *truth ? 1 : 0;
  } else {
    const auto& string = std::get<std::string>(literal);
    value.kind = kHeadwayString;
    value.string = string.data();
    value.string_bytes = string.size();
  }
  return value;
}

int RunDataflow(const HeadwayGetter& getter, const GetterCall& call,
                const std::vector<std::string>& flags) {
  std::vector<HeadwayValue> arguments;
  for (const Literal& literal : call.arguments) arguments.push_back(ToValue(literal));
  std::vector<const char*> flag_texts;
  for (const std::string& flag : flags) flag_texts.push_back(flag.c_str());

  const absl::StatusOr<int> stop_descriptor = HandleStopSignals();
  if (!stop_descriptor.ok()) return PrintError(std::string(stop_descriptor.status().message()), 1);
  int exit_code = 1;
  const HeadwayRunRequest request = {
      .arguments = arguments.data(),
      .argument_count = arguments.size(),
      .flags = flag_texts.data(),
      .flag_count = flag_texts.size(),
      .stop_descriptor = *stop_descriptor,
      .context = &exit_code,
      .log = [](void*, int32_t severity, const char* text,
                uint64_t bytes) { PrintDiagnostic(severity, {text, bytes}); },
      .result =
          [](void* context, int32_t code, const char* text, uint64_t bytes) {
            *static_cast<int*>(context) = code;
            if (bytes > 0) PrintError(OneLine({text, bytes}), code);
          },
  };
  getter.run(&request);
  return FlushOutput(exit_code);
}

// The arguments after `headway run`.
int Run(const std::vector<std::string>& arguments) {
  // Invalid flags are reported before the library is loaded. The library parses them again, and
  // ignores words.
  const absl::StatusOr<internal::RunFlags> parsed =
      internal::ParseRunFlags(arguments, internal::ReadEnvironmentVariable);
  if (!parsed.ok()) return PrintUsageError(parsed.status());
  if (parsed->help) {
    Print(std::string(kUsage) + kHelp + internal::RunFlagsHelp());
    return 0;
  }
  const std::vector<std::string>& words = parsed->words;
  if (words.empty()) {
    return PrintError(std::string("no library is given\n") + kUsage, kUsageExitCode);
  }
  if (words.size() > 1) {
    return PrintUsageError(
        internal::UsageError(absl::StrFormat("unknown argument '%s'; arguments of the dataflow are "
                                             "those of its getter",
                                             words[1])));
  }

  const absl::StatusOr<GetterCall> call = ParseGetterCall(words[0]);
  if (!call.ok()) return PrintUsageError(call.status());
  const absl::StatusOr<DataflowLibrary> library = DataflowLibrary::Load(call->library);
  if (!library.ok()) return PrintUsageError(library.status());
  const absl::StatusOr<const HeadwayGetter*> getter = library->Find(call->getter);
  if (!getter.ok()) return PrintUsageError(getter.status());
  return RunDataflow(**getter, *call, arguments);
}

// Reads a line of standard input without its end. Returns false at the end of the input.
absl::StatusOr<bool> ReadLine(std::string& line) {
  line.clear();
  int c;
  while ((c = std::getc(stdin)) != EOF && c != '\n') line += static_cast<char>(c);
  if (std::ferror(stdin) != 0) {
    return absl::AbortedError(
        absl::StrFormat("cannot read standard input: %s", std::strerror(errno)));
  }
  return c != EOF || !line.empty();
}

// The arguments after `headway recovery`.
int RunRecovery(const std::vector<std::string>& arguments) {
  const absl::StatusOr<RecoveryCommand> command = ParseRecoveryCommand(arguments);
  if (!command.ok()) return PrintUsageError(command.status());
  const absl::Status status = RunRecoveryCommand(*command, {.print = Print, .read_line = ReadLine});
  if (status.ok()) return FlushOutput(0);
  std::string errors;
  for (const std::string& error :
       std::vector<std::string>(absl::StrSplit(status.message(), '\n'))) {
    if (!errors.empty()) errors += "\nheadway: ";
    errors += OneLine(error);
  }
  return FlushOutput(PrintError(errors, 1));
}

int Main(const std::vector<std::string>& arguments) {
  const std::string command = arguments.empty() ? "" : arguments[0];
  if (command == "run") return Run({arguments.begin() + 1, arguments.end()});
  if (command == "recovery") return RunRecovery({arguments.begin() + 1, arguments.end()});
  if (command == "--help" || command == "-h" || command == "help") return Run({"--help"});
  if (command == "--version") {
    Print(std::string("headway ") + Version() + "\n");
    return 0;
  }
  const std::string what =
      command.empty() ? "no command is given" : "unknown command '" + command + "'";
  return PrintError(what + "\n" + kUsage, kUsageExitCode);
}

}  // namespace
}  // namespace headway::cli

int main(int argc, char** argv) {
  headway::cli::OccupyStandardDescriptors();
  return headway::cli::Main(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
