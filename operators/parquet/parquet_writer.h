#ifndef HEADWAY_OPERATORS_PARQUET_PARQUET_WRITER_H_
#define HEADWAY_OPERATORS_PARQUET_PARQUET_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "operators/parquet/parquet_buffer.h"
#include "operators/parquet/parquet_type.h"

namespace headway {

enum class ParquetCompression { kNone, kSnappy, kZstd };

namespace internal {

// Writes a file of Parquet. Belongs to one thread. Errors name the file.
class ParquetWriter {
 public:
  // Creates the file, in place of one of that name.
  static absl::StatusOr<ParquetWriter> Create(const std::string& path,
                                              const std::vector<ParquetField>& fields,
                                              ParquetCompression compression);
  ~ParquetWriter();
  ParquetWriter(ParquetWriter&&) noexcept;
  ParquetWriter& operator=(ParquetWriter&&) noexcept;

  // Writes a row group of `rows` rows; `columns` are in the order of the fields.
  absl::Status WriteGroup(const std::vector<ParquetBuffer>& columns, int64_t rows);
  // Writes the footer, and makes the content durable.
  absl::Status Close();

 private:
  struct Impl;
  explicit ParquetWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_OPERATORS_PARQUET_PARQUET_WRITER_H_
