#include "operators/http/http_publisher.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "engine/runtime/status_macros.h"
#include "engine/store/store.h"
#include "operators/http/http_connection.h"
#include "operators/io/http_headers.h"

namespace headway::internal {
namespace {

constexpr absl::Duration kMaxRetryInterval = absl::Seconds(10);

const char* ContentType(HttpBody body) {
  switch (body) {
    case HttpBody::kJsonLines:
      return "application/x-ndjson";
    case HttpBody::kJsonArray:
      return "application/json";
    case HttpBody::kConcatenated:
      break;
  }
  return "application/octet-stream";
}

HttpHeaders HeadersOf(const HttpSinkOptions& options) {
  HttpHeaders headers = options.headers;
  const bool has_type = std::ranges::any_of(headers, [](const auto& header) {
    return absl::EqualsIgnoreCase(header.first, "Content-Type");
  });
  if (!has_type) headers.emplace_back("Content-Type", ContentType(options.body));
  headers.emplace_back("Expect", "");  // libcurl would wait for the answer 100 to a large request
  return headers;
}

absl::Status CheckOptions(const HttpSinkOptions& options) {
  if (options.max_records < 1 || options.max_bytes < 1) {
    return absl::InvalidArgumentError(
        "HttpSinkOptions: max_records and max_bytes must be positive");
  }
  for (const absl::Duration duration :
       {options.timeout, options.retry_interval, options.give_up_after}) {
    if (duration > absl::ZeroDuration()) continue;
    return absl::InvalidArgumentError(
        "HttpSinkOptions: timeout, retry_interval and give_up_after must be positive");
  }
  return CheckHttpHeaders("HttpSinkOptions", options.headers);
}

bool IsAccepted(int status_code) { return status_code >= 200 && status_code < 300; }

// The answers that say that the request may succeed later.
bool IsTemporary(int status_code) {
  return status_code == 408 || status_code == 425 || status_code == 429 || status_code >= 500;
}

}  // namespace

HttpPublisher::HttpPublisher(HttpSinkOptions options, std::string key_prefix,
                             ThreadActivator activator)
    : options_(std::move(options)),
      key_prefix_(std::move(key_prefix)),
      thread_([this](const Transaction& transaction) { return Send(transaction); },
              std::move(activator)) {}

absl::StatusOr<std::unique_ptr<HttpPublisher>> HttpPublisher::Open(const std::string& url,
                                                                   const HttpSinkOptions& options,
                                                                   const StepContext& context,
                                                                   const std::string& lane) {
  HEADWAY_RETURN_IF_ERROR(CheckOptions(options));
  auto connection = HttpConnection::Open(url, HeadersOf(options), options.timeout);
  if (!connection.ok()) return connection.status();
  const std::string store = context.store_id.empty() ? RandomStoreId() : context.store_id;
  // A step id may have any characters; the key is one of a header.
  std::unique_ptr<HttpPublisher> publisher(
      new HttpPublisher(options,
                        absl::StrCat("headway/", store, "/", absl::CHexEscape(context.step_id), "/",
                                     absl::CHexEscape(lane)),
                        context.activator));
  publisher->connection_ = *std::move(connection);
  return publisher;
}

HttpPublisher::~HttpPublisher() {
  thread_.End();
  if (connection_ != nullptr) connection_->Abort();
}

absl::Status HttpPublisher::Send(const Transaction& transaction) {
  std::span<const std::string_view> items = transaction.items;
  for (const auto& [epoch, item_count] : transaction.epochs) {
    HEADWAY_RETURN_IF_ERROR(SendEpoch(epoch, items.first(item_count)));
    items = items.subspan(item_count);
  }
  return absl::OkStatus();
}

absl::Status HttpPublisher::SendEpoch(Epoch epoch, std::span<const std::string_view> items) {
  std::string body;
  size_t number = 0;  // of the request in the epoch
  while (!items.empty()) {
    body.clear();
    size_t count = 0;
    while (count < items.size() && AddTo(body, count, items[count])) ++count;
    items = items.subspan(count);
    if (options_.body == HttpBody::kJsonArray) body.push_back(']');
    HEADWAY_RETURN_IF_ERROR(SendBody(body, absl::StrCat(key_prefix_, "/", epoch, "/", number++)));
  }
  return absl::OkStatus();
}

bool HttpPublisher::AddTo(std::string& body, size_t count, std::string_view item) const {
  constexpr size_t kSeparatorBytes = 2;
  if (count > 0 && (count == options_.max_records ||
                    body.size() + item.size() + kSeparatorBytes > options_.max_bytes)) {
    return false;
  }
  if (options_.body == HttpBody::kJsonArray) body.push_back(count == 0 ? '[' : ',');
  body.append(item);
  if (options_.body == HttpBody::kJsonLines) body.push_back('\n');
  return true;
}

absl::Status HttpPublisher::SendBody(const std::string& body, const std::string& key) {
  const absl::Time deadline = absl::Now() + options_.give_up_after;
  absl::Duration interval = options_.retry_interval;
  while (true) {
    const auto answer = connection_->Post(body, {"Idempotency-Key", key});
    if (thread_.ends()) return absl::CancelledError("the run ends");
    if (answer.ok() && IsAccepted(answer->status_code)) return absl::OkStatus();
    if (answer.ok() && !IsTemporary(answer->status_code)) {
      if (options_.on_rejected != nullptr) {
        return options_.on_rejected({answer->status_code, answer->text, body, key});
      }
      return absl::FailedPreconditionError(absl::StrCat(
          "'", connection_->display_url(), "' rejected a request of ", body.size(),
          " bytes with status ", answer->status_code, ": ", absl::CHexEscape(answer->text),
          "; correct the records or the server, or decide by HttpSinkOptions::on_rejected"));
    }
    absl::Duration wait = interval;
    if (answer.ok()) wait = std::max(wait, answer->retry_after);
    if (absl::Now() + wait > deadline) {
      return absl::UnavailableError(absl::StrCat(
          "'", connection_->display_url(), "' did not accept a request within ",
          absl::FormatDuration(options_.give_up_after), "; at last: ",
          answer.ok()
              ? absl::StrCat("status ", answer->status_code, ": ", absl::CHexEscape(answer->text))
              : std::string(answer.status().message()),
          "; the next run sends it again"));
    }
    if (!thread_.Sleep(wait)) return absl::CancelledError("the run ends");
    interval = std::min(2 * interval, kMaxRetryInterval);
  }
}

}  // namespace headway::internal
