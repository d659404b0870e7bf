#include "engine/network/network.h"

#include <algorithm>
#include <utility>

#include "check.h"
#include "comm/wire/wire_generated.h"

namespace headway::internal {
namespace {

// The time that other processes get to read our last frames. A process that hangs uses all of it,
// and every process has to end within a second after that one was given up.
constexpr absl::Duration kCloseTimeout = absl::Milliseconds(500);
// The longest wait while a worker has no room for progress.
constexpr std::chrono::nanoseconds kDelayedRetry = std::chrono::milliseconds(1);

}  // namespace

Network::Network(Attempt& attempt, std::unique_ptr<Transport> transport)
    : peers_(attempt, std::move(transport)),
      announcements_(peers_),
      endpoint_(&attempt.fabric(), peers_.topology().workers_per_process),
      dataflows_(peers_.topology()),
      remote_credit_(peers_.topology(), attempt.run().options().max_bytes_in_flight),
      remote_graphs_(peers_),
      batches_(peers_, endpoint_, remote_credit_, dataflows_, remote_graphs_),
      credit_(peers_, endpoint_, remote_credit_),
      outgoing_progress_(peers_, dataflows_),
      incoming_progress_(peers_, dataflows_, endpoint_, remote_graphs_),
      signals_(peers_),
      pump_(*this, attempt.fabric().parker(endpoint_index())) {
  for (int index = 0; index <= endpoint_index(); ++index) {
    attempt.fabric().parker(index).SetWaker([this] { peers_.transport().Wake(); });
  }
  pump_.StartWatchdog();
}

std::vector<std::string> Network::ProcessNames() const {
  std::vector<std::string> names;
  for (int process = 0; process < peers_.transport().process_count(); ++process) {
    names.push_back(peers_.transport().Describe(process));
  }
  return names;
}

bool Network::ExchangeFrames() {
  Transport& transport = peers_.transport();
  received_ = false;
  incoming_progress_.DeliverDelayed();
  signals_.Send();
  if (announcements_.waiting()) announcements_.Send(dataflows_);
  TakeFromWorkers();
  transport.Flush();
  transport.Poll(*this);
  for (BlockList written = transport.TakeWritten(); !written.empty();) {
    endpoint_.Recycle(written.PopFront());
  }
  endpoint_.Flush();
  return received_;
}

void Network::TakeFromWorkers() {
  while (endpoint_.Receive([this](const Message& message, int) { TakeMessage(message); })) {
  }
  while (endpoint_.ReceiveProgress([this](int, uint32_t id, std::span<const std::byte> round) {
    // A lack of memory may have left the sums incomplete, and nobody needs them any more.
    if (peers_.attempt().failure().occurred()) return;
    // A worker may have built it since the announcements were sent.
    if (!dataflows_.IsBuilt(id)) announcements_.Build(dataflows_);
    outgoing_progress_.Add(id, round);
  })) {
  }
  outgoing_progress_.Send();
  dataflows_.ForgetRemoved();
  credit_.SendIfDue();
}

void Network::TakeMessage(const Message& message) {
  switch (message.kind()) {
    case MessageKind::kOutgoingBatch:
      if (!dataflows_.IsBuilt(message.dataflow())) announcements_.Build(dataflows_);
      batches_.Send(message);
      break;
    case MessageKind::kReturnedBytes:
      credit_.Add(message);
      break;
    case MessageKind::kBatch:
    case MessageKind::kIncomingBatch:
    case MessageKind::kCredit:
    case MessageKind::kSmallBatch:
    case MessageKind::kReturnedBlocks:
      HEADWAY_UNREACHABLE("no worker sends this to the network");
  }
}

// Credit is summed into large frames, and progress may wait for room. Neither may stay here while
// the process sleeps: another one could wait for it.
void Network::SendWithheld() {
  credit_.Send();
  if (!outgoing_progress_.waiting()) return;
  peers_.transport().Flush();
  outgoing_progress_.Send();
}

void Network::Wait(Endpoint& worker, std::optional<std::chrono::nanoseconds> timeout,
                   absl::FunctionRef<bool()> has_work) {
  peers_.transport().Flush();
  if (incoming_progress_.delaying()) {
    timeout = std::min(timeout.value_or(kDelayedRetry), kDelayedRetry);
  }
  // Two parkers: the worker's, and the network's, which workers wake after they sent to it. Both
  // are parked elsewhere, in the transport, so a wake-up of either ends the wait.
  worker.ParkElsewhere(timeout, has_work, [this](std::optional<std::chrono::nanoseconds> limit) {
    endpoint_.ParkElsewhere(
        limit, [this] { return announcements_.waiting(); },
        [this](auto wait_limit) { peers_.transport().Wait(wait_limit); });
  });
}

void Network::OutOfMemory() { peers_.attempt().failure().ReportOutOfMemory(); }

void Network::OnFrame(int process, const IncomingFrame& frame) {
  received_ = true;
  switch (frame.frame->body_type()) {
    case wire::Body::Batch:
      batches_.Deliver(process, frame);
      return;
    case wire::Body::Progress:
      incoming_progress_.Deliver(process, *frame.frame);
      return;
    case wire::Body::Credit:
      credit_.Deliver(process, *frame.frame);
      return;
    case wire::Body::Graph:
      remote_graphs_.Compare(process, frame);
      return;
    case wire::Body::Stop:
      signals_.OnStop();
      return;
    case wire::Body::Goodbye:
      signals_.OnGoodbye(process);
      return;
    case wire::Body::Abort:
      signals_.OnAbort(process, *frame.frame);
      return;
    case wire::Body::NONE:
    case wire::Body::Hello:
    case wire::Body::Proof:
    case wire::Body::Heartbeat:
      break;
  }
  peers_.Refuse(process, "a frame that is not allowed after the handshake");
}

void Network::OnLoss(int process, const absl::Status& cause) {
  received_ = true;
  signals_.OnLoss(process, cause);
}

absl::Status Network::Finish() {
  const std::unique_lock lock = pump_.Lock();
  Failure& failure = peers_.attempt().failure();
  Transport& transport = peers_.transport();
  pump_.Exchange();
  // The last rounds may wait for room, and nothing can follow a goodbye.
  while (!failure.occurred() && outgoing_progress_.waiting()) {
    if (outgoing_progress_.BackedUp()) transport.Wait(std::nullopt);
    pump_.Exchange();
  }
  if (!failure.occurred()) signals_.SendGoodbye();
  while (!failure.occurred() && !signals_.AllEnded()) {
    if (!pump_.Exchange()) transport.Wait(std::nullopt);
  }
  pump_.Exchange();
  transport.Close(kCloseTimeout);
  return failure.marked_status();
}

}  // namespace headway::internal
