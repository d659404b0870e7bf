// DirectoryLines and TailLines: files that appear, grow, are renamed, deleted or truncated while
// they are read, and between two runs.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/comm/test_seed.h"
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

constexpr uint64_t kRotatedSeeds = 6;
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
          std::filesystem::rename(dir / "log.1", dir / "log.2");
          std::filesystem::rename(path, dir / "log.1");  // nobody has the name for some time
          Append(dir / "log.1", "c\n");
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
  CheckOk(runs.Run(TailLines(paths, kFast), 1, &lines, 3));
  CHECK(lines == Lines{"a", "a", "b"});
}

// Logs that grow and are rotated in all ways, by a clock of their own.
class RotatingLog {
 public:
  RotatingLog(std::string path, std::mt19937_64& random, int64_t& clock)
      : path_(std::move(path)),
        random_(random),
        clock_(clock),
        copies_(random() % 2 == 0),
        has_dates_(random() % 2 == 0),
        // Files of a log with a header begin with the same bytes, all of those by which they are
        // known.
        has_header_(!copies_ && random() % 3 == 0) {
    Begin();
  }

  void Change() {
    ++clock_;
    if (!partial_.empty() && random_() % 2 == 0) return EndLine();
    if (compressing_.has_value()) return EndCompression();
    if (!std::filesystem::exists(path_)) return Begin();
    switch (random_() % 10) {
      case 0:
      case 1:
        return Rotate();
      case 2:
        return BeginCompression();
      case 3:
        if (partial_.empty()) Write(partial_ = NewLine());
        return;
      default:
        EndLine();
        for (uint64_t count = random_() % 4; count > 0; --count) {
          written_.push_back(NewLine());
          Write(written_.back() + "\n");
        }
    }
  }
  // Gives the log a file. The last line of a rotated one needs no end then.
  void Settle() {
    ++clock_;
    if (!std::filesystem::exists(path_)) Begin();
  }
  const Lines& written() const { return written_; }

