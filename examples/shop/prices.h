#ifndef HEADWAY_EXAMPLES_SHOP_PRICES_H_
#define HEADWAY_EXAMPLES_SHOP_PRICES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "examples/shop/orders.h"
#include "headway/headway.h"
#include "headway/operators/postgres/postgres_table.h"

struct Product {
  std::string category;
  int64_t cents = 0;
};
HEADWAY_COLUMNS(Product, category, cents);

// A step from orders to sales, with the table of products in the database. Each worker keeps the
// products that it has seen. A product that the table does not have ends the run.
inline auto AddPrices(std::string database) {
  return headway::EnrichCached<std::string>(
      "prices",
      [table = headway::PostgresTable<std::string, Product>(
           {.connection = std::move(database), .table = "products", .key = "product"})](
          const std::string& product) mutable -> absl::StatusOr<Product> {
        absl::StatusOr<std::optional<Product>> found = table(product);
        if (!found.ok()) return found.status();
        if (!found->has_value()) {
          return absl::NotFoundError(absl::StrCat("the table has no product '", product, "'"));
        }
        return **std::move(found);
      },
      [](auto& products, const Order& order) {
        const Product& product = products.Get(order.product);
        return Sale{.time_ms = order.time_ms,
                    .user = order.user,
                    .category = product.category,
                    .cents = order.quantity * product.cents};
      });
}

#endif  // HEADWAY_EXAMPLES_SHOP_PRICES_H_
