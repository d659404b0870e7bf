#ifndef HEADWAY_OPERATORS_PARQUET_PARQUET_PARTITIONS_H_
#define HEADWAY_OPERATORS_PARQUET_PARQUET_PARTITIONS_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/step/source.h"
#include "operators/io/parsed_source.h"
#include "operators/parquet/parquet_reader.h"

namespace headway::internal {

// A source whose partitions are the row groups of files, without the type of its records. The
// position in a row group is a number of rows, with a fingerprint of the row group.
// `Reader(ParquetRows)` is the source's reader.
template <class Reader>
class ParquetPartitions {
 public:
  // The next row group is most often one of the same file.
  int max_open_partitions() const { return 1; }
  VanishedPartitions vanished_partitions() const { return options_.vanished; }

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    return reader().RowGroups();
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& row_group,
                                       const std::optional<std::string>& position) {
    absl::StatusOr<ParquetRows> rows = reader().Open(row_group, position);
    if (!rows.ok()) return rows.status();
    return Reader(*std::move(rows));
  }

 protected:
  ParquetPartitions(InputPaths paths, ParquetSelection selection, ParquetOptions options)
      : paths_(std::move(paths)), selection_(std::move(selection)), options_(std::move(options)) {}

 private:
  // Each worker has one, which is made in its copy of the source.
  ParquetReader& reader() {
    if (reader_ == nullptr) {
      reader_ = std::make_shared<ParquetReader>(paths_.paths(), selection_, options_.where);
    }
    return *reader_;
  }

  InputPaths paths_;
  ParquetSelection selection_;
  ParquetOptions options_;
  std::shared_ptr<ParquetReader> reader_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_PARQUET_PARQUET_PARTITIONS_H_
