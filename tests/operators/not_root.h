#ifndef HEADWAY_TESTS_OPERATORS_NOT_ROOT_H_
#define HEADWAY_TESTS_OPERATORS_NOT_ROOT_H_

#include <doctest/doctest.h>
#include <unistd.h>

namespace headway {

// Root may read and write everything; this process is somebody else as long as one of these exists.
class NotRoot {
 public:
  NotRoot() {
    if (user_ == 0) REQUIRE(seteuid(kNobody) == 0);
  }
  ~NotRoot() { CHECK(seteuid(user_) == 0); }

 private:
  static constexpr uid_t kNobody = 65534;
  const uid_t user_ = geteuid();
};

}  // namespace headway

#endif  // HEADWAY_TESTS_OPERATORS_NOT_ROOT_H_
