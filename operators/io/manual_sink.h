#ifndef HEADWAY_OPERATORS_IO_MANUAL_SINK_H_
#define HEADWAY_OPERATORS_IO_MANUAL_SINK_H_

#include <type_traits>
#include <utility>

#include "absl/status/statusor.h"
#include "engine/step/sink.h"
#include "operators/io/callback.h"

namespace headway {

// A sink written as a function that each worker calls once, when the dataflow has been built. It
// returns the function that writes the records of that worker:
//
//   ManualSink([](int worker_index, int worker_count) {
//     return [file = OpenPart(worker_index)](std::string_view record) -> absl::Status { ... };
//   })
//
// That one is called as CallbackSink describes, lives as long as the dataflow, and may be
// move-only. Nothing is flushed, and there is no position: a run that resumes writes the records
// after the last commit again. For a sink that flushes or keeps a position, write one of sink.h.
template <class F>
class ManualSink {
  static_assert(
      std::is_invocable_v<F&, int, int>,
      "ManualSink: the function must take (int worker_index, int worker_count) and return "
      "the function that writes a record");

 public:
  using Writer = typename CallbackSink<std::invoke_result_t<F&, int, int>>::Writer;

  explicit ManualSink(F function) : function_(std::move(function)) {}

  absl::StatusOr<Writer> Open(const SinkContext& context) {
    return Writer(function_(context.worker_index, context.worker_count));
  }

 private:
  F function_;
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_MANUAL_SINK_H_
