#ifndef HEADWAY_OPERATORS_POSTGRES_POSTGRES_TABLE_H_
#define HEADWAY_OPERATORS_POSTGRES_POSTGRES_TABLE_H_

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/step/define_step.h"
#include "engine/step/transform.h"
#include "operators/async_map.h"
#include "operators/flatten.h"
#include "operators/keyed_pairs.h"
#include "operators/postgres/postgres_row.h"
#include "operators/postgres/postgres_session.h"

namespace headway {

struct PostgresTableOptions {
  // A URI or another connection string of libpq: "postgresql://user@host/database".
  std::string connection = {};
  std::string table = {};  // "prices", or "shop.prices" with its schema
  std::string key = {};    // the column that is looked up, with an index
  // Of the value, in its order. Empty: the names of HEADWAY_COLUMNS.
  std::vector<std::string> columns = {};
  // How long a server that is away is waited for.
  absl::Duration timeout = absl::Seconds(10);
};

namespace internal {

// Queries rows of a table by their keys. Belongs to one thread.
class PostgresLookup {
 public:
  PostgresLookup(const PostgresTableOptions& options, std::vector<std::string> columns);

  // Calls f(index, fields) for the rows of keys[index]. `keys` are the texts of different values.
  // InvalidArgument: two rows have one key.
  absl::Status Find(std::span<const std::string> keys,
                    absl::FunctionRef<absl::Status(size_t, std::span<const PostgresField>)> f);

 private:
  absl::Status Query(PostgresConnection& connection, std::span<const std::string> keys,
                     absl::FunctionRef<absl::Status(size_t, std::span<const PostgresField>)> f);

  const std::vector<std::string> columns_;
  const std::string table_;  // for messages
  std::string sql_;
  PostgresSession session_;
};

}  // namespace internal

// A table of PostgreSQL whose rows are looked up: the values V under keys K. V is a struct with
// HEADWAY_COLUMNS, one value, or a pair or tuple of values; K is one value (postgres_row.h).
//
//   PostgresTable<std::string, Price> prices({.connection = "postgresql://app@db/shop",
//                                             .table = "prices", .key = "product"});
//   orders | PostgresJoin("prices", prices)            // many keys in one query
//   orders | EnrichCached<std::string>("prices", prices, mapper)
//
// Connects at the first query. A copy has a connection of its own, and belongs to one thread. A
// server that is away is connected to again, for `timeout`; then the error is Unavailable.
// NotFound: there is no such table. InvalidArgument: a column is missing, or has a value that V
// does not take, or two rows have one key.
template <class K, class V>
class PostgresTable {
 public:
  static_assert(internal::IsPostgresValue<K>() && internal::IsPostgresRecord<V>(),
                "PostgresTable: the key must be one value, and the value a struct with "
                "HEADWAY_COLUMNS, or a pair or tuple of values (postgres_row.h)");
  static_assert(!internal::OptionalLike<K>,
                "PostgresTable: the key must not be a std::optional, because NULL equals no key; "
                "take records without a key out before");

  explicit PostgresTable(PostgresTableOptions options) : options_(std::move(options)) {}
  PostgresTable(const PostgresTable& other) : options_(other.options_) {}
  PostgresTable(PostgresTable&&) noexcept = default;
  PostgresTable& operator=(const PostgresTable&) = delete;

  // The value of a key, or nothing. For EnrichCached, AsyncMap, or any other function.
  absl::StatusOr<std::optional<V>> operator()(const K& key) {
    auto values = FindAll(std::span(&key, 1));
    if (!values.ok()) return values.status();
    return std::move(values->front());
  }

