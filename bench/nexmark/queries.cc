#include "bench/nexmark/queries.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace headway::bench::nexmark {

namespace {

constexpr EventTime kSecond = 1000;
constexpr EventTime kWindow = 10 * kSecond;

// Replaces the events of type E by f(event), and drops the others.
template <class E, class F>
auto Only(const char* step_id, F f) {
  return FilterMap(step_id, [f](const Event& event) {
    const E* const wanted = std::get_if<E>(&event);
    return wanted != nullptr ? std::optional(f(*wanted)) : std::nullopt;
  });
}

Stream<Event> WithEventTime(const Stream<Event>& events) {
  return events | AssignEventTime("event_time", EventClock(TimeOf));
}

// A clock for values that have a time themselves, behind WithEventTime.
auto ClockOfMembers() {
  return EventClock([](const auto& value) { return value.time; });
}
auto ClockOfTimes() {
  return EventClock([](EventTime time) { return time; });
}

// The values with the greatest rank.
template <class V>
struct Highest {
  uint64_t rank = 0;
  std::vector<V> values;

  void Add(uint64_t of_value, const V& value) {
    if (of_value < rank) return;
    if (of_value > rank) values.clear();
    rank = of_value;
    values.push_back(value);
  }
  void Merge(const Highest& other) {
    for (const V& value : other.values) Add(other.rank, value);
  }
};

struct Sale {
  Id auction;
  Id seller;
  uint64_t category;
  EventTime time;  // at which the auction expired
  uint64_t price;
};

struct Offer {
  EventTime time;
  uint64_t price;
};

// An auction that has not expired. Bids may come before it, from another worker or because they
// refer to an auction that does not exist yet.
struct OpenAuction {
  std::optional<Auction> auction;
  uint64_t highest = 0;
  std::vector<Offer> early;  // until the auction comes

  void Consider(const Offer& offer) {
    if (offer.time < auction->time || offer.time >= auction->expires) return;
    if (offer.price >= auction->reserve) highest = std::max(highest, offer.price);
  }
};

// The sales of auctions, by event time.
Stream<Sale> Sales(const Stream<Event>& all) {
  const Stream<Event> events = WithEventTime(all);
  const auto auctions = events | Only<Auction>("auctions", [](const Auction& auction) {
                          return std::pair(auction.id, auction);
                        });
  const auto offers = events | Only<Bid>("offers", [](const Bid& bid) {
                        return std::pair(bid.auction, Offer{bid.time, bid.price});
                      });

  KeyedOperator<OpenAuction, std::pair<Id, Auction>, Epoch, FirstOfPair> keyed(auctions, "sales",
                                                                               FirstOfPair());
  auto& step = keyed.step();
  auto& sales = keyed.AddOutput<Sale>();
  keyed.OnBatch([&step](const CapabilityRef<Epoch>&, Batch<std::pair<Id, Auction>>& batch) {
    step.AtEach(batch, [&](size_t i, OpenAuction& open) {
      const auto& [id, auction] = batch[i];
      open.auction = auction;
      for (const Offer& offer : open.early) open.Consider(offer);
      open.early.clear();
      step.SetEventTimer(id, auction.expires);
    });
  });
  keyed.AddInput(offers, [&step](const CapabilityRef<Epoch>&, auto& batch) {
    step.AtEach(batch, [&](size_t i, OpenAuction& open) {
      const auto& [id, offer] = batch[i];
      if (open.auction.has_value()) return open.Consider(offer);
      // If the auction is not there when the watermark has passed the offer, it has expired.
      if (open.early.empty()) step.SetEventTimer(id, offer.time + 1);
      open.early.push_back(offer);
    });
  });
  keyed.OnEventTimer([&step, &sales](const CapabilityRef<Epoch>& time, Id id, EventTime at) {
    OpenAuction* const open = step.states().Find(id);
    if (open == nullptr) return;
    if (!open->auction.has_value()) {
      std::erase_if(open->early, [at](const Offer& offer) { return offer.time < at; });
      if (open->early.empty()) {
        step.states().Erase(id);
      } else {
        step.SetEventTimer(id, std::ranges::min(open->early, {}, &Offer::time).time + 1);
      }
    } else if (const Auction& auction = *open->auction; at == auction.expires) {
      if (open->highest > 0) {
        sales.SessionAt(time).Give(Sale{.auction = id,
                                        .seller = auction.seller,
                                        .category = auction.category,
                                        .time = auction.expires,
                                        .price = open->highest});
      }
      step.states().Erase(id);
    }
  });
  return keyed.Build(sales);
}

}  // namespace

