#ifndef HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_READER_H_
#define HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "operators/kafka_avro/avro_error.h"
#include "operators/kafka_avro/avro_schema.h"

namespace headway::internal {

// Reads the binary encoding of Avro (https://avro.apache.org/docs/1.11.1/specification/). The bytes
// may be hostile: each length and count is checked before it is used, and work and memory are
// bounded by the number of the bytes. All functions but left and status return false after a
// failure.
class AvroReader {
 public:
  // Values of no bytes in a message, in arrays or skipped records: their number is not bounded by
  // that of the bytes.
  static constexpr int kMaxEmptyValues = 1 << 16;
  // Of values that are skipped: a record may contain itself.
  static constexpr int kMaxDepth = 64;

  explicit AvroReader(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

  bool ReadLong(int64_t& value) {
    uint64_t coded = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) return Malformed("the message ends within a number");
      const auto byte = static_cast<uint8_t>(*at_++);
      if (shift == 63 && byte > 1) break;
      coded |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) {
        value = static_cast<int64_t>(coded >> 1) ^ -static_cast<int64_t>(coded & 1);
        return true;
      }
    }
    return Malformed("a number has more than 64 bits");
  }
  // A number of the type int.
  bool ReadInt(int64_t& value);
  bool ReadBoolean(bool& value);
  bool ReadFloat(float& value);
  bool ReadDouble(double& value);
  // The view is one of the message. A string, or bytes.
  bool ReadBytes(std::string_view& value);
  bool ReadFixed(size_t size, std::string_view& value);
  // The index of a branch or of a symbol, less than `count`.
  bool ReadIndex(size_t count, size_t& index);
  // Calls read_item() for each item of an array or a map. It returns false after a failure.
  template <class F>
  bool ReadItems(F&& read_item);
  bool Skip(const AvroNode& node, int depth = 0);

  // Fails: the message is damaged.
  bool Malformed(std::string reason) {
    return error_.Set(absl::StatusCode::kDataLoss, std::move(reason));
  }
  // Fails: the value does not fit its member.
  bool Unfit(std::string reason) {
    return error_.Set(absl::StatusCode::kInvalidArgument, std::move(reason));
  }
  bool AddField(const std::string& name) { return error_.AddField(name); }

  size_t left() const { return static_cast<size_t>(end_ - at_); }
  // REQUIRES: a failure.
  absl::Status status() const { return error_.ToStatus(); }

 private:
  // Reads the head of a block: the number of its items, and its end, or null.
  bool ReadBlock(int64_t& count, const char*& end);
  // Counts a value if it has no bytes.
  bool CountEmpty(const char* begin) {
    if (at_ != begin || ++empty_values_ <= kMaxEmptyValues) return true;
    return Malformed(absl::StrCat("more than ", kMaxEmptyValues, " values have no bytes"));
  }
  bool SkipRecord(const AvroNode& node, int depth);

  const char* at_;
  const char* const end_;
  int empty_values_ = 0;
  AvroError error_;
};

template <class F>
bool AvroReader::ReadItems(F&& read_item) {
  while (true) {
    int64_t count = 0;
    const char* end = nullptr;
    if (!ReadBlock(count, end)) return false;
    if (count == 0) return true;
    for (; count > 0; --count) {
      const char* const begin = at_;
      if (!read_item() || !CountEmpty(begin)) return false;
    }
    if (end != nullptr && at_ != end) {
      return Malformed("the size of a block is not that of its items");
    }
  }
}

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_READER_H_
