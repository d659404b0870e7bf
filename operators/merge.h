#ifndef HEADWAY_OPERATORS_MERGE_H_
#define HEADWAY_OPERATORS_MERGE_H_

#include <string>
#include <utility>
#include <vector>

#include "engine/step/define_step.h"
#include "engine/step/merge_streams.h"

namespace headway {

// Merges streams of one record type and one scope into one: `first | Merge("id", second, third)`.
// Each record keeps its time; the order between the streams is arbitrary. A stream of another scope
// is an InvalidArgument failure of the build.
template <class D, class T, class... Others>
auto Merge(std::string step_id, const Stream<D, T>& second, const Others&... others) {
  return DefineStep(std::move(step_id), std::vector<Stream<D, T>>{second, others...},
                    MergeStreams<D, T>);
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_MERGE_H_
