// expect: CsvSink: the record must be a struct with HEADWAY_COLUMNS, a CsvRow, a tuple, a pair or a
#include "headway.h"

struct Opaque {
  int number;
};

void Build(const headway::Stream<Opaque>& stream) {
  stream | headway::Output("out", headway::CsvSink("out.csv"));
}