  // The values of the keys, in their order, with one query. Keys may be equal.
  absl::StatusOr<std::vector<std::optional<V>>> FindAll(std::span<const K> keys) {
    if (lookup_ == nullptr) {
      auto columns = internal::PostgresColumnNames<V>(options_.columns);
      if (!columns.ok()) return columns.status();
      lookup_ = std::make_unique<internal::PostgresLookup>(options_, *std::move(columns));
    }
    std::map<std::string, size_t> numbers;
    std::vector<std::string> texts;
    std::vector<size_t> number_of_key;
    for (const K& key : keys) {
      std::string text;
      internal::AppendPostgresText(text, key);
      const auto [entry, is_new] = numbers.try_emplace(std::move(text), texts.size());
      if (is_new) texts.push_back(entry->first);
      number_of_key.push_back(entry->second);
    }
    std::vector<std::optional<V>> found(texts.size());
    absl::Status status =
        lookup_->Find(texts, [&](size_t number, std::span<const internal::PostgresField> fields) {
          return internal::ReadPostgresRow(fields, found[number].emplace());
        });
    if (!status.ok()) return status;
    std::vector<std::optional<V>> values;
    values.reserve(keys.size());
    for (const size_t number : number_of_key) values.push_back(found[number]);
    return values;
  }

 private:
  PostgresTableOptions options_;
  std::unique_ptr<internal::PostgresLookup> lookup_;  // after the first query
};

// Joins (key, value) pairs with the rows of a table of PostgreSQL:
//
//   orders | PostgresJoin("prices", PostgresTable<std::string, Price>({...}))
//
// A stream of (K, A) becomes a Stream<std::pair<K, std::tuple<A, std::optional<V>>>>. All keys of a
// batch are looked up with one query, on the threads of an AsyncMap: the worker does not wait, and
// results leave in the order of the records. `options` are those of AsyncMap, for batches in the
// place of records.
//
// The row is that of the time of the query. So a run that resumes may find other rows than before:
// use TemporalJoin with a stream of versions if results must not depend on that. The step exchanges
// nothing, keeps no state, and emits nothing at the end of the input. A query that fails ends the
// run with its error. A batch costs a query and a copy of its records.
template <class K, class V>
auto PostgresJoin(std::string step_id, PostgresTable<K, V> table,
                  AsyncMapOptions options = {.concurrency = 2, .max_pending = 8}) {
  return DefineStep(
      std::move(step_id), std::move(table), options,
      []<class D, class T>(const Stream<D, T>& stream, std::string_view step,
                           PostgresTable<K, V> of_worker, const AsyncMapOptions& of_step) {
        static_assert(KeyValueRecord<D>,
                      "PostgresJoin: the stream must have (key, value) pairs as records; make them "
                      "with KeyOn");
        using A = internal::ValueOfPair<D>;
        static_assert(
            std::is_same_v<internal::KeyOfPair<D>, K>,
            "PostgresJoin: the keys of the stream must have the type of the table's keys");
        using Pairs = std::vector<std::pair<K, A>>;
        using Rows = std::vector<std::pair<K, std::tuple<A, std::optional<V>>>>;
        const std::string id(step);
        const Stream<Pairs, T> batches = Transform<Pairs>(
            stream, id + "_batches", [](Batch<D>& batch, TransformOutput<Pairs, T>& out) {
              Pairs pairs;
              pairs.reserve(batch.size());
              for (size_t i = 0; i < batch.size(); ++i) {
                auto&& record = batch.Take(i);
                pairs.emplace_back(K(std::move(record.first)), A(std::move(record.second)));
              }
              out.Give(std::move(pairs));
            });
        auto look_up =
            [find = std::move(of_worker)](const Pairs& pairs) mutable -> absl::StatusOr<Rows> {
          std::vector<K> keys;
          keys.reserve(pairs.size());
          for (const auto& pair : pairs) keys.push_back(pair.first);
          auto values = find.FindAll(keys);
          if (!values.ok()) return values.status();
          Rows rows;
          rows.reserve(pairs.size());
          for (size_t i = 0; i < pairs.size(); ++i) {
            rows.emplace_back(pairs[i].first, std::tuple(pairs[i].second, std::move((*values)[i])));
          }
          return rows;
        };
        return batches | AsyncMap(id, std::move(look_up), of_step) | Flatten(id + "_rows");
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_POSTGRES_POSTGRES_TABLE_H_
