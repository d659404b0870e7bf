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
// between them, with the types of records and times as a C++ programmer writes them. Made while the
// graph is built; outlives the build. Workers and processes compare their descriptions, and errors
// quote them.
//
// Not thread safe.
class GraphDescription {
 public:
  struct Scope {
    std::string id;  // empty: the root scope
    std::string time_type;
  };
  struct Step {
    std::string id;                   // with the ids of the steps that it is part of
    std::vector<std::string> inputs;  // of operators: record type, time type and pact
  };
  // A stream from one step to another; transforms are steps too.
  struct Edge {
    size_t from;  // index of a step
    size_t to;
    std::string record_type;
  };

  void AddScope(std::string_view id, std::string time_type);
  void AddStep(std::string_view id);
  // REQUIRES: a step `id` was added.
  void AddInput(std::string_view id, std::string input);
  // The step `id` is where the records of `stream`, the address of its tee, come from.
  void AddStream(const void* stream, std::string_view id);
  // `stream` has the records of `same`, at other times.
  void AddAlias(const void* stream, const void* same);
  // The step `id` uses a stream. Ignored if either is unknown: the stream or step was refused.
  void AddUse(const void* stream, std::string_view id, std::string record_type);

  const std::vector<Scope>& scopes() const { return scopes_; }
  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<Edge>& edges() const { return edges_; }

  // One line for each step and each input of a step, in build order: the form that is compared
  // between workers and sent to other processes. Equal graphs have equal lines.
  std::vector<std::string> Lines() const;

 private:
  std::vector<Scope> scopes_;
  std::vector<Step> steps_;
  std::vector<Edge> edges_;
  std::map<std::string, size_t, std::less<>> step_index_;
  std::unordered_map<const void*, size_t> producer_;  // of a stream: index of a step
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_GRAPH_DESCRIPTION_H_
