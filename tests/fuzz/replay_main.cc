// Gives the files of folders to a fuzz target, for compilers without a fuzzer: each as it is, cut
// short everywhere, and with each byte changed.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "tests/fuzz/fuzz_target.h"

namespace {

void Replay(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<uint8_t> bytes{std::istreambuf_iterator<char>(file), {}};
  for (size_t size = 0; size <= bytes.size(); ++size) LLVMFuzzerTestOneInput(bytes.data(), size);
  for (uint8_t& byte : bytes) {
    for (const uint8_t flip : {0x01, 0x04, 0x40, 0x80, 0xFF}) {
      byte ^= flip;
      LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
      byte ^= flip;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  int files = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      Replay(entry.path());
      ++files;
    }
  }
  std::printf("%d files\n", files);
  return files > 0 ? 0 : 1;
}
