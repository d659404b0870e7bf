#include "operators/parquet/parquet_thread.h"

#include <exception>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"

namespace headway::internal {
namespace {

// A job calls the codec of the user's rows, so any exception may come.
absl::Status Guarded(absl::AnyInvocable<absl::Status()>& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("not enough memory to write a file of Parquet");
  } catch (const std::exception& error) {
    return absl::AbortedError(absl::StrCat("a row that is written threw: ", error.what()));
  } catch (...) {
    return absl::AbortedError("a row that is written threw an exception that is no std::exception");
  }
}

}  // namespace

ParquetThread::~ParquetThread() {
  {
    std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<const ParquetThread::Job> ParquetThread::Start(
    absl::AnyInvocable<absl::Status()> work, ThreadActivator activator) {
  auto job = std::make_shared<Job>();
  job->work_ = std::move(work);
  job->activator_ = std::move(activator);
  {
    std::lock_guard lock(mutex_);
    waiting_.push_back(job);
    if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  }
  changed_.notify_all();
  return job;
}

void ParquetThread::Drop(const std::shared_ptr<const Job>& job) {
  std::unique_lock lock(mutex_);
  std::erase(waiting_, job);
  changed_.wait(lock, [&] { return under_way_ != job; });
}

void ParquetThread::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ends_ || !waiting_.empty(); });
    if (ends_) return;
    under_way_ = std::move(waiting_.front());
    waiting_.pop_front();
    Job& job = *under_way_;
    lock.unlock();
    job.status_ = Guarded(job.work_);
    job.done_.store(true, std::memory_order_release);
    job.activator_.Activate();
    lock.lock();
    under_way_ = nullptr;
    changed_.notify_all();
  }
}

}  // namespace headway::internal
