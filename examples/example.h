#ifndef HEADWAY_EXAMPLES_EXAMPLE_H_
#define HEADWAY_EXAMPLES_EXAMPLE_H_

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

// What the examples share: the flag `-w N`, and the end of main.

// The number of workers from `-w N`, 1 by default. Other arguments are appended to `rest`, if it is
// given.
inline int ParseWorkers(int argc, char** argv, std::vector<std::string>* rest = nullptr) {
  int workers = 1;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "-w" && i + 1 < argc) {
      workers = std::atoi(argv[++i]);
    } else if (rest != nullptr) {
      rest->push_back(argv[i]);
    }
  }
  return workers;
}

// The exit code of main; prints the error, if there is one.
inline int Finish(const absl::Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}

#endif  // HEADWAY_EXAMPLES_EXAMPLE_H_
