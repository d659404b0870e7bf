#ifndef HEADWAY_TESTS_COMM_WIRE_FRAME_SAMPLES_H_
#define HEADWAY_TESTS_COMM_WIRE_FRAME_SAMPLES_H_

#include <cstddef>
#include <span>
#include <vector>

#include "comm/wire/wire_generated.h"

namespace headway::internal {

using Bytes = std::vector<std::byte>;

// One frame of every kind, by wire::Body.
std::vector<Bytes> SampleFrames();

// Reads every field of a verified frame, in place as the engine does. Returns something that
// depends on all of it.
size_t ReadEverything(const wire::Frame& frame);

// Receives untrusted bytes as a process does: bounds the size, verifies, reads. Returns true if
// they were one frame.
bool Receive(std::span<const std::byte> bytes);

}  // namespace headway::internal

#endif  // HEADWAY_TESTS_COMM_WIRE_FRAME_SAMPLES_H_
