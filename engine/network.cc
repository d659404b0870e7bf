#include "headway/engine/network.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "headway/engine/failure_origin.h"
#include "headway/engine/run_state.h"
#include "wire_generated.h"

namespace headway::internal {
namespace {

// Credit is given back when it has come to this much, which is less than the exclusive credit of a
// channel, or when the process goes to sleep.
constexpr int64_t kReturnBytes = kExclusiveBytes / 2;
// When this much progress waits for a connection, later rounds are added up here instead.
constexpr size_t kMaxQueuedProgressBytes = 64 * 1024;
// Rounds that came while a worker was slow are added up when they pass this much, and fail the run
// when even their sum does not fit in the second.
constexpr size_t kSumDelayedBytes = size_t{1} << 20;
constexpr size_t kMaxDelayedBytes = size_t{64} << 20;
// A dataflow's number from another process that is larger is no number of a dataflow.
constexpr uint32_t kMaxDataflows = 1 << 20;
// The watchdog pumps when nobody else did for this long.
constexpr std::chrono::milliseconds kWatchdogPeriod{20};
// What the other processes get to read our last frames. One that hangs takes all of it, and
// everybody is to end within a second after it was given up.
constexpr absl::Duration kCloseTimeout = absl::Milliseconds(500);

}  // namespace

Network::Network(RunState& run, std::unique_ptr<Transport> transport)
    : run_(run),
      transport_(std::move(transport)),
      endpoint_(&run.fabric(), run.topology().workers_per_process),
      returned_(static_cast<size_t>(run.topology().process_count)),
      ended_(static_cast<size_t>(run.topology().process_count)),
      agreed_(static_cast<size_t>(run.topology().process_count)) {
  for (int index = 0; index <= endpoint_index(); ++index) {
    run_.fabric().parker(index).SetWaker([this] { transport_->Wake(); });
  }
  ended_[static_cast<size_t>(run.topology().process)] = true;
  watchdog_ = std::thread([this] { Watch(); });  // last, since it may pump at once
}

Network::~Network() {
  {
    std::lock_guard lock(watchdog_mutex_);
    ending_ = true;
  }
  watchdog_ends_.notify_one();
  watchdog_.join();
}

// ---- Who pumps ----

bool Network::Pump(bool urgent) {
  bool received = false;
  if (urgent) pump_again_.store(true);
  do {
    if (!mutex_.try_lock()) {
      // Who pumps looks at pump_again_ after unlocking; who waits is to stop waiting.
      if (urgent) run_.fabric().parker(endpoint_index()).Unpark();
      return received;
    }
    pump_again_.store(false);
    received |= PumpLocked();
    mutex_.unlock();
  } while (pump_again_.load());
  return received;
}

bool Network::TryWait(Endpoint& worker, std::optional<std::chrono::nanoseconds> timeout,
                      absl::FunctionRef<bool()> has_work) {
  if (!mutex_.try_lock()) return false;
  SendCredit();  // nobody may wait for what this process holds back while it sleeps
  transport_->Flush();
  // Two doors to watch: the worker's own, and that of the network, where others leave what is to be
  // sent. A wake-up of either ends the wait.
  worker.ParkElsewhere(timeout, has_work, [this](std::optional<std::chrono::nanoseconds> limit) {
    endpoint_.ParkElsewhere(
        limit, [this] { return has_requests_.load(); },
        [this](auto wait_limit) { transport_->Wait(wait_limit); });
  });
  pump_again_.store(false);
  PumpLocked();
  mutex_.unlock();
  if (pump_again_.load()) Pump(false);
  return true;
}

// User code may keep every worker for a long time, which must not look like the death of the
// process: the connections are looked after from here then.
void Network::Watch() {
  uint64_t seen = 0;
  std::unique_lock lock(watchdog_mutex_);
  while (!watchdog_ends_.wait_for(lock, kWatchdogPeriod, [this] { return ending_; })) {
    const uint64_t pumps = pumps_.load(std::memory_order_relaxed);
    if (std::exchange(seen, pumps) == pumps && mutex_.try_lock()) {
      SendCredit();
      PumpLocked();
      mutex_.unlock();
      seen = pumps_.load(std::memory_order_relaxed);
    }
  }
}

bool Network::PumpLocked() {
  pumps_.fetch_add(1, std::memory_order_relaxed);
  received_ = false;
  DeliverDelayed();
  SendAnnouncements();
  TakeFromWorkers();
  transport_->Flush();
  transport_->Poll(*this);
  for (BlockList written = transport_->TakeWritten(); !written.empty();) {
    endpoint_.Recycle(written.PopFront());
  }
  endpoint_.Flush();
  return received_;
}

// ---- From the workers to other processes ----

void Network::AddDataflow(uint32_t dataflow, ProgressLayout layout,
                          const std::vector<std::string>& steps) {
  std::lock_guard lock(requests_mutex_);
  if (announced_.size() <= dataflow) announced_.resize(dataflow + 1);
  if (announced_[dataflow]) return;
  announced_[dataflow] = true;
  FrameEncoder encoder;
  const std::span<const std::byte> frame = encoder.Graph(dataflow, steps);
  announcements_.emplace_back(frame.begin(), frame.end());
  new_dataflows_.push_back({dataflow, std::move(layout)});
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
  if (run_.failed() && !std::exchange(abort_sent_, true)) {
    SendToAll(FrameClass::kAbort, encoder_.Abort(run_.status()));
  }
  if (run_.stop_requested() && !std::exchange(stop_announced_, true)) {
    SendToAll(FrameClass::kControl, encoder_.Stop(false, 0));
  }
  if (!has_requests_.load()) return;
  std::lock_guard lock(requests_mutex_);
  AddNewDataflows();
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

void Network::TakeFromWorkers() {
  while (endpoint_.Receive([this](const Message& message, int) {
    if (message.kind == kRemoteBatch) {
      SendBatch(message);
    } else {
      AddReturned(message);
    }
  })) {
  }
  while (endpoint_.ReceiveProgress([this](int, uint32_t id, std::span<const std::byte> round) {
    if (id >= dataflows_.size() || !dataflows_[id].outgoing.has_value()) {
      std::lock_guard lock(requests_mutex_);  // it was built while we looked elsewhere
      AddNewDataflows();
    }
    Dataflow& dataflow = dataflows_[id];
    dataflow.outgoing->Add(round);
    if (!std::exchange(dataflow.has_news, true)) with_news_.push_back(id);
  })) {
  }
  if (!with_news_.empty()) SendProgress();
  if (returned_bytes_ >= kReturnBytes) SendCredit();
}

void Network::SendBatch(const Message& message) {
  Block& block = *message.block;
  BatchFields fields{.dataflow = message.dataflow,
                     .channel = message.channel,
                     .sender = block.sender,
                     .target = message.extra,
                     .record_count = block.record_count,
                     .charged_bytes = message.charged_bytes};
  std::memcpy(fields.time.data(), block.time, sizeof(block.time));
  const size_t payload = PadToFrameAlignment(size_t{message.front_bytes} + message.back_bytes);
  const auto head = EncodeBatchHead(fields, static_cast<uint32_t>(payload));
  transport_->Send(run_.topology().ProcessOf(static_cast<int>(message.extra)),
                   {.frame_class = FrameClass::kData,
                    .head = head,
                    .body = message.block,
                    .front_bytes = message.front_bytes,
                    .back_bytes = message.back_bytes});
}

void Network::AddReturned(const Message& message) {
  const int process = run_.topology().ProcessOf(static_cast<int>(message.extra));
  auto& returned = returned_[static_cast<size_t>(process)];
  auto same = std::find_if(returned.begin(), returned.end(), [&](const auto& entry) {
    return entry.dataflow == message.dataflow && entry.channel == message.channel &&
           entry.worker == message.extra;
  });
  if (same == returned.end()) {
    returned.push_back({message.dataflow, message.channel, message.extra, 0});
    same = returned.end() - 1;
  }
  same->bytes += message.charged_bytes;
  returned_bytes_ += message.charged_bytes;
}

// A round that waits here holds back all later ones, so what others see is always whole rounds up
// to some point.
void Network::SendProgress() {
  if (ProgressIsBackedUp()) {
    for (uint32_t id : with_news_) {
      if (dataflows_[id].outgoing->size() > kMaxQueuedProgressBytes) dataflows_[id].outgoing->Net();
    }
    return;
  }
  for (uint32_t id : with_news_) {
    dataflows_[id].has_news = false;
    ProcessSum& sum = *dataflows_[id].outgoing;
    if (!sum.is_due()) continue;  // a later round is looked at together with it
    const std::span<const std::byte> net = sum.Net();
    if (!net.empty()) rounds_.Add(id, net, sum.change_bytes());
    sum.Clear();
    if (rounds_.bytes().size() > kMaxQueuedProgressBytes) SendRounds();
  }
  with_news_.clear();
  SendRounds();
}

void Network::SendRounds() {
  if (rounds_.bytes().empty()) return;
  SendToAll(FrameClass::kProgress, encoder_.Progress(rounds_.bytes()));
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

// ---- From other processes to the workers ----

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
      OnGraph(process, *frame.frame);
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
        run_.stop_agreement().ProposeOfProcess(stop.epoch());
      }
      run_.fabric().WakeAll();
      break;
    }
    case wire::Body::Goodbye:
      ended_[static_cast<size_t>(process)] = true;
      break;
    case wire::Body::Abort: {
      ended_[static_cast<size_t>(process)] = true;
      const absl::Status cause = ReadAbort(*frame.frame);
      run_.Fail(absl::IsUnavailable(cause) ? MarkLoss(cause) : cause);
      break;
    }
    default:
      Malformed(process, "a frame that has no place after the handshake");
  }
  received_ = true;
}

