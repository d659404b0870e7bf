// expect: Output: the sink's PartitionOf must take the records of the stream
#include "headway.h"

using namespace headway;

struct Sink : FileSink {
  std::string PartitionOf(const std::vector<int>&) const { return "all"; }
};

void Build(Scope<>& scope) {
  scope.Input("numbers", TestingSource(std::vector<int>{1})) | Output("out", Sink(FileSink("out")));
}
