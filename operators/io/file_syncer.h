#ifndef HEADWAY_OPERATORS_IO_FILE_SYNCER_H_
#define HEADWAY_OPERATORS_IO_FILE_SYNCER_H_

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "comm/system/file_descriptor.h"
#include "engine/step/activator.h"

namespace headway::internal {

// Makes the content of files durable on a thread of its own, because that may take long. The
// thread starts with the first request; the destructor waits for the request that is under way.
// Thread safe.
class FileSyncer {
 public:
  // A request to make a file durable.
  class Sync {
   public:
    // True once the request is fulfilled or has failed.
    bool done() const { return done_.load(std::memory_order_acquire); }
    // The error number, or 0. REQUIRES: done.
    int error() const { return error_; }

   private:
    friend class FileSyncer;

    std::shared_ptr<const FileDescriptor> file_;
    std::string directory_;
    ThreadActivator activator_;
    int error_ = 0;
    std::atomic<bool> done_{false};
  };

  FileSyncer() = default;
  FileSyncer(const FileSyncer&) = delete;
  FileSyncer& operator=(const FileSyncer&) = delete;
  ~FileSyncer();

  // Makes the file durable, and its entry in `directory` unless that is empty. Activates the
  // operator then.
  std::shared_ptr<const Sync> Start(std::shared_ptr<const FileDescriptor> file,
                                    std::string directory, ThreadActivator activator);

 private:
  void Run();

  std::mutex mutex_;  // guards the two members below
  std::deque<std::shared_ptr<Sync>> waiting_;
  bool ends_ = false;
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_FILE_SYNCER_H_
