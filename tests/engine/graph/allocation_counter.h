#ifndef HEADWAY_TESTS_ENGINE_GRAPH_ALLOCATION_COUNTER_H_
#define HEADWAY_TESTS_ENGINE_GRAPH_ALLOCATION_COUNTER_H_

#include <cstdint>

// Calls of operator new in this test program so far, on all threads. Not counted in sanitizer
// builds, which bring an allocator of their own.
uint64_t AllocationCount();

// Makes operator new fail from its call number `first` on, counted from now, for `count` calls, on
// all threads. REQUIRES: no sanitizer.
void FailAllocations(int64_t first, int64_t count);
// Returns true if a call has failed since.
bool AnyAllocationFailed();

#endif  // HEADWAY_TESTS_ENGINE_GRAPH_ALLOCATION_COUNTER_H_
