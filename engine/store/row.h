#ifndef HEADWAY_ENGINE_STORE_ROW_H_
#define HEADWAY_ENGINE_STORE_ROW_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace headway::internal {

// The key, part and state of a row have at most so many bytes together. SQLite and PostgreSQL store
// at most a gigabyte in a value.
inline constexpr size_t kRowBytesMax = size_t{512} << 20;

// One row of stored state: a change of (key, part), or that it is gone. Views of bytes elsewhere.
struct StateRow {
  uint64_t hash = 0;  // of the key, as records are routed
  std::string_view key = {};
  std::string_view part = {};                            // empty: the state itself
  std::optional<std::string_view> state = std::nullopt;  // nullopt: a tombstone

  size_t byte_count() const { return key.size() + part.size() + (state ? state->size() : 0); }
};

// The order of rows in runs: by hash, key and part.
bool RowLess(const StateRow& a, const StateRow& b);

// Appends a row to a buffer of rows, in no order: the form in which a worker hands its changes on.
// A row is its hash (8 bytes, little-endian), three lengths (Encoder::AppendLength), and the bytes
// of the key, the part and the state. The third length is 0 for a tombstone, else that of the
// state + 1.
void AppendRow(const StateRow& row, std::string& buffer);

// Reads the rows of such a buffer in the order in which they were appended.
class RowReader {
 public:
  explicit RowReader(std::string_view rows) : rest_(rows) {}
  // Returns false at the end, and if the bytes are malformed; then `malformed()` is true.
  bool Next(StateRow* row);
  bool malformed() const { return malformed_; }
  // The number of bytes that are not read yet.
  size_t remaining() const { return rest_.size(); }

 private:
  std::string_view rest_;
  bool malformed_ = false;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STORE_ROW_H_
