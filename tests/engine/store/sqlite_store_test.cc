#include "engine/store/sqlite_store.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "doctest/doctest.h"
#include "engine/store/block.h"
#include "engine/store/merge.h"
#include "engine/store/row.h"
#include "engine/store/sqlite.h"
#include "engine/store/sqlite_partition.h"
#include "engine/store/store.h"
#include "format.h"
#include "tests/comm/test_seed.h"
#include "tests/engine/store/memory_store.h"
#include "tests/engine/store/store_contract.h"
#include "tests/temporary_directory.h"

namespace headway::internal {
namespace {

using Code = absl::StatusCode;

PartitionChange ChangeOf(Epoch epoch, size_t bytes) {
  std::mt19937_64 random(epoch);
  std::vector<std::string> buffers(1);
  for (size_t i = 0; i < bytes / 1000; ++i) {
    std::string state(1000, '\0');
    for (char& c : state) c = static_cast<char>(random());
    AppendRow({random(), std::to_string(i), "", state}, buffers[0]);
  }
  PartitionChange change;
  PartitionChange::NewRun& run = change.new_runs.emplace_back();
  run.run.first_epoch = epoch;
  run.run.last_epoch = epoch;
  run.blocks = *BlocksOf(buffers);
  for (const StoredBlock& block : run.blocks) run.run.row_count += block.row_count;
  change.durable_end = epoch + 1;
  return change;
}

std::unique_ptr<StorePartition> Writer(RecoveryStore& store, int index = 0) {
  absl::StatusOr<std::unique_ptr<StorePartition>> partition =
      store.OpenToWrite(index, "test", false);
  REQUIRE(partition.ok());
  return *std::move(partition);
}

absl::Status ReadAll(StorePartition& partition, size_t* row_count) {
  const absl::StatusOr<PartitionContents> contents = partition.ReadContents();
  if (!contents.ok()) return contents.status();
  return MergeRuns(partition, contents->runs, 0, std::numeric_limits<uint64_t>::max(), true,
                   [row_count](const StateRow&) {
                     ++*row_count;
                     return absl::OkStatus();
                   });
}

std::string ReadFile(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void WriteFile(const std::string& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

void Tamper(const std::string& file, const char* sql) {
  REQUIRE((*SqliteDatabase::Open(file, SqliteDatabase::Mode::kWrite, absl::Seconds(1)))
              ->Execute(sql)
              .ok());
}

// Makes a store with one change in partition 0, and removes the files of partitions it lacks.
void MakeStore(const std::string& directory, int count, const char* id = "id") {
  SqliteStore store(directory);
  REQUIRE(store.Create(count, id).ok());
  REQUIRE(Writer(store)->Apply(ChangeOf(0, 100'000)).ok());
}

TEST_CASE("a store in a directory keeps the contract of stores") {
  const TemporaryDirectory directory;
  CheckStoreContract([&] { return StoreInDirectory(directory / "a/b"); });
}

TEST_CASE("a store in memory keeps the contract of stores") {
  const auto store = std::make_shared<MemoryStore>();
  CheckStoreContract([&]() -> std::shared_ptr<RecoveryStore> { return store; });
}

TEST_CASE("a store in memory crashes before or after a call, and keeps whole changes") {
  for (const bool after : {false, true}) {
    MemoryStore store;
    REQUIRE(store.Create(1, "id").ok());
    const std::unique_ptr<StorePartition> lost = Writer(store);
    store.CrashAt(store.calls(), after);
    CHECK(lost->Apply(ChangeOf(0, 1000)).code() == Code::kUnavailable);
    CHECK(lost->ReadContents().status().code() == Code::kUnavailable);
    CHECK(store.OpenToRead(0).status().code() == Code::kUnavailable);
    store.Restart();
    CHECK(lost->ReadContents().status().code() == Code::kUnavailable);
    CHECK(Writer(store)->ReadContents()->durable_end == (after ? 1 : 0));
  }
}

TEST_CASE("ids of stores are random") { CHECK(RandomStoreId() != RandomStoreId()); }

TEST_CASE("a store that is not complete is made anew") {
  const TemporaryDirectory directory;
  SqliteStore store(directory.path());
  SUBCASE("no partition has its name") {
    REQUIRE(SqlitePartition::Create(directory / "part-0.sqlite3.new", {"old", 0, 9}).ok());
    WriteFile(directory / "part-1.sqlite3.new", "torn");
    WriteFile(directory / "part-1.sqlite3.new-wal", "torn");
  }
  SUBCASE("some partitions have their names") {
    REQUIRE(SqlitePartition::Create(directory / "part-0.sqlite3", {"old", 0, 2}).ok());
    REQUIRE(SqlitePartition::Create(directory / "part-1.sqlite3.new", {"old", 1, 2}).ok());
  }
  CHECK(store.PartitionCount().value() == 0);
  CHECK(store.Create(3, "id").ok());
  CHECK(store.PartitionCount().value() == 3);
  CHECK((*store.OpenToRead(1))->ReadContents()->store_id == "id");
  for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
    CHECK(entry.path().string().find(".new") == std::string::npos);
  }
}

TEST_CASE("one of several processes that make a store at once makes it") {
  const TemporaryDirectory directory;
  constexpr int kProcesses = 4;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    SqliteStore store(directory / "store");
    const absl::Status status = store.Create(1 + i, "id");
    const bool is_complete = store.PartitionCount().value_or(0) > 0;
    _exit(is_complete ? static_cast<int>(status.code()) : 100);
  }
  int makers = 0;
  for (const pid_t child : children) {
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 0) {
      ++makers;
    } else {
      CHECK(WEXITSTATUS(status) == static_cast<int>(Code::kFailedPrecondition));
    }
  }
  CHECK(makers == 1);
}

TEST_CASE("files of an interrupted creation do not cost a store that was used") {
  const TemporaryDirectory directory;
  MakeStore(directory.path(), 2);
  SqliteStore store(directory.path());
  PartitionChange begin;
  begin.generation = 1;
  begin.begins = Generation{1, 1, 0, 1, 0};
  REQUIRE(Writer(store)->Apply(begin).ok());
  WriteFile(directory / "part-7.sqlite3.new", "");
  const absl::Status status = store.Create(2, "id");
  CHECK(status.code() == Code::kFailedPrecondition);
  CHECK(status.message() ==
        Format("'%s' has the partition 'part-0.sqlite3' of a recovery store and files of one that "
               "is being made, such as 'part-7.sqlite3.new': remove the files that do not belong "
               "to the store",
               directory.path()));
}

TEST_CASE("partitions that are missing, doubled, renamed or of another store are named") {
  const TemporaryDirectory directory;
  MakeStore(directory.path(), 4, "first");
  SqliteStore store(directory.path());
  absl::Status status;
  SUBCASE("missing") {
    std::filesystem::remove(directory / "part-0.sqlite3");
    std::filesystem::remove(directory / "part-3.sqlite3");
    status = store.PartitionCount().status();
    CHECK(status.message() ==
          Format("the directory '%s' has 2 of the 4 partitions of the recovery store, without "
                 "'part-0.sqlite3', 'part-3.sqlite3': put them there, or remove the whole store to "
                 "start from the beginning",
                 directory.path()));
  }
  SUBCASE("doubled") {
    std::filesystem::copy_file(directory / "part-1.sqlite3", directory / "part-4.sqlite3");
    status = store.PartitionCount().status();
    CHECK(status.message() ==
          Format("the directory '%s' has partition 1 of the recovery store twice, in "
                 "'part-1.sqlite3' and in 'part-4.sqlite3': remove the copy",
                 directory.path()));
  }
  SUBCASE("renamed") {
    std::filesystem::rename(directory / "part-1.sqlite3", directory / "part-7.sqlite3");
    status = store.PartitionCount().status();
    CHECK(status.message() ==
          Format("the file 'part-7.sqlite3' of the directory '%s' is partition 1 of the recovery "
                 "store: give it the name 'part-1.sqlite3'",
                 directory.path()));
  }
  SUBCASE("of another store") {
    const TemporaryDirectory other;
    MakeStore(other.path(), 4, "second");
    std::filesystem::copy_file(other / "part-2.sqlite3", directory / "part-2.sqlite3",
                               std::filesystem::copy_options::overwrite_existing);
    status = store.PartitionCount().status();
    CHECK(status.message() ==
          Format("the directory '%s' has partitions of different recovery stores: "
                 "'part-0.sqlite3' is of store first with 4 partitions, 'part-2.sqlite3' of store "
                 "second with 4: use one directory for each store",
                 directory.path()));
  }
  CHECK(status.code() == Code::kInvalidArgument);
}

TEST_CASE("a file that is no partition, or of a newer format, is refused") {
  const TemporaryDirectory directory;
  MakeStore(directory.path(), 1);
  SqliteStore store(directory.path());
  const std::string file = directory / "part-0.sqlite3";
  absl::Status status;
  SUBCASE("newer") {
    Tamper(file, "PRAGMA user_version=2");
    status = store.PartitionCount().status();
    CHECK(status.code() == Code::kFailedPrecondition);
    CHECK(status.message() ==
          Format("'%s' has format 2, and this program reads formats up to 1: use a newer version "
                 "of Headway",
                 file));
  }
  SUBCASE("another program's") {
    Tamper(file, "PRAGMA application_id=1");
    status = store.PartitionCount().status();
    CHECK(status.code() == Code::kInvalidArgument);
    CHECK(status.message() ==
          Format("'%s' is no partition of a recovery store: move it elsewhere, or use another "
                 "directory",
                 file));
  }
  SUBCASE("empty") {
    WriteFile(file, "");
    status = store.PartitionCount().status();
    CHECK(status.code() == Code::kInvalidArgument);
  }
  SUBCASE("a text") {
    WriteFile(file, std::string(100'000, 'x'));
    status = store.PartitionCount().status();
    CHECK(status.code() == Code::kDataLoss);
    CHECK(status.message() == Format("'%s' is damaged (file is not a database): replace it by a "
                                     "copy, or remove the whole store to start from the beginning",
                                     file));
  }
  CHECK(store.OpenToRead(0).status().message() == status.message());
  CHECK(store.OpenToWrite(0, "test", false).status().message() == status.message());
}

TEST_CASE("a partition that is gone is an error that names its file") {
  const TemporaryDirectory directory;
  SqliteStore store(directory.path());
  CHECK(store.OpenToRead(0).status().code() == Code::kNotFound);
  CHECK(store.OpenToWrite(0, "test", false).status().message() ==
        Format("there is no file '%s/part-0.sqlite3': put a copy of it there, or remove the whole "
               "store to start from the beginning",
               directory.path()));
}

TEST_CASE("a wrong byte in a block and a file that is cut off are errors") {
  const TemporaryDirectory directory;
  MakeStore(directory.path(), 1);
  SqliteStore store(directory.path());
  const std::string file = directory / "part-0.sqlite3";
  std::string bytes = ReadFile(file);
  const size_t block = bytes.find("HBLK");
  REQUIRE(block != std::string::npos);
  SUBCASE("a wrong byte") {
    bytes[block + 100] = static_cast<char>(bytes[block + 100] ^ 1);
    WriteFile(file, bytes);
    size_t rows = 0;
    const absl::Status status = ReadAll(**store.OpenToRead(0), &rows);
    CHECK(status.code() == Code::kDataLoss);
    CHECK(status.message() == Format("partition 0 of the recovery store in '%s', run 1, block 0: "
                                     "the checksum of the block is wrong",
                                     directory.path()));
  }
  SUBCASE("cut off") {
    for (const size_t size : {bytes.size() / 2, bytes.size() - 4096, size_t{4096}, size_t{100}}) {
      std::filesystem::resize_file(file, size);
      size_t rows = 0;
      absl::StatusOr<std::unique_ptr<StorePartition>> partition = store.OpenToRead(0);
      const absl::Status status = partition.ok() ? ReadAll(**partition, &rows) : partition.status();
      INFO("size ", size, ": ", std::string(status.message()));
      CHECK(status.code() == Code::kDataLoss);
    }
  }
}

TEST_CASE("no damage of a file does harm") {
  const TemporaryDirectory directory;
  MakeStore(directory.path(), 1);
  SqliteStore store(directory.path());
  const std::string file = directory / "part-0.sqlite3";
  const std::string bytes = ReadFile(file);
  std::mt19937_64 random(TestSeed("sqlite_store_test"));
  for (int round = 0; round < 40; ++round) {
    std::string damaged = bytes;
    // Most of the structure is in the first pages.
    const size_t range = round % 2 == 0 ? 8 * 4096 : bytes.size();
    for (int i = 0; i < 1 + round % 5; ++i) {
      damaged[random() % range] = static_cast<char>(random());
    }
    WriteFile(file, damaged);
    absl::StatusOr<std::unique_ptr<StorePartition>> partition = store.OpenToWrite(0, "test", false);
    if (!partition.ok()) continue;
    size_t rows = 0;
    static_cast<void>(ReadAll(**partition, &rows));
    static_cast<void>((*partition)->Apply(ChangeOf(1, 10'000)));
  }
}

TEST_CASE("a full disk refuses a change and takes it when there is room") {
  const TemporaryDirectory directory;
  SqliteStore store(directory.path());
  REQUIRE(store.Create(1, "id").ok());
  const std::unique_ptr<StorePartition> partition = Writer(store);
  REQUIRE(partition->Apply(ChangeOf(0, 10'000)).ok());

  // Files may not grow beyond the limit.
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit;
  REQUIRE(getrlimit(RLIMIT_FSIZE, &old_limit) == 0);
  const rlimit limit = {500'000, old_limit.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  const absl::Status full = partition->Apply(ChangeOf(1, 3'000'000));
  const absl::Status full_again = partition->Apply(ChangeOf(1, 3'000'000));
  const Epoch end = partition->ReadContents()->durable_end;
  REQUIRE(setrlimit(RLIMIT_FSIZE, &old_limit) == 0);
  signal(SIGXFSZ, old_handler);

  CHECK(full.code() == Code::kResourceExhausted);
  CHECK(full.message() == Format("cannot write '%s/part-0.sqlite3': the disk is full; make room, "
                                 "then start the run again",
                                 directory.path()));
  CHECK(full_again.code() == Code::kResourceExhausted);
  CHECK(end == 1);
  CHECK(partition->Apply(ChangeOf(1, 3'000'000)).ok());
  size_t rows = 0;
  CHECK(ReadAll(*partition, &rows).ok());
  CHECK(rows == 3010);
}

// Runs the rest of the test without the rights of root.
class WithoutRights {
 public:
  WithoutRights() {
    constexpr uid_t kNobody = 65534;
    if (user_ == 0) REQUIRE(seteuid(kNobody) == 0);
  }
  ~WithoutRights() {
    if (user_ == 0) CHECK(seteuid(user_) == 0);
  }

 private:
  uid_t user_ = geteuid();
};

TEST_CASE("a directory that is read-only can be read, and says so when it is written") {
  const TemporaryDirectory directory;
  MakeStore(directory.path(), 1);
  SqliteStore store(directory.path());
  SUBCASE("the directory") {
    std::filesystem::remove(directory / "part-0.lock");
    chmod(directory.path().c_str(), 0555);
    chmod((directory / "part-0.sqlite3").c_str(), 0444);
    const WithoutRights without_rights;
    CHECK(store.PartitionCount().value() == 1);
    size_t rows = 0;
    CHECK(ReadAll(**store.OpenToRead(0), &rows).ok());
    CHECK(rows == 100);
    const absl::Status status = store.OpenToWrite(0, "test", false).status();
    CHECK(status.code() == Code::kPermissionDenied);
    CHECK(status.message() == Format("cannot write the lock '%s/part-0.lock' (Permission denied): "
                                     "allow the run to write the directory",
                                     directory.path()));
    const std::string below = directory / "below";
    const absl::Status create = SqliteStore(below).Create(1, "id");
    CHECK(create.code() == Code::kPermissionDenied);
    CHECK(create.message() ==
          Format("cannot make '%s' for the recovery store: Permission denied", below));
  }
  SUBCASE("the file") {
    chmod(directory.path().c_str(), 0777);
    chmod((directory / "part-0.sqlite3").c_str(), 0444);
    chmod((directory / "part-0.lock").c_str(), 0666);
    const WithoutRights without_rights;
    absl::StatusOr<std::unique_ptr<StorePartition>> partition = store.OpenToWrite(0, "test", false);
    const absl::Status status =
        partition.ok() ? (*partition)->Apply(ChangeOf(1, 1000)) : partition.status();
    CHECK(status.code() == Code::kPermissionDenied);
    CHECK(std::string(status.message()).find("part-0.sqlite3") != std::string::npos);
  }
}

TEST_CASE("a file that another program has locked is an error after a time") {
  const TemporaryDirectory directory;
  MakeStore(directory.path(), 1);
  SqliteStore store(directory.path(), absl::Milliseconds(5));
  const std::unique_ptr<StorePartition> partition = Writer(store);
  absl::StatusOr<std::unique_ptr<SqliteDatabase>> other = SqliteDatabase::Open(
      directory / "part-0.sqlite3", SqliteDatabase::Mode::kWrite, absl::Milliseconds(5));
  REQUIRE((*other)->Execute("BEGIN IMMEDIATE").ok());
  const absl::Status status = partition->Apply(ChangeOf(1, 1000));
  CHECK(status.code() == Code::kUnavailable);
  CHECK(status.message() ==
        Format("'%s/part-0.sqlite3' is locked by another program: end the program that uses it",
               directory.path()));
  REQUIRE((*other)->Execute("ROLLBACK").ok());
  CHECK(partition->Apply(ChangeOf(1, 1000)).ok());
}

TEST_CASE("the files of a store shrink when its state does") {
  const TemporaryDirectory directory;
  SqliteStore store(directory.path());
  REQUIRE(store.Create(1, "id").ok());
  const std::string file = directory / "part-0.sqlite3";
  const std::string log = directory / "part-0.sqlite3-wal";
  std::unique_ptr<StorePartition> partition = Writer(store);
  for (Epoch epoch = 0; epoch < 16; ++epoch) {
    REQUIRE(partition->Apply(ChangeOf(epoch, 1'000'000)).ok());
    CHECK(std::filesystem::file_size(log) <= 10 << 20);
  }
  PartitionChange removal;
  const PartitionContents contents = partition->ReadContents().value();
  for (const StoredRun& run : contents.runs) {
    removal.removed_runs.push_back(run.id);
  }
  REQUIRE(partition->Apply(removal).ok());
  REQUIRE(partition->Apply(ChangeOf(20, 100'000)).ok());
  CHECK(ReadFile(directory / "part-0.lock").find("(test)") != std::string::npos);
  partition.reset();
  CHECK(!std::filesystem::exists(log));
  CHECK(std::filesystem::file_size(file) < 4'000'000);
}

TEST_CASE("a process that is killed leaves whole changes, at least those that were durable") {
  const TemporaryDirectory directory;
  SqliteStore store(directory.path());
  REQUIRE(store.Create(1, "id").ok());
  std::mt19937_64 random(TestSeed("sqlite_store_test"));
  Epoch durable_end = 0;
  for (int round = 0; round < 5; ++round) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      const std::unique_ptr<StorePartition> partition =
          std::move(*store.OpenToWrite(0, "child", false));
      for (Epoch epoch = durable_end;; ++epoch) {
        if (!partition->Apply(ChangeOf(epoch, 300'000)).ok()) _exit(1);
        if (write(ends[1], &epoch, sizeof(epoch)) != sizeof(epoch)) _exit(0);
      }
    }
    close(ends[1]);
    // The child is in the middle of a change, or about to begin one.
    for (uint64_t i = 0; i < 1 + random() % 10; ++i) {
      Epoch epoch = 0;
      REQUIRE(read(ends[0], &epoch, sizeof(epoch)) == sizeof(epoch));
      durable_end = epoch + 1;
    }
    usleep(static_cast<useconds_t>(random() % 3000));
    kill(child, SIGKILL);
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));

    const std::unique_ptr<StorePartition> partition = Writer(store);
    const PartitionContents contents = partition->ReadContents().value();
    CHECK(contents.durable_end >= durable_end);
    CHECK(contents.runs.size() == contents.durable_end);
    size_t rows = 0;
    CHECK(ReadAll(*partition, &rows).ok());
    CHECK(rows == 300 * contents.durable_end);
    durable_end = contents.durable_end;
  }
}

}  // namespace
}  // namespace headway::internal
