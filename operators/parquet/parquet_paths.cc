#include "operators/parquet/parquet_paths.h"

#include <sys/stat.h>
#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine/runtime/status_macros.h"
#include "operators/io/matching_files.h"

namespace headway::internal {
namespace {

namespace fs = std::filesystem;

// The value of a null column, as Hive and its successors write it.
constexpr const char* kNull = "__HIVE_DEFAULT_PARTITION__";

// A file or directory, whatever its names.
using Inode = std::pair<dev_t, ino_t>;

std::optional<Inode> InodeOf(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return Inode(info.st_dev, info.st_ino);
}

// `above` has the directories that lead here, since a link may lead back to one of them.
absl::Status AddFilesOf(const std::string& directory, std::set<Inode>& above,
                        std::set<std::string>& files) {
  const std::optional<Inode> inode = InodeOf(directory);
  if (inode.has_value() && !above.insert(*inode).second) return absl::OkStatus();
  std::error_code error;
  for (auto entry = fs::directory_iterator(directory, error);
       !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string path = entry->path().string();
    const std::string name = entry->path().filename().string();
    if (name[0] == '.' || name[0] == '_') continue;
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) {
      HEADWAY_RETURN_IF_ERROR(AddFilesOf(path, above, files));
    } else if (entry->path().extension() == ".parquet" && IsRegularFile(path)) {
      files.insert(path);
    }
  }
  if (inode.has_value()) above.erase(*inode);
  if (!error) return absl::OkStatus();
  return absl::ErrnoToStatus(error.value(),
                             absl::StrCat("cannot read the directory '", directory, "'"));
}

absl::Status AddFile(const std::string& path, std::set<std::string>& files) {
  std::error_code error;
  std::set<Inode> above;
  if (fs::is_directory(path, error)) return AddFilesOf(path, above, files);
  files.insert(path);
  return absl::OkStatus();
}

std::string Decoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    const std::string digits(text.substr(i, 3));
    if (digits.size() == 3 && digits[0] == '%' && absl::ascii_isxdigit(digits[1]) &&
        absl::ascii_isxdigit(digits[2]) && absl::SimpleHexAtoi(digits.substr(1), &byte)) {
      decoded.push_back(static_cast<char>(byte));
      i += 2;
    } else {
      decoded.push_back(text[i]);
    }
  }
  return decoded;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParquetFiles(const std::vector<std::string>& paths) {
  std::set<std::string> files;
  for (const std::string& path : paths) {
    std::set<std::string> found;
    std::error_code error;
    if (fs::exists(path, error)) {
      HEADWAY_RETURN_IF_ERROR(AddFile(path, found));
    } else {
      absl::StatusOr<std::vector<std::string>> matching = MatchingPaths(path);
      if (!matching.ok()) return matching.status();
      for (const std::string& file : *matching) HEADWAY_RETURN_IF_ERROR(AddFile(file, found));
    }
    if (found.empty()) {
      return absl::NotFoundError(
          absl::StrCat("no file of Parquet is at '", path,
                       "'; name a file, a directory with files *.parquet, or a pattern"));
    }
    files.merge(found);
  }
  std::set<Inode> seen;
  std::vector<std::string> result;
  for (const std::string& file : files) {
    const std::optional<Inode> inode = InodeOf(file);
    if (!inode.has_value() || seen.insert(*inode).second) result.push_back(file);
  }
  return result;
}

std::map<std::string, std::optional<std::string>> PathColumns(const std::string& path) {
  std::map<std::string, std::optional<std::string>> columns;
  std::vector<std::string> parts = absl::StrSplit(path, '/');
  parts.pop_back();  // the file
  for (const std::string& part : parts) {
    const size_t equal = part.find('=');
    if (equal == std::string::npos || equal == 0) continue;
    const std::string value = part.substr(equal + 1);
    columns[Decoded(part.substr(0, equal))] =
        value == kNull ? std::nullopt : std::optional(Decoded(value));
  }
  return columns;
}

std::string PathText(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
        std::string_view("-_.:+ ,@").find(c) != std::string_view::npos) {
      encoded.push_back(c);
    } else {
      absl::StrAppend(&encoded, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    }
  }
  return encoded;
}

std::string PathOfColumn(std::string_view column, const std::optional<std::string>& value) {
  return absl::StrCat(PathText(column), "=",
                      value.has_value() ? PathText(*value) : std::string(kNull));
}

}  // namespace headway::internal
