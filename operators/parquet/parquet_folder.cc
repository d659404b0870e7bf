#include "operators/parquet/parquet_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <random>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "comm/system/file_descriptor.h"
#include "comm/system/output.h"
#include "engine/runtime/status_macros.h"
#include "operators/parquet/parquet_paths.h"

namespace headway::internal {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kWriter = ".writer";
constexpr absl::string_view kUnfinished = ".unfinished";
constexpr absl::string_view kCommit = ".commit";

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

// The generation in the name of a hidden file, `[<mark>.]<generation>-<random name><ending>`.
std::optional<uint64_t> GenerationIn(absl::string_view name, absl::string_view ending) {
  uint64_t generation = 0;
  if (!absl::ConsumeSuffix(&name, ending)) return std::nullopt;
  name.remove_prefix(name.find('.') + 1);  // npos + 1 is 0
  if (!absl::SimpleAtoi(name.substr(0, name.find('-')), &generation)) return std::nullopt;
  return generation;
}

absl::Status WriteDurably(const std::string& path, const std::string& text) {
  const FileDescriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file.is_open()) return SystemError("create", path);
  errno = WriteAll(file.get(), text);
  if (errno != 0 || fsync(file.get()) != 0) return SystemError("write to", path);
  return absl::OkStatus();
}

// A process of another generation may have removed the file as well.
absl::Status Remove(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return SystemError("remove", path);
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
  const bool has_marks = !context.store_id.empty();
  folder.generation_ = context.generation;
  folder.writer_ = absl::StrCat(context.generation, "-", RandomName());
  folder.prefix_ = absl::StrCat("part-", PathText(context.step_id), "-",
                                has_marks ? PathText(context.store_id) : RandomName());
  if (!has_marks) return folder;
  folder.hidden_ = absl::StrCat(folder.folder_, "/.", folder.prefix_);
  HEADWAY_RETURN_IF_ERROR(MakeFolders(folder.folder_, absl::StrCat(".", folder.prefix_)));
  HEADWAY_RETURN_IF_ERROR(folder.TakeOver());
  return folder;
}

absl::Status ParquetFolder::TakeOver() {
  const std::string writer = HiddenPath(absl::StrCat(writer_, kWriter));
  HEADWAY_RETURN_IF_ERROR(WriteDurably(writer, ""));
  absl::Cleanup leave = [&writer] { unlink(writer.c_str()); };
  // The order matters from here on: see parquet_folder.h.
  const absl::StatusOr<std::vector<std::string>> names = HiddenFiles();
  if (!names.ok()) return names.status();
  HEADWAY_RETURN_IF_ERROR(CheckIsLast(*names));
  std::move(leave).Cancel();
  const auto remove_earlier = [&](absl::string_view ending) -> absl::Status {
    for (const std::string& name : *names) {
      const std::optional<uint64_t> generation = GenerationIn(name, ending);
      if (!generation.has_value() || *generation >= generation_) continue;
      HEADWAY_RETURN_IF_ERROR(Remove(HiddenPath(name)));
    }
    return absl::OkStatus();
  };
  HEADWAY_RETURN_IF_ERROR(remove_earlier(kCommit));
  absl::StatusOr<State> state = ReadState();
  if (!state.ok()) return state.status();
  state_ = *std::move(state);
  if (state_.mark.has_value()) {
    absl::Status named = NameFile(*state_.mark, state_.writer);
    if (!named.ok() && !absl::IsNotFound(named)) return named;  // it has its name already
  }
  HEADWAY_RETURN_IF_ERROR(remove_earlier(kUnfinished));
  HEADWAY_RETURN_IF_ERROR(remove_earlier(kWriter));
  return SyncFolder(hidden_);
}

