// expect: this record type crosses an exchange and needs a Codec: make it trivially copyable
// names: Member<2, std::unique_ptr<int
#include <memory>

#include "comm/codec/codec.h"

class Record {
 public:
  HEADWAY_CODEC_FIELDS(Record, id_, payload_);

 private:
  int id_ = 0;
  std::unique_ptr<int> payload_;
};

std::vector<std::byte> Encode(const Record& record) { return headway::EncodeToBytes(record); }
