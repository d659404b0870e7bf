#ifndef HEADWAY_ENGINE_PLACEMENT_H_
#define HEADWAY_ENGINE_PLACEMENT_H_

#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "comm/wire/transport.h"
#include "engine/runtime/config.h"

namespace headway::internal {

// Runs one process of a run, on the calling thread and others. The transport connects it to the
// other processes; null: it is alone.
using ProcessPart = absl::FunctionRef<absl::Status(const RunOptions&, std::unique_ptr<Transport>)>;

// The processes of a run: how many there are, and how this call takes part in them.
class Placement {
 public:
  virtual ~Placement() = default;

  virtual int workers_per_process() const = 0;

  // Calls `part` in each process that this placement is responsible for, at the most once in each.
  // Returns when these have ended: the first failure, by cause.
  virtual absl::Status Place(const RunOptions& options, ProcessPart part) const = 0;
};

// The calling process, alone.
class OneProcess final : public Placement {
 public:
  explicit OneProcess(int workers) : workers_(workers) {}

  int workers_per_process() const override { return workers_; }
  absl::Status Place(const RunOptions& options, ProcessPart part) const override {
    return part(options, nullptr);
  }

 private:
  const int workers_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_PLACEMENT_H_
