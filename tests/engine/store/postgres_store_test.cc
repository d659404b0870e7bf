#include "engine/store/postgres_store.h"

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "doctest/doctest.h"
#include "engine/store/postgres_place.h"
#include "engine/store/store.h"
#include "tests/engine/store/postgres_server.h"
#include "tests/engine/store/store_contract.h"

namespace headway::internal {
namespace {

using Code = absl::StatusCode;

// One server for all tests, since it takes a second to start. Null, with a message, if there is
// none.
PostgresServer* Server() {
  static std::string reason;
  static const std::unique_ptr<PostgresServer> server = PostgresServer::Start(&reason);
  const bool is_built =
      StoreAt("postgresql:///x?host=/nowhere")->PartitionCount().status().code() !=
      Code::kUnimplemented;
  if (!is_built) {
    MESSAGE("skipped: the library was built without libpq");
    return nullptr;
  }
  if (server == nullptr) MESSAGE("skipped: ", reason);
  return server.get();
}

PartitionChange ChangeOf(Epoch epoch, size_t bytes = 100) {
  PartitionChange change;
  change.generation = 1;
  PartitionChange::NewRun& run = change.new_runs.emplace_back();
  run.run.first_epoch = epoch;
  run.run.last_epoch = epoch;
  run.run.row_count = 1;
  run.blocks.push_back({0, 1, 1, std::string(bytes, static_cast<char>('a' + epoch))});
  change.durable_end = epoch + 1;
  return change;
}

std::unique_ptr<StorePartition> Writer(RecoveryStore& store, bool takes_over = false) {
  absl::StatusOr<std::unique_ptr<StorePartition>> partition =
      store.OpenToWrite(0, "test", takes_over);
  REQUIRE(partition.ok());
  return *std::move(partition);
}

TEST_CASE("a store in PostgreSQL keeps the contract of stores") {
  PostgresServer* server = Server();
  if (server == nullptr) return;
  CheckStoreContract([&] { return StoreAt(server->uri("headway_store=contract")); });
  // Another name is another store.
  CheckStoreContract([&] { return StoreInPostgres(server->uri(""), "other"); });
}

TEST_CASE("the name of a store is the one that is given, or that of the URI") {
  PostgresServer* server = Server();
  if (server == nullptr) return;
  const std::string uri = server->uri("headway_store=named");
  CHECK(StoreInPostgres(uri)->Create(3, "id").ok());
  CHECK(StoreAt(uri)->PartitionCount().value() == 3);
  CHECK(StoreInPostgres(uri, "other_name")->PartitionCount().value() == 0);
}

TEST_CASE("a change survives the end of the server before and in the middle of it") {
  PostgresServer* server = Server();
  if (server == nullptr) return;
  const std::shared_ptr<RecoveryStore> store = StoreAt(server->uri("headway_store=restart"));
  REQUIRE(store->Create(1, "id").ok());
  const std::unique_ptr<StorePartition> partition = Writer(*store);
  REQUIRE(partition->Apply(ChangeOf(0)).ok());
  server->Stop();
  absl::Status status;
  std::thread writer([&] {
    for (Epoch epoch = 1; epoch < 20 && status.ok(); ++epoch) {
      status = partition->Apply(ChangeOf(epoch, 100'000));
    }
  });
  server->StartAgain();
  // The writer is anywhere in its changes.
  server->Stop();
  server->StartAgain();
  writer.join();
  CHECK(status.ok());
  const PartitionContents contents = partition->ReadContents().value();
  CHECK(contents.durable_end == 20);
  REQUIRE(contents.runs.size() == 20);
  for (Epoch epoch = 1; epoch < 20; ++epoch) {
    CHECK(partition->ReadBlock(contents.runs[epoch].id, 0).value() ==
          std::string(100'000, static_cast<char>('a' + epoch)));
  }
  // The lock is held again.
  CHECK(store->OpenToWrite(0, "other", false).status().code() == Code::kFailedPrecondition);
}

TEST_CASE("a server that stays away is an error after the timeout, and a change may follow later") {
  PostgresServer* server = Server();
  if (server == nullptr) return;
  const std::shared_ptr<RecoveryStore> store =
      StoreAt(server->uri("headway_store=away&headway_timeout=300ms"));
  REQUIRE(store->Create(1, "id").ok());
  const std::unique_ptr<StorePartition> partition = Writer(*store);
  server->Stop();
  const absl::Status status = partition->Apply(ChangeOf(0));
  CHECK(status.code() == Code::kUnavailable);
  CHECK(std::string(status.message())
            .starts_with("cannot use partition 0 of the recovery store 'away' in the PostgreSQL "
                         "database 'postgres' on host "));
  CHECK(std::string(status.message())
            .ends_with("; see that the server runs and can be reached, then start the run again "
                       "(tried for 300ms)"));
  CHECK(store->OpenToRead(0).status().code() == Code::kUnavailable);
  server->StartAgain();
  CHECK(partition->Apply(ChangeOf(0)).ok());
  CHECK(partition->ReadContents()->durable_end == 1);
}

TEST_CASE("a server that stands still is waited for, and is an error after the timeout") {
  PostgresServer* server = Server();
  if (server == nullptr) return;
  const std::shared_ptr<RecoveryStore> patient = StoreAt(server->uri("headway_store=still"));
  REQUIRE(patient->Create(1, "id").ok());
  {
    const std::unique_ptr<StorePartition> partition = Writer(*patient);
    server->Suspend();
    absl::Status status;
    std::thread writer([&] { status = partition->Apply(ChangeOf(0, 1'000'000)); });
    server->Resume();  // before the change, or in the middle of it
    writer.join();
    CHECK(status.ok());
  }
  const std::shared_ptr<RecoveryStore> store =
      StoreAt(server->uri("headway_store=still&headway_timeout=1s"));
  const std::unique_ptr<StorePartition> partition = Writer(*store);
  // A statement that takes longer than the timeout is no sign that the server is lost.
  server->Execute(
      "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.5); "
      "RETURN NEW; END'; CREATE TRIGGER slow BEFORE INSERT ON headway_blocks FOR EACH ROW EXECUTE "
      "FUNCTION slow()");
  CHECK(partition->Apply(ChangeOf(1)).ok());
  server->Execute("DROP TRIGGER slow ON headway_blocks");
  server->Suspend();
  const absl::Status status = partition->Apply(ChangeOf(2, 1'000'000));
  server->Resume();
  CHECK(status.code() == Code::kUnavailable);
  CHECK(std::string(status.message())
            .ends_with("the server has not answered for 1s; see that the server runs and can be "
                       "reached, then start the run again (tried for 1s)"));
  // The server notices a little later that the connection has ended.
  bool is_applied = false;
  for (int attempt = 0; attempt < 100 && !is_applied; ++attempt) {
    is_applied = partition->Apply(ChangeOf(2)).ok();
  }
  CHECK(is_applied);
  CHECK(partition->ReadContents()->durable_end == 3);
}

TEST_CASE("a server that is not there is an error at once") {
  if (Server() == nullptr) return;
  const std::shared_ptr<RecoveryStore> store =
      StoreAt("postgresql://user:secret@/database?host=/nowhere&headway_timeout=1h");
  const absl::Status status = store->PartitionCount().status();
  CHECK(status.code() == Code::kUnavailable);
  CHECK(std::string(status.message()).find("secret") == std::string::npos);
  CHECK(store->Describe() ==
        "the recovery store 'main' in the PostgreSQL database 'database' on host '/nowhere'");
}

TEST_CASE("a process that took a partition over ends the transaction of the lost one") {
  PostgresServer* server = Server();
  if (server == nullptr) return;
  const std::shared_ptr<RecoveryStore> store = StoreAt(server->uri("headway_store=takeover"));
  REQUIRE(store->Create(1, "id").ok());
  const std::unique_ptr<StorePartition> lost = Writer(*store);
  REQUIRE(lost->Apply(ChangeOf(0)).ok());
  const std::unique_ptr<StorePartition> successor = Writer(*store, /*takes_over=*/true);
  PartitionChange begin;
  begin.generation = 2;
  begin.begins = Generation{2, 1, 1, 1, 0};
  CHECK(successor->Apply(begin).ok());
  CHECK(lost->Apply(ChangeOf(1)).code() == Code::kAborted);
  CHECK(successor->ReadContents()->durable_end == 1);
}

TEST_CASE("a transaction that holds a lock of a row too long is an error") {
  PostgresServer* server = Server();
  if (server == nullptr) return;
  const std::shared_ptr<RecoveryStore> store =
      StoreAt(server->uri("headway_store=rows&headway_timeout=300ms"));
  REQUIRE(store->Create(1, "id").ok());
  const std::unique_ptr<StorePartition> partition = Writer(*store);
  // A prepared transaction keeps its locks without a connection.
  server->Execute(
      "BEGIN; SELECT 1 FROM headway_partitions WHERE store = 'rows' FOR UPDATE; "
      "PREPARE TRANSACTION 'holder'");
  CHECK(partition->Apply(ChangeOf(0)).code() == Code::kUnavailable);
  server->Execute("ROLLBACK PREPARED 'holder'");
  CHECK(partition->Apply(ChangeOf(1)).ok());
}

TEST_CASE("partitions that are missing, and newer formats, are errors") {
  PostgresServer* server = Server();
  if (server == nullptr) return;
  const std::shared_ptr<RecoveryStore> store = StoreAt(server->uri("headway_store=broken"));
  REQUIRE(store->Create(3, "id").ok());
  server->Execute("DELETE FROM headway_partitions WHERE store = 'broken' AND number = 1");
  absl::Status status = store->PartitionCount().status();
  CHECK(status.code() == Code::kInvalidArgument);
  CHECK(status.message() ==
        store->Describe() +
            " has 2 of its 3 partitions: restore the database from a backup, or "
            "use another name for a new store");
  CHECK(store->OpenToRead(1).status().code() == Code::kNotFound);
  server->Execute("UPDATE headway_stores SET format_version = 2 WHERE name = 'broken'");
  status = store->PartitionCount().status();
  CHECK(status.code() == Code::kFailedPrecondition);
  CHECK(status.message() == store->Describe() +
                                " has format 2, and this program reads formats up "
                                "to 1: use a newer version of Headway");
}

TEST_CASE("a user without rights is told") {
  PostgresServer* server = Server();
  if (server == nullptr) return;
  server->Execute("CREATE USER guest");
  std::string uri = server->uri("headway_store=guest");
  uri.replace(uri.find("headway@"), std::string("headway").size(), "guest");
  const absl::Status status = StoreAt(uri)->Create(1, "id");
  CHECK(status.code() == Code::kPermissionDenied);
  CHECK(std::string(status.message())
            .ends_with("; allow the user of the connection to create and change tables"));
}

TEST_CASE("the parameters of Headway are taken out of the URI") {
  const absl::StatusOr<PostgresPlace> place = ParsePostgresPlace(
      "postgresql://u@h/d?headway_store=a&sslmode=require&headway_timeout=5s&port=1");
  REQUIRE(place.ok());
  CHECK(place->connection == "postgresql://u@h/d?sslmode=require&port=1");
  CHECK(place->name == "a");
  CHECK(place->timeout == absl::Seconds(5));
  CHECK(ParsePostgresPlace("postgres://h/d")->connection == "postgres://h/d");
  CHECK(ParsePostgresPlace("postgres://h/d?headway_store=a")->connection == "postgres://h/d");
  CHECK(ParsePostgresPlace("host=h dbname=d")->connection == "host=h dbname=d");
  CHECK(StoreAt("postgres://h/d?headway_timeout=soon")->PartitionCount().status().message() ==
        "the URI of the recovery store has headway_timeout=soon: give a time such as 30s");
  CHECK(!ParsePostgresPlace("postgres://h/d?headway_store=").ok());
}

TEST_CASE("a store is a directory or a URI of PostgreSQL, and no other URI") {
  CHECK(StoreAt("/some/directory")->Describe() == "the recovery store in '/some/directory'");
  const absl::StatusOr<int> count = StoreAt("mysql://user:secret@host/d")->PartitionCount();
  CHECK(absl::IsInvalidArgument(count.status()));
  CHECK(count.status().message() ==
        "there is no recovery store at URIs that begin with 'mysql://': name a directory, or a URI "
        "that begins with 'postgresql://'");
}

}  // namespace
}  // namespace headway::internal
