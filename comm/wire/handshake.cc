#include "comm/wire/handshake.h"

#include <sodium.h>

#include <cstring>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "check.h"
#include "comm/system/address.h"
#include "comm/wire/printable.h"
#include "comm/wire/wire_generated.h"

namespace headway::internal {
namespace {

static_assert(crypto_auth_hmacsha256_BYTES == kMacBytes);

const unsigned char* Unsigned(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}

}  // namespace

Nonce RandomNonce() {
  HEADWAY_CHECK(sodium_init() >= 0);
  Nonce nonce;
  randombytes_buf(nonce.data(), nonce.size());
  return nonce;
}

Handshake::Handshake(const MeshOptions& options, std::span<const std::string> addresses, End end,
                     std::optional<int> expected, const Nonce& nonce)
    : options_(options), addresses_(addresses), end_(end), expected_(expected) {
  const std::span<const std::byte> frame =
      encoder_.Hello({.generation = options.generation,
                      .process = static_cast<uint32_t>(options.process_id),
                      .process_count = static_cast<uint32_t>(options.process_count),
                      .workers_per_process = static_cast<uint32_t>(options.workers_per_process),
                      .cluster = options.cluster,
                      .secret = !options.secret.empty(),
                      .nonce = nonce});
  HEADWAY_CHECK(frame.size() <= kMaxHandshakeFrameBytes);
  hello_.assign(frame.begin(), frame.end());
}

absl::Status Handshake::Receive(const wire::Frame& frame, std::span<const std::byte> bytes,
                                std::vector<std::byte>* reply) {
  HEADWAY_DCHECK(!done_ && !refused_);
  if (frame.body_type() == wire::Body::Hello && peer_hello_.empty()) {
    return ReceiveHello(ReadHello(frame), bytes, reply);
  }
  if (frame.body_type() == wire::Body::Proof && !peer_hello_.empty()) {
    const auto* mac = frame.body_as_Proof()->mac();
    return ReceiveProof({reinterpret_cast<const std::byte*>(mac->data()), mac->size()});
  }
  if (frame.body_type() == wire::Body::Abort && !peer_hello_.empty()) {
    return ReceiveAbort(ReadAbort(frame));
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("a frame of kind %d is not allowed at this point of the handshake",
                      static_cast<int>(frame.body_type())));
}

absl::Status Handshake::Refuse(absl::Status status) {
  refused_ = true;
  return status;
}

std::string Handshake::PeerName() const {
  if (!peer_.has_value()) return "a process with an id beyond the list of addresses";
  return DescribeProcess(*peer_, addresses_);
}

absl::Status Handshake::ReceiveHello(const HelloFields& hello, std::span<const std::byte> bytes,
                                     std::vector<std::byte>* reply) {
  difference_ = CheckHello(hello);
  // Without a secret at this end any peer is believed. A peer without one can prove nothing.
  if (!difference_.ok() && options_.secret.empty()) return Refuse(difference_);
  if (!options_.secret.empty() && !hello.secret) {
    return absl::PermissionDeniedError(
        absl::StrFormat("%s has no secret, and %s has one", PeerName(),
                        DescribeProcess(options_.process_id, addresses_)));
  }
  peer_hello_.assign(bytes.begin(), bytes.end());
  std::span<const std::byte> mac;
  std::array<std::byte, kMacBytes> own_mac;
  if (!options_.secret.empty()) {
    own_mac = Mac(end_);
    mac = own_mac;
  }
  const std::span<const std::byte> proof = encoder_.Proof(mac);
  reply->insert(reply->end(), proof.begin(), proof.end());
  return absl::OkStatus();
}

absl::Status Handshake::ReceiveProof(std::span<const std::byte> mac) {
  if (absl::Status status = CheckProof(mac); !status.ok()) return status;
  if (!difference_.ok()) return Refuse(difference_);
  done_ = true;
  return absl::OkStatus();
}

absl::Status Handshake::ReceiveAbort(const absl::Status& cause) {
  if (options_.secret.empty()) {
    return Refuse(absl::Status(
        cause.code(), absl::StrFormat("%s: %s", PeerName(), std::string(cause.message()))));
  }
  if (speaks_other_version_) return difference_;
  return absl::PermissionDeniedError(
      absl::StrFormat("%s has ended the handshake without a proof that it has the secret of %s",
                      PeerName(), DescribeProcess(options_.process_id, addresses_)));
}

absl::Status Handshake::CheckHello(const HelloFields& hello) {
  if (hello.process < static_cast<uint32_t>(options_.process_count)) {
    peer_ = static_cast<int>(hello.process);
  }
  const std::string peer = DescribeProcess(static_cast<int>(hello.process), addresses_);
  const std::string own = DescribeProcess(options_.process_id, addresses_);
  speaks_other_version_ = hello.version != kWireVersion;
  if (speaks_other_version_) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s speaks version %d of the protocol, and %s version %d: run the same "
                        "release of Headway everywhere",
                        peer, hello.version, own, kWireVersion));
  }
  if (hello.cluster != options_.cluster) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s belongs to the cluster '%s', and %s to '%s'", peer,
                        Printable(hello.cluster), own, options_.cluster));
  }
  if (hello.generation != options_.generation) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s is of generation %d of the cluster, and %s of generation %d", peer,
                        hello.generation, own, options_.generation));
  }
  if (hello.process_count != static_cast<uint32_t>(options_.process_count)) {
    return absl::FailedPreconditionError(absl::StrFormat("%s counts %d processes, and %s counts %d",
                                                         peer, hello.process_count, own,
                                                         options_.process_count));
  }
  if (hello.workers_per_process != static_cast<uint32_t>(options_.workers_per_process)) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s has %d workers, and %s has %d: all processes have the same number",
                        peer, hello.workers_per_process, own, options_.workers_per_process));
  }
  if (hello.process >= hello.process_count) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "a process has the id %d, and the cluster has %d processes, which count from 0",
        hello.process, hello.process_count));
  }
  if (hello.process == static_cast<uint32_t>(options_.process_id)) {
    return absl::FailedPreconditionError(absl::StrFormat("two processes have the id of %s", own));
  }
  if (expected_.has_value() && hello.process != static_cast<uint32_t>(*expected_)) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s answers at the address of %s: the processes differ in the list of addresses", peer,
        DescribeProcess(*expected_, addresses_)));
  }
  if (hello.secret && options_.secret.empty()) {
    return absl::PermissionDeniedError(
        absl::StrFormat("%s has a secret, and %s has none", peer, own));
  }
  return absl::OkStatus();
}

