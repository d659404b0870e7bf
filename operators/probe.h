#ifndef HEADWAY_OPERATORS_PROBE_H_
#define HEADWAY_OPERATORS_PROBE_H_

#include "engine/step/probe.h"

namespace headway {

// Attaches a probe to the stream, which passes on unchanged. See ProbeHandle.
template <class T>
auto Probe(ProbeHandle<T>& handle) {
  return [&handle]<class D>(const Stream<D, T>& stream) {
    handle.Attach(stream);
    return stream;
  };
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_PROBE_H_
