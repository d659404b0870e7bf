#include "operators/io/decompressor.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <new>

#include "absl/status/status.h"

namespace headway::internal {
namespace {

constexpr CompressedFormat kFormats[] = {
    {"gzip", "\x1f\x8b", true},
    {"zstd", "\x28\xb5\x2f\xfd", true},
    {"bzip2", "BZh91AY&SY", false},
    {"xz",
     {"\xfd"
      "7zXZ\0",
      6},
     false},
    {"lz4", "\x04\x22\x4d\x18", false},
    {"zip", "PK\x03\x04", false},
};

class GzipDecompressor final : public Decompressor {
 public:
  GzipDecompressor() {
    constexpr int kGzipOnly = 16;
    if (inflateInit2(&stream_, MAX_WBITS + kGzipOnly) != Z_OK) throw std::bad_alloc();
  }
  ~GzipDecompressor() override { inflateEnd(&stream_); }
  GzipDecompressor(const GzipDecompressor&) = delete;
  GzipDecompressor& operator=(const GzipDecompressor&) = delete;

  absl::StatusOr<Progress> Decompress(std::string_view input, char* output,
                                      size_t capacity) override {
    if (is_padding_ || is_between_streams_) return BeginStream(input, output, capacity);
    return Inflate(input, output, capacity);
  }
  bool IsBetweenStreams() const override { return is_between_streams_; }

 private:
  // Behind the last stream, tapes and `tar` leave zeros.
  absl::StatusOr<Progress> BeginStream(std::string_view input, char* output, size_t capacity) {
    size_t zeros = 0;
    if (has_stream_) {
      zeros = std::min(input.find_first_not_of('\0'), input.size());
      is_padding_ = is_padding_ || zeros > 0;
    }
    if (zeros == input.size()) return Progress{zeros, 0};
    if (is_padding_) return absl::DataLossError("other bytes follow the zeros behind its end");
    return Inflate(input, output, capacity);
  }

  absl::StatusOr<Progress> Inflate(std::string_view input, char* output, size_t capacity) {
    constexpr size_t kMost = std::numeric_limits<uInt>::max();
    const auto input_size = static_cast<uInt>(std::min(input.size(), kMost));
    const auto output_size = static_cast<uInt>(std::min(capacity, kMost));
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream_.avail_in = input_size;
    stream_.next_out = reinterpret_cast<Bytef*>(output);
    stream_.avail_out = output_size;
    const int result = inflate(&stream_, Z_NO_FLUSH);
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      return absl::DataLossError(stream_.msg != nullptr ? stream_.msg : "malformed");
    }
    is_between_streams_ = result == Z_STREAM_END;
    has_stream_ = true;
    if (is_between_streams_) inflateReset(&stream_);
    return Progress{input_size - stream_.avail_in, output_size - stream_.avail_out};
  }

  z_stream stream_ = {};
  bool has_stream_ = false;
  bool is_between_streams_ = true;
  bool is_padding_ = false;
};

class ZstdDecompressor final : public Decompressor {
 public:
  ZstdDecompressor() : stream_(ZSTD_createDStream()) {
    if (stream_ == nullptr) throw std::bad_alloc();
  }

  absl::StatusOr<Progress> Decompress(std::string_view input, char* output,
                                      size_t capacity) override {
    // Without input, the decompressor would begin a frame.
    if (is_between_streams_ && input.empty()) return Progress{};
    ZSTD_inBuffer in = {.src = input.data(), .size = input.size(), .pos = 0};
    ZSTD_outBuffer out = {.dst = output, .size = capacity, .pos = 0};
    const size_t result = ZSTD_decompressStream(stream_.get(), &out, &in);
    if (ZSTD_isError(result) != 0) return absl::DataLossError(ZSTD_getErrorName(result));
    is_between_streams_ = result == 0;
    return Progress{in.pos, out.pos};
  }
  bool IsBetweenStreams() const override { return is_between_streams_; }

 private:
  struct Free {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  bool is_between_streams_ = true;
};

}  // namespace

const CompressedFormat* FindCompressedFormat(std::string_view bytes) {
  for (const CompressedFormat& format : kFormats) {
    if (bytes.starts_with(format.first_bytes)) return &format;
  }
  return nullptr;
}

std::unique_ptr<Decompressor> MakeDecompressor(const CompressedFormat& format) {
  if (format.name == "gzip") return std::make_unique<GzipDecompressor>();
  return std::make_unique<ZstdDecompressor>();
}

}  // namespace headway::internal
