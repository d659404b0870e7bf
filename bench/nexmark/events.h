#ifndef HEADWAY_BENCH_NEXMARK_EVENTS_H_
#define HEADWAY_BENCH_NEXMARK_EVENTS_H_

#include <cstdint>
#include <string>
#include <variant>

#include "headway.h"

// The events of NEXMark, an auction house: persons register, open auctions, and bid. Source:
// Tucker, Tufte, Papadimos, Maier, "NEXMark: a benchmark for queries over data streams", 2002.
//
// Events are plain. They have the fields that the queries read: names, cities and states are
// numbers, which become text where a query has them in its answer. The other texts of the original
// events, which no query reads, are left out.

namespace headway::bench::nexmark {

// Times are milliseconds.
struct Person {
  EventTime time;
  uint64_t id;
  uint8_t first_name;
  uint8_t last_name;
  uint8_t city;
  uint8_t state;
};

struct Auction {
  EventTime time;
  uint64_t id;
  uint64_t seller;
  uint64_t category;
  uint64_t initial_bid;
  uint64_t reserve;   // the least price at which it sells
  EventTime expires;  // bids at this time or later do not count
};

struct Bid {
  EventTime time;
  uint64_t auction;
  uint64_t bidder;
  uint64_t price;
  friend auto operator<=>(const Bid&, const Bid&) = default;
};

using Event = std::variant<Person, Auction, Bid>;

inline EventTime TimeOf(const Event& event) {
  return std::visit([](const auto& each) { return each.time; }, event);
}

inline constexpr uint64_t kFirstNames = 11;
inline constexpr uint64_t kLastNames = 9;
inline constexpr uint64_t kCities = 10;
inline constexpr uint64_t kStates = 6;

std::string NameOf(uint8_t first_name, uint8_t last_name);
std::string CityOf(const Person& person);
std::string StateOf(const Person& person);

}  // namespace headway::bench::nexmark

#endif  // HEADWAY_BENCH_NEXMARK_EVENTS_H_
