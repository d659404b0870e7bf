#include "comm/local/fabric.h"

#include "check.h"

namespace headway::internal {

Fabric::Fabric(int workers) : Fabric(workers, Options{}) {}

Fabric::Fabric(int workers, Options options) {
  HEADWAY_CHECK(workers >= 1);
  for (int from = 0; from < workers; ++from) {
    workers_.push_back(std::make_unique<WorkerState>(workers - 1, options.progress_frames));
    for (int to = 0; to < workers; ++to) {
      mailboxes_.push_back(from == to ? nullptr
                                      : std::make_unique<Mailbox>(options.mailbox_messages));
    }
  }
}

Fabric::~Fabric() {
  for (const std::unique_ptr<Mailbox>& mailbox : mailboxes_) {
    Message message;
    while (mailbox != nullptr && mailbox->TryReceive(&message)) {
      BlockPool::FreeChain(message.block());
    }
  }
}

void Fabric::Activate(int worker, uint64_t token) {
  activations(worker).Add(token);
  parker(worker).Unpark();
}

void Fabric::WakeAll() {
  for (const std::unique_ptr<WorkerState>& worker : workers_) worker->parker.Unpark();
}

Mailbox& Fabric::mailbox(int from, int to) {
  return *mailboxes_[static_cast<size_t>(from) * workers_.size() + static_cast<size_t>(to)];
}

BroadcastLog::Reader& Fabric::progress_reader(int producer, int consumer) {
  return progress_log(producer).reader(consumer > producer ? consumer - 1 : consumer);
}

}  // namespace headway::internal
