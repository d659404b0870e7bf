#ifndef HEADWAY_OPERATORS_IO_FILE_SHARE_H_
#define HEADWAY_OPERATORS_IO_FILE_SHARE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace headway::internal {

// The size of a file that only its end tells: a pipe, a device, a file of /proc.
inline constexpr int64_t kUnknownFileSize = -1;

// Files are divided into stripes of this many bytes.
inline constexpr int64_t kStripeBytes = int64_t{1} << 20;

// One stripe of a file, or all of it.
struct FileStripe {
  size_t file = 0;  // index
  int64_t begin = 0;
  int64_t end = 0;  // kUnknownFileSize in a file of unknown size
};

// The stripes of a list of files that one worker reads: each goes to the worker that has the fewest
// bytes until then. Workers that have the same sizes agree on the division, in which their shares
// differ by one stripe at most. A stripe has `stripe_bytes`, except for the last of a file.
class FileShare {
 public:
  FileShare(std::vector<int64_t> sizes, int64_t stripe_bytes, int worker_index, int worker_count);

  // The next stripe of this worker, in the order of the files; nullopt after the last.
  std::optional<FileStripe> Next();

 private:
  struct Load {
    int64_t bytes;
    int worker;
    bool operator>(const Load& other) const {
      return bytes != other.bytes ? bytes > other.bytes : worker > other.worker;
    }
  };

  std::vector<int64_t> sizes_;
  int64_t stripe_bytes_;
  int worker_index_;
  std::vector<Load> loads_;  // a min-heap
  size_t file_ = 0;          // of the next stripe of any worker
  int64_t begin_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_FILE_SHARE_H_
