// DirectoryLines and TailLines: files that appear, grow, are renamed, deleted or truncated while
// they are read, and between two runs.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"
#include "tests/engine/snapshot_store.h"
#include "tests/engine/thread_cluster.h"
#include "tests/operators/compress.h"
#include "tests/operators/not_root.h"
#include "tests/temporary_directory.h"

namespace headway {
namespace {

using absl::StatusCode;
using Lines = std::vector<std::string>;

void Append(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary | std::ios::app) << text;
}

// As a program should that others watch: the file is whole when it gets its name.
void Publish(const TemporaryDirectory& dir, const std::string& name, const std::string& text) {
  std::filesystem::rename(dir.Write("." + name, text), dir / name);
}

// Runs over one store.
class Runs {
 public:
  // Runs the source, whose step is "lines", until it ends or `stop_after` lines have come. Each
  // epoch has a line. The run dies after the commit of its first `committed` epochs, so only their
  // lines count.
  template <class Source>
  absl::Status Run(const Source& source, int workers, Lines* lines, size_t stop_after = SIZE_MAX,
                   Epoch committed = 1'000'000) {
    RunOptions options{.worker_count = workers,
                       .epoch_config = RecordCountEpochConfig{1},
                       .first_epoch = first_,
                       .apply_in_epoch_order = true};
    Collected<std::pair<Epoch, std::string>> seen;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("lines", source) | CollectWithTime<std::string, Epoch>("collect", seen) |
          Inspect("stop", [&](std::string_view) {
            if (seen.size() >= stop_after) options.stop.RequestStop();
          });
      store_.RestoreInto(scope);
      store_.Listen(scope);
    });
    absl::Status status = RunMain(flow, options);
    first_ += committed;
    store_.Cut(first_ - 1);
    lines->clear();
    for (auto& [epoch, line] : seen.InOrder()) {
      if (epoch < first_) lines->push_back(line);
    }
    std::sort(lines->begin(), lines->end());
    return status;
  }

 private:
  SnapshotStore store_;
  Epoch first_ = 0;
};

// Runs the source without a store, and calls `see` with each line.
template <class Source>
absl::Status RunLines(const Source& source, const std::function<void(std::string_view)>& see,
                      RunOptions options = {}) {
  Dataflow flow("flow",
                [&](Scope<>& scope) { scope.Input("lines", source) | Inspect("see", see); });
  return RunMain(flow, std::move(options));
}

TEST_CASE("each file of a directory is read by one worker, and workers have equally many") {
  TemporaryDirectory dir;
  Lines expected;
  for (char name = 'a'; name <= 'k'; ++name) {
    std::string text;
    for (int i = 0; i < 7; ++i) {
      expected.push_back(std::string(1, name) + std::to_string(i));
      // The last line has no end.
      text += expected.back() + (i == 6 ? "" : i % 2 == 0 ? "\n" : "\r\n");
    }
    dir.Write(std::string(1, name) + ".txt", text);
  }
  dir.Write("empty.txt", "");
  dir.Write(".hidden.txt", "hidden");
  dir.Write("other.csv", "other");
  std::filesystem::create_directory(dir / "folder.txt");
  for (Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    Collected<std::pair<std::string, int>> seen;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("lines", DirectoryLines(dir.path(), {.pattern = "*.txt"})) |
          Inspect("see", [&seen, worker = scope.worker_index()](std::string_view line) {
            seen.Add({std::string(line), worker});
          });
    });
    CheckOk(RunInShape(flow, shape));
    Lines lines;
    std::map<int, std::set<char>> files;
    for (const auto& [line, worker] : seen.Sorted()) {
      lines.push_back(line);
      files[worker].insert(line[0]);
    }
    CHECK(lines == expected);
    size_t readers = 0;
    for (const auto& [worker, names] : files) readers += names.size();
    CHECK(readers == 11);
    for (const auto& [worker, names] : files) {
      CHECK(names.size() <= 12U / static_cast<unsigned>(shape.total()) + 1);
    }
  }
}

