#ifndef HEADWAY_OPERATORS_PARQUET_PARQUET_SOURCE_H_
#define HEADWAY_OPERATORS_PARQUET_PARQUET_SOURCE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/runtime/status_macros.h"
#include "engine/step/source.h"
#include "operators/io/columns.h"
#include "operators/io/parsed_source.h"
#include "operators/parquet/parquet_column.h"
#include "operators/parquet/parquet_partitions.h"
#include "operators/parquet/parquet_reader.h"
#include "operators/parquet/parquet_type.h"

namespace headway {

namespace internal {

// Assembles the rows of a row group.
template <class Row>
class ParquetRowReader {
 public:
  explicit ParquetRowReader(ParquetRows rows) : rows_(std::move(rows)), emitted_(rows_.begin()) {}

  absl::StatusOr<SourceState> Poll(SourceOutput<Row>& out) {
    for (;;) {
      if (next_ == std::ssize(block_)) {
        if (!out.WantsMore()) return SourceState::More();
        const absl::StatusOr<bool> more = ReadBlock();
        if (!more.ok()) return more.status();
        if (!*more) return SourceState::Done();
      }
      const int64_t count =
          out.WantsUpTo(std::min<int64_t>(kRowsAtOnce, std::ssize(block_) - next_));
      if (count == 0) return SourceState::More();
      for (const int64_t end = next_ + count; next_ < end; ++next_) {
        out.Emit(std::move(block_[static_cast<size_t>(next_)]));
      }
      emitted_ += count;
    }
  }
  std::string Snapshot() const { return rows_.PositionAt(emitted_); }

 private:
  // Rows that are assembled at a time, one column after the other.
  static constexpr int64_t kBlockRows = 256;
  static constexpr int64_t kRowsAtOnce = 64;  // that are emitted between two questions

  // Returns false at the end.
  absl::StatusOr<bool> ReadBlock() {
    if (read_ == rows_.size()) {
      absl::StatusOr<bool> more = rows_.Next();
      if (!more.ok() || !*more) return more;
      read_ = 0;
    }
    const int64_t count = std::min(kBlockRows, rows_.size() - read_);
    // Rows that were moved from may have any members.
    if constexpr (!std::is_trivially_copyable_v<Row>) block_.clear();
    block_.resize(static_cast<size_t>(count));
    const ParquetColumn* const bad =
        ReadParquetRows(ColumnsOf<Row>(), rows_.columns(), read_, std::span<Row>(block_));
    if (bad != nullptr) return rows_.ErrorOf(*bad);
    read_ += count;
    next_ = 0;
    return true;
  }

  ParquetRows rows_;
  int64_t read_ = 0;  // rows of the batch that were assembled
  std::vector<Row> block_;
  int64_t next_ = 0;  // of the block
  int64_t emitted_;   // rows of the row group
};

}  // namespace internal

// The rows of Parquet files, as Stream<Row>. HEADWAY_COLUMNS(Row, ...) (operators/io/columns.h)
// names the members that are columns; parquet_type.h lists their types. Other columns are not read.
//
//   scope.Input("trades", ParquetSource<Trade>("trades/*.parquet"))
//
// A path is a file, a pattern of MatchingFiles, or a directory, whose files *.parquet are read, at
// any depth; names that begin with '.' or '_' are ignored, and links are followed. A file is read
// once, with the first of its names, if several paths or links name it. A column that a file does
// not have is taken from the directories `column=value` of its path; else it is an error that names
// file and column, or no value if the member is a std::optional.
//
// The row groups of all files are divided among the workers in turn, and are the partitions of
// source.h. A run that resumes continues in the middle of row groups, with any number of workers.
// Rows of a row group keep their order. Files must not change; new files may be there when a run
// resumes. All processes must see the same files. At the end of the input nothing else is emitted.
//
// Worker 0 reads the footers of all files before the run begins. Each worker decodes its row groups
// itself, without threads of Arrow, and holds the compressed columns of one row group and a batch
// of decoded rows.
//
// Errors, as statuses that end the run: NotFound: no file. InvalidArgument: a file has no column of
// that name or another type, a null in a member that is not optional, a malformed condition.
// OutOfRange: a timestamp that the unit of its member cannot have. DataLoss: a file is corrupt, or
// another one has taken the place of a file that the last run read.
template <class Row>
class ParquetSource : public internal::ParquetPartitions<internal::ParquetRowReader<Row>> {
  static_assert(internal::IsColumnRecord<internal::ParquetTypes, Row>(),
                "ParquetSource: the row must be a struct with HEADWAY_COLUMNS(Type, members...) "
                "behind it, whose members have types of parquet_type.h");

 public:
  using Record = Row;

  explicit ParquetSource(InputPaths paths, ParquetOptions options = {})
      : internal::ParquetPartitions<internal::ParquetRowReader<Row>>(
            std::move(paths),
            {.fields = internal::ColumnFieldsOf<internal::ParquetTypes, Row>(), .names = {}},
            std::move(options)) {}
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_PARQUET_PARQUET_SOURCE_H_
