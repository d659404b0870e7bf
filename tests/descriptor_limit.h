#ifndef HEADWAY_TESTS_DESCRIPTOR_LIMIT_H_
#define HEADWAY_TESTS_DESCRIPTOR_LIMIT_H_

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace headway {

// Limits the process to `more` new file descriptors during its lifetime.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(int more) {
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const int next = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    REQUIRE(next >= 0);
    close(next);
    const rlimit limit = {.rlim_cur = static_cast<rlim_t>(next + more),
                          .rlim_max = before_.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  }
  ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &before_); }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;

 private:
  rlimit before_;
};

}  // namespace headway

#endif  // HEADWAY_TESTS_DESCRIPTOR_LIMIT_H_
