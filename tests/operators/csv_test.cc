// CsvFile reads tables as RFC 4180 has them, however the workers share them, and says where a row
// is bad.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "operators/io/csv_parser.h"
#include "tests/comm/test_seed.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"
#include "tests/operators/compress.h"
#include "tests/operators/resumed_runs.h"
#include "tests/temporary_directory.h"

namespace headway {

enum class Side { kBuy, kSell };

bool FromText(std::string_view text, Side& side) {
  side = text == "sell" ? Side::kSell : Side::kBuy;
  return text == "buy" || text == "sell";
}

struct Trade {
  std::string symbol;
  double price = 0;
  std::optional<int64_t> quantity;
  Side side = Side::kBuy;
  bool settled = false;

  auto operator<=>(const Trade&) const = default;
};
HEADWAY_COLUMNS(Trade, symbol, price, quantity, side, settled);

namespace {

using absl::StatusCode;
using Fields = std::vector<std::string>;

Fields FieldsOf(const CsvRow& row) {
  Fields fields;
  for (size_t i = 0; i < row.size(); ++i) fields.emplace_back(row[i].text());
  return fields;
}

auto FieldsFile(const InputPaths& paths, const CsvOptions& options = {}) {
  return CsvFile(paths, &FieldsOf, options);
}

template <class D, class Source>
absl::Status Read(const Source& source, std::vector<D>* records, Shape shape = {1, 2}) {
  Collected<D> collected;
  Dataflow flow("csv", [&](Scope<>& scope) {
    scope.Input("file", source) | CollectInto("collect", collected);
  });
  absl::Status status = RunInShape(flow, shape);
  *records = collected.Sorted();
  return status;
}

// The rows of a file with this text, sorted.
std::vector<Fields> Rows(const std::string& text, const CsvOptions& options = {}) {
  TemporaryDirectory dir;
  std::vector<Fields> rows;
  CheckOk(Read<Fields>(FieldsFile(dir.Write("file.csv", text), options), &rows));
  return rows;
}

absl::Status ErrorOf(const std::string& text, const CsvOptions& options = {}) {
  TemporaryDirectory dir;
  std::vector<Fields> rows;
  absl::Status status = Read<Fields>(FieldsFile(dir.Write("file.csv", text), options), &rows);
  CHECK(status.message().find("'" + (dir / "file.csv") + "'") != std::string_view::npos);
  return status;
}

std::string Quoted(const std::string& field, bool always) {
  if (!always && field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string quoted = "\"";
  for (char c : field) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

TEST_CASE("fields with and without quotes, with delimiters, line ends and doubled quotes in them") {
  using Table = std::vector<Fields>;
  CHECK(Rows("") == Table{});
  CHECK(Rows("a,b\n") == Table{});
  CHECK(Rows("a,b") == Table{});
  CHECK(Rows("a,b\n1,2") == Table{{"1", "2"}});
  CHECK(Rows("a,b\r\n1,2\r\n") == Table{{"1", "2"}});
  CHECK(Rows("a,b\n,\n") == Table{{"", ""}});
  CHECK(Rows("a\n\"\"\n") == Table{{""}});
  CHECK(Rows("a,b\n\"\",\"\"\"\"\n") == Table{{"", "\""}});
  CHECK(Rows("a,b\n\"1,5\",\"x\r\ny\n\nz\"\r\n") == Table{{"1,5", "x\r\ny\n\nz"}});
  CHECK(Rows("a,b\n\"say \"\"hi\"\"\",\"\"\"\"\"\"\n") == Table{{"say \"hi\"", "\"\""}});
  CHECK(Rows("a,b\n 1 , 2\n") == Table{{" 1 ", " 2"}});
  CHECK(Rows("a,b\n\"1\",\"2\"") == Table{{"1", "2"}});
  CHECK(Rows("a,b\ncaf\xe9,\xff\n") == Table{{"caf\xe9", "\xff"}});
}

TEST_CASE("empty lines and a byte order mark are no rows") {
  CHECK(Rows("\n\r\na,b\n\n1,2\n\r\n\n3,4\n\n") == std::vector<Fields>{{"1", "2"}, {"3", "4"}});
  CHECK(Rows("\xef\xbb\xbf\"a\",b\n1,2\n") == std::vector<Fields>{{"1", "2"}});
  CHECK(Rows("\xef\xbb\xbf", {}) == std::vector<Fields>{});
  CHECK(Rows("\xef\xbb", {.columns = {"a"}}) == std::vector<Fields>{{"\xef\xbb"}});
  CHECK(Rows("\xef\xbb\xbf"
             "1;2\n3;4",
             {.delimiter = ';', .columns = {"a", "b"}}) ==
        std::vector<Fields>{{"1", "2"}, {"3", "4"}});
}

TEST_CASE("fields are known by the names of their columns and by their indices") {
  TemporaryDirectory dir;
  const std::string path = dir.Write("file.csv", "id,name,note\n7,\"a, b\",\n");
  std::vector<std::string> texts;
  CheckOk(Read<std::string>(CsvFile(path,
                                    [](const CsvRow& row) {
                                      int id = 0;
                                      std::optional<double> note = 1;
                                      CheckOk(row["id"].Read(id));
                                      CheckOk(row["note"].Read(note));
                                      CHECK(id == 7);
                                      CHECK(!note.has_value());
                                      CHECK(row.columns() == Fields{"id", "name", "note"});
                                      CheckError(row["name"].Read(id), StatusCode::kInvalidArgument,
                                                 {"column 'name' has 'a, b', which is not an int"});
                                      return std::string(row[1].text());
                                    }),
                            &texts));
  CHECK(texts == std::vector<std::string>{"a, b"});
  for (const bool by_name : {true, false}) {
    CheckError(Read<std::string>(CsvFile(path,
                                         [by_name](const CsvRow& row) {
                                           return by_name ? row["nick"].text() : row[3].text();
                                         }),
                                 &texts),
               StatusCode::kAborted,
               {"step 'file'", by_name ? "no columns 'nick'" : "no column 3"});
  }
}

TEST_CASE("rows become structs by the names of their columns") {
  TemporaryDirectory dir;
  const std::string path = dir.Write("file.csv",
                                     "id,side,price,symbol,quantity,settled\n"
                                     "1,buy,1.5,\"A\"\"B\",7,true\n"
                                     "2,sell,-2e3,C,,0\n");
  std::vector<Trade> trades;
  CheckOk(Read<Trade>(CsvFile<Trade>(path), &trades));
  CHECK(trades == std::vector<Trade>{{"A\"B", 1.5, 7, Side::kBuy, true},
                                     {"C", -2000, std::nullopt, Side::kSell, false}});
}

TEST_CASE("a header without a column, or with one twice, is an error that lists the columns") {
  TemporaryDirectory dir;
  std::vector<Trade> trades;
  std::string path = dir.Write("file.csv", "symbol,price,side,settled\n1,2,buy,1\n");
  const CsvOptions skip{.bad_lines = BadLines::kSkip};
  CheckError(Read<Trade>(CsvFile<Trade>(path, skip), &trades), StatusCode::kInvalidArgument,
             {"step 'file'", "'" + path + "'", "no column 'quantity', only 'symbol', 'price'"});
  path = dir.Write("file.csv", "symbol,price,price,quantity,side,settled\n");
  CheckError(Read<Trade>(CsvFile<Trade>(path, skip), &trades), StatusCode::kInvalidArgument,
             {"'" + path + "'", "several columns 'price'"});
}

TEST_CASE("a bad row is an error with its file and line") {
  struct Bad {
    std::string text;
    std::string line;
    std::string error;
  };
  for (const Bad& bad : {
           Bad{"a,b\n1,2\n3\n", "line 3", "the row has 1 fields, but there are 2 columns"},
           Bad{"a,b\n1,2,\n", "line 2", "the row has 3 fields"},
           Bad{"a,b\n\"x\n\ny\",2\n\n1,2,3\n", "line 6", "the row has 3 fields"},
           Bad{"a,b\n1,2\n3,4\"5\n", "line 3", "a field without quotes has a quote in it"},
           Bad{"a,b\n\"1\"2,3\n", "line 2", "text behind the closing quote"},
           Bad{"a,b\n1,2\n3,\"4\n5,6\n", "line 3", "the quotes of its last field are not closed"},
           Bad{std::string("a,b\n1,\0\n", 8), "line 2", "NUL byte"},
           Bad{std::string("a,b\n1,\"x\0\"\n", 11), "line 2", "NUL byte"},
           Bad{"a,b\n1,2\r3,4\n", "line 2", "carriage return"},
           Bad{"a,b\n1,2\r", "line 2", "carriage return"},
           Bad{"a,b\n1,\"2\"\r", "line 2", "carriage return"},
           Bad{"a,\"b\n", "header", "not closed"},
       }) {
    CAPTURE(bad.text);
    CheckError(ErrorOf(bad.text), StatusCode::kInvalidArgument,
               {"step 'file'", bad.line, bad.error});
  }
  CheckError(ErrorOf("a,b\n1,2\n\"3,\n4\",5\n", {.newlines_in_fields = false}),
             StatusCode::kInvalidArgument, {"line 3", "not closed"});
}

TEST_CASE("values that do not fit their members are errors with the column and the text") {
  TemporaryDirectory dir;
  const std::string header = "symbol,price,quantity,side,settled\n";
  for (const auto& [row, error] : std::vector<std::pair<std::string, std::string>>{
           {"A,abc,1,buy,1", "column 'price' has 'abc', which is not a number"},
           {"A, 1,1,buy,1", "column 'price' has ' 1', which is not a number"},
           {"A,,1,buy,1", "column 'price' has '', which is not a number"},
           {"A,1,1.5,buy,1", "column 'quantity' has '1.5', which is not an integer"},
           {"A,1,99999999999999999999,buy,1", "column 'quantity' has '99999999999999999999'"},
           {"A,1,1,hold,1", "column 'side' has 'hold', which is not a value of its type"},
           {"A,1,1,buy,yes", "column 'settled' has 'yes', which is not true or false"},
       }) {
    const std::string path = dir.Write("file.csv", header + "B,1,1,buy,1\n" + row + "\n");
    std::vector<Trade> trades;
    CheckError(Read<Trade>(CsvFile<Trade>(path), &trades), StatusCode::kInvalidArgument,
               {"step 'file'", "'" + path + "', line 3: " + error});
  }
}

TEST_CASE("bad rows are skipped, or come out as records") {
  TemporaryDirectory dir;
  const std::string path = dir.Write("file.csv",
                                     "symbol,price,quantity,side,settled\n"
                                     "A,1,,buy,1\n"
                                     "B,x,,buy,1\n"
                                     "C,1\n"
                                     "D\"D,\"1,,buy,1\n"
                                     "E,2,,sell,0\n"
                                     "F,2,,sell,\"0\n");
  const std::vector<Trade> good = {{"A", 1, std::nullopt, Side::kBuy, true},
                                   {"E", 2, std::nullopt, Side::kSell, false}};
  std::vector<Trade> trades;
  CheckOk(Read<Trade>(CsvFile<Trade>(path, {.bad_lines = BadLines::kSkip}), &trades));
  CHECK(trades == good);

  Collected<Trade> collected;
  Collected<std::string> errors;
  Dataflow flow("csv", [&](Scope<>& scope) {
    auto [records, bad] =
        scope.Input("file", WithBadLines(CsvFile<Trade>(path))) | Split("bad lines");
    records | CollectInto("good", collected);
    bad | Inspect("bad", [&](const BadLine& line) {
      CHECK(line.file == path);
      errors.Add(std::to_string(line.line) + "|" + line.text + "|" + line.error.substr(0, 20));
    });
  });
  CheckOk(RunInShape(flow, {1, 3}));
  CHECK(collected.Sorted() == good);
  CHECK(errors.Sorted() == std::vector<std::string>{"3|B,x,,buy,1|column 'price' has '",
                                                    "4|C,1|the row has 2 fields",
                                                    "5|D\"D,\"1,,buy,1|a field without quot",
                                                    "7|F,2,,sell,\"0\n|the quotes of its la"});
}

TEST_CASE("a function that returns an error makes the row bad; one that throws ends the run") {
  TemporaryDirectory dir;
  const std::string path = dir.Write("file.csv", "a\n1\n2\n3\n");
  const auto odd = [](const CsvRow& row) -> absl::StatusOr<int> {
    int a = 0;
    HEADWAY_RETURN_IF_ERROR(row["a"].Read(a));
    if (a % 2 == 0) return absl::OutOfRangeError("it is even");
    return a;
  };
  std::vector<int> numbers;
  CheckError(Read<int>(CsvFile(path, odd), &numbers), StatusCode::kOutOfRange,
             {"step 'file'", "'" + path + "', line 3: it is even"});
  CheckOk(Read<int>(CsvFile(path, odd, {.bad_lines = BadLines::kSkip}), &numbers));
  CHECK(numbers == std::vector<int>{1, 3});
  CheckError(Read<int>(CsvFile(path, [](const CsvRow&) -> int { throw std::runtime_error("oh"); }),
                       &numbers),
             StatusCode::kAborted, {"step 'file'", "oh"});
}

TEST_CASE("a quote that is not closed is found after 64 MiB, with the line of its row") {
  TemporaryDirectory dir;
  const std::string path =
      dir.Write("file.csv", "a,b\n1,2\n3,\"" + std::string((64 << 20) + 10, 'x') + "\n");
  std::vector<Fields> rows;
  CheckError(Read<Fields>(FieldsFile(path, {.bad_lines = BadLines::kSkip}), &rows, {1, 1}),
             StatusCode::kInvalidArgument,
             {"'" + path + "', line 3", "longer than 64 MiB", "a quote is not closed"});
}

TEST_CASE("a directory or a missing file is an error that names it") {
  TemporaryDirectory dir;
  std::vector<Fields> rows;
  CheckError(Read<Fields>(FieldsFile(dir.path()), &rows), StatusCode::kInvalidArgument,
             {"step 'file'", "'" + dir.path() + "' is a directory; list the files in it instead"});
  CheckError(Read<Fields>(FieldsFile(dir / "missing.csv"), &rows), StatusCode::kNotFound,
             {"step 'file'", "'" + (dir / "missing.csv") + "'"});
  CheckOk(Read<Fields>(FieldsFile(std::vector<std::string>()), &rows));
  CHECK(rows.empty());
}

// Reads a named pipe into which a thread writes `text`, piece by piece.
absl::Status ReadPipe(const std::string& text, size_t piece, std::vector<Trade>* trades,
                      BadLines bad_lines = BadLines::kFail) {
  TemporaryDirectory dir;
  const std::string path = dir / "pipe";
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  std::thread writer([&] {
    std::ofstream pipe(path, std::ios::binary);
    for (size_t at = 0; at < text.size(); at += piece) pipe << text.substr(at, piece) << std::flush;
  });
  absl::Status status = Read<Trade>(CsvFile<Trade>(path, {.bad_lines = bad_lines}), trades);
  writer.join();
  return status;
}

TEST_CASE("the first row of a pipe is its header, in whatever pieces it arrives") {
  const std::string text =
      "\xef\xbb\xbfsymbol,price,quantity,side,settled\r\n\"a\n\"\"b\",1,,buy,1\r\n";
  for (size_t piece = 1; piece < 8; ++piece) {
    CAPTURE(piece);
    std::vector<Trade> trades;
    CheckOk(ReadPipe(text, piece, &trades));
    CHECK(trades == std::vector<Trade>{{"a\n\"b", 1, std::nullopt, Side::kBuy, true}});
    CheckOk(ReadPipe(text.substr(3), piece, &trades));
    CHECK(trades.size() == 1);
  }
  std::vector<Trade> trades;
  CheckError(ReadPipe("symbol,price\n", 100, &trades), StatusCode::kInvalidArgument,
             {"step 'file'", "no column 'quantity'"});
  CheckError(ReadPipe("sym\"bol,price\nA,1,,buy,1\n", 100, &trades, BadLines::kSkip),
             StatusCode::kInvalidArgument, {"step 'file'", "pipe': a field without quotes"});
  CHECK(trades.empty());
  CheckError(ReadPipe(Gzip(text), 100, &trades), StatusCode::kInvalidArgument,
             {"step 'file'", "is compressed (gzip)"});
}

// The fields of a row by looking at one byte after the other; nullopt: it is malformed.
std::optional<Fields> SlowFields(const std::string& row) {
  Fields fields(1);
  for (size_t i = 0; i < row.size();) {
    const bool has_quotes = row[i] == '"';
    if (has_quotes) {
      for (++i; i < row.size() && (row[i] != '"' || row.substr(i, 2) == "\"\""); ++i) {
        if (row[i] == '\0') return std::nullopt;
        fields.back() += row[i];
        if (row[i] == '"') ++i;
      }
      if (i++ == row.size()) return std::nullopt;
    } else {
      for (; i < row.size() && row[i] != ','; ++i) {
        if (std::string_view("\"\r\0", 3).find(row[i]) != std::string_view::npos)
          return std::nullopt;
        fields.back() += row[i];
      }
    }
    if (i == row.size()) break;
    if (row[i++] != ',') return std::nullopt;
    fields.emplace_back();
  }
  return fields;
}

TEST_CASE("the parser divides random rows as a slow one does, in whatever pieces they arrive") {
  const uint64_t seed = internal::TestSeed("random rows");
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  internal::CsvParser parser(',');
  int good = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (size_t size = random() % 60; size > 0; --size) {
      text += random() % 3 == 0 ? "\",\r\n\"\",\""[random() % 8] : "abcdefgh"[random() % 8];
      if (random() % 300 == 0) text.back() = '\0';
    }
    std::string padded = text + "\n" + std::string(64, '"');
    const char* end = nullptr;
    size_t searched = 0;
    while (end == nullptr && searched < padded.size() - 64) {
      const size_t size = std::min(searched + 1 + random() % 40, padded.size() - 64);
      end = parser.FindEnd(padded.data(), searched, size);
      searched = size;
    }
    const size_t row_size = end != nullptr ? static_cast<size_t>(end - padded.data()) : searched;
    std::string row = padded.substr(0, row_size);
    if (end != nullptr && row.ends_with('\r')) row.pop_back();
    CAPTURE(row);
    const bool is_good = parser.Finish(row) == nullptr;
    const std::optional<Fields> expected = SlowFields(row);
    REQUIRE(is_good == expected.has_value());
    if (!is_good) continue;
    ++good;
    Fields fields;
    std::string buffer;
    for (const internal::CsvSlice& field : parser.fields()) {
      fields.emplace_back(parser.TextOf(field, buffer));
    }
    REQUIRE(fields == *expected);
  }
  CHECK(good > 500);
}

// A table of random fields, with some that need quotes, and its text.
struct Table {
  std::vector<Fields> rows;
  std::string text;
};
Table RandomTable(std::mt19937_64& random, size_t row_count, bool with_newlines) {
  const std::vector<std::string> pieces = {",",  "\"", "x",      "1.5",
                                           "",   " ",  "\r\n\n", "a longer piece of text",
                                           "\n", "'",  "\"\"",   "caf\xc3\xa9"};
  Table table;
  table.text = "one,two,three\r\n";
  for (size_t row = 0; row < row_count; ++row) {
    Fields fields = {std::to_string(row), "", ""};
    for (size_t i = 1; i < 3; ++i) {
      for (size_t count = random() % 6; count > 0; --count) {
        const std::string& piece = pieces[random() % pieces.size()];
        if (with_newlines || piece.find('\n') == std::string::npos) fields[i] += piece;
      }
    }
    for (size_t i = 0; i < 3; ++i) {
      table.text += Quoted(fields[i], random() % 4 == 0) + (i < 2 ? "," : "");
    }
    table.text += random() % 3 == 0 ? "\r\n" : "\n";
    table.rows.push_back(std::move(fields));
  }
  std::sort(table.rows.begin(), table.rows.end());
  return table;
}

TEST_CASE("random tables are read the same in each shape of cluster, also compressed") {
  const uint64_t seed = internal::TestSeed("random tables");
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (const bool newlines : {true, false}) {
    CAPTURE(newlines);
    TemporaryDirectory dir;
    const Table large = RandomTable(random, newlines ? 2000 : 40'000, newlines);
    const Table small = RandomTable(random, 50, newlines);
    const InputPaths paths = {
        dir.Write("large.csv", large.text), dir.Write("small.csv", small.text),
        dir.Write("small.csv.gz", Gzip(small.text)), dir.Write("small.csv.zst", Zstd(small.text))};
    std::vector<Fields> expected = large.rows;
    for (int i = 0; i < 3; ++i) {
      expected.insert(expected.end(), small.rows.begin(), small.rows.end());
    }
    std::sort(expected.begin(), expected.end());
    for (Shape shape : kShapes) {
      if (!newlines && shape.total() != 3) continue;
      CAPTURE(shape.processes);
      CAPTURE(shape.workers);
      std::vector<Fields> rows;
      CheckOk(Read(FieldsFile(paths, {.newlines_in_fields = newlines}), &rows, shape));
      const bool equal = rows == expected;
      CHECK_MESSAGE(equal, rows.size() << " rows instead of " << expected.size());
    }
  }
}

TEST_CASE("runs that resume in the middle, with other numbers of workers, read each row once") {
  const uint64_t seed = internal::TestSeed("resumed tables");
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (const bool newlines : {true, false}) {
    CAPTURE(newlines);
    TemporaryDirectory dir;
    const Table table = RandomTable(random, 2000, newlines);
    const InputPaths paths = {dir.Write("a.csv", table.text), dir.Write("b.csv", Zstd(table.text))};
    auto source = FieldsFile(paths, {.newlines_in_fields = newlines});
    ResumedRuns<decltype(source), Fields> runs(source);
    std::vector<Fields> all;
    for (const auto& [workers, committed] :
         std::vector<std::pair<int, Epoch>>{{1, 3}, {3, 5}, {2, 1'000'000}, {2, 1'000'000}}) {
      std::vector<Fields> rows;
      CheckOk(runs.Run(workers, &rows, committed));
      all.insert(all.end(), rows.begin(), rows.end());
    }
    std::vector<Fields> expected = table.rows;
    expected.insert(expected.end(), table.rows.begin(), table.rows.end());
    std::sort(expected.begin(), expected.end());
    std::sort(all.begin(), all.end());
    const bool equal = all == expected;
    CHECK_MESSAGE(equal, all.size() << " rows instead of " << expected.size());
  }
}

TEST_CASE("a run that resumes reads the rows that were added, and names their lines") {
  TemporaryDirectory dir;
  dir.Write("file.csv", "a,b");
  auto source = FieldsFile((dir / "file.csv"));
  ResumedRuns<decltype(source), Fields> runs(source);
  std::vector<Fields> rows;
  CheckOk(runs.Run(1, &rows));
  CHECK(rows.empty());
  dir.Write("file.csv", "a,b\n1,2\n\"3\n\",4");
  CheckOk(runs.Run(2, &rows));
  CHECK(rows == std::vector<Fields>{{"1", "2"}, {"3\n", "4"}});
  dir.Write("file.csv", "a,b\n1,2\n\"3\n\",45\n6,7\n");
  CheckOk(runs.Run(2, &rows));
  CHECK(rows == std::vector<Fields>{{"3\n", "45"}, {"6", "7"}});
  dir.Write("file.csv", "a,b\n1,2\n\"3\n\",45\n6,7\n8\n");
  CheckError(runs.Run(2, &rows), StatusCode::kInvalidArgument, {"line 6: the row has 1 fields"});
}

TEST_CASE("a row that ended within quotes is read whole when the file has its rest") {
  TemporaryDirectory dir;
  std::string text = "a,b\n1,2\n3,\"x";
  dir.Write("file.csv", text);
  auto source = FieldsFile(dir / "file.csv", {.bad_lines = BadLines::kSkip});
  ResumedRuns<decltype(source), Fields> runs(source);
  std::vector<Fields> rows;
  CheckOk(runs.Run(1, &rows));
  CHECK(rows == std::vector<Fields>{{"1", "2"}});
  dir.Write("file.csv", text += "\n");
  CheckOk(runs.Run(2, &rows));
  CHECK(rows.empty());
  dir.Write("file.csv", text += "y\"\r\n4,5");
  CheckOk(runs.Run(2, &rows));
  CHECK(rows == std::vector<Fields>{{"3", "x\ny"}, {"4", "5"}});
  dir.Write("file.csv", text += "\r\n6,7\n");
  CheckOk(runs.Run(1, &rows));
  CHECK(rows == std::vector<Fields>{{"6", "7"}});
}

TEST_CASE("a delimiter that is a quote, a line end or NUL is an error") {
  TemporaryDirectory dir;
  const std::string path = dir.Write("file.csv", "a,b\n1,2\n");
  for (const char delimiter : {'"', '\n', '\r', '\0'}) {
    std::vector<Fields> rows;
    CheckError(Read<Fields>(FieldsFile(path, {.delimiter = delimiter}), &rows),
               StatusCode::kInvalidArgument, {"step 'file'", "CsvOptions::delimiter must not be"});
    Dataflow flow("copy", [&](Scope<>& scope) {
      scope.Input("in", CsvFile(path)) |
          Output("out", CsvSink(dir / "out", {.delimiter = delimiter}));
    });
    CheckError(RunMain(flow), StatusCode::kInvalidArgument,
               {"step 'out'", "CsvSinkOptions::delimiter must not be"});
  }
}

TEST_CASE("rows travel between processes with the names of their columns") {
  TemporaryDirectory dir;
  const InputPaths paths = {dir.Write("a.csv", "id,x\n1,\"a,\"\n2,b\n3,\n"),
                            dir.Write("b.csv", "y,id\nc,4\n\"\"\"\",5\n")};
  for (Shape shape : {Shape{1, 3}, Shape{2, 2}, Shape{4, 1}}) {
    Collected<std::string> rows;
    Dataflow flow("csv", [&](Scope<>& scope) {
      scope.Input("file", CsvFile(paths)) | Exchange("by id", [](const CsvRow& row) {
        return std::string(row["id"].text());
      }) | Map("text", [](const CsvRow& row) {
        CHECK(row.columns().size() == 2);
        return std::string(row["id"].text()) + ": " + ToString(row);
      }) | CollectInto("collect", rows);
    });
    CheckOk(RunInShape(flow, shape));
    CHECK(rows.Sorted() ==
          std::vector<std::string>{"1: 1,\"a,\"", "2: 2,b", "3: 3,", "4: c,4", "5: \"\"\"\",5"});
  }
}

}  // namespace
}  // namespace headway
