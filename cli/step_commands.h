#ifndef HEADWAY_CLI_STEP_COMMANDS_H_
#define HEADWAY_CLI_STEP_COMMANDS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/opened_store.h"

namespace headway::cli {

// The commands that read or change the state of one step. `id` is the name of the dataflow, a dot,
// and the step id. NotFound: the store has no such step.
//
// A change is durable in one partition after the other. After an interruption, call the same
// command again: it completes the change.

// Calls `line` for each row of the state as of the resume epoch, with its JSON line
// (state_lines.h). NotFound too if a run compacts the store meanwhile.
absl::Status ExportStep(OpenedStore& store, std::string_view id,
                        absl::FunctionRef<void(std::string_view line)> line);

// Replaces the state of a step as of the resume epoch by JSON lines. `next_line` returns false at
// the end. The store is not changed unless all lines are well-formed, and
// there is one. A step that the store does
// not know is added. A store without commits has one afterwards: epoch 0. Returns the number of
// rows. `written_at_ms` is the time, since 1970.
absl::StatusOr<uint64_t> ImportStep(
    OpenedStore& store, std::string_view id,
    absl::FunctionRef<absl::StatusOr<bool>(std::string& line)> next_line, int64_t written_at_ms);

// Removes the step and its state.
absl::Status DropStep(OpenedStore& store, std::string_view id);

// Gives the step a new id. FailedPrecondition: the store has another step with that id.
absl::Status RenameStep(OpenedStore& store, std::string_view id, std::string_view new_id);

}  // namespace headway::cli

#endif  // HEADWAY_CLI_STEP_COMMANDS_H_
