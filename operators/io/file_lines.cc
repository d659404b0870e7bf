#include "operators/io/file_lines.h"

#include <cstddef>
#include <optional>
#include <unordered_map>
#include <utility>

#include "engine/step/source.h"
#include "operators/io/file_stripes.h"
#include "operators/io/stripe_lines.h"

namespace headway {
namespace {

using internal::FileStripes;
using internal::StripeReader;

// The source of FileLines: its partitions are the stripes.
class LineSource {
 public:
  using Record = std::string;

  LineSource(std::vector<std::string> paths, FileLinesOptions options)
      : stripes_(std::move(paths), internal::FileDivision::kStripes, internal::kMaxLineBytes),
        options_(options) {}

  // The next stripe most often continues in the buffer of the one before, so one reader is open.
  int max_open_partitions() const { return 1; }
  VanishedPartitions vanished_partitions() const { return options_.vanished; }

  using Reader = internal::StripeLines;

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    return stripes_.Partitions();
  }
  absl::StatusOr<std::vector<std::string>> Vanished(
      const std::unordered_map<std::string, std::string>& positions) const {
    return stripes_.Vanished(positions);
  }
  absl::StatusOr<std::vector<std::string>> Divide(const SourceContext& context,
                                                  const std::vector<std::string>& sizes) {
    return stripes_.Divide(context, sizes);
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& name,
                                       std::optional<std::string> position) {
    absl::StatusOr<StripeReader> stripe = stripes_.Open(name, std::move(position));
    if (!stripe.ok()) return stripe.status();
    return Reader(*std::move(stripe));
  }

 private:
  FileStripes stripes_;
  FileLinesOptions options_;
};

}  // namespace

Stream<std::string> FileLines::AddTo(Scope<>& scope, std::string_view step_id) const {
  return scope.Input(step_id, LineSource(paths_, options_));
}

}  // namespace headway
