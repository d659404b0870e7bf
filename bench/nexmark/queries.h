#ifndef HEADWAY_BENCH_NEXMARK_QUERIES_H_
#define HEADWAY_BENCH_NEXMARK_QUERIES_H_

#include <cstdint>
#include <string>
#include <tuple>
#include <utility>

#include "bench/nexmark/events.h"
#include "headway.h"

// Queries of NEXMark as dataflows. The events of each source partition are in the order of their
// times. Windows are aligned to time 0. The answers do not depend on the number of workers. Where
// the descriptions of a query differ, the comment says which reading this is.

namespace headway::bench::nexmark {

using Id = uint64_t;

// 0: all bids.
Stream<Bid> AllBids(const Stream<Event>& events);

// 1: all bids with prices in another currency: price * 89 / 100 in integers.
Stream<Bid> ConvertedBids(const Stream<Event>& events);

// 2: the bids for auctions whose id is a multiple of 123: (auction, price).
Stream<std::pair<Id, uint64_t>> SelectedBids(const Stream<Event>& events);

// 3: the auctions of category 10 whose seller is in OR, ID or CA: (name, city, state, auction).
// Keeps all persons of these states and all auctions of the category.
Stream<std::tuple<std::string, std::string, std::string, Id>> LocalAuctions(
    const Stream<Event>& events);

// 4: the average price at which auctions of a category are sold: (category, average), rounded down,
// with each sale. Only the last average of a category does not depend on the order of sales on
// different workers. An auction is sold when it expires, at the highest price that was bid from its
// opening on and before it expired, if that is its reserve at least.
Stream<std::pair<uint64_t, uint64_t>> AveragePricesOfCategories(const Stream<Event>& events);

// 5: the auctions with the most bids in the last 10 s, every 2 s: (end of the window, auction,
// bids); several if they have the same number.
Stream<std::tuple<EventTime, Id, int64_t>> HotAuctions(const Stream<Event>& events);

// 6: the average price of the last 10 auctions that a seller has sold: (seller, average), rounded
// down, with each sale. The last ones are those that expired last, and of those the ones with the
// highest ids. As in query 4, the last average of a seller counts.
Stream<std::pair<Id, uint64_t>> AveragePricesOfSellers(const Stream<Event>& events);

// 7: the bids with the highest price in each 10 s; several if they have the same price.
Stream<Bid> HighestBids(const Stream<Event>& events);

// 8: the persons who registered and opened an auction within the same 10 s: (id, name, beginning of
// the window), once in a window.
Stream<std::tuple<Id, std::string, EventTime>> NewSellers(const Stream<Event>& events);

// 11: the sessions of each bidder, with a gap of 10 s: (bidder, bids, time of the first bid, time
// of the last bid + gap).
Stream<std::tuple<Id, int64_t, EventTime, EventTime>> BidderSessions(const Stream<Event>& events);

}  // namespace headway::bench::nexmark

#endif  // HEADWAY_BENCH_NEXMARK_QUERIES_H_
