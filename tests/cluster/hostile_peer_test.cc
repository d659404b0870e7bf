#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "comm/wire/handshake.h"
#include "comm/wire/wire_generated.h"
#include "headway.h"
#include "progress/compact_rounds.h"
#include "tests/cluster/test_cluster.h"
#include "tests/cluster/trickle.h"
#include "tests/comm/test_seed.h"

// The behaviour of a process towards a peer that is no Headway, or a broken one. The test itself is
// process 1 of a cluster of two.

namespace headway {
namespace {

using internal::FileDescriptor;
using internal::FrameEncoder;
using Bytes = std::vector<std::byte>;

constexpr absl::Duration kPeerTimeout = kShortPeerTimeout;

Bytes Copy(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

Bytes RandomBytes(std::mt19937_64& random, size_t count) {
  Bytes bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// A frame's size prefix, and some zeros.
Bytes WithPrefix(uint32_t prefix) {
  Bytes bytes(256);
  std::memcpy(bytes.data(), &prefix, sizeof(prefix));
  return bytes;
}

// A connection to a process, tried until it listens.
class RawPeer {
 public:
  explicit RawPeer(const std::string& address) {
    sockaddr_in where = {};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    where.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.find(':') + 1))));
    const absl::Time deadline = absl::Now() + kGiveUp;
    while (true) {
      socket_ = FileDescriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (connect(socket_.get(), reinterpret_cast<sockaddr*>(&where), sizeof(where)) == 0) break;
      REQUIRE(absl::Now() < deadline);
      absl::SleepFor(absl::Milliseconds(1));
    }
  }

  // Drops the bytes that the other end no longer takes.
  void Send(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t count = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return;
      bytes = bytes.subspan(static_cast<size_t>(count));
    }
  }

  // The next frame of the other end.
  std::span<const std::byte> Receive() {
    ReadExactly(0, internal::kSizePrefixBytes);
    const absl::StatusOr<size_t> size = internal::FrameSize(frame_, sizeof(frame_));
    REQUIRE(size.ok());
    ReadExactly(internal::kSizePrefixBytes, *size);
    return {frame_, *size};
  }

  // Returns the first Graph of the other end. Skips earlier frames.
  std::span<const std::byte> ReceiveGraph() {
    while (true) {
      const std::span<const std::byte> bytes = Receive();
      const auto* frame = flatbuffers::GetSizePrefixedRoot<wire::Frame>(bytes.data());
      if (frame->body_type() == wire::Body::Graph) return bytes;
    }
  }

  void ShakeHands(const internal::MeshOptions& options, std::span<const std::string> addresses) {
    internal::Handshake handshake(options, addresses, internal::Handshake::End::kConnector, 0,
                                  internal::RandomNonce());
    Send(handshake.hello());
    while (!handshake.done()) {
      const std::span<const std::byte> bytes = Receive();
      const auto frame = internal::VerifyFrame(bytes);
      REQUIRE(frame.ok());
      Bytes reply;
      REQUIRE(handshake.Receive(**frame, bytes, &reply).ok());
      Send(reply);
    }
  }

  // Waits until the other end has closed the connection.
  void AwaitEnd() {
    while (true) {
      pollfd readable = {socket_.get(), POLLIN, 0};
      REQUIRE(poll(&readable, 1, static_cast<int>(absl::ToInt64Milliseconds(kGiveUp))) == 1);
      if (recv(socket_.get(), frame_, sizeof(frame_), 0) <= 0) return;
    }
  }

 private:
  void ReadExactly(size_t from, size_t to) {
    while (from < to) {
      pollfd readable = {socket_.get(), POLLIN, 0};
      REQUIRE(poll(&readable, 1, static_cast<int>(absl::ToInt64Milliseconds(kGiveUp))) == 1);
      const ssize_t count = recv(socket_.get(), frame_ + from, to - from, 0);
      REQUIRE(count > 0);
      from += static_cast<size_t>(count);
    }
  }

  FileDescriptor socket_;
  alignas(internal::kFrameAlignment) std::byte frame_[1 << 16];
};

