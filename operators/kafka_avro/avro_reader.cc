#include "operators/kafka_avro/avro_reader.h"

#include <bit>
#include <limits>

#include "check.h"

namespace headway::internal {
namespace {

// A number of the type U, little endian.
template <class U>
U LittleEndian(std::string_view bytes) {
  U value = 0;
  for (size_t i = 0; i < sizeof(U); ++i) {
    value |= static_cast<U>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  }
  return value;
}

}  // namespace

bool AvroReader::ReadInt(int64_t& value) {
  if (!ReadLong(value)) return false;
  if (value >= std::numeric_limits<int32_t>::min() &&
      value <= std::numeric_limits<int32_t>::max()) {
    return true;
  }
  return Malformed("an int has more than 32 bits");
}

bool AvroReader::ReadBoolean(bool& value) {
  if (at_ == end_) return Malformed("the message ends before a boolean");
  const char byte = *at_++;
  value = byte == 1;
  return byte == 0 || byte == 1 || Malformed("a boolean is neither 0 nor 1");
}

bool AvroReader::ReadFloat(float& value) {
  std::string_view bytes;
  if (!ReadFixed(sizeof(value), bytes)) return false;
  value = std::bit_cast<float>(LittleEndian<uint32_t>(bytes));
  return true;
}

bool AvroReader::ReadDouble(double& value) {
  std::string_view bytes;
  if (!ReadFixed(sizeof(value), bytes)) return false;
  value = std::bit_cast<double>(LittleEndian<uint64_t>(bytes));
  return true;
}

bool AvroReader::ReadBytes(std::string_view& value) {
  int64_t size = 0;
  if (!ReadLong(size)) return false;
  if (size < 0) return Malformed(absl::StrCat("a length is negative: ", size));
  return ReadFixed(static_cast<size_t>(size), value);
}

bool AvroReader::ReadFixed(size_t size, std::string_view& value) {
  if (size > left()) {
    return Malformed(
        absl::StrCat("a value of ", size, " bytes, but the message has only ", left(), " more"));
  }
  value = std::string_view(at_, size);
  at_ += size;
  return true;
}

bool AvroReader::ReadIndex(size_t count, size_t& index) {
  int64_t wide = 0;
  if (!ReadInt(wide)) return false;
  if (wide < 0 || static_cast<size_t>(wide) >= count) {
    return Malformed(absl::StrCat("the index ", wide, " of a union or an enum of ", count));
  }
  index = static_cast<size_t>(wide);
  return true;
}

bool AvroReader::ReadBlock(int64_t& count, const char*& end) {
  if (!ReadLong(count)) return false;
  if (count >= 0) return true;
  if (count == std::numeric_limits<int64_t>::min()) {
    return Malformed("the number of items in a block has more than 63 bits");
  }
  count = -count;
  int64_t size = 0;
  if (!ReadLong(size)) return false;
  if (size < 0 || static_cast<uint64_t>(size) > left()) {
    return Malformed(
        absl::StrCat("a block of ", size, " bytes, but the message has only ", left(), " more"));
  }
  end = at_ + size;
  return true;
}

bool AvroReader::Skip(const AvroNode& node, int depth) {
  if (depth > kMaxDepth) {
    return Malformed(absl::StrCat("values are nested deeper than ", kMaxDepth));
  }
  int64_t number = 0;
  bool boolean = false;
  size_t index = 0;
  std::string_view bytes;
  switch (node.type) {
    case AvroType::kNull:
      return true;
    case AvroType::kBoolean:
      return ReadBoolean(boolean);
    case AvroType::kInt:
      return ReadInt(number);
    case AvroType::kLong:
      return ReadLong(number);
    case AvroType::kFloat:
      return ReadFixed(sizeof(float), bytes);
    case AvroType::kDouble:
      return ReadFixed(sizeof(double), bytes);
    case AvroType::kBytes:
    case AvroType::kString:
      return ReadBytes(bytes);
    case AvroType::kFixed:
      return ReadFixed(node.fixed_size, bytes);
    case AvroType::kEnum:
      return ReadIndex(node.labels.size(), index);
    case AvroType::kArray:
      return ReadItems([&] { return Skip(*node.children[0], depth + 1); });
    case AvroType::kMap:
      return ReadItems([&] { return ReadBytes(bytes) && Skip(*node.children[0], depth + 1); });
    case AvroType::kRecord:
      return SkipRecord(node, depth);
    case AvroType::kUnion:
      return ReadIndex(node.children.size(), index) && Skip(*node.children[index], depth + 1);
  }
  HEADWAY_UNREACHABLE("all types are handled above");
}

bool AvroReader::SkipRecord(const AvroNode& node, int depth) {
  for (size_t i = 0; i < node.children.size(); ++i) {
    const char* const begin = at_;
    if (!Skip(*node.children[i], depth + 1) || !CountEmpty(begin)) return AddField(node.labels[i]);
  }
  return true;
}

}  // namespace headway::internal
