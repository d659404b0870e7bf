#include <zstd.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/codec/codec.h"
#include "comm/codec/stable_hash.h"
#include "doctest/doctest.h"
#include "engine/store/block.h"
#include "engine/store/row.h"
#include "engine/store/store.h"

namespace headway::internal {
namespace {

constexpr size_t kHeadBytes = 24;

// The blocks of bytes in docs/recovery-format.md.
std::vector<std::string> DocumentedBytes() {
  std::ifstream page(HEADWAY_SOURCE_DIR "/docs/recovery-format.md");
  REQUIRE(page.good());
  std::vector<std::string> blocks;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      inside = line == "```hex";
      if (inside) blocks.emplace_back();
    } else if (inside) {
      std::istringstream words(line);
      for (unsigned byte = 0; words >> std::hex >> byte;) {
        blocks.back().push_back(static_cast<char>(byte));
      }
    }
  }
  return blocks;
}

template <class T>
std::string Encoded(const T& value) {
  Encoder encoder;
  Codec<T>::Encode(value, encoder);
  return {reinterpret_cast<const char*>(encoder.bytes().data()), encoder.size()};
}

std::string ContentOf(std::string_view block) {
  std::string content(1000, '\0');
  const std::string_view frame = block.substr(kHeadBytes);
  const size_t size = ZSTD_decompress(content.data(), content.size(), frame.data(), frame.size());
  REQUIRE(!ZSTD_isError(size));
  content.resize(size);
  return content;
}

TEST_CASE("the example of the documentation has the bytes that the code writes and reads") {
  const std::vector<std::string> documented = DocumentedBytes();
  REQUIRE(documented.size() == 2);
  CHECK(ContentOf(documented[0]) == documented[1]);

  std::vector<std::string> buffers(1);
  const std::string one = Encoded(uint64_t{1});
  const std::string three = Encoded(uint64_t{3});
  const std::string words[] = {"the", "of", "a"};
  const std::optional<std::string_view> states[] = {three, one, std::nullopt};
  for (size_t i = 0; i < 3; ++i) {
    AppendRow({StableHash(words[i]), Encoded(words[i]), "", states[i]}, buffers[0]);
  }
  const std::vector<StoredBlock> written = BlocksOf(buffers).value();
  REQUIRE(written.size() == 1);
  CHECK(ContentOf(written[0].bytes) == documented[1]);
  // The version and the numbers; the frame depends on the version of zstd.
  CHECK(written[0].bytes.substr(0, 16) == documented[0].substr(0, 16));

  absl::StatusOr<BlockReader> reader = BlockReader::Open(documented[0]);
  REQUIRE(reader.ok());
  StateRow row;
  for (const size_t i : {2, 1, 0}) {
    REQUIRE(reader->Next(&row));
    CHECK(row.hash == StableHash(words[i]));
    CHECK(row.key == Encoded(words[i]));
    CHECK(row.part.empty());
    CHECK((row.state == states[i]));
  }
  CHECK(!reader->Next(&row));
}

}  // namespace
}  // namespace headway::internal
