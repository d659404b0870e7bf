// The queries of NEXMark over an auction house's events: bench/nexmark/queries.h.

#include <algorithm>
#include <fstream>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/steps.h"
#include "bench/nexmark/generator.h"
#include "bench/nexmark/queries.h"

namespace headway::bench {

namespace {

using nexmark::Auction;
using nexmark::Bid;
using nexmark::Event;
using nexmark::Person;

std::string Csv(const Bid& bid) {
  return absl::StrJoin(std::tuple(bid.time, bid.auction, bid.bidder, bid.price), ",");
}
std::string Csv(const Person& person) {
  return absl::StrJoin(
      std::tuple(person.time, person.id, nexmark::NameOf(person.first_name, person.last_name),
                 nexmark::CityOf(person), nexmark::StateOf(person)),
      ",");
}
std::string Csv(const Auction& auction) {
  return absl::StrJoin(std::tuple(auction.time, auction.id, auction.seller, auction.category,
                                  auction.initial_bid, auction.reserve, auction.expires),
                       ",");
}
template <class... Fields>
std::string Csv(const std::tuple<Fields...>& row) {
  return absl::StrJoin(row, ",");
}
std::string Csv(const std::pair<uint64_t, uint64_t>& row) {
  return absl::StrCat(row.first, ",", row.second);
}

// The answers of a query on a worker. Their checksum does not depend on their order.
class Answers {
 public:
  // `keeps_lines`: for Write.
  explicit Answers(bool keeps_lines) : keeps_lines_(keeps_lines) {}

  template <class Row>
  void Add(const Row& row) {
    checksum_ += StableHash(row);
    if (keeps_lines_) lines_.push_back(Csv(row));
  }
  // (key, value): takes the place of the last one of the key.
  void Update(const std::pair<uint64_t, uint64_t>& row) { updated_[row.first] = row.second; }

  // To be called once, when all answers are here.
  void Complete() {
    for (const auto& [key, value] : updated_) Add(std::pair(key, value));
  }
  uint64_t checksum() const { return checksum_; }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  bool keeps_lines_;
  std::map<uint64_t, uint64_t> updated_;
  uint64_t checksum_ = 0;
  std::vector<std::string> lines_;
};

template <class Row>
Stream<Row> AddTo(Answers& answers, const Stream<Row>& rows) {
  return rows | Inspect("answers", [&answers](const auto& row) { answers.Add(Row(row)); });
}
Stream<std::pair<uint64_t, uint64_t>> UpdateIn(Answers& answers,
                                               const Stream<std::pair<uint64_t, uint64_t>>& rows) {
  return rows | Inspect("answers", [&answers](const auto& row) { answers.Update(row); });
}

// Builds query `number`. Returns false for an unknown number.
bool BuildQuery(uint64_t number, const Stream<Event>& events, Answers& answers,
                ProbeHandle<>& probe) {
  using namespace nexmark;  // NOLINT(google-build-using-namespace)
  auto add = [&](const auto& rows) { AddTo(answers, rows) | Probe(probe); };
  auto update = [&](const auto& rows) { UpdateIn(answers, rows) | Probe(probe); };
  switch (number) {
    case 0:
      add(AllBids(events));
      return true;
    case 1:
      add(ConvertedBids(events));
      return true;
    case 2:
      add(SelectedBids(events));
      return true;
    case 3:
      add(LocalAuctions(events));
      return true;
    case 4:
      update(AveragePricesOfCategories(events));
      return true;
    case 5:
      add(HotAuctions(events));
      return true;
    case 6:
      update(AveragePricesOfSellers(events));
      return true;
    case 7:
      add(HighestBids(events));
      return true;
    case 8:
      add(NewSellers(events));
      return true;
    case 11:
      add(BidderSessions(events));
      return true;
    default:
      return false;
  }
}

absl::Status WriteLines(const std::string& path, const std::vector<std::string>& lines) {
  std::ofstream file(path, std::ios::binary);
  for (const std::string& line : lines) file << line << '\n';
  if (!file.flush()) return absl::UnavailableError(absl::StrFormat("cannot write '%s'", path));
  return absl::OkStatus();
}

// Writes the events and answers of a worker into files of its own.
absl::Status Write(const std::string& directory, int worker, const std::vector<Event>& events,
                   const Answers& answers) {
  std::vector<std::string> lines[std::variant_size_v<Event>];
  for (const Event& event : events) {
    lines[event.index()].push_back(std::visit([](const auto& each) { return Csv(each); }, event));
  }
  auto path = [&](const char* name) {
    return absl::StrFormat("%s/%s-%d.csv", directory, name, worker);
  };
  HEADWAY_RETURN_IF_ERROR(WriteLines(path("persons"), lines[0]));
  HEADWAY_RETURN_IF_ERROR(WriteLines(path("auctions"), lines[1]));
  HEADWAY_RETURN_IF_ERROR(WriteLines(path("bids"), lines[2]));
  return WriteLines(path("answers"), answers.lines());
}

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  const uint64_t query = options.number("query");
  const uint64_t per_round = options.number("epoch");
  const uint64_t total = options.number("events");
  const uint64_t rounds = (total + per_round - 1) / per_round;
  Answers answers(!options.file.empty());
  bool known = false;

