// expect: this record type crosses an exchange and needs a Codec
// names: Member<2, std::unique_ptr<int

// Must not compile, with the sentence of RequireCodec: a record that owns a unique_ptr has no
// codec.

#include <memory>

#include "comm/codec/codec.h"

struct Record {
  int id = 0;
  std::unique_ptr<int> payload;
};

int main() { headway::RequireCodec<Record>(); }
