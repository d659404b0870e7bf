#ifndef HEADWAY_COMM_THREAD_PLACEMENT_H_
#define HEADWAY_COMM_THREAD_PLACEMENT_H_

namespace headway::internal {

// The core on which the calling thread runs, as the system numbers it.
int CurrentCore();

// Whether so many threads of the process can run at a time.
bool EachHasACore(int threads);

// Moves the calling thread to the core that is `steps` further than `core` among those that it may
// use, the last being followed by the first. It may move on from there: which cores it may use
// stays the same. Has no effect if the system refuses, or if there is only one core.
//
// A system may start a thread on the core of its creator, and leaves threads that yield to each
// other on one core for tens of milliseconds, however idle the others are.
//
// Thread safe.
void MoveThread(int core, int steps);

}  // namespace headway::internal

#endif  // HEADWAY_COMM_THREAD_PLACEMENT_H_
