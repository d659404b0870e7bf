#include "engine/network/outgoing_progress.h"

#include <utility>

#include "absl/strings/str_format.h"

namespace headway::internal {
namespace {

// Above this much queued progress of a connection, later rounds are summed here instead.
constexpr size_t kMaxQueuedBytes = 64 * 1024;
// Up to this much progress of several dataflows shares a frame.
constexpr size_t kMaxSharedFrameBytes = 16 * 1024;

}  // namespace

void OutgoingProgress::Add(uint32_t id, std::span<const std::byte> round) {
  DataflowProgress& dataflow = table_.At(id);
  dataflow.outgoing->Add(round);
  if (!std::exchange(dataflow.has_news, true)) with_news_.push_back(id);
}

// A round that waits here holds back all later ones of all dataflows. So other processes always
// see whole rounds, up to some point.
void OutgoingProgress::Send() {
  if (with_news_.empty()) return;
  if (BackedUp()) {
    for (uint32_t id : with_news_) {
      ProcessSum& sum = *table_.At(id).outgoing;
      if (sum.size() > kMaxQueuedBytes) sum.Net();
    }
    return;
  }
  for (uint32_t id : with_news_) {
    DataflowProgress& dataflow = table_.At(id);
    dataflow.has_news = false;
    ProcessSum& sum = *dataflow.outgoing;
    if (!sum.is_due()) continue;  // it waits for a later round
    const std::span<const std::byte> net = sum.Net();
    if (rounds_.bytes().size() + net.size() > kMaxSharedFrameBytes) SendFrame();
    if (!net.empty()) rounds_.Add(id, net, sum.change_bytes());
    sum.Clear();
  }
  with_news_.clear();
  SendFrame();
}

void OutgoingProgress::SendFrame() {
  if (rounds_.bytes().empty()) return;
  const std::span<const std::byte> frame = encoder_.Progress(rounds_.bytes());
  if (const size_t limit = peers_.attempt().run().options().cluster.max_frame_bytes;
      frame.size() > limit) {
    peers_.attempt().failure().Report(absl::ResourceExhaustedError(absl::StrFormat(
        "process %d: the progress of one step of its workers takes a frame of %d bytes, and "
        "max_frame_bytes is %d; hold capabilities for fewer times at once, or raise the limit in "
        "every process",
        peers_.topology().process, frame.size(), limit)));
  } else {
    peers_.SendToAll(FrameClass::kProgress, frame);
  }
  rounds_.Clear();
}

bool OutgoingProgress::BackedUp() const {
  return peers_.AnyQueuesMoreThan(kMaxQueuedBytes, FrameClass::kProgress);
}

}  // namespace headway::internal
