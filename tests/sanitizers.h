#ifndef HEADWAY_TESTS_SANITIZERS_H_
#define HEADWAY_TESTS_SANITIZERS_H_

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HEADWAY_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HEADWAY_SANITIZED 1
#endif
#endif

namespace headway {

#ifdef HEADWAY_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// The number of repetitions, or the size, of a part that only makes a test more thorough.
// Sanitizers slow a test down about tenfold and need each path only once.
constexpr auto Repeated(auto count, decltype(count) sanitized) {
  return kSanitized ? sanitized : count;
}

}  // namespace headway

#endif  // HEADWAY_TESTS_SANITIZERS_H_
