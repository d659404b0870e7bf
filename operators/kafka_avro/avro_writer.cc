#include "operators/kafka_avro/avro_writer.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <limits>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace headway::internal {
namespace {

template <class U>
void AppendLittleEndian(std::string& bytes, U value) {
  for (size_t i = 0; i < sizeof(U); ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
}

}  // namespace

void AvroWriter::WriteLong(int64_t value) {
  auto coded = (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
  while (coded >= 0x80) {
    bytes_.push_back(static_cast<char>(coded | 0x80));
    coded >>= 7;
  }
  bytes_.push_back(static_cast<char>(coded));
}

void AvroWriter::WriteFloat(float value) {
  AppendLittleEndian(bytes_, std::bit_cast<uint32_t>(value));
}

void AvroWriter::WriteDouble(double value) {
  AppendLittleEndian(bytes_, std::bit_cast<uint64_t>(value));
}

void AvroWriter::WriteBytes(std::string_view value) {
  WriteLong(static_cast<int64_t>(value.size()));
  bytes_.append(value);
}

bool AvroWriter::WriteText(const AvroPlan& plan, std::string_view value) {
  if (plan.type == AvroType::kEnum) {
    const auto found = std::ranges::find(plan.node->labels, value);
    if (found == plan.node->labels.end()) {
      return Unfit(absl::StrCat("'", absl::CHexEscape(std::string(value)),
                                "' is no symbol of the enum '", plan.node->name, "'"));
    }
    WriteLong(found - plan.node->labels.begin());
    return true;
  }
  if (plan.type == AvroType::kFixed) {
    if (value.size() != plan.node->fixed_size) {
      return Unfit(absl::StrCat(value.size(), " bytes do not fit in the fixed '", plan.node->name,
                                "' of ", plan.node->fixed_size));
    }
    bytes_.append(value);
    return true;
  }
  WriteBytes(value);
  return true;
}

bool AvroWriter::WriteTime(const AvroPlan& plan, int64_t count) {
  int64_t units = 0;
  if (__builtin_mul_overflow(count, plan.factor, &units) ||
      (plan.type == AvroType::kInt && (units < std::numeric_limits<int32_t>::min() ||
                                       units > std::numeric_limits<int32_t>::max()))) {
    return Unfit(absl::StrCat("the time ", count, " does not fit in ", DescribeAvro(*plan.node)));
  }
  WriteLong(units);
  return true;
}

}  // namespace headway::internal
