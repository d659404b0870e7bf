#ifndef HEADWAY_CLI_STORE_CHECK_H_
#define HEADWAY_CLI_STORE_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/opened_store.h"

namespace headway::cli {

// Reads every block of a store, and checks its checksum, the order of its rows, their hashes, and
// the tables about it. Returns a sentence for each fault; none if the store is whole.
std::vector<std::string> CheckStore(OpenedStore& store);

}  // namespace headway::cli

#endif  // HEADWAY_CLI_STORE_CHECK_H_
