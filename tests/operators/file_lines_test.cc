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
#include <vector>

#include "tests/comm/test_seed.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"
#include "tests/sanitizers.h"

namespace headway {
namespace {

using absl::StatusCode;

constexpr size_t kStripe = size_t{1} << 20;

// A directory of its own for each test, removed at the end.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "headway-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempDir() { std::filesystem::remove_all(path_); }

  std::string Path(const std::string& name) const { return (path_ / name).string(); }
  std::string Write(const std::string& name, const std::string& content) const {
    std::ofstream(Path(name), std::ios::binary) << content;
    return Path(name);
  }

 private:
  std::filesystem::path path_;
};

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
  TempDir dir;
  for (const std::string content :
       {"", "\n", "\n\n\n", "a", "a\n", "a\nb", "\na", "a\r\nb\r\n", "\r\n", "\r\n\r\n", "a\r",
        "a\rb\n", "a\r\r\nb", "\r", "a\n\r"}) {
    CAPTURE(content);
    CheckLines({dir.Write("file", content)});
  }
}

TEST_CASE("bytes that are no text are lines like others") {
  TempDir dir;
  std::string content = "caf\xe9\n\xff\xfe\n\xc3\n\x80\x80\x80\n\xed\xa0\x80\n";
  content += std::string("zero\0inside\n", 12);
  for (int byte = 0; byte < 256; ++byte) content += static_cast<char>(byte);
  CheckLines({dir.Write("file", content)});
}

TEST_CASE("no files at all, and several ones, with empty ones among them") {
  TempDir dir;
  CheckLines({});
  CheckLines({dir.Write("empty1", ""), dir.Write("one", "1\n2\n3"), dir.Write("empty2", ""),
              dir.Write("two", "4\n5\n"), dir.Write("empty3", "")});
  std::string same = dir.Write("same", "x\ny\n");
  CheckLines({same, same, same});
}

TEST_CASE("line ends at, before and after the borders of stripes") {
  TempDir dir;
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
  TempDir dir;
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
  TempDir dir;
  std::string content = "first\n" + std::string(10'000'000, 'a') + "\nbetween\n" +
                        std::string(10'000'000, 'b') + "\r\n" + std::string(3 * kStripe, 'c');
  CheckLines({dir.Write("long", content), dir.Write("short", "1\n2\n")});
}

TEST_CASE("random files") {
  const uint64_t seed = internal::TestSeed("random files");
  std::mt19937_64 random(seed);
  TempDir dir;
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
  TempDir dir;
  const std::string good = dir.Write("good", "1\n2\n");
  struct Bad {
    std::string path;
    StatusCode code;
  };
  for (const Bad& bad :
       {Bad{dir.Path("missing"), StatusCode::kNotFound},
        Bad{dir.Path(""), StatusCode::kInvalidArgument},
        Bad{good + "/below", StatusCode::kFailedPrecondition}, Bad{"", StatusCode::kNotFound}}) {
    for (int workers : kWorkerCounts) {
      CAPTURE(workers);
      std::vector<std::string> lines;
      CheckError(ReadLines({good, bad.path}, {.worker_count = workers}, &lines), bad.code,
                 {"'" + bad.path + "'", "step 'lines'", "on worker "});
    }
  }
}

// Root may read everything; this process is somebody else as long as one of these exists.
class NotRoot {
 public:
  NotRoot() {
    if (user_ == 0) REQUIRE(seteuid(kNobody) == 0);
  }
  ~NotRoot() { CHECK(seteuid(user_) == 0); }

 private:
  static constexpr uid_t kNobody = 65534;
  const uid_t user_ = geteuid();
};

TEST_CASE("a file without the permission to read it") {
  TempDir dir;
  const std::string path = dir.Write("secret", "1\n");
  REQUIRE(chmod(dir.Path("").c_str(), 0755) == 0);
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
  TempDir dir;
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
  TempDir dir;
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
  TempDir dir;
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
  TempDir dir;
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
  TempDir dir;
  const std::string content = "first\n" + LongLines(100'000) + "last";
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    const std::string file = dir.Write("file", "a\nb\n");
    const std::string pipe = dir.Path("pipe");
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
  TempDir dir;
  const std::string path = dir.Path("pipe");
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

TEST_CASE("compressed files and directories are errors that name them") {
  TempDir dir;
  const std::string gzip("\x1f\x8b\x08\0\0\0\0\0\0\x03\n\n", 12);
  const std::string zstd = "\x28\xb5\x2f\xfd\n";
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    std::vector<std::string> lines;
    CheckError(ReadLines({dir.Write("log.gz", gzip)}, {.worker_count = workers}, &lines),
               StatusCode::kInvalidArgument,
               {"'" + dir.Path("log.gz") + "' is compressed (gzip)", "step 'lines'"});
    CheckError(ReadLines({dir.Write("log", zstd)}, {.worker_count = workers}, &lines),
               StatusCode::kInvalidArgument, {"'" + dir.Path("log") + "' is compressed (zstd)"});
    CheckError(ReadLines({dir.Path("")}, {.worker_count = workers}, &lines),
               StatusCode::kInvalidArgument, {"'" + dir.Path("") + "' is a directory"});
  }
  CheckLines({dir.Write("text", "BZh is not enough\nPK\n\x1f\n")});
}

TEST_CASE("a file that is removed while it is read is read to its end") {
  TempDir dir;
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

}  // namespace
}  // namespace headway
