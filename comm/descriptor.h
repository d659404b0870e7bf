#ifndef HEADWAY_COMM_DESCRIPTOR_H_
#define HEADWAY_COMM_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace headway::internal {

// Owns a file descriptor, and closes it.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }

  // Negative: none.
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void Close() { Descriptor closed(std::exchange(fd_, -1)); }

 private:
  int fd_ = -1;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_DESCRIPTOR_H_
