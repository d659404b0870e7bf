#include "tests/cluster/recovery/crash_flow.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "check.h"

namespace headway {
namespace {

namespace fs = std::filesystem;

constexpr int kSensors = 4;
constexpr int kWords = 3000;
constexpr int kCustomers = 500;
constexpr absl::Duration kDelay = absl::Milliseconds(40);

using Line = std::pair<int64_t, std::string>;  // of a customer

// A source without records that ends when a file exists.
class Gate {
 public:
  using Record = std::string;

  explicit Gate(fs::path file) : file_(std::move(file)) {}

  // While the reader is idle its epochs end by the clock, whatever ends those of other sources.
  EpochConfig epoch_config() const { return PeriodicEpochConfig{absl::Milliseconds(5)}; }

  class Reader {
   public:
    explicit Reader(fs::path file) : file_(std::move(file)) {}
    absl::StatusOr<SourceState> Poll(SourceOutput<std::string>&) {
      std::error_code error;
      if (fs::exists(file_, error)) return SourceState::Done();
      return SourceState::Idle(absl::Milliseconds(5));
    }
    std::string Snapshot() const { return ""; }

   private:
    fs::path file_;
  };

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    return std::vector<std::string>{"gate"};
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string&,
                                       const std::optional<std::string>&) {
    return Reader(file_);
  }

 private:
  fs::path file_;
};

int64_t NumberIn(std::string_view text) {
  int64_t number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  HEADWAY_CHECK(error == std::errc());
  return number;
}

// A line that begins with the number of a customer.
Line LineOfCustomer(std::string_view text) { return {NumberIn(text), std::string(text)}; }

// A line with the number of a sensor and a value.
std::pair<int64_t, int64_t> Reading(std::string_view text) {
  return {NumberIn(text), NumberIn(text.substr(text.find(' ') + 1))};
}

// The lines of both streams whose customers are equal: every pair once.
Stream<std::string> Join(std::string_view step_id, const Stream<Line>& customers,
                         const Stream<Line>& orders) {
  struct Sides {
    std::vector<std::string> customers;
    std::vector<std::string> orders;
  };
  OperatorBuilder<Epoch> builder(customers.scope(), step_id);
  auto& left = builder.AddInput(customers, pact::Exchange{FirstOfPair()});
  auto& right = builder.AddInput(orders, pact::Exchange{FirstOfPair()});
  auto& output = builder.AddOutput<std::string>();
  auto& sides = builder.AddState<int64_t, Sides>();
  auto& epochs = builder.OrderEpochs();
  builder.BuildWithoutCapabilities([&left, &right, &output, &sides, &epochs] {
    epochs.ForEach(left, [&](const CapabilityRef<>& time, Batch<Line>& batch) {
      auto session = output.SessionAt(time);
      for (const auto& [customer, line] : batch) {
        Sides& of_customer = sides.At(customer);
        for (const std::string& order : of_customer.orders) {
          session.Give(std::string(line) + " | " + order);
        }
        of_customer.customers.emplace_back(line);
      }
    });
    epochs.ForEach(right, [&](const CapabilityRef<>& time, Batch<Line>& batch) {
      auto session = output.SessionAt(time);
      for (const auto& [customer, line] : batch) {
        Sides& of_customer = sides.At(customer);
        for (const std::string& name : of_customer.customers) {
          session.Give(name + " | " + std::string(line));
        }
        of_customer.orders.emplace_back(line);
      }
    });
    epochs.CloseEnded();
  });
  return builder.StreamOf(output);
}

using Delayed = KeyedOperator<std::vector<std::string>, Line, Epoch, FirstOfPair>;

// Keeps the lines of a customer until a timer fires.
void Keep(Delayed::Step& step, Batch<Line>& batch) {
  step.AtEach(batch, [&](size_t i, std::vector<std::string>& kept) {
    kept.emplace_back(std::as_const(batch)[i].second);
  });
}

void Release(Delayed::Step& step, int64_t customer, const CapabilityRef<>& time,
             NodeOutput<std::string>& output) {
  std::vector<std::string>* const kept = step.states().Find(customer);
  if (kept == nullptr) return;
  auto session = output.SessionAt(time);
  for (std::string& line : *kept) session.Give(std::move(line));
  step.states().Erase(customer);
}

Stream<std::string> DelayByEpochs(std::string_view step_id, const Stream<Line>& orders) {
  Delayed delayed(orders, step_id, FirstOfPair());
  auto& output = delayed.AddOutput<std::string>();
  Delayed::Step& step = delayed.step();
  delayed.OnBatch([&step](const CapabilityRef<>& time, Batch<Line>& batch) {
    Keep(step, batch);
    for (const auto& [customer, line] : batch) {
      step.SetTimer(time, customer, time.time() + 1 + static_cast<Epoch>(customer % 3));
    }
  });
  delayed.OnEpochTimer([&step, &output](const CapabilityRef<>& time, int64_t customer, Epoch) {
    Release(step, customer, time, output);
  });
  return delayed.Build(output);
}

Stream<std::string> DelayByClock(std::string_view step_id, const Stream<Line>& orders) {
  Delayed delayed(orders, step_id, FirstOfPair());
  auto& output = delayed.AddOutput<std::string>();
  Delayed::Step& step = delayed.step();
  delayed.OnBatch([&step](const CapabilityRef<>&, Batch<Line>& batch) {
    Keep(step, batch);
    const absl::Time due = absl::Now() + kDelay;
    for (const auto& [customer, line] : batch) step.SetTimer(customer, due);
  });
  delayed.OnClockTimer([&step, &output](const CapabilityRef<>& time, int64_t customer, absl::Time) {
    Release(step, customer, time, output);
  });
  return delayed.Build(output);
}

std::string Contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

CrashInput::CrashInput(fs::path directory, int64_t text_bytes) : directory_(std::move(directory)) {
  std::mt19937_64 random(1);  // of the contents, which do not matter
  const auto below = [&random](int64_t end) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(end));
  };
  std::ofstream text(this->text(), std::ios::binary);
  while (text.tellp() < text_bytes) {
    for (int64_t words = below(12); words > 0; --words) text << "word" << below(kWords) << ' ';
    text << '\n';
    ++line_count_;
  }
  std::ofstream customers(this->customers(), std::ios::binary);
  for (int customer = 0; customer < kCustomers; ++customer) {
    customers << customer << " name" << below(1000) << '\n';
    ++line_count_;
  }
  std::ofstream orders(this->orders(), std::ios::binary);
  for (int64_t order = 0; orders.tellp() < text_bytes / 10; ++order) {
    orders << below(kCustomers) << " order" << order << '\n';
    ++line_count_;
  }
  for (const std::string& path : readings()) {
    std::ofstream file(path, std::ios::binary);
    const int64_t bytes = std::min<int64_t>(text_bytes / 40, 900'000);
    while (file.tellp() < bytes) {
      file << path.back() << ' ' << static_cast<int64_t>(file.tellp()) + below(bytes / 10) << '\n';
      ++line_count_;
    }
  }
}