Stream<Bid> AllBids(const Stream<Event>& events) {
  return events | Only<Bid>("bids", [](const Bid& bid) { return bid; });
}

Stream<Bid> ConvertedBids(const Stream<Event>& events) {
  return AllBids(events) | Map("convert", [](Bid bid) {
           bid.price = bid.price * 89 / 100;
           return bid;
         });
}

Stream<std::pair<Id, uint64_t>> SelectedBids(const Stream<Event>& events) {
  return AllBids(events) | Filter("select", [](const Bid& bid) { return bid.auction % 123 == 0; }) |
         Map("auction_and_price", [](const Bid& bid) { return std::pair(bid.auction, bid.price); });
}

Stream<std::tuple<std::string, std::string, std::string, Id>> LocalAuctions(
    const Stream<Event>& events) {
  using Seller = std::tuple<std::string, std::string, std::string>;
  const auto sellers =
      events | Only<Person>("persons", [](const Person& person) { return person; }) |
      FilterMap("of_states", [](const Person& person) -> std::optional<std::pair<Id, Seller>> {
        std::string state = StateOf(person);
        if (state != "OR" && state != "ID" && state != "CA") return std::nullopt;
        return std::pair(person.id, Seller(NameOf(person.first_name, person.last_name),
                                           CityOf(person), std::move(state)));
      });
  return events | Only<Auction>("auctions", [](const Auction& auction) { return auction; }) |
         Filter("of_category", [](const Auction& auction) { return auction.category == 10; }) |
         Map("by_seller",
             [](const Auction& auction) { return std::pair(auction.seller, auction.id); }) |
         InnerJoin("join", sellers) | Map("names_and_auctions", [](const auto& row) {
           const auto& [auction, seller] = row.second;
           return std::tuple_cat(Seller(seller), std::tuple(auction));
         });
}

Stream<std::pair<uint64_t, uint64_t>> AveragePricesOfCategories(const Stream<Event>& events) {
  struct Mean {
    uint64_t sum = 0;
    uint64_t count = 0;
  };
  return Sales(events) |
         Map("category_and_price",
             [](const Sale& sale) { return std::pair(sale.category, sale.price); }) |
         StatefulMap<Mean>("average", [](std::optional<Mean>& state, uint64_t price) {
           if (!state.has_value()) state.emplace();
           state->sum += price;
           ++state->count;
           return state->sum / state->count;
         });
}

Stream<std::tuple<EventTime, Id, int64_t>> HotAuctions(const Stream<Event>& events) {
  constexpr EventTime kSlide = 2 * kSecond;
  struct Count {
    EventTime time;  // the last of the window
    Id auction;
    int64_t bids;
  };
  return WithEventTime(events) |
         Only<Bid>("bids", [](const Bid& bid) { return std::pair(bid.auction, bid.time); }) |
         WindowCount("count", ClockOfTimes(), SlidingWindows(kWindow, kSlide)) |
         // The counts of a window are on one worker, those of different windows on different ones.
         Map("by_window",
             [](const auto& count) {
               const auto& [auction, bids] = count;
               return std::pair(bids.window.end, Count{bids.window.end - 1, auction, bids.value});
             }) |
         WindowFold<Highest<Id>>(
             "hottest", ClockOfMembers(), TumblingWindows(kSlide),
             [](Highest<Id>& all, const Count& count) {
               all.Add(static_cast<uint64_t>(count.bids), count.auction);
             },
             [](Highest<Id>& all, const Highest<Id>& other) { all.Merge(other); }) |
         FlatMap("rows", [](const auto& hottest) {
           std::vector<std::tuple<EventTime, Id, int64_t>> rows;
           for (Id auction : hottest.second.value.values) {
             rows.emplace_back(hottest.first, auction,
                               static_cast<int64_t>(hottest.second.value.rank));
           }
           return rows;
         });
}

