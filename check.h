#ifndef HEADWAY_CHECK_H_
#define HEADWAY_CHECK_H_

#include <cstdio>
#include <cstdlib>

// HEADWAY_CHECK ends the process when one of Headway's own invariants is broken: it marks a bug of
// the library, never bad input or a failure of the system (those are an absl::Status).
// HEADWAY_DCHECK is the same in debug builds only.

namespace headway::internal {

[[noreturn]] inline void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: internal error, please report it: CHECK(%s) failed\n", file, line,
               condition);
  std::abort();
}

}  // namespace headway::internal

#define HEADWAY_CHECK(condition)                        \
  (__builtin_expect(static_cast<bool>(condition), true) \
       ? static_cast<void>(0)                           \
       : ::headway::internal::CheckFailed(#condition, __FILE__, __LINE__))

// Marks a place that no execution reaches. Ends the process there, and says why it is a bug.
#define HEADWAY_UNREACHABLE(reason) ::headway::internal::CheckFailed(reason, __FILE__, __LINE__)

#ifdef NDEBUG
#define HEADWAY_DCHECK(condition) static_cast<void>(sizeof(static_cast<bool>(condition)))
#else
#define HEADWAY_DCHECK(condition) HEADWAY_CHECK(condition)
#endif

#endif  // HEADWAY_CHECK_H_
