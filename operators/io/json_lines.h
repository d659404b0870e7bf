#ifndef HEADWAY_OPERATORS_IO_JSON_LINES_H_
#define HEADWAY_OPERATORS_IO_JSON_LINES_H_

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/graph/scope.h"
#include "engine/runtime/status_macros.h"
#include "engine/step/source.h"
#include "operators/io/bad_lines.h"
#include "operators/io/columns.h"
#include "operators/io/json_value.h"
#include "operators/io/parsed_source.h"

namespace headway {

struct JsonOptions {
  // Of lines that are no JSON, or that the record cannot be read from.
  BadLines bad_lines = BadLines::kFail;
  // Of a file that a run reads no more when it resumes.
  VanishedPartitions vanished = VanishedPartitions::kFail;
};

namespace internal {

// Reads the record from the whole line.
template <class D>
struct ReadsRecord {
  absl::StatusOr<D> operator()(const JsonValue& line) const {
    D record{};
    HEADWAY_RETURN_IF_ERROR(line.Read(record));
    return record;
  }
};

template <class D, class F>
class JsonFormat {
 public:
  using Record = D;
  static constexpr std::string_view kTooLong = "the line is longer than 64 MiB";

  explicit JsonFormat(F f) : f_(std::move(f)) {}

  static absl::Status CheckOptions() { return absl::OkStatus(); }
  // JSON has no line ends in its strings.
  FileDivision division() const { return FileDivision::kStripes; }
  absl::Status BeginStripe(LineReader&) { return absl::OkStatus(); }
  absl::StatusOr<LineReader::Found> Next(LineReader& lines, std::string_view* line) {
    return lines.Next(line);
  }
  template <class Emit>
  absl::Status Parse(LineReader&, std::string_view line, Emit&& emit) {
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) return absl::OkStatus();
    const absl::StatusOr<JsonValue> value = parser_.Parse(line);
    if (!value.ok()) return value.status();
    return EmitParsed<D>(f_, *value, emit);
  }
  bool has_failed() const { return false; }

 private:
  JsonParser parser_;
  F f_;
};

}  // namespace internal

// The records of files that have a JSON value on each line, in two forms:
//
//   scope.Input("trades", JsonLines<Trade>("trades.json"))   // Stream<Trade>
//   scope.Input("ids", JsonLines("trades.json", [](const JsonValue& line) -> absl::StatusOr<int> {
//     int id = 0;
//     HEADWAY_RETURN_IF_ERROR(line["user"]["id"].Read(id));
//     return id;
//   }))
//
// In the first, the record has one of the types of JsonValue::Read: most often a struct, of which
// HEADWAY_COLUMNS(Trade, ...) (columns.h) names the members that are fields of an object. A field
// of a std::optional may be missing or null; other fields of the object are ignored. In the second,
// the function returns a record or an absl::StatusOr of one, an error of which makes the line bad;
// an exception ends the run with an error that names the step. The value is valid in the call.
//
// Empty lines are ignored. A line has at most 64 MiB, and is nested 1024 deep at most. The workers
// share the files by bytes, as FileLines does: partitions, positions, files that grow and files
// without a size are as there, and files of gzip and zstd are decompressed. Keeps no state besides
// positions. At the end of the input nothing else is emitted.
//
// Errors name the file and the line. InvalidArgument: a line is bad (JsonOptions::bad_lines
// decides; see also WithBadLines) or too long. Others are those of FileLines.
//
// All of a line is parsed and checked, whatever the record needs of it (json_value.h).
template <class Record, class F = internal::ReadsRecord<Record>>
class JsonLines {
  using Format = internal::JsonFormat<Record, F>;
  static constexpr bool kHasFunction = !std::is_same_v<F, internal::ReadsRecord<Record>>;
  static constexpr bool kHasRecord = kHasFunction || internal::HasJsonValue<Record>();
  static_assert(kHasRecord,
                "JsonLines: write HEADWAY_COLUMNS(Type, members...) behind the record's struct, or "
                "give JsonLines a function of const JsonValue&");
  static_assert(!internal::HasViewColumn<Record>(),
                "JsonLines: the members of the record must own their text: std::string, not "
                "std::string_view");

 public:
  explicit JsonLines(InputPaths paths, JsonOptions options = {})
    requires(!kHasFunction)
      : paths_(std::move(paths)), options_(options) {}
  JsonLines(InputPaths paths, F f, JsonOptions options = {})
    requires(kHasFunction)
      : paths_(std::move(paths)), f_(std::move(f)), options_(options) {}

  // Scope::Input and WithBadLines call them.
  auto AddTo(Scope<>& scope, std::string_view step_id) const { return Add<false>(scope, step_id); }
  auto AddWithBadLinesTo(Scope<>& scope, std::string_view step_id) const {
    return Add<true>(scope, step_id);
  }

 private:
  template <bool keeps_bad_lines>
  auto Add(Scope<>& scope, std::string_view step_id) const {
    return scope.Input(step_id,
                       internal::ParsedSource<Format, keeps_bad_lines>(
                           paths_.paths(), Format(f_), {options_.bad_lines, options_.vanished}));
  }

  InputPaths paths_;
  F f_;
  JsonOptions options_;
};

template <class F>
  requires std::invocable<F&, const JsonValue&>
JsonLines(InputPaths, F) -> JsonLines<internal::ParsedRecordOf<F, const JsonValue&>, F>;
template <class F>
  requires std::invocable<F&, const JsonValue&>
JsonLines(InputPaths, F, JsonOptions)
    -> JsonLines<internal::ParsedRecordOf<F, const JsonValue&>, F>;

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_JSON_LINES_H_
