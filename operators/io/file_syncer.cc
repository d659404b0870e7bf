#include "operators/io/file_syncer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace headway::internal {
namespace {

// Returns an error number, or 0.
int SyncFile(const FileDescriptor& file, const std::string& directory) {
  if (fdatasync(file.get()) != 0) return errno;
  if (directory.empty()) return 0;
  const FileDescriptor opened(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return opened.is_open() && fsync(opened.get()) == 0 ? 0 : errno;
}

}  // namespace

FileSyncer::~FileSyncer() {
  {
    std::lock_guard lock(mutex_);
    ends_ = true;
    waiting_.clear();
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<const FileSyncer::Sync> FileSyncer::Start(
    std::shared_ptr<const FileDescriptor> file, std::string directory, ThreadActivator activator) {
  auto sync = std::make_shared<Sync>();
  sync->file_ = std::move(file);
  sync->directory_ = std::move(directory);
  sync->activator_ = std::move(activator);
  {
    std::lock_guard lock(mutex_);
    waiting_.push_back(sync);
    if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  }
  changed_.notify_one();
  return sync;
}

void FileSyncer::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ends_ || !waiting_.empty(); });
    if (ends_) return;
    const std::shared_ptr<Sync> sync = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    sync->error_ = SyncFile(*sync->file_, sync->directory_);
    sync->file_ = nullptr;  // its owner alone decides when the file is closed
    sync->done_.store(true, std::memory_order_release);
    sync->activator_.Activate();
    lock.lock();
  }
}

}  // namespace headway::internal
