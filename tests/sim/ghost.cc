#include "tests/sim/ghost.h"

#include <utility>

#include "absl/strings/str_format.h"

namespace headway::sim {

Ghost::Ghost(const Plan& plan, Verdict& verdict)
    : plan_(plan),
      verdict_(verdict),
      cancelled_(static_cast<size_t>(plan.workers)),
      outstanding_(plan.edges.size()),
      possible_(plan.edges.size()) {
  for (int worker = 0; worker < plan.workers; ++worker) {
    for (int stream : plan.input_streams) {
      AddCapability(worker, plan.streams[stream].location, plan.FirstTime());
    }
    for (const OperatorPlan& op : plan.operators) {
      if (!op.starts_with_capabilities) continue;
      for (int location : op.output_locations) AddCapability(worker, location, plan.FirstTime());
    }
  }
  for (const OperatorPlan& op : plan.operators) receipts_.emplace_back(op.pacts.size());
}

void Ghost::Count(int location, const SimTime& time, int delta) {
  auto& counts = outstanding_[location];
  auto at = counts.try_emplace(time, 0).first;
  const int before = at->second;
  at->second += delta;
  if (at->second == 0) counts.erase(at);
  if (before == 0 || before + delta == 0) ++version_;
}

void Ghost::AddCapability(int worker, int location, const SimTime& time) {
  if (cancelled_[worker]) return;
  ++capability_count_;
  Count(location, time, +1);
}

void Ghost::RemoveCapability(int worker, int location, const SimTime& time) {
  if (cancelled_[worker]) return;
  --capability_count_;
  Count(location, time, -1);
}

void Ghost::Give(int worker, int stream, const SimTime& time, const Record& record) {
  if (cancelled_[worker]) return;
  Route(plan_, stream, worker, time, record,
        [&](int op, int input, int to, const SimTime& at, const Record& r) {
          ++in_flight_[{op, input, to, at, r}];
          Count(plan_.operators[op].input_locations[input], at, +1);
        });
}

void Ghost::Receive(int worker, int op, int input, const SimTime& time, const Record& record) {
  receipts_[op][input].Add(worker, time, record);
  auto found = in_flight_.find({op, input, worker, time, record});
  if (found == in_flight_.end()) {
    verdict_.Fail(absl::StrFormat(
        "O3: operator %d received a record on worker %d at input %d, time %s, that was not in "
        "flight to it: it was sent elsewhere, or received twice",
        op, worker, input, time.Format()));
    return;
  }
  if (--found->second == 0) in_flight_.erase(found);
  Count(plan_.operators[op].input_locations[input], time, -1);
}

const std::vector<SimFrontier>& Ghost::Possible() {
  if (possible_version_ == version_) return possible_;
  possible_version_ = version_;
  std::vector<std::pair<int, SimTime>> todo;
  for (size_t location = 0; location < possible_.size(); ++location) {
    possible_[location].clear();
    for (const auto& [time, count] : outstanding_[location]) {
      if (InsertMinimal(possible_[location], time)) {
        todo.emplace_back(static_cast<int>(location), time);
      }
    }
  }
  while (!todo.empty()) {
    const auto [location, time] = todo.back();
    todo.pop_back();
    for (const EdgePlan& edge : plan_.edges[location]) {
      const SimTime result = edge.ResultsIn(time);
      if (InsertMinimal(possible_[edge.to], result)) todo.emplace_back(edge.to, result);
    }
  }
  return possible_;
}

std::string Ghost::DescribeOutstanding() const {
  std::string text;
  for (const auto& [record, count] : in_flight_) {
    text += absl::StrFormat("\n  a record for input %d of operator %d on worker %d at %s",
                            record.input, record.op, record.worker, record.time.Format());
    if (text.size() > 1000) break;
  }
  for (size_t location = 0; location < outstanding_.size(); ++location) {
    for (const auto& [time, count] : outstanding_[location]) {
      if (text.size() > 2000) return text + " ...";
      text +=
          absl::StrFormat("\n  %d outstanding at location %d, %s", count, location, time.Format());
    }
  }
  return text;
}

}  // namespace headway::sim
