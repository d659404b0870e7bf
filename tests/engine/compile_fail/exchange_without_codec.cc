// expect: this record type crosses an exchange and needs a Codec
#include <memory>

#include "headway.h"

struct Record {
  std::unique_ptr<int> payload;
};

void Build(const headway::Stream<Record>& stream) {
  stream | headway::Exchange("spread", [](const Record& r) { return *r.payload; });
}
