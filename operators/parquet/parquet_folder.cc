#include "operators/parquet/parquet_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "comm/system/output.h"
#include "engine/runtime/status_macros.h"
#include "operators/parquet/parquet_paths.h"

namespace headway::internal {
namespace {

namespace fs = std::filesystem;

// A process that is stopped between two system calls may hold the lock.
constexpr absl::Duration kLockTimeout = absl::Seconds(30);

absl::Status SystemError(const char* verb, const std::string& path) {
  const int error = errno;
  return absl::ErrnoToStatus(error, absl::StrCat("cannot ", verb, " '", path, "'"));
}

// Makes the entries of a folder durable.
absl::Status SyncFolder(const std::string& folder) {
  const FileDescriptor opened(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.is_open() && fsync(opened.get()) == 0) return absl::OkStatus();
  return SystemError("make durable", folder);
}

absl::Status CheckLane(const std::string& lane) {
  for (const absl::string_view part : absl::StrSplit(lane, '/')) {
    if (part.empty() || part[0] == '.' || part[0] == '_' ||
        part.find('\0') != absl::string_view::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("the partition '", lane,
                       "' of a record is no folder that readers look into; let the function return "
                       "names with '/' between them that are not empty, and do not begin with '.' "
                       "or '_'"));
    }
  }
  return absl::OkStatus();
}

absl::Status MakeFolders(const std::string& directory, const std::string& lane) {
  std::string folder = directory;
  for (const absl::string_view part : absl::StrSplit(lane, '/')) {
    const std::string parent = folder;
    absl::StrAppend(&folder, "/", part);
    if (mkdir(folder.c_str(), 0777) == 0) {
      HEADWAY_RETURN_IF_ERROR(SyncFolder(parent));
    } else if (errno != EEXIST) {
      return SystemError("create", folder);
    }
  }
  return absl::OkStatus();
}

std::string RandomName() {
  std::random_device random;
  return absl::StrCat(absl::Hex(random(), absl::kZeroPad8), absl::Hex(random(), absl::kZeroPad8));
}

}  // namespace

absl::StatusOr<ParquetFolder> ParquetFolder::Open(const std::string& directory,
                                                  const std::string& lane,
                                                  const StepContext& context) {
  ParquetFolder folder;
  folder.folder_ = directory;
  struct stat info = {};
  if (stat(directory.c_str(), &info) != 0) return SystemError("write to the directory", directory);
  if (!S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat("'", directory, "' is no directory"));
  }
  if (!lane.empty()) {
    HEADWAY_RETURN_IF_ERROR(CheckLane(lane));
    HEADWAY_RETURN_IF_ERROR(MakeFolders(directory, lane));
    absl::StrAppend(&folder.folder_, "/", lane);
  }
  folder.has_marks_ = !context.store_id.empty();
  folder.generation_ = context.generation;
  folder.writer_ = absl::StrCat(context.generation, "-", RandomName());
  folder.prefix_ = absl::StrCat("part-", PathText(context.step_id), "-",
                                folder.has_marks_ ? PathText(context.store_id) : RandomName(), "-");
  if (!folder.has_marks_) return folder;
  const absl::StatusOr<FileDescriptor> lock = folder.Lock();
  if (!lock.ok()) return lock.status();
  absl::StatusOr<State> state = folder.ReadState();
  if (!state.ok()) return state.status();
  HEADWAY_RETURN_IF_ERROR(folder.CheckGeneration(*state));
  HEADWAY_RETURN_IF_ERROR(folder.CompleteCommit(*state));
  state->generation = folder.generation_;
  HEADWAY_RETURN_IF_ERROR(folder.WriteState(*state));
  folder.state_ = *state;
  return folder;
}

