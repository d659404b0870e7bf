#include "comm/wire/handshake.h"

#include <doctest/doctest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "absl/strings/str_format.h"
#include "check.h"
#include "comm/wire/wire_generated.h"

namespace headway::internal {
namespace {

using End = Handshake::End;

const std::vector<std::string> kAddresses = {"a:1", "b:2"};

// Frames in aligned memory, as from a socket.
struct Aligned {
  explicit Aligned(std::span<const std::byte> from) : size(from.size()) {
    HEADWAY_CHECK(size <= sizeof(bytes));
    std::memcpy(bytes, from.data(), size);
  }
  std::span<const std::byte> span() const { return {bytes, size}; }
  alignas(64) std::byte bytes[64 * 1024];
  size_t size;
};

// Hands all frames in `bytes` to a handshake; stops at an error.
absl::Status Feed(Handshake& handshake, std::span<const std::byte> bytes,
                  std::vector<std::byte>* reply) {
  while (!bytes.empty()) {
    const auto size = FrameSize(bytes.data(), kMaxHandshakeFrameBytes);
    if (!size.ok()) return size.status();
    const Aligned frame(bytes.first(*size));
    const auto verified = VerifyFrame(frame.span());
    if (!verified.ok()) return verified.status();
    const absl::Status status = handshake.Receive(**verified, frame.span(), reply);
    if (!status.ok()) return status;
    bytes = bytes.subspan(*size);
  }
  return absl::OkStatus();
}

// Process 0, which accepts, and process 1, which connects to it.
struct Pair {
  MeshOptions options[2];
  std::unique_ptr<Handshake> end[2];
  absl::Status status[2];

  Pair() {
    for (int process = 0; process < 2; ++process) {
      options[process] = {.process_id = process,
                          .process_count = 2,
                          .workers_per_process = 3,
                          .generation = 4,
                          .cluster = "c"};
    }
  }

  void Run() {
    end[0] = std::make_unique<Handshake>(options[0], kAddresses, End::kAcceptor, std::nullopt,
                                         RandomNonce());
    end[1] = std::make_unique<Handshake>(options[1], kAddresses, End::kConnector, 0, RandomNonce());
    std::vector<std::byte> reply[2];
    for (int i = 0; i < 2; ++i) status[i] = Feed(*end[i], end[1 - i]->hello(), &reply[i]);
    for (int i = 0; i < 2; ++i) {
      std::vector<std::byte> none;
      if (status[i].ok() && !reply[1 - i].empty()) status[i] = Feed(*end[i], reply[1 - i], &none);
      CHECK(none.empty());
    }
  }
};

TEST_CASE("two processes of one cluster accept each other") {
  for (const char* secret : {"", "s",
                             "a secret that is longer than a block of the hash, which has "
                             "64 bytes, so it is hashed first"}) {
    Pair pair;
    pair.options[0].secret = pair.options[1].secret = secret;
    pair.Run();
    for (int i = 0; i < 2; ++i) {
      CHECK_MESSAGE(pair.status[i].ok(), pair.status[i].ToString());
      CHECK(pair.end[i]->done());
      CHECK(pair.end[i]->peer() == 1 - i);
      CHECK_FALSE(pair.end[i]->refused());
    }
  }
}

TEST_CASE("two processes that differ both refuse, and both say in what") {
  struct Difference {
    std::function<void(MeshOptions&)> change;  // of process 1
    const char* message[2];
  };
  const Difference differences[] = {
      {[](MeshOptions& o) { o.generation = 5; },
       {"process 1 (b:2) is of generation 5 of the cluster, and process 0 (a:1) of generation 4",
        "process 0 (a:1) is of generation 4 of the cluster, and process 1 (b:2) of generation 5"}},
      {[](MeshOptions& o) { o.cluster = "d"; },
       {"process 1 (b:2) belongs to the cluster 'd', and process 0 (a:1) to 'c'",
        "process 0 (a:1) belongs to the cluster 'c', and process 1 (b:2) to 'd'"}},
      {[](MeshOptions& o) { o.process_count = 3; },
       {"process 1 (b:2) counts 3 processes, and process 0 (a:1) counts 2",
        "process 0 (a:1) counts 2 processes, and process 1 (b:2) counts 3"}},
      {[](MeshOptions& o) { o.workers_per_process = 2; },
       {"process 1 (b:2) has 2 workers, and process 0 (a:1) has 3: all processes have the same "
        "number",
        "process 0 (a:1) has 3 workers, and process 1 (b:2) has 2: all processes have the same "
        "number"}},
      {[](MeshOptions& o) { o.process_id = 0; },
       {"two processes have the id of process 0 (a:1)",
        "two processes have the id of process 0 (a:1)"}},
  };
  for (const Difference& difference : differences) {
    for (const char* secret : {"", "s"}) {  // which both prove
      Pair pair;
      for (MeshOptions& options : pair.options) options.secret = secret;
      difference.change(pair.options[1]);
      pair.Run();
      for (int i = 0; i < 2; ++i) {
        CHECK(pair.status[i] == absl::FailedPreconditionError(difference.message[i]));
        CHECK(pair.end[i]->refused());
        CHECK_FALSE(pair.end[i]->done());
      }
    }
  }
}

TEST_CASE("an end without a secret refuses one that has a secret, which takes it for a stranger") {
  Pair pair;
  pair.options[1].secret = "s";
  pair.Run();
  CHECK(pair.status[0] ==
        absl::PermissionDeniedError("process 1 (b:2) has a secret, and process 0 (a:1) has none"));
  CHECK(pair.end[0]->refused());
  CHECK(pair.status[1] ==
        absl::PermissionDeniedError("process 0 (a:1) has no secret, and process 1 (b:2) has one"));
  CHECK_FALSE(pair.end[1]->refused());
}

TEST_CASE("a difference is not believed of a peer that does not prove that it has the secret") {
  const std::function<void(MeshOptions&)> changes[] = {
      [](MeshOptions& o) { o.generation = 5; },
      [](MeshOptions& o) { o.cluster = "\x1b[31m"; },
      [](MeshOptions& o) { o.process_count = 3; },
      [](MeshOptions& o) { o.process_id = 0; },
  };
  for (const auto& change : changes) {
    Pair pair;
    pair.options[0].secret = "s";
    pair.options[1].secret = "guessed";
    change(pair.options[1]);
    pair.Run();
    CHECK(absl::IsPermissionDenied(pair.status[0]));
    CHECK(pair.status[0].message().find("have different secrets") != std::string::npos);
    CHECK_FALSE(pair.end[0]->refused());
  }
}

TEST_CASE("with another secret, each takes the other for a stranger") {
  Pair pair;
  pair.options[0].secret = "s";
  pair.options[1].secret = "t";
  pair.Run();
  CHECK(pair.status[0] ==
        absl::PermissionDeniedError("process 1 (b:2) and process 0 (a:1) have different secrets"));
  CHECK(pair.status[1] ==
        absl::PermissionDeniedError("process 0 (a:1) and process 1 (b:2) have different secrets"));
  CHECK_FALSE(pair.end[0]->refused());
  CHECK_FALSE(pair.end[1]->refused());
}

// A peer of process 0, played by a test.
struct Peer {
  explicit Peer(const char* secret = "s") { options.secret = secret; }