Stream<std::pair<Id, uint64_t>> AveragePricesOfSellers(const Stream<Event>& events) {
  constexpr size_t kSales = 10;
  using Sold = std::tuple<EventTime, Id, uint64_t>;  // when, auction, price
  return Sales(events) |
         Map("by_seller",
             [](const Sale& sale) {
               return std::pair(sale.seller, Sold(sale.time, sale.auction, sale.price));
             }) |
         StatefulMap<std::vector<Sold>>(
             "average", [](std::optional<std::vector<Sold>>& last, const Sold& sold) {
               if (!last.has_value()) last.emplace();
               last->insert(std::ranges::upper_bound(*last, sold), sold);
               if (last->size() > kSales) last->erase(last->begin());
               uint64_t sum = 0;
               for (const Sold& each : *last) sum += std::get<2>(each);
               return sum / last->size();
             });
}

Stream<Bid> HighestBids(const Stream<Event>& events) {
  // The parts of a window, by auction. There are more than workers, so that all of them take part.
  constexpr uint64_t kParts = 64;
  struct Part {
    EventTime time;  // the last of the window
    Highest<Bid> highest;
  };
  return WithEventTime(events) |
         Only<Bid>("bids", [](const Bid& bid) { return std::pair(bid.auction % kParts, bid); }) |
         WindowFold<Highest<Bid>>(
             "highest_of_part", ClockOfMembers(), TumblingWindows(kWindow),
             [](Highest<Bid>& all, const Bid& bid) { all.Add(bid.price, bid); },
             [](Highest<Bid>& all, const Highest<Bid>& other) { all.Merge(other); }) |
         Map("by_window",
             [](const auto& part) {
               const Window& window = part.second.window;
               return std::pair(window.end, Part{window.end - 1, part.second.value});
             }) |
         WindowFold<Highest<Bid>>(
             "highest", ClockOfMembers(), TumblingWindows(kWindow),
             [](Highest<Bid>& all, const Part& part) { all.Merge(part.highest); },
             [](Highest<Bid>& all, const Highest<Bid>& other) { all.Merge(other); }) |
         FlatMap("rows", [](const auto& highest) { return highest.second.value.values; });
}

Stream<std::tuple<Id, std::string, EventTime>> NewSellers(const Stream<Event>& events) {
  // An appearance of a person: as one who registers, or as a seller.
  struct Appearance {
    EventTime time;
    bool registers;
    uint8_t first_name;
    uint8_t last_name;
  };
  struct Seen {
    bool registered = false;
    bool sold = false;
    uint8_t first_name = 0;
    uint8_t last_name = 0;

    void Merge(const Seen& other) {
      if (other.registered) {
        registered = true;
        first_name = other.first_name;
        last_name = other.last_name;
      }
      sold = sold || other.sold;
    }
  };
  return WithEventTime(events) |
         FilterMap("appearances",
                   [](const Event& event) -> std::optional<std::pair<Id, Appearance>> {
                     if (const auto* person = std::get_if<Person>(&event)) {
                       return std::pair(
                           person->id,
                           Appearance{person->time, true, person->first_name, person->last_name});
                     }
                     if (const auto* auction = std::get_if<Auction>(&event)) {
                       return std::pair(auction->seller, Appearance{auction->time, false, 0, 0});
                     }
                     return std::nullopt;
                   }) |
         WindowFold<Seen>(
             "seen", ClockOfMembers(), TumblingWindows(kWindow),
             [](Seen& seen, const Appearance& of) {
               seen.Merge({of.registers, !of.registers, of.first_name, of.last_name});
             },
             [](Seen& seen, const Seen& other) { seen.Merge(other); }) |
         FilterMap("new_sellers",
                   [](const auto& seen) -> std::optional<std::tuple<Id, std::string, EventTime>> {
                     const auto& [id, in_window] = seen;
                     const Seen& person = in_window.value;
                     if (!person.registered || !person.sold) return std::nullopt;
                     return std::tuple(id, NameOf(person.first_name, person.last_name),
                                       in_window.window.start);
                   });
}

Stream<std::tuple<Id, int64_t, EventTime, EventTime>> BidderSessions(const Stream<Event>& events) {
  return WithEventTime(events) |
         Only<Bid>("bids", [](const Bid& bid) { return std::pair(bid.bidder, bid.time); }) |
         WindowCount("sessions", ClockOfTimes(), SessionWindows(kWindow)) |
         Map("rows", [](const auto& session) {
           const auto& [bidder, of_bidder] = session;
           const auto& [window, pane, bids] = of_bidder;
           // A window includes a record at a distance of the gap; its end is excluded.
           return std::tuple(bidder, bids, window.start, window.end - 1);
         });
}

}  // namespace headway::bench::nexmark
