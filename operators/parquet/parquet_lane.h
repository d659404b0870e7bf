#ifndef HEADWAY_OPERATORS_PARQUET_PARQUET_LANE_H_
#define HEADWAY_OPERATORS_PARQUET_PARQUET_LANE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "comm/system/clock.h"
#include "engine/step/activator.h"
#include "engine/step/step_context.h"
#include "engine/step/transactional_sink.h"
#include "operators/parquet/parquet_buffer.h"
#include "operators/parquet/parquet_folder.h"
#include "operators/parquet/parquet_thread.h"
#include "operators/parquet/parquet_type.h"
#include "operators/parquet/parquet_writer.h"

namespace headway {

struct ParquetSinkOptions {
  // A row group is written when it has as many rows, or 128 MiB.
  int64_t rows_per_group = 128 * 1024;
  ParquetCompression compression = ParquetCompression::kZstd;
  // In a run with recovery: commits share a file for this time, or until its rows have 16 MiB. A
  // run that resumes, or restarts, begins the time anew. Zero: each commit makes a file.
  absl::Duration file_interval = absl::ZeroDuration();
};

namespace internal {

// Publishes the transactions of one lane of a sink, whose items are encoded rows: each as a file of
// a folder.
class ParquetLane {
 public:
  // Appends the row of an item to its columns. Returns false if the item is not one of
  // this sink.
  using AppendRow = absl::AnyInvocable<bool(std::string_view item, std::vector<ParquetBuffer>&)>;

  ParquetLane(ParquetFolder folder, std::vector<ParquetField> fields, ParquetSinkOptions options,
              AppendRow append_row, std::shared_ptr<ParquetThread> thread,
              const StepContext& context)
      : folder_(std::move(folder)),
        fields_(std::move(fields)),
        options_(options),
        append_row_(std::move(append_row)),
        thread_(std::move(thread)),
        clock_(context.clock),
        activator_(context.activator) {}
  ~ParquetLane();
  ParquetLane(const ParquetLane&) = delete;
  ParquetLane& operator=(const ParquetLane&) = delete;

  std::optional<uint64_t> last_mark() const { return folder_.last_mark(); }
  // The time until the next file is written.
  absl::Duration WaitForMore();
  absl::StatusOr<FlushState> Publish(const Transaction& transaction);

 private:
  // On the thread.
  absl::Status WriteFile(const std::string& path, const Transaction& transaction);

  ParquetFolder folder_;  // the thread's, while a job is under way
  const std::vector<ParquetField> fields_;
  const ParquetSinkOptions options_;
  AppendRow append_row_;
  const std::shared_ptr<ParquetThread> thread_;
  Clock* const clock_;
  const ThreadActivator activator_;
  std::optional<int64_t> waits_since_nanos_;
  std::shared_ptr<const ParquetThread::Job> job_;  // that publishes, or null
};

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_OPERATORS_PARQUET_PARQUET_LANE_H_