  InputHandle<Event> input;
  ProbeHandle<> probe;
  HEADWAY_RETURN_IF_ERROR(worker.Build("nexmark", [&](Scope<>& scope) {
    known = BuildQuery(query, scope.Input(input), answers, probe);
  }));
  if (!known) {
    return absl::InvalidArgumentError("nexmark has the queries 0 to 8 and 11");
  }

  // All events are made before the clock starts: making one takes longer than the simple queries
  // need for it.
  const Stopwatch making;
  const nexmark::EventGenerator generator(options.number("rate"));
  std::vector<Event> events;
  std::vector<size_t> ends;  // of rounds
  for (uint64_t round = 0; round < rounds; ++round) {
    const uint64_t first = round * per_round;
    const Range own = Share(std::min(per_round, total - first), worker.index(), worker.count());
    for (uint64_t n = own.first; n < own.last; ++n) events.push_back(generator.At(first + n));
    ends.push_back(events.size());
  }
  const double making_seconds = making.Seconds();

  HEADWAY_RETURN_IF_ERROR(harness.Start(rounds));
  size_t sent = 0;
  for (Epoch round = 0; round < rounds; ++round) {
    SendAll<Event>(input, std::span(events).subspan(sent, ends[round] - sent));
    sent = ends[round];
    input.AdvanceTo(round + 1);
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(round + 1); }));
    harness.SetDone(round);
  }
  input.Close();
  HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return !probe.Done(); }));
  const double seconds = harness.clock().Seconds();

  answers.Complete();
  if (!options.file.empty()) {
    HEADWAY_RETURN_IF_ERROR(Write(options.file, worker.index(), events, answers));
  }
  Outcome outcome{.seconds = seconds,
                  .rounds = rounds,
                  .records = events.size(),
                  .checksum = answers.checksum()};
  outcome.figures.emplace_back("making_seconds", making_seconds);
  return outcome;
}

}  // namespace

Benchmark NexmarkBenchmark() {
  return {.name = "nexmark",
          .summary = "a query of NEXMark over the events of an auction house",
          .arguments = {{.name = "query",
                         .help = "0 to 8, or 11: sessions of bidders",
                         .default_value = 0,
                         .least_value = 0},
                        Number("events", 2'000'000, "events, over all workers"),
                        Number("epoch", 10'000, "events per epoch, over all workers"),
                        Number("rate", 10'000, "events in a second of event time")},
          .run = Run,
          .file_help = "a directory that receives the events and the answers as CSV files"};
}

}  // namespace headway::bench
