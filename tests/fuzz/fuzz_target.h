#ifndef HEADWAY_TESTS_FUZZ_FUZZ_TARGET_H_
#define HEADWAY_TESTS_FUZZ_FUZZ_TARGET_H_

#include <cstddef>
#include <cstdint>

// What libFuzzer calls, again and again; it must do no harm, whatever the bytes are.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

#endif  // HEADWAY_TESTS_FUZZ_FUZZ_TARGET_H_
