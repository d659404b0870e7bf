#ifndef HEADWAY_OPERATORS_HTTP_HTTP_PUBLISHER_H_
#define HEADWAY_OPERATORS_HTTP_HTTP_PUBLISHER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/step/activator.h"
#include "engine/step/flush_state.h"
#include "engine/step/lane_thread.h"
#include "engine/step/step_context.h"
#include "engine/step/transactional_sink.h"

namespace headway {

// The body of a request.
enum class HttpBody {
  kJsonLines,     // a line for each record (application/x-ndjson)
  kJsonArray,     // "[", the records with commas between them, "]" (application/json)
  kConcatenated,  // the bytes of the records, one behind the other (application/octet-stream)
};

// A request that the server rejected.
struct HttpRejection {
  int status_code = 0;       // of HTTP: 400 and so on
  std::string_view answer;   // the first bytes of the answer
  std::string_view request;  // the body
  std::string_view key;      // of the header Idempotency-Key
};

struct HttpSinkOptions {
  HttpBody body = HttpBody::kJsonLines;
  // Names and values. They replace the headers of the sink, such as Content-Type.
  std::vector<std::pair<std::string, std::string>> headers = {};
  // A request has at most so many records, and a further one only if its body then has at most so
  // many bytes. Epochs do not share a request.
  size_t max_records = 1000;
  size_t max_bytes = size_t{1} << 20;
  // Of one attempt, until the answer is complete.
  absl::Duration timeout = absl::Seconds(10);
  // Before the second attempt. It doubles with each further one, up to 10 seconds.
  absl::Duration retry_interval = absl::Milliseconds(100);
  // The time from the first attempt on after which a failure ends the run.
  absl::Duration give_up_after = absl::Minutes(5);
  // Decides on a rejected request: OK drops its records, an error or an exception ends the run.
  // Called on the thread of the sink. Default: an error.
  std::function<absl::Status(const HttpRejection&)> on_rejected = nullptr;
};

namespace internal {

class HttpConnection;

// Sends the requests of a lane on a thread of its own.
//
// Thread safety: it belongs to the worker's thread.
class HttpPublisher {
 public:
  static absl::StatusOr<std::unique_ptr<HttpPublisher>> Open(const std::string& url,
                                                             const HttpSinkOptions& options,
                                                             const StepContext& context,
                                                             const std::string& lane);
  // Aborts the request that is under way.
  ~HttpPublisher();
  HttpPublisher(const HttpPublisher&) = delete;
  HttpPublisher& operator=(const HttpPublisher&) = delete;

  // Done when the server has all items.
  absl::StatusOr<FlushState> Publish(const Transaction& transaction) {
    return thread_.Publish(transaction);
  }

 private:
  HttpPublisher(HttpSinkOptions options, std::string key_prefix, ThreadActivator activator);

  // On the thread, as the functions below.
  absl::Status Send(const Transaction& transaction);
  // Sends the items of an epoch.
  absl::Status SendEpoch(Epoch epoch, std::span<const std::string_view> items);
  // Adds the item to the body. Returns false, without effect, if it is for the next request.
  bool AddTo(std::string& body, size_t count, std::string_view item) const;
  absl::Status SendBody(const std::string& body, const std::string& key);

  const HttpSinkOptions options_;
  const std::string key_prefix_;
  std::unique_ptr<HttpConnection> connection_;  // belongs to the thread
  LaneThread thread_;
};

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_OPERATORS_HTTP_HTTP_PUBLISHER_H_
