#ifndef HEADWAY_TESTS_CLUSTER_RECOVERY_CRASH_FLOW_H_
#define HEADWAY_TESTS_CLUSTER_RECOVERY_CRASH_FLOW_H_

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "headway.h"

// A dataflow with every kind of state, over generated texts, whose output does not depend on the
// number of workers or on the ends of epochs: the crash tests compare it.

namespace headway {

// The input of the dataflow, as files in a directory. The same size gives the same files.
class CrashInput {
 public:
  CrashInput(std::filesystem::path directory, int64_t text_bytes);

  std::string text() const { return directory_ / "text"; }
  std::string customers() const { return directory_ / "customers"; }
  std::string orders() const { return directory_ / "orders"; }
  // Each is one partition of FileLines, so the order of its lines is kept.
  std::vector<std::string> readings() const;
  // Of all files.
  int64_t line_count() const { return line_count_; }

 private:
  std::filesystem::path directory_;
  int64_t line_count_ = 0;
};

// The dataflow writes the running counts of the words of a text, the running maxima of sensors,
// the join of customers and orders, and the orders after a delay by epochs and by the clock, each
// into files in `directory`. It does not end before the file `gate` exists. `lines` counts the
// lines that were read in this process.
Dataflow CrashFlow(const CrashInput& input, const std::filesystem::path& directory,
                   const std::filesystem::path& gate, std::atomic<int64_t>& lines);

// The bytes of all files in a directory.
int64_t OutputBytes(const std::filesystem::path& directory);
// The lines of all files by their names. They are sorted, but for the files of the sensors, whose
// order is that of the input.
std::map<std::string, std::vector<std::string>> OutputLines(const std::filesystem::path& directory);

}  // namespace headway

#endif  // HEADWAY_TESTS_CLUSTER_RECOVERY_CRASH_FLOW_H_
