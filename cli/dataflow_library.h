#ifndef HEADWAY_CLI_DATAFLOW_LIBRARY_H_
#define HEADWAY_CLI_DATAFLOW_LIBRARY_H_

#include <string>

#include "absl/status/statusor.h"
#include "engine/launch/export_interface.h"

namespace headway::cli {

// A shared library that exports dataflows. It stays loaded until the program ends.
class DataflowLibrary {
 public:
  // Errors: NotFound; InvalidArgument if the file is no shared library, or exports nothing;
  // FailedPrecondition if it was built with another version of Headway.
  static absl::StatusOr<DataflowLibrary> Load(const std::string& file);

  // NotFound lists the exported getters.
  absl::StatusOr<const HeadwayGetter*> Find(const std::string& getter) const;

 private:
  DataflowLibrary(std::string file, const HeadwayExports& exports)
      : file_(std::move(file)), exports_(&exports) {}

  std::string file_;
  const HeadwayExports* exports_;
};

}  // namespace headway::cli

#endif  // HEADWAY_CLI_DATAFLOW_LIBRARY_H_
