// FileLines reads each line once, whatever is in the files and however many workers share them, and
// says which file is wrong.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/comm/test_seed.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/snapshot_store.h"
#include "tests/engine/thread_cluster.h"
#include "tests/operators/not_root.h"
#include "tests/operators/resumed_runs.h"
#include "tests/sanitizers.h"
#include "tests/temporary_directory.h"

namespace headway {
namespace {

using absl::StatusCode;

constexpr size_t kStripe = size_t{1} << 20;

// Different lines of about 1,000 bytes: many stripes, but not so many strings to sort.
std::string LongLines(size_t bytes) {
  std::string content;
  while (content.size() < bytes) {
    content += std::to_string(content.size()) + std::string(1000, '.') + "\n";
  }
  return content;
}

// The lines as std::getline has them, sorted.
std::vector<std::string> ExpectedLines(const std::vector<std::string>& paths) {
  std::vector<std::string> lines;
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    for (std::string line; std::getline(file, line);) {
      // getline does not see whether the last line had an end; without one '\r' is its last byte.
      if (!line.empty() && line.back() == '\r' && !file.eof()) line.pop_back();
      lines.push_back(line);
    }
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

absl::Status ReadLines(const std::vector<std::string>& paths, RunOptions options,
                       std::vector<std::string>* lines) {
  Collected<std::string> collected;
  Dataflow flow("lines", [&](Scope<>& scope) {
    scope.Input("lines", FileLines(paths)) | CollectInto("collect", collected);
  });
  absl::Status status = RunMain(flow, options);
  *lines = collected.Sorted();
  return status;
}

void CheckLines(const std::vector<std::string>& paths) {
  const std::vector<std::string> expected = ExpectedLines(paths);
  uintmax_t bytes = 0;
  for (const std::string& path : paths) bytes += std::filesystem::file_size(path);
  for (int workers : kWorkerCounts) {
    // A sanitizer looks at every byte.
    if (kSanitized && bytes > 100'000 && workers != 3) continue;
    CAPTURE(workers);
    std::vector<std::string> lines;
    CheckOk(ReadLines(paths, {.worker_count = workers}, &lines));
    // Not CHECK(lines == expected): it would print megabytes.
    const bool equal = lines == expected;
    CHECK_MESSAGE(equal, lines.size() << " lines instead of " << expected.size());
  }
}

TEST_CASE("files without content, without a last line end, with empty lines, with CRLF") {
  TemporaryDirectory dir;
  for (const std::string content :
       {"", "\n", "\n\n\n", "a", "a\n", "a\nb", "\na", "a\r\nb\r\n", "\r\n", "\r\n\r\n", "a\r",
        "a\rb\n", "a\r\r\nb", "\r", "a\n\r"}) {
    CAPTURE(content);
    CheckLines({dir.Write("file", content)});
  }
}

TEST_CASE("bytes that are no text are lines like others") {
  TemporaryDirectory dir;
  std::string content = "caf\xe9\n\xff\xfe\n\xc3\n\x80\x80\x80\n\xed\xa0\x80\n";
  content += std::string("zero\0inside\n", 12);
  for (int byte = 0; byte < 256; ++byte) content += static_cast<char>(byte);
  CheckLines({dir.Write("file", content)});
}

TEST_CASE("no files at all, and several ones, with empty ones among them") {
  TemporaryDirectory dir;
  CheckLines({});
  CheckLines({dir.Write("empty1", ""), dir.Write("one", "1\n2\n3"), dir.Write("empty2", ""),
              dir.Write("two", "4\n5\n"), dir.Write("empty3", "")});
  std::string same = dir.Write("same", "x\ny\n");
  CheckLines({same, same, same});
}

TEST_CASE("line ends at, before and after the borders of stripes") {
  TemporaryDirectory dir;
  for (int before = -2; before <= 2; ++before) {
    CAPTURE(before);
    // Lines that end around each of three borders, with short lines between.
    std::string content;
    for (size_t border = 1; border <= 3; ++border) {
      while (content.size() + 100 < border * kStripe) {
        const bool far_away = content.size() + 4000 < border * kStripe;
        content += std::to_string(content.size()) + std::string(far_away ? 1000 : 60, 'y') + "\n";
      }
      const size_t end = border * kStripe + static_cast<size_t>(before + 2) - 2;
      content += std::string(end - content.size(), 'x') + "\n";
    }
    CheckLines({dir.Write("open", content + "last")});
    CheckLines({dir.Write("closed", content)});
    CheckLines({dir.Write("crlf", content.substr(0, content.size() - 1) + "\r\nlast\r\n")});
  }
}

TEST_CASE("a file of exactly one or two stripes") {
  TemporaryDirectory dir;
  for (size_t size : {kStripe - 1, kStripe, kStripe + 1, 2 * kStripe}) {
    CAPTURE(size);
    CheckLines({dir.Write("one line", std::string(size, 'x'))});
    CheckLines({dir.Write("closed", std::string(size - 1, 'x') + "\n")});
  }
  // A stripe of nothing but line ends, or under a sanitizer of many.
  const size_t long_line = Repeated(size_t{0}, kStripe - 10'000);
  CheckLines({dir.Write("empty lines",
                        std::string(long_line, 'x') + std::string(kStripe + 1 - long_line, '\n'))});
}

TEST_CASE("lines of 10 MB among short ones") {
  TemporaryDirectory dir;
  std::string content = "first\n" + std::string(10'000'000, 'a') + "\nbetween\n" +
                        std::string(10'000'000, 'b') + "\r\n" + std::string(3 * kStripe, 'c');
  CheckLines({dir.Write("long", content), dir.Write("short", "1\n2\n")});
}

TEST_CASE("random files") {
  const uint64_t seed = internal::TestSeed("random files");
  std::mt19937_64 random(seed);
  TemporaryDirectory dir;
  for (int round = 0; round < 6; ++round) {
    CAPTURE(seed);
    CAPTURE(round);
    std::vector<std::string> paths;
    for (int file = 0; file < 3; ++file) {
      std::string content;
      const uint64_t longest = uint64_t{1} << (4 + random() % 17);
      const size_t size = random() % std::min(3 * kStripe, Repeated(SIZE_MAX, 2000 * longest));
      while (content.size() < size) {
        content.append(random() % longest, static_cast<char>('a' + random() % 26));
        content += random() % 4 == 0 ? "\r\n" : "\n";
      }
      if (random() % 2 == 0) content += "open end";
      paths.push_back(dir.Write("file" + std::to_string(file), content));
    }
    CheckLines(paths);
  }
}

TEST_CASE("a file that cannot be read is an error that names it, the step and a worker") {
  TemporaryDirectory dir;
  const std::string good = dir.Write("good", "1\n2\n");
  struct Bad {
    std::string path;
    StatusCode code;
  };
  for (const Bad& bad :
       {Bad{(dir / "missing"), StatusCode::kNotFound},
        Bad{(dir / ""), StatusCode::kInvalidArgument},
        Bad{good + "/below", StatusCode::kFailedPrecondition}, Bad{"", StatusCode::kNotFound}}) {
    for (int workers : kWorkerCounts) {
      CAPTURE(workers);
      std::vector<std::string> lines;
      CheckError(ReadLines({good, bad.path}, {.worker_count = workers}, &lines), bad.code,
                 {"'" + bad.path + "'", "step 'lines'", "on worker "});
    }
  }
}

TEST_CASE("a file without the permission to read it") {
  TemporaryDirectory dir;
  const std::string path = dir.Write("secret", "1\n");
  REQUIRE(chmod((dir / "").c_str(), 0755) == 0);
  REQUIRE(chmod(path.c_str(), 0) == 0);
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    std::vector<std::string> lines;
    const NotRoot not_root;
    CheckError(ReadLines({path}, {.worker_count = workers}, &lines), StatusCode::kPermissionDenied,
               {"'" + path + "'", "step 'lines'", "on worker "});
  }
}

TEST_CASE("workers of several processes share the lines of files") {
  TemporaryDirectory dir;
  const std::string content = LongLines(Repeated(10 * kStripe, 3 * kStripe));
  const std::vector<std::string> paths{dir.Write("large", content), dir.Write("small", "a\nb")};
  const std::vector<std::string> expected = ExpectedLines(paths);
  for (Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    Collected<std::string> lines;
    Dataflow flow("lines", [&](Scope<>& scope) {
      scope.Input("lines", FileLines(paths)) | CollectInto("collect", lines);
    });
    CheckOk(RunInShape(flow, shape));
    CHECK(lines.Sorted() == expected);
  }
}

TEST_CASE("a file that becomes shorter while it is read") {
  TemporaryDirectory dir;
  const std::string content = LongLines(10 * kStripe);
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    const std::string path = dir.Write("file", content);
    std::atomic<bool> cut{false};
    Dataflow flow("lines", [&](Scope<>& scope) {
      // The readers have opened the file when the first line comes.
      scope.Input("lines", FileLines(path)) | Inspect("cut", [&](std::string_view) {
        if (!cut.exchange(true)) CHECK(truncate(path.c_str(), 100) == 0);
      });
    });
    absl::Status status = RunMain(flow, {.worker_count = workers});
    CheckError(status, StatusCode::kDataLoss,
               {"'" + path + "' became shorter", "step 'lines'", "on worker "});
  }
}

TEST_CASE("a file that grows while it is read has the lines that it had at first") {
  TemporaryDirectory dir;
  const std::string content = LongLines(8 * kStripe) + "last\n";
  for (Shape shape : {Shape{1, 1}, Shape{1, 3}, Shape{2, 2}}) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    const std::string other = dir.Write("other", LongLines(8 * kStripe));
    const std::string path = dir.Write("growing", content);
    std::vector<std::string> expected = ExpectedLines({other, path});
    Collected<std::string> lines;
    std::atomic<bool> grown{false};
    Dataflow flow("lines", [&](Scope<>& scope) {
      // Some workers open the second file after it has grown.
      scope.Input("lines", FileLines({other, path})) | Inspect("grow", [&](std::string_view line) {
        lines.Add(std::string(line));
        if (!grown.exchange(true)) {
          std::ofstream(path, std::ios::binary | std::ios::app) << LongLines(8 * kStripe);
        }
      });
    });
    CheckOk(RunInShape(flow, shape));
    const bool equal = lines.Sorted() == expected;
    CHECK_MESSAGE(equal, lines.size() << " lines instead of " << expected.size());
  }
}

TEST_CASE("workers share small files by bytes, whatever their sizes are") {
  TemporaryDirectory dir;
  std::vector<std::string> paths;
  size_t bytes = 0;
  // Every fourth file is large: a division by the number of files gives them all to one worker.
  for (int i = 0; i < 80; ++i) {
    const size_t size = i % 4 == 0 ? 40'000 : 100;
    bytes += size;
    paths.push_back(dir.Write("file" + std::to_string(i), std::string(size - 1, 'x') + "\n"));
  }
  for (Shape shape : {Shape{1, 4}, Shape{2, 2}}) {
    std::array<std::atomic<size_t>, 4> read{};
    Dataflow flow("lines", [&](Scope<>& scope) {
      scope.Input("lines", FileLines(paths)) |
          Inspect("count", [&read, worker = scope.worker_index()](std::string_view line) {
            read[static_cast<size_t>(worker)] += line.size() + 1;
          });
    });
    CheckOk(RunInShape(flow, shape));
    for (const std::atomic<size_t>& share : read) {
      CHECK(share >= bytes / 4 - 40'000);
      CHECK(share <= bytes / 4 + 40'000);
    }
  }
}

TEST_CASE("files of unknown size are read to their ends by one worker") {
  TemporaryDirectory dir;
  const std::string content = "first\n" + LongLines(100'000) + "last";
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    const std::string file = dir.Write("file", "a\nb\n");
    const std::string pipe = (dir / "pipe");
    REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
    std::thread writer([&] { std::ofstream(pipe, std::ios::binary) << content; });
    std::vector<std::string> lines;
    CheckOk(ReadLines({file, pipe, "/dev/null", "/proc/self/status", "/proc/sys/kernel/ostype"},
                      {.worker_count = workers}, &lines));
    writer.join();
    const size_t status_lines = ExpectedLines({"/proc/self/status"}).size();
    CHECK(lines.size() == 2 + 102 + status_lines + 1);
    for (const char* line : {"first", "last", "a", "b", "Linux"}) {
      CHECK(std::count(lines.begin(), lines.end(), line) == 1);
    }
    unlink(pipe.c_str());
  }
}

TEST_CASE("a file that has fewer bytes than its size says ends there") {
  // Its size is 4,096.
  const std::string path = "/sys/devices/system/cpu/online";
  if (!std::filesystem::exists(path)) return;
  for (int workers : kWorkerCounts) {
    std::vector<std::string> lines;
    CheckOk(ReadLines({path, path}, {.worker_count = workers}, &lines));
    CHECK(lines.size() == 2);
  }
}

TEST_CASE("lines of a pipe move on while its writer waits") {
  TemporaryDirectory dir;
  const std::string path = (dir / "pipe");
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  Collected<std::string> lines;
  std::atomic<int> seen{0};
  std::thread writer([&] {
    std::ofstream pipe(path);
    for (int line = 0; line < 50; ++line) {
      while (seen < line) std::this_thread::yield();
      pipe << line << std::endl;
    }
  });
  Dataflow flow("lines", [&](Scope<>& scope) {
    scope.Input("lines", FileLines(path)) | Inspect("see", [&](std::string_view line) {
      CHECK(line == std::to_string(seen));
      ++seen;
    });
  });
  CheckOk(RunMain(flow));
  writer.join();
  CHECK(seen == 50);
}

TEST_CASE("files that are compressed in other ways and directories are errors that name them") {
  TemporaryDirectory dir;
  const std::string xz("\xfd\x37zXZ\0\n", 7);
  const std::string lz4 = "\x04\x22\x4d\x18\n";
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    std::vector<std::string> lines;
    CheckError(ReadLines({dir.Write("log.xz", xz)}, {.worker_count = workers}, &lines),
               StatusCode::kInvalidArgument,
               {"'" + (dir / "log.xz") + "' is compressed (xz)", "step 'lines'"});
    CheckError(ReadLines({dir.Write("log", lz4)}, {.worker_count = workers}, &lines),
               StatusCode::kInvalidArgument, {"'" + (dir / "log") + "' is compressed (lz4)"});
    CheckError(ReadLines({(dir / "")}, {.worker_count = workers}, &lines),
               StatusCode::kInvalidArgument, {"'" + (dir / "") + "' is a directory"});
  }
  CheckLines({dir.Write("text", "BZh is not enough\nPK\n\x1f\n")});
}

TEST_CASE("a file that is removed while it is read is read to its end") {
  TemporaryDirectory dir;
  const std::string content = LongLines(3 * kStripe);
  const std::string path = dir.Write("file", content);
  const size_t expected = ExpectedLines({path}).size();
  Collected<std::string> lines;
  Dataflow flow("lines", [&](Scope<>& scope) {
    scope.Input("lines", FileLines(path)) | Inspect("remove", [&](std::string_view line) {
      unlink(path.c_str());
      lines.Add(std::string(line));
    });
  });
  CheckOk(RunMain(flow));
  CHECK(lines.size() == expected);
}

using Runs = ResumedRuns<FileLines>;

TEST_CASE("runs that resume with other numbers of workers read each line once") {
  TemporaryDirectory dir;
  const std::vector<std::string> paths{dir.Write("large", LongLines(4 * kStripe)),
                                       dir.Write("small", "a\nb\r\n\nc"), dir.Write("empty", "")};
  for (const std::vector<int>& workers : {std::vector{1, 3, 2}, std::vector{2, 8, 1}}) {
    Runs runs{FileLines(paths)};
    std::vector<std::string> all;
    for (size_t run = 0; run < workers.size(); ++run) {
      CAPTURE(workers[run]);
      std::vector<std::string> lines;
      CheckOk(runs.Run(workers[run], &lines, run + 1 < workers.size() ? 5 : 1'000'000));
      CHECK(!lines.empty());
      all.insert(all.end(), lines.begin(), lines.end());
    }
    std::sort(all.begin(), all.end());
    const bool equal = all == ExpectedLines(paths);
    CHECK_MESSAGE(equal, all.size() << " lines");
  }
}

TEST_CASE("a run that resumes reads the lines that were added, and a line that has grown whole") {
  const std::string x(kStripe + kStripe / 2, 'x');
  struct Growth {
    std::string before;
    std::string added;
    std::vector<std::string> lines;
  };
  for (const Growth& growth : {
           Growth{"a\nb\n", "", {}},
           Growth{"a\nb\n", "c\ne\n", {"c", "e"}},
           Growth{"a\nb", "", {}},
           Growth{"a\nb", "c\ne", {"bc", "e"}},
           Growth{"a\nb", "\nc", {"c"}},
           Growth{"a\nb", "\r\nc", {"c"}},
           Growth{"a\nb", "\r", {"b\r"}},
           Growth{"", "a\n", {"a"}},
           Growth{"a\n" + x, "", {}},
           Growth{"a\n" + x, x + "\nlast\n", {"last", x + x}},
           Growth{"a\n" + x, "\nlast", {"last"}},
           Growth{"a\n" + x + "\n", x + "\nlast", {"last", x}},
           Growth{std::string(kStripe - 1, 'y') + "\n", "b\n", {"b"}},
           Growth{std::string(kStripe, 'y'), "b\nc\n", {"c", std::string(kStripe, 'y') + "b"}},
       }) {
    for (int workers : {1, 3}) {
      CAPTURE(growth.before.substr(0, 10));
      CAPTURE(growth.added.substr(0, 10));
      CAPTURE(workers);
      TemporaryDirectory dir;
      const std::string path = dir.Write("file", growth.before);
      Runs runs{FileLines(path)};
      std::vector<std::string> lines;
      CheckOk(runs.Run(workers, &lines));
      dir.Write("file", growth.before + growth.added);
      CheckOk(runs.Run(2, &lines));
      std::vector<std::string> expected = growth.lines;
      std::sort(expected.begin(), expected.end());
      const bool equal = lines == expected;
      CHECK_MESSAGE(equal, lines.size() << " lines, the first is "
                                        << (lines.empty() ? "" : lines[0].substr(0, 10)));
      CheckOk(runs.Run(workers, &lines));
      CHECK(lines.empty());
    }
  }
}

TEST_CASE("a file that was empty at the start and has grown is read by the next run, once") {
  const std::string added = LongLines(3 * kStripe);
  for (const int workers : {1, 3}) {
    CAPTURE(workers);
    TemporaryDirectory dir;
    const std::vector<std::string> paths{dir.Write("first", "grow\n"), dir.Write("empty", "")};
    SnapshotStore store;
    std::vector<std::string> all;
    for (Epoch run = 0; run < 2; ++run) {
      Collected<std::string> lines;
      Dataflow flow("lines", [&](Scope<>& scope) {
        scope.Input("lines", FileLines(paths)) | CollectInto("collect", lines) |
            Inspect("grow", [&](std::string_view line) {
              if (line == "grow") dir.Write("empty", added);
            });
        store.RestoreInto(scope);
        store.Listen(scope);
      });
      CheckOk(RunMain(flow, {.worker_count = workers, .first_epoch = run * 1'000'000}));
      const std::vector<std::string> sorted = lines.Sorted();
      if (run == 0) CHECK(sorted == std::vector<std::string>{"grow"});
      all.insert(all.end(), sorted.begin(), sorted.end());
    }
    std::sort(all.begin(), all.end());
    const bool equal = all == ExpectedLines(paths);
    CHECK_MESSAGE(equal, all.size() << " lines");
  }
}

TEST_CASE("a file that grows between many runs, by pieces of any length") {
  const uint64_t seed = internal::TestSeed("a file that grows between many runs");
  std::mt19937_64 random(seed);
  for (int round = 0; round < 4; ++round) {
    CAPTURE(seed);
    CAPTURE(round);
    TemporaryDirectory dir;
    Runs runs{FileLines(dir / "file")};
    std::string content;
    for (int run = 0; run < 12; ++run) {
      CAPTURE(run);
      const size_t had = content.size();
      const size_t last_line = content.rfind('\n') + 1;  // of which a part may have been read
      for (size_t pieces = random() % 4; pieces > 0; --pieces) {
        content += std::string(random() % (random() % 8 == 0 ? kStripe : 50),
                               static_cast<char>('a' + random() % 26));
        if (random() % 2 == 0) content += "\n";
      }
      dir.Write("file", content);
      // A line that only got its end, or nothing, is not read again.
      const bool has_grown = content.size() > had && content[had] != '\n';
      const bool was_open = last_line < had;
      std::string added = content.substr(has_grown ? last_line : had);
      if (!has_grown && was_open && !added.empty()) added.erase(0, 1);
      const std::vector<std::string> expected = ExpectedLines({dir.Write("added", added)});
      std::vector<std::string> lines;
      CheckOk(runs.Run(1 + static_cast<int>(random() % 4), &lines));
      const bool equal = lines == expected;
      CHECK_MESSAGE(equal, lines.size() << " lines instead of " << expected.size());
    }
  }
}

TEST_CASE("a file that became shorter than the last run had read is an error") {
  for (size_t length : {size_t{0}, size_t{5}, kStripe, kStripe + 500}) {
    CAPTURE(length);
    TemporaryDirectory dir;
    const std::string content = LongLines(2 * kStripe);
    const std::string path = dir.Write("file", content);
    Runs runs{FileLines(path)};
    std::vector<std::string> lines;
    CheckOk(runs.Run(2, &lines));
    dir.Write("file", content.substr(0, length));
    CheckError(runs.Run(3, &lines), StatusCode::kDataLoss,
               {"step 'records'", "'" + path + "' has " + std::to_string(length) + " bytes"});
  }
}

TEST_CASE("a file that is not listed any more is an error that names it, or is forgotten") {
  TemporaryDirectory dir;
  const std::string one = dir.Write("one", "1\n");
  const std::string two = dir.Write("two", "2\n");
  for (bool forgets : {false, true}) {
    SnapshotStore store;
    auto run = [&](std::vector<std::string> paths, Epoch first) {
      Dataflow flow("lines", [&](Scope<>& scope) {
        scope.Input("lines", FileLines(paths, {.vanished = forgets ? VanishedPartitions::kForget
                                                                   : VanishedPartitions::kFail}));
        store.RestoreInto(scope);
        store.Listen(scope);
      });
      return RunMain(flow, {.first_epoch = first});
    };
    CheckOk(run({one, two}, 0));
    const absl::Status status = run({two}, 10);
    if (forgets) {
      CheckOk(status);
    } else {
      CheckError(status, StatusCode::kFailedPrecondition, {"step 'lines'", "'" + one + ":0'"});
    }
  }
}

}  // namespace
}  // namespace headway
