#ifndef HEADWAY_OPERATORS_HTTP_HTTP_CONNECTION_H_
#define HEADWAY_OPERATORS_HTTP_HTTP_CONNECTION_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "operators/io/http_headers.h"

namespace headway::internal {

// A connection to a server by libcurl, which is kept open between requests.
//
// Thread safety: one thread at a time; any thread may call Abort.
class HttpConnection {
 public:
  struct Answer {
    int status_code = 0;
    std::string text;  // its first bytes
    absl::Duration retry_after = absl::ZeroDuration();
  };

  // InvalidArgument: the URL is malformed, or neither one of http nor of https.
  static absl::StatusOr<std::unique_ptr<HttpConnection>> Open(const std::string& url,
                                                              HttpHeaders headers,
                                                              absl::Duration timeout);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // Posts a body, with the headers of the connection and another one. Unavailable: there was no
  // answer. Cancelled: Abort was called.
  absl::StatusOr<Answer> Post(const std::string& body,
                              const std::pair<std::string, std::string>& header);
  // Ends all calls of Post at once.
  void Abort();

  // The URL without a password and a query, which may be secret.
  const std::string& display_url() const { return display_url_; }

 private:
  struct Handles;
  HttpConnection();

  const std::unique_ptr<Handles> handles_;
  std::string display_url_;
  HttpHeaders headers_;
  std::atomic<bool> aborted_{false};
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_HTTP_HTTP_CONNECTION_H_