void Network::OnLoss(int process, const absl::Status& cause) {
  ended_[static_cast<size_t>(process)] = true;
  run_.Fail(absl::IsUnavailable(cause) ? MarkLoss(cause) : cause);
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
  // The block's header takes the place of the frame's head, so all of that is read first.
  const Message message{.kind = kRemoteBatch,
                        .dataflow = batch.dataflow(),
                        .channel = batch.channel(),
                        .charged_bytes = batch.charged_bytes()};
  const uint32_t record_count = batch.record_count();
  std::array<std::byte, sizeof(Block::time)> time;
  std::memcpy(time.data(), batch.time(), time.size());
  auto* records =
      const_cast<std::byte*>(reinterpret_cast<const std::byte*>(batch.records()->data()));
  Block* block = frame.slab->PlaceBlock(records, batch.records()->size());
  block->record_count = record_count;
  block->byte_count = message.charged_bytes;
  block->sender = static_cast<uint16_t>(sender);
  std::memcpy(block->time, time.data(), time.size());
  Message with_block = message;
  with_block.block = block;
  endpoint_.Send(topology.LocalIndex(target), with_block);
}

void Network::OnProgress(int process, const wire::Frame& frame) {
  const auto& rounds = *frame.body_as_Progress()->rounds();
  CompactRoundsReader reader({reinterpret_cast<const std::byte*>(rounds.data()), rounds.size()});
  uint32_t dataflow = 0;
  while (reader.Next(kMaxDelayedBytes, &dataflow, &round_)) OnRound(process, dataflow, round_);
  if (reader.malformed()) Malformed(process, "progress that is none");
}

