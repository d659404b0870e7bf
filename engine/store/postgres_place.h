#ifndef HEADWAY_ENGINE_STORE_POSTGRES_PLACE_H_
#define HEADWAY_ENGINE_STORE_POSTGRES_PLACE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace headway::internal {

// A store in PostgreSQL, without the parameters that libpq does not know.
struct PostgresPlace {
  std::string connection = {};  // a URI or another connection string of libpq
  std::string name = "main";    // of the store in the database
  absl::Duration timeout = absl::Seconds(30);
};

// Whether `place` is a URI of PostgreSQL.
bool IsPostgresUri(std::string_view place);

// Takes headway_store=NAME and headway_timeout=DURATION ("30s", "500ms") out of the query of a URI.
// InvalidArgument: a value is not valid.
absl::StatusOr<PostgresPlace> ParsePostgresPlace(std::string_view place);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STORE_POSTGRES_PLACE_H_