absl::Status ParquetFolder::Publish(
    std::optional<uint64_t> mark, absl::FunctionRef<absl::Status(const std::string& path)> write) {
  const uint64_t number = mark.value_or(published_);
  const std::string hidden = HiddenNameOf(number, writer_);
  absl::Cleanup remove = [&hidden] { unlink(hidden.c_str()); };
  HEADWAY_RETURN_IF_ERROR(write(hidden));
  if (mark.has_value()) {
    // The entry of the file must not be lost while that of the mark is not.
    HEADWAY_RETURN_IF_ERROR(SyncFolder(folder_));
    const absl::StatusOr<FileDescriptor> lock = Lock();
    if (!lock.ok()) return lock.status();
    const absl::StatusOr<State> state = ReadState();
    if (!state.ok()) return state.status();
    HEADWAY_RETURN_IF_ERROR(CheckGeneration(*state));
    std::move(remove).Cancel();
    state_ = {.mark = mark, .writer = writer_, .generation = generation_};
    HEADWAY_RETURN_IF_ERROR(WriteState(state_));
    return Rename(hidden, NameOf(number));
  }
  std::move(remove).Cancel();
  ++published_;
  return Rename(hidden, NameOf(number));
}

absl::StatusOr<FileDescriptor> ParquetFolder::Lock() const {
  const std::string path = absl::StrCat(folder_, "/.", prefix_, "lock");
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!file.is_open()) return SystemError("open", path);
  const absl::Time deadline = absl::Now() + kLockTimeout;
  while (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return SystemError("lock", path);
    if (absl::Now() > deadline) {
      return absl::UnavailableError(
          absl::StrCat("a process that stands still holds '", path,
                       "'; end it (fuser names it), and start the run again"));
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  return file;
}

absl::StatusOr<ParquetFolder::State> ParquetFolder::ReadState() const {
  const std::string path = absl::StrCat(folder_, "/.", prefix_, "mark");
  std::error_code error;
  if (!fs::exists(path, error) && !error) return State{};
  std::ifstream file(path);
  State state;
  std::string mark;
  uint64_t number = 0;
  if (!(file >> mark >> state.writer >> state.generation)) {
    return absl::DataLossError(absl::StrCat("cannot read the mark in '", path, "'"));
  }
  if (mark != "none") {
    if (!(std::istringstream(mark) >> number)) {
      return absl::DataLossError(absl::StrCat("'", path, "' has no mark"));
    }
    state.mark = number;
  }
  return state;
}

absl::Status ParquetFolder::WriteState(const State& state) const {
  const std::string path = absl::StrCat(folder_, "/.", prefix_, "mark");
  const std::string text = absl::StrCat(state.mark.has_value() ? absl::StrCat(*state.mark) : "none",
                                        " ", state.writer, " ", state.generation, "\n");
  const std::string next = absl::StrCat(path, ".next");
  const FileDescriptor file(open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file.is_open()) return SystemError("create", next);
  errno = WriteAll(file.get(), text);
  if (errno != 0 || fsync(file.get()) != 0) return SystemError("write to", next);
  return Rename(next, path);
}

absl::Status ParquetFolder::CheckGeneration(const State& state) const {
  if (state.generation <= generation_) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat(
      "a later generation of the run has taken over '", folder_, "' (", state.generation,
      ", this is ", generation_,
      "); if none runs, the recovery store is an older copy: put the newer one back, or "
      "write to another directory with a new store"));
}

absl::Status ParquetFolder::CompleteCommit(const State& state) const {
  if (state.mark.has_value()) {
    const std::string hidden = HiddenNameOf(*state.mark, state.writer);
    if (access(hidden.c_str(), F_OK) == 0) {
      HEADWAY_RETURN_IF_ERROR(Rename(hidden, NameOf(*state.mark)));
    }
  }
  std::error_code error;
  std::vector<fs::path> unfinished;
  for (fs::directory_iterator entry(folder_, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (absl::StartsWith(name, absl::StrCat(".", prefix_)) && absl::EndsWith(name, ".unfinished")) {
      unfinished.push_back(entry->path());
    }
  }
  for (const fs::path& path : unfinished) fs::remove(path, error);
  return absl::OkStatus();
}

absl::Status ParquetFolder::Rename(const std::string& from, const std::string& to) const {
  if (rename(from.c_str(), to.c_str()) != 0) return SystemError("rename", from);
  return SyncFolder(folder_);
}

std::string ParquetFolder::NameOf(uint64_t number) const {
  return absl::StrCat(folder_, "/", prefix_, absl::Dec(number, absl::kZeroPad12), ".parquet");
}

std::string ParquetFolder::HiddenNameOf(uint64_t number, const std::string& writer) const {
  return absl::StrCat(folder_, "/.", prefix_, absl::Dec(number, absl::kZeroPad12), ".", writer,
                      ".unfinished");
}

}  // namespace headway::internal
