#ifndef HEADWAY_TESTS_COMM_LOCAL_WORKERS_H_
#define HEADWAY_TESTS_COMM_LOCAL_WORKERS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "comm/local/fabric.h"

namespace headway::internal {

// The endpoints of a whole process, for tests that play all workers on one thread.
struct Workers {
  explicit Workers(int count, Fabric::Options options = {}) : fabric(count, options) {
    for (int i = 0; i < count; ++i) endpoints.push_back(std::make_unique<Endpoint>(&fabric, i));
  }
  Endpoint& operator[](int i) { return *endpoints[i]; }

  Fabric fabric;
  std::vector<std::unique_ptr<Endpoint>> endpoints;
};

}  // namespace headway::internal

#endif  // HEADWAY_TESTS_COMM_LOCAL_WORKERS_H_
