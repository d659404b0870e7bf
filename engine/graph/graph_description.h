#ifndef HEADWAY_ENGINE_GRAPH_GRAPH_DESCRIPTION_H_
#define HEADWAY_ENGINE_GRAPH_GRAPH_DESCRIPTION_H_

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace headway::internal {

// Describes the graph of a dataflow in words: its scopes, its steps in build order, and the streams
// between them, with the types of records and times as a C++ programmer writes them. Outlives the
// build. Workers and processes compare their descriptions, and errors quote them.
//
// The names of types are those of TypeName: they are never freed.
struct GraphDescription {
  struct Scope {
    std::string id;  // empty: the root scope
    std::string_view time_type;
  };
  // An input of an operator.
  struct Input {
    std::string_view record_type;
    std::string_view time_type;
    std::string_view pact;
  };
  struct Step {
    std::string id;             // with the ids of the steps that it is part of
    std::vector<Input> inputs;  // empty for transforms
    // Of operators and cycles: how times advance, where they do not stay as they are.
    std::vector<std::string> summaries;
    size_t output_count = 0;
    size_t use_count = 0;  // streams that the step uses
  };
  // A stream from one step to another; transforms are steps too.
  struct Edge {
    size_t from;  // index of a step
    size_t output;
    size_t to;
    size_t input;
    std::string_view record_type;
  };

  std::vector<Scope> scopes;
  std::vector<Step> steps;
  std::vector<Edge> edges;

  // One line for the name of the dataflow, each step with its inputs and summaries, and each
  // stream, in build order: the form that is compared between workers and sent to other processes.
  // Graphs have equal lines iff their steps, connections and times are the same.
  std::vector<std::string> Lines(const std::string& dataflow) const;
};

// Collects the description of a graph that is being built, and finds steps and streams in it.
//
// Not thread safe.
class GraphDescriber {
 public:
  void AddScope(std::string_view id, std::string_view time_type);
  void AddStep(std::string_view id);
  // REQUIRES: a step `id` was added.
  void AddInput(std::string_view id, GraphDescription::Input input);
  // REQUIRES: a step `id` was added.
  void AddSummary(std::string_view id, std::string summary);
  // The step `id` is where the records of `stream`, the address of its tee, come from.
  void AddStream(const void* stream, std::string_view id);
  // `stream` has the records of `same`, at other times.
  void AddAlias(const void* stream, const void* same);
  // The step `id` uses a stream. Ignored if either is unknown: the stream or step was refused.
  void AddUse(const void* stream, std::string_view id, std::string_view record_type);

  // The description of the graph so far.
  const GraphDescription& description() const { return description_; }
  // Ends the collection.
  GraphDescription Take();

 private:
  GraphDescription description_;
  std::map<std::string, size_t, std::less<>> step_index_;
  struct Producer {
    size_t step;
    size_t output;
  };
  std::unordered_map<const void*, Producer> producer_;  // of a stream
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_GRAPH_DESCRIPTION_H_