constexpr const char* kStep = "spread";

// Exchanges strings, for ever or until `count` of each worker.
Dataflow Strings(int64_t count = INT64_MAX) {
  return Dataflow("strings", [count](Scope<>& scope) {
    scope.Input("inp", ManualSource([count](int, int, std::optional<int64_t>)
                                        -> Generator<std::pair<int64_t, std::string>> {
                  for (int64_t i = 0; i < count; ++i) co_yield {i, std::to_string(i)};
                })) |
        Exchange(kStep, [](std::string_view text) { return text; });
  });
}

TEST_CASE("strangers that connect before the handshake do no harm") {
  std::mt19937_64 random(internal::TestSeed("strangers"));
  TestCluster cluster(2);
  const std::string& address = cluster.addresses()[0];
  cluster.Start(0, Strings(1000));
  FrameEncoder encoder;
  const Bytes hello =
      Copy(encoder.Hello({.process = 1, .process_count = 2, .workers_per_process = 1}));
  const Bytes half_hello(hello.begin(), hello.begin() + 70);
  const Bytes zeros(64);
  std::vector<Bytes> sent = {
      RandomBytes(random, 100'000),
      RandomBytes(random, 64),
      WithPrefix(0xFFFFFFFF),
      WithPrefix(0xFFFFFFFC),
      WithPrefix(60),
      WithPrefix((1 << 20) - 4),
      WithPrefix(0),
      half_hello,
      Bytes(3),
      Copy(encoder.Proof(zeros)),
      Copy(encoder.Heartbeat()),
      Copy(encoder.Goodbye()),
      Copy(encoder.Progress(zeros)),
      Copy(encoder.Abort(absl::InternalError("made up"))),
  };
  std::vector<std::unique_ptr<RawPeer>> silent;
  for (const Bytes& bytes : sent) {
    RawPeer(address).Send(bytes);  // and ends
    silent.push_back(std::make_unique<RawPeer>(address));
    silent.back()->Send(bytes);
  }
  silent.push_back(std::make_unique<RawPeer>(address));  // says nothing at all
  for (int i = 0; i < 100; ++i) RawPeer(address).Send(RandomBytes(random, random() % 200));
  cluster.Start(1, Strings(1000));
  for (const Outcome& outcome : cluster.WaitForAll()) CheckEndedWell(outcome);
}

TEST_CASE("a process that speaks another version is refused, and told so") {
  TestCluster cluster(2);
  cluster.Start(0, Strings());
  RawPeer peer(cluster.addresses()[0]);
  FrameEncoder encoder;
  peer.Send(encoder.Hello({.version = internal::kWireVersion + 1,
                           .process = 1,
                           .process_count = 2,
                           .workers_per_process = 1}));
  const absl::StatusCode refused = absl::StatusCode::kFailedPrecondition;
  CheckFailed(cluster.Wait(0), refused,
              {NameOf(1), absl::StrFormat("version %d", internal::kWireVersion + 1),
               absl::StrFormat("version %d", internal::kWireVersion)});
}

struct Attack {
  std::string what;
  std::vector<Bytes> sends;
  bool then_ends;  // else it stays silent
  std::vector<absl::StatusCode> codes;
};

Bytes Batch(const internal::BatchFields& fields, const Bytes& records) {
  const auto head = internal::EncodeBatchHead(fields, static_cast<uint32_t>(records.size()));
  Bytes bytes(head.size() + records.size());
  std::ranges::copy(head, bytes.begin());
  std::ranges::copy(records, bytes.begin() + internal::kBatchHeadBytes);
  return bytes;
}

// A round of one change.
Bytes ChangeOfEpoch(uint32_t dataflow, uint32_t location) {
  const uint32_t change[] = {location, 1, 0, 0};
  CompactRounds rounds;
  rounds.Add(dataflow, std::as_bytes(std::span(change)),
             std::vector<uint32_t>(location + 1, sizeof(change)));
  return Copy(rounds.bytes());
}

std::vector<Attack> Attacks(std::mt19937_64& random) {
  constexpr absl::StatusCode kMalformed = absl::StatusCode::kInvalidArgument;
  constexpr absl::StatusCode kLost = absl::StatusCode::kUnavailable;
  FrameEncoder encoder;
  const Bytes heartbeat = Copy(encoder.Heartbeat());
  const Bytes half_frame(heartbeat.begin(), heartbeat.begin() + 40);
  const Bytes records = RandomBytes(random, 640);
  const Bytes not_rounds(64, std::byte{0xFF});
  const Bytes graph = Copy(encoder.Graph(1, std::vector<std::string>{"inp", "another"}));
  const Bytes first_graph = Copy(encoder.Graph(0, std::vector<std::string>{"inp"}));
  std::vector<Attack> attacks = {
      {"nothing", {}, false, {kLost}},
      {"an end without a goodbye", {}, true, {kLost}},
      {"a truncated frame, and an end", {half_frame}, true, {kLost}},
      {"a truncated frame, and silence", {half_frame}, false, {kLost}},
      {"garbage", {RandomBytes(random, 100'000)}, false, {kMalformed}},
      {"an oversized frame", {WithPrefix((1U << 30) - 4)}, false, {kMalformed}},
      {"the largest prefix", {WithPrefix(0xFFFFFFFC)}, false, {kMalformed}},
      {"a size that is none", {WithPrefix(61)}, false, {kMalformed}},
      {"zeros", {Bytes(1 << 16)}, false, {kMalformed}},
      {"a second handshake",
       {Copy(encoder.Hello({.process = 1, .process_count = 2, .workers_per_process = 1}))},
       false,
       {kMalformed}},
      {"a graph that the other end never builds", {graph}, false, {kMalformed, kLost}},
      {"a graph of a dataflow that cannot be",
       {Copy(encoder.Graph(UINT32_MAX, std::vector<std::string>{"inp"}))},
       false,
       {kMalformed}},
      {"a second graph of a dataflow", {first_graph}, false, {kMalformed}},
      {"a graph out of turn",
       {Copy(encoder.Graph(2, std::vector<std::string>{"inp"}))},
       false,
       {kMalformed}},
      {"a goodbye, and silence", {Copy(encoder.Goodbye())}, false, {kLost}},
      {"batches of a dataflow that it has not announced",
       {Batch({.dataflow = 5, .sender = 1, .record_count = 1, .charged_bytes = 704}, records)},
       false,
       {kMalformed}},
      {"empty batches", {Batch({.sender = 1, .charged_bytes = 64}, {})}, false, {kMalformed}},
      {"progress that is none", {Copy(encoder.Progress(not_rounds))}, false, {kMalformed}},
      {"progress of a location that is not there",
       {Copy(encoder.Progress(ChangeOfEpoch(0, 1000)))},
       false,
       {kMalformed}},
      {"progress of a dataflow that cannot be",
       {Copy(encoder.Progress(ChangeOfEpoch(UINT32_MAX, 0)))},
       false,
       {kMalformed}},
      {"a batch for a worker of its own",
       {Batch({.sender = 1, .target = 1, .record_count = 1}, records)},
       false,
       {kMalformed}},
      {"a batch for a worker that is not there",
       {Batch({.sender = 1, .target = 1000, .record_count = 1}, records)},
       false,
       {kMalformed}},
      {"a batch of somebody else",
       {Batch({.sender = 0, .target = 0, .record_count = 1}, records)},
       false,
       {kMalformed}},
  };
  for (const uint32_t channel : {0U, 1U, 2U, 1000U, UINT32_MAX}) {
    attacks.push_back(
        {"a batch of garbage in channel " + std::to_string(channel),
         {Batch({.channel = channel, .sender = 1, .target = 0, .record_count = 1'000'000},
                records)},
         false,
         {kMalformed, kLost}});
    const std::vector<FrameEncoder::ReturnedBytes> returned = {{0, channel, 0, 1000}};
    attacks.push_back({"credit that nobody gave in channel " + std::to_string(channel),
                       {Copy(encoder.Credit(returned))},
                       false,
                       {kMalformed, kLost}});
  }
  const std::vector<FrameEncoder::ReturnedBytes> too_much = {{0, 0, 0, uint64_t{1} << 62}};
  attacks.push_back({"credit for more than was ever sent",
                     {Copy(encoder.Credit(too_much))},
                     false,
                     {kMalformed}});
  const std::vector<FrameEncoder::ReturnedBytes> to_nobody = {{0, 0, 77, 1}};
  attacks.push_back({"credit for a worker that is not there",
                     {Copy(encoder.Credit(to_nobody))},
                     false,
                     {kMalformed}});
  return attacks;
}

// Runs process 0, which reports; the test is process 1.
struct Victim {
  Victim() : cluster(2) {
    cluster.options.run.cluster.peer_timeout = kPeerTimeout;
    cluster.options.run.cluster.max_frame_bytes = 1 << 24;
    cluster.Start(0, Strings());
    peer = std::make_unique<RawPeer>(cluster.addresses()[0]);
    internal::MeshOptions options{.process_id = 1, .process_count = 2};
    peer->ShakeHands(options, cluster.addresses());
    // The same program describes its dataflow in the same way.
    peer->Send(peer->ReceiveGraph());
  }
  TestCluster cluster;
  std::unique_ptr<RawPeer> peer;
};

TEST_CASE("a process that is let in and sends something else ends the run, and is named") {
  std::mt19937_64 random(internal::TestSeed("attacks"));
  const std::vector<Attack> attacks = Attacks(random);
  std::vector<std::unique_ptr<Victim>> victims;
  std::vector<absl::Time> begun;
  for (const Attack& attack : attacks) {
    victims.push_back(std::make_unique<Victim>());
    begun.push_back(absl::Now());
    for (const Bytes& bytes : attack.sends) victims.back()->peer->Send(bytes);
    if (attack.then_ends) victims.back()->peer.reset();
  }
  for (size_t i = 0; i < attacks.size(); ++i) {
    INFO(attacks[i].what);
    const Outcome outcome = victims[i]->cluster.Wait(0);
    INFO(outcome.status.ToString());
    CHECK(outcome.reported);
    CHECK(std::ranges::count(attacks[i].codes, outcome.status.code()) == 1);
    CHECK(outcome.status.message().find(NameOf(1)) != std::string::npos);
    CHECK(outcome.ended - begun[i] < kPeerTimeout + kToEnd);
  }
}

TEST_CASE("frames with wrong bits end the run with an error, whichever they are") {
  std::mt19937_64 random(internal::TestSeed("wrong bits"));
  FrameEncoder encoder;
  const std::vector<FrameEncoder::ReturnedBytes> returned = {{0, 0, 0, 64}, {0, 1, 0, 64}};
  const std::vector<Bytes> frames = {
      Batch({.sender = 1, .target = 0, .record_count = 3}, Bytes(128)),
      Copy(encoder.Progress(ChangeOfEpoch(0, 1))),
      Copy(encoder.Credit(returned)),
      Copy(encoder.Graph(0, std::vector<std::string>{"inp", kStep})),
      Copy(encoder.Stop()),
      Copy(encoder.Abort(absl::InternalError("made up"))),
  };
  std::vector<std::unique_ptr<Victim>> victims;
  for (int i = 0; i < 40; ++i) {
    victims.push_back(std::make_unique<Victim>());
    for (int j = 0; j < 20; ++j) {
      Bytes bytes = frames[random() % frames.size()];
      for (uint64_t flips = random() % 4; flips > 0; --flips) {
        bytes[random() % bytes.size()] ^= static_cast<std::byte>(1 << random() % 8);
      }
      victims.back()->peer->Send(bytes);
    }
    // A wrong bit may have made a goodbye, after which a connection may end.
    victims.back()->peer->Send(WithPrefix(61));
    victims.back()->peer.reset();
  }
  for (const auto& victim : victims) {
    const Outcome outcome = victim->cluster.Wait(0);
    CHECK(outcome.reported);
    CHECK_FALSE(outcome.status.ok());
  }
}

}  // namespace
}  // namespace headway
