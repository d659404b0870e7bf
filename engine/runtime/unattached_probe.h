#ifndef HEADWAY_ENGINE_RUNTIME_UNATTACHED_PROBE_H_
#define HEADWAY_ENGINE_RUNTIME_UNATTACHED_PROBE_H_

namespace headway::internal {

// True if this thread has asked a ProbeHandle without a stream since its worker last looked. Such a
// handle knows no worker, so the thread is the only connection between the two.
inline thread_local bool asked_unattached_probe = false;

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_UNATTACHED_PROBE_H_
