#ifndef HEADWAY_EXAMPLES_SHOP_ORDERS_H_
#define HEADWAY_EXAMPLES_SHOP_ORDERS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "headway/headway.h"
#include "headway/operators/kafka/kafka_message.h"

// The records of the web shop, and their text in Kafka.

struct Order {
  int64_t number = 0;
  int64_t time_ms = 0;  // of Unix
  std::string user;
  std::string product;
  int64_t quantity = 0;
};
HEADWAY_COLUMNS(Order, number, time_ms, user, product, quantity);

// An order with the price that the database has for its product.
struct Sale {
  int64_t time_ms = 0;
  std::string user;
  std::string category;
  int64_t cents = 0;
};
HEADWAY_COLUMNS(Sale, time_ms, user, category, cents);

// Orders of a user that follow each other at a distance of at most kSessionGap.
struct Session {
  std::string user;
  int64_t start_ms = 0;
  int64_t orders = 0;
  int64_t cents = 0;
};
HEADWAY_COLUMNS(Session, user, start_ms, orders, cents);

inline constexpr absl::Duration kSessionGap = absl::Seconds(20);

inline std::string TextOf(const Order& order) {
  return absl::StrCat(order.number, ",", order.time_ms, ",", order.user, ",", order.product, ",",
                      order.quantity);
}

inline absl::StatusOr<Order> ReadOrder(const headway::KafkaView& message) {
  const std::vector<std::string> parts =
      absl::StrSplit(std::string(message.value.value_or("")), ',');
  Order order;
  if (parts.size() != 5 || !absl::SimpleAtoi(parts[0], &order.number) ||
      !absl::SimpleAtoi(parts[1], &order.time_ms) || !absl::SimpleAtoi(parts[4], &order.quantity)) {
    return absl::DataLossError("the message is no order: number,time,user,product,quantity");
  }
  order.user = parts[2];
  order.product = parts[3];
  return order;
}

#endif  // HEADWAY_EXAMPLES_SHOP_ORDERS_H_
