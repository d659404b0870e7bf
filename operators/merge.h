#ifndef HEADWAY_OPERATORS_MERGE_H_
#define HEADWAY_OPERATORS_MERGE_H_

#include <string>
#include <utility>
#include <vector>

#include "engine/step/define_step.h"
#include "engine/step/merge_streams.h"

namespace headway {

// Merges any number of streams of one record type and one scope into one:
// `first | Merge("id", second, third)`. A stream may occur several times. Each record keeps its
// time; records of one stream keep their order, and the order between the streams is arbitrary. A
// stream of another scope is an InvalidArgument failure of the build. Keeps no state, exchanges
// nothing, and copies no records.
template <class D, class T, class... Others>
auto Merge(std::string step_id, const Stream<D, T>& second, const Others&... others) {
  return DefineStep(std::move(step_id), std::vector<Stream<D, T>>{second, others...},
                    MergeStreams<D, T>);
}

// The same for a vector of streams: `first | Merge("id", others)`. It may be empty.
template <class D, class T>
auto Merge(std::string step_id, std::vector<Stream<D, T>> others) {
  return DefineStep(std::move(step_id), std::move(others), MergeStreams<D, T>);
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_MERGE_H_
