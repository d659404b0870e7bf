#include "engine/launch/run_flags.h"

#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/store/store.h"
#include "tests/engine/run_helpers.h"

namespace headway::internal {
namespace {

using Arguments = std::vector<std::string>;
using Environment = std::map<std::string, std::string>;

absl::StatusOr<RunFlags> Parse(const Arguments& arguments, const Environment& environment = {}) {
  return ParseRunFlags(arguments, [&](const std::string& variable) -> std::optional<std::string> {
    const auto found = environment.find(variable);
    if (found == environment.end()) return std::nullopt;
    return found->second;
  });
}

RunFlags ParseOk(const Arguments& arguments, const Environment& environment = {}) {
  absl::StatusOr<RunFlags> flags = Parse(arguments, environment);
  REQUIRE_MESSAGE(flags.ok(), flags.status().ToString());
  return *flags;
}

TEST_CASE("without flags a run is one worker in this process") {
  const RunFlags flags = ParseOk({});
  CHECK(flags.workers_per_process == 1);
  CHECK_FALSE(flags.processes.has_value());
  CHECK(flags.addresses.empty());
  CHECK_FALSE(flags.help);
}

TEST_CASE("a value is attached or apart") {
  for (const Arguments& arguments :
       {Arguments{"-w3"}, Arguments{"-w", "3"}, Arguments{"--workers-per-process=3"},
        Arguments{"--workers-per-process", "3"}}) {
    CHECK(ParseOk(arguments).workers_per_process == 3);
  }
  CHECK(ParseOk({"-p2", "-w", "4"}).processes == 2);
}

TEST_CASE("a process of a cluster has an id and the addresses of all") {
  const RunFlags flags = ParseOk({"-i", "1", "-a", "one.example:2101;[::1]:2102", "-w2"});
  CHECK(flags.process_id == 1);
  CHECK(flags.addresses == std::vector<std::string>{"one.example:2101", "[::1]:2102"});
  CHECK(flags.workers_per_process == 2);
}

TEST_CASE("the environment counts where a flag is not given") {
  const Environment environment = {{"HEADWAY_WORKERS_PER_PROCESS", "5"},
                                   {"HEADWAY_ADDRESSES", "a:1;b:2"},
                                   {"HEADWAY_PROCESS_ID", "1"}};
  CHECK(ParseOk({}, environment).workers_per_process == 5);
  CHECK(ParseOk({}, environment).process_id == 1);
  CHECK(ParseOk({"-w2", "-i0"}, environment).workers_per_process == 2);
  CHECK(ParseOk({"-w2", "-i0"}, environment).process_id == 0);
  CHECK(ParseOk({}, {{"HEADWAY_PROCESSES", "3"}}).processes == 3);
  // Nobody reads a variable that does not count.
  CHECK(ParseOk({"-p2"}, {{"HEADWAY_PROCESSES", "many"}}).processes == 2);
  CHECK(ParseOk({"--secret-file=g"}, {{"HEADWAY_SECRET", ""}}).secret_file == "g");
}

TEST_CASE("the ordinal of a pod is the process id where none is given") {
  Environment environment = {{"HEADWAY_ADDRESSES", "a:1;b:2;c:3"},
                             {"HEADWAY_POD_NAME", "my-words-2"},
                             {"HEADWAY_STATEFULSET_NAME", "my-words"}};
  CHECK(ParseOk({}, environment).process_id == 2);
  CHECK(ParseOk({"-i1"}, environment).process_id == 1);
  environment.erase("HEADWAY_STATEFULSET_NAME");
  CHECK(ParseOk({}, environment).process_id == 2);
  environment["HEADWAY_STATEFULSET_NAME"] = "other";
  CheckError(Parse({}, environment).status(), absl::StatusCode::kInvalidArgument,
             {"HEADWAY_POD_NAME", "'my-words-2'", "other-3", "-i/--process-id"});
  // In a pod that runs a dataflow by itself.
  CHECK(ParseOk({"-p2"}, {{"HEADWAY_POD_NAME", "my-words-2"}}).processes == 2);
}

TEST_CASE("limits, timeouts and the secret are read") {
  const RunFlags flags =
      ParseOk({"--connect-timeout=1m30s", "--peer-timeout", "500ms", "--max-bytes-in-flight=64MiB",
               "--epoch-length=2s", "--secret-file=/run/secret", "--insecure"});
  CHECK(flags.run.cluster.connect_timeout == absl::Seconds(90));
  CHECK(flags.run.cluster.peer_timeout == absl::Milliseconds(500));
  CHECK(flags.run.max_bytes_in_flight == 64 << 20);
  CHECK(std::get<PeriodicEpochConfig>(flags.run.epoch_config).epoch_length == absl::Seconds(2));
  CHECK(flags.secret_file == "/run/secret");
  CHECK(flags.run.cluster.insecure);
  CHECK(ParseOk({"--max-bytes-in-flight=3GiB"}).run.max_bytes_in_flight == int64_t{3} << 30);
  CHECK(ParseOk({"--max-bytes-in-flight=5"}).run.max_bytes_in_flight == 5);
  CHECK(ParseOk({}, {{"HEADWAY_SECRET", "s"}}).run.cluster.secret == "s");
  CHECK(ParseOk({}, {{"HEADWAY_SECRET_FILE", "f"}}).secret_file == "f");
  CHECK(ParseOk({"--secret-file=g"}, {{"HEADWAY_SECRET", "s"}}).secret_file == "g");
}

TEST_CASE("recovery has a store, the length of epochs, a backup interval and restarts") {
  const RunFlags none = ParseOk({});
  CHECK_FALSE(none.run.recovery_config.has_value());
  CHECK_FALSE(none.run.restart.has_value());

  const RunFlags flags = ParseOk({"-r", "state", "-s10s", "-b", "1h", "--restart"});
  REQUIRE(flags.run.recovery_config.has_value());
  CHECK(flags.run.recovery_config->store->Describe() == StoreAt("state")->Describe());
  CHECK(flags.run.recovery_config->backup_interval == absl::Hours(1));
  CHECK(std::get<PeriodicEpochConfig>(flags.run.epoch_config).epoch_length == absl::Seconds(10));
  CHECK(flags.run.restart.has_value());
  CHECK_FALSE(ParseOk({"--recovery=state"}).run.restart.has_value());

  const Environment environment = {{"HEADWAY_RECOVERY", "other"},
                                   {"HEADWAY_SNAPSHOT_INTERVAL", "3s"},
                                   {"HEADWAY_BACKUP_INTERVAL", "2m"},
                                   {"HEADWAY_RESTART", "1"}};
  const RunFlags set = ParseOk({}, environment);
  REQUIRE(set.run.recovery_config.has_value());
  CHECK(set.run.recovery_config->store->Describe() == StoreAt("other")->Describe());
  CHECK(set.run.recovery_config->backup_interval == absl::Minutes(2));
  CHECK(std::get<PeriodicEpochConfig>(set.run.epoch_config).epoch_length == absl::Seconds(3));
  CHECK(set.run.restart.has_value());
  const RunFlags flag_wins = ParseOk({"-rstate"}, environment);
  CHECK(flag_wins.run.recovery_config->store->Describe() == StoreAt("state")->Describe());
  CHECK_FALSE(ParseOk({"-rstate"}, {{"HEADWAY_RESTART", "0"}}).run.restart.has_value());
}

TEST_CASE("flags keep what the program says of recovery") {
  const RunOptions defaults = {
      .recovery_config = RecoveryConfig{.store = StoreAt("mine"), .snapshot_every_epochs = 7},
      .restart = RestartConfig{.max_restarts = 3}};
  const auto none = [](const std::string&) -> std::optional<std::string> { return std::nullopt; };
  const absl::StatusOr<RunFlags> flags =
      ParseRunFlags(Arguments{"-r", "state", "--restart"}, none, defaults);
  REQUIRE(flags.ok());
  CHECK(flags->run.recovery_config->store->Describe() == StoreAt("state")->Describe());
  CHECK(flags->run.recovery_config->snapshot_every_epochs == 7);
  CHECK(flags->run.restart->max_restarts == 3);
  CHECK(ParseRunFlags(Arguments{"--restart", "-b1m"}, none, defaults).ok());
}

TEST_CASE("a flag of recovery that is wrong, or without a store, is named") {
  const auto invalid = absl::StatusCode::kInvalidArgument;
  CheckError(Parse({"-r", ""}).status(), invalid, {"-r/--recovery", "name of a store"});
  CheckError(Parse({"--restart"}).status(), invalid, {"--restart needs -r/--recovery"});
  CheckError(Parse({"-b1m"}).status(), invalid, {"-b/--backup-interval needs -r/--recovery"});
  CheckError(Parse({}, {{"HEADWAY_RESTART", "1"}}).status(), invalid,
             {"HEADWAY_RESTART needs -r/--recovery"});
  CheckError(Parse({"-rd"}, {{"HEADWAY_RESTART", "perhaps"}}).status(), invalid,
             {"HEADWAY_RESTART: 'perhaps' is neither 1 (on) nor 0 (off)"});
  CheckError(Parse({"-rd", "--restart=1"}).status(), invalid, {"--restart takes no value"});
  CheckError(Parse({"-rd", "-s", "never"}).status(), invalid,
             {"-s/--snapshot-interval", "'never'"});
  CheckError(Parse({"-rd", "-b", "0s"}).status(), invalid, {"-b/--backup-interval", "'0s'"});
}

TEST_CASE("help is given whatever else is wrong, and explains every flag") {
  CHECK(ParseOk({"--help"}).help);
  CHECK(ParseOk({"-w", "many", "-h"}).help);
  const std::string help = RunFlagsHelp();
  for (const char* part : {"-w, --workers-per-process N",
                           "-p, --processes N",
                           "-i, --process-id ID",
                           "-a, --addresses LIST",
                           "--secret-file FILE",
                           "--insecure",
                           "--connect-timeout DURATION",
                           "--peer-timeout DURATION",
                           "--max-bytes-in-flight BYTES",
                           "--epoch-length DURATION",
                           "-r, --recovery STORE",
                           "-s, --snapshot-interval DURATION",
                           "-b, --backup-interval DURATION",
                           "--restart",
                           "HEADWAY_RECOVERY",
                           "HEADWAY_SNAPSHOT_INTERVAL",
                           "HEADWAY_BACKUP_INTERVAL",
                           "HEADWAY_RESTART",
                           "-h, --help",
                           "HEADWAY_WORKERS_PER_PROCESS",
                           "HEADWAY_POD_NAME",
                           "HEADWAY_SECRET"}) {
    CAPTURE(part);
    CHECK(help.find(part) != std::string::npos);
  }
}

TEST_CASE("words that are no flags, nor their values, are the program's own") {
  const RunFlags flags = ParseOk({"a.txt", "-w", "3", "", "-p2", "b.txt", "--peer-timeout", "2s"});
  CHECK(flags.words == std::vector<std::string>{"a.txt", "", "b.txt"});
  CHECK(flags.workers_per_process == 3);
}

TEST_CASE("a dash and negative numbers are words, and so is everything after two dashes") {
  const RunFlags flags = ParseOk({"-5", "-", "-w2", "-.5", "--", "-w3", "--help", "--"});
  CHECK(flags.words == std::vector<std::string>{"-5", "-", "-.5", "-w3", "--help", "--"});
  CHECK(flags.workers_per_process == 2);
  // A value is a value, whatever it looks like.
  CHECK(ParseOk({"--secret-file", "--"}).secret_file == "--");
}

TEST_CASE("the options of the program hold where neither a flag nor a variable is given") {
  const RunOptions defaults = {.worker_count = 4,
                               .epoch_config = PeriodicEpochConfig{absl::Seconds(3)},
                               .max_bytes_in_flight = 5 << 20};
  const auto parse = [&](const Arguments& arguments) {
    absl::StatusOr<RunFlags> flags =
        ParseRunFlags(arguments, [](const std::string&) { return std::nullopt; }, defaults);
    CheckOk(flags.status());
    return *flags;
  };
  CHECK(parse({}).workers_per_process == 4);
  CHECK(parse({"-w2"}).workers_per_process == 2);
  CHECK(parse({}).run.max_bytes_in_flight == 5 << 20);
  CHECK(parse({"--max-bytes-in-flight=7"}).run.max_bytes_in_flight == 7);
  const std::string help = RunFlagsHelp(defaults);
  for (const char* part : {"run the dataflow (4)", "(5MiB)", "length of an epoch (3s)"}) {
    CAPTURE(part);
    CHECK(help.find(part) != std::string::npos);
  }
}

TEST_CASE("a mistake is a usage error that says where it is, what was given and what is expected") {
  struct Mistake {
    Arguments arguments;
    Environment environment;
    std::initializer_list<std::string> parts;
  };
  const Mistake mistakes[] = {
      {{"-w0"}, {}, {"-w/--workers-per-process: '0'", "1 to 256"}},
      {{"-w", "two"}, {}, {"-w/--workers-per-process: 'two'", "1 to 256"}},
      {{"-w", "99999999999"}, {}, {"'99999999999'", "1 to 256"}},
      {{"-w=3"}, {}, {"-w/--workers-per-process: '=3'"}},
      {{"-w"}, {}, {"-w/--workers-per-process needs a value"}},
      {{"-r", "-w2"}, {}, {"-r/--recovery needs a value, STORE, but the flag '-w2' follows"}},
      {{"-w3x"}, {}, {"'3x'"}},
      {{"-p", "-1"}, {}, {"-p/--processes: '-1'", "1 to 256"}},
      {{"--workers=3"}, {}, {"unknown flag '--workers=3'", "--help"}},
      {{"-x"}, {}, {"unknown flag '-x'", "follows '--'"}},
      {{"--w", "3"}, {}, {"unknown flag '--w'"}},
      {{"--insecure=yes"}, {}, {"--insecure takes no value", "--insecure=yes"}},
      {{}, {{"HEADWAY_WORKERS_PER_PROCESS", ""}}, {"HEADWAY_WORKERS_PER_PROCESS: ''", "1 to 256"}},
      {{}, {{"HEADWAY_PROCESSES", "x"}}, {"HEADWAY_PROCESSES: 'x'"}},
      {{"-p2", "-i0"}, {}, {"-p/--processes", "-i/--process-id", "leave one of them out"}},
      {{"-p2", "-a", "a:1"}, {}, {"-p/--processes", "-a/--addresses", "leave one of them out"}},
      {{"-p2"}, {{"HEADWAY_ADDRESSES", "a:1"}}, {"-p/--processes", "HEADWAY_ADDRESSES"}},
      {{"-i0"}, {}, {"-i/--process-id needs -a/--addresses"}},
      {{"-a", "a:1;b:2"}, {}, {"-a/--addresses needs -i/--process-id", "2 addresses"}},
      {{"-i2", "-a", "a:1;b:2"}, {}, {"-i/--process-id", "no process 2", "2 addresses"}},
      {{"-i-1", "-a", "a:1;b:2"}, {}, {"-i/--process-id: '-1'"}},
      {{"-i0", "-a", "a:1;;b:2"}, {}, {"address 1, ''", "host:port"}},
      {{"-i0", "-a", "a:1;"}, {}, {"address 1, ''"}},
      {{"-i0", "-a", "a:1; b:2"}, {}, {"address 1, ' b:2'"}},
      {{"-i0", "-a", "a"}, {}, {"address 0, 'a'"}},
      {{"-i0", "-a", ":1"}, {}, {"address 0, ':1'"}},
      {{"-i0", "-a", "a:0"}, {}, {"address 0, 'a:0'", "1 to 65535"}},
      {{"-i0", "-a", "a:70000"}, {}, {"address 0, 'a:70000'"}},
      {{"-i0", "-a", "::1:2101"}, {}, {"address 0, '::1:2101'", "[ipv6]:port"}},
      {{"--connect-timeout=5"}, {}, {"--connect-timeout: '5'", "10s"}},
      {{"--peer-timeout=-5s"}, {}, {"--peer-timeout: '-5s'"}},
      {{"--peer-timeout=inf"}, {}, {"--peer-timeout: 'inf'"}},
      {{"--epoch-length=0s"}, {}, {"--epoch-length: '0s'"}},
      {{"--max-bytes-in-flight=64MB"}, {}, {"--max-bytes-in-flight: '64MB'", "64MiB"}},
      {{"--max-bytes-in-flight=0"}, {}, {"--max-bytes-in-flight: '0'"}},
      {{"--max-bytes-in-flight=9999999999GiB"}, {}, {"9999999999GiB"}},
      {{"--secret-file="}, {}, {"--secret-file", "name of a file"}},
      {{}, {{"HEADWAY_SECRET", ""}}, {"HEADWAY_SECRET", "empty"}},
      {{}, {{"HEADWAY_SECRET", "a"}, {"HEADWAY_SECRET_FILE", "b"}}, {"both set"}},
  };
  for (const Mistake& mistake : mistakes) {
    const absl::Status status = Parse(mistake.arguments, mistake.environment).status();
    CheckError(status, absl::StatusCode::kInvalidArgument, mistake.parts);
    CHECK(IsUsageError(status));
    CHECK(status.ToString() == "INVALID_ARGUMENT: " + std::string(status.message()));
  }
}

}  // namespace
}  // namespace headway::internal