absl::Status ParquetFolder::Publish(
    std::optional<uint64_t> mark, absl::FunctionRef<absl::Status(const std::string& path)> write) {
  const uint64_t number = mark.value_or(published_);
  const std::string unfinished = UnfinishedPath(number, writer_);
  absl::Cleanup remove = [&unfinished] { unlink(unfinished.c_str()); };
  HEADWAY_RETURN_IF_ERROR(write(unfinished));
  if (mark.has_value()) {
    // The entry of the file must not be lost while that of the mark is not.
    HEADWAY_RETURN_IF_ERROR(SyncFolder(hidden_));
    absl::Status committed = Commit(*mark);
    if (absl::IsAborted(committed)) return committed;
    std::move(remove).Cancel();  // behind another error the mark may be there
    HEADWAY_RETURN_IF_ERROR(committed);
  } else {
    std::move(remove).Cancel();
    ++published_;
  }
  absl::Status named = NameFile(number, writer_);
  return mark.has_value() ? Explain(std::move(named)) : named;
}

absl::Status ParquetFolder::Commit(uint64_t mark) {
  const std::string commit = HiddenPath(absl::StrCat(writer_, kCommit));
  HEADWAY_RETURN_IF_ERROR(WriteDurably(commit, absl::StrCat(mark, " ", writer_, "\n")));
  const absl::StatusOr<std::vector<std::string>> names = HiddenFiles();
  if (!names.ok()) return names.status();
  HEADWAY_RETURN_IF_ERROR(CheckIsLast(*names));
  if (rename(commit.c_str(), HiddenPath("mark").c_str()) != 0) {
    return Explain(SystemError("rename", commit));
  }
  state_ = {.mark = mark, .writer = writer_};
  return SyncFolder(hidden_);
}

absl::Status ParquetFolder::NameFile(uint64_t number, const std::string& writer) const {
  const std::string from = UnfinishedPath(number, writer);
  const std::string to =
      absl::StrCat(folder_, "/", prefix_, "-", absl::Dec(number, absl::kZeroPad12), ".parquet");
  if (rename(from.c_str(), to.c_str()) != 0) return SystemError("rename", from);
  return SyncFolder(folder_);
}

absl::StatusOr<ParquetFolder::State> ParquetFolder::ReadState() const {
  const std::string path = HiddenPath("mark");
  std::error_code error;
  if (!fs::exists(path, error) && !error) return State{};
  std::ifstream file(path);
  State state;
  uint64_t mark = 0;
  if (!(file >> mark >> state.writer)) {
    return absl::DataLossError(absl::StrCat("cannot read the mark in '", path, "'"));
  }
  state.mark = mark;
  return state;
}

absl::Status ParquetFolder::CheckIsLast(const std::vector<std::string>& names) const {
  for (const std::string& name : names) {
    const std::optional<uint64_t> generation = GenerationIn(name, kWriter);
    if (!generation.has_value() || *generation <= generation_) continue;
    return absl::AbortedError(absl::StrCat(
        "a later generation of the run has taken over '", folder_, "' (", *generation, ", this is ",
        generation_,
        "); if none runs, the recovery store is an older copy: put the newer one back, or "
        "write to another directory with a new store"));
  }
  return absl::OkStatus();
}

absl::Status ParquetFolder::Explain(absl::Status status) const {
  if (!absl::IsNotFound(status)) return status;
  const absl::StatusOr<std::vector<std::string>> names = HiddenFiles();
  if (names.ok()) HEADWAY_RETURN_IF_ERROR(CheckIsLast(*names));
  return status;
}

absl::StatusOr<std::vector<std::string>> ParquetFolder::HiddenFiles() const {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(hidden_, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (!error) return names;
  return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot list '", hidden_, "'"));
}

std::string ParquetFolder::HiddenPath(const std::string& name) const {
  return absl::StrCat(hidden_, "/", name);
}

std::string ParquetFolder::UnfinishedPath(uint64_t number, const std::string& writer) const {
  const std::string name =
      absl::StrCat(absl::Dec(number, absl::kZeroPad12), ".", writer, kUnfinished);
  return hidden_.empty() ? absl::StrCat(folder_, "/.", prefix_, "-", name) : HiddenPath(name);
}

}  // namespace headway::internal