 private:
  std::string NewLine() {
    return path_ + ":" + std::to_string(line_++) +
           std::string(random_() % 3 * (random_() % 99), '.');
  }
  void SetTime(const std::string& path) const {
    const timespec time{1'700'000'000 + clock_, 0};
    const timespec times[] = {time, time};
    REQUIRE(utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
  }
  void Write(const std::string& text) {
    Append(path_, text);
    SetTime(path_);
  }
  void Begin() {
    Write("");
    if (!has_header_) return;
    written_.push_back(std::string(300, '#'));
    Write(written_.back() + "\n");
  }
  void EndLine() {
    if (partial_.empty()) return;
    Write("\n");
    written_.push_back(std::exchange(partial_, ""));
  }
  // The path of a rotated file; the number counts them from the first one on.
  std::string Rotated(int number) const {
    if (has_dates_) return path_ + "-" + std::to_string(20260101 + number);
    return path_ + "." + std::to_string(rotations_ - number);
  }
  void Rotate() {
    if (copies_) EndLine();
    // The names of the others move on: log.1 becomes log.2.
    std::vector<std::string> before;
    for (int i = 0; i < rotations_; ++i) before.push_back(Rotated(i));
    ++rotations_;
    for (int i = 0; i + 1 < rotations_; ++i) {
      for (const std::string extension : {"", ".gz", ".zst"}) {
        const std::string from = before[static_cast<size_t>(i)] + extension;
        const std::string to = Rotated(i) + extension;
        if (from != to && std::filesystem::exists(from)) std::filesystem::rename(from, to);
      }
    }
    const std::string newest = Rotated(rotations_ - 1);
    if (copies_) {
      std::filesystem::copy_file(path_, newest);
      SetTime(newest);
      std::filesystem::resize_file(path_, 0);
      SetTime(path_);
    } else {
      std::filesystem::rename(path_, newest);
      if (!partial_.empty()) written_.push_back(std::exchange(partial_, ""));
      if (random_() % 3 > 0) Begin();  // else nobody has the name for some time
    }
  }
  void BeginCompression() {
    if (rotations_ == 0) return;
    const int number = static_cast<int>(random_() % static_cast<uint64_t>(rotations_));
    if (!std::filesystem::exists(Rotated(number))) return;
    compressing_ = number;
    Append(Rotated(number) + ".gz", "\x1f\x8b\x08");  // not complete
  }
  // The compressed file keeps the time of the other one.
  void EndCompression() {
    const std::string path = Rotated(*std::exchange(compressing_, std::nullopt));
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto time = std::filesystem::last_write_time(path);
    std::filesystem::remove(path + ".gz");
    const bool gzip = random_() % 2 == 0;
    const std::string compressed = path + (gzip ? ".gz" : ".zst");
    Append(compressed, gzip ? Gzip(text) : Zstd(text));
    std::filesystem::last_write_time(compressed, time);
    std::filesystem::remove(path);
  }

  const std::string path_;
  std::mt19937_64& random_;
  int64_t& clock_;
  const bool copies_;
  const bool has_dates_;
  const bool has_header_;
  Lines written_;
  int line_ = 0;
  int rotations_ = 0;
  std::string partial_;             // a line whose end is missing
  std::optional<int> compressing_;  // the number of a rotated file
};

// Reads logs while they change, in runs of which each but the last dies.
class RotatedLogs {
 public:
  explicit RotatedLogs(uint64_t seed)
      : random_(seed), pattern_(random_() % 2 == 0 ? "host*/app.log" : "host*/app.log*") {}

  // All workers stand still while the logs change, so the times of files are those of the clock.
  void Run(int workers, bool is_last) {
    for (uint64_t count = random_() % 12; count > 0; --count) Change();
    Collected<std::pair<Epoch, std::string>> seen;
    ManualClock clock;
    Config config{.workers = workers,
                  .run = {.epoch_config = PeriodicEpochConfig{absl::Seconds(1 + random_() % 3)},
                          .first_epoch = first_,
                          .apply_in_epoch_order = true,
                          .clock = &clock}};
    int rounds = static_cast<int>(random_() % 30);
    bool is_over = false;
    std::barrier barrier(workers);
    CheckOk(Execute(config, [&](Worker& worker) -> absl::Status {
      absl::Status status = worker.Build("flow", [&](Scope<>& scope) {
        scope.Input("lines", TailLines(dir_ / pattern_, {.poll_interval = absl::Seconds(1),
                                                         .watch_interval = absl::Seconds(2)})) |
            CollectWithTime<std::string, Epoch>("collect", seen);
        store_.RestoreInto(scope);
        store_.Listen(scope);
      });
      while (true) {
        barrier.arrive_and_wait();
        if (worker.index() == 0) {
          --rounds;
          for (const auto& log : logs_) {
            if (rounds < 0) log->Settle();
          }
          const bool has_all = all_.size() + seen.size() >= Written().size();
          is_over = rounds < 0 && (!is_last || has_all || rounds < -1000);
          for (uint64_t count = rounds < 0 ? 0 : random_() % 5; count > 0; --count) Change();
          clock.Advance(absl::Seconds(1));
          if (is_over) config.run.stop.RequestStop();
        }
        barrier.arrive_and_wait();
        if (is_over) return status;
        for (int i = 0; i < 8 && status.ok(); ++i) status = worker.Step();
      }
    }));
    Epoch end = first_;
    for (const auto& [epoch, line] : seen.InOrder()) end = std::max(end, epoch + 1);
    if (!is_last) end -= random_() % (end - first_ + 1);
    first_ = end;
    store_.Cut(first_ - 1);
    for (const auto& [epoch, line] : seen.InOrder()) {
      if (epoch < first_) all_.push_back(line);
    }
  }
  Lines Read() const { return Sorted(all_); }
  Lines Written() const {
    Lines written;
    for (const auto& log : logs_) {
      written.insert(written.end(), log->written().begin(), log->written().end());
    }
    return Sorted(written);
  }

 private:
  static Lines Sorted(Lines lines) {
    std::sort(lines.begin(), lines.end());
    return lines;
  }
  void Change() {
    if (logs_.empty() || (logs_.size() < 4 && random_() % 10 == 0)) {
      const std::string host = dir_ / ("host" + std::to_string(logs_.size()));
      std::filesystem::create_directory(host);
      logs_.push_back(std::make_unique<RotatingLog>(host + "/app.log", random_, time_));
    } else {
      logs_[random_() % logs_.size()]->Change();
    }
  }

  std::mt19937_64 random_;
  const std::string pattern_;
  TemporaryDirectory dir_;
  int64_t time_ = 0;  // of the files
  std::vector<std::unique_ptr<RotatingLog>> logs_;
  SnapshotStore store_;
  Epoch first_ = 0;
  Lines all_;
};

TEST_CASE("logs that are rotated in any way, in runs and between them, have each line once") {
  const uint64_t first = internal::TestSeed("rotated logs");
  for (uint64_t seed = first; seed < first + kRotatedSeeds; ++seed) {
    CAPTURE(seed);
    RotatedLogs logs(seed);
    for (const int workers : {1, 3, 2, 1, 4}) logs.Run(workers, /*is_last=*/workers == 4);
    const Lines written = logs.Written();
    const Lines read = logs.Read();
    Lines lost;
    Lines repeated;
    std::ranges::set_difference(written, read, std::back_inserter(lost));
    std::ranges::set_difference(read, written, std::back_inserter(repeated));
    CHECK(lost == Lines());
    REQUIRE(repeated == Lines());
  }
}

TEST_CASE("a tail that cannot be read is an error that names the file and the byte") {
  TemporaryDirectory dir;
  const std::string path = dir.Write("log", "a\nb\n");
  const auto ignore = [](std::string_view) {};
  CheckError(RunLines(TailLines(dir / "missing", kFast), ignore), StatusCode::kNotFound,
             {"step 'lines'", "missing'"});
  CheckError(RunLines(TailLines(dir.path(), kFast), ignore), StatusCode::kInvalidArgument,
             {"step 'lines'", "is a directory"});
  CheckError(RunLines(TailLines(path, {.poll_interval = absl::ZeroDuration()}), ignore),
             StatusCode::kInvalidArgument, {"step 'lines'", "poll_interval"});
  CheckError(RunLines(TailLines(path, kFast),
                      [&](std::string_view) { std::filesystem::resize_file(path, 1); }),
             StatusCode::kDataLoss, {"step 'lines'", "log' became shorter", "4 bytes", "1 now"});
}

}  // namespace
}  // namespace headway
