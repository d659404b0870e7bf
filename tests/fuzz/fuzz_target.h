#ifndef HEADWAY_TESTS_FUZZ_FUZZ_TARGET_H_
#define HEADWAY_TESTS_FUZZ_FUZZ_TARGET_H_

#include <cstddef>
#include <cstdint>

// The entry point of libFuzzer. It must do no harm for any bytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

#endif  // HEADWAY_TESTS_FUZZ_FUZZ_TARGET_H_
