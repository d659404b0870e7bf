#ifndef HEADWAY_ENGINE_GRAPH_PUSH_H_
#define HEADWAY_ENGINE_GRAPH_PUSH_H_

#include <utility>

#include "engine/graph/node.h"
#include "engine/graph/step_errors.h"

namespace headway::internal {

// The push that is under way in a dataflow: a batch that passes from an output port through
// transforms into channels. A dataflow has at most one push at a time, since transforms are in the
// middle of a batch then.
//
// Belongs to its graph and the worker's thread.
class CurrentPush {
 public:
  explicit CurrentPush(StepErrors& errors) : errors_(errors) {}

  bool under_way() const { return port_ != nullptr; }
  // REQUIRES: under_way().
  OutputPortBase& port() const { return *port_; }
  // Adds a pointstamp for the batch that is being pushed, for a transform that stops within it.
  OutputPortBase::Hold Hold() const { return port_->AddHold(resumed_); }
  // Fails the run with FailedPrecondition: a function that was called with a batch sends to an
  // input of its own dataflow.
  [[noreturn]] void FailNested(const OutputPortBase& port) const;

 private:
  friend class Push;

  StepErrors& errors_;
  OutputPortBase* port_ = nullptr;                 // null between pushes
  const OutputPortBase::Hold* resumed_ = nullptr;  // null if the push is of a new batch
};

// Pushes through `port` while it exists: a batch at the port's time or, for a transform that
// resumes the rest of an earlier batch, at the time of the hold `resumed`.
class Push {
 public:
  Push(CurrentPush& current, OutputPortBase& port, const OutputPortBase::Hold* resumed = nullptr)
      : current_(current) {
    if (current.under_way()) [[unlikely]] {
      current.FailNested(port);
    }
    current.port_ = &port;
    current.resumed_ = resumed;
    if (resumed != nullptr && port.partitions != nullptr) [[unlikely]] {
      partition_ = std::exchange(port.partitions->current, resumed->partition);
    }
  }
  ~Push() {
    OutputPortBase& port = *std::exchange(current_.port_, nullptr);
    if (current_.resumed_ != nullptr && port.partitions != nullptr) [[unlikely]] {
      port.partitions->current = partition_;
    }
  }
  Push(const Push&) = delete;
  Push& operator=(const Push&) = delete;

 private:
  CurrentPush& current_;
  uint32_t partition_ = 0;  // the source's, if an earlier batch is resumed
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_PUSH_H_
