#ifndef HEADWAY_OPERATORS_INSPECT_TIME_H_
#define HEADWAY_OPERATORS_INSPECT_TIME_H_

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "engine/step/transform.h"

namespace headway {

// Calls f(record, time, worker) for each record and passes the record on unchanged: Stream<D> stays
// Stream<D>. `time` is the epoch of the record (in a nested scope, its time there), and `worker`
// the index of this worker, an int. For debugging: both depend on the number of workers and the
// epochs. The result of `f` is ignored, and an exception of it ends the run with an error that
// names the step. Keeps no state, and exchanges nothing.
template <class F>
auto InspectTime(std::string step_id, F f) {
  return DefineStep(
      std::move(step_id), std::move(f),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, F see) {
        static_assert(std::is_invocable_v<F&, ReadType<D>, const T&, int>,
                      "InspectTime: the function must take (record, time, int worker), with "
                      "std::string_view for strings of the record, and an Epoch as the time in the "
                      "root scope");
        const int worker = stream.scope().worker_index();
        return Transform<D>(
            stream, id,
            [worker, see = std::move(see)](Batch<D>& batch, TransformOutput<D, T>& out) mutable {
              for (size_t i = 0; i < batch.size(); ++i) {
                see(std::as_const(batch)[i], out.time(), worker);
              }
              out.GiveBatch(std::move(batch));
            });
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_INSPECT_TIME_H_