  MeshOptions options{.process_id = 0, .process_count = 2, .cluster = "c"};
  Handshake handshake{options, kAddresses, End::kAcceptor, std::nullopt, RandomNonce()};
  FrameEncoder encoder;
  std::vector<std::byte> reply;

  HelloFields Hello() const {
    return {.process = 1,
            .process_count = 2,
            .workers_per_process = 1,
            .cluster = "c",
            .secret = !options.secret.empty(),
            .nonce = RandomNonce()};
  }
};

TEST_CASE("another version, an id that is too large and the wrong process are refused") {
  Peer peer("");
  HelloFields hello = peer.Hello();
  hello.version = kWireVersion + 1;
  CHECK(
      Feed(peer.handshake, peer.encoder.Hello(hello), &peer.reply) ==
      absl::FailedPreconditionError(absl::StrFormat(
          "process 1 (b:2) speaks version %d of the protocol, and process 0 (a:1) version %d: run "
          "the same release of Headway everywhere",
          kWireVersion + 1, kWireVersion)));
  Peer large("");
  hello = large.Hello();
  hello.process = 0xFFFFFFFF;
  CHECK(Feed(large.handshake, large.encoder.Hello(hello), &large.reply) ==
        absl::FailedPreconditionError("a process has the id 4294967295, and the cluster has 2 "
                                      "processes, which count from 0"));
  const MeshOptions options{.process_id = 2, .process_count = 3};
  const std::vector<std::string> addresses = {"a:1", "b:2", "c:3"};
  Handshake dialed(options, addresses, End::kConnector, 0, RandomNonce());
  FrameEncoder encoder;
  std::vector<std::byte> reply;
  CHECK(Feed(dialed, encoder.Hello({.process = 1, .process_count = 3, .workers_per_process = 1}),
             &reply) ==
        absl::FailedPreconditionError(
            "process 1 (b:2) answers at the address of process 0 (a:1): the "
            "processes differ in the list of addresses"));
}

TEST_CASE("a proof without the secret is refused") {
  const std::vector<std::byte> zeros(kMacBytes);
  for (const std::span<const std::byte> mac : {std::span<const std::byte>(), std::span(zeros)}) {
    Peer peer;
    REQUIRE(Feed(peer.handshake, peer.encoder.Hello(peer.Hello()), &peer.reply).ok());
    CHECK(absl::IsPermissionDenied(Feed(peer.handshake, peer.encoder.Proof(mac), &peer.reply)));
    CHECK_FALSE(peer.handshake.done());
  }
}

TEST_CASE("a proof is of no use to another end or another connection") {
  // A peer without the secret reflects the frames of process 0.
  Peer reflected;
  REQUIRE(
      Feed(reflected.handshake, reflected.encoder.Hello(reflected.Hello()), &reflected.reply).ok());
  const std::vector<std::byte> own_proof = reflected.reply;
  CHECK(absl::IsPermissionDenied(Feed(reflected.handshake, own_proof, &reflected.reply)));

  // Repeats what process 1 said on an earlier connection.
  Pair pair;
  pair.options[0].secret = pair.options[1].secret = "s";
  pair.Run();
  Handshake again(pair.options[0], kAddresses, End::kAcceptor, std::nullopt, RandomNonce());
  std::vector<std::byte> reply;
  REQUIRE(Feed(again, pair.end[1]->hello(), &reply).ok());
  std::vector<std::byte> proof_of_1;
  Handshake replayed(pair.options[1], kAddresses, End::kConnector, 0, RandomNonce());
  REQUIRE(Feed(replayed, pair.end[0]->hello(), &proof_of_1).ok());
  CHECK(absl::IsPermissionDenied(Feed(again, proof_of_1, &reply)));
}

TEST_CASE("what does not belong in a handshake ends it without blaming the cluster") {
  const auto strange = [](const std::function<std::span<const std::byte>(FrameEncoder&)>& frame,
                          bool after_hello) {
    Peer peer;
    if (after_hello) {
      REQUIRE(Feed(peer.handshake, peer.encoder.Hello(peer.Hello()), &peer.reply).ok());
    }
    CHECK(absl::IsInvalidArgument(Feed(peer.handshake, frame(peer.encoder), &peer.reply)));
    CHECK_FALSE(peer.handshake.refused());
    CHECK_FALSE(peer.handshake.done());
  };
  for (const bool after_hello : {false, true}) {
    strange([](FrameEncoder& encoder) { return encoder.Heartbeat(); }, after_hello);
    strange([](FrameEncoder& encoder) { return encoder.Goodbye(); }, after_hello);
    strange([](FrameEncoder& encoder) { return encoder.Progress({}); }, after_hello);
  }
  const std::vector<std::byte> mac(kMacBytes);
  strange([&](FrameEncoder& encoder) { return encoder.Proof(mac); }, false);
  strange([](FrameEncoder& encoder) { return encoder.Abort(absl::InternalError("x")); }, false);
  strange([](FrameEncoder& encoder) { return encoder.Hello({.process = 1}); }, true);
}

TEST_CASE("the refusal of the other end is told with its reason, as one line") {
  Peer peer("");
  REQUIRE(Feed(peer.handshake, peer.encoder.Hello(peer.Hello()), &peer.reply).ok());
  CHECK(Feed(peer.handshake, peer.encoder.Abort(absl::FailedPreconditionError("two of\nme")),
             &peer.reply) == absl::FailedPreconditionError("process 1 (b:2): two of\\x0ame"));
  CHECK(peer.handshake.refused());
}

TEST_CASE("a refusal without a proof of the secret has no effect, and its reason is not told") {
  for (const bool other_version : {false, true}) {
    Peer peer;
    HelloFields hello = peer.Hello();
    if (other_version) ++hello.version;
    REQUIRE(Feed(peer.handshake, peer.encoder.Hello(hello), &peer.reply).ok());
    const absl::Status status = Feed(
        peer.handshake, peer.encoder.Abort(absl::FailedPreconditionError("made up")), &peer.reply);
    CHECK_FALSE(peer.handshake.refused());
    CHECK(status.message().find("made up") == std::string::npos);
    CHECK(status.message().find(other_version ? "speaks version" : "without a proof") !=
          std::string::npos);
  }
}

TEST_CASE("a Hello with the longest name fits in a frame of a handshake") {
  MeshOptions options{.process_count = 2, .cluster = std::string(kMaxClusterNameBytes, 'n')};
  const Handshake handshake(options, kAddresses, End::kAcceptor, std::nullopt, RandomNonce());
  CHECK(FrameSize(handshake.hello().data(), kMaxHandshakeFrameBytes).ok());
}

}  // namespace
}  // namespace headway::internal
