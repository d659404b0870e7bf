#include "bench/headway_bench/harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <span>
#include <utility>

#include "absl/strings/str_format.h"
#include "check.h"
#include "comm/mesh/tcp_mesh.h"
#include "engine/launch/process_mesh.h"
#include "engine/launch/supervisor.h"
#include "engine/run_program.h"

namespace headway::bench {

namespace {

rusage ProcessUsage() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage;
}

double CpuSeconds() {
  const rusage usage = ProcessUsage();
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// The kernel reports kibibytes.
uint64_t PeakRssBytes() { return static_cast<uint64_t>(ProcessUsage().ru_maxrss) * 1024; }

Summary Combine(const std::vector<Summary>& summaries) {
  Summary sum;
  Outcome& total = sum.outcome;
  for (const Summary& summary : summaries) {
    sum.cpu_seconds += summary.cpu_seconds;
    sum.peak_rss_bytes += summary.peak_rss_bytes;
    sum.progress_frames += summary.progress_frames;
    sum.progress_bytes += summary.progress_bytes;
    const Outcome& outcome = summary.outcome;
    total.seconds = std::max(total.seconds, outcome.seconds);
    total.rounds = std::max(total.rounds, outcome.rounds);
    total.records += outcome.records;
    total.bytes += outcome.bytes;
    total.checksum += outcome.checksum;
    if (outcome.ns_per_round.has_value()) {
      total.ns_per_round = std::max(total.ns_per_round.value_or(0), *outcome.ns_per_round);
    }
    total.latencies.Merge(outcome.latencies);
    if (total.figures.empty()) total.figures = outcome.figures;
    for (size_t i = 0; i < outcome.figures.size(); ++i) {
      total.figures[i].second = std::max(total.figures[i].second, outcome.figures[i].second);
    }
  }
  return sum;
}

// Names and JSON values, without the fields that mean nothing for this benchmark.
std::vector<std::pair<std::string, std::string>> Fields(const Report& report) {
  const Outcome& outcome = report.total.outcome;
  std::vector<std::pair<std::string, std::string>> fields;
  auto text = [&](const char* name, std::string value) { fields.emplace_back(name, value); };
  auto whole = [&](const char* name, uint64_t value) { text(name, absl::StrFormat("%d", value)); };
  auto real = [&](const char* name, double value) { text(name, absl::StrFormat("%.3f", value)); };

  text("name", absl::StrFormat("\"%s\"", report.name));
  whole("workers", static_cast<uint64_t>(report.workers));
  text("seconds", absl::StrFormat("%.6f", outcome.seconds));
  if (outcome.rounds > 0) whole("rounds", outcome.rounds);
  if (outcome.records > 0) {
    whole("records", outcome.records);
    real("records_per_s", static_cast<double>(outcome.records) / outcome.seconds);
  }
  if (outcome.rounds > 0) {
    real("ns_per_round", outcome.ns_per_round.value_or(outcome.seconds * 1e9 /
                                                       static_cast<double>(outcome.rounds)));
  }
  if (outcome.bytes > 0) {
    real("bytes_per_s", static_cast<double>(outcome.bytes) / outcome.seconds);
  }
  if (!outcome.latencies.empty()) {
    real("p50_us", outcome.latencies.QuantileMicros(0.5));
    real("p99_us", outcome.latencies.QuantileMicros(0.99));
    real("p999_us", outcome.latencies.QuantileMicros(0.999));
  }
  for (const auto& [name, value] : outcome.figures) real(name.c_str(), value);
  whole("checksum", outcome.checksum);
  real("cpu_seconds", report.total.cpu_seconds);
  whole("peak_rss_bytes", report.total.peak_rss_bytes);
  if (outcome.rounds > 0 && report.total.progress_frames > 0) {
    const auto rounds = static_cast<double>(outcome.rounds);
    real("progress_frames_per_round", static_cast<double>(report.total.progress_frames) / rounds);
    real("progress_bytes_per_round", static_cast<double>(report.total.progress_bytes) / rounds);
  }
  return fields;
}

}  // namespace

std::string Report::ToText() const {
  std::string text;
  for (auto& [field, value] : Fields(*this)) {
    std::erase(value, '"');
    absl::StrAppendFormat(&text, "%-26s%s\n", field, value);
  }
  return text;
}

std::string Report::ToJson() const {
  std::string json = "{";
  for (const auto& [field, value] : Fields(*this)) {
    absl::StrAppendFormat(&json, "%s\"%s\":%s", json.size() > 1 ? "," : "", field, value);
  }
  return json + "}\n";
}

ProgressLine::ProgressLine(std::string_view name, bool shown) : name_(name) {
  if (shown && isatty(STDERR_FILENO) != 0) thread_ = std::thread([this] { Run(); });
}

ProgressLine::~ProgressLine() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopping_.notify_one();
  thread_.join();
}

void ProgressLine::Run() {
  constexpr auto kPeriod = std::chrono::milliseconds(500);
  constexpr const char* kClearLine = "\r\033[K";
  const Stopwatch clock;
  std::unique_lock lock(mutex_);
  while (!stopping_.wait_for(lock, kPeriod, [this] { return stop_; })) {
    const uint64_t total = total_.load(std::memory_order_relaxed);
    const uint64_t done = done_.load(std::memory_order_relaxed);
    std::fprintf(stderr, "%s%s: %.0f s", kClearLine, name_.c_str(), clock.Seconds());
    if (total > 0) {
      std::fprintf(stderr, ", %.0f %%",
                   100 * static_cast<double>(done) / static_cast<double>(total));
    }
    std::fflush(stderr);
  }
  std::fputs(kClearLine, stderr);
}

