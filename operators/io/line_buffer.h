#ifndef HEADWAY_OPERATORS_IO_LINE_BUFFER_H_
#define HEADWAY_OPERATORS_IO_LINE_BUFFER_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace headway::internal {

// The longest line of text files.
inline constexpr size_t kMaxLineBytes = size_t{1} << 30;

// Bytes that were read from a file or a pipe, and not yet taken as lines. The owner limits lines.
class LineBuffer {
 public:
  // Room for more bytes, at the end of those that wait.
  std::span<char> Room() {
    if (begin_ > 0) {
      std::memmove(bytes_.get(), bytes_.get() + begin_, end_ - begin_);
      end_ -= std::exchange(begin_, 0);
    }
    if (end_ == capacity_) {
      const size_t capacity = std::max(kFirstBytes, 2 * capacity_);
      auto larger = std::make_unique_for_overwrite<char[]>(capacity);
      if (end_ > 0) std::memcpy(larger.get(), bytes_.get(), end_);
      bytes_ = std::move(larger);
      capacity_ = capacity;
    }
    return {bytes_.get() + end_, capacity_ - end_};
  }
  // The first bytes of the room were filled.
  void Add(size_t bytes) { end_ += bytes; }

  // Takes the next line that has an end, without that ("\n" or "\r\n"). It is valid until Room.
  // Returns false if the buffer has no whole line.
  bool Next(std::string_view* line) {
    const std::string_view rest = Rest();
    const size_t end = rest.find('\n', searched_);
    searched_ = end == std::string_view::npos ? rest.size() : 0;
    if (end == std::string_view::npos) return false;
    *line = rest.substr(0, end > 0 && rest[end - 1] == '\r' ? end - 1 : end);
    begin_ += end + 1;
    return true;
  }
  // The bytes of the lines that were taken since the last call of Room.
  std::string_view Taken() const { return {bytes_.get(), begin_}; }
  // The bytes that wait.
  std::string_view Rest() const { return {bytes_.get() + begin_, end_ - begin_}; }
  void Clear() { begin_ = end_ = searched_ = 0; }

 private:
  static constexpr size_t kFirstBytes = size_t{64} << 10;

  std::unique_ptr<char[]> bytes_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t searched_ = 0;  // of Rest, without a line end
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_LINE_BUFFER_H_
