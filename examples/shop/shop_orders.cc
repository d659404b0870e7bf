// The customers of the web shop: `shop_orders --orders N --per-second N` writes orders to Kafka, N
// of them or, without --orders, until it is stopped. Order i is the same in each run; its time is i
// tenths of a second after the start of 2026.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "examples/example.h"
#include "examples/shop/orders.h"
#include "headway/headway.h"
#include "headway/operators/kafka/kafka_sink.h"

using namespace headway;

namespace {

constexpr int64_t kStartMs = 1'767'225'600'000;

Order MakeOrder(int64_t number) {
  const uint64_t random = SplitMix64(static_cast<uint64_t>(number));
  return {.number = number,
          .time_ms = kStartMs + number * 100,
          .user = absl::StrCat("user", random % 64),
          .product = absl::StrCat("product", random / 64 % 20),
          .quantity = static_cast<int64_t>(random / 1280 % 3) + 1};
}

}  // namespace

int main(int argc, char** argv) {
  std::string brokers = "127.0.0.1:9092";
  std::string topic = "orders";
  int64_t first = 0;
  int64_t orders = std::numeric_limits<int32_t>::max();
  int64_t per_second = 1000;
  CommandLine line("shop_orders\n\nWrites orders to a topic of Kafka.", {.stop_on_signals = true});
  line.AddFlag("brokers", &brokers, "addresses of the brokers");
  line.AddFlag("topic", &topic, "topic of the orders");
  line.AddFlag("first", &first, "number of the first order");
  line.AddFlag("orders", &orders, "number of orders");
  line.AddFlag("per-second", &per_second, "orders of a second");
  if (absl::Status status = line.Parse(argc, argv); !status.ok()) return Finish(status);

  constexpr absl::Duration kInterval = absl::Milliseconds(20);
  const int64_t share = std::max<int64_t>(per_second / 50, 1);
  Dataflow flow("shop_orders", [&](Scope<>& scope) {
    scope.Input("orders",
                PollingSource(kInterval, first,
                              [=](int64_t& next) -> absl::StatusOr<std::vector<Order>> {
                                if (next == first + orders) {
                                  return absl::OutOfRangeError("the shop is closed");
                                }
                                std::vector<Order> some;
                                while (next < first + orders && std::ssize(some) < share) {
                                  some.push_back(MakeOrder(next++));
                                }
                                return some;
                              })) |
        Output("out", KafkaSink({.brokers = brokers, .topic = topic}, [](const Order& order) {
                 return KafkaRecord{.key = order.user, .value = TextOf(order)};
               }));
  });
  return Finish(line.Run(flow));
}
