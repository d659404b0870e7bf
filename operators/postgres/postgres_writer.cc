#include "operators/postgres/postgres_writer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "engine/runtime/status_macros.h"
#include "engine/store/postgres.h"
#include "operators/io/text_value.h"
#include "operators/postgres/postgres_marks.h"

namespace headway::internal {
namespace {

// Of a piece that is made of items.
constexpr size_t kPieceBytes = 64 * 1024;

// The row that an error of COPY names: "COPY counts, line 3, column n". 0: none.
size_t RowOfError(const absl::Status& status) {
  std::string_view message(status.message().data(), status.message().size());
  constexpr std::string_view kBefore = ", line ";
  const size_t copy = message.find("COPY ");
  const size_t begin = copy == std::string_view::npos ? copy : message.find(kBefore, copy);
  if (begin == std::string_view::npos) return 0;
  message.remove_prefix(begin + kBefore.size());
  uint64_t row = 0;
  const size_t digits = std::min(message.find_first_not_of("0123456789"), message.size());
  return absl::SimpleAtoi(absl::string_view(message.data(), digits), &row) ? row : 0;
}

std::string_view RowOf(const PostgresBatch& batch, size_t row) {
  if (row > batch.row_count) {
    row -= batch.row_count + 1;
    return row < batch.items.size() ? batch.items[row] : std::string_view();
  }
  std::string_view lines = batch.lines;
  while (--row > 0 && lines.find('\n') != std::string_view::npos) {
    lines.remove_prefix(lines.find('\n') + 1);
  }
  return lines.substr(0, lines.find('\n'));
}

}  // namespace

PostgresWriter::PostgresWriter(PostgresTarget target, std::unique_ptr<PostgresMarks> marks,
                               const ThreadActivator& activator)
    : target_(std::move(target)),
      marks_(std::move(marks)),
      activator_(activator),
      session_(target_.address, [this](PostgresConnection& connection) {
        if (!target_.begin.empty()) {
          HEADWAY_RETURN_IF_ERROR(connection.Execute(target_.begin.c_str()));
        }
        return marks_ == nullptr ? absl::OkStatus() : marks_->Claim(connection);
      }) {}

absl::StatusOr<std::unique_ptr<PostgresWriter>> PostgresWriter::Open(
    PostgresTarget target, std::unique_ptr<PostgresMarks> marks, const ThreadActivator& activator) {
  std::unique_ptr<PostgresWriter> writer(
      new PostgresWriter(std::move(target), std::move(marks), activator));
  HEADWAY_RETURN_IF_ERROR(writer->session_.Call(
      [&](PostgresConnection& connection) { return writer->CheckTarget(connection); }));
  writer->thread_ = std::thread([of_thread = writer.get()] { of_thread->Run(); });
  return writer;
}

PostgresWriter::~PostgresWriter() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  session_.Interrupt();
  thread_.join();
}

std::optional<uint64_t> PostgresWriter::last_mark() const { return marks_->last_mark(); }

bool PostgresWriter::HasRoom() {
  std::lock_guard lock(mutex_);
  return !waiting_.has_value() || !status_.ok();
}

absl::Status PostgresWriter::Add(PostgresBatch& batch) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !waiting_.has_value() || !status_.ok(); });
  if (!status_.ok()) return status_;
  waiting_ = std::exchange(batch, PostgresBatch{.lines = std::move(spare_)});
  spare_.clear();
  changed_.notify_all();
  return absl::OkStatus();
}

absl::StatusOr<bool> PostgresWriter::IsIdle() {
  std::lock_guard lock(mutex_);
  if (!status_.ok()) return status_;
  return !is_writing_ && !waiting_.has_value();
}

absl::Status PostgresWriter::CheckTarget(PostgresConnection& connection) const {
  if (!target_.check.empty()) return connection.Execute(target_.check.c_str());
  // A copy of no rows. A view is refused. Triggers of the statement are without effect.
  HEADWAY_RETURN_IF_ERROR(connection.Execute("BEGIN"));
  HEADWAY_RETURN_IF_ERROR(connection.Copy(target_.copy.c_str(), [] { return std::string_view(); }));
  return connection.Execute("ROLLBACK");
}

void PostgresWriter::Run() {
  std::unique_lock lock(mutex_);
  while (status_.ok()) {
    changed_.wait(lock, [&] { return ends_ || waiting_.has_value(); });
    if (ends_) return;
    PostgresBatch batch = *std::exchange(waiting_, std::nullopt);
    is_writing_ = true;
    changed_.notify_all();  // there is room
    lock.unlock();
    absl::Status status;
    try {
      status =
          session_.Call([&](PostgresConnection& connection) { return TryOnce(connection, batch); });
    } catch (const std::exception& error) {  // no memory
      status = absl::ResourceExhaustedError(
          absl::StrCat("rows cannot be written to the table: ", error.what()));
    }
    lock.lock();
    status_ = std::move(status);
    spare_ = std::move(batch.lines);
    spare_.clear();
    is_writing_ = false;
    changed_.notify_all();
    activator_.Activate();
  }
}

absl::Status PostgresWriter::TryOnce(PostgresConnection& connection, const PostgresBatch& batch) {
  HEADWAY_RETURN_IF_ERROR(connection.Execute("BEGIN"));
  if (batch.mark.has_value()) {
    // The row of the mark keeps others out, and a lost commit of an earlier attempt is over.
    const absl::StatusOr<bool> set = marks_->Set(connection, *batch.mark);
    if (!set.ok()) return set.status();
    if (!*set) {
      marks_->SetCommitted(*batch.mark);
      return connection.Execute("ROLLBACK");
    }
  }
  HEADWAY_RETURN_IF_ERROR(CopyRows(connection, batch));
  if (target_.upserts()) HEADWAY_RETURN_IF_ERROR(connection.Execute(target_.insert.c_str()));
  HEADWAY_RETURN_IF_ERROR(connection.Execute("COMMIT"));
  if (batch.mark.has_value()) marks_->SetCommitted(*batch.mark);
  return absl::OkStatus();
}

absl::Status PostgresWriter::CopyRows(PostgresConnection& connection, const PostgresBatch& batch) {
  bool has_lines = !batch.lines.empty();
  size_t item = 0;
  absl::Status status = connection.Copy(target_.copy.c_str(), [&]() -> std::string_view {
    if (std::exchange(has_lines, false)) return batch.lines;
    piece_.clear();
    for (; item < batch.items.size() && piece_.size() < kPieceBytes; ++item) {
      piece_.append(batch.items[item]);
      if (target_.upserts()) absl::StrAppend(&piece_, "\t", item);
      piece_.push_back('\n');
    }
    return piece_;
  });
  const size_t row = status.ok() || absl::IsUnavailable(status) ? 0 : RowOfError(status);
  if (row == 0) return status;
  return absl::Status(
      status.code(), absl::StrCat(status.message(), "; the row is ", ShownText(RowOf(batch, row))));
}

}  // namespace headway::internal
