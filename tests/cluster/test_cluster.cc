#include "tests/cluster/test_cluster.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <tuple>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "check.h"
#include "comm/codec/codec.h"

namespace headway {
namespace {

using internal::FileDescriptor;

// code, message, start and end of the body in microseconds of Unix time, lines
using EncodedReport = std::tuple<int, std::string, int64_t, int64_t, std::vector<std::string>>;

std::pair<FileDescriptor, FileDescriptor> MakePipe() {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

void WriteAll(int descriptor, const std::vector<std::byte>& bytes) {
  for (size_t written = 0; written < bytes.size();) {
    const ssize_t count = write(descriptor, bytes.data() + written, bytes.size() - written);
    if (count <= 0) std::abort();
    written += static_cast<size_t>(count);
  }
}

// Reads the next bytes; none at the end. Fails the test if neither comes until `deadline`.
std::vector<std::byte> ReadSome(int descriptor, absl::Time deadline) {
  pollfd readable = {descriptor, POLLIN, 0};
  const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
  const int ready = poll(&readable, 1, static_cast<int>(std::max<int64_t>(left, 0)));
  REQUIRE_MESSAGE(ready == 1, "a process neither ends nor does what it should");
  std::vector<std::byte> bytes(1 << 16);
  const ssize_t count = read(descriptor, bytes.data(), bytes.size());
  REQUIRE(count >= 0);
  bytes.resize(static_cast<size_t>(count));
  return bytes;
}

bool IsReadable(int descriptor) {
  pollfd readable = {descriptor, POLLIN, 0};
  return poll(&readable, 1, 0) == 1;
}

[[noreturn]] void RunChild(pid_t parent, const TestCluster::Body& body,
                           const FileDescriptor& report, const FileDescriptor& signals) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  // The system wakes up the frozen processes of a group when the shell that started it ends.
  setpgid(0, 0);
  for (const int number : {SIGINT, SIGTERM, SIGABRT, SIGSEGV}) signal(number, SIG_DFL);
  std::vector<std::string> lines;
  absl::Status status;
  const absl::Time start = absl::Now();
  try {
    status = body(ToTest(signals.get()), lines);
  } catch (const std::exception& error) {
    status = absl::UnknownError(absl::StrFormat("the process threw: %s", error.what()));
  }
  WriteAll(report.get(), EncodeToBytes(EncodedReport(
                             status.raw_code(), std::string(status.message()),
                             absl::ToUnixMicros(start), absl::ToUnixMicros(absl::Now()), lines)));
  _exit(0);
}

}  // namespace

void ToTest::Signal() const {
  if (write(pipe_, "", 1) != 1) std::abort();
}

FileDescriptor ReservePort(std::string* address) {
  FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in bound = {};
  bound.sin_family = AF_INET;
  bound.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(bound);
  HEADWAY_CHECK(bind(socket.get(), reinterpret_cast<sockaddr*>(&bound), size) == 0);
  HEADWAY_CHECK(getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &size) == 0);
  *address = absl::StrFormat("127.0.0.1:%d", ntohs(bound.sin_port));
  return socket;
}

TestCluster::TestCluster(int process_count) : children_(static_cast<size_t>(process_count)) {
  for (int process = 0; process < process_count; ++process) {
    reserved_.push_back(ReservePort(&addresses_.emplace_back()));
  }
  options.addresses = addresses_;
  options.run.cluster.connect_timeout = kGiveUp / 2;
}

TestCluster::~TestCluster() {
  for (const Child& child : children_) {
    if (child.pid == 0) continue;
    kill(child.pid, SIGKILL);
    waitpid(child.pid, nullptr, 0);
  }
}

ClusterOptions TestCluster::OptionsOf(int process) const {
  ClusterOptions own = options;
  own.proc_id = process;
  return own;
}

int TestCluster::Start(int process, const Body& body) {
  auto number = static_cast<size_t>(process);
  if (children_[number].report.is_open()) {
    number = children_.size();
    children_.emplace_back();
  }
  Child& child = children_[number];
  auto [report, report_in] = MakePipe();
  auto [signals, signals_in] = MakePipe();
  const pid_t parent = getpid();
  child.pid = fork();
  REQUIRE(child.pid >= 0);
  if (child.pid == 0) RunChild(parent, body, report_in, signals_in);
  child.report = std::move(report);
  child.signals = std::move(signals);
  return static_cast<int>(number);
}

int TestCluster::Start(int process, const Dataflow& dataflow) {
  return Start(process, dataflow, OptionsOf(process));
}

int TestCluster::Start(int process, const Dataflow& dataflow, const ClusterOptions& its_options) {
  return Start(process, [&](const ToTest&, std::vector<std::string>&) {
    return ClusterMain(dataflow, its_options);
  });
}

void TestCluster::AwaitSignal(int number) {
  char byte;
  const int pipe = children_[static_cast<size_t>(number)].signals.get();
  pollfd readable = {pipe, POLLIN, 0};
  REQUIRE(poll(&readable, 1, static_cast<int>(absl::ToInt64Milliseconds(kGiveUp))) == 1);
  if (read(pipe, &byte, 1) != 1) {
    const Outcome outcome = Wait(number);
    FAIL("process ", number, " ended before its signal: ", outcome.status.ToString());
  }
}

bool TestCluster::HasSignal(int number) const {
  return IsReadable(children_[static_cast<size_t>(number)].signals.get());
}

bool TestCluster::HasEnded(int number) const {
  return IsReadable(children_[static_cast<size_t>(number)].report.get());
}

Outcome TestCluster::Wait(int number) {
  Child& child = children_[static_cast<size_t>(number)];
  REQUIRE(child.pid != 0);
  const absl::Time deadline = absl::Now() + kGiveUp;
  std::vector<std::byte> bytes;
  while (true) {
    const std::vector<std::byte> more = ReadSome(child.report.get(), deadline);
    if (more.empty()) break;
    bytes.insert(bytes.end(), more.begin(), more.end());
  }
  waitpid(std::exchange(child.pid, 0), nullptr, 0);
  Outcome outcome;
  EncodedReport report;
  outcome.reported = DecodeFromBytes(bytes, &report);
  auto& [code, message, start, end, lines] = report;
  outcome.status = absl::Status(static_cast<absl::StatusCode>(code), message);
  outcome.took = absl::Microseconds(end - start);
  outcome.ended = absl::FromUnixMicros(end);
  outcome.lines = std::move(lines);
  return outcome;
}

std::vector<Outcome> TestCluster::WaitForAll() {
  std::vector<Outcome> outcomes(children_.size());
  for (size_t number = 0; number < children_.size(); ++number) {
    if (children_[number].pid != 0) outcomes[number] = Wait(static_cast<int>(number));
  }
  return outcomes;
}

void TestCluster::SendSignal(int number, int signal_number) const {
  REQUIRE(kill(pid(number), signal_number) == 0);
}

void CheckFailed(const Outcome& outcome, absl::StatusCode code,
                 const std::vector<std::string>& parts) {
  INFO(outcome.status.ToString());
  CHECK(outcome.reported);
  CHECK(outcome.status.code() == code);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(std::string(outcome.status.message()).find(part) != std::string::npos);
  }
}

void CheckEndedWell(const Outcome& outcome) {
  CHECK(outcome.reported);
  CHECK_MESSAGE(outcome.status.ok(), outcome.status.ToString());
}

std::string NameOf(int process) { return absl::StrFormat("process %d (", process); }

}  // namespace headway
