// The job of the web shop: `shop --brokers B --database D --sessions DIRECTORY [-w WORKERS]`. It
// reads orders from Kafka, adds the price and category of their products from PostgreSQL, and
// writes the revenue of each category and minute to Kafka, and the sessions of the users to files
// of Parquet. With a recovery store (-r) each result is there once, whatever is killed in between.
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "examples/example.h"
#include "examples/shop/orders.h"
#include "examples/shop/prices.h"
#include "headway/headway.h"
#include "headway/operators/kafka/kafka_sink.h"
#include "headway/operators/kafka/kafka_source.h"
#include "headway/operators/parquet/parquet_sink.h"

using namespace headway;

namespace {

void AddSale(Session& session, const Sale& sale) {
  ++session.orders;
  session.cents += sale.cents;
}

void AddSession(Session& session, const Session& later) {
  session.orders += later.orders;
  session.cents += later.cents;
}

void AddCents(int64_t& sum, int64_t cents) { sum += cents; }

}  // namespace

int main(int argc, char** argv) {
  std::string brokers = "127.0.0.1:9092";
  std::string database;
  std::string sessions = "sessions";
  bool until_end = false;
  CommandLine line("shop\n\nRevenue and sessions of the orders in Kafka.",
                   {.stop_on_signals = true});
  line.AddFlag("brokers", &brokers, "addresses of the brokers");
  line.AddFlag("database", &database, "URI of the database with the table of products");
  line.AddFlag("sessions", &sessions, "directory for the sessions");
  line.AddFlag("until-end", &until_end, "end at the end of the orders");
  if (absl::Status status = line.Parse(argc, argv); !status.ok()) return Finish(status);

  Dataflow flow("shop", [&](Scope<>& scope) {
    const auto orders = scope.Input(
        "orders", KafkaSource({.brokers = brokers, .topics = {"orders"}, .stops_at_end = until_end},
                              ReadOrder));
    const auto sales = orders | AddPrices(database);

    const EventClock clock([](const Sale& sale) { return absl::FromUnixMillis(sale.time_ms); },
                           /*disorder=*/absl::Seconds(10));
    sales | KeyOn("category", [](const Sale& sale) { return sale.category; }) |
        WindowFold<int64_t>(
            "revenue", clock, TumblingWindows(absl::Minutes(1)),
            [](int64_t& cents, const Sale& sale) { cents += sale.cents; }, AddCents) |
        Output("revenue_out",
               TransactionalKafkaSink(
                   {.brokers = brokers, .topic = "revenue"}, [](const auto& result) {
                     const auto& [category, minute] = result;
                     return KafkaRecord{
                         .key = absl::StrCat(std::string(category), ",",
                                             absl::ToUnixMillis(minute.window.start_time())),
                         .value = absl::StrCat(minute.value)};
                   }));

    sales | KeyOn("user", [](const Sale& sale) { return sale.user; }) |
        WindowFold<Session>("sessions", clock, SessionWindows(kSessionGap), AddSale, AddSession) |
        Map("session",
            [](const auto& result) {
              Session session = result.second.value;
              session.user = result.first;
              session.start_ms = absl::ToUnixMillis(result.second.window.start_time());
              return session;
            }) |
        Output("sessions_out", ParquetSink<Session>(sessions));
  });
  return Finish(line.Run(flow));
}
