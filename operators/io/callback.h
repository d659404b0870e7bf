#ifndef HEADWAY_OPERATORS_IO_CALLBACK_H_
#define HEADWAY_OPERATORS_IO_CALLBACK_H_

#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/step/sink.h"

namespace headway {

// A sink that calls a function with each record: `void(record)`, or `absl::Status(record)` whose
// error ends the run. Each worker has a copy of the function and calls it on its own thread, inside
// Worker::Step. A host that steps worker 0 by itself puts Gather before the sink and receives all
// records on its thread.
template <class F>
class CallbackSink {
 public:
  explicit CallbackSink(F function) : function_(std::move(function)) {}

  class Writer {
   public:
    explicit Writer(F function) : function_(std::move(function)) {}

    template <class Record>
    absl::Status Write(Record&& record) {
      constexpr bool kTakesRecord = std::is_invocable_v<F&, Record>;
      static_assert(kTakesRecord, "CallbackSink: the function must take one record of the stream");
      if constexpr (!kTakesRecord) {
        return absl::OkStatus();  // the sentence above is the only error
      } else if constexpr (std::is_void_v<std::invoke_result_t<F&, Record>>) {
        function_(std::forward<Record>(record));
        return absl::OkStatus();
      } else {
        return function_(std::forward<Record>(record));
      }
    }
    absl::Status Flush() { return absl::OkStatus(); }

   private:
    F function_;
  };

  absl::StatusOr<Writer> Open(const SinkContext&) { return Writer(std::move(function_)); }

 private:
  F function_;
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_CALLBACK_H_
