#ifndef HEADWAY_COMM_CODEC_BUFFER_H_
#define HEADWAY_COMM_CODEC_BUFFER_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

// The two ends of a Codec: Encoder appends to a byte buffer, Decoder reads one with bounds checks.

namespace headway {

static_assert(std::endian::native == std::endian::little,
              "Headway's wire format is little-endian and is copied from memory as it is");

// Encoder appends values to a growing byte buffer, which it owns until Take.
//
// Thread safety: none; one thread at a time.
class Encoder {
 public:
  Encoder() = default;

  // Appends after the bytes that `buffer` holds already. To reuse memory, pass a recycled, cleared
  // vector.
  explicit Encoder(std::vector<std::byte> buffer)
      : buffer_(std::move(buffer)), size_(buffer_.size()) {}

  Encoder(Encoder&& other) noexcept
      : buffer_(std::move(other.buffer_)), size_(std::exchange(other.size_, 0)) {}
  Encoder& operator=(Encoder&& other) noexcept {
    buffer_ = std::exchange(other.buffer_, {});
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  // Appends `size` bytes from `data`.
  void Append(const void* data, size_t size) {
    if (size == 0) return;  // memcpy may not be given a null pointer, even for no bytes
    if (size > buffer_.size() - size_) Grow(size);
    std::memcpy(buffer_.data() + size_, data, size);
    size_ += size;
  }

  void AppendByte(uint8_t byte) { Append(&byte, 1); }

  // Appends a count in base 128, seven bits a byte, low bits first. Counts below 128 take one byte.
  void AppendLength(uint64_t length) {
    while (length >= 0x80) {
      AppendByte(static_cast<uint8_t>(length | 0x80));
      length >>= 7;
    }
    AppendByte(static_cast<uint8_t>(length));
  }

  // Number of bytes so far.
  size_t size() const { return size_; }

  // The appended bytes; valid until the next non-const call.
  std::span<const std::byte> bytes() const { return {buffer_.data(), size_}; }

  // Forgets the appended bytes and keeps the memory.
  void Clear() { size_ = 0; }

  // Returns the buffer and leaves the encoder empty.
  std::vector<std::byte> Take();

 private:
  void Grow(size_t size);

  // The vector is longer than the appended bytes, so that an append is a compare and a copy.
  std::vector<std::byte> buffer_;
  size_t size_ = 0;
};

// Decoder reads the output of an Encoder. Every read is checked against the remaining bytes, and
// returns false if they do not suffice; the decoder is of no use afterwards. It does not own the
// bytes, which need no alignment.
//
// Thread safety: none; one thread at a time.
class Decoder {
 public:
  // More deeply nested containers are malformed: hostile bytes must not exhaust the stack.
  static constexpr int kNestingMax = 100;

  explicit Decoder(std::span<const std::byte> bytes)
      : cursor_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  size_t remaining() const { return static_cast<size_t>(end_ - cursor_); }

  // Copies the next `size` bytes to `out`.
  bool Read(void* out, size_t size) {
    if (size > remaining()) return false;
    if (size == 0) return true;
    std::memcpy(out, cursor_, size);
    cursor_ += size;
    return true;
  }

  bool ReadByte(uint8_t* byte) { return Read(byte, 1); }

  // Reads the output of Encoder::AppendLength. Only the shortest form is valid.
  bool ReadNumber(uint64_t* number);

  // Reads the number of the elements that follow. Returns false if it exceeds the remaining bytes,
  // since every element takes at least one. So the received bytes bound the memory that a length
  // can allocate.
  bool ReadLength(size_t* length) {
    uint64_t number = 0;
    if (!ReadNumber(&number) || number > remaining()) return false;
    *length = static_cast<size_t>(number);
    return true;
  }

  // Brackets the elements of a container. Returns false if they are nested too deep.
  bool EnterContainer() { return ++nesting_ <= kNestingMax; }
  void LeaveContainer() { --nesting_; }

 private:
  const std::byte* cursor_;
  const std::byte* end_;
  int nesting_ = 0;
};

}  // namespace headway

#endif  // HEADWAY_COMM_CODEC_BUFFER_H_
