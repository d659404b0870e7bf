#ifndef HEADWAY_TESTS_ENGINE_GRAPH_ALLOCATION_COUNTER_H_
#define HEADWAY_TESTS_ENGINE_GRAPH_ALLOCATION_COUNTER_H_

#include <cstdint>

// Calls of operator new in this test program so far, on all threads. Not counted in sanitizer
// builds, which bring an allocator of their own.
uint64_t AllocationCount();

#endif  // HEADWAY_TESTS_ENGINE_GRAPH_ALLOCATION_COUNTER_H_
