#ifndef HEADWAY_OPERATORS_KEY_REMOVE_H_
#define HEADWAY_OPERATORS_KEY_REMOVE_H_

#include <string>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/key_value.h"
#include "operators/map.h"

namespace headway {

// Drops the keys: (key, value) becomes value. Keeps no state, and exchanges nothing.
inline auto KeyRemove(std::string step_id) {
  return DefineStep(std::move(step_id),
                    []<class D, class T>(const Stream<D, T>& stream, std::string id) {
                      static_assert(KeyValueRecord<D>,
                                    "KeyRemove: the stream must have (key, value) pairs as "
                                    "records");
                      return stream | Map(std::move(id), [](TakeType<D> record) -> TakenValue<D> {
                               return std::move(record.second);
                             });
                    });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_KEY_REMOVE_H_
