// Any bytes in place of a handshake. The first byte chooses this end, and if it has a secret.
// Without the secret, no bytes lead to a handshake with an end that has one.

#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "check.h"
#include "comm/wire/handshake.h"
#include "comm/wire/wire.h"
#include "tests/fuzz/fuzz_target.h"

namespace headway::internal {
namespace {

void Shake(std::span<const std::byte> bytes, bool acceptor, bool secret) {
  const MeshOptions options{.process_id = acceptor ? 0 : 1,
                            .process_count = 2,
                            .cluster = "c",
                            .secret = secret ? "s" : ""};
  const std::vector<std::string> addresses = {"a:1", "b:2"};
  Handshake handshake(options, addresses,
                      acceptor ? Handshake::End::kAcceptor : Handshake::End::kConnector,
                      std::nullopt, Nonce{});
  std::vector<std::byte> reply;
  while (!handshake.done() && bytes.size() >= kSizePrefixBytes) {
    const auto size = FrameSize(bytes.data(), kMaxHandshakeFrameBytes);
    if (!size.ok() || *size > bytes.size()) return;
    const std::unique_ptr<void, decltype(&std::free)> memory(
        std::aligned_alloc(kFrameAlignment, *size), &std::free);
    std::memcpy(memory.get(), bytes.data(), *size);
    const std::span<const std::byte> frame(static_cast<const std::byte*>(memory.get()), *size);
    const auto verified = VerifyFrame(frame);
    if (!verified.ok() || !handshake.Receive(**verified, frame, &reply).ok()) return;
    HEADWAY_CHECK(reply.size() <= kMaxHandshakeFrameBytes);
    bytes = bytes.subspan(*size);
  }
  HEADWAY_CHECK(!(handshake.done() && secret));
}

}  // namespace
}  // namespace headway::internal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  headway::internal::Shake(std::as_bytes(std::span(data + 1, size - 1)), (data[0] & 1) != 0,
                           (data[0] & 2) != 0);
  return 0;
}
