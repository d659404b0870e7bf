#include "engine/graph/graph_description.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/graph/type_name.h"
#include "headway.h"
#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using internal::GraphDescription;
using internal::TypeName;

struct Description {
  GraphDescription graph;
  absl::Status status;
};

Description Describe(const std::function<void(Scope<>&)>& build) {
  Description result;
  result.status = Execute({.workers = 1}, [&](Worker& worker) {
    internal::Graph* graph = nullptr;
    absl::Status status = worker.Build("described", [&](Scope<>& scope) {
      graph = &scope.graph();
      build(scope);
    });
    if (status.ok()) result.graph = graph->description();
    return status;
  });
  return result;
}

std::vector<std::string> EdgesOf(const GraphDescription& graph) {
  std::vector<std::string> edges;
  for (const GraphDescription::Edge& edge : graph.edges) {
    edges.push_back(graph.steps[edge.from].id + " -> " + graph.steps[edge.to].id + " of " +
                    std::string(edge.record_type));
  }
  return edges;
}

TEST_CASE("names of types read as a C++ programmer writes them") {
  CHECK(TypeName<int>() == "int");
  CHECK(TypeName<std::string>() == "std::string");
  CHECK(TypeName<std::string_view>() == "std::string_view");
  CHECK(TypeName<std::pair<std::string, int>>() == "std::pair<std::string, int>");
  CHECK(TypeName<std::vector<std::pair<int, std::string>>>() ==
        "std::vector<std::pair<int, std::string>>");
  CHECK(TypeName<Product<Epoch, int>>() == "headway::Product<unsigned long, int>");
}

TEST_CASE("a description has the steps in build order and the streams between them") {
  const Description described = Describe([](Scope<>& scope) {
    auto numbers = scope.Input("numbers", TestingSource(std::vector{1, 2}));
    auto texts = numbers | Map("text", [](int i) { return std::to_string(i); });
    texts | Merge("both", texts) | Inspect("look", [](std::string_view) {});
    numbers | Exchange("spread") | Inspect("see", [](int) {});
  });
  CheckOk(described.status);
  std::vector<std::string> ids;
  for (const GraphDescription::Step& step : described.graph.steps) ids.push_back(step.id);
  CHECK(ids == std::vector<std::string>{"numbers", "text", "both", "look", "spread", "see"});
  CHECK(EdgesOf(described.graph) ==
        std::vector<std::string>{"numbers -> text of int", "text -> both of std::string",
                                 "text -> both of std::string", "both -> look of std::string",
                                 "numbers -> spread of int", "spread -> see of int"});
}

TEST_CASE("a description has the nested scopes with their times, and the streams through them") {
  const Description described = Describe([](Scope<>& scope) {
    auto numbers = scope.Input("numbers", TestingSource(std::vector{1}));
    auto out = scope.Iterate("loop", [&](auto& inner) {
      return numbers | Enter(inner) | Map("halve", [](int i) { return i / 2; }) | Leave(scope);
    });
    out | Inspect("see", [](int) {});
  });
  CheckOk(described.status);
  REQUIRE(described.graph.scopes.size() == 2);
  CHECK(described.graph.scopes[0].id.empty());
  CHECK(described.graph.scopes[0].time_type == "unsigned long");
  CHECK(described.graph.scopes[1].id == "loop");
  CHECK(described.graph.scopes[1].time_type == "headway::Product<unsigned long, unsigned long>");
  CHECK(EdgesOf(described.graph) ==
        std::vector<std::string>{"numbers -> loop.halve of int", "loop.halve -> see of int"});
}

TEST_CASE("workers that build inputs of different types get an error with readable names") {
  const absl::Status status = Execute({.workers = 2}, [](Worker& worker) {
    return worker.Build("different", [&](Scope<>& scope) {
      if (worker.index() == 0) {
        scope.Input("in", TestingSource(std::vector<std::string>{})) | Exchange("spread");
      } else {
        scope.Input("in", TestingSource(std::vector<int64_t>{})) | Exchange("spread");
      }
    });
  });
  CheckError(status, absl::StatusCode::kInvalidArgument,
             {"records of type std::string", "records of type long"});
}

}  // namespace
}  // namespace headway
