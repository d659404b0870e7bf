#ifndef HEADWAY_OPERATORS_KAFKA_AVRO_REGISTRY_CLIENT_H_
#define HEADWAY_OPERATORS_KAFKA_AVRO_REGISTRY_CLIENT_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace headway {

struct SchemaRegistryOptions {
  std::string url;        // http://host:8081 or https://..., perhaps with a path
  std::string user = {};  // empty: no user and password are sent
  std::string password = {};
  std::vector<std::pair<std::string, std::string>> headers = {};  // of each request: name, value
  absl::Duration timeout = absl::Seconds(10);                     // of a request, with its retries
};

namespace internal {

// Requests to a schema registry by libcurl, each on a connection of its own: a process makes a few.
//
// Thread safe.
class RegistryClient {
 public:
  struct Reply {
    int status_code = 0;
    std::string body;
  };

  explicit RegistryClient(SchemaRegistryOptions options);

  // Gets the resource of a path, "/schemas/ids/7", or posts a body to it, and waits for the reply.
  // Failed connections and replies that say that the server is overloaded or failed are retried a
  // few times within the timeout. Unavailable, DeadlineExceeded: there is no reply.
  // InvalidArgument: the options are wrong. ResourceExhausted: the reply has more than 4 MiB.
  absl::StatusOr<Reply> Send(const std::string& path, const std::optional<std::string>& body) const;

  // Without a slash at its end.
  const std::string& url() const { return options_.url; }

 private:
  absl::Status CheckOptions() const;
  absl::StatusOr<Reply> SendOnce(const std::string& path, const std::optional<std::string>& body,
                                 absl::Duration timeout) const;

  SchemaRegistryOptions options_;
};

// A segment of a path.
std::string EscapeSegment(const std::string& text);

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_OPERATORS_KAFKA_AVRO_REGISTRY_CLIENT_H_
