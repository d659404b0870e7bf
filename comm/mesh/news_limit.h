#ifndef HEADWAY_COMM_MESH_NEWS_LIMIT_H_
#define HEADWAY_COMM_MESH_NEWS_LIMIT_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace headway::internal {

// Limits the rate of one kind of log message. A reason passes if it differs from the last one that
// passed, and the pause since then is over. The pauses double, starting at a second: the reason may
// be text that a peer makes up each time.
//
// Times are the loop's milliseconds. Thread safety: none.
class NewsLimit {
 public:
  // Returns true if the reason should be logged.
  bool Passes(std::string_view reason, int64_t now_ms) {
    if (reason == last_ || now_ms < due_ms_) return false;
    last_ = reason;
    due_ms_ = now_ms + pause_ms_;
    pause_ms_ = std::max(2 * pause_ms_, kFirstPauseMs);
    return true;
  }

 private:
  static constexpr int64_t kFirstPauseMs = 1'000;

  std::string last_;
  int64_t due_ms_ = 0;
  int64_t pause_ms_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MESH_NEWS_LIMIT_H_
