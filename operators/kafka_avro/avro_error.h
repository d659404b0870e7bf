#ifndef HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_ERROR_H_
#define HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_ERROR_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace headway::internal {

// The reason why a value cannot be read or written, and the path of its field, to which each record
// around it adds a name on the way back. Functions return false after a failure, so that values
// without one make no status.
class AvroError {
 public:
  // Returns false. REQUIRES: the first failure.
  bool Set(absl::StatusCode code, std::string reason) {
    code_ = code;
    reason_ = std::move(reason);
    return false;
  }
  // Returns false.
  bool AddField(const std::string& name) {
    path_ = path_.empty() ? name : absl::StrCat(name, ".", path_);
    return false;
  }
  absl::Status ToStatus() const {
    return {code_, path_.empty() ? reason_ : absl::StrCat("field '", path_, "': ", reason_)};
  }

 private:
  absl::StatusCode code_ = absl::StatusCode::kOk;
  std::string reason_;
  std::string path_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_ERROR_H_
