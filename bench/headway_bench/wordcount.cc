// Splits lines of text into words and counts them.

#include <fstream>
#include <ranges>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/steps.h"

namespace headway::bench {

namespace {

// Each epoch has about this much text from each worker.
constexpr size_t kEpochBytes = size_t{1} << 20;
// The worker steps between lines, so that batches flow while they are in the cache.
constexpr uint64_t kLinesPerStep = 1024;

using WordChange = std::pair<std::string, int64_t>;
using WordCounts = FlatTable<std::string, int64_t>;

// Words in columns, the form of a Stream<std::string>.
Stream<Nothing> CountWords(const Stream<std::string>& lines, WordCounts& counts) {
  return lines | FlatMap("split", [](BatchString line) { return Words(line); }) |
         Unary<Nothing>("count", pact::Exchange{std::identity()}, [&counts](Capability<>) {
           return [&counts](NodeInput<std::string>& in, NodeOutput<Nothing>&) {
             in.ForEach([&](const CapabilityRef<Epoch>&, Batch<std::string>& batch) {
               counts.AtEach(
                   batch.size(), [&](size_t i) { return std::as_const(batch)[i]; },
                   [](size_t, int64_t& count) { ++count; });
             });
           };
         });
}

// Words, each with the change of its count.
Stream<Nothing> CountChanges(const Stream<std::string>& lines, WordCounts& counts) {
  return lines |
         FlatMap("split",
                 [](BatchString line) {
                   return Words(line) | std::views::transform([](BatchString word) {
                            return std::pair<BatchString, int64_t>(word, 1);
                          });
                 }) |
         Unary<Nothing>("count", pact::Exchange{[](const auto& change) { return change.first; }},
                        [&counts](Capability<>) {
                          return [&counts](NodeInput<WordChange>& in, NodeOutput<Nothing>&) {
                            in.ForEach([&](const CapabilityRef<Epoch>&, Batch<WordChange>& batch) {
                              counts.AtEach(
                                  batch.size(), [&](size_t i) { return batch[i].first; },
                                  [&](size_t i, int64_t& count) { count += batch[i].second; });
                            });
                          };
                        });
}

// This worker's lines: generated ones, or the lines that begin in its part of the file.
absl::StatusOr<std::string> OwnText(const Worker& worker, const Options& options) {
  if (options.file.empty()) {
    return Text(Share(LineCount(options.number("bytes")), worker.index(), worker.count()),
                options.number("words"));
  }
  std::ifstream file(options.file, std::ios::binary);
  std::stringstream contents;
  if (!file || !(contents << file.rdbuf())) {
    return absl::NotFoundError(absl::StrFormat("cannot read '%s'", options.file));
  }
  const std::string text = std::move(contents).str();
  const Range part = Share(text.size(), worker.index(), worker.count());
  auto line_start = [&](uint64_t at) {
    if (at == 0) return size_t{0};
    const size_t newline = text.find('\n', at - 1);
    return newline == text.npos ? text.size() : newline + 1;
  };
  const size_t begin = line_start(part.first);
  return text.substr(begin, line_start(part.last) - begin);
}

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  absl::StatusOr<std::string> text = OwnText(worker, options);
  if (!text.ok()) return text.status();
  WordCounts counts;

  InputHandle<std::string> input;
  ProbeHandle<> probe;
  HEADWAY_RETURN_IF_ERROR(worker.Build("wordcount", [&](Scope<>& scope) {
    Stream<std::string> lines = scope.Input(input);
    (options.flag("strings") ? CountChanges(lines, counts) : CountWords(lines, counts)) |
        Probe(probe);
  }));

  HEADWAY_RETURN_IF_ERROR(harness.Start(text->size()));
  std::string_view rest = *text;
  uint64_t lines = 0;
  while (!rest.empty()) {
    for (size_t taken = 0; !rest.empty() && taken < kEpochBytes;) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      input.Send(line);
      const size_t length = std::min(line.size() + 1, rest.size());
      rest.remove_prefix(length);
      taken += length;
      if (++lines % kLinesPerStep == 0) HEADWAY_RETURN_IF_ERROR(worker.Step());
    }
    input.AdvanceTo(input.time() + 1);
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(input.time()); }));
    harness.SetDone(text->size() - rest.size());
  }
  // Other workers may have more text, so this one closes its input instead of opening a further
  // epoch.
  const uint64_t epochs = input.time();
  input.Close();
  HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return !probe.Done(); }));

  Outcome outcome = {.seconds = harness.clock().Seconds(),
                     .rounds = epochs,
                     .records = lines,
                     .bytes = text->size()};
  counts.ForEach([&](std::string_view word, int64_t count) {
    outcome.checksum += WordContribution(word, count);
  });
  return outcome;
}

}  // namespace

Benchmark WordcountBenchmark() {
  return {.name = "wordcount",
          .summary = "splits lines of text into words and counts them",
          .arguments = {Number("bytes", 200'000'000, "bytes of text to generate"),
                        Number("words", 100'000, "distinct word numbers"),
                        Flag("columnar", "words travel in columns: the default"),
                        Flag("strings", "words travel as pairs of a string and a number")},
          .run = Run,
          .file_help = "read this file instead of generating text"};
}

}  // namespace headway::bench
