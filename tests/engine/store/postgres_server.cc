#include "tests/engine/store/postgres_server.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>

#include "doctest/doctest.h"
#include "format.h"

namespace headway::internal {
namespace {

// The directory of the programs of the newest installed version; empty without an installation.
std::string FindPrograms() {
  std::string found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", error)) {
    const std::string programs = entry.path() / "bin";
    if (std::filesystem::exists(programs + "/initdb") && programs > found) found = programs;
  }
  return found;
}

}  // namespace

std::unique_ptr<PostgresServer> PostgresServer::Start(std::string* reason) {
  const std::string programs = FindPrograms();
  if (programs.empty()) {
    *reason = "there is no PostgreSQL server in /usr/lib/postgresql: install postgresql";
    return nullptr;
  }
  std::unique_ptr<PostgresServer> server(new PostgresServer(programs));
  const std::string& directory = server->directory_.path();
  if (geteuid() == 0) {
    REQUIRE(std::system(Format("chown postgres: '%s'", directory).c_str()) == 0);
  }
  REQUIRE(server->Run("initdb", Format("-D '%s/data' -U headway -A trust -E UTF8 "
                                       "--locale=C.UTF-8 --no-sync --no-instructions",
                                       directory)));
  std::ofstream(directory + "/data/postgresql.conf", std::ios::app)
      << "listen_addresses = ''\nunix_socket_directories = '" << directory
      << "'\nfsync = off\nshared_buffers = 16MB\nmax_connections = 50\n"
         "max_prepared_transactions = 1\n";
  server->StartAgain();
  return server;
}

PostgresServer::~PostgresServer() {
  SendToAll(SIGCONT);  // a test may have failed while it stood still
  Run("pg_ctl", "-m immediate -w stop");
}

bool PostgresServer::Run(const std::string& program, const std::string& arguments) {
  const std::string& directory = directory_.path();
  const char* user = geteuid() == 0 ? "runuser -u postgres -- " : "";
  return std::system(Format("cd '%s' && PGDATA='%s/data' %s'%s/%s' %s >>'%s/output' 2>&1",
                            directory, directory, user, programs_, program, arguments, directory)
                         .c_str()) == 0;
}

std::string PostgresServer::uri(const std::string& parameters) const {
  return Format("postgresql://headway@/postgres?host=%s&%s", directory_.path(), parameters);
}

void PostgresServer::Stop() { REQUIRE(Run("pg_ctl", "-m immediate -w stop")); }

void PostgresServer::StartAgain() {
  REQUIRE(Run("pg_ctl", Format("-l '%s/log' -w -t 60 start", directory_.path())));
}

bool PostgresServer::SendToAll(int signal_number) {
  pid_t parent = 0;
  std::ifstream(directory_.path() + "/data/postmaster.pid") >> parent;
  if (parent <= 0) return false;
  // The parent first: it starts no others then.
  kill(parent, signal_number);
  std::ifstream children(Format("/proc/%d/task/%d/children", parent, parent));
  for (pid_t child = 0; children >> child;) kill(child, signal_number);
  return true;
}

void PostgresServer::Execute(const std::string& sql) {
  REQUIRE(Run("psql", Format("-q -v ON_ERROR_STOP=1 -h '%s' -U headway postgres -c \"%s\"",
                             directory_.path(), sql)));
}

}  // namespace headway::internal
