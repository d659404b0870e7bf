#ifndef HEADWAY_ENGINE_NETWORK_RUN_SIGNALS_H_
#define HEADWAY_ENGINE_NETWORK_RUN_SIGNALS_H_

#include <vector>

#include "absl/status/status.h"
#include "comm/wire/wire.h"
#include "engine/network/peers.h"

namespace headway::internal {

// The signals by which processes end together: a stop request, an abort with the cause of a
// failure, a goodbye, and the loss of a connection.
//
// Thread safety: none; the holder of the pump's lock uses it.
class RunSignals {
 public:
  // `peers` outlives the signals.
  explicit RunSignals(Peers& peers);

  // Tells the other processes, once each, that the run failed, and that a stop was requested.
  void Send();
  // Sends the last frame of a run that ended well.
  void SendGoodbye();

  void OnStop();
  void OnAbort(int process, const wire::Frame& frame);
  void OnGoodbye(int process) { ended_[static_cast<size_t>(process)] = true; }
  void OnLoss(int process, const absl::Status& cause);

  // Returns true if every other process has said goodbye, aborted or is lost.
  bool AllEnded() const;

 private:
  Peers& peers_;
  FrameEncoder encoder_;
  std::vector<bool> ended_;  // by process
  bool stop_sent_ = false;
  bool abort_sent_ = false;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_NETWORK_RUN_SIGNALS_H_
