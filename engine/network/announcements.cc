#include "engine/network/announcements.h"

#include <span>
#include <utility>

#include "absl/strings/str_format.h"

namespace headway::internal {

void Announcements::AddDataflow(uint32_t dataflow, ProgressLayout layout,
                                const std::vector<std::string>& steps) {
  std::lock_guard lock(mutex_);
  if (announced_.size() <= dataflow) announced_.resize(dataflow + 1);
  if (announced_[dataflow]) return;
  // All or nothing: if memory runs out, another worker may announce it.
  new_dataflows_.reserve(new_dataflows_.size() + 1);
  frames_.reserve(frames_.size() + 1);
  FrameEncoder encoder;
  const std::span<const std::byte> frame = encoder.Graph(dataflow, steps);
  if (const size_t limit = peers_.attempt().run().options().cluster.max_frame_bytes;
      frame.size() > limit) {
    peers_.attempt().failure().Report(absl::ResourceExhaustedError(absl::StrFormat(
        "dataflow number %d: the description of its %d steps, which other processes compare, takes "
        "a frame of %d bytes, and max_frame_bytes is %d; raise the limit in every process",
        dataflow, steps.size(), frame.size(), limit)));
  } else {
    frames_.emplace_back(frame.begin(), frame.end());
  }
  new_dataflows_.push_back({dataflow, std::move(layout)});
  announced_[dataflow] = true;
  waiting_.store(true);
}

void Announcements::RemoveDataflow(uint32_t dataflow) {
  std::lock_guard lock(mutex_);
  removals_.push_back(dataflow);
  waiting_.store(true);
}

void Announcements::Send(DataflowTable& table) {
  std::lock_guard lock(mutex_);
  BuildAndSendLocked(table);
  for (const uint32_t id : removals_) table.Remove(id);
  removals_.clear();
  waiting_.store(false);
}

void Announcements::Build(DataflowTable& table) {
  std::lock_guard lock(mutex_);
  BuildAndSendLocked(table);
}

void Announcements::BuildAndSendLocked(DataflowTable& table) {
  for (const NewDataflow& added : new_dataflows_) {
    if (!table.IsBuilt(added.id))
      table.Build(added.id, added.layout);  // else memory ran out after it
  }
  new_dataflows_.clear();
  for (const std::vector<std::byte>& frame : frames_) {
    peers_.SendToAll(FrameClass::kControl, frame);
  }
  frames_.clear();
}

}  // namespace headway::internal
