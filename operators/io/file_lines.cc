#include "operators/io/file_lines.h"

#include <cstddef>
#include <optional>
#include <utility>

#include "engine/step/source.h"
#include "operators/io/file_stripes.h"
#include "operators/io/line_buffer.h"
#include "operators/io/stripe_lines.h"

namespace headway {
namespace {

// The source of FileLines: its partitions are the stripes.
class LineSource : public internal::StripedSource {
 public:
  using Record = std::string;
  using Reader = internal::StripeLines;

  LineSource(std::vector<std::string> paths, FileLinesOptions options)
      : StripedSource({std::move(paths), internal::FileDivision::kStripes, internal::kMaxLineBytes},
                      options.vanished) {}

  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& name,
                                       std::optional<std::string> position) {
    absl::StatusOr<internal::StripeReader> stripe = stripes().Open(name, std::move(position));
    if (!stripe.ok()) return stripe.status();
    return Reader(*std::move(stripe));
  }
};

}  // namespace

Stream<std::string> FileLines::AddTo(Scope<>& scope, std::string_view step_id) const {
  return scope.Input(step_id, LineSource(paths_, options_));
}

}  // namespace headway
