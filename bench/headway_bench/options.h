#ifndef HEADWAY_BENCH_HEADWAY_BENCH_OPTIONS_H_
#define HEADWAY_BENCH_HEADWAY_BENCH_OPTIONS_H_

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace headway::bench {

// An argument of a subcommand: `--name NUMBER`, or a flag `--name`.
struct Argument {
  std::string_view name;
  std::string_view help;
  bool is_flag = false;
  uint64_t default_value = 0;
  uint64_t least_value = 1;
};

inline Argument Number(std::string_view name, uint64_t default_value, std::string_view help) {
  return {.name = name, .help = help, .is_flag = false, .default_value = default_value};
}
inline Argument Flag(std::string_view name, std::string_view help) {
  return {.name = name, .help = help, .is_flag = true};
}

// The arguments of the command line. Immutable while a benchmark runs.
class Options {
 public:
  // Parses the arguments after the subcommand. `file_help` describes FILE; empty for a subcommand
  // without one. Errors: InvalidArgument, with the mistake and the arguments that the subcommand
  // knows.
  static absl::StatusOr<Options> Parse(std::span<const std::string_view> words,
                                       std::string_view subcommand,
                                       const std::vector<Argument>& arguments,
                                       std::string_view file_help);

  // The value of a number or flag that the subcommand has declared.
  uint64_t number(std::string_view name) const;
  bool flag(std::string_view name) const;

  int workers = 1;  // of each process
  int processes = 1;
  bool tcp = false;  // processes use TCP instead of socket pairs
  bool spin = false;
  bool json = false;
  bool help = false;
  std::string file;  // empty: none

 private:
  std::map<std::string, uint64_t, std::less<>> numbers_;
  std::set<std::string, std::less<>> flags_;
};

// The lines of `--help` that describe a subcommand's arguments.
std::string DescribeArguments(const std::vector<Argument>& arguments, std::string_view file_help);

}  // namespace headway::bench

#endif  // HEADWAY_BENCH_HEADWAY_BENCH_OPTIONS_H_
