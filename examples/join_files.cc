// Joins two CSV files by their first column: `join_files CUSTOMERS ORDERS [-w WORKERS]`. The first
// has lines `id,name`, the second has lines `id,amount`. Every order is printed with the name of
// its customer as soon as both have been read. A customer without orders, and an order without
// customer, is printed when both files have been read, because its other half may come until then.
// The lines are not quoted; a larger program would read them with a CSV source.
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

// Divides "key,rest" at its first comma.
std::pair<std::string_view, std::string_view> FirstColumn(std::string_view line) {
  const size_t comma = line.find(',');
  if (comma == std::string_view::npos) return {line, ""};
  return {line.substr(0, comma), line.substr(comma + 1)};
}

int main(int argc, char** argv) {
  CommandLine line("join_files CUSTOMERS ORDERS\n\nJoins two CSV files by their first column.", {});
  if (absl::Status status = line.Parse(argc, argv); !status.ok()) return Finish(status);
  if (line.arguments().size() != 2) return Finish(line.UsageError("give two files"));
  Dataflow flow("join_files", [&](Scope<>& scope) {
    auto customers =
        scope.Input("customers", FileLines(line.arguments()[0])) | Map("customer", FirstColumn);
    auto orders = scope.Input("orders", FileLines(line.arguments()[1])) | Map("order", FirstColumn);
    customers | OuterJoin("join", orders) | Map("text", [](const auto& row) {
      const auto& [name, amount] = row.second;
      if (!name.has_value()) return absl::StrFormat("order of unknown %s", row.first);
      if (!amount.has_value()) return absl::StrFormat("%s ordered nothing", *name);
      return absl::StrFormat("%s ordered for %s", *name, *amount);
    }) | Output("out", StdOutSink());
  });
  return Finish(line.Run(flow));
}
