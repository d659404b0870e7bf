#ifndef HEADWAY_OPERATORS_IO_LINE_LOCATOR_H_
#define HEADWAY_OPERATORS_IO_LINE_LOCATOR_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "operators/io/input_file.h"

namespace headway::internal {

// Finds the numbers of lines of which the offset is known. A reader that begins in the middle of a
// file does not know them. Line ends are counted from the beginning of the file, and from the last
// answer if the offset is behind it.
class LineLocator {
 public:
  // The number, from 1 on, of the line at `offset` of the file. 0: it is a pipe, or cannot be read.
  int64_t LineAt(const std::string& path, int64_t offset);

 private:
  void Start(const std::string& path);

  std::optional<InputFile> file_;
  int64_t offset_ = 0;
  int64_t line_ = 1;  // at offset_
  std::unique_ptr<char[]> buffer_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_LINE_LOCATOR_H_
