#include "comm/system/name_lookup.h"

#include <condition_variable>
#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace headway::internal {

struct NameLookup::State {
  std::mutex mutex;
  std::condition_variable found;
  std::optional<Addresses> addresses;  // guarded by mutex

  void Set(Addresses result) {
    std::lock_guard lock(mutex);
    addresses = std::move(result);
    found.notify_all();
  }
};

NameLookup::NameLookup(const HostPort& where) : state_(std::make_shared<State>()) {
  if (IsNumeric(where)) {
    state_->Set(Resolve(where));
    return;
  }
  try {
    std::thread([state = state_, where] {
      try {
        state->Set(Resolve(where));
      } catch (const std::bad_alloc&) {
        state->Set(absl::Status(absl::StatusCode::kUnavailable, ""));  // needs no memory
      }
    }).detach();
  } catch (const std::system_error& error) {
    state_->Set(absl::UnavailableError(absl::StrFormat(
        "cannot resolve host '%s': cannot start a thread: %s", where.host, error.what())));
  }
}

std::optional<NameLookup::Addresses> NameLookup::WaitFor(std::chrono::milliseconds timeout) {
  std::unique_lock lock(state_->mutex);
  state_->found.wait_for(lock, timeout, [this] { return state_->addresses.has_value(); });
  return std::exchange(state_->addresses, std::nullopt);  // the thread shares nothing of it
}

}  // namespace headway::internal
