#include "engine/graph/graph.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <new>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "comm/memory/block_pool.h"
#include "engine/graph/channel.h"

// How a Graph runs, and how it fails. graph_build.cc and graph_credit.cc have the rest.

namespace headway::internal {

// ---- Running ----

void Graph::JoinActive() {
  active_ = true;
  worker_.active_graphs.push_back(this);
}

void Graph::Activate(Node& node) {
  if (node.active) return;
  node.active = true;
  ready_.push_back(&node);
  MarkActive();
}

void Graph::ActivateByIndex(uint32_t node_index) {
  if (node_index < nodes_.size()) Activate(*nodes_[node_index]);
}

void Graph::ActivateAt(Node& node, int64_t nanos) {
  worker_.timers.push_back({nanos, id_, node.index()});
  std::push_heap(worker_.timers.begin(), worker_.timers.end(), std::greater<>());
}

void Graph::ApplyProgress(int from, std::span<const std::byte> encoded) {
  absl::Status status = tracker_.Apply(encoded);
  if (!status.ok()) {
    Fail("", absl::Status(status.code(),
                          absl::StrFormat("from %s: %s", worker_.run.DescribeEndpoint(from),
                                          std::string(status.message()))));
  }
  needs_propagation_ = true;
  MarkActive();
}

inline bool Graph::Propagate() {
  if (!needs_propagation_) return false;
  needs_propagation_ = false;
  absl::Status status = tracker_.Propagate();
  if (!status.ok()) {
    Fail("", status);
    return true;
  }
  if (!tracker_.changed().empty()) ActivateWatchers();
  return true;
}

bool Graph::Step() {
  active_ = false;
  bool did_work = Propagate();
  if (!stalled_.empty()) did_work |= ResumeStalled();
  did_work |= RunActiveNodes();
  // What an activation that failed has taken, and not passed on, is not told.
  if (worker_.run.failed()) return true;
  did_work |= PublishProgress();
  did_work |= Propagate();
  if (!ready_.empty() || unsent_ || tracker_.HasPending()) MarkActive();
  if (!blocked_.empty() || !stalled_.empty()) {
    worker_.run.flow_control().SetStarving();
    MarkActive();
  }
  return did_work;
}

bool Graph::HasWork() const {
  return !ready_.empty() || unsent_ || tracker_.HasPending() || needs_propagation_;
}

void Graph::ActivateWatchers() {
  for (LocationId location : tracker_.changed()) {
    for (Node* node : watchers_[location]) Activate(*node);
  }
}

inline void Graph::RunNode(Node& node) {
  try {
    if (!node.checks_credit_itself) {
      for (OutputPortBase* output : node.outputs) {
        if (!HasCredit(*output)) {
          AwaitCredit(node);
          return;
        }
      }
    }
    node.active = false;
    node.taken = 0;
    GuardStep(node.step_id(), [&] {
      node.logic();
      for (OutputPortBase* output : node.outputs) output->Flush();
    });
  } catch (const StepFailed&) {
    return;
  }
  for (InputPortBase* input : node.inputs) {
    if (!input->empty()) {
      Activate(node);
      return;
    }
  }
}

bool Graph::RunActiveNodes() {
  if (!blocked_.empty()) {
    ready_.insert(ready_.end(), blocked_.begin(), blocked_.end());
    blocked_.clear();
  }
  bool ran = false;
  // What is activated meanwhile runs as well, so that a batch goes through the whole graph in one
  // step; the limit lets frames from other workers in when a cycle goes round and round.
  const size_t limit = 2 * nodes_.size() + 16;
  size_t next = 0;
  for (; next < ready_.size() && next < limit && !worker_.run.failed(); ++next) {
    const size_t blocked = blocked_.size();
    RunNode(*ready_[next]);
    ran |= blocked_.size() == blocked;
  }
  if (next == ready_.size()) {
    ready_.clear();
  } else {
    ready_.erase(ready_.begin(), ready_.begin() + static_cast<ptrdiff_t>(next));
  }
  return ran;
}

bool Graph::PublishProgress() {
  const bool alone = worker_.count == 1;
  if (unsent_) {
    if (!worker_.endpoint.TryPublishProgress(id_, encoded_)) return false;
    unsent_ = false;
    worker_.network_output = true;
  }
  if (!tracker_.HasPending()) return false;
  encoded_.clear();
  if (!tracker_.Publish(alone ? nullptr : &encoded_)) return false;
  needs_propagation_ = true;
  // When the log is full the round waits here, and the next ones add up in the tracker until there
  // is room.
  if (!alone) {
    unsent_ = !worker_.endpoint.TryPublishProgress(id_, encoded_);
    worker_.network_output = true;
  }
  return true;
}

// ---- Failures ----

namespace {

// Formatting a message ends the program if it finds no memory.
bool HasMemoryForMessage() {
  constexpr size_t kEnough = size_t{64} << 10;
  void* const room = ::operator new(kEnough, std::nothrow);
  ::operator delete(room);
  return room != nullptr;
}

}  // namespace

void Graph::Fail(std::string_view step_id, const absl::Status& status) {
  std::string where = step_id.empty() ? absl::StrFormat("dataflow '%s'", name_)
                                      : absl::StrFormat("step '%s'", step_id);
  worker_.run.Fail(absl::Status(
      status.code(), absl::StrFormat("%s on %s: %s", where, worker_.run.Describe(worker_.index),
                                     std::string(status.message()))));
}

void Graph::FailAndThrow(std::string_view step_id, const absl::Status& status) {
  Fail(step_id, status);
  throw StepFailed();
}

void Graph::FailWithCurrentException(std::string_view step_id) {
  std::string what;
  try {
    throw;
  } catch (const std::bad_alloc&) {
    // It may have asked for very much, or there may be nothing left for a message that names it.
    if (HasMemoryForMessage()) {
      FailAndThrow(step_id,
                   absl::ResourceExhaustedError("its function asked for memory that is not there"));
    }
    worker_.run.FailForLackOfMemory();
    throw StepFailed();
  } catch (const BlockTooLarge& error) {
    FailAndThrow(step_id, absl::ResourceExhaustedError(error.what()));
  } catch (const std::exception& error) {
    what = error.what();
  } catch (...) {
    what = "an exception that is no std::exception";
  }
  FailAndThrow(step_id, absl::AbortedError(absl::StrCat("its function threw: ", what)));
}

}  // namespace headway::internal
