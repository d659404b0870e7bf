#include "comm/mesh/listener.h"

#include <utility>

#include "comm/system/socket.h"

namespace headway::internal {

Listener::Place::Place(EventLoop& loop, FileDescriptor listening)
    : socket(std::move(listening)), watcher(loop, socket.get()) {
  watcher.Watch(true, false);
}

absl::StatusOr<std::unique_ptr<Listener>> Listener::Create(
    EventLoop& loop, std::span<const SocketAddress> addresses) {
  auto listener = std::make_unique<Listener>();
  absl::Status failure = absl::NotFoundError("its host has no address");
  for (const SocketAddress& address : addresses) {
    absl::StatusOr<FileDescriptor> socket = Listen(address);
    if (socket.ok()) {
      listener->places_.push_back(std::make_unique<Place>(loop, *std::move(socket)));
    } else if (socket.status().code() != absl::StatusCode::kNotFound) {
      return socket.status();
    } else {
      failure = socket.status();
    }
  }
  if (listener->places_.empty()) return failure;
  return listener;
}

absl::StatusOr<std::vector<Listener::Accepted>> Listener::Accept() {
  std::vector<Accepted> accepted;
  for (const auto& place : places_) {
    if (!place->watcher.readable()) continue;
    for (int i = 0; i < kAcceptedTogether; ++i) {
      SocketAddress peer;
      absl::StatusOr<FileDescriptor> socket = internal::Accept(place->socket, &peer);
      if (!socket.ok()) return socket.status();
      if (!socket->is_open()) {
        place->watcher.Clear();
        break;
      }
      accepted.push_back({*std::move(socket), peer});
    }
  }
  return accepted;
}

}  // namespace headway::internal
