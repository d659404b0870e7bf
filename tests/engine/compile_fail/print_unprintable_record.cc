// expect: StdOutSink: the record cannot be printed
#include "headway.h"

struct Record {
  int x = 0;
};

void Build(const headway::Stream<Record>& stream) {
  stream | headway::Output("bad", headway::StdOutSink());
}
