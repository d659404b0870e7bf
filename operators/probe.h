#ifndef HEADWAY_OPERATORS_PROBE_H_
#define HEADWAY_OPERATORS_PROBE_H_

#include "engine/step/probe.h"

namespace headway {

// Attaches `handle` to the stream, so that the host sees which times are complete there. Returns
// the stream unchanged. A handle that is attached already is an InvalidArgument failure of the
// build.
template <class T>
auto Probe(ProbeHandle<T>& handle) {
  return [&handle]<class D>(const Stream<D, T>& stream) {
    handle.Attach(stream);
    return stream;
  };
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_PROBE_H_
