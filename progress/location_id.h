#ifndef HEADWAY_PROGRESS_LOCATION_ID_H_
#define HEADWAY_PROGRESS_LOCATION_ID_H_

#include <cstdint>

namespace headway {

// Identifies a location of a dataflow: a place that can hold outstanding times, such as a port of
// an operator. Dense from 0 within one Tracker, and equal on every worker.
using LocationId = uint32_t;

}  // namespace headway

#endif  // HEADWAY_PROGRESS_LOCATION_ID_H_
