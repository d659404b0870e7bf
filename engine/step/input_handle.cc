#include "engine/step/input_handle.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace headway::internal {

void InputState::Attach(Graph& graph, Node& node, OutputPortBase& output,
                        Capability<Epoch> capability) {
  graph_ = &graph;
  node_ = &node;
  output_ = &output;
  output.of_source = true;
  time_ = capability.time();
  capability_ = std::move(capability);
  was_attached_ = true;
}

void InputState::Detach() {
  output_ = nullptr;
  graph_ = nullptr;
}

absl::Status InputState::CheckAttach() const {
  if (moved_from_) {
    return absl::FailedPreconditionError(
        "its InputHandle was moved from; use the handle that it was moved to");
  }
  if (graph_ != nullptr) {
    return absl::FailedPreconditionError(
        "its InputHandle feeds another input already; use one handle for each input");
  }
  if (called_early_ != nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        called_early_,
        " was called on its InputHandle before the handle was part of a dataflow; feed it when "
        "Worker::Build has returned"));
  }
  return absl::OkStatus();
}

void InputState::Refuse(const char* name) {
  if (!open()) {
    if (!was_attached_ && !moved_from_ && called_early_ == nullptr) called_early_ = name;
    return;
  }
  graph_->errors().Fail(
      node_->step_id(),
      absl::FailedPreconditionError(absl::StrCat(
          name, " was called on its InputHandle by ",
          graph_->queue().is_open()
              ? "a function of the same dataflow; keep the records, and send them when the "
                "worker's step is over"
              : "the function that builds its dataflow; feed it when Worker::Build has returned")));
  output_ = nullptr;
}

void InputState::Flush() {
  if (open() && MayCall("Flush")) FlushNow();
}

void InputState::TellWatermark() {
  if (open() && graph_->parts().has_event_time) output_->PushWatermark(&time_, {});
}

void InputState::FlushNow() {
  Guard([&] {
    output_->Flush();
    TellWatermark();
  });
  graph_->queue().MarkActive();
}

void InputState::AdvanceTo(Epoch time) {
  if (!MayCall("AdvanceTo")) return;
  FlushNow();
  if (graph_->worker().failed()) return;
  if (time < time_) {
    graph_->errors().Fail(node_->step_id(),
                          absl::FailedPreconditionError(absl::StrFormat(
                              "AdvanceTo(%d) was called on its InputHandle, which is at %d "
                              "already; advance it to that time or to a later one",
                              time, time_)));
    return;
  }
  capability_.Downgrade(time);
  time_ = time;
}

void InputState::Close() {
  // During the build nothing was sent yet: the input is empty.
  const bool is_being_built = open() && !graph_->queue().is_open();
  if (!is_being_built) {
    if (!MayCall("Close")) return;
    FlushNow();
  }
  if (!is_being_built && graph_->parts().has_event_time) {
    Guard([&] { output_->PushWatermark(&time_, {.active = false}); });
  }
  capability_.Drop();
  output_ = nullptr;
}

}  // namespace headway::internal
