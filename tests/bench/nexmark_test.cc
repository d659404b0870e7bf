#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bench/nexmark/generator.h"
#include "bench/nexmark/queries.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"

namespace headway::bench::nexmark {
namespace {

constexpr int64_t kEvents = 50'000;
// So that the events take 50 s.
constexpr uint64_t kEventsPerSecond = 1000;
constexpr EventTime kWindow = 10'000;

const std::vector<Event>& AllEvents() {
  static const std::vector<Event> events = [] {
    const EventGenerator generator(kEventsPerSecond);
    std::vector<Event> made;
    for (uint64_t n = 0; n < kEvents; ++n) made.push_back(generator.At(n));
    return made;
  }();
  return events;
}

template <class E>
std::vector<E> Of() {
  std::vector<E> wanted;
  for (const Event& event : AllEvents()) {
    if (const E* each = std::get_if<E>(&event)) wanted.push_back(*each);
  }
  return wanted;
}

// The answers of a query, by the workers of this shape. Each worker has every nth event.
template <class Row>
std::vector<Row> Answer(Stream<Row> (*query)(const Stream<Event>&), Shape shape) {
  Collected<Row> rows;
  CheckOk(RunInShape(
      Dataflow("nexmark",
               [&](Scope<>& scope) {
                 auto source = ManualSource(
                     [](int index, int count,
                        std::optional<int64_t> resume) -> Generator<std::pair<int64_t, Event>> {
                       for (int64_t n = resume.value_or(index); n < kEvents; n += count) {
                         co_yield {n + count, AllEvents()[static_cast<size_t>(n)]};
                       }
                     });
                 query(scope.Input("events", source)) | CollectInto("collected", rows);
               }),
      shape, {.epoch_config = RecordCountEpochConfig{3000}}));
  return rows.InOrder();
}

constexpr Shape kFewShapes[] = {{1, 1}, {1, 3}, {2, 2}};

template <class Row>
void CheckAnswers(Stream<Row> (*query)(const Stream<Event>&), std::vector<Row> expected) {
  CHECK(!expected.empty());
  std::ranges::sort(expected);
  for (Shape shape : kFewShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    std::vector<Row> rows = Answer(query, shape);
    std::ranges::sort(rows);
    CHECK(rows.size() == expected.size());
    CHECK((rows == expected));
  }
}

// The same for a query whose last answer for a key counts.
void CheckLastAnswers(Stream<std::pair<Id, uint64_t>> (*query)(const Stream<Event>&),
                      const std::map<Id, uint64_t>& expected) {
  CHECK(!expected.empty());
  for (Shape shape : kFewShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    std::map<Id, uint64_t> last;
    for (const auto& [key, value] : Answer(query, shape)) last[key] = value;
    CHECK((last == expected));
  }
}

// The auctions that were sold, with their prices.
std::vector<std::pair<Auction, uint64_t>> ModelSales() {
  std::map<Id, std::vector<Bid>> bids;
  for (const Bid& bid : Of<Bid>()) bids[bid.auction].push_back(bid);
  std::vector<std::pair<Auction, uint64_t>> sales;
  for (const Auction& auction : Of<Auction>()) {
    uint64_t highest = 0;
    for (const Bid& bid : bids[auction.id]) {
      const bool counts =
          auction.time <= bid.time && bid.time < auction.expires && bid.price >= auction.reserve;
      if (counts) highest = std::max(highest, bid.price);
    }
    if (highest > 0) sales.emplace_back(auction, highest);
  }
  return sales;
}

EventTime WindowOf(EventTime time) { return time / kWindow * kWindow; }

TEST_CASE("of 50 events one is a person and 3 are auctions, in the order of time") {
  CHECK(Of<Person>().size() == 1000);
  CHECK(Of<Auction>().size() == 3000);
  CHECK(Of<Bid>().size() == 46'000);
  CHECK(std::ranges::is_sorted(AllEvents(), {}, TimeOf));
  CHECK(TimeOf(AllEvents().back()) == kEvents - 1);
  Id id = 1000;
  for (const Person& person : Of<Person>()) CHECK(person.id == id++);
  id = 1000;
  for (const Auction& auction : Of<Auction>()) CHECK(auction.id == id++);
}

TEST_CASE("prices and references have the shares of the benchmark's description") {
  // The share of events for which a condition holds.
  auto share = [](const auto& events, auto holds) {
    return static_cast<double>(std::ranges::count_if(events, holds)) /
           static_cast<double>(events.size());
  };
  const std::vector<Bid> bids = Of<Bid>();
  CHECK(share(bids, [](const Bid& bid) { return bid.price >= 1'000'000; }) ==
        doctest::Approx(1 / 3.0).epsilon(0.03));
  CHECK(share(bids, [](const Bid& bid) { return bid.price < 10'000; }) ==
        doctest::Approx(1 / 3.0).epsilon(0.03));
  // The first of a hundred, and now and then by chance.
  CHECK(share(bids, [](const Bid& bid) { return bid.auction % 100 == 0; }) ==
        doctest::Approx(0.505).epsilon(0.03));
  CHECK(share(bids, [](const Bid& bid) { return bid.bidder % 100 == 1; }) ==
        doctest::Approx(0.753).epsilon(0.03));
  CHECK(share(Of<Auction>(), [](const Auction& auction) { return auction.seller % 100 == 0; }) ==
        doctest::Approx(0.753).epsilon(0.03));
  CHECK(share(Of<Auction>(), [](const Auction& auction) { return auction.category == 10; }) ==
        doctest::Approx(0.2).epsilon(0.15));
}

TEST_CASE("queries 0, 1 and 2 have the answers of a batch computation") {
  std::vector<Bid> bids = Of<Bid>();
  CheckAnswers(AllBids, bids);
  std::vector<std::pair<Id, uint64_t>> selected;
  for (Bid& bid : bids) {
    if (bid.auction % 123 == 0) selected.emplace_back(bid.auction, bid.price);
    bid.price = bid.price * 89 / 100;
  }
  CheckAnswers(ConvertedBids, bids);
  CheckAnswers(SelectedBids, selected);
}

TEST_CASE("query 3 has the answers of a batch computation") {
  std::map<Id, Person> persons;
  for (const Person& person : Of<Person>()) persons.emplace(person.id, person);
  std::vector<std::tuple<std::string, std::string, std::string, Id>> expected;
  for (const Auction& auction : Of<Auction>()) {
    const auto seller = persons.find(auction.seller);
    if (auction.category != 10 || seller == persons.end()) continue;
    const Person& person = seller->second;
    const std::string state = StateOf(person);
    if (state != "OR" && state != "ID" && state != "CA") continue;
    expected.emplace_back(NameOf(person.first_name, person.last_name), CityOf(person), state,
                          auction.id);
  }
  CheckAnswers(LocalAuctions, expected);
}

TEST_CASE("query 4 ends with the answers of a batch computation") {
  std::map<uint64_t, std::pair<uint64_t, uint64_t>> totals;  // sum, count
  for (const auto& [auction, price] : ModelSales()) {
    totals[auction.category].first += price;
    ++totals[auction.category].second;
  }
  std::map<uint64_t, uint64_t> expected;
  for (const auto& [category, total] : totals) expected[category] = total.first / total.second;
  CheckLastAnswers(AveragePricesOfCategories, expected);
}

TEST_CASE("query 5 has the answers of a batch computation") {
  constexpr EventTime kSlide = 2000;
  std::map<EventTime, std::map<Id, int64_t>> counts;  // by end of window
  for (const Bid& bid : Of<Bid>()) {
    const EventTime first_end = bid.time / kSlide * kSlide + kSlide;
    for (EventTime end = first_end; end < first_end + kWindow; end += kSlide) {
      ++counts[end][bid.auction];
    }
  }
  std::vector<std::tuple<EventTime, Id, int64_t>> expected;
  for (const auto& [end, of_auctions] : counts) {
    int64_t most = 0;
    for (const auto& [auction, count] : of_auctions) most = std::max(most, count);
    for (const auto& [auction, count] : of_auctions) {
      if (count == most) expected.emplace_back(end, auction, count);
    }
  }
  CheckAnswers(HotAuctions, expected);
}

TEST_CASE("query 6 ends with the answers of a batch computation") {
  std::vector<std::pair<Auction, uint64_t>> sales = ModelSales();
  std::ranges::sort(sales, {},
                    [](const auto& sale) { return std::pair(sale.first.expires, sale.first.id); });
  std::map<Id, std::vector<uint64_t>> prices;
  for (const auto& [auction, price] : sales) prices[auction.seller].push_back(price);
  std::map<Id, uint64_t> expected;
  for (const auto& [seller, all] : prices) {
    const size_t count = std::min<size_t>(all.size(), 10);
    uint64_t sum = 0;
    for (size_t i = all.size() - count; i < all.size(); ++i) sum += all[i];
    expected[seller] = sum / count;
  }
  CheckLastAnswers(AveragePricesOfSellers, expected);
}

TEST_CASE("query 7 has the answers of a batch computation") {
  std::map<EventTime, uint64_t> highest;
  for (const Bid& bid : Of<Bid>()) {
    uint64_t& price = highest[WindowOf(bid.time)];
    price = std::max(price, bid.price);
  }
  std::vector<Bid> expected;
  for (const Bid& bid : Of<Bid>()) {
    if (bid.price == highest[WindowOf(bid.time)]) expected.push_back(bid);
  }
  CheckAnswers(HighestBids, expected);
}

TEST_CASE("query 8 has the answers of a batch computation") {
  std::set<std::pair<Id, EventTime>> sellers;
  for (const Auction& auction : Of<Auction>()) {
    sellers.emplace(auction.seller, WindowOf(auction.time));
  }
  std::vector<std::tuple<Id, std::string, EventTime>> expected;
  for (const Person& person : Of<Person>()) {
    const EventTime window = WindowOf(person.time);
    if (sellers.contains({person.id, window})) {
      expected.emplace_back(person.id, NameOf(person.first_name, person.last_name), window);
    }
  }
  CheckAnswers(NewSellers, expected);
}

TEST_CASE("query 11 has the answers of a batch computation") {
  std::map<Id, std::vector<EventTime>> times;  // in order, as the events are
  for (const Bid& bid : Of<Bid>()) times[bid.bidder].push_back(bid.time);
  std::vector<std::tuple<Id, int64_t, EventTime, EventTime>> expected;
  for (const auto& [bidder, of_bidder] : times) {
    size_t first = 0;
    for (size_t i = 1; i <= of_bidder.size(); ++i) {
      if (i < of_bidder.size() && of_bidder[i] - of_bidder[i - 1] <= kWindow) continue;
      expected.emplace_back(bidder, static_cast<int64_t>(i - first), of_bidder[first],
                            of_bidder[i - 1] + kWindow);
      first = i;
    }
  }
  CheckAnswers(BidderSessions, expected);
}

}  // namespace
}  // namespace headway::bench::nexmark
