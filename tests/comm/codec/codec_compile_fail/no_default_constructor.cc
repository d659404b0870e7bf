// expect: it needs a default constructor too
#include <string>

#include "comm/codec/codec.h"

class Record {
 public:
  explicit Record(int id) : id_(id) {}
  HEADWAY_CODEC_FIELDS(Record, id_, name_);

 private:
  int id_;
  std::string name_;
};

int main() { headway::RequireCodec<Record>(); }
