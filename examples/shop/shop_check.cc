// Checks the results of the job of the web shop: `shop_check --brokers B --database D --sessions
// DIRECTORY`. It computes revenue and sessions of all orders with plain loops, and compares them
// with the topic and the files. With --count it prints the number of messages in the topic only.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "examples/example.h"
#include "examples/shop/orders.h"
#include "examples/shop/prices.h"
#include "headway/headway.h"
#include "headway/operators/kafka/kafka_source.h"
#include "headway/operators/parquet/parquet_source.h"

using namespace headway;

namespace {

using Revenue = std::pair<std::string, int64_t>;  // "category,start of the minute", cents

absl::StatusOr<Revenue> ReadRevenue(const KafkaView& message) {
  Revenue revenue(message.key.value_or(""), 0);
  if (!absl::SimpleAtoi(std::string(message.value.value_or("")), &revenue.second)) {
    return absl::DataLossError("the message is no revenue");
  }
  return revenue;
}

template <class D, class Source>
absl::StatusOr<std::vector<D>> ReadAll(Source source) {
  std::vector<D> records;
  Dataflow flow("read", [&](Scope<>& scope) {
    scope.Input("in", source) | Output("out", TestingSink(&records));
  });
  if (absl::Status status = RunMain(flow); !status.ok()) return status;
  return records;
}

std::vector<Revenue> RevenueOf(const std::vector<Sale>& sales) {
  std::map<std::string, int64_t> cents;
  for (const Sale& sale : sales) {
    cents[absl::StrCat(sale.category, ",", sale.time_ms / 60'000 * 60'000)] += sale.cents;
  }
  return {cents.begin(), cents.end()};
}

// The sales are in the order of their times.
std::vector<Session> SessionsOf(const std::vector<Sale>& sales) {
  std::vector<Session> sessions;
  std::map<std::string, std::pair<size_t, int64_t>>
      last;  // the session of a user, and its last time
  for (const Sale& sale : sales) {
    const auto found = last.find(sale.user);
    const bool is_new = found == last.end() || sale.time_ms - found->second.second >
                                                   absl::ToInt64Milliseconds(kSessionGap);
    if (is_new) sessions.push_back({.user = sale.user, .start_ms = sale.time_ms});
    auto& [session, time_ms] = last[sale.user];
    if (is_new) session = sessions.size() - 1;
    time_ms = sale.time_ms;
    ++sessions[session].orders;
    sessions[session].cents += sale.cents;
  }
  return sessions;
}

// Prints how two lists differ, in any order.
template <class D>
bool AreEqual(const char* what, std::vector<D> expected, std::vector<D> found) {
  std::sort(expected.begin(), expected.end());
  std::sort(found.begin(), found.end());
  const bool equal = expected == found;
  absl::PrintF("%s: %d, %s\n", what, found.size(),
               equal ? "each as computed, and once"
                     : absl::StrFormat("but %d were computed, or others", expected.size()));
  return equal;
}

std::vector<std::string> LinesOf(const std::vector<Session>& sessions) {
  std::vector<std::string> lines;
  for (const Session& session : sessions) {
    lines.push_back(
        absl::StrCat(session.user, ",", session.start_ms, ",", session.orders, ",", session.cents));
  }
  return lines;
}

}  // namespace

int main(int argc, char** argv) {
  std::string brokers = "127.0.0.1:9092";
  std::string database;
  std::string directory = "sessions";
  bool count = false;
  CommandLine line("shop_check\n\nCompares the results of the web shop with its orders.", {});
  line.AddFlag("brokers", &brokers, "addresses of the brokers");
  line.AddFlag("database", &database, "URI of the database with the table of products");
  line.AddFlag("sessions", &directory, "directory of the sessions");
  line.AddFlag("count", &count, "print the number of results in the topic");
  if (absl::Status status = line.Parse(argc, argv); !status.ok()) return Finish(status);

  const auto revenue = ReadAll<Revenue>(
      KafkaSource({.brokers = brokers, .topics = {"revenue"}, .stops_at_end = true}, ReadRevenue));
  if (count && (revenue.ok() || absl::IsNotFound(revenue.status()))) {
    absl::PrintF("%d\n", revenue.ok() ? revenue->size() : 0);
    return 0;
  }
  if (!revenue.ok()) return Finish(revenue.status());

  std::vector<Sale> sales;
  Dataflow flow("sales", [&](Scope<>& scope) {
    scope.Input(
        "orders",
        KafkaSource({.brokers = brokers, .topics = {"orders"}, .stops_at_end = true}, ReadOrder)) |
        AddPrices(database) | Output("out", TestingSink(&sales));
  });
  if (absl::Status status = RunMain(flow); !status.ok()) return Finish(status);
  std::sort(sales.begin(), sales.end(),
            [](const Sale& a, const Sale& b) { return a.time_ms < b.time_ms; });
  const auto sessions = ReadAll<Session>(ParquetSource<Session>(directory));
  if (!sessions.ok()) return Finish(sessions.status());

  absl::PrintF("orders: %d\n", sales.size());
  const bool equal = AreEqual("revenue of categories and minutes", RevenueOf(sales), *revenue);
  return AreEqual("sessions", LinesOf(SessionsOf(sales)), LinesOf(*sessions)) && equal ? 0 : 1;
}
