#include "engine/runtime/graph_comparison.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "comm/wire/printable.h"

namespace headway::internal {
namespace {

absl::Status NotBuilt(const std::string& ended, uint32_t dataflow, const std::string& builder) {
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s has ended without building dataflow number %d, which %s has built; every worker must "
      "build the same dataflows in the same order",
      ended, dataflow, builder));
}

}  // namespace

size_t GraphComparison::BuiltGraph::bytes() const {
  size_t bytes = sizeof(*this);
  for (const std::string& step : steps) bytes += sizeof(std::string) + step.size();
  return bytes;
}

absl::Status GraphComparison::Compare(uint32_t dataflow, const std::string& builder,
                                      const std::vector<std::string>& steps) {
  std::lock_guard lock(mutex_);
  BuiltGraph& graph = graphs_[dataflow];
  if (graph.built_count++ == 0) {
    if (bytes_ > kMaxBytes) {
      return absl::ResourceExhaustedError(absl::StrFormat(
          "%s has built dataflow number %d, and others are so far behind that the descriptions of "
          "the dataflows between exceed %d bytes; build the same dataflows on every worker",
          builder, dataflow, kMaxBytes));
    }
    graph.first_builder = builder;
    graph.steps = steps;
    bytes_ += graph.bytes();
  }
  absl::Status status;
  for (size_t i = 0; status.ok() && i < std::max(steps.size(), graph.steps.size()); ++i) {
    const std::string mine = i < steps.size() ? steps[i] : "nothing";
    const std::string theirs = i < graph.steps.size() ? graph.steps[i] : "nothing";
    if (mine != theirs) {
      status = absl::InvalidArgumentError(
          absl::StrFormat("workers build different dataflows: %s has %s where %s has %s; the "
                          "function that builds a dataflow must do the same on every worker",
                          builder, Printable(mine), graph.first_builder, Printable(theirs)));
    }
  }
  if (status.ok() && ended_.has_value() && ended_->dataflow_count <= dataflow) {
    status = NotBuilt(ended_->builder, dataflow, builder);
  }
  if (graph.built_count == builder_count_) {
    bytes_ -= graph.bytes();
    graphs_.erase(dataflow);
  }
  return status;
}

absl::Status GraphComparison::EndBuilding(const std::string& builder, uint32_t dataflow_count) {
  std::lock_guard lock(mutex_);
  if (ended_.has_value() && ended_->dataflow_count <= dataflow_count) return absl::OkStatus();
  ended_ = {builder, dataflow_count};
  const auto missing = graphs_.lower_bound(dataflow_count);
  if (missing == graphs_.end()) return absl::OkStatus();
  return NotBuilt(builder, missing->first, missing->second.first_builder);
}

}  // namespace headway::internal
