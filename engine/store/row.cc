#include "engine/store/row.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "engine/store/length.h"

namespace headway::internal {

bool RowLess(const StateRow& a, const StateRow& b) {
  if (a.hash != b.hash) return a.hash < b.hash;
  const int order = a.key.compare(b.key);
  return order != 0 ? order < 0 : a.part < b.part;
}

void AppendRow(const StateRow& row, std::string& buffer) {
  // Most rows are short: they are put together here, so that the buffer is looked at once.
  constexpr size_t kShort = 256;
  constexpr size_t kHeadMax = sizeof(row.hash) + 3 * kLengthBytesMax;
  std::array<char, kHeadMax + kShort> bytes;
  char* end = bytes.data();
  const auto append = [&end](std::string_view text) {
    if (text.empty()) return;  // its pointer may be null
    std::memcpy(end, text.data(), text.size());
    end += text.size();
  };
  std::memcpy(end, &row.hash, sizeof(row.hash));
  end += sizeof(row.hash);
  end = WriteLength(row.key.size(), end);
  end = WriteLength(row.part.size(), end);
  end = WriteLength(row.state ? row.state->size() + 1 : 0, end);
  const std::string_view state = row.state.value_or(std::string_view());
  if (row.byte_count() <= kShort) {
    append(row.key);
    append(row.part);
    append(state);
    buffer.append(bytes.data(), static_cast<size_t>(end - bytes.data()));
  } else {
    buffer.append(bytes.data(), static_cast<size_t>(end - bytes.data()));
    buffer.append(row.key).append(row.part).append(state);
  }
}

bool RowReader::Next(StateRow* row) {
  if (rest_.empty()) return false;
  malformed_ = true;  // until the row is read
  uint64_t key_size = 0;
  uint64_t part_size = 0;
  uint64_t state_size = 0;
  if (rest_.size() < sizeof(row->hash)) return false;
  std::memcpy(&row->hash, rest_.data(), sizeof(row->hash));
  std::string_view rest = rest_.substr(sizeof(row->hash));
  if (!ReadLength(&rest, &key_size) || !ReadLength(&rest, &part_size) ||
      !ReadLength(&rest, &state_size)) {
    return false;
  }
  const auto take = [&rest](uint64_t size, std::string_view* bytes) {
    if (size > rest.size()) return false;
    *bytes = rest.substr(0, size);
    rest.remove_prefix(size);
    return true;
  };
  if (!take(key_size, &row->key) || !take(part_size, &row->part)) return false;
  row->state.reset();
  if (state_size != 0 && !take(state_size - 1, &row->state.emplace())) return false;
  rest_ = rest;
  malformed_ = false;
  return true;
}

}  // namespace headway::internal
