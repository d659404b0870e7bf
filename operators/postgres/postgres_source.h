#ifndef HEADWAY_OPERATORS_POSTGRES_POSTGRES_SOURCE_H_
#define HEADWAY_OPERATORS_POSTGRES_POSTGRES_SOURCE_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "engine/step/source.h"
#include "operators/postgres/postgres_pages.h"
#include "operators/postgres/postgres_row.h"
#include "operators/postgres/postgres_table.h"
#include "operators/postgres/postgres_target.h"

namespace headway {

// Reads the rows of a table of PostgreSQL once, as a Stream<std::pair<K, V>>, in the order of their
// keys; for example as the first versions of a TemporalJoin:
//
//   const auto rates = scope.Input("rates", PostgresSource<std::string, Rate>(
//                                               {.connection = "postgresql://app@db/shop",
//                                                .table = "rates", .key = "currency"}));
//
// K and V are those of PostgresTable; the key needs a unique index. Worker 0 reads pages of 10,000
// rows, on a thread of its own, each as it is at the time of its query. The position is the last
// key that was emitted: a run that resumes continues behind it, and so does a run with more input,
// as in a table whose keys grow. Rows whose key is NULL are not read.
//
// Errors are those of PostgresTable. Memory: two pages.
template <class K, class V>
class PostgresSource {
 public:
  using Record = std::pair<K, V>;
  static_assert(internal::IsPostgresValue<K>() && internal::IsPostgresRecord<V>(),
                "PostgresSource: the key must be one value, and the value a struct with "
                "HEADWAY_COLUMNS, or a pair or tuple of values (postgres_row.h)");

  class Reader {
   public:
    Reader(std::unique_ptr<internal::PostgresPages> pages, std::vector<std::string> columns,
           std::string position)
        : pages_(std::move(pages)), columns_(std::move(columns)), position_(std::move(position)) {}

    absl::StatusOr<SourceState> Poll(SourceOutput<Record>& out) {
      while (out.WantsMore()) {
        if (!page_.has_value() || row_ == page_->rows.row_count()) {
          if (page_.has_value() && page_->is_last) return SourceState::Done();
          auto next = pages_->Take();
          if (!next.ok()) return next.status();
          if (!next->has_value()) return SourceState::Idle(absl::Seconds(1));  // the thread wakes
          page_ = *std::move(next);
          row_ = 0;
          continue;
        }
        internal::ReadPostgresFields(page_->rows, row_, 0, columns_, fields_);
        Record record;
        absl::Status status = internal::ReadPostgresRow(fields_, record);
        if (!status.ok()) return status;
        position_.assign(1, kBehind).append(fields_[0].text.value());
        out.Emit(std::move(record));
        ++row_;
      }
      return SourceState::More();
    }
    std::string Snapshot() const { return position_; }

   private:
    std::unique_ptr<internal::PostgresPages> pages_;
    std::vector<std::string> columns_;  // with the key
    std::string position_;
    std::optional<internal::PostgresPage> page_;
    int row_ = 0;  // of the page
    std::vector<internal::PostgresField> fields_;
  };

  explicit PostgresSource(PostgresTableOptions options) : options_(std::move(options)) {}

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    return std::vector<std::string>{"rows"};
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext& context, const std::string&,
                                       const std::optional<std::string>& position) {
    auto names = internal::PostgresColumnNames<V>(options_.columns);
    if (!names.ok()) return names.status();
    std::vector<std::string> columns = *std::move(names);
    columns.insert(columns.begin(), options_.key);
    std::optional<std::string> after;
    if (position.has_value() && !position->empty()) after = position->substr(1);
    auto pages = std::make_unique<internal::PostgresPages>(
        internal::AddressOfTable(options_.connection, options_.table, options_.timeout),
        absl::StrCat("SELECT ", internal::QuotedNames(columns), " FROM ",
                     internal::QuotedTable(options_.table)),
        internal::QuotedName(options_.key), std::move(after), context.activator);
    return Reader(std::move(pages), std::move(columns), position.value_or(""));
  }

 private:
  // Begins a position behind a row; that before all rows is empty.
  static constexpr char kBehind = 'k';

  PostgresTableOptions options_;
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_POSTGRES_POSTGRES_SOURCE_H_
