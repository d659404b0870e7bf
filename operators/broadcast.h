#ifndef HEADWAY_OPERATORS_BROADCAST_H_
#define HEADWAY_OPERATORS_BROADCAST_H_

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "engine/step/route.h"

namespace headway {

// Sends every record to every worker, for a step that needs all of them everywhere, such as a small
// table: Stream<D> stays Stream<D>, with a copy of each record for each worker. The records of one
// worker keep their order on all. The record type needs a Codec, and to be copyable. Keeps no
// state. Costs a copy of each batch per worker, so keep such streams small.
inline auto Broadcast(std::string step_id) {
  return DefineStep(std::move(step_id),
                    []<class D, class T>(const Stream<D, T>& stream, std::string_view id) {
                      static_assert(std::is_copy_constructible_v<D>,
                                    "Broadcast: the records must be copyable, since every worker "
                                    "gets a copy");
                      return Route(stream, id, pact::Broadcast{});
                    });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_BROADCAST_H_
