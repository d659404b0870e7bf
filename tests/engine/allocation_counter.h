#ifndef HEADWAY_TESTS_ENGINE_ALLOCATION_COUNTER_H_
#define HEADWAY_TESTS_ENGINE_ALLOCATION_COUNTER_H_

#include <cstdint>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HEADWAY_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HEADWAY_SANITIZED 1
#endif
#endif

// Calls of operator new in this test program so far, on all threads. Not counted in sanitizer
// builds, which bring an allocator of their own.
uint64_t AllocationCount();

#endif  // HEADWAY_TESTS_ENGINE_ALLOCATION_COUNTER_H_