TEST_CASE("patterns match names as a shell does, also in subdirectories") {
  TemporaryDirectory outer;
  // The characters of a pattern in the directory's own name mean themselves.
  const std::string dir = outer / "a[b]*\\";
  std::filesystem::create_directories(dir + "/2026-01");
  std::filesystem::create_directories(dir + "/2026-02");
  for (const std::string file : {"/top1", "/top2", "/2026-01/x", "/2026-02/x", "/2026-02/y"}) {
    std::ofstream(dir + file) << file;
  }
  const auto matching = [&](const std::string& pattern) {
    Lines lines;
    CheckOk(Runs().Run(DirectoryLines(dir, {.pattern = pattern}), 2, &lines));
    return lines;
  };
  CHECK(matching("*") == Lines{"/top1", "/top2"});
  CHECK(matching("top?") == Lines{"/top1", "/top2"});
  CHECK(matching("*[13]") == Lines{"/top1"});
  CHECK(matching("*/x") == Lines{"/2026-01/x", "/2026-02/x"});
  CHECK(matching("2026-02/*") == Lines{"/2026-02/x", "/2026-02/y"});
  const auto files = MatchingFiles(outer / "*" + "/*/y");
  REQUIRE(files.ok());
  CHECK(*files == Lines{dir + "/2026-02/y"});
  CHECK(MatchingFiles(outer / "*" + "/nothing*")->empty());
}

TEST_CASE("a directory that is missing, empty or no directory is an error that says so") {
  TemporaryDirectory dir;
  const std::string file = dir.Write("file", "line\n");
  std::filesystem::create_directory(dir / "empty");
  const auto ignore = [](std::string_view) {};
  for (const int workers : {1, 2}) {
    CheckError(RunLines(DirectoryLines(dir / "missing"), ignore, {.worker_count = workers}),
               StatusCode::kNotFound, {"step 'lines'", "missing'"});
    CheckError(RunLines(DirectoryLines(dir / "empty"), ignore, {.worker_count = workers}),
               StatusCode::kNotFound, {"step 'lines'", "empty'", "no file", "watch_interval"});
    CheckError(RunLines(DirectoryLines(dir.path(), {.pattern = "*.cvs"}), ignore,
                        {.worker_count = workers}),
               StatusCode::kNotFound, {"step 'lines'", "'*.cvs'"});
    CheckError(RunLines(DirectoryLines(file), ignore, {.worker_count = workers}),
               StatusCode::kInvalidArgument, {"step 'lines'", "file'", "is no directory"});
  }
}

TEST_CASE("files that appear during a run are read, by the workers in turn, in every shape") {
  for (Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    TemporaryDirectory dir;
    constexpr int kFiles = 6;
    RunOptions options;
    std::atomic<int> read{0};
    Collected<std::string> lines;
    Dataflow flow("flow", [&](Scope<>& scope) {
      // The directory is empty at first.
      scope.Input("begin", TestingSource(std::vector<int>{0})) |
          Inspect("first", [&](int) { Publish(dir, "0", "line 0\nend 0\n"); });
      scope.Input("lines", DirectoryLines(dir.path(), {.watch_interval = absl::Milliseconds(1)})) |
          Inspect("see", [&](std::string_view line) {
            lines.Add(std::string(line));
            if (!line.starts_with("end")) return;
            const int next = ++read;
            if (next == kFiles) return options.stop.RequestStop();
            const std::string number = std::to_string(next);
            Publish(dir, number, "line " + number + "\nend " + number + "\n");
          });
    });
    CheckOk(RunInShape(flow, shape, options));
    Lines expected;
    for (int i = 0; i < kFiles; ++i) {
      expected.push_back("line " + std::to_string(i));
      expected.push_back("end " + std::to_string(i));
    }
    std::sort(expected.begin(), expected.end());
    CHECK(lines.Sorted() == expected);
  }
}

