#ifndef HEADWAY_OPERATORS_HTTP_HTTP_SINK_H_
#define HEADWAY_OPERATORS_HTTP_HTTP_SINK_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/step/transactional_sink.h"
#include "operators/http/http_publisher.h"
#include "operators/io/json_text.h"
#include "operators/io/json_value.h"

namespace headway {

namespace internal {

// Makes the JSON of a record.
struct JsonOfRecord {
  template <class D>
  absl::StatusOr<std::string> operator()(const D& record) const {
    constexpr bool kWrites = HasJsonText<D>();
    static_assert(kWrites,
                  "HttpSink: the record must be a struct with HEADWAY_COLUMNS, a number, a string, "
                  "or a std type of these, or have a function std::string ToString(const Record&) "
                  "beside it; or give HttpSink a function that encodes it");
    std::string text;
    if constexpr (kWrites) AppendJson(text, record);
    if (!IsUtf8(text)) {
      return absl::InvalidArgumentError(
          "HttpSink: a record has a string that is not UTF-8, as JSON must be; change or encode "
          "the string in a step before");
    }
    return text;
  }
};

template <class F>
class HttpSinkOf {
 public:
  class Lane {
   public:
    Lane(std::unique_ptr<HttpPublisher> publisher, F encode)
        : publisher_(std::move(publisher)), encode_(std::move(encode)) {}

    template <class D>
      requires std::is_convertible_v<std::invoke_result_t<F&, const D&>,
                                     absl::StatusOr<std::string>>
    absl::Status Write(const D& record, Outbox& outbox) {
      const absl::StatusOr<std::string> item = encode_(record);
      if (!item.ok()) return item.status();
      outbox.Add(*item);
      return absl::OkStatus();
    }
    // The server keeps no marks. It knows a request again by its key.
    absl::StatusOr<std::optional<uint64_t>> LastMark(std::optional<uint64_t> published) {
      return published;
    }
    absl::StatusOr<FlushState> Publish(const Transaction& transaction) {
      return publisher_->Publish(transaction);
    }

   private:
    std::unique_ptr<HttpPublisher> publisher_;
    F encode_;
  };

  HttpSinkOf(std::string url, HttpSinkOptions options, F encode)
      : url_(std::move(url)), options_(std::move(options)), encode_(std::move(encode)) {}

  absl::StatusOr<Lane> OpenLane(const SinkContext& context, const std::string& lane) {
    auto publisher = HttpPublisher::Open(url_, options_, context, lane);
    if (!publisher.ok()) return publisher.status();
    return Lane(*std::move(publisher), encode_);
  }

 private:
  std::string url_;
  HttpSinkOptions options_;
  F encode_;
};

}  // namespace internal

// Posts the records to a server over HTTP, in batches; worker 0 sends one request after the other.
// A record is JSON (json_text.h lists the types), or the bytes that encode(record) returns, as
// std::string or absl::StatusOr<std::string>:
//
//   totals | Output("out", HttpSink("https://example.com/totals"));
//   blobs | Output("out", HttpSink(url, {.body = HttpBody::kConcatenated}, [](const Blob& blob) {
//     return blob.bytes;
//   }));
//
// It is a transactional sink: in a run with recovery, records are part of the snapshot until the
// server has them, and are sent when their epoch is committed. Each request has the header
// Idempotency-Key. The key is that of the recovery store, the step, the epoch and the number of the
// request in the epoch. It is the same when the request is sent again, also by a run that resumes.
// So each record is there once if the server honours the key, and at least once otherwise. Options
// that divide an epoch into requests must be the same when a run resumes. In a run without
// recovery, records are sent when their epoch ends, and keys belong to the run.
//
// A thread sends the requests, so a slow server blocks no worker. If it stays slower than the
// sources, they pause; see transactional_sink.h. Connection errors, timeouts and the answers 408,
// 425, 429 and 5xx are tried again, after the time that Retry-After says, or with backoff. Any
// other answer but 2xx rejects the request: see HttpSinkOptions::on_rejected. Redirects are not
// followed. The certificate of a server is verified.
//
// Errors: InvalidArgument: the URL is malformed, an option is out of its range, or encode failed.
// Unavailable: the server did not accept a request within HttpSinkOptions::give_up_after.
// FailedPrecondition: the server rejected a request; the message has the first bytes of its answer.
// The next run sends the records again that were not accepted.
template <class F>
auto HttpSink(std::string url, HttpSinkOptions options, F encode) {
  return internal::HttpSinkOf<F>(std::move(url), std::move(options), std::move(encode));
}
inline auto HttpSink(std::string url, HttpSinkOptions options = {}) {
  return HttpSink(std::move(url), std::move(options), internal::JsonOfRecord());
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_HTTP_HTTP_SINK_H_
