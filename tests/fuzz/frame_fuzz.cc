// A frame from anywhere: its size is bounded, it is verified, and everything in it is read.

#include <span>

#include "tests/comm/wire/frame_samples.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  headway::internal::Receive(std::as_bytes(std::span(data, size)));
  return 0;
}