void Network::OnRound(int process, uint32_t dataflow, std::span<const std::byte> round) {
  if (dataflow >= kMaxDataflows) {
    Malformed(process, "progress of a dataflow that cannot exist");
    return;
  }
  // Of a dataflow that is not built here yet the workers find out.
  if (dataflow < dataflows_.size()) {
    const std::optional<ProcessSum>& built = dataflows_[dataflow].outgoing;
    if (built.has_value() && !built->Accepts(round)) {
      Malformed(process, "progress that is not of this dataflow");
      return;
    }
  }
  if (!with_delayed_.empty() || !endpoint_.TryPublishProgress(dataflow, round)) {
    Delay(dataflow, round);
  }
}

// While one round waits, later ones wait behind it.
void Network::Delay(uint32_t id, std::span<const std::byte> changes) {
  Dataflow& dataflow = DataflowOf(id);
  std::vector<std::byte>& delayed = dataflow.delayed;
  if (delayed.empty()) with_delayed_.push_back(id);
  delayed.insert(delayed.end(), changes.begin(), changes.end());
  if (delayed.size() > kSumDelayedBytes && dataflow.outgoing.has_value()) {
    const std::span<const uint32_t> change_bytes = dataflow.outgoing->change_bytes();
    RoundSum sum({change_bytes.begin(), change_bytes.end()});
    if (sum.Accepts(delayed)) {
      sum.AddMany(delayed);
      const std::span<const std::byte> net = sum.Net();
      delayed.assign(net.begin(), net.end());
    }
  }
  if (delayed.size() > kMaxDelayedBytes) {
    run_.Fail(absl::ResourceExhaustedError(absl::StrFormat(
        "process %d: a worker does not keep up with the progress of the other processes, which no "
        "longer fits in %d bytes",
        run_.topology().process, kMaxDelayedBytes)));
  }
}

