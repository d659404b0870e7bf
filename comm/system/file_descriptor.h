#ifndef HEADWAY_COMM_SYSTEM_FILE_DESCRIPTOR_H_
#define HEADWAY_COMM_SYSTEM_FILE_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace headway::internal {

// Owns a file descriptor, or nothing.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FileDescriptor() { Close(); }

  bool is_open() const { return descriptor_ >= 0; }
  int get() const { return descriptor_; }  // -1 for nothing
  int Release() { return std::exchange(descriptor_, -1); }
  void Close() {
    if (is_open()) close(Release());
  }

 private:
  int descriptor_ = -1;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_SYSTEM_FILE_DESCRIPTOR_H_
