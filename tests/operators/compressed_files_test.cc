// Files of gzip and zstd have the lines of their plain text, whatever pieces they consist of;
// damaged ones are errors that say where.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/comm/test_seed.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"
#include "tests/operators/compress.h"
#include "tests/operators/resumed_runs.h"
#include "tests/temporary_directory.h"

namespace headway {
namespace {

using absl::StatusCode;

std::vector<std::string> SortedLines(const std::string& text) {
  std::vector<std::string> lines;
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t end = text.find('\n', begin);
    std::string line = text.substr(begin, end == std::string::npos ? end : end - begin);
    if (end != std::string::npos && line.ends_with('\r')) line.pop_back();
    lines.push_back(line);
    begin = end == std::string::npos ? text.size() : end + 1;
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

// Lines that do not compress to nothing.
std::string RandomText(uint64_t seed, size_t bytes) {
  std::mt19937_64 random(seed);
  std::string text;
  while (text.size() < bytes) {
    text += std::to_string(random()) + std::string(random() % 50, 'x') +
            (random() % 8 == 0 ? "\r\n" : "\n");
  }
  return text;
}

absl::Status ReadLines(const std::vector<std::string>& paths, Shape shape,
                       std::vector<std::string>* lines) {
  Collected<std::string> collected;
  Dataflow flow("lines", [&](Scope<>& scope) {
    scope.Input("lines", FileLines(paths)) | CollectInto("collect", collected);
  });
  absl::Status status = RunInShape(flow, shape);
  *lines = collected.Sorted();
  return status;
}

void CheckLines(const std::string& path, const std::string& text) {
  std::vector<std::string> lines;
  CheckOk(ReadLines({path}, {1, 2}, &lines));
  const bool equal = lines == SortedLines(text);
  CHECK_MESSAGE(equal, lines.size() << " lines");
}

TEST_CASE("compressed files are read like plain ones, in each shape of cluster") {
  TemporaryDirectory dir;
  const std::string a = RandomText(1, 700'000);
  const std::string b = RandomText(2, 300'000);
  const std::string c = "1\r\n\n2";
  const std::vector<std::string> paths = {dir.Write("a.gz", Gzip(a)), dir.Write("b.zst", Zstd(b)),
                                          dir.Write("no suffix", Gzip(c)),
                                          dir.Write("plain", a + b)};
  const std::vector<std::string> expected = SortedLines(a + b + c + "\n" + a + b);
  for (Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    std::vector<std::string> lines;
    CheckOk(ReadLines(paths, shape, &lines));
    const bool equal = lines == expected;
    CHECK_MESSAGE(equal, lines.size() << " lines instead of " << expected.size());
  }
}

TEST_CASE("files of several streams, of empty ones, and with zeros behind the end of gzip") {
  TemporaryDirectory dir;
  for (auto* compress : {&Gzip, &Zstd}) {
    const std::string empty = compress("");
    CheckLines(dir.Write("empty", empty), "");
    CheckLines(dir.Write("empties", empty + empty + empty), "");
    CheckLines(dir.Write("no end", compress("a\nb")), "a\nb");
    CheckLines(dir.Write("several", compress("a\nb") + empty + compress("c\n") + compress("x")),
               "a\nbc\nx");
    const std::string large = RandomText(3, 600'000);
    CheckLines(dir.Write("large", compress(large) + compress(large)), large + large);
    const std::string long_line(3'000'000, 'x');
    CheckLines(dir.Write("long line", compress(long_line + "\nb")), long_line + "\nb");
  }
  CheckLines(dir.Write("padded", Gzip("a\nb") + std::string(1000, '\0')), "a\nb");
}

TEST_CASE("a truncated file is an error that names it and its length") {
  TemporaryDirectory dir;
  for (auto* compress : {&Gzip, &Zstd}) {
    const std::string whole = compress(RandomText(4, 400'000));
    for (const size_t length : {size_t{5}, size_t{19}, whole.size() / 2, whole.size() - 1}) {
      CAPTURE(length);
      std::vector<std::string> lines;
      const std::string path = dir.Write("cut", whole.substr(0, length));
      CheckError(ReadLines({path}, {1, 2}, &lines), StatusCode::kDataLoss,
                 {"step 'lines'", "'" + path + "' is truncated",
                  "ends at byte " + std::to_string(length)});
    }
  }
}

TEST_CASE("malformed bytes are an error that names the file and where they are") {
  TemporaryDirectory dir;
  for (auto* compress : {&Gzip, &Zstd}) {
    std::string bytes = compress(RandomText(5, 400'000));
    for (size_t i = 0; i < 16; ++i) bytes[bytes.size() / 2 + i] = static_cast<char>(17 * i);
    std::vector<std::string> lines;
    std::string path = dir.Write("damaged", bytes);
    CheckError(ReadLines({path}, {1, 1}, &lines), StatusCode::kDataLoss,
               {"step 'lines'", "'" + path + "' is malformed", "data behind byte "});
    path = dir.Write("garbage", compress("a\n") + "garbage");
    CheckError(ReadLines({path}, {1, 1}, &lines), StatusCode::kDataLoss,
               {"'" + path + "' is malformed"});
  }
  const std::string path = dir.Write("zeros", Gzip("a\n") + std::string(3, '\0') + "b");
  std::vector<std::string> lines;
  CheckError(ReadLines({path}, {1, 1}, &lines), StatusCode::kDataLoss,
             {"'" + path + "' is malformed", "other bytes follow the zeros"});
}

TEST_CASE("bytes that are as good as random, behind a good beginning, never crash") {
  TemporaryDirectory dir;
  const uint64_t seed = internal::TestSeed("random compressed bytes");
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (auto* compress : {&Gzip, &Zstd}) {
    const std::string whole = compress(RandomText(6, 3000));
    for (int round = 0; round < 20; ++round) {
      std::string bytes = whole;
      for (int changes = 0; changes < 3; ++changes) {
        bytes[4 + random() % (bytes.size() - 4)] = static_cast<char>(random());
      }
      std::vector<std::string> lines;
      const absl::Status status = ReadLines({dir.Write("file", bytes)}, {1, 1}, &lines);
      CAPTURE(status.ToString());
      CHECK((status.ok() || status.code() == StatusCode::kDataLoss));
    }
  }
}

TEST_CASE("a compressed file is continued in its middle, by other numbers of workers") {
  TemporaryDirectory dir;
  const std::string a = RandomText(7, 60'000);
  const std::string b = RandomText(8, 600'000);
  const std::vector<std::string> paths = {dir.Write("a.gz", Gzip(a)), dir.Write("b.zst", Zstd(b)),
                                          dir.Write("c", a)};
  ResumedRuns<FileLines> runs{FileLines(paths)};
  std::vector<std::string> all;
  for (int workers : {1, 3, 2, 1}) {
    std::vector<std::string> lines;
    CheckOk(runs.Run(workers, &lines, workers == 1 && !all.empty() ? 1'000'000 : 5));
    all.insert(all.end(), lines.begin(), lines.end());
  }
  std::sort(all.begin(), all.end());
  const bool equal = all == SortedLines(a + b + a);
  CHECK_MESSAGE(equal, all.size() << " lines");
}

TEST_CASE("a run that resumes reads what was added to a compressed file") {
  TemporaryDirectory dir;
  const std::string path = dir.Write("log.gz", Gzip("a\nb\nc"));
  ResumedRuns<FileLines> runs{FileLines(path)};
  std::vector<std::string> lines;
  CheckOk(runs.Run(2, &lines));
  CHECK(lines == std::vector<std::string>{"a", "b", "c"});
  CheckOk(runs.Run(1, &lines));
  CHECK(lines.empty());
  dir.Write("log.gz", Gzip("a\nb\nc") + Gzip("x\ny"));
  CheckOk(runs.Run(3, &lines));
  CHECK(lines == std::vector<std::string>{"cx", "y"});
  dir.Write("log.gz", Gzip("a\nb\nc") + Gzip("x\ny") + Gzip("\nf\n"));
  CheckOk(runs.Run(1, &lines));
  CHECK(lines == std::vector<std::string>{"f"});
  dir.Write("log.gz", Gzip("a\n"));
  CheckError(runs.Run(1, &lines), StatusCode::kDataLoss,
             {"'" + path + "' has 2 bytes when it is decompressed, but the last run had read 11"});
}

}  // namespace
}  // namespace headway