TEST_CASE("runs that resume read each line once, whole, with files that grew and appeared") {
  for (const std::vector<int>& workers : {std::vector{1, 3, 2}, std::vector{2, 8, 1}}) {
    TemporaryDirectory dir;
    dir.Write("a", "a0\n\n\na1\na2");
    dir.Write("b", "b0\nb1\r\n");
    dir.Write("c", "c0");
    Runs runs;
    const DirectoryLines source(dir.path());
    Lines all;
    const auto run = [&](int with, Epoch committed) {
      Lines lines;
      CheckOk(runs.Run(source, with, &lines, SIZE_MAX, committed));
      all.insert(all.end(), lines.begin(), lines.end());
    };
    run(workers[0], 2);  // dies in the middle
    dir.Write("aa", "aa0\naa1\n");
    run(workers[1], 1'000'000);
    std::sort(all.begin(), all.end());
    CHECK(all == Lines{"", "", "a0", "a1", "a2", "aa0", "aa1", "b0", "b1", "c0"});
    // A last line that got its end, one that has grown, and new lines.
    all.clear();
    Append(dir / "a", "\na3\n");
    Append(dir / "c", "0\nc1");
    run(workers[2], 1'000'000);
    std::sort(all.begin(), all.end());
    CHECK(all == Lines{"a3", "c00", "c1"});
    all.clear();
    run(1, 1'000'000);
    CHECK(all.empty());
  }
}

