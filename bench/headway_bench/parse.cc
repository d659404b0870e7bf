// Reads a file of CSV or JSON lines into structs, and does the same in a loop without an engine.

#include <fcntl.h>
#include <simdjson.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_format.h"
#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/steps.h"
#include "operators/io/csv_parser.h"
#include "operators/io/line_reader.h"

namespace headway::bench {

namespace {

struct Trade {
  std::string symbol;
  double price = 0;
  int64_t quantity = 0;
  int64_t user = 0;
};
HEADWAY_COLUMNS(Trade, symbol, price, quantity, user);

uint64_t Contribution(const Trade& trade) {
  return static_cast<uint64_t>(trade.price * 100) ^ static_cast<uint64_t>(trade.quantity << 20) ^
         static_cast<uint64_t>(trade.user) ^ trade.symbol.size();
}

std::string Lines(uint64_t bytes, bool json) {
  std::string text = json ? "" : "time,symbol,side,price,quantity,user,note\n";
  for (uint64_t number = 0; text.size() < bytes; ++number) {
    const uint64_t random = SplitMix64(number);
    const int day = static_cast<int>(number % 28 + 1);
    const auto symbol = static_cast<int>(random % 500);
    const char* const side = random % 2 == 0 ? "buy" : "sell";
    const double price = static_cast<double>(random >> 16 & 0xffffff) / 100;
    const auto quantity = static_cast<int>(random >> 40 & 1023);
    const auto user = static_cast<int>(random >> 44);
    if (json) {
      absl::StrAppendFormat(
          &text,
          "{\"time\":\"2024-01-%02dT03:04:05Z\",\"symbol\":\"S%d\",\"side\":"
          "\"%s\",\"price\":%.2f,\"quantity\":%d,\"user\":%d,\"note\":\"a, b\"}\n",
          day, symbol, side, price, quantity, user);
    } else {
      absl::StrAppendFormat(&text, "2024-01-%02dT03:04:05Z,S%d,%s,%.2f,%d,%d,\"a, b\"\n", day,
                            symbol, side, price, quantity, user);
    }
  }
  return text;
}

// The loop over CSV with the parser of the library.
uint64_t ParseCsv(std::string_view text) {
  internal::CsvParser parser(',');
  uint64_t checksum = 0;
  std::string buffer;
  bool is_header = true;
  for (size_t begin = 0; begin < text.size();) {
    const char* const row = text.data() + begin;
    const char* const end = parser.FindEnd(row, 0, text.size() - begin);
    if (end == nullptr || parser.Finish({row, static_cast<size_t>(end - row)}) != nullptr) {
      std::abort();
    }
    begin += static_cast<size_t>(end - row) + 1;
    if (std::exchange(is_header, false)) continue;
    Trade trade;
    const auto read = [&](size_t index, auto& value) {
      if (!internal::TextToValue(parser.TextOf(parser.fields()[index], buffer), value)) {
        std::abort();
      }
    };
    read(1, trade.symbol);
    read(3, trade.price);
    read(4, trade.quantity);
    read(5, trade.user);
    checksum += Contribution(trade);
  }
  return checksum;
}

// The loop over JSON with simdjson.
uint64_t ParseJson(std::string_view text) {
  simdjson::dom::parser parser;
  uint64_t checksum = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    simdjson::dom::element line;
    Trade trade;
    std::string_view symbol;
    if (parser.parse(text.data() + begin, end - begin, false).get(line) != simdjson::SUCCESS ||
        line["symbol"].get(symbol) != simdjson::SUCCESS ||
        line["price"].get(trade.price) != simdjson::SUCCESS ||
        line["quantity"].get(trade.quantity) != simdjson::SUCCESS ||
        line["user"].get(trade.user) != simdjson::SUCCESS) {
      std::abort();
    }
    trade.symbol = symbol;
    checksum += Contribution(trade);
    begin = end + 1;
  }
  return checksum;
}

// Reads the file into `text`, which has room for it.
void ReadFile(const std::string& path, std::string& text) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  size_t size = 0;
  for (ssize_t got = 1; got > 0 && size < text.size(); size += static_cast<size_t>(got)) {
    got = read(file, text.data() + size, text.size() - size);
  }
  close(file);
}

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  const bool json = options.flag("json");
  std::string path = (std::filesystem::temp_directory_path() / "headway-parse-XXXXXX").string();
  const int file = mkstemp(path.data());
  if (file < 0) return absl::ErrnoToStatus(errno, "cannot create a file in " + path);
  const absl::Cleanup remove = [&] { unlink(path.c_str()); };
  std::string text = Lines(options.number("bytes"), json);
  const bool is_written =
      write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(file);
  if (!is_written) return absl::ResourceExhaustedError("cannot write to " + path);
  text.reserve(text.size() + internal::LineReader::kPadding);

  Outcome outcome{.rounds = options.number("rounds")};
  double bare_seconds = 0;
  HEADWAY_RETURN_IF_ERROR(harness.Start(outcome.rounds));
  // The loop and the dataflow take turns, so that both see the same machine.
  for (uint64_t round = 0; round < outcome.rounds; ++round) {
    const Stopwatch bare;
    ReadFile(path, text);
    const uint64_t expected = json ? ParseJson(text) : ParseCsv(text);
    bare_seconds += bare.Seconds();

    const Stopwatch dataflow;
    uint64_t checksum = 0;
    uint64_t records = 0;
    ProbeHandle<> probe;
    HEADWAY_RETURN_IF_ERROR(worker.Build("parse", [&](Scope<>& scope) {
      const Stream<Trade> trades = json ? scope.Input("file", JsonLines<Trade>(path))
                                        : scope.Input("file", CsvFile<Trade>(path));
      trades | Inspect("check", [&](const Trade& trade) {
        checksum += Contribution(trade);
        ++records;
      }) | Probe(probe);
    }));
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return !probe.Done(); }));
    outcome.seconds += dataflow.Seconds();
    outcome.records += records;
    outcome.bytes += text.size();
    outcome.checksum += checksum;
    if (checksum != expected) {
      return absl::InternalError("the records of the source are not those of the loop");
    }
    harness.SetDone(round);
  }
  outcome.figures.emplace_back("bare_mb_per_s",
                               static_cast<double>(outcome.bytes) / 1e6 / bare_seconds);
  outcome.figures.emplace_back("ratio_to_bare", bare_seconds / outcome.seconds);
  return outcome;
}

}  // namespace

Benchmark ParseBenchmark() {
  return {.name = "parse",
          .summary = "reads CSV or JSON lines, and does so in a loop without an engine (-w 1)",
          .arguments = {Number("bytes", 100'000'000, "size of the file"),
                        Number("rounds", 5, "times that it is read in each way"),
                        Flag("json", "JSON lines instead of CSV")},
          .run = Run};
}

}  // namespace headway::bench
