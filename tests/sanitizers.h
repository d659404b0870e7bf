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

// How often, or with how much, to do something whose number only makes a test more thorough. A
// sanitizer slows everything down about tenfold, and needs a path once to judge it.
constexpr auto Repeated(auto count, decltype(count) sanitized) {
  return kSanitized ? sanitized : count;
}

}  // namespace headway

#endif  // HEADWAY_TESTS_SANITIZERS_H_
