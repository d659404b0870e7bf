#include "engine/graph/step_errors.h"

#include <cstddef>
#include <exception>
#include <new>
#include <string>

#include "absl/strings/str_cat.h"
#include "comm/memory/block_pool.h"
#include "format.h"

namespace headway::internal {
namespace {

// absl::StrFormat ends the program if it cannot allocate, so the room for a message is probed
// first.
bool HasMemoryForMessage() {
  constexpr size_t kEnough = size_t{64} << 10;
  void* const room = ::operator new(kEnough, std::nothrow);
  ::operator delete(room);
  return room != nullptr;
}

}  // namespace

void StepErrors::Fail(std::string_view step_id, const absl::Status& status) {
  std::string where =
      step_id.empty() ? Format("dataflow '%s'", dataflow_) : Format("step '%s'", step_id);
  worker_.attempt().failure().Report(absl::Status(
      status.code(), Format("%s on %s: %s", where, worker_.attempt().Describe(worker_.index()),
                            std::string(status.message()))));
}

void StepErrors::FailAndThrow(std::string_view step_id, const absl::Status& status) {
  Fail(step_id, status);
  throw StepFailed();
}

void StepErrors::FailWithCurrentException(std::string_view step_id) {
  std::string cause;
  try {
    throw;
  } catch (const std::bad_alloc&) {
    // One huge allocation may have failed, or nothing may be left for a message that names the
    // step.
    if (HasMemoryForMessage()) {
      FailAndThrow(step_id, absl::ResourceExhaustedError("its function ran out of memory"));
    }
    worker_.attempt().failure().ReportOutOfMemory();
    throw StepFailed();
  } catch (const CallerError& error) {
    FailAndThrow(step_id, absl::FailedPreconditionError(error.what()));
  } catch (const BlockTooLarge& error) {
    FailAndThrow(step_id, absl::ResourceExhaustedError(error.what()));
  } catch (const std::exception& error) {
    cause = error.what();
  } catch (...) {
    cause = "an exception that is not a std::exception";
  }
  FailAndThrow(step_id, absl::AbortedError(absl::StrCat("its function threw: ", cause)));
}

}  // namespace headway::internal
