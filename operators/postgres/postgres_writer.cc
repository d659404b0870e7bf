#include "operators/postgres/postgres_writer.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "engine/runtime/status_macros.h"
#include "engine/store/postgres.h"
#include "operators/io/text_value.h"
#include "operators/postgres/postgres_marks.h"

namespace headway::internal {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFirstWait{20};
constexpr std::chrono::milliseconds kLongestWait{1000};
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
      interrupt_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

absl::StatusOr<std::unique_ptr<PostgresWriter>> PostgresWriter::Open(
    PostgresTarget target, std::unique_ptr<PostgresMarks> marks, const ThreadActivator& activator) {
  std::unique_ptr<PostgresWriter> writer(
      new PostgresWriter(std::move(target), std::move(marks), activator));
  if (!writer->interrupt_.is_open()) {
    return absl::ResourceExhaustedError("out of file descriptors; raise the limit of the process");
  }
  HEADWAY_RETURN_IF_ERROR(
      writer->Retry([&] { return writer->connection_->Execute(writer->target_.check.c_str()); }));
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
  eventfd_write(interrupt_.get(), 1);
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

void PostgresWriter::Run() {
  std::unique_lock lock(mutex_);
  while (status_.ok()) {
    changed_.wait(lock, [&] { return ends_ || waiting_.has_value(); });
    if (ends_) return;
    PostgresBatch batch = *std::exchange(waiting_, std::nullopt);
    is_writing_ = true;
    changed_.notify_all();  // there is room
    lock.unlock();
    absl::Status status = Write(batch);
    lock.lock();
    status_ = std::move(status);
    spare_ = std::move(batch.lines);
    spare_.clear();
    is_writing_ = false;
    changed_.notify_all();
    activator_.Activate();
  }
}

absl::Status PostgresWriter::Retry(absl::FunctionRef<absl::Status()> f) {
  std::optional<steady_clock::time_point> end;
  std::chrono::milliseconds wait = kFirstWait;
  while (true) {
    absl::Status status = connection_ == nullptr ? Connect() : absl::OkStatus();
    if (status.ok()) status = f();
    if (status.ok()) return status;
    connection_.reset();
    const steady_clock::time_point now = steady_clock::now();
    if (!end.has_value()) end = now + absl::ToChronoNanoseconds(target_.timeout);
    if (!absl::IsUnavailable(status) || now >= *end) return status;
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, wait, [&] { return ends_; })) return status;
    wait = std::min(wait * 2, kLongestWait);
  }
}

absl::Status PostgresWriter::Connect() {
  auto connection =
      PostgresConnection::Connect(target_.connection, target_.description, target_.timeout);
  if (!connection.ok()) return connection.status();
  (*connection)->InterruptBy(interrupt_.get());
  HEADWAY_RETURN_IF_ERROR((*connection)->Execute(target_.begin.c_str()));
  if (marks_ != nullptr) HEADWAY_RETURN_IF_ERROR(marks_->Claim(**connection));
  connection_ = *std::move(connection);
  return absl::OkStatus();
}

absl::Status PostgresWriter::Write(const PostgresBatch& batch) {
  return Retry([&] { return TryOnce(batch); });
}

absl::Status PostgresWriter::TryOnce(const PostgresBatch& batch) {
  HEADWAY_RETURN_IF_ERROR(connection_->Execute("BEGIN"));
  if (batch.mark.has_value()) {
    // The row of the mark keeps others out, and a lost commit of an earlier attempt is over.
    const absl::StatusOr<bool> set = marks_->Set(*connection_, *batch.mark);
    if (!set.ok()) return set.status();
    if (!*set) return connection_->Execute("ROLLBACK");
  }
  HEADWAY_RETURN_IF_ERROR(CopyRows(batch));
  if (target_.upserts()) HEADWAY_RETURN_IF_ERROR(connection_->Execute(target_.insert.c_str()));
  return connection_->Execute("COMMIT");
}

absl::Status PostgresWriter::CopyRows(const PostgresBatch& batch) {
  bool has_lines = !batch.lines.empty();
  size_t item = 0;
  absl::Status status = connection_->Copy(target_.copy.c_str(), [&]() -> std::string_view {
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
