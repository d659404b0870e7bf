#ifndef HEADWAY_ENGINE_RUNTIME_GRAPH_COMPARISON_H_
#define HEADWAY_ENGINE_RUNTIME_GRAPH_COMPARISON_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace headway::internal {

// Checks that every worker of this process, and every other process, builds the same dataflows in
// the same order. A `builder` is the description of a worker or of a process, for messages.
//
// Thread safe.
class GraphComparison {
 public:
  // `builder_count` counts the workers of this process and the other processes.
  explicit GraphComparison(int builder_count) : builder_count_(builder_count) {}

  // Compares a dataflow with the one that the first builder built under the same number. Each entry
  // of `steps` describes one step. InvalidArgument: a step differs, or a worker has ended without
  // building the dataflow. ResourceExhausted: the builders are too far apart; the descriptions of
  // dataflows that some have built and others have not exceed kMaxBytes.
  static constexpr size_t kMaxBytes = size_t{64} << 20;
  absl::Status Compare(uint32_t dataflow, const std::string& builder,
                       const std::vector<std::string>& steps);

  // `builder` has built `dataflow_count` dataflows and builds no more. InvalidArgument: another
  // builder has built one more. If one does so later, its Compare fails.
  absl::Status EndBuilding(const std::string& builder, uint32_t dataflow_count);

 private:
  struct BuiltGraph {
    size_t bytes() const;

    int built_count = 0;
    std::string first_builder;
    std::vector<std::string> steps;
  };
  struct Ended {
    std::string builder;
    uint32_t dataflow_count;
  };

  const int builder_count_;
  std::mutex mutex_;                       // guards the members below
  std::map<uint32_t, BuiltGraph> graphs_;  // by number; until every builder has built it
  size_t bytes_ = 0;                       // of graphs_
  std::optional<Ended> ended_;             // the worker that ended with the fewest dataflows
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_GRAPH_COMPARISON_H_
