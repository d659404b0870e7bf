#include "operators/kafka_avro/registry_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "engine/runtime/status_macros.h"
#include "operators/io/http_headers.h"

namespace headway::internal {
namespace {

constexpr size_t kMaxReplyBytes = 4 << 20;
constexpr int kMaxTries = 4;
constexpr absl::Duration kFirstPause = absl::Milliseconds(100);  // doubled from try to try

size_t KeepBytes(char* bytes, size_t size, size_t count, void* text) {
  auto& kept = *static_cast<std::string*>(text);
  if (size * count > kMaxReplyBytes - kept.size()) return 0;  // ends the request
  kept.append(bytes, size * count);
  return size * count;
}

bool IsTemporary(int status_code) { return status_code == 429 || status_code >= 500; }

}  // namespace

RegistryClient::RegistryClient(SchemaRegistryOptions options) : options_(std::move(options)) {
  while (absl::EndsWith(options_.url, "/")) options_.url.pop_back();
}

absl::Status RegistryClient::CheckOptions() const {
  const std::string& url = options_.url;
  const bool is_http = absl::StartsWith(url, "http://") || absl::StartsWith(url, "https://");
  if (!is_http || url.find_first_of("@?#") != std::string::npos) {
    return absl::InvalidArgumentError(
        "SchemaRegistryOptions: write the url as http://host:port or https://host:port, and give "
        "the user and the password apart from it");
  }
  if (options_.timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("SchemaRegistryOptions: the timeout must be positive");
  }
  return CheckHttpHeaders("SchemaRegistryOptions", options_.headers);
}

absl::StatusOr<RegistryClient::Reply> RegistryClient::Send(
    const std::string& path, const std::optional<std::string>& body) const {
  static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (global != CURLE_OK) return absl::InternalError("libcurl cannot be initialized");
  HEADWAY_RETURN_IF_ERROR(CheckOptions());
  const absl::Time deadline = absl::Now() + options_.timeout;
  absl::Duration pause = kFirstPause;
  for (int tries = 1;; ++tries) {
    absl::StatusOr<Reply> reply = SendOnce(path, body, deadline - absl::Now());
    const bool is_temporary =
        reply.ok() ? IsTemporary(reply->status_code) : absl::IsUnavailable(reply.status());
    if (!is_temporary || tries == kMaxTries || absl::Now() + pause >= deadline) {
      if (reply.ok()) return reply;
      return absl::Status(reply.status().code(),
                          absl::StrCat("'", options_.url, path, "': ", reply.status().message()));
    }
    absl::SleepFor(pause);
    pause *= 2;
  }
}

absl::StatusOr<RegistryClient::Reply> RegistryClient::SendOnce(
    const std::string& path, const std::optional<std::string>& body, absl::Duration timeout) const {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> owner(curl_easy_init(),
                                                                  &curl_easy_cleanup);
  CURL* const easy = owner.get();
  if (easy == nullptr) return absl::ResourceExhaustedError("libcurl has no memory for a request");
  curl_slist* list = curl_slist_append(nullptr, "Accept: application/vnd.schemaregistry.v1+json");
  for (const auto& [name, value] : options_.headers) {
    list = curl_slist_append(list, absl::StrCat(name, ": ", value).c_str());
  }
  Reply reply;
  char reason[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(easy, CURLOPT_URL, absl::StrCat(options_.url, path).c_str());
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);  // signals belong to the program
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &KeepBytes);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &reply.body);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(
      easy, CURLOPT_TIMEOUT_MS,
      static_cast<long>(std::clamp<int64_t>(absl::ToInt64Milliseconds(timeout), 1, 1 << 30)));
  if (!options_.user.empty()) {
    curl_easy_setopt(easy, CURLOPT_USERNAME, options_.user.c_str());
    curl_easy_setopt(easy, CURLOPT_PASSWORD, options_.password.c_str());
  }
  if (body.has_value()) {
    list = curl_slist_append(list, "Content-Type: application/vnd.schemaregistry.v1+json");
    list = curl_slist_append(list, "Expect:");  // libcurl would wait for the answer 100
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body->data());
  }
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> list_owner(
      list, &curl_slist_free_all);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
  const CURLcode result = curl_easy_perform(easy);
  if (result == CURLE_WRITE_ERROR) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the reply has more than ", kMaxReplyBytes, " bytes"));
  }
  if (result == CURLE_OPERATION_TIMEDOUT) {
    return absl::DeadlineExceededError(absl::StrCat("the schema registry did not reply within ",
                                                    absl::FormatDuration(options_.timeout),
                                                    "; check it, or raise the timeout"));
  }
  if (result != CURLE_OK) {
    return absl::UnavailableError(
        absl::StrCat("the schema registry cannot be reached (",
                     reason[0] != '\0' ? reason : curl_easy_strerror(result), ")"));
  }
  long status_code = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status_code);
  reply.status_code = static_cast<int>(status_code);
  return reply;
}

std::string EscapeSegment(const std::string& text) {
  char* const escaped = curl_easy_escape(nullptr, text.data(), static_cast<int>(text.size()));
  if (escaped == nullptr) return text;
  std::string result(escaped);
  curl_free(escaped);
  return result;
}

}  // namespace headway::internal
