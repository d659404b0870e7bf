#include <algorithm>
#include <array>
#include <cstring>

#include "absl/strings/str_format.h"
#include "comm/wire/wire_generated.h"
#include "engine/runtime/attempt.h"
#include "engine/runtime/failure_origin.h"
#include "engine/runtime/network.h"

// What a Network takes from other processes and hands to the workers.

namespace headway::internal {
namespace {

// Rounds that came while a worker was slow are added up when they pass this much, and fail the run
// when even their sum does not fit in the second.
constexpr size_t kSumDelayedBytes = size_t{1} << 20;
constexpr size_t kMaxDelayedBytes = size_t{64} << 20;

}  // namespace

void Network::OnFrame(int process, const IncomingFrame& frame) {
  switch (frame.frame->body_type()) {
    case wire::Body::Batch:
      OnBatch(process, frame);
      break;
    case wire::Body::Progress:
      OnProgress(process, *frame.frame);
      break;
    case wire::Body::Credit:
      OnCredit(process, *frame.frame);
      break;
    case wire::Body::Graph:
      OnGraph(process, frame);
      break;
    case wire::Body::Stop: {
      const wire::Stop& stop = *frame.frame->body_as_Stop();
      run_.RequestStop();
      if (stop.agreed()) {
        if (agreed_[static_cast<size_t>(process)]) {
          Malformed(process, "a second epoch to stop at");
          break;
        }
        agreed_[static_cast<size_t>(process)] = true;
        attempt_.stop_agreement().ProposeOfProcess(stop.epoch());
      }
      attempt_.fabric().WakeAll();
      break;
    }
    case wire::Body::Goodbye:
      ended_[static_cast<size_t>(process)] = true;
      break;
    case wire::Body::Abort: {
      ended_[static_cast<size_t>(process)] = true;
      const absl::Status cause = ReadAbort(*frame.frame);
      attempt_.failure().Report(absl::IsUnavailable(cause) ? MarkTold(cause) : cause);
      break;
    }
    default:
      Malformed(process, "a frame that has no place after the handshake");
  }
  received_ = true;
}

void Network::OnLoss(int process, const absl::Status& cause) {
  ended_[static_cast<size_t>(process)] = true;
  attempt_.failure().Report(absl::IsUnavailable(cause) ? MarkLoss(cause) : cause);
  received_ = true;
}

void Network::OnBatch(int process, const IncomingFrame& frame) {
  const wire::Batch& batch = *frame.frame->body_as_Batch();
  const Topology& topology = run_.topology();
  const auto target = static_cast<int>(batch.target());
  const auto sender = static_cast<int>(batch.sender());
  if (target < 0 || target >= topology.worker_count() || !topology.IsLocal(target) || sender < 0 ||
      sender >= topology.worker_count() || topology.ProcessOf(sender) != process) {
    Malformed(process, "a batch from or for a worker that is not there");
    return;
  }
  if (batch.dataflow() >= kMaxDataflows || batch.charged_bytes() < batch.records()->size()) {
    Malformed(process,
              "a batch of a dataflow that cannot exist, or one that counts for less than it holds");
    return;
  }
  // The block's header takes the place of the frame's head, so all of that is read first.
  const uint32_t dataflow = batch.dataflow();
  const uint32_t channel = batch.channel();
  const uint32_t charged_bytes = batch.charged_bytes();
  const uint32_t record_count = batch.record_count();
  std::array<std::byte, sizeof(Block::time)> time;
  std::memcpy(time.data(), batch.time(), time.size());
  auto* records =
      const_cast<std::byte*>(reinterpret_cast<const std::byte*>(batch.records()->data()));
  Block* block = frame.slab->PlaceBlock(records, batch.records()->size());
  block->record_count = record_count;
  block->charged_bytes = charged_bytes;
  block->sender = static_cast<uint16_t>(sender);
  std::memcpy(block->time, time.data(), time.size());
  endpoint_.Send(topology.LocalIndex(target), Message::Incoming(dataflow, channel, block));
}

void Network::OnProgress(int process, const wire::Frame& frame) {
  const auto& rounds = *frame.body_as_Progress()->rounds();
  CompactRoundsReader reader({reinterpret_cast<const std::byte*>(rounds.data()), rounds.size()});
  uint32_t dataflow = 0;
  while (!attempt_.failure().occurred() && reader.Next(kMaxDelayedBytes, &dataflow, &round_)) {
    OnRound(process, dataflow, round_);
  }
  if (reader.malformed()) Malformed(process, "progress that is none");
}

void Network::OnRound(int process, uint32_t dataflow, std::span<const std::byte> round) {
  if (dataflow >= kMaxDataflows) {
    Malformed(process, "progress of a dataflow that cannot exist");
    return;
  }
  if (dataflow < is_gone_.size() && is_gone_[dataflow]) return;  // it had to be on its way
  // Of a dataflow that is not built here yet the workers find out.
  if (IsBuilt(dataflow) && !dataflows_[dataflow]->outgoing->Accepts(round)) {
    Malformed(process, "progress that is not of this dataflow");
    return;
  }
  if (!with_delayed_.empty() || !endpoint_.TryPublishProgress(dataflow, round)) {
    Delay(dataflow, round);
  }
}

// While one round waits, later ones wait behind it.
void Network::Delay(uint32_t id, std::span<const std::byte> round) {
  Dataflow& dataflow = DataflowOf(id);
  std::vector<std::byte>& delayed = dataflow.delayed;
  if (delayed.empty()) with_delayed_.push_back(id);
  if (delayed.size() + round.size() > kMaxDelayedBytes) SumDelayed(dataflow);
  if (delayed.size() + round.size() > kMaxDelayedBytes) {
    attempt_.failure().Report(absl::ResourceExhaustedError(absl::StrFormat(
        "process %d: a worker does not keep up with the progress of the other processes, which no "
        "longer fits in %d bytes",
        run_.topology().process, kMaxDelayedBytes)));
    return;
  }
  delayed.insert(delayed.end(), round.begin(), round.end());
  if (delayed.size() > std::max(kSumDelayedBytes, 2 * dataflow.delayed_sum_bytes)) {
    SumDelayed(dataflow);
  }
}

void Network::SumDelayed(Dataflow& dataflow) {
  if (!dataflow.outgoing.has_value()) return;
  const std::span<const uint32_t> change_bytes = dataflow.outgoing->change_bytes();
  RoundSum sum({change_bytes.begin(), change_bytes.end()});
  if (!sum.Accepts(dataflow.delayed)) return;
  sum.AddMany(dataflow.delayed);
  const std::span<const std::byte> net = sum.Net();
  dataflow.delayed.assign(net.begin(), net.end());
  dataflow.delayed_sum_bytes = net.size();
}

void Network::DeliverDelayed() {
  while (!with_delayed_.empty()) {
    const uint32_t id = with_delayed_.front();
    Dataflow& dataflow = *dataflows_[id];
    if (!endpoint_.TryPublishProgress(id, dataflow.delayed)) return;
    dataflow.delayed.clear();
    dataflow.delayed_sum_bytes = 0;
    with_delayed_.erase(with_delayed_.begin());
  }
}

void Network::OnCredit(int process, const wire::Frame& frame) {
  const Topology& topology = run_.topology();
  const int64_t in_flight = attempt_.flow_control().InFlight();  // more rather than less
  auto most = static_cast<uint64_t>(std::max<int64_t>(in_flight, 0));
  for (const wire::Returned* returned : *frame.body_as_Credit()->returned()) {
    const auto worker = static_cast<int>(returned->worker());
    if (worker < 0 || worker >= topology.worker_count() || !topology.IsLocal(worker)) {
      Malformed(process, "credit for a worker that is not there");
      return;
    }
    if (returned->bytes() > most) {
      Malformed(process, "credit for more than it was sent");
      return;
    }
    most -= returned->bytes();
    for (uint64_t left = returned->bytes(); left > 0;) {
      const auto bytes = static_cast<uint32_t>(std::min<uint64_t>(left, UINT32_MAX));
      endpoint_.Send(
          topology.LocalIndex(worker),
          Message::Credited(returned->dataflow(), returned->channel(),
                            {.process = static_cast<uint32_t>(process), .bytes = bytes}));
      left -= bytes;
    }
  }
}

void Network::OnGraph(int process, const IncomingFrame& frame) {
  const wire::Graph& graph = *frame.frame->body_as_Graph();
  if (graph.dataflow() >= kMaxDataflows) {
    Malformed(process, "the graph of a dataflow that cannot exist");
    return;
  }
  if (!graphs_[static_cast<size_t>(process)].insert(graph.dataflow()).second) {
    Malformed(process, "a second graph of a dataflow");
    return;
  }
  std::vector<std::string> steps;
  size_t bytes = 0;
  for (const flatbuffers::String* step : *graph.steps()) {
    bytes += step->size();
    if (bytes > frame.bytes.size()) {  // the same bytes, again and again
      Malformed(process, "a graph whose steps overlap");
      return;
    }
    steps.push_back(step->str());
  }
  absl::Status status =
      attempt_.graph_comparison().Compare(graph.dataflow(), transport_->Describe(process), steps);
  if (!status.ok()) attempt_.failure().Report(status);
}

void Network::Malformed(int process, std::string_view what) {
  attempt_.failure().Report(absl::InvalidArgumentError(
      absl::StrFormat("%s sent %s; it is not the same program, or its memory is corrupt",
                      transport_->Describe(process), what)));
}

Network::Dataflow& Network::DataflowOf(uint32_t id) {
  if (dataflows_.size() <= id) dataflows_.resize(id + 1);
  std::unique_ptr<Dataflow>& dataflow = dataflows_[id];
  if (dataflow == nullptr) dataflow = std::make_unique<Dataflow>();
  return *dataflow;
}

}  // namespace headway::internal
