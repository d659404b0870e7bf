#include "operators/parquet/parquet_writer.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/io/file.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <arrow/util/bit_util.h>
#include <fcntl.h>
#include <parquet/arrow/writer.h>
#include <parquet/exception.h>
#include <parquet/properties.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "comm/system/file_descriptor.h"
#include "engine/runtime/status_macros.h"

namespace headway::internal {
namespace {

std::shared_ptr<arrow::DataType> TypeOf(const ParquetField& field);

std::shared_ptr<arrow::Field> FieldOf(const ParquetField& field) {
  return arrow::field(field.name, TypeOf(field), field.is_optional);
}

std::shared_ptr<arrow::DataType> TypeOf(const ParquetField& field) {
  switch (field.kind) {
    case ParquetKind::kBool:
      return arrow::boolean();
    case ParquetKind::kInt8:
      return arrow::int8();
    case ParquetKind::kInt16:
      return arrow::int16();
    case ParquetKind::kInt32:
      return arrow::int32();
    case ParquetKind::kInt64:
      return arrow::int64();
    case ParquetKind::kUInt8:
      return arrow::uint8();
    case ParquetKind::kUInt16:
      return arrow::uint16();
    case ParquetKind::kUInt32:
      return arrow::uint32();
    case ParquetKind::kUInt64:
      return arrow::uint64();
    case ParquetKind::kFloat:
      return arrow::float32();
    case ParquetKind::kDouble:
      return arrow::float64();
    case ParquetKind::kString:
      return arrow::utf8();
    case ParquetKind::kDate:
      return arrow::date32();
    case ParquetKind::kMilliseconds:
      return arrow::timestamp(arrow::TimeUnit::MILLI, "UTC");
    case ParquetKind::kMicroseconds:
      return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    case ParquetKind::kNanoseconds:
      return arrow::timestamp(arrow::TimeUnit::NANO, "UTC");
    case ParquetKind::kList:
      return arrow::list(FieldOf(field.children[0]));
    case ParquetKind::kRecord:
      break;
  }
  arrow::FieldVector fields;
  for (const ParquetField& child : field.children) fields.push_back(FieldOf(child));
  return arrow::struct_(fields);
}

// A bit for each value.
template <class Values>
std::shared_ptr<arrow::Buffer> BitsOf(const Values& values) {
  std::string bits(
      static_cast<size_t>(arrow::bit_util::BytesForBits(static_cast<int64_t>(values.size()))),
      '\0');
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i]) bits[i / 8] = static_cast<char>(bits[i / 8] | (1 << (i % 8)));
  }
  return arrow::Buffer::FromString(std::move(bits));
}

template <class T>
std::shared_ptr<arrow::Buffer> ViewOf(const T* data, size_t count) {
  return std::make_shared<arrow::Buffer>(reinterpret_cast<const uint8_t*>(data),
                                         static_cast<int64_t>(count * sizeof(T)));
}

// Refers to the memory of the buffer. A column without a value has no buffer of its own: its parent
// has only null or empty ones.
std::shared_ptr<arrow::ArrayData> DataOf(const ParquetField& field, const ParquetBuffer& values) {
  std::shared_ptr<arrow::Buffer> validity;
  if (field.is_optional) validity = BitsOf(values.is_valid);
  const auto with = [&](std::vector<std::shared_ptr<arrow::Buffer>> buffers) {
    buffers.insert(buffers.begin(), validity);
    return arrow::ArrayData::Make(TypeOf(field), values.count, std::move(buffers));
  };
  const auto offsets = [&] {
    std::vector<int32_t> begins = {0};
    begins.insert(begins.end(), values.offsets.begin(), values.offsets.end());
    return arrow::Buffer::FromVector(std::move(begins));
  };
  const ParquetBuffer no_values;
  const auto child = [&](size_t i) {
    return DataOf(field.children[i], i < values.children.size() ? values.children[i] : no_values);
  };
  switch (field.kind) {
    case ParquetKind::kBool:
      return with({BitsOf(values.values)});
    case ParquetKind::kString:
      return with({offsets(), ViewOf(values.values.data(), values.values.size())});
    case ParquetKind::kList: {
      auto data = with({offsets()});
      data->child_data.push_back(child(0));
      return data;
    }
    case ParquetKind::kRecord: {
      auto data = with({});
      for (size_t i = 0; i < field.children.size(); ++i) data->child_data.push_back(child(i));
      return data;
    }
    default:
      return with({ViewOf(values.values.data(), values.values.size())});
  }
}

