#ifndef HEADWAY_TESTS_OPERATORS_COMPRESS_H_
#define HEADWAY_TESTS_OPERATORS_COMPRESS_H_

#include <doctest/doctest.h>
#include <zlib.h>
#include <zstd.h>

#include <string>

namespace headway {

// The content of a gzip file.
inline std::string Gzip(const std::string& text) {
  z_stream stream = {};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string compressed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(compressed.data());
  stream.avail_out = static_cast<uInt>(compressed.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  compressed.resize(stream.total_out);
  deflateEnd(&stream);
  return compressed;
}

// The content of a zstd file.
inline std::string Zstd(const std::string& text) {
  std::string compressed(ZSTD_compressBound(text.size()), '\0');
  const size_t size =
      ZSTD_compress(compressed.data(), compressed.size(), text.data(), text.size(), 3);
  REQUIRE(ZSTD_isError(size) == 0);
  compressed.resize(size);
  return compressed;
}

}  // namespace headway

#endif  // HEADWAY_TESTS_OPERATORS_COMPRESS_H_
