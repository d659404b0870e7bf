#include "operators/io/capture_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "comm/system/file_descriptor.h"
#include "operators/io/read_bytes.h"

namespace headway {
namespace {

constexpr absl::string_view kSuffix = ".capture";

absl::Status Exists(const std::string& part) {
  return absl::FailedPreconditionError(
      absl::StrCat(part,
                   " exists: an earlier run has captured to this place; remove its capture, "
                   "or name another place"));
}

class FilePart final : public CapturePart {
 public:
  FilePart(std::string path, internal::FileDescriptor file, uint64_t size)
      : path_(std::move(path)), file_(std::move(file)), size_(size) {}

  static std::string Describe(const std::string& path) {
    return absl::StrCat("the capture file '", path, "'");
  }
  static absl::Status Error(const std::string& path, const char* what) {
    const int error = errno;
    return absl::ErrnoToStatus(error, absl::StrCat(Describe(path), " cannot be ", what));
  }

  std::string Describe() const override { return Describe(path_); }
  uint64_t size() const override { return size_; }
  absl::Status Append(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = write(file_.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return Error(path_, "written");
      size_ += static_cast<uint64_t>(written);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> Read(uint64_t offset, size_t size) const override {
    std::string bytes(size, '\0');
    for (size_t done = 0; done < size;) {
      const ssize_t count = internal::ReadBytesAt(file_.get(), {bytes.data() + done, size - done},
                                                  static_cast<int64_t>(offset + done));
      if (count < 0) return Error(path_, "read");
      if (count == 0) {
        return absl::DataLossError(absl::StrCat(Describe(), " became shorter while it was read"));
      }
      done += static_cast<size_t>(count);
    }
    return bytes;
  }

 private:
  const std::string path_;
  const internal::FileDescriptor file_;
  uint64_t size_;
};

class DirectoryCapture final : public CaptureStore {
 public:
  explicit DirectoryCapture(std::string directory) : directory_(std::move(directory)) {}

  std::string Describe() const override {
    return absl::StrCat("the capture in '", directory_, "'");
  }
  absl::StatusOr<std::vector<std::string>> List() override {
    std::error_code error;
    std::vector<std::string> names;
    std::filesystem::directory_iterator file(directory_, error);
    for (; !error && file != std::filesystem::directory_iterator(); file.increment(error)) {
      std::string name = file->path().filename().string();
      if (absl::EndsWith(name, kSuffix)) {
        names.push_back(name.substr(0, name.size() - kSuffix.size()));
      }
    }
    if (error) {
      return absl::ErrnoToStatus(error.value(), absl::StrCat(Describe(), " cannot be read"));
    }
    return names;
  }
  absl::StatusOr<std::unique_ptr<CapturePart>> Create(const std::string& name) override {
    std::error_code error;
    std::filesystem::create_directories(directory_, error);  // its failure is that of open
    const std::string path = PathOf(name);
    internal::FileDescriptor file(
        open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_APPEND | O_CLOEXEC, 0644));
    if (!file.is_open() && errno == EEXIST) return Exists(FilePart::Describe(path));
    if (!file.is_open()) return FilePart::Error(path, "created");
    return std::make_unique<FilePart>(path, std::move(file), 0);
  }
  absl::StatusOr<std::unique_ptr<CapturePart>> Open(const std::string& name) override {
    const std::string path = PathOf(name);
    internal::FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat info;
    if (!file.is_open() || fstat(file.get(), &info) != 0) return FilePart::Error(path, "opened");
    return std::make_unique<FilePart>(path, std::move(file), static_cast<uint64_t>(info.st_size));
  }

 private:
  std::string PathOf(const std::string& name) const {
    return absl::StrCat(directory_, "/", name, kSuffix);
  }

  const std::string directory_;
};

class MemoryPart final : public CapturePart {
 public:
  MemoryPart(std::string name, std::shared_ptr<std::string> bytes)
      : name_(std::move(name)), bytes_(std::move(bytes)) {}

  std::string Describe() const override {
    return absl::StrCat("the part '", name_, "' of a capture in memory");
  }
  uint64_t size() const override { return bytes_->size(); }
  absl::Status Append(std::string_view bytes) override {
    bytes_->append(bytes);
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> Read(uint64_t offset, size_t size) const override {
    return bytes_->substr(offset, size);
  }

 private:
  const std::string name_;
  const std::shared_ptr<std::string> bytes_;
};

class MemoryCapture final : public CaptureStore {
 public:
  std::string Describe() const override { return "the capture in memory"; }
  absl::StatusOr<std::vector<std::string>> List() override {
    std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, bytes] : parts_) names.push_back(name);
    return names;
  }
  absl::StatusOr<std::unique_ptr<CapturePart>> Create(const std::string& name) override {
    std::lock_guard lock(mutex_);
    const auto [part, is_new] = parts_.emplace(name, std::make_shared<std::string>());
    if (!is_new) return Exists(MemoryPart(name, part->second).Describe());
    return std::make_unique<MemoryPart>(name, part->second);
  }
  absl::StatusOr<std::unique_ptr<CapturePart>> Open(const std::string& name) override {
    std::lock_guard lock(mutex_);
    const auto part = parts_.find(name);
    if (part == parts_.end()) {
      return absl::NotFoundError(absl::StrCat("the capture has no part '", name, "'"));
    }
    return std::make_unique<MemoryPart>(name, part->second);
  }

 private:
  std::mutex mutex_;  // guards the member below
  std::map<std::string, std::shared_ptr<std::string>> parts_;
};

}  // namespace

std::shared_ptr<CaptureStore> CaptureInMemory() { return std::make_shared<MemoryCapture>(); }

std::shared_ptr<CaptureStore> CaptureInDirectory(std::string directory) {
  return std::make_shared<DirectoryCapture>(std::move(directory));
}

}  // namespace headway
