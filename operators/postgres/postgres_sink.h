#ifndef HEADWAY_OPERATORS_POSTGRES_POSTGRES_SINK_H_
#define HEADWAY_OPERATORS_POSTGRES_POSTGRES_SINK_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "comm/codec/stable_hash.h"
#include "engine/runtime/status_macros.h"
#include "engine/step/sink.h"
#include "engine/step/transactional_sink.h"
#include "operators/postgres/postgres_marks.h"
#include "operators/postgres/postgres_outbox.h"
#include "operators/postgres/postgres_row.h"
#include "operators/postgres/postgres_target.h"
#include "operators/postgres/postgres_writer.h"

namespace headway {

namespace internal {

// Opens the writer of a table for records of type D.
template <class D>
absl::StatusOr<std::unique_ptr<PostgresWriter>> OpenPostgresWriter(
    const PostgresSinkOptions& options, std::unique_ptr<PostgresMarks> marks,
    const SinkContext& context) {
  static_assert(IsPostgresRecord<D>(),
                "PostgresSink: the record must be a struct with HEADWAY_COLUMNS, or a pair or "
                "tuple of columns (postgres_row.h)");
  const absl::StatusOr<std::vector<std::string>> columns = PostgresColumnNames<D>(options.columns);
  if (!columns.ok()) return columns.status();
  absl::StatusOr<PostgresTarget> target = PostgresTarget::Of(options, *columns);
  if (!target.ok()) return target.status();
  return PostgresWriter::Open(*std::move(target), std::move(marks), context.activator);
}

// InvalidArgument: the record has NULL in a column of the key. The key of no other row is equal to
// that, so it would not take the place of one.
template <class R>
absl::Status CheckPostgresKey(const R& record, const PostgresTarget& target) {
  if (!target.upserts()) return absl::OkStatus();
  const size_t column = FirstPostgresNull(record, target.is_key);
  return column == target.is_key.size() ? absl::OkStatus()
                                        : PostgresNullKeyError(target, target.columns[column]);
}

template <class D>
class PostgresSinkOf {
 public:
  class Writer {
   public:
    Writer(std::unique_ptr<PostgresWriter> writer, const PostgresSinkOptions& options)
        : writer_(std::move(writer)),
          batch_rows_(options.batch_rows),
          batch_bytes_(options.batch_bytes) {}

    // A D, or a pair or tuple with views of its strings.
    template <class R>
    absl::Status Write(const R& record) {
      HEADWAY_RETURN_IF_ERROR(CheckPostgresKey(record, writer_->target()));
      AppendCopyRow(batch_.lines, record);
      if (writer_->target().upserts()) {
        batch_.lines.push_back('\t');
        AppendNumber(batch_.lines, uint64_t{batch_.row_count});
      }
      batch_.lines.push_back('\n');
      ++batch_.row_count;
      if (batch_.row_count < batch_rows_ && batch_.lines.size() < batch_bytes_) {
        return absl::OkStatus();
      }
      return writer_->Add(batch_);
    }

    absl::StatusOr<FlushState> Flush() {
      if (batch_.row_count > 0 && writer_->HasRoom()) {
        absl::Status status = writer_->Add(batch_);
        if (!status.ok()) return status;
      }
      const absl::StatusOr<bool> is_idle = writer_->IsIdle();
      if (!is_idle.ok()) return is_idle.status();
      if (*is_idle && batch_.row_count == 0) return FlushState::Done();
      return FlushState::Pending(absl::Seconds(1));  // the thread wakes the step
    }

   private:
    std::unique_ptr<PostgresWriter> writer_;
    size_t batch_rows_;
    size_t batch_bytes_;
    PostgresBatch batch_;
  };

  explicit PostgresSinkOf(PostgresSinkOptions options) : options_(std::move(options)) {}

  absl::StatusOr<Writer> Open(const SinkContext& context) {
    auto writer = OpenPostgresWriter<D>(options_, nullptr, context);
    if (!writer.ok()) return writer.status();
    return Writer(*std::move(writer), options_);
  }

 private:
  PostgresSinkOptions options_;
};

// The columns of a record that its lane depends on: the key, or else the first column.
class PostgresLaneColumns {
 public:
  PostgresLaneColumns(const std::vector<std::string>& columns,
                      const std::vector<std::string>& key) {
    for (const std::string& column : columns) {
      is_key_.push_back(std::find(key.begin(), key.end(), column) != key.end());
    }
    if (key.empty() && !is_key_.empty()) is_key_[0] = true;
  }

  // Copies agree on all machines. Belongs to the worker's thread.
  template <class R>
  uint64_t HashOf(const R& record) const {
    text_.clear();
    size_t column = 0;
    ForEachPostgresValue(record, [&](const auto& value) {
      if (column < is_key_.size() && is_key_[column]) {
        AppendCopyValue(text_, value);
        text_.push_back('\t');
      }
      ++column;
    });
    return StableHash(text_);
  }

 private:
  std::vector<bool> is_key_;
  mutable std::string text_;
};

template <class D, bool kHasLanes>
class TransactionalPostgresSinkOf {
 public:
  class Lane {
   public:
    explicit Lane(std::unique_ptr<PostgresWriter> writer)
        : writer_(std::move(writer)), outbox_rows_(writer_->target()) {}

