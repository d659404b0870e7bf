#ifndef HEADWAY_CLI_STATE_LINES_H_
#define HEADWAY_CLI_STATE_LINES_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/store/row.h"

namespace headway::cli {

// The state of a step as JSON lines: an object for each row.
//
//   {"hash":"9464c15eca3c4724","key":{"string":"of"},"state":{"base64":"AQAAAAAAAAA="}}
//
// The hash has 16 hexadecimal digits. The key, the part and the state are encoded bytes, in one of
// three forms:
//
//   "text"              the bytes are this printable UTF-8
//   {"string":"text"}   the bytes are the encoding of this std::string, which is printable UTF-8
//   {"base64":"AQ=="}   any bytes
//
// An empty part is left out.

// Returns the line of a row, without its end. REQUIRES: the row is no tombstone.
std::string LineOf(const internal::StateRow& row);

// A row that owns its bytes.
struct StateLine {
  uint64_t hash = 0;
  std::string key = {};
  std::string part = {};
  std::string state = {};

  // Views of the bytes.
  internal::StateRow row() const { return {hash, key, part, state}; }
};

// Reads a line. The names of its object may be in any order. InvalidArgument: the line is
// malformed; the message has the column.
absl::StatusOr<StateLine> ParseStateLine(std::string_view line);

}  // namespace headway::cli

#endif  // HEADWAY_CLI_STATE_LINES_H_
