#ifndef HEADWAY_OPERATORS_PARQUET_PARQUET_READER_H_
#define HEADWAY_OPERATORS_PARQUET_PARQUET_READER_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/step/source.h"
#include "operators/parquet/parquet_column.h"
#include "operators/parquet/parquet_type.h"

namespace arrow {
class RecordBatch;
}  // namespace arrow

namespace headway {

enum class ParquetComparison { kEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual };

using ParquetConditionTime = std::chrono::sys_time<std::chrono::microseconds>;

// A condition on a column, such as {"price", ParquetComparison::kGreater, 10.0}. The value is an
// integer for integers, an integer or a double for floating point, and a string for strings. For
// timestamps and dates it is a time, whatever the units of the files are; an integer is a number in
// the unit of each file, or of days since 1970. A column in a struct is "struct.column".
struct ParquetCondition {
  std::string column;
  ParquetComparison comparison = ParquetComparison::kEqual;
  std::variant<int64_t, double, std::string, ParquetConditionTime> value = {};
};

struct ParquetOptions {
  // Row groups are not read if their statistics, or the key=value of their path, show that no row
  // meets all conditions. The other row groups are read as a whole: filter their rows.
  std::vector<ParquetCondition> where = {};
  // Of a row group that the last run read, and that is gone, or excluded, when a run resumes.
  VanishedPartitions vanished = VanishedPartitions::kFail;
};

namespace internal {

// The rows of a row group, in batches. Belongs to one thread.
class ParquetRows {
 public:
  struct Impl;

  explicit ParquetRows(std::unique_ptr<Impl> impl);
  ~ParquetRows();
  ParquetRows(ParquetRows&&) noexcept;
  ParquetRows& operator=(ParquetRows&&) noexcept;

  // Reads the next batch, which is not empty. Returns false at the end.
  absl::StatusOr<bool> Next();
  // The rows of the row group before the first batch.
  int64_t begin() const;
  // The position behind this many rows of the row group. It has a fingerprint of the row group, so
  // that no run resumes in another one.
  std::string PositionAt(int64_t rows) const;
  // The number of rows of the batch; 0 before the first.
  int64_t size() const;
  // The columns of the batch, in the order of the fields. Valid until Next is called.
  const std::vector<ParquetColumn>& columns() const;
  // The batch itself, with the columns that were asked for. REQUIRES: Next returned true.
  const std::shared_ptr<arrow::RecordBatch>& batch() const;
  // The error of a column that ReadParquetRows returned.
  absl::Status ErrorOf(const ParquetColumn& column) const;

 private:
  std::unique_ptr<Impl> impl_;
};

// The columns that a reader reads: those of a row's fields, or those with the names, or all if both
// are empty.
struct ParquetSelection {
  std::vector<ParquetField> fields = {};
  std::vector<std::string> names = {};
};

// The row groups of files, which are the partitions of a source: each is named by its file and its
// number. A worker has one, and keeps the file of the last row group open. Errors name the file.
class ParquetReader {
 public:
  ParquetReader(std::vector<std::string> paths, ParquetSelection selection,
                std::vector<ParquetCondition> where);
  ~ParquetReader();
  ParquetReader(const ParquetReader&) = delete;
  ParquetReader& operator=(const ParquetReader&) = delete;

  // Reads the footers of all files, and checks that they have the columns.
  absl::StatusOr<std::vector<std::string>> RowGroups();
  // Opens a row group at its beginning, or at a position. DataLoss: that is one of another row
  // group, whose file was replaced since.
  absl::StatusOr<ParquetRows> Open(const std::string& row_group,
                                   const std::optional<std::string>& position);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_OPERATORS_PARQUET_PARQUET_READER_H_
