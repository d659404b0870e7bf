#include "bench/nexmark/generator.h"

#include <algorithm>
#include <cmath>

#include "bench/headway_bench/generate.h"

namespace headway::bench::nexmark {

namespace {

// In this order, of each kTotal events.
constexpr uint64_t kPersons = 1;
constexpr uint64_t kAuctions = 3;
constexpr uint64_t kTotal = 50;

constexpr uint64_t kFirstId = 1000;  // of persons and auctions
constexpr uint64_t kFirstCategory = 10;
constexpr uint64_t kCategories = 5;
constexpr uint64_t kActivePersons = 1000;
constexpr uint64_t kOpenAuctions = 100;
constexpr uint64_t kHotGroup = 100;
// Events may refer to so many persons and auctions that do not exist yet.
constexpr uint64_t kLead = 10;

// The random numbers of an event.
class Draws {
 public:
  explicit Draws(uint64_t number) : next_(number * kPerEvent) {}

  uint64_t Below(uint64_t bound) { return bench::Below(next_++, bound); }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  uint64_t Price() {
    const double uniform = static_cast<double>(SplitMix64(next_++) >> 11) * 0x1p-53;
    return static_cast<uint64_t>(std::round(std::pow(10.0, 6 * uniform) * 100));
  }

 private:
  static constexpr uint64_t kPerEvent = 16;  // more than any event draws
  uint64_t next_;
};

// The places of the last person and the last auction up to an event.
uint64_t LastPerson(uint64_t number) { return number / kTotal; }
uint64_t LastAuction(uint64_t number) {
  const uint64_t before = number / kTotal * kAuctions;
  const uint64_t place = number % kTotal;
  const uint64_t count = before + std::min(place < kPersons ? 0 : place - kPersons + 1, kAuctions);
  return count == 0 ? 0 : count - 1;
}

uint64_t RecentPerson(uint64_t number, Draws& draws) {
  const uint64_t count = LastPerson(number) + 1;
  const uint64_t active = std::min(count, kActivePersons);
  return count - active + draws.Below(active + kLead);
}
uint64_t RecentAuction(uint64_t number, Draws& draws) {
  const uint64_t last = LastAuction(number);
  const uint64_t first = last < kOpenAuctions ? 0 : last - kOpenAuctions;
  return first + draws.Below(last - first + 1 + kLead);
}
uint64_t FirstOfGroup(uint64_t place) { return place / kHotGroup * kHotGroup; }

}  // namespace

EventTime EventGenerator::TimeAt(uint64_t number) const {
  return static_cast<EventTime>(number * 1000 / events_per_second_);
}

Event EventGenerator::At(uint64_t number) const {
  Draws draws(number);
  const EventTime time = TimeAt(number);
  const uint64_t kind = number % kTotal;
  if (kind < kPersons) {
    return Person{.time = time,
                  .id = kFirstId + LastPerson(number),
                  .first_name = static_cast<uint8_t>(draws.Below(kFirstNames)),
                  .last_name = static_cast<uint8_t>(draws.Below(kLastNames)),
                  .city = static_cast<uint8_t>(draws.Below(kCities)),
                  .state = static_cast<uint8_t>(draws.Below(kStates))};
  }
  if (kind < kPersons + kAuctions) {
    const uint64_t seller =
        draws.OneIn(4) ? RecentPerson(number, draws) : FirstOfGroup(LastPerson(number));
    const uint64_t category = kFirstCategory + draws.Below(kCategories);
    const uint64_t initial_bid = draws.Price();
    const uint64_t reserve = initial_bid + draws.Price();
    // About as long as it takes until kOpenAuctions further auctions have been opened.
    const EventTime horizon = TimeAt(number + kOpenAuctions * kTotal / kAuctions) - time;
    const uint64_t duration =
        1 + draws.Below(std::max<uint64_t>(2 * static_cast<uint64_t>(horizon), 1));
    return Auction{.time = time,
                   .id = kFirstId + LastAuction(number),
                   .seller = kFirstId + seller,
                   .category = category,
                   .initial_bid = initial_bid,
                   .reserve = reserve,
                   .expires = time + static_cast<EventTime>(duration)};
  }
  const uint64_t auction =
      draws.OneIn(2) ? RecentAuction(number, draws) : FirstOfGroup(LastAuction(number));
  const uint64_t bidder =
      draws.OneIn(4) ? RecentPerson(number, draws) : FirstOfGroup(LastPerson(number)) + 1;
  return Bid{.time = time,
             .auction = kFirstId + auction,
             .bidder = kFirstId + bidder,
             .price = draws.Price()};
}

}  // namespace headway::bench::nexmark
