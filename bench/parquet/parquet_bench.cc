// headway-parquet DIRECTORY [ROWS] [PAIRS]: the sum of a column over the rows in which another one
// exceeds a bound, from files of Parquet, on one worker: with ParquetSource, with ParquetBatches,
// and with Arrow's own reader and kernels, in alternation. The first run writes the files, with
// ParquetSink. Seconds are CPU time of the process: both sides have one busy thread.

#include <arrow/compute/api.h>
#include <arrow/compute/initialize.h>
#include <arrow/io/file.h>
#include <arrow/record_batch.h>
#include <parquet/arrow/reader.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "headway.h"
#include "operators/parquet/parquet_batches.h"
#include "operators/parquet/parquet_sink.h"
#include "operators/parquet/parquet_source.h"

namespace {

using headway::Scope;

constexpr double kBound = 250;

// The files have four columns, of which two are read.
struct Trade {
  int64_t time = 0;
  double price = 0;
  int64_t quantity = 0;
  std::string symbol;
};
HEADWAY_COLUMNS(Trade, time, price, quantity, symbol);

struct Sale {
  double price = 0;
  int64_t quantity = 0;
};
HEADWAY_COLUMNS(Sale, price, quantity);

Trade TradeAt(int64_t i) {
  uint64_t bits = static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15;
  bits ^= bits >> 29;
  return {.time = 1'700'000'000'000'000 + i * 37,
          .price = static_cast<double>(bits % 100'000) / 100,
          .quantity = static_cast<int64_t>(bits >> 40 & 1023),
          .symbol = absl::StrCat("S", bits >> 50 & 255)};
}

void ExitUnless(bool ok, const std::string& message) {
  if (ok) return;
  std::fprintf(stderr, "headway-parquet: %s\n", message.c_str());
  std::exit(1);
}

template <class T>
T ValueOf(arrow::Result<T> result) {
  ExitUnless(result.ok(), result.status().ToString());
  return *std::move(result);
}

void Run(const headway::Dataflow& flow, headway::RunOptions options = {}) {
  const absl::Status status = headway::RunMain(flow, std::move(options));
  ExitUnless(status.ok(), status.ToString());
}

void WriteFiles(const std::string& directory, int64_t rows) {
  std::filesystem::create_directories(directory);
  Run(headway::Dataflow("write",
                        [&](Scope<>& scope) {
                          scope.Input("numbers",
                                      headway::RangeSource(std::views::iota(int64_t{0}, rows))) |
                              headway::Map("trade", &TradeAt) |
                              headway::Output("out", headway::ParquetSink<Trade>(directory));
                        }),
      {.epoch_config = headway::RecordCountEpochConfig{1'000'000}});
}

int64_t SumOfRows(const std::string& directory) {
  int64_t sum = 0;
  Run(headway::Dataflow("rows", [&](Scope<>& scope) {
    scope.Input("sales", headway::ParquetSource<Sale>(directory)) |
        headway::Filter("dear", [](const Sale& sale) { return sale.price > kBound; }) |
        headway::Inspect("sum", [&sum](const Sale& sale) { sum += sale.quantity; });
  }));
  return sum;
}

int64_t SumOfBatch(const arrow::RecordBatch& batch) {
  namespace compute = arrow::compute;
  const arrow::Datum dear = ValueOf(
      compute::CallFunction("greater", {batch.GetColumnByName("price"), arrow::Datum(kBound)}));
  const arrow::Datum sold = ValueOf(compute::Filter(batch.GetColumnByName("quantity"), dear));
  const auto sum = ValueOf(compute::Sum(sold)).scalar_as<arrow::Int64Scalar>();
  return sum.is_valid ? sum.value : 0;
}

int64_t SumOfBatches(const std::string& directory) {
  int64_t sum = 0;
  Run(headway::Dataflow("batches", [&](Scope<>& scope) {
    scope.Input("sales", headway::ParquetBatches(directory, {"price", "quantity"})) |
        headway::Inspect("sum", [&sum](const auto& batch) { sum += SumOfBatch(*batch); });
  }));
  return sum;
}

int64_t SumOfArrow(const std::string& directory) {
  int64_t sum = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".parquet") continue;
    auto file = ValueOf(arrow::io::ReadableFile::Open(entry.path().string()));
    auto reader = ValueOf(parquet::arrow::OpenFile(file, arrow::default_memory_pool()));
    std::vector<int> groups(static_cast<size_t>(reader->num_row_groups()));
    std::iota(groups.begin(), groups.end(), 0);
    auto batches = ValueOf(reader->GetRecordBatchReader(groups, {1, 2}));
    std::shared_ptr<arrow::RecordBatch> batch;
    for (;;) {
      const arrow::Status status = batches->ReadNext(&batch);
      ExitUnless(status.ok(), status.ToString());
      if (batch == nullptr) break;
      sum += SumOfBatch(*batch);
    }
  }
  return sum;
}

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  ExitUnless(argc >= 2, "usage: headway-parquet DIRECTORY [ROWS] [PAIRS]");
  const std::string directory = argv[1];
  const int64_t rows = argc > 2 ? std::atoll(argv[2]) : 10'000'000;
  const int pairs = argc > 3 ? std::atoi(argv[3]) : 5;
  const arrow::Status ready = arrow::compute::Initialize();
  ExitUnless(ready.ok(), ready.ToString());
  const auto seconds = [](const std::function<void()>& f) {
    const std::clock_t begin = std::clock();
    f();
    return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  };
  if (!std::filesystem::exists(directory)) {
    const double written = seconds([&] { WriteFiles(directory, rows); });
    std::printf("ParquetSink: %.2f M rows a second\n", static_cast<double>(rows) / written / 1e6);
  }
  const int64_t expected = SumOfArrow(directory);  // the files are in the page cache from now on
  std::vector<double> of_rows;
  std::vector<double> of_batches;
  for (int i = 0; i < pairs; ++i) {
    int64_t sum = 0;
    const double arrow_s = seconds([&] { sum = SumOfArrow(directory); });
    ExitUnless(sum == expected, "the sums differ");
    const double rows_s = seconds([&] { sum = SumOfRows(directory); });
    ExitUnless(sum == expected, "the sums differ");
    const double batches_s = seconds([&] { sum = SumOfBatches(directory); });
    ExitUnless(sum == expected, "the sums differ");
    of_rows.push_back(arrow_s / rows_s);
    of_batches.push_back(arrow_s / batches_s);
    std::printf("Arrow %.3f s, ParquetSource %.3f s (%.2f of it), ParquetBatches %.3f s (%.2f)\n",
                arrow_s, rows_s, of_rows.back(), batches_s, of_batches.back());
  }
  std::printf("median: ParquetSource %.2f of Arrow, ParquetBatches %.2f of Arrow\n",
              Median(of_rows), Median(of_batches));
}