arrow::Compression::type CodecOf(ParquetCompression compression) {
  switch (compression) {
    case ParquetCompression::kNone:
      return arrow::Compression::UNCOMPRESSED;
    case ParquetCompression::kSnappy:
      return arrow::Compression::SNAPPY;
    case ParquetCompression::kZstd:
      break;
  }
  return arrow::Compression::ZSTD;
}

}  // namespace

struct ParquetWriter::Impl {
  std::string path;
  std::vector<ParquetField> fields;
  FileDescriptor descriptor;  // a second one, to make the file durable
  std::shared_ptr<arrow::Schema> schema = nullptr;
  std::shared_ptr<arrow::io::OutputStream> output = nullptr;
  std::unique_ptr<parquet::arrow::FileWriter> writer = nullptr;

  absl::Status Guarded(absl::FunctionRef<arrow::Status()> call) const {
    std::string message;
    errno = 0;
    try {
      const arrow::Status status = call();
      if (status.ok()) return absl::OkStatus();
      message = status.message();
    } catch (const std::exception& error) {
      message = error.what();
    }
    const int error = errno;
    message.resize(std::min(message.find('\n'), message.size()));
    message = absl::StrCat("cannot write '", path, "': ", message);
    if (error != ENOSPC && error != EDQUOT) return absl::DataLossError(message);
    return absl::ResourceExhaustedError(
        absl::StrCat(message, " (make room, and start the run again)"));
  }
};

ParquetWriter::ParquetWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ParquetWriter::~ParquetWriter() = default;
ParquetWriter::ParquetWriter(ParquetWriter&&) noexcept = default;
ParquetWriter& ParquetWriter::operator=(ParquetWriter&&) noexcept = default;

absl::StatusOr<ParquetWriter> ParquetWriter::Create(const std::string& path,
                                                    const std::vector<ParquetField>& fields,
                                                    ParquetCompression compression) {
  FileDescriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  FileDescriptor duplicate(file.is_open() ? fcntl(file.get(), F_DUPFD_CLOEXEC, 0) : -1);
  if (!duplicate.is_open()) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot create '", path, "'"));
  }
  auto impl = std::make_unique<Impl>(Impl{path, fields, std::move(duplicate)});
  HEADWAY_RETURN_IF_ERROR(impl->Guarded([&]() -> arrow::Status {
    arrow::FieldVector columns;
    for (const ParquetField& field : fields) columns.push_back(FieldOf(field));
    impl->schema = arrow::schema(columns);
    ARROW_ASSIGN_OR_RAISE(impl->output, arrow::io::FileOutputStream::Open(file.Release()));
    parquet::WriterProperties::Builder properties;
    properties.compression(CodecOf(compression));
    // Its types of integers and timestamps, which Parquet alone keeps in part.
    parquet::ArrowWriterProperties::Builder types;
    types.store_schema();
    ARROW_ASSIGN_OR_RAISE(impl->writer, parquet::arrow::FileWriter::Open(
                                            *impl->schema, arrow::default_memory_pool(),
                                            impl->output, properties.build(), types.build()));
    return arrow::Status::OK();
  }));
  return ParquetWriter(std::move(impl));
}

absl::Status ParquetWriter::WriteGroup(const std::vector<ParquetBuffer>& columns, int64_t rows) {
  Impl& file = *impl_;
  return file.Guarded([&]() -> arrow::Status {
    arrow::ArrayVector arrays;
    for (size_t i = 0; i < file.fields.size(); ++i) {
      arrays.push_back(arrow::MakeArray(DataOf(file.fields[i], columns[i])));
    }
    return file.writer->WriteTable(*arrow::Table::Make(file.schema, arrays, rows), rows);
  });
}

absl::Status ParquetWriter::Close() {
  HEADWAY_RETURN_IF_ERROR(impl_->Guarded([this]() -> arrow::Status {
    ARROW_RETURN_NOT_OK(impl_->writer->Close());
    return impl_->output->Close();
  }));
  if (fsync(impl_->descriptor.get()) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot make '", impl_->path, "' durable"));
}

}  // namespace headway::internal
