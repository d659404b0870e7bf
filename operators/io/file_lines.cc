#include "operators/io/file_lines.h"

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "engine/runtime/status_macros.h"
#include "engine/step/operators.h"
#include "engine/step/source.h"
#include "operators/io/file_share.h"
#include "operators/io/line_reader.h"

namespace headway {
namespace {

using internal::FileShare;
using internal::FileStripe;
using internal::kUnknownFileSize;
using internal::LineReader;
using Sizes = std::vector<int64_t>;

// Between two looks at a pipe that was empty.
constexpr absl::Duration kPipePoll = absl::Milliseconds(2);

int64_t SizeOf(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return kUnknownFileSize;  // the readers report it
  return S_ISREG(info.st_mode) && info.st_size > 0 ? info.st_size : kUnknownFileSize;
}

// Emits the sizes of all files as one record, on worker 0. They are those of the time at which the
// source is opened.
class FileSizes {
 public:
  using Record = Sizes;

  explicit FileSizes(std::vector<std::string> paths) : paths_(std::move(paths)) {}

  struct Reader {
    absl::StatusOr<SourceState> Poll(SourceOutput<Sizes>& out) {
      if (sizes.has_value()) out.Emit(*std::move(sizes));
      return SourceState::Done();
    }
    std::optional<Sizes> sizes;
  };

  absl::StatusOr<Reader> Open(const SourceContext& context, const std::optional<std::string>&) {
    if (context.worker_index != 0) return Reader();
    Sizes sizes;
    for (const std::string& path : paths_) sizes.push_back(SizeOf(path));
    return Reader{std::move(sizes)};
  }

 private:
  std::vector<std::string> paths_;
};

// The sizes as they come to one worker, for its reader.
struct ReceivedSizes {
  std::optional<Sizes> sizes;
  ThreadActivator reader;
};

// Reads the worker's share of the files when their sizes are known.
class SharedLines {
 public:
  using Record = std::string;

  SharedLines(std::vector<std::string> paths, std::shared_ptr<ReceivedSizes> received)
      : paths_(std::move(paths)), received_(std::move(received)) {}

  class Reader {
   public:
    Reader(std::vector<std::string> paths, const SourceContext& context,
           std::shared_ptr<ReceivedSizes> received)
        : paths_(std::move(paths)),
          worker_index_(context.worker_index),
          worker_count_(context.worker_count),
          received_(std::move(received)) {
      received_->reader = context.activator;
    }

    absl::StatusOr<SourceState> Poll(SourceOutput<std::string>& out) {
      if (received_ != nullptr) {
        if (!received_->sizes.has_value()) return SourceState::Idle(absl::InfiniteDuration());
        share_ = FileShare(*std::move(received_->sizes), worker_index_, worker_count_);
        received_ = nullptr;
        HEADWAY_RETURN_IF_ERROR(NextStripe());
      }
      std::string_view line;
      while (stripe_.has_value() && out.WantsMore()) {
        absl::StatusOr<LineReader::Found> found = lines_.Next(&line);
        if (!found.ok()) return found.status();
        switch (*found) {
          case LineReader::Found::kLine:
            out.Emit(line);
            break;
          case LineReader::Found::kEnd:
            HEADWAY_RETURN_IF_ERROR(NextStripe());
            break;
          case LineReader::Found::kNothingYet:
            return SourceState::Idle(kPipePoll);
        }
      }
      return stripe_.has_value() ? SourceState::More() : SourceState::Done();
    }
    std::string Snapshot() const {
      return stripe_.has_value()
                 ? absl::StrCat(stripe_->file, ":", stripe_->begin, ":", lines_.position())
                 : std::string();
    }

    // Checks that this worker can read the regular files, so that a missing one is an error even if
    // it has nothing to read in it. A pipe has one reader. The first file stays open.
    absl::Status CheckFiles() {
      for (size_t file = paths_.size(); file-- > 0;) {
        struct stat info;
        if (stat(paths_[file].c_str(), &info) == 0 && !S_ISREG(info.st_mode) &&
            !S_ISDIR(info.st_mode)) {
          continue;
        }
        HEADWAY_RETURN_IF_ERROR(OpenFile(file));
      }
      return absl::OkStatus();
    }

   private:
    absl::Status NextStripe() {
      stripe_ = share_.Next();
      if (!stripe_.has_value()) return absl::OkStatus();
      HEADWAY_RETURN_IF_ERROR(OpenFile(stripe_->file));
      return lines_.BeginStripe(*stripe_, share_.size(stripe_->file));
    }
    absl::Status OpenFile(size_t file) {
      if (open_file_ == file) return absl::OkStatus();
      open_file_ = file;
      return lines_.Open(paths_[file]);
    }

    std::vector<std::string> paths_;
    int worker_index_;
    int worker_count_;
    std::shared_ptr<ReceivedSizes> received_;  // null once they have come
    FileShare share_;
    std::optional<FileStripe> stripe_;
    std::optional<size_t> open_file_;
    LineReader lines_;
  };

  absl::StatusOr<Reader> Open(const SourceContext& context, const std::optional<std::string>&) {
    Reader reader(std::move(paths_), context, std::move(received_));
    HEADWAY_RETURN_IF_ERROR(reader.CheckFiles());
    return reader;
  }

 private:
  std::vector<std::string> paths_;
  std::shared_ptr<ReceivedSizes> received_;
};

}  // namespace

// A file may grow, and each worker would see another size. So one worker looks at the sizes.
Stream<std::string> FileLines::AddTo(Scope<>& scope, std::string_view step_id) const {
  const std::string id(step_id);
  auto received = std::make_shared<ReceivedSizes>();
  Stream<Sizes> sizes = scope.Input(id + ".sizes", FileSizes(paths_));
  sizes | Unary<Sizes>(id + ".receive_sizes", pact::Broadcast{}, [received](Capability<>) {
    return [received](NodeInput<Sizes>& in, NodeOutput<Sizes>&) {
      in.ForEach([&](const CapabilityRef<>&, Batch<Sizes>& batch) {
        received->sizes = batch.Take(0);
        received->reader.Activate();
      });
    };
  });
  return scope.Input(step_id, SharedLines(paths_, received));
}

}  // namespace headway