absl::Status Handshake::CheckProof(std::span<const std::byte> mac) const {
  if (options_.secret.empty()) return absl::OkStatus();  // the Hello was accepted, that is all
  const std::array<std::byte, kMacBytes> expected =
      Mac(end_ == End::kConnector ? End::kAcceptor : End::kConnector);
  if (mac.size() == expected.size() &&
      sodium_memcmp(mac.data(), expected.data(), expected.size()) == 0) {
    return absl::OkStatus();
  }
  // Another version may prove itself in another way.
  if (speaks_other_version_) return difference_;
  return absl::PermissionDeniedError(
      absl::StrFormat("%s and %s have different secrets", PeerName(),
                      DescribeProcess(options_.process_id, addresses_)));
}

std::array<std::byte, kMacBytes> Handshake::Mac(End prover) const {
  const std::string_view label =
      prover == End::kConnector ? "headway handshake: connector" : "headway handshake: acceptor";
  const bool is_connector = end_ == End::kConnector;
  const std::vector<std::byte>& connector = is_connector ? hello_ : peer_hello_;
  const std::vector<std::byte>& acceptor = is_connector ? peer_hello_ : hello_;
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state,
                              reinterpret_cast<const unsigned char*>(options_.secret.data()),
                              options_.secret.size());
  crypto_auth_hmacsha256_update(&state, reinterpret_cast<const unsigned char*>(label.data()),
                                label.size());
  // A Hello starts with its size, so where one ends is not in doubt.
  crypto_auth_hmacsha256_update(&state, Unsigned(connector.data()), connector.size());
  crypto_auth_hmacsha256_update(&state, Unsigned(acceptor.data()), acceptor.size());
  std::array<std::byte, kMacBytes> mac;
  crypto_auth_hmacsha256_final(&state, reinterpret_cast<unsigned char*>(mac.data()));
  return mac;
}

}  // namespace headway::internal
