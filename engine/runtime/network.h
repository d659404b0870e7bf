#ifndef HEADWAY_ENGINE_RUNTIME_NETWORK_H_
#define HEADWAY_ENGINE_RUNTIME_NETWORK_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "comm/local/endpoint.h"
#include "comm/wire/transport.h"
#include "progress/compact_rounds.h"
#include "progress/process_sum.h"

namespace headway::internal {

class Attempt;
class RunContext;

// A run of several processes builds fewer; a larger number is no number of a dataflow.
inline constexpr uint32_t kMaxDataflows = 1 << 20;

// Speaks with the other processes of the cluster for all workers of this one.
//
// To the workers it looks like one more worker of their process: it has an endpoint of its own,
// through which it gets their batches for other processes and reads their progress, and gives them
// what has come. Rounds of progress that it finds together it adds up, so other processes see this
// process as one sender. No thread belongs to it but a watchdog: the workers pump it after each
// step, whoever comes first, and an idle one waits for all.
//
// Thread safety: all methods, unless they say otherwise.
class Network final : private Transport::Handler {
 public:
  // `attempt` outlives the network, and its fabric has one endpoint more than workers, for this.
  Network(Attempt& attempt, std::unique_ptr<Transport> transport);
  ~Network() override;
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // The endpoint that stands for all other processes.
  int endpoint_index() const { return endpoint_.worker_index(); }
  // How messages name a process.
  std::string Describe(int process) const { return transport_->Describe(process); }

  // Sends what the workers gave it, and hands out what has come. `urgent`: there is something to
  // send, so that whoever is pumping right now looks again. Returns whether anything came.
  bool Pump(bool urgent);

  // Waits on a worker's thread for the other processes and for whatever would wake the worker, at
  // most for `timeout`. Returns false, at once, if another worker does so already: then this one
  // can sleep, and is woken.
  bool TryWait(Endpoint& worker, std::optional<std::chrono::nanoseconds> timeout,
               absl::FunctionRef<bool()> has_work);

  // A dataflow was built here. Before its first round of progress; each worker may call it.
  void AddDataflow(uint32_t dataflow, ProgressLayout layout, const std::vector<std::string>& steps);

  // A worker has taken a dataflow away, after its last round of progress. Once all workers of the
  // process have, it is forgotten.
  void RemoveDataflow(uint32_t dataflow);

  // The workers of this process can end at `epoch`.
  void AnnounceStopAt(uint64_t epoch);

  // Ends the connections: with a goodbye when the run went well, once all other processes have said
  // theirs too; else with the cause of the failure. After the workers have ended. Returns the run's
  // status.
  absl::Status Finish();

 private:
  struct Dataflow {
    std::optional<ProcessSum> outgoing;  // none until it is built here
    bool has_news = false;               // in with_news_
    std::vector<std::byte> delayed;      // rounds that came while a worker had no room for them
    size_t delayed_sum_bytes = 0;        // of them when they were added up last
    int removals = 0;                    // by workers of this process
  };

  void OnFrame(int process, const IncomingFrame& frame) override;
  void OnLoss(int process, const absl::Status& cause) override;

  // All that follows is called by who holds mutex_.
  bool PumpLocked();
  void SendAnnouncements();
  void TakeFromWorkers();
  void SendBatch(const Message& message);
  void AddReturned(const Message& message);
  void SendProgress();
  void SendRounds();
  void SendCredit();
  void SendToAll(FrameClass frame_class, std::span<const std::byte> frame);
  void OnBatch(int process, const IncomingFrame& frame);
  void OnProgress(int process, const wire::Frame& frame);
  void OnRound(int process, uint32_t dataflow, std::span<const std::byte> round);
  void OnCredit(int process, const wire::Frame& frame);
  void OnGraph(int process, const IncomingFrame& frame);
  void Malformed(int process, std::string_view what);
  void Delay(uint32_t id, std::span<const std::byte> round);
  void SumDelayed(Dataflow& dataflow);
  void DeliverDelayed();
  bool ProgressIsBackedUp() const;
  void AddNewDataflows();
  void NoteRemovals();
  void ForgetRemoved();
  // Makes it if there is none yet.
  Dataflow& DataflowOf(uint32_t id);
  bool IsBuilt(uint32_t id) const {
    return id < dataflows_.size() && dataflows_[id] != nullptr &&
           dataflows_[id]->outgoing.has_value();
  }
  void Watch();

  RunContext& run_;
  Attempt& attempt_;
  const std::unique_ptr<Transport> transport_;

  std::mutex mutex_;  // held by who pumps, or waits
  std::atomic<bool> pump_again_{false};
  std::atomic<uint64_t> pumps_{0};

  // Guarded by mutex_.
  Endpoint endpoint_;
  FrameEncoder encoder_;
  CompactRounds rounds_;                              // scratch of SendProgress
  std::vector<std::byte> round_;                      // scratch of OnProgress
  std::vector<std::unique_ptr<Dataflow>> dataflows_;  // by number; null: nothing is known of it
  std::vector<uint32_t> with_news_;                   // whose outgoing rounds are to be looked at
  std::vector<uint32_t> with_delayed_;
  std::vector<uint32_t> removed_;  // by all workers, and not forgotten yet
  std::vector<bool> is_gone_;      // by number: was built, removed and forgotten
  std::vector<std::vector<FrameEncoder::ReturnedBytes>> returned_;  // by process
  std::vector<bool> ended_;                                         // by process: has said goodbye
  std::vector<bool> agreed_;  // by process: has said which epoch it can end at
  std::vector<absl::flat_hash_set<uint32_t>> graphs_;  // by process: of which dataflows they came
  int64_t returned_bytes_ = 0;                         // in returned_
  // Credit is given back when it has come to this much, or when the process goes to sleep. What all
  // processes keep of a channel's exclusive credit together is half of it at most, so its sender
  // never waits for what nobody gives back.
  const int64_t return_bytes_;
  bool received_ = false;
  bool stop_announced_ = false;
  bool abort_sent_ = false;

  // What workers ask for apart from the hot path.
  struct NewDataflow {
    uint32_t id;
    ProgressLayout layout;
  };
  std::mutex requests_mutex_;                          // guards what follows
  std::vector<std::vector<std::byte>> announcements_;  // control frames for all
  std::vector<NewDataflow> new_dataflows_;
  std::vector<uint32_t> removals_;
  std::atomic<bool> has_requests_{false};
  std::vector<bool> announced_;  // by dataflow

  std::mutex watchdog_mutex_;
  std::condition_variable watchdog_ends_;
  bool ending_ = false;  // guarded by watchdog_mutex_
  std::thread watchdog_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_NETWORK_H_
