#ifndef HEADWAY_OPERATORS_IO_DECOMPRESSOR_H_
#define HEADWAY_OPERATORS_IO_DECOMPRESSOR_H_

#include <cstddef>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"

namespace headway::internal {

// A format of compressed text, by its name and the first bytes of its files.
struct CompressedFormat {
  std::string_view name;
  std::string_view first_bytes;
  bool is_read;  // MakeDecompressor knows it
};

// Returns the format of a file that begins with `bytes`, or null: it is not compressed.
const CompressedFormat* FindCompressedFormat(std::string_view bytes);

// Decompresses the bytes of a file, piece by piece. A file may have several compressed streams one
// after the other, as `cat a.gz b.gz` makes it.
class Decompressor {
 public:
  struct Progress {
    size_t consumed = 0;  // of the input
    size_t produced = 0;  // in the output
  };

  virtual ~Decompressor() = default;

  // Decompresses from `input` into `output`, until one of them is used up. Returns DataLoss with
  // the reason if the bytes are malformed.
  virtual absl::StatusOr<Progress> Decompress(std::string_view input, char* output,
                                              size_t capacity) = 0;
  // Returns true if the file may end here.
  virtual bool IsBetweenStreams() const = 0;
};

// REQUIRES: format.is_read.
std::unique_ptr<Decompressor> MakeDecompressor(const CompressedFormat& format);

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_DECOMPRESSOR_H_
