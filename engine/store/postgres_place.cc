#include "engine/store/postgres_place.h"

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "format.h"

namespace headway::internal {

bool IsPostgresUri(std::string_view place) {
  return place.starts_with("postgresql://") || place.starts_with("postgres://");
}

absl::StatusOr<PostgresPlace> ParsePostgresPlace(std::string_view place) {
  constexpr std::string_view kStore = "headway_store=";
  constexpr std::string_view kTimeout = "headway_timeout=";
  PostgresPlace result;
  const size_t query = IsPostgresUri(place) ? place.find('?') : std::string_view::npos;
  result.connection = place.substr(0, query);
  if (query == std::string_view::npos) return result;
  std::string_view rest = place.substr(query + 1);
  char separator = '?';
  while (!rest.empty()) {
    const std::string_view parameter = rest.substr(0, rest.find('&'));
    rest.remove_prefix(parameter.size());
    if (!rest.empty()) rest.remove_prefix(1);
    if (parameter.starts_with(kStore)) {
      result.name = parameter.substr(kStore.size());
      if (result.name.empty()) {
        return absl::InvalidArgumentError(
            "the URI of the recovery store has an empty headway_store: give the store a name");
      }
    } else if (parameter.starts_with(kTimeout)) {
      const std::string text(parameter.substr(kTimeout.size()));
      if (!absl::ParseDuration(text, &result.timeout) || result.timeout <= absl::ZeroDuration() ||
          result.timeout > absl::Hours(24)) {
        return absl::InvalidArgumentError(Format(
            "the URI of the recovery store has headway_timeout=%s: give a time such as 30s", text));
      }
    } else {
      result.connection += separator;
      result.connection += parameter;
      separator = '&';
    }
  }
  return result;
}

}  // namespace headway::internal
