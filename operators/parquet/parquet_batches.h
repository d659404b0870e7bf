#ifndef HEADWAY_OPERATORS_PARQUET_PARQUET_BATCHES_H_
#define HEADWAY_OPERATORS_PARQUET_PARQUET_BATCHES_H_

#include <arrow/record_batch.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/step/source.h"
#include "operators/io/parsed_source.h"
#include "operators/parquet/parquet_reader.h"

namespace headway {

// The rows of Parquet files in batches of columns, as Stream<std::shared_ptr<arrow::RecordBatch>>,
// without a copy for each value. `columns` names the columns that are read, in the order of the
// file; empty: all. Batches have up to 16384 rows of one row group. A batch cannot be sent to
// another process: work on it before the first exchange.
//
// Paths, conditions, partitions and errors are those of ParquetSource; types are not checked, and
// columns of directories `key=value` are not added. A position is a number of rows.
//
// This header includes Arrow's; a program that includes it links Arrow::arrow_shared, which
// headway::parquet brings along.
class ParquetBatches {
 public:
  using Record = std::shared_ptr<arrow::RecordBatch>;

  explicit ParquetBatches(InputPaths paths, std::vector<std::string> columns = {},
                          ParquetOptions options = {})
      : paths_(std::move(paths)), columns_(std::move(columns)), options_(std::move(options)) {}

  class Reader {
   public:
    Reader(internal::ParquetRows rows, int64_t emitted)
        : rows_(std::move(rows)), emitted_(emitted) {}

    absl::StatusOr<SourceState> Poll(SourceOutput<Record>& out) {
      while (out.WantsMore()) {
        const absl::StatusOr<bool> more = rows_.Next();
        if (!more.ok()) return more.status();
        if (!*more) return SourceState::Done();
        emitted_ += rows_.size();
        out.Emit(rows_.batch());
      }
      return SourceState::More();
    }
    std::string Snapshot() const { return std::to_string(emitted_); }

   private:
    internal::ParquetRows rows_;
    int64_t emitted_ = 0;  // rows of the row group
  };

  int max_open_partitions() const { return 1; }
  VanishedPartitions vanished_partitions() const { return options_.vanished; }

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    return reader().RowGroups();
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& row_group,
                                       std::optional<std::string> position) {
    const absl::StatusOr<int64_t> skipped = internal::ParquetPosition(position, row_group);
    if (!skipped.ok()) return skipped.status();
    absl::StatusOr<internal::ParquetRows> rows = reader().Open(row_group, *skipped);
    if (!rows.ok()) return rows.status();
    return Reader(*std::move(rows), *skipped);
  }

 private:
  // Each worker has one, which is made in its copy of the source.
  internal::ParquetReader& reader() {
    if (reader_ == nullptr) {
      reader_ = std::make_shared<internal::ParquetReader>(
          paths_.paths(), internal::ParquetSelection{.names = columns_}, options_.where);
    }
    return *reader_;
  }

  InputPaths paths_;
  std::vector<std::string> columns_;
  ParquetOptions options_;
  std::shared_ptr<internal::ParquetReader> reader_;
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_PARQUET_PARQUET_BATCHES_H_
