#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "check.h"
#include "engine/runtime/attempt.h"
#include "engine/runtime/network.h"

// What a Network takes from the workers and sends to other processes.

namespace headway::internal {
namespace {

// When this much progress waits for a connection, later rounds are added up here instead.
constexpr size_t kMaxQueuedProgressBytes = 64 * 1024;
// Up to this much progress of several dataflows shares a frame.
constexpr size_t kMaxSharedFrameBytes = 16 * 1024;

}  // namespace

void Network::AddDataflow(uint32_t dataflow, ProgressLayout layout,
                          const std::vector<std::string>& steps) {
  std::lock_guard lock(requests_mutex_);
  if (announced_.size() <= dataflow) announced_.resize(dataflow + 1);
  if (announced_[dataflow]) return;
  announced_[dataflow] = true;
  FrameEncoder encoder;
  const std::span<const std::byte> frame = encoder.Graph(dataflow, steps);
  if (const size_t limit = run_.options().cluster.max_frame_bytes; frame.size() > limit) {
    attempt_.failure().Report(absl::ResourceExhaustedError(absl::StrFormat(
        "dataflow number %d: what its %d steps are takes %d bytes on its way to other processes, "
        "which compare it, and max_frame_bytes is %d; raise the limit in every process",
        dataflow, steps.size(), frame.size(), limit)));
  } else {
    announcements_.emplace_back(frame.begin(), frame.end());
  }
  new_dataflows_.push_back({dataflow, std::move(layout)});
  has_requests_.store(true);
}

void Network::RemoveDataflow(uint32_t dataflow) {
  std::lock_guard lock(requests_mutex_);
  removals_.push_back(dataflow);
  has_requests_.store(true);
}

void Network::AnnounceStopAt(uint64_t epoch) {
  {
    std::lock_guard lock(requests_mutex_);
    FrameEncoder encoder;
    const std::span<const std::byte> frame = encoder.Stop(true, epoch);
    announcements_.emplace_back(frame.begin(), frame.end());
    has_requests_.store(true);
  }
  Pump(true);
}

void Network::SendAnnouncements() {
  if (attempt_.failure().occurred() && !std::exchange(abort_sent_, true)) {
    SendToAll(FrameClass::kAbort, encoder_.Abort(attempt_.failure().status()));
  }
  if (run_.stop_requested() && !std::exchange(stop_announced_, true)) {
    SendToAll(FrameClass::kControl, encoder_.Stop(false, 0));
  }
  if (!has_requests_.load()) return;
  std::lock_guard lock(requests_mutex_);
  AddNewDataflows();
  NoteRemovals();
  for (const std::vector<std::byte>& frame : announcements_) {
    SendToAll(FrameClass::kControl, frame);
  }
  announcements_.clear();
  has_requests_.store(false);
}

void Network::AddNewDataflows() {
  const Topology& topology = run_.topology();
  for (NewDataflow& added : new_dataflows_) {
    DataflowOf(added.id).outgoing.emplace(std::move(added.layout), topology.workers_per_process,
                                          topology.worker_count());
  }
  new_dataflows_.clear();
}

void Network::NoteRemovals() {
  for (const uint32_t id : removals_) {
    if (++DataflowOf(id).removals == run_.topology().workers_per_process) removed_.push_back(id);
  }
  removals_.clear();
}

// REQUIRES: what the workers published before they removed them was taken.
void Network::ForgetRemoved() {
  std::erase_if(removed_, [this](uint32_t id) {
    if (dataflows_[id]->has_news || !dataflows_[id]->delayed.empty()) return false;
    dataflows_[id].reset();
    if (is_gone_.size() <= id) is_gone_.resize(id + 1);
    is_gone_[id] = true;
    return true;
  });
}

void Network::TakeFromWorkers() {
  while (endpoint_.Receive([this](const Message& message, int) {
    switch (message.kind()) {
      case MessageKind::kOutgoingBatch:
        SendBatch(message);
        break;
      case MessageKind::kReturnedBytes:
        AddReturned(message);
        break;
      case MessageKind::kBatch:
      case MessageKind::kIncomingBatch:
      case MessageKind::kCredit:
      case MessageKind::kSmallBatch:
      case MessageKind::kReturnedBlocks:
        HEADWAY_UNREACHABLE("no worker sends this to the network");
    }
  })) {
  }
  while (endpoint_.ReceiveProgress([this](int, uint32_t id, std::span<const std::byte> round) {
    if (!IsBuilt(id)) {
      std::lock_guard lock(requests_mutex_);  // it was built while we looked elsewhere
      AddNewDataflows();
    }
    Dataflow& dataflow = *dataflows_[id];
    dataflow.outgoing->Add(round);
    if (!std::exchange(dataflow.has_news, true)) with_news_.push_back(id);
  })) {
  }
  if (!with_news_.empty()) SendProgress();
  if (!removed_.empty()) ForgetRemoved();
  if (returned_bytes_ >= return_bytes_) SendCredit();
}

void Network::SendBatch(const Message& message) {
  Block& block = *message.block();
  const OutgoingBatch& batch = message.outgoing();
  BatchFields fields{.dataflow = message.dataflow(),
                     .channel = message.channel(),
                     .sender = block.sender,
                     .target = batch.target,
                     .record_count = block.record_count,
                     .charged_bytes = block.charged_bytes};
  std::memcpy(fields.time.data(), block.time, sizeof(block.time));
  const size_t payload = PadToFrameAlignment(size_t{batch.front_bytes} + batch.back_bytes);
  const auto head = EncodeBatchHead(fields, static_cast<uint32_t>(payload));
  transport_->Send(run_.topology().ProcessOf(static_cast<int>(batch.target)),
                   {.frame_class = FrameClass::kData,
                    .head = head,
                    .body = &block,
                    .front_bytes = batch.front_bytes,
                    .back_bytes = batch.back_bytes});
}

void Network::AddReturned(const Message& message) {
  const auto [sender, bytes] = message.returned();
  const int process = run_.topology().ProcessOf(static_cast<int>(sender));
  auto& returned = returned_[static_cast<size_t>(process)];
  auto same = std::find_if(returned.begin(), returned.end(), [&](const auto& entry) {
    return entry.dataflow == message.dataflow() && entry.channel == message.channel() &&
           entry.worker == message.returned().sender;
  });
  if (same == returned.end()) {
    returned.push_back({message.dataflow(), message.channel(), sender, 0});
    same = returned.end() - 1;
  }
  same->bytes += bytes;
  returned_bytes_ += bytes;
}

// A round that waits here holds back all later ones, so what others see is always whole rounds up
// to some point.
void Network::SendProgress() {
  if (ProgressIsBackedUp()) {
    for (uint32_t id : with_news_) {
      ProcessSum& sum = *dataflows_[id]->outgoing;
      if (sum.size() > kMaxQueuedProgressBytes) sum.Net();
    }
    return;
  }
  for (uint32_t id : with_news_) {
    dataflows_[id]->has_news = false;
    ProcessSum& sum = *dataflows_[id]->outgoing;
    if (!sum.is_due()) continue;  // a later round is looked at together with it
    const std::span<const std::byte> net = sum.Net();
    if (rounds_.bytes().size() + net.size() > kMaxSharedFrameBytes) SendRounds();
    if (!net.empty()) rounds_.Add(id, net, sum.change_bytes());
    sum.Clear();
  }
  with_news_.clear();
  SendRounds();
}

void Network::SendRounds() {
  if (rounds_.bytes().empty()) return;
  const std::span<const std::byte> frame = encoder_.Progress(rounds_.bytes());
  if (const size_t limit = run_.options().cluster.max_frame_bytes; frame.size() > limit) {
    attempt_.failure().Report(absl::ResourceExhaustedError(absl::StrFormat(
        "process %d: what its workers have done in one step takes %d bytes of progress, and "
        "max_frame_bytes is %d; hold fewer times at once, or raise the limit in every process",
        run_.topology().process, frame.size(), limit)));
  } else {
    SendToAll(FrameClass::kProgress, frame);
  }
  rounds_.Clear();
}

bool Network::ProgressIsBackedUp() const {
  for (int process = 0; process < transport_->process_count(); ++process) {
    if (process == transport_->process_id()) continue;
    if (transport_->QueuedBytes(process, FrameClass::kProgress) > kMaxQueuedProgressBytes) {
      return true;
    }
  }
  return false;
}

void Network::SendCredit() {
  for (size_t process = 0; process < returned_.size(); ++process) {
    if (returned_[process].empty()) continue;
    transport_->Send(static_cast<int>(process), {.frame_class = FrameClass::kControl,
                                                 .head = encoder_.Credit(returned_[process])});
    returned_[process].clear();
  }
  returned_bytes_ = 0;
}

void Network::SendToAll(FrameClass frame_class, std::span<const std::byte> frame) {
  for (int process = 0; process < transport_->process_count(); ++process) {
    if (process == transport_->process_id()) continue;
    transport_->Send(process, {.frame_class = frame_class, .head = frame});
  }
}

}  // namespace headway::internal