void Network::DeliverDelayed() {
  while (!with_delayed_.empty()) {
    const uint32_t id = with_delayed_.front();
    std::vector<std::byte>& delayed = dataflows_[id].delayed;
    if (!endpoint_.TryPublishProgress(id, delayed)) return;
    delayed.clear();
    with_delayed_.erase(with_delayed_.begin());
  }
}

void Network::OnCredit(int process, const wire::Frame& frame) {
  const Topology& topology = run_.topology();
  for (const wire::Returned* returned : *frame.body_as_Credit()->returned()) {
    const auto worker = static_cast<int>(returned->worker());
    if (worker < 0 || worker >= topology.worker_count() || !topology.IsLocal(worker)) {
      Malformed(process, "credit for a worker that is not there");
      return;
    }
    const int64_t in_flight = run_.flow_control().InFlight();  // more rather than less
    if (returned->bytes() > static_cast<uint64_t>(std::max<int64_t>(in_flight, 0))) {
      Malformed(process, "credit for more than it was sent");
      return;
    }
    for (uint64_t left = returned->bytes(); left > 0;) {
      const auto bytes = static_cast<uint32_t>(std::min<uint64_t>(left, UINT32_MAX));
      endpoint_.Send(topology.LocalIndex(worker), {.kind = kCredit,
                                                   .dataflow = returned->dataflow(),
                                                   .channel = returned->channel(),
                                                   .extra = static_cast<uint32_t>(process),
                                                   .charged_bytes = bytes});
      left -= bytes;
    }
  }
}

void Network::OnGraph(int process, const wire::Frame& frame) {
  const wire::Graph& graph = *frame.body_as_Graph();
  if (graph.dataflow() >= kMaxDataflows) {
    Malformed(process, "the graph of a dataflow that cannot exist");
    return;
  }
  std::vector<std::string> steps;
  for (const flatbuffers::String* step : *graph.steps()) steps.push_back(step->str());
  absl::Status status = run_.CheckSameGraph(graph.dataflow(), transport_->Describe(process), steps);
  if (!status.ok()) run_.Fail(status);
}

void Network::Malformed(int process, std::string_view what) {
  run_.Fail(absl::InvalidArgumentError(
      absl::StrFormat("%s sent %s; it is not the same program, or its memory is corrupt",
                      transport_->Describe(process), what)));
}

Network::Dataflow& Network::DataflowOf(uint32_t id) {
  if (dataflows_.size() <= id) dataflows_.resize(id + 1);
  return dataflows_[id];
}

// ---- The end ----

absl::Status Network::Finish() {
  std::lock_guard lock(mutex_);
  PumpLocked();
  if (!run_.failed()) SendToAll(FrameClass::kGoodbye, encoder_.Goodbye());
  while (!run_.failed() &&
         !std::all_of(ended_.begin(), ended_.end(), [](bool ended) { return ended; })) {
    PumpLocked();
    if (!received_) transport_->Wait(std::nullopt);
  }
  PumpLocked();
  transport_->Close(kCloseTimeout);
  return run_.marked_status();
}

}  // namespace headway::internal
