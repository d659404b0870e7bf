#ifndef HEADWAY_CLI_STORE_REPORT_H_
#define HEADWAY_CLI_STORE_REPORT_H_

#include <string>

#include "absl/status/statusor.h"
#include "cli/opened_store.h"

namespace headway::cli {

// The text of `headway recovery inspect`: where the next run resumes, the generations, the
// partitions, and the steps with their live keys. Reads the state of all steps. NotFound: a run has
// compacted the store meanwhile.
absl::StatusOr<std::string> ReportStore(OpenedStore& store);

}  // namespace headway::cli

#endif  // HEADWAY_CLI_STORE_REPORT_H_
