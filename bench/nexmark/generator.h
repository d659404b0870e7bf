#ifndef HEADWAY_BENCH_NEXMARK_GENERATOR_H_
#define HEADWAY_BENCH_NEXMARK_GENERATOR_H_

#include <cstdint>

#include "bench/nexmark/events.h"

namespace headway::bench::nexmark {

// Makes the events 0, 1, 2, ... Each one is a pure function of its number, so any worker can make
// any of them. Of 50 events one is a person, 3 are auctions and 46 are bids. Half of the bids are
// for one auction of the last hundred, three quarters of them are from one person of the last
// hundred, and three quarters of the auctions are of one seller. The others refer to a recent
// person or auction, or to one of the next ten, which do not exist yet. Prices are from 100 to 1e8;
// their logarithms are uniform.
//
// The times of events do not fall: `events_per_second` events have times within a second.
class EventGenerator {
 public:
  explicit EventGenerator(uint64_t events_per_second) : events_per_second_(events_per_second) {}

  Event At(uint64_t number) const;

 private:
  EventTime TimeAt(uint64_t number) const;

  uint64_t events_per_second_;
};

}  // namespace headway::bench::nexmark

#endif  // HEADWAY_BENCH_NEXMARK_GENERATOR_H_
