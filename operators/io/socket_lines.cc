#include "operators/io/socket_lines.h"

namespace headway {

SocketLines SocketLines::ListenAt(std::string address, SocketListenOptions options) {
  return SocketLines({.address = std::move(address),
                      .max_line_bytes = options.max_line_bytes,
                      .max_clients = options.max_clients,
                      .on_listening = std::move(options.on_listening),
                      .on_problem = std::move(options.on_problem)});
}

SocketLines SocketLines::ConnectTo(std::string address, SocketConnectOptions options) {
  return SocketLines({.address = std::move(address),
                      .listens = false,
                      .max_line_bytes = options.max_line_bytes,
                      .retry_interval = options.retry_interval,
                      .on_problem = std::move(options.on_problem)});
}

absl::StatusOr<SocketLines::Reader> SocketLines::Open(const SourceContext& context,
                                                      const std::optional<std::string>&) {
  if (context.worker_index != 0) return Reader(nullptr);
  auto receiver = internal::SocketReceiver::Start(options_, context.activator);
  if (!receiver.ok()) return receiver.status();
  return Reader(*std::move(receiver));
}

absl::StatusOr<SourceState> SocketLines::Reader::Poll(SourceOutput<std::string>& out) {
  if (receiver_ == nullptr) return SourceState::Done();
  while (true) {
    for (; next_ < lines_.size(); ++next_) {
      if (!out.WantsMore()) return SourceState::More();
      out.Emit(lines_[next_]);
    }
    next_ = 0;
    const absl::StatusOr<bool> continues = receiver_->Take(lines_);
    if (!continues.ok()) return continues.status();
    if (!*continues) return SourceState::Done();
    if (lines_.size() == 0) return SourceState::Idle(absl::InfiniteDuration());
  }
}

}  // namespace headway
