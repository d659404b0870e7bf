#ifndef HEADWAY_OPERATORS_IO_BAD_LINES_H_
#define HEADWAY_OPERATORS_IO_BAD_LINES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "engine/graph/scope.h"

namespace headway {

// The fate of a line, or a CSV row, that cannot be parsed.
enum class BadLines {
  kFail,  // ends the run with an error that names the file and the line
  kSkip,  // it is dropped
};

// A line that could not be parsed; see WithBadLines.
struct BadLine {
  std::string file;
  int64_t line = 0;  // the number of its line, from 1 on; 0: unknown, in a pipe
  std::string text;
  std::string error;
};

inline std::string ToString(const BadLine& bad) {
  return "'" + bad.file + "', line " + std::to_string(bad.line) + ": " + bad.error;
}

// A CsvFile or JsonLines whose bad lines are records too: a stream of std::variant<D, BadLine>.
// Split divides it:
//
//   auto [trades, bad] = scope.Input("file", WithBadLines(CsvFile<Trade>("trades.csv"))) |
//                        Split("bad lines");
//   bad | Output("rejected", JsonLinesSink("rejected.json"));
template <class Source>
class WithBadLines {
 public:
  explicit WithBadLines(Source source) : source_(std::move(source)) {}

  // Scope::Input calls it.
  auto AddTo(Scope<>& scope, std::string_view step_id) const {
    return source_.AddWithBadLinesTo(scope, step_id);
  }

 private:
  Source source_;
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_BAD_LINES_H_