    template <class R>
    absl::Status Write(const R& record, Outbox& outbox) {
      HEADWAY_RETURN_IF_ERROR(CheckPostgresKey(record, writer_->target()));
      row_.clear();
      AppendCopyRow(row_, record);
      return outbox_rows_.Add(row_, outbox);
    }
    absl::StatusOr<std::optional<uint64_t>> LastMark() { return writer_->last_mark(); }
    absl::StatusOr<FlushState> Publish(const Transaction& transaction) {
      if (!is_given_) {
        const auto rows = outbox_rows_.RowsOf(transaction.items);
        if (!rows.ok()) return rows.status();
        PostgresBatch batch{.items = *rows, .mark = transaction.mark};
        absl::Status status = writer_->Add(batch);
        if (!status.ok()) return status;
        is_given_ = true;
      }
      const absl::StatusOr<bool> is_idle = writer_->IsIdle();
      if (!is_idle.ok()) return is_idle.status();
      if (!*is_idle) return FlushState::Pending(absl::Seconds(1));  // the thread wakes the step
      is_given_ = false;
      return FlushState::Done();
    }

   private:
    std::unique_ptr<PostgresWriter> writer_;
    PostgresOutboxRows outbox_rows_;
    std::string row_;
    bool is_given_ = false;  // the transaction
  };

  TransactionalPostgresSinkOf(PostgresSinkOptions options, int lanes)
      : options_(std::move(options)),
        lanes_(lanes),
        lane_columns_(PostgresColumnNames<D>(options_.columns).value_or(std::vector<std::string>()),
                      options_.key) {}

  template <class R>
    requires kHasLanes
  std::string LaneOf(const R& record) const {
    const uint64_t hash = lane_columns_.HashOf(record);
    return std::to_string(lanes_ > 0 ? hash % static_cast<uint64_t>(lanes_) : 0);
  }

  absl::StatusOr<Lane> OpenLane(const SinkContext& context, const std::string& lane) {
    if (lanes_ < 1) return absl::InvalidArgumentError("a sink needs a lane or more");
    std::unique_ptr<PostgresMarks> marks;
    if (!context.store_id.empty()) marks = std::make_unique<PostgresMarks>(context, lane);
    auto writer = OpenPostgresWriter<D>(options_, std::move(marks), context);
    if (!writer.ok()) return writer.status();
    return Lane(*std::move(writer));
  }

 private:
  PostgresSinkOptions options_;
  int lanes_;
  PostgresLaneColumns lane_columns_;
};

}  // namespace internal

// Writes each record as a row of a table of PostgreSQL:
//
//   counts | Output("out", PostgresSink<std::pair<std::string, int64_t>>(
//                              {.connection = "postgresql://headway@db/shop",
//                               .table = "counts",
//                               .columns = {"word", "count"},
//                               .key = {"word"}}));
//
// postgres_row.h lists the types. Each worker has a connection, and a thread that writes batches by
// COPY, one transaction each. An epoch is complete when its rows are committed. So each record is
// written at least once: the rows of a lost commit, and of epochs that a resumed run repeats, come
// again. With a key that changes nothing, provided that the repeated records are the same.
//
// With a key, the last row of each key in a batch is written, by INSERT ... ON CONFLICT. The rows
// of a key must come from one worker, as those behind a step with state under that key do. A lost
// process that comes to life again may overwrite newer rows: TransactionalPostgresSink fences it.
//
// A server that is away is connected to again, for `timeout`; the worker waits when two batches
// wait. Then the run ends with Unavailable. NotFound: there is no such table. InvalidArgument: a
// column is missing, or does not take the value of a record, which the error shows, or the key of a
// record is NULL. FailedPrecondition: a row breaks a constraint. PermissionDenied: the server
// refuses the user.
template <class D>
auto PostgresSink(PostgresSinkOptions options) {
  return internal::PostgresSinkOf<D>(std::move(options));
}

// Writes each record as a row once, with a recovery store (transactional_sink.h): the rows of an
// epoch, and its mark in the table `headway_marks`, are committed in one transaction. The table is
// made in the first schema of the search path. A process of an earlier generation is fenced: its
// session is ended, and the row of the mark has the writer that may change it. Options and errors
// are those of PostgresSink; batch_rows and batch_bytes do not matter. InvalidArgument also: a text
// is not UTF-8, or has a NUL. FailedPrecondition also: the database has lost transactions, or the
// outbox has rows of other columns. A row that breaks a constraint stays in the outbox, and ends
// the next run too, until the table takes it (docs/steps-postgres.md).
//
// The only lane is that of worker 0. With `lanes`, so many workers write side by side, each the
// rows with its share of the keys (of the first column, without a key). Give later runs the same
// number of lanes: after a change an older row of a key may be written last.
//
// Without a recovery store there are no marks, and a commit whose answer is lost is repeated.
template <class D>
auto TransactionalPostgresSink(PostgresSinkOptions options) {
  return internal::TransactionalPostgresSinkOf<D, false>(std::move(options), 1);
}
template <class D>
auto TransactionalPostgresSink(PostgresSinkOptions options, int lanes) {
  return internal::TransactionalPostgresSinkOf<D, true>(std::move(options), lanes);
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_POSTGRES_POSTGRES_SINK_H_
