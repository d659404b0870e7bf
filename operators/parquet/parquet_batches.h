#ifndef HEADWAY_OPERATORS_PARQUET_PARQUET_BATCHES_H_
#define HEADWAY_OPERATORS_PARQUET_PARQUET_BATCHES_H_

#include <arrow/record_batch.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/step/source.h"
#include "operators/io/parsed_source.h"
#include "operators/parquet/parquet_partitions.h"
#include "operators/parquet/parquet_reader.h"

namespace headway {

namespace internal {

class ParquetBatchReader {
 public:
  explicit ParquetBatchReader(ParquetRows rows) : rows_(std::move(rows)), emitted_(rows_.begin()) {}

  absl::StatusOr<SourceState> Poll(SourceOutput<std::shared_ptr<arrow::RecordBatch>>& out) {
    while (out.WantsMore()) {
      const absl::StatusOr<bool> more = rows_.Next();
      if (!more.ok()) return more.status();
      if (!*more) return SourceState::Done();
      emitted_ += rows_.size();
      out.Emit(rows_.batch());
    }
    return SourceState::More();
  }
  std::string Snapshot() const { return rows_.PositionAt(emitted_); }

 private:
  ParquetRows rows_;
  int64_t emitted_;  // rows of the row group
};

}  // namespace internal

// The rows of Parquet files in batches of columns, as Stream<std::shared_ptr<arrow::RecordBatch>>,
// without a copy for each value. `columns` names the columns that are read, in the order of the
// file; empty: all. Batches have up to 16384 rows of one row group. A batch cannot be sent to
// another process: work on it before the first exchange.
//
// Paths, conditions, partitions and errors are those of ParquetSource; types are not checked, and
// columns of directories `key=value` are not added.
//
// This header includes Arrow's; a program that includes it links Arrow::arrow_shared, which
// headway::parquet brings along.
class ParquetBatches : public internal::ParquetPartitions<internal::ParquetBatchReader> {
 public:
  using Record = std::shared_ptr<arrow::RecordBatch>;

  explicit ParquetBatches(InputPaths paths, std::vector<std::string> columns = {},
                          ParquetOptions options = {})
      : ParquetPartitions(std::move(paths), {.fields = {}, .names = std::move(columns)},
                          std::move(options)) {}
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_PARQUET_PARQUET_BATCHES_H_