std::vector<std::string> CrashInput::readings() const {
  std::vector<std::string> paths;
  for (int sensor = 0; sensor < kSensors; ++sensor) {
    paths.push_back(directory_ / absl::StrCat("sensor", sensor));
  }
  return paths;
}

Dataflow CrashFlow(const CrashInput& input, const fs::path& directory, const fs::path& gate,
                   std::atomic<int64_t>& lines) {
  return Dataflow("crash", [=, &lines](Scope<>& scope) {
    const auto count = [&lines](std::string_view) { ++lines; };
    const auto file = [&](const char* name) { return FileSink(directory / name); };
    scope.Input("gate", Gate(gate)) | Inspect("count_gate", count);
    scope.Input("text", FileLines(input.text())) | Inspect("count_lines", count) |
        FlatMap("words", [](std::string_view text) { return Words(text); }) |
        KeyOn("word", [](std::string_view word) { return word; }) |
        StatefulMap<int64_t>("occurrences",
                             [](std::optional<int64_t>& n, std::string_view) {
                               n = n.value_or(0) + 1;
                               return *n;
                             }) |
        Output("write_counts", file("counts"));
    scope.Input("readings", FileLines(input.readings())) | Inspect("count_readings", count) |
        Map("reading", Reading) |
        StatefulMap<int64_t>("maximum",
                             [](std::optional<int64_t>& maximum, int64_t value) {
                               maximum = std::max(maximum.value_or(0), value);
                               return *maximum;
                             }) |
        Output("write_maxima", DirectorySink(directory / "maxima", [](const auto& maximum) {
                 return absl::StrCat("sensor", maximum.first);
               }));
    const auto customers = scope.Input("customers", FileLines(input.customers())) |
                           Inspect("count_customers", count) | Map("customer", LineOfCustomer);
    const auto orders = scope.Input("orders", FileLines(input.orders())) |
                        Inspect("count_orders", count) | Map("order", LineOfCustomer);
    Join("join", customers, orders) | Output("write_joined", file("joined"));
    DelayByEpochs("delay_by_epochs", orders) | Output("write_by_epochs", file("by_epochs"));
    DelayByClock("delay_by_clock", orders) | Output("write_by_clock", file("by_clock"));
  });
}

int64_t OutputBytes(const fs::path& directory) {
  int64_t bytes = 0;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory, error)) {
    const auto size = entry.is_regular_file(error) ? entry.file_size(error) : 0;
    if (!error) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

std::map<std::string, std::vector<std::string>> OutputLines(const fs::path& directory) {
  std::map<std::string, std::vector<std::string>> output;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    std::vector<std::string> lines = absl::StrSplit(Contents(entry.path()), '\n');
    if (entry.path().parent_path() == directory) std::sort(lines.begin(), lines.end());
    output[fs::relative(entry.path(), directory)] = std::move(lines);
  }
  return output;
}

}  // namespace headway
