#ifndef HEADWAY_OPERATORS_IO_PARSED_SOURCE_H_
#define HEADWAY_OPERATORS_IO_PARSED_SOURCE_H_

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "engine/runtime/status_macros.h"
#include "engine/step/source.h"
#include "operators/io/bad_lines.h"
#include "operators/io/file_stripes.h"
#include "operators/io/line_locator.h"

namespace headway {

// The files of a source: a path, or several.
class InputPaths {
 public:
  InputPaths(const char* path) : paths_{path} {}                            // NOLINT: implicit
  InputPaths(std::string path) : paths_{std::move(path)} {}                 // NOLINT: implicit
  InputPaths(std::vector<std::string> paths) : paths_(std::move(paths)) {}  // NOLINT: implicit
  InputPaths(std::initializer_list<std::string> paths) : paths_(paths) {}

  const std::vector<std::string>& paths() const { return paths_; }

 private:
  std::vector<std::string> paths_;
};

namespace internal {

// The options that all sources that parse lines have.
struct ParsedOptions {
  BadLines bad_lines = BadLines::kFail;
  VanishedPartitions vanished = VanishedPartitions::kFail;
};

inline constexpr size_t kMaxParsedBytes = size_t{64} << 20;  // of a line

// The error of a line, with the file and the line.
inline absl::Status LocatedError(const BadLine& bad, absl::StatusCode code) {
  const std::string line = bad.line > 0 ? absl::StrCat(", line ", bad.line) : std::string();
  return absl::Status(code, absl::StrCat("'", bad.file, "'", line, ": ", bad.error));
}

// A source of records that a Format makes of the lines of files. It has
//
//   using Record = ...;
//   absl::Status CheckOptions() const;
//   FileDivision division() const;
//   // Files that begin with a header have it parsed here. `lines` is at a line of the file.
//   absl::Status BeginStripe(LineReader& lines);
//   absl::StatusOr<LineReader::Found> Next(LineReader& lines, std::string_view* line);
//   // Calls emit(record) once at most. Returns the error of the line.
//
//   template <class Emit>
//   absl::Status Parse(LineReader& lines, std::string_view line, Emit&& emit);
//   // Whether the last error concerns the whole file.
//   bool has_failed() const;
//   // The end of the error for a line beyond the limit.
//   static constexpr std::string_view kTooLong;
//
// With `keeps_bad_lines` the source's records are std::variants of records and BadLines.
template <class Format, bool keeps_bad_lines>
class ParsedSource : public StripedSource {
  using D = typename Format::Record;

 public:
  using Record = std::conditional_t<keeps_bad_lines, std::variant<D, BadLine>, D>;

  ParsedSource(std::vector<std::string> paths, Format format, ParsedOptions options)
      : StripedSource({std::move(paths), format.division(), kMaxParsedBytes}, options.vanished),
        parsing_(std::make_shared<Parsing>(std::move(format), options.bad_lines)) {}

  class Reader;

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext& context) {
    HEADWAY_RETURN_IF_ERROR(parsing_->format.CheckOptions());
    return StripedSource::Partitions(context);
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& name,
                                       std::optional<std::string> position) {
    absl::StatusOr<StripeReader> stripe = stripes().Open(name, std::move(position));
    if (!stripe.ok()) return stripe.status();
    if (!stripe->is_skipped()) {
      HEADWAY_RETURN_IF_ERROR(parsing_->format.BeginStripe(stripe->lines()));
    }
    return Reader(*std::move(stripe), parsing_);
  }

 private:
  // Shared by the readers of a worker, of which one is open.
  struct Parsing {
    Parsing(Format of_lines, BadLines fate) : format(std::move(of_lines)), bad_lines(fate) {}

    Format format;
    BadLines bad_lines;
    LineLocator locator;
  };

  std::shared_ptr<Parsing> parsing_;
};

template <class Format, bool keeps_bad_lines>
class ParsedSource<Format, keeps_bad_lines>::Reader {
 public:
  Reader(StripeReader stripe, std::shared_ptr<Parsing> parsing)
      : stripe_(std::move(stripe)), parsing_(std::move(parsing)) {}

  absl::StatusOr<SourceState> Poll(SourceOutput<Record>& out) {
    if (stripe_.is_skipped()) return SourceState::Done();
    LineReader& lines = stripe_.lines();
    Format& format = parsing_->format;
    std::string_view line;
    while (out.WantsMore()) {
      absl::StatusOr<LineReader::Found> found = format.Next(lines, &line);
      if (!found.ok()) return ReadError(std::move(found).status());
      if (*found != LineReader::Found::kLine) return StateOf(*found);
      absl::Status parsed = format.Parse(
          lines, line, [&out]<class R>(R&& record) { out.Emit(std::forward<R>(record)); });
      if (!parsed.ok()) HEADWAY_RETURN_IF_ERROR(TakeBadLine(out, line, parsed));
    }
    return SourceState::More();
  }
  std::string Snapshot() const { return stripe_.Snapshot(); }

 private:
  absl::Status ReadError(absl::Status status) {
    if (!stripe_.lines().line_is_too_long()) return status;
    const int64_t begin = stripe_.lines().position().next;
    return LocatedError(BadLineAt(begin, "", std::string(Format::kTooLong)), status.code());
  }
  absl::Status TakeBadLine(SourceOutput<Record>& out, std::string_view line,
                           const absl::Status& status) {
    if (!keeps_bad_lines && parsing_->bad_lines == BadLines::kSkip &&
        !parsing_->format.has_failed()) {
      return absl::OkStatus();
    }
    BadLine bad = BadLineAt(stripe_.lines().line_begin(), line, std::string(status.message()));
    if (parsing_->format.has_failed()) return LocatedError(bad, status.code());
    if constexpr (keeps_bad_lines) {
      out.Emit(Record(std::in_place_index<1>, std::move(bad)));
      return absl::OkStatus();
    } else {
      return LocatedError(bad, status.code());
    }
  }
  BadLine BadLineAt(int64_t offset, std::string_view text, std::string error) {
    const std::string& path = stripe_.lines().path();
    return {path, parsing_->locator.LineAt(path, offset), std::string(text), std::move(error)};
  }

  StripeReader stripe_;
  std::shared_ptr<Parsing> parsing_;
};

// The result of a user's function: D, or absl::StatusOr<D>.
template <class R>
struct ParsedRecord {
  using type = RecordOfT<R>;
};
template <class R>
struct ParsedRecord<absl::StatusOr<R>> {
  using type = R;
};
template <class F, class... Args>
using ParsedRecordOf =
    typename ParsedRecord<std::remove_cvref_t<std::invoke_result_t<F&, Args...>>>::type;

// Emits the result of f(args...), or returns its error.
template <class D, class F, class Emit, class Arg>
absl::Status EmitParsed(F& f, const Arg& arg, Emit& emit) {
  using R = std::remove_cvref_t<std::invoke_result_t<F&, const Arg&>>;
  if constexpr (std::is_same_v<R, absl::StatusOr<D>>) {
    R record = f(arg);
    if (!record.ok()) return record.status();
    emit(*std::move(record));
  } else {
    emit(f(arg));
  }
  return absl::OkStatus();
}

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_PARSED_SOURCE_H_
