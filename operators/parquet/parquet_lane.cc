#include "operators/parquet/parquet_lane.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "engine/runtime/status_macros.h"

namespace headway::internal {
namespace {

// Offsets of strings have 31 bits.
constexpr size_t kGroupBytes = size_t{128} << 20;

}  // namespace

ParquetLane::~ParquetLane() {
  if (job_ != nullptr) thread_->Drop(job_);
}

absl::Duration ParquetLane::WaitForMore() {
  if (options_.file_interval == absl::ZeroDuration()) return absl::ZeroDuration();
  const int64_t now = clock_->NowNanos();
  if (!waits_since_nanos_.has_value()) waits_since_nanos_ = now;
  return options_.file_interval - absl::Nanoseconds(now - *waits_since_nanos_);
}

absl::StatusOr<FlushState> ParquetLane::Publish(const Transaction& transaction) {
  if (job_ == nullptr) {
    waits_since_nanos_.reset();
    job_ = thread_->Start(
        [this, transaction] {
          return folder_.Publish(transaction.mark, [&](const std::string& path) {
            return WriteFile(path, transaction);
          });
        },
        activator_);
  }
  if (!job_->done()) return FlushState::Pending(absl::InfiniteDuration());  // it wakes the step
  absl::Status status = job_->status();
  job_ = nullptr;
  if (!status.ok()) return status;
  return FlushState::Done();
}

absl::Status ParquetLane::WriteFile(const std::string& path, const Transaction& transaction) {
  absl::StatusOr<ParquetWriter> file = ParquetWriter::Create(path, fields_, options_.compression);
  if (!file.ok()) return file.status();
  std::vector<ParquetBuffer> columns(fields_.size());
  int64_t rows = 0;
  size_t bytes = 0;
  for (const std::string_view item : transaction.items) {
    if (!append_row_(item, columns)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the recovery store has rows for '", path,
          "' with other columns or directories; publish them with the program that wrote them"));
    }
    bytes += item.size();
    if (++rows < options_.rows_per_group && bytes < kGroupBytes) continue;
    HEADWAY_RETURN_IF_ERROR(file->WriteGroup(columns, rows));
    columns.assign(fields_.size(), {});
    rows = 0;
    bytes = 0;
  }
  if (rows > 0) HEADWAY_RETURN_IF_ERROR(file->WriteGroup(columns, rows));
  return file->Close();
}

}  // namespace headway::internal
