#ifndef HEADWAY_ENGINE_NETWORK_NETWORK_H_
#define HEADWAY_ENGINE_NETWORK_NETWORK_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "comm/local/endpoint.h"
#include "comm/wire/transport.h"
#include "engine/network/announcements.h"
#include "engine/network/batch_relay.h"
#include "engine/network/credit_relay.h"
#include "engine/network/dataflow_table.h"
#include "engine/network/frame_pump.h"
#include "engine/network/incoming_progress.h"
#include "engine/network/outgoing_progress.h"
#include "engine/network/peers.h"
#include "engine/network/remote_credit.h"
#include "engine/network/remote_graphs.h"
#include "engine/network/run_signals.h"

namespace headway::internal {

// Exchanges frames with the other processes of the cluster for all workers of this one.
//
// To the workers it looks like one more worker of their process. It has an endpoint of its own,
// through which it receives their batches for other processes, reads their progress, and delivers
// batches, progress and credit. No thread belongs to it but the watchdog of its pump.
//
// The network is the wiring; each job is a class: the pump (which thread), the relays of batches,
// credit and progress, announcements, signals, and the table of dataflows.
//
// Thread safety: all public methods, unless they say otherwise. The pump's lock guards every part
// but Announcements and the pump, which are thread-safe.
class Network final : private Transport::Handler, private FramePump::Work {
 public:
  // `attempt` outlives the network. Its fabric has one endpoint more than workers, for this.
  Network(Attempt& attempt, std::unique_ptr<Transport> transport);
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // The endpoint that stands for all other processes.
  int endpoint_index() const { return endpoint_.worker_index(); }
  // The names of all processes in messages: "process 2 (host:2103)".
  std::vector<std::string> ProcessNames() const;

  // FramePump::Run: exchanges frames unless another thread does. Returns true if anything arrived.
  bool Pump(bool urgent) { return pump_.Run(urgent); }

  // FramePump::TryWait: waits on a worker's thread for the other processes and for the worker.
  bool TryWait(Endpoint& worker, std::optional<std::chrono::nanoseconds> timeout,
               absl::FunctionRef<bool()> has_work) {
    return pump_.TryWait(worker, timeout, has_work);
  }

  // Transport::descriptor.
  int descriptor() const { return peers_.transport().descriptor(); }

  // Announcements::AddDataflow and RemoveDataflow.
  void AddDataflow(uint32_t dataflow, ProgressLayout layout,
                   const std::vector<std::string>& steps) {
    announcements_.AddDataflow(dataflow, std::move(layout), steps);
  }
  void RemoveDataflow(uint32_t dataflow) { announcements_.RemoveDataflow(dataflow); }

  // Ends the connections. A run that went well says goodbye, and waits for the goodbyes of all
  // other processes; a failed one sends the cause. Call it after the workers have ended. Returns
  // the status of the run, with its mark (failure_origin.h).
  absl::Status Finish();

 private:
  void OnFrame(int process, const IncomingFrame& frame) override;
  void OnLoss(int process, const absl::Status& cause) override;

  bool ExchangeFrames() override;
  void SendWithheld() override;
  void Wait(Endpoint& worker, std::optional<std::chrono::nanoseconds> timeout,
            absl::FunctionRef<bool()> has_work) override;
  void OutOfMemory() override;

  void TakeFromWorkers();
  void TakeMessage(const Message& message);

  Peers peers_;
  Announcements announcements_;

  // Guarded by the pump's lock.
  Endpoint endpoint_;
  DataflowTable dataflows_;
  RemoteCredit remote_credit_;
  RemoteGraphs remote_graphs_;
  BatchRelay batches_;
  CreditRelay credit_;
  OutgoingProgress outgoing_progress_;
  IncomingProgress incoming_progress_;
  RunSignals signals_;
  bool received_ = false;  // anything, in this exchange

  FramePump pump_;  // last: its watchdog ends before the parts go
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_NETWORK_NETWORK_H_
