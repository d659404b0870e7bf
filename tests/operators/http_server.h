#ifndef HEADWAY_TESTS_OPERATORS_HTTP_SERVER_H_
#define HEADWAY_TESTS_OPERATORS_HTTP_SERVER_H_

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cctype>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "comm/system/file_descriptor.h"

namespace headway::internal {

struct HttpRequest {
  std::string method = {};
  std::string target = {};                          // "/path"
  std::map<std::string, std::string> headers = {};  // by lower-case names
  std::string body = {};
};

struct HttpReply {
  std::string head;  // "200 OK", and perhaps lines of headers; "": the connection is broken
  std::string body;
};

// A server on a loopback address, which replies by a function. Each connection has a thread.
class HttpServer {
 public:
  using Handler = std::function<HttpReply(const HttpRequest&)>;

  explicit HttpServer(Handler handler) : handler_(std::move(handler)) {
    listener_ = FileDescriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in name = {};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(name);
    auto* const address = reinterpret_cast<sockaddr*>(&name);
    REQUIRE(bind(listener_.get(), address, size) == 0);
    REQUIRE(listen(listener_.get(), 8) == 0);
    REQUIRE(getsockname(listener_.get(), address, &size) == 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(name.sin_port));
    threads_.emplace_back([this] { Accept(); });
  }
  ~HttpServer() {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
      for (const int connection : connections_) shutdown(connection, SHUT_RDWR);
    }
    shutdown(listener_.get(), SHUT_RDWR);
    threads_[0].join();  // no more threads from here on
    for (size_t i = 1; i < threads_.size(); ++i) threads_[i].join();
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // "127.0.0.1:1234".
  const std::string& address() const { return address_; }

 private:
  void Accept() {
    while (true) {
      const int connection = accept(listener_.get(), nullptr, nullptr);
      if (connection < 0) return;
      const std::lock_guard lock(mutex_);
      if (ends_) {
        close(connection);
        return;
      }
      connections_.push_back(connection);
      threads_.emplace_back([this, connection] { Serve(connection); });
    }
  }
  void Serve(int connection) {
    std::string bytes;
    HttpRequest request;
    while (Read(connection, bytes, request)) {
      const HttpReply reply = handler_(request);
      if (reply.head.empty()) break;
      const std::string text = "HTTP/1.1 " + reply.head +
                               "\r\nContent-Length: " + std::to_string(reply.body.size()) +
                               "\r\n\r\n" + reply.body;
      for (std::string_view left = text; !left.empty();) {
        const ssize_t sent = send(connection, left.data(), left.size(), MSG_NOSIGNAL);
        if (sent <= 0) break;
        left.remove_prefix(static_cast<size_t>(sent));
      }
    }
    const std::lock_guard lock(mutex_);
    std::erase(connections_, connection);
    close(connection);
  }
  static bool Read(int connection, std::string& bytes, HttpRequest& request) {
    request = {};
    size_t end;
    while ((end = bytes.find("\r\n\r\n")) == std::string::npos) {
      if (!ReadMore(connection, bytes)) return false;
    }
    const size_t method_end = bytes.find(' ');
    request.method = bytes.substr(0, method_end);
    request.target = bytes.substr(method_end + 1, bytes.find(' ', method_end + 1) - method_end - 1);
    size_t line = bytes.find("\r\n") + 2;
    while (line < end) {
      const size_t colon = bytes.find(": ", line);
      const size_t next = bytes.find("\r\n", line);
      std::string name = bytes.substr(line, colon - line);
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      request.headers[name] = bytes.substr(colon + 2, next - colon - 2);
      line = next + 2;
    }
    const auto length = request.headers.find("content-length");
    const size_t size = length == request.headers.end() ? 0 : std::stoul(length->second);
    while (bytes.size() < end + 4 + size) {
      if (!ReadMore(connection, bytes)) return false;
    }
    request.body = bytes.substr(end + 4, size);
    bytes.erase(0, end + 4 + size);
    return true;
  }
  static bool ReadMore(int connection, std::string& bytes) {
    char room[4096];
    const ssize_t got = recv(connection, room, sizeof(room), 0);
    if (got > 0) bytes.append(room, static_cast<size_t>(got));
    return got > 0;
  }

  const Handler handler_;
  FileDescriptor listener_;
  std::string address_;
  std::mutex mutex_;  // guards the rest
  bool ends_ = false;
  std::vector<int> connections_;
  std::vector<std::thread> threads_;
};

}  // namespace headway::internal

#endif  // HEADWAY_TESTS_OPERATORS_HTTP_SERVER_H_
