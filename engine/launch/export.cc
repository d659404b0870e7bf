#include "engine/launch/export.h"

#include <exception>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/launch/run_flags.h"
#include "engine/launch/run_from_args.h"
#include "engine/runtime/version.h"

namespace headway::internal {
namespace {

std::string Describe(const HeadwayValue& value) {
  switch (value.kind) {
    case kHeadwayInteger:
      return absl::StrFormat("%d", value.integer);
    case kHeadwayNumber:
      return absl::StrFormat("%g", value.number);
    case kHeadwayBool:
      return value.integer != 0 ? "true" : "false";
    case kHeadwayString:
      return absl::StrFormat("'%s'", std::string_view(value.string, value.string_bytes));
  }
  return "?";
}

void Report(const HeadwayRunRequest& request, const absl::Status& status) {
  const std::string text(status.message());
  request.result(request.context, ExitCode(status), text.data(), text.size());
}

}  // namespace

const HeadwayExports* ExportsOf(const HeadwayGetter* const* begin,
                                const HeadwayGetter* const* end) {
  static const HeadwayExports exports = {.interface = kHeadwayExportInterface,
                                         .headway_version = Version(),
                                         .begin = begin,
                                         .end = end};
  return &exports;
}

GetterArguments::GetterArguments(std::string getter, size_t parameter_count,
                                 const HeadwayRunRequest& request)
    : getter_(std::move(getter)), request_(request) {
  if (request.argument_count != parameter_count) {
    status_ = UsageError(absl::StrFormat("%s takes %d arguments, not %d", getter_, parameter_count,
                                         request.argument_count));
  }
}

const HeadwayValue* GetterArguments::Next() {
  return status_.ok() ? &request_.arguments[next_++] : nullptr;
}

void GetterArguments::Refuse(const std::string& expected) {
  status_ = UsageError(absl::StrFormat("argument %d of %s must be %s, not %s", next_, getter_,
                                       expected, Describe(request_.arguments[next_ - 1])));
}

bool GetterArguments::TakeBool() {
  const HeadwayValue* value = Next();
  if (value == nullptr) return false;
  if (value->kind != kHeadwayBool) Refuse("true or false");
  return value->integer != 0;
}

int64_t GetterArguments::TakeInteger(int64_t min, int64_t max) {
  const HeadwayValue* value = Next();
  if (value == nullptr) return 0;
  if (value->kind != kHeadwayInteger || value->integer < min || value->integer > max) {
    Refuse(absl::StrFormat("a whole number from %d to %d", min, max));
  }
  return value->integer;
}

double GetterArguments::TakeNumber() {
  const HeadwayValue* value = Next();
  if (value == nullptr) return 0;
  if (value->kind == kHeadwayInteger) return static_cast<double>(value->integer);
  if (value->kind != kHeadwayNumber) Refuse("a number");
  return value->number;
}

std::string_view GetterArguments::TakeString() {
  const HeadwayValue* value = Next();
  if (value == nullptr) return {};
  if (value->kind == kHeadwayString) return {value->string, value->string_bytes};
  Refuse("a string in quotes");
  return {};
}

void RunExported(const Dataflow& dataflow, const HeadwayRunRequest& request) {
  const std::vector<std::string> arguments(request.flags, request.flags + request.flag_count);
  absl::StatusOr<RunFlags> flags = ParseRunFlags(arguments, ReadEnvironmentVariable);
  if (!flags.ok()) return Report(request, flags.status());
  flags->run.log_hook = [&request](LogSeverity severity, std::string_view text) {
    request.log(request.context, static_cast<int32_t>(severity), text.data(), text.size());
  };
  Report(request, RunWithFlags(dataflow, *flags, request.stop_descriptor));
}

void MakeAndRun(const std::string& getter, const HeadwayRunRequest& request,
                absl::FunctionRef<absl::StatusOr<Dataflow>()> make) {
  absl::StatusOr<Dataflow> dataflow = absl::UnknownError("");
  try {
    dataflow = make();
  } catch (const std::exception& error) {
    dataflow = absl::AbortedError(absl::StrFormat("the getter %s threw: %s", getter, error.what()));
  } catch (...) {
    dataflow = absl::AbortedError(
        absl::StrFormat("the getter %s threw an exception that is no std::exception", getter));
  }
  if (!dataflow.ok()) return Report(request, dataflow.status());
  RunExported(*dataflow, request);
}

}  // namespace headway::internal
