#ifndef HEADWAY_ENGINE_STORE_COLUMN_H_
#define HEADWAY_ENGINE_STORE_COLUMN_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace headway::internal {

// A column of byte strings of a block:
//   one byte, 1: all strings have one size of at most kPlanesMax. Their size, as a length, then the
//     planes: byte 0 of all strings, byte 1 of all strings, .... The bytes of a plane resemble each
//     other, so they compress better.
//   one byte, 0: the sizes of all strings, as lengths, then the strings.
inline constexpr size_t kPlanesMax = 64;

// Encodes a column. Not thread safe.
class ColumnWriter {
 public:
  void Add(std::string_view value);
  // Appends the encoded column to `out`. The writer is empty then, and keeps its memory.
  void Finish(std::string& out);

 private:
  std::string bytes_;
  std::vector<uint32_t> sizes_;
  bool one_size_ = true;
};

// The strings of an encoded column, by position.
class ColumnReader {
 public:
  // Reads a column of `count` strings and removes it from `bytes`, which must outlive the reader.
  // Returns false if it is malformed.
  bool Open(std::string_view* bytes, size_t count);

  // REQUIRES: `number` is less than the count.
  std::string_view at(size_t number) const {
    if (ends_.empty()) return {bytes_ + number * size_, size_};
    const size_t begin = number == 0 ? 0 : ends_[number - 1];
    return {bytes_ + begin, ends_[number] - begin};
  }

 private:
  const char* bytes_ = nullptr;
  size_t size_ = 0;                // of each string, if `ends_` is empty
  std::vector<uint32_t> ends_;     // of the strings
  std::unique_ptr<char[]> owned_;  // the strings that were in planes
};

// Writes `count` strings of `size` bytes as planes, and back.
void ToPlanes(const char* strings, size_t count, size_t size, char* planes);
void FromPlanes(const char* planes, size_t count, size_t size, char* strings);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STORE_COLUMN_H_
