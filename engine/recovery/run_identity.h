#ifndef HEADWAY_ENGINE_RECOVERY_RUN_IDENTITY_H_
#define HEADWAY_ENGINE_RECOVERY_RUN_IDENTITY_H_

#include <cstdint>
#include <string>

namespace headway::internal {

// The knowledge of a process about the earlier attempts of its run with recovery. A process that
// was started in the place of a lost one takes the token of the others. A lock that was taken with
// the token, and is still held, does not refuse the run: its holder is a lost process.
struct RunIdentity {
  std::string token = {};   // random; empty before the first attempt
  uint64_t generation = 0;  // the last one that this process was part of; 0: none
  // The number of attempts, that under way included. The parent counts them for the processes that
  // it spawns.
  int attempts = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RECOVERY_RUN_IDENTITY_H_
