#include "engine/graph/graph_description.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace headway::internal {

void GraphDescription::AddScope(std::string_view id, std::string time_type) {
  scopes_.push_back({std::string(id), std::move(time_type)});
}

void GraphDescription::AddStep(std::string_view id) {
  step_index_.emplace(id, steps_.size());
  steps_.push_back({std::string(id), {}});
}

void GraphDescription::AddInput(std::string_view id, std::string input) {
  steps_[step_index_.find(id)->second].inputs.push_back(std::move(input));
}

void GraphDescription::AddStream(const void* stream, std::string_view id) {
  const auto step = step_index_.find(id);
  if (step != step_index_.end()) producer_[stream] = step->second;
}

void GraphDescription::AddAlias(const void* stream, const void* same) {
  const auto step = producer_.find(same);
  if (step != producer_.end()) producer_[stream] = step->second;
}

void GraphDescription::AddUse(const void* stream, std::string_view id, std::string record_type) {
  const auto from = producer_.find(stream);
  const auto to = step_index_.find(id);
  if (from == producer_.end() || to == step_index_.end()) return;
  edges_.push_back({from->second, to->second, std::move(record_type)});
}

std::vector<std::string> GraphDescription::Lines() const {
  std::vector<std::string> lines;
  for (const Step& step : steps_) {
    lines.push_back(absl::StrCat("step '", step.id, "'"));
    for (const std::string& input : step.inputs) {
      lines.push_back(absl::StrCat("an input of step '", step.id, "' with ", input));
    }
  }
  return lines;
}

}  // namespace headway::internal
