#include "engine/store/column.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "engine/store/length.h"

namespace headway::internal {
namespace {

constexpr char kSizes = 0;
constexpr char kPlanes = 1;

// Transposes 8 x 8 bytes: three rounds exchange squares of 1, 2 and 4 bytes across the diagonal.
void Transpose(std::array<uint64_t, 8>& rows) {
  const auto exchange = [&rows](size_t distance, int shift, uint64_t mask) {
    for (size_t i = 0; i < 8; ++i) {
      if ((i & distance) != 0) continue;
      const uint64_t difference = ((rows[i] >> shift) ^ rows[i + distance]) & mask;
      rows[i] ^= difference << shift;
      rows[i + distance] ^= difference;
    }
  };
  exchange(1, 8, 0x00ff00ff00ff00ff);
  exchange(2, 16, 0x0000ffff0000ffff);
  exchange(4, 32, 0x00000000ffffffff);
}

// Copies a matrix of bytes to its transpose: out[c * rows + r] = in[r * columns + c].
void TransposeBytes(const char* in, size_t rows, size_t columns, char* out) {
  const size_t square_rows = rows / 8 * 8;
  const size_t square_columns = columns / 8 * 8;
  for (size_t row = 0; row < square_rows; row += 8) {
    for (size_t column = 0; column < square_columns; column += 8) {
      std::array<uint64_t, 8> square;
      for (size_t i = 0; i < 8; ++i) {
        std::memcpy(&square[i], in + (row + i) * columns + column, 8);
      }
      Transpose(square);
      for (size_t i = 0; i < 8; ++i) std::memcpy(out + (column + i) * rows + row, &square[i], 8);
    }
    for (size_t column = square_columns; column < columns; ++column) {
      for (size_t i = 0; i < 8; ++i) {
        out[column * rows + row + i] = in[(row + i) * columns + column];
      }
    }
  }
  for (size_t row = square_rows; row < rows; ++row) {
    for (size_t column = 0; column < columns; ++column) {
      out[column * rows + row] = in[row * columns + column];
    }
  }
}

}  // namespace

void ToPlanes(const char* strings, size_t count, size_t size, char* planes) {
  TransposeBytes(strings, count, size, planes);
}

void FromPlanes(const char* planes, size_t count, size_t size, char* strings) {
  TransposeBytes(planes, size, count, strings);
}

void ColumnWriter::Add(std::string_view value) {
  const auto size = static_cast<uint32_t>(value.size());
  if (!sizes_.empty() && size != sizes_.front()) one_size_ = false;
  sizes_.push_back(size);
  bytes_.append(value);
}

void ColumnWriter::Finish(std::string& out) {
  const size_t size = sizes_.empty() ? 0 : sizes_.front();
  std::array<char, kLengthBytesMax> length;
  const auto append_length = [&](size_t value) {
    out.append(length.data(),
               static_cast<size_t>(WriteLength(value, length.data()) - length.data()));
  };
  if (one_size_ && size <= kPlanesMax) {
    out.push_back(kPlanes);
    append_length(size);
    const size_t begin = out.size();
    out.resize(begin + bytes_.size());
    ToPlanes(bytes_.data(), sizes_.size(), size, out.data() + begin);
  } else {
    out.push_back(kSizes);
    for (const uint32_t one : sizes_) append_length(one);
    out.append(bytes_);
  }
  bytes_.clear();
  sizes_.clear();
  one_size_ = true;
}

bool ColumnReader::Open(std::string_view* bytes, size_t count) {
  if (bytes->empty()) return false;
  const char mode = bytes->front();
  bytes->remove_prefix(1);
  uint64_t size = 0;
  uint64_t total = 0;
  if (mode == kPlanes) {
    if (!ReadLength(bytes, &size) || size > kPlanesMax) return false;
    total = size * count;
    if (total > bytes->size()) return false;
    size_ = static_cast<size_t>(size);
    owned_ = std::make_unique_for_overwrite<char[]>(total);
    FromPlanes(bytes->data(), count, size_, owned_.get());
    bytes_ = owned_.get();
  } else if (mode == kSizes) {
    if (count == 0 || count > bytes->size()) return false;
    ends_.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      if (!ReadLength(bytes, &size) || size > std::numeric_limits<uint32_t>::max()) return false;
      total += size;
      if (total > std::numeric_limits<uint32_t>::max()) return false;
      ends_.push_back(static_cast<uint32_t>(total));
    }
    if (total > bytes->size()) return false;
    bytes_ = bytes->data();
  } else {
    return false;
  }
  bytes->remove_prefix(total);
  return true;
}

}  // namespace headway::internal
