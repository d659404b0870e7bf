#ifndef HEADWAY_OPERATORS_REDISTRIBUTE_H_
#define HEADWAY_OPERATORS_REDISTRIBUTE_H_

#include <string>
#include <string_view>
#include <utility>

#include "engine/step/define_step.h"
#include "engine/step/route.h"

namespace headway {

// Spreads the records evenly over all workers, whatever the number of records on each: Stream<D>
// stays Stream<D>. Each worker sends whole batches, the next one to the worker to which it has sent
// the fewest records. So one worker with a hot source gives work to all others. Use it before an
// expensive step without a key; it is of no use before a keyed step, which exchanges its records.
//
// The worker of a record and the order of records are arbitrary: those of one key are on several
// workers. The record type needs a Codec. Keeps no state. Costs no copy of records, except to
// other processes.
inline auto Redistribute(std::string step_id) {
  return DefineStep(std::move(step_id),
                    []<class D, class T>(const Stream<D, T>& stream, std::string_view id) {
                      return Route(stream, id, pact::RoundRobin{});
                    });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_REDISTRIBUTE_H_
