#ifndef HEADWAY_TESTS_ENGINE_STORE_TEMPORARY_DIRECTORY_H_
#define HEADWAY_TESTS_ENGINE_STORE_TEMPORARY_DIRECTORY_H_

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "doctest/doctest.h"

namespace headway::internal {

// A directory that every user may enter; it is removed with its contents.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = std::filesystem::temp_directory_path() / "headway-store-XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
    chmod(path_.c_str(), 0755);
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace headway::internal

#endif  // HEADWAY_TESTS_ENGINE_STORE_TEMPORARY_DIRECTORY_H_
