// `headway-bench SUBCOMMAND`: whole dataflows, measured. Start reading in benchmarks.h.

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "bench/headway_bench/benchmarks.h"

using namespace headway::bench;

namespace {

std::string Overview(const std::vector<Benchmark>& benchmarks) {
  std::string text =
      "usage: headway-bench SUBCOMMAND [arguments] [-w WORKERS] [-p PROCESSES] [--spin] [--json]\n";
  for (const Benchmark& benchmark : benchmarks) {
    absl::StrAppendFormat(&text, "  %-16s %s\n", benchmark.name, benchmark.summary);
  }
  return text + "headway-bench SUBCOMMAND --help prints the arguments of a subcommand.\n";
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Benchmark> benchmarks = {
      BarrierBenchmark(),    ExchangeBenchmark(),    PingpongBenchmark(),  EventDrivenBenchmark(),
      KeyedCountBenchmark(), WordcountBenchmark(),   MapChainBenchmark(),  ExchangeChainBenchmark(),
      BfsBenchmark(),        UnionfindBenchmark(),   PagerankBenchmark(),  OpenloopBenchmark(),
      RecoveryBenchmark(),   HandwrittenBenchmark(), CacheLineBenchmark(), JoinBenchmark(),
      ParseBenchmark(),      WindowBenchmark(),      SessionBenchmark(),   NexmarkBenchmark()};
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    std::fputs(Overview(benchmarks).c_str(), words.empty() ? stderr : stdout);
    return words.empty() ? 2 : 0;
  }

  const Benchmark* benchmark = nullptr;
  for (const Benchmark& known : benchmarks) {
    if (known.name == words[0]) benchmark = &known;
  }
  if (benchmark == nullptr) {
    absl::FPrintF(stderr, "headway-bench: no subcommand '%s'\n%s", words[0], Overview(benchmarks));
    return 2;
  }
  absl::StatusOr<Options> options = Options::Parse(std::span(words).subspan(1), benchmark->name,
                                                   benchmark->arguments, benchmark->file_help);
  if (!options.ok()) {
    absl::FPrintF(stderr, "headway-bench: %s", options.status().message());
    return 2;
  }
  if (options->help) {
    absl::PrintF("headway-bench %s: %s\n%s", benchmark->name, benchmark->summary,
                 DescribeArguments(benchmark->arguments, benchmark->file_help));
    return 0;
  }

  const absl::Status status = Run(*benchmark, *options, [&](const Report& report) {
    std::fputs((options->json ? report.ToJson() : report.ToText()).c_str(), stdout);
  });
  if (!status.ok()) {
    absl::FPrintF(stderr, "headway-bench: %s\n", status.ToString());
    return 1;
  }
  return 0;
}
