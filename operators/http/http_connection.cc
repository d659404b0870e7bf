#include "operators/http/http_connection.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace headway::internal {
namespace {

// Of an answer, for messages.
constexpr size_t kAnswerBytes = 512;
// A call of Abort ends the wait before that.
constexpr int kWaitMs = 1000;

size_t KeepFirstBytes(char* bytes, size_t size, size_t count, void* text) {
  auto& kept = *static_cast<std::string*>(text);
  kept.append(bytes, std::min(size * count, kAnswerBytes - std::min(kept.size(), kAnswerBytes)));
  return size * count;
}

// Parses the URL, and returns it without its secret parts.
absl::StatusOr<std::string> DisplayUrl(const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parts(curl_url(), &curl_url_cleanup);
  char* text = nullptr;
  const CURLUcode error = curl_url_set(parts.get(), CURLUPART_URL, url.c_str(), 0);
  bool is_http = false;
  if (error == CURLUE_OK && curl_url_get(parts.get(), CURLUPART_SCHEME, &text, 0) == CURLUE_OK) {
    const std::string_view scheme(text);
    is_http = scheme == "http" || scheme == "https";
    curl_free(text);
  }
  if (!is_http) {
    return absl::InvalidArgumentError(
        "HttpSink: the URL is malformed: write http://host/path or https://host/path");
  }
  for (const CURLUPart part :
       {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT}) {
    curl_url_set(parts.get(), part, nullptr, 0);
  }
  std::string shown;
  if (curl_url_get(parts.get(), CURLUPART_URL, &text, 0) == CURLUE_OK) {
    shown = text;
    curl_free(text);
  }
  return shown;
}

}  // namespace

struct HttpConnection::Handles {
  ~Handles() {
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }
  template <class Value>
  void Set(CURLoption option, Value value) const {
    curl_easy_setopt(easy, option, value);
  }

  CURL* easy = curl_easy_init();
  CURLM* multi = curl_multi_init();
};

HttpConnection::HttpConnection() : handles_(std::make_unique<Handles>()) {}
HttpConnection::~HttpConnection() = default;

absl::StatusOr<std::unique_ptr<HttpConnection>> HttpConnection::Open(const std::string& url,
                                                                     HttpHeaders headers,
                                                                     absl::Duration timeout) {
  static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (global != CURLE_OK) return absl::InternalError("HttpSink: libcurl cannot be initialized");
  absl::StatusOr<std::string> display_url = DisplayUrl(url);
  if (!display_url.ok()) return display_url.status();
  std::unique_ptr<HttpConnection> connection(new HttpConnection());
  connection->display_url_ = *std::move(display_url);
  connection->headers_ = std::move(headers);
  const Handles& handles = *connection->handles_;
  handles.Set(CURLOPT_URL, url.c_str());
  handles.Set(CURLOPT_NOSIGNAL, 1L);  // signals belong to the program
  handles.Set(CURLOPT_WRITEFUNCTION, &KeepFirstBytes);
  handles.Set(CURLOPT_TIMEOUT_MS, static_cast<long>(std::clamp<int64_t>(
                                      absl::ToInt64Milliseconds(timeout), 1, 1 << 30)));
  return connection;
}

void HttpConnection::Abort() {
  aborted_ = true;
  curl_multi_wakeup(handles_->multi);
}

absl::StatusOr<HttpConnection::Answer> HttpConnection::Post(
    const std::string& body, const std::pair<std::string, std::string>& header) {
  CURL* const easy = handles_->easy;
  CURLM* const multi = handles_->multi;
  curl_slist* list = nullptr;
  for (const auto& [name, value] : headers_) {
    list = curl_slist_append(list, absl::StrCat(name, ": ", value).c_str());
  }
  list = curl_slist_append(list, absl::StrCat(header.first, ": ", header.second).c_str());
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> owner(list,
                                                                          &curl_slist_free_all);
  Answer answer;
  char reason[CURL_ERROR_SIZE] = "";
  handles_->Set(CURLOPT_HTTPHEADER, list);
  handles_->Set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  handles_->Set(CURLOPT_POSTFIELDS, body.data());
  handles_->Set(CURLOPT_WRITEDATA, &answer.text);
  handles_->Set(CURLOPT_ERRORBUFFER, reason);
  curl_multi_add_handle(multi, easy);
  CURLcode result = CURLE_OK;
  int running = 1;
  while (running > 0 && !aborted_) {
    if (curl_multi_perform(multi, &running) != CURLM_OK) break;
    if (running > 0) curl_multi_poll(multi, nullptr, 0, kWaitMs, nullptr);
  }
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
    if (message->msg == CURLMSG_DONE) result = message->data.result;
  }
  const bool is_over = running == 0;
  curl_multi_remove_handle(multi, easy);
  handles_->Set(CURLOPT_ERRORBUFFER, static_cast<char*>(nullptr));
  if (!is_over) return absl::CancelledError("the request was aborted");
  if (result != CURLE_OK) {
    return absl::UnavailableError(reason[0] != '\0' ? reason : curl_easy_strerror(result));
  }
  long status_code = 0;
  curl_off_t retry_after = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status_code);
  curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after);
  answer.status_code = static_cast<int>(status_code);
  answer.retry_after = absl::Seconds(retry_after);
  return answer;
}

}  // namespace headway::internal