absl::Status Harness::Build() {
  return worker_.Build("harness", [this](Scope<>& scope) { scope.Input(input_) | Probe(probe_); });
}

absl::Status Harness::Barrier() {
  input_.AdvanceTo(input_.time() + 1);
  return worker_.StepWhile([this] { return probe_.LessThan(input_.time()); });
}

absl::Status Harness::Start(uint64_t total) {
  shared_.progress.SetTotal(total);
  HEADWAY_RETURN_IF_ERROR(Barrier());
  cpu_at_start_ = CpuSeconds();
  frames_at_start_ = shared_.traffic.frames;
  bytes_at_start_ = shared_.traffic.bytes;
  clock_ = Stopwatch();
  return absl::OkStatus();
}

absl::Status Harness::SetClocksEqual() {
  uint64_t latest = 0;
  InputHandle<uint64_t> input;
  ProbeHandle<> probe;
  HEADWAY_RETURN_IF_ERROR(worker_.Build("clocks", [&](Scope<>& scope) {
    scope.Input(input) | Unary<uint8_t>("latest", pact::Broadcast{}, [&latest](Capability<>) {
      return [&latest](NodeInput<uint64_t>& in, NodeOutput<uint8_t>&) {
        in.ForEach([&latest](const auto&, Batch<uint64_t>& batch) {
          for (const uint64_t nanos : batch) latest = std::max(latest, nanos);
        });
      };
    }) | Probe(probe);
  }));
  input.Send(Stopwatch::MachineNanos());
  input.Close();
  HEADWAY_RETURN_IF_ERROR(worker_.StepWhile([&probe] { return !probe.Done(); }));
  clock_ = Stopwatch(latest);
  return absl::OkStatus();
}

absl::Status Harness::Finish(Outcome outcome, bool speaks_for_process) {
  HEADWAY_RETURN_IF_ERROR(Barrier());
  Summary summary{.outcome = std::move(outcome)};
  if (speaks_for_process) {
    summary.cpu_seconds = CpuSeconds() - cpu_at_start_;
    summary.peak_rss_bytes = PeakRssBytes();
    summary.progress_frames = shared_.traffic.frames - frames_at_start_;
    summary.progress_bytes = shared_.traffic.bytes - bytes_at_start_;
  }
  InputHandle<Summary> input;
  ProbeHandle<> probe;
  HEADWAY_RETURN_IF_ERROR(worker_.Build("summaries", [&](Scope<>& scope) {
    scope.Input(input) | Unary<Summary>("keep", pact::Gather{}, [this](Capability<>) {
      return [this](NodeInput<Summary>& in, NodeOutput<Summary>&) {
        in.ForEach([this](const auto&, Batch<Summary>& batch) {
          for (Summary& each : batch) {
            shared_.summaries.push_back(std::move(each));
          }
        });
      };
    }) | Probe(probe);
  }));
  input.Send(std::move(summary));
  input.Close();
  return worker_.StepWhile([&probe] { return !probe.Done(); });
}

namespace {

// One process's part. `transport` is null if the process is alone.
absl::Status RunProcess(const Benchmark& benchmark, const Options& options, int process,
                        std::unique_ptr<internal::Transport> transport,
                        absl::FunctionRef<void(const Report&)> print) {
  Harness::Shared shared(benchmark.name, process);
  if (transport != nullptr) {
    transport = std::make_unique<CountingTransport>(std::move(transport), &shared.traffic);
  }
  RunOptions run = {.waiting = options.spin ? Waiting::kSpin : Waiting::kSpinThenPark};
  if (benchmark.configure != nullptr) benchmark.configure(options, run);
  absl::Status status = internal::RunProcess(
      internal::HostProgram([&](Worker& worker) -> absl::Status {
        Harness harness(worker, shared);
        HEADWAY_RETURN_IF_ERROR(harness.Build());
        absl::StatusOr<Outcome> outcome = benchmark.run(worker, harness, options);
        if (!outcome.ok()) return outcome.status();
        return harness.Finish(*std::move(outcome), worker.index() % options.workers == 0);
      }),
      run, options.workers, std::move(transport));
  if (status.ok() && process == 0) {
    print({.name = std::string(benchmark.name),
           .workers = options.workers * options.processes,
           .total = Combine(shared.summaries)});
  }
  return status;
}

// A loopback address on which nothing listens now.
std::string FreeAddress() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  HEADWAY_CHECK(bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  HEADWAY_CHECK(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  close(listener);
  return absl::StrFormat("127.0.0.1:%d", ntohs(address.sin_port));
}

}  // namespace

absl::Status Run(const Benchmark& benchmark, const Options& options,
                 absl::FunctionRef<void(const Report&)> print) {
  if (options.processes == 1) return RunProcess(benchmark, options, 0, nullptr, print);
  std::vector<std::string> addresses;
  for (int i = 0; options.tcp && i < options.processes; ++i) addresses.push_back(FreeAddress());
  return internal::RunChildProcesses(
      {.process_count = options.processes},
      [&](int process, std::span<const int> sockets) -> absl::Status {
        const internal::MeshOptions mesh_options =
            internal::MeshOptionsOf({}, process, options.processes, options.workers);
        auto mesh = options.tcp ? internal::TcpMesh::Connect(mesh_options, addresses)
                                : internal::TcpMesh::FromSockets(mesh_options, sockets);
        if (!mesh.ok()) return mesh.status();
        return RunProcess(benchmark, options, process, *std::move(mesh), print);
      });
}

}  // namespace headway::bench
