#ifndef HEADWAY_OPERATORS_GATHER_H_
#define HEADWAY_OPERATORS_GATHER_H_

#include <string>
#include <string_view>
#include <utility>

#include "engine/step/define_step.h"
#include "engine/step/route.h"

namespace headway {

// Sends every record to worker 0, for a step that must receive them all: Stream<D> stays Stream<D>.
// The record type needs a Codec. Prefer Exchange for steps with a key: they use all workers.
inline auto Gather(std::string step_id) {
  return DefineStep(std::move(step_id),
                    []<class D, class T>(const Stream<D, T>& stream, std::string_view id) {
                      return Route(stream, id, pact::Gather{});
                    });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_GATHER_H_