TEST_CASE("compressed files of a directory are decompressed, and resumed in the middle") {
  TemporaryDirectory dir;
  dir.Write("a.gz", Gzip("a0\na1\na2"));
  dir.Write("b.zst", Zstd("b0\nb1\n"));
  dir.Write("c", "c0\n");
  Runs runs;
  Lines lines;
  CheckOk(runs.Run(DirectoryLines(dir.path()), 1, &lines, SIZE_MAX, 2));
  Lines all = lines;
  CheckOk(runs.Run(DirectoryLines(dir.path()), 2, &lines));
  all.insert(all.end(), lines.begin(), lines.end());
  std::sort(all.begin(), all.end());
  CHECK(all == Lines{"a0", "a1", "a2", "b0", "b1", "c0"});
  CheckOk(runs.Run(DirectoryLines(dir.path()), 3, &lines));
  CHECK(lines.empty());
  dir.Write("broken.gz", Gzip(std::string(10'000, 'x')).substr(0, 20));
  CheckError(runs.Run(DirectoryLines(dir.path()), 3, &lines), StatusCode::kDataLoss,
             {"step 'lines'", "broken.gz'"});
}

TEST_CASE("a file of the last run that is gone is an error that names it, or is forgotten") {
  TemporaryDirectory dir;
  for (const char* name : {"a", "b"}) dir.Write(name, std::string(name) + "\n");
  Runs runs;
  Lines lines;
  CheckOk(runs.Run(DirectoryLines(dir.path()), 2, &lines));
  CHECK(lines == Lines{"a", "b"});
  std::filesystem::remove(dir / "b");
  CheckError(runs.Run(DirectoryLines(dir.path()), 2, &lines, SIZE_MAX, 0),
             StatusCode::kFailedPrecondition, {"step 'lines'", "'b'", "kForget"});
  const DirectoryLines forgetting(dir.path(), {.vanished = VanishedPartitions::kForget});
  CheckOk(runs.Run(forgetting, 3, &lines));
  CHECK(lines.empty());
  // It is a new file when it comes back.
  dir.Write("b", "new\n");
  CheckOk(runs.Run(DirectoryLines(dir.path()), 1, &lines));
  CHECK(lines == Lines{"new"});
  // A file that is shorter than the last run had read.
  dir.Write("b", "n");
  CheckError(runs.Run(DirectoryLines(dir.path()), 1, &lines), StatusCode::kDataLoss,
             {"step 'lines'", "b' has 1 bytes", "had read 4"});
}

TEST_CASE("a file that is deleted before its turn, or truncated in it, is an error that names it") {
  TemporaryDirectory dir;
  dir.Write("a", "first\n");
  dir.Write("b", "second\n");
  CheckError(RunLines(DirectoryLines(dir.path()),
                      [&](std::string_view) { std::filesystem::remove(dir / "b"); }),
             StatusCode::kNotFound, {"step 'lines'", "cannot open", "/b'"});
  std::string text;
  while (text.size() < 3'000'000) text += std::string(999, 'x') + "\n";
  dir.Write("a", text);
  CheckError(RunLines(DirectoryLines(dir.path()),
                      [&](std::string_view) { std::filesystem::resize_file(dir / "a", 1000); }),
             StatusCode::kDataLoss, {"step 'lines'", "/a' became shorter", "3000000 bytes"});
  // One that is deleted while it is open is read to its end.
  dir.Write("a", text);
  int lines = 0;
  CheckOk(RunLines(DirectoryLines(dir.path()), [&](std::string_view) {
    ++lines;
    unlink((dir / "a").c_str());
  }));
  CHECK(lines == 3000);
}

TEST_CASE("a directory without the permission to read it") {
  TemporaryDirectory dir;
  std::filesystem::create_directory(dir / "locked");
  REQUIRE(chmod((dir / "locked").c_str(), 0) == 0);
  {
    const NotRoot not_root;
    CheckError(RunLines(DirectoryLines(dir / "locked"), [](std::string_view) {}),
               StatusCode::kPermissionDenied, {"step 'lines'", "locked'"});
  }
  REQUIRE(chmod((dir / "locked").c_str(), 0700) == 0);
}

constexpr TailLinesOptions kFast{.poll_interval = absl::Milliseconds(1)};

TEST_CASE("lines of a growing file come whole, however they are written") {
  for (const int workers : {1, 2, 3}) {
    TemporaryDirectory dir;
    const std::string path = dir.Write("log", "one\ntw");
    RunOptions options{.worker_count = workers};
    Collected<std::string> lines;
    CheckOk(RunLines(
        TailLines(path, kFast),
        [&](std::string_view line) {
          lines.Add(std::string(line));
          // Each piece is written when a line has come.
          if (line == "one") Append(path, "o\n\nthree\r");
          if (line.empty()) Append(path, "\n" + std::string(200'000, 'x'));
          if (line == "three") Append(path, "y\nlast without an end");
          if (line.size() > 200'000) options.stop.RequestStop();
        },
        options));
    CHECK(lines.InOrder() == Lines{"one", "two", "", "three", std::string(200'000, 'x') + "y"});
  }
}

TEST_CASE("a file that is rotated is read to its end, then the new one of its name") {
  TemporaryDirectory dir;
  const std::string path = dir.Write("log", "a\n");
  RunOptions options;
  Lines lines;
  CheckOk(RunLines(
      TailLines(path, kFast),
      [&](std::string_view line) {
        lines.emplace_back(line);
        if (line == "a") {
          std::filesystem::rename(path, dir / "log.1");
          Append(dir / "log.1", "late\nrest");  // by a writer that has it open
          dir.Write("log", "b\n");
        } else if (line == "b") {
          std::filesystem::rename(path, dir / "log.2");  // nobody has the name for some time
          Append(dir / "log.2", "c\n");
        } else if (line == "c") {
          dir.Write("log", "d\n");
        } else if (line == "d") {
          options.stop.RequestStop();
        }
      },
      options));
  CHECK(lines == Lines{"a", "late", "rest", "b", "c", "d"});
}

TEST_CASE("runs that resume continue in the middle of files that grow, each line once") {
  for (const std::vector<int>& workers : {std::vector{1, 3, 2}, std::vector{2, 1, 8}}) {
    TemporaryDirectory dir;
    const Lines paths{dir.Write("a", "a0\na1\na"), dir.Write("b", "b0\nb1\nb2\n"),
                      dir.Write("c", "")};
    Runs runs;
    Lines lines;
    Lines all;
    // Dies in the middle: its first two epochs are committed.
    CheckOk(runs.Run(TailLines(paths, kFast), workers[0], &lines, 5, 2));
    all.insert(all.end(), lines.begin(), lines.end());
    Append(paths[0], "2\n");
    Append(paths[2], "c0\nc");
    const size_t left = 7 - all.size();
    CheckOk(runs.Run(TailLines(paths, kFast), workers[1], &lines, left));
    all.insert(all.end(), lines.begin(), lines.end());
    Append(paths[2], "1\n");
    CheckOk(runs.Run(TailLines(paths, kFast), workers[2], &lines, 1));
    all.insert(all.end(), lines.begin(), lines.end());
    std::sort(all.begin(), all.end());
    CHECK(all == Lines{"a0", "a1", "a2", "b0", "b1", "b2", "c0", "c1"});
  }
}

TEST_CASE("a file that was replaced between two runs is an error, or begins anew") {
  TemporaryDirectory dir;
  const std::string path = dir.Write("log", "a\nb\n");
  for (const std::string other : {"x\ny\nz\n", "x\n"}) {
    CAPTURE(other);
    dir.Write("log", "a\nb\n");
    Runs runs;
    Lines lines;
    CheckOk(runs.Run(TailLines(path, kFast), 1, &lines, 2));
    CHECK(lines == Lines{"a", "b"});
    dir.Write("log", other);
    CheckError(runs.Run(TailLines(path, kFast), 1, &lines, 1, 0), StatusCode::kFailedPrecondition,
               {"step 'lines'", "log' is not the file", "byte 4", "kForget"});
    TailLinesOptions forgets = kFast;
    forgets.vanished = VanishedPartitions::kForget;
    const auto count = static_cast<size_t>(std::count(other.begin(), other.end(), '\n'));
    CheckOk(runs.Run(TailLines(path, forgets), 2, &lines, count));
    CHECK(lines.size() == count);
  }
}

TEST_CASE("a file that was replaced before much of it was read is known by its inode") {
  TemporaryDirectory dir;
  const Lines paths{dir.Write("log", ""), dir.Write("other", "x\n")};
  Runs runs;
  Lines lines;
  CheckOk(runs.Run(TailLines(paths, kFast), 1, &lines, 1));
  CHECK(lines == Lines{"x"});
  Append(paths[0], "a\nb\n");
  std::filesystem::rename(paths[0], dir / "log.1");
  dir.Write("log", "a\n");
  CheckError(runs.Run(TailLines(paths, kFast), 1, &lines, 1, 0), StatusCode::kFailedPrecondition,
             {"step 'lines'", "log' is not the file", "byte 0", "kForget"});
  std::filesystem::rename(dir / "log.1", paths[0]);
  CheckOk(runs.Run(TailLines(paths, kFast), 2, &lines, 2));
  CHECK(lines == Lines{"a", "b"});
}

TEST_CASE("a tail that cannot be read is an error that names the file and the byte") {
  TemporaryDirectory dir;
  const std::string path = dir.Write("log", "a\nb\n");
  const auto ignore = [](std::string_view) {};
  CheckError(RunLines(TailLines(dir / "missing", kFast), ignore), StatusCode::kNotFound,
             {"step 'lines'", "missing'"});
  CheckError(RunLines(TailLines(dir.path(), kFast), ignore), StatusCode::kInvalidArgument,
             {"step 'lines'", "no regular file"});
  CheckError(RunLines(TailLines(path, {.poll_interval = absl::ZeroDuration()}), ignore),
             StatusCode::kInvalidArgument, {"step 'lines'", "poll_interval"});
  CheckError(RunLines(TailLines(path, kFast),
                      [&](std::string_view) { std::filesystem::resize_file(path, 1); }),
             StatusCode::kDataLoss, {"step 'lines'", "log' became shorter", "4 bytes", "1 now"});
}

}  // namespace
}  // namespace headway
