// A shared library with two dataflows, for the command `headway`:
//
//   headway run libwords.so -w2
//   headway run "libwords.so:Count('data/rivers.txt')" -p2

#include <string>
#include <string_view>
#include <vector>

#include "headway/engine/launch/export.h"
#include "headway/headway.h"

using namespace headway;

Dataflow flow("words", [](Scope<>& scope) {
  scope.Input("lines", TestingSource(std::vector<std::string>{"to be or not", "to be"}))  //
      | FlatMap("words", [](std::string_view line) { return Words(line); })               //
      | CountFinal("count")                                                               //
      | Output("out", StdOutSink());
});
HEADWAY_EXPORT_DATAFLOW(flow);

Dataflow Count(const std::string& file) {
  return Dataflow("count", [file](Scope<>& scope) {
    scope.Input("lines", FileLines(file))                                      //
        | FlatMap("words", [](std::string_view line) { return Words(line); })  //
        | CountFinal("count")                                                  //
        | Output("out", StdOutSink());
  });
}
HEADWAY_EXPORT_DATAFLOW(Count);
