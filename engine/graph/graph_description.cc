#include "engine/graph/graph_description.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "format.h"

namespace headway::internal {

std::vector<std::string> GraphDescription::Lines(const std::string& dataflow) const {
  std::vector<std::string> lines = {absl::StrCat("a dataflow named '", dataflow, "'")};
  for (const Step& step : steps) {
    lines.push_back(absl::StrCat("step '", step.id, "'"));
    for (const Input& input : step.inputs) {
      lines.push_back(
          Format("an input of step '%s' with records of type %s, times of type %s, pact %s",
                 step.id, input.record_type, input.time_type, input.pact));
    }
    for (const std::string& summary : step.summaries) {
      lines.push_back(absl::StrCat("step '", step.id, "' with ", summary));
    }
  }
  for (const Edge& edge : edges) {
    lines.push_back(Format("a stream of %s from output %d of step '%s' to input %d of step '%s'",
                           edge.record_type, edge.output, steps[edge.from].id, edge.input,
                           steps[edge.to].id));
  }
  return lines;
}

void GraphDescriber::AddScope(std::string_view id, std::string_view time_type) {
  description_.scopes.push_back({std::string(id), time_type});
}

void GraphDescriber::AddStep(std::string_view id) {
  step_index_.emplace(id, description_.steps.size());
  description_.steps.push_back({std::string(id), {}, {}});
}

void GraphDescriber::AddInput(std::string_view id, GraphDescription::Input input) {
  description_.steps[step_index_.find(id)->second].inputs.push_back(input);
}

void GraphDescriber::AddSummary(std::string_view id, std::string summary) {
  description_.steps[step_index_.find(id)->second].summaries.push_back(std::move(summary));
}

void GraphDescriber::AddStream(const void* stream, std::string_view id) {
  const auto step = step_index_.find(id);
  if (step == step_index_.end()) return;
  producer_[stream] = {step->second, description_.steps[step->second].output_count++};
}

void GraphDescriber::AddAlias(const void* stream, const void* same) {
  const auto step = producer_.find(same);
  if (step != producer_.end()) producer_[stream] = step->second;
}

void GraphDescriber::AddUse(const void* stream, std::string_view id, std::string_view record_type) {
  const auto from = producer_.find(stream);
  const auto to = step_index_.find(id);
  if (from == producer_.end() || to == step_index_.end()) return;
  description_.edges.push_back({from->second.step, from->second.output, to->second,
                                description_.steps[to->second].use_count++, record_type});
}

GraphDescription GraphDescriber::Take() {
  description_.scopes.shrink_to_fit();
  description_.steps.shrink_to_fit();
  description_.edges.shrink_to_fit();
  return std::move(description_);
}

}  // namespace headway::internal
