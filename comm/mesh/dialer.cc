#include "comm/mesh/dialer.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "comm/system/socket.h"

namespace headway::internal {
namespace {

constexpr int64_t kFirstPauseMs = 5;
constexpr int64_t kMaxPauseMs = 500;
constexpr int64_t kLookPauseMs = 20;

}  // namespace

absl::StatusOr<FileDescriptor> Dialer::Dial(int64_t now_ms) {
  due_ms_ = std::numeric_limits<int64_t>::max();
  if (next_address_ == addresses_.size()) {
    std::optional<AddressBook::Addresses> found = book_.Find(process_);
    if (!found.has_value()) {
      if (last_error_.empty()) last_error_ = "its host is being looked for";
      due_ms_ = now_ms + kLookPauseMs;
      return FileDescriptor();
    }
    addresses_.clear();
    next_address_ = 0;
    if (!found->ok()) return found->status();
    addresses_ = **std::move(found);
    if (addresses_.empty()) return absl::UnavailableError("its host has no address");
  }
  return StartConnect(addresses_[next_address_++]);
}

bool Dialer::Failed(const absl::Status& status, int64_t now_ms) {
  due_ms_ = now_ms;
  if (next_address_ == addresses_.size()) {
    pause_ms_ = std::clamp(2 * pause_ms_, kFirstPauseMs, kMaxPauseMs);
    due_ms_ += pause_ms_;
  }
  last_error_ = std::string(status.message());
  return news_.Passes(last_error_, now_ms);
}

}  // namespace headway::internal
