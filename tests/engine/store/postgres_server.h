#ifndef HEADWAY_TESTS_ENGINE_STORE_POSTGRES_SERVER_H_
#define HEADWAY_TESTS_ENGINE_STORE_POSTGRES_SERVER_H_

#include <signal.h>

#include <memory>
#include <string>

#include "tests/temporary_directory.h"

namespace headway::internal {

// A private PostgreSQL server on a socket in a temporary directory, until it is destroyed. It needs
// the Debian package `postgresql`.
class PostgresServer {
 public:
  // Makes a new database cluster and starts its server. Returns null, and says why in `reason`, if
  // PostgreSQL is not installed.
  static std::unique_ptr<PostgresServer> Start(std::string* reason);
  ~PostgresServer();

  // A connection string with `parameters`, such as "headway_timeout=1s".
  std::string uri(const std::string& parameters) const;

  // Ends the server as a crash does: connections are cut, and nothing is flushed.
  void Stop();
  void StartAgain();
  // Holds up all processes of the server, and lets them continue.
  void Suspend() { REQUIRE(SendToAll(SIGSTOP)); }
  void Resume() { REQUIRE(SendToAll(SIGCONT)); }
  // Runs SQL as the superuser.
  void Execute(const std::string& sql);

 private:
  explicit PostgresServer(std::string programs) : programs_(std::move(programs)) {}

  // Returns false if there is no server.
  bool SendToAll(int signal_number);
  // Runs a program of PostgreSQL as another user than root. Returns whether it succeeded.
  bool Run(const std::string& program, const std::string& arguments);

  const std::string programs_;  // the directory
  TemporaryDirectory directory_;
};

}  // namespace headway::internal

#endif  // HEADWAY_TESTS_ENGINE_STORE_POSTGRES_SERVER_H_
