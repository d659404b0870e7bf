#include "tests/sim/plan.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"

namespace headway::sim {
namespace {

constexpr uint32_t kEpochs = 6;  // of the inputs

// Makes the elements of a plan one after another, each from existing streams.
class Planner {
 public:
  Planner(Random& random, int workers, uint32_t first_epoch, bool allow_cycles)
      : random_(random), allow_cycles_(allow_cycles) {
    plan_.workers = workers;
    plan_.first_epoch = first_epoch;
    plan_.last_epoch = first_epoch + kEpochs + 2;
    plan_.last_round = 2 + random.Below(3);
    plan_.max_hops = 4 + random.Below(6);
    plan_.scopes.push_back({-1, 1});
  }

  Plan Make() {
    const int inputs = 1 + random_.Int(3);
    for (int i = 0; i < inputs; ++i) AddInput();
    const int elements = 3 + random_.Int(13);
    for (int i = 0; i < elements; ++i) AddRandomElement();
    CloseLoops();
    const int sinks = 1 + random_.Int(2);
    for (int i = 0; i < sinks; ++i) AddOperator(RandomScope(), {}, 0);
    ChooseAggregates();
    return std::move(plan_);
  }

 private:
  struct OpenLoop {
    int scope;
    int stream;
    SimTime summary;
  };

  int AddLocation() {
    plan_.edges.emplace_back();
    return plan_.location_count() - 1;
  }
  void AddEdge(int from, int to, const SimTime& summary = {}, int cleared = -1) {
    plan_.edges[from].push_back({to, summary, cleared});
  }
  int AddStream(int scope, int location) {
    plan_.streams.push_back({scope, location, {}});
    return static_cast<int>(plan_.streams.size()) - 1;
  }
  void AddElement(Element element) {
    const int number = static_cast<int>(plan_.elements.size());
    for (size_t i = 0; i < element.in.size(); ++i) {
      plan_.streams[element.in[i]].uses.push_back({number, static_cast<int>(i)});
    }
    plan_.elements.push_back(std::move(element));
  }
  int LocationOf(int stream) const { return plan_.streams[stream].location; }

  // A scope that has a stream.
  int RandomScope() { return plan_.streams[random_.Index(plan_.streams.size())].scope; }
  // A stream of the scope; late ones are more likely, so that graphs become long.
  int RandomStream(int scope) {
    std::vector<int> streams;
    for (size_t i = 0; i < plan_.streams.size(); ++i) {
      if (plan_.streams[i].scope == scope) streams.push_back(static_cast<int>(i));
    }
    return streams[std::max(random_.Index(streams.size()), random_.Index(streams.size()))];
  }

  void AddInput() {
    const int stream = AddStream(0, AddLocation());
    AddElement({Kind::kInput, 0, {}, {stream}, static_cast<int>(plan_.input_streams.size()), {}});
    plan_.input_streams.push_back(stream);
    auto& steps = plan_.input_steps.emplace_back();
    for (int worker = 0; worker < plan_.workers; ++worker) steps.push_back(RandomInputSteps());
  }

  std::vector<InputStep> RandomInputSteps() {
    std::vector<InputStep> steps;
    uint32_t epoch = plan_.first_epoch;
    const uint32_t end = plan_.first_epoch + random_.Below(kEpochs);
    while (true) {
      const int sends = random_.Int(4);
      for (int i = 0; i < sends; ++i) {
        const int count = random_.OneIn(20) ? 60 : 1 + random_.Int(4);
        steps.push_back({InputStep::What::kSend, count, epoch});
        if (random_.OneIn(3)) steps.push_back({InputStep::What::kFlush, 0, epoch});
      }
      epoch += 1 + (random_.OneIn(4) ? random_.Below(3) : 0);
      if (epoch > end) break;
      steps.push_back({InputStep::What::kAdvance, 0, epoch});
    }
    steps.push_back({InputStep::What::kClose, 0, epoch});
    return steps;
  }

  void AddRandomElement() {
    const int scope = RandomScope();
    switch (random_.Below(15)) {
      case 0:
        return AddTransform(Kind::kMap, scope);
      case 1:
        return AddTransform(Kind::kFilter, scope);
      case 2:
        return AddTransform(Kind::kFlatMap, scope);
      case 3:
        return AddExchange(scope);
      case 4:
        return AddMerge(scope);
      case 5:
        return AddFeedback(scope);
      case 6:
      case 7:
        return OpenScope(scope);
      case 8:
        return AddEnter(scope);
      case 9:
        return AddLeave(scope);
      default:
        return AddOperator(scope, {}, random_.OneIn(4) ? 2 : 1);
    }
  }

  void AddTransform(Kind kind, int scope) {
    const int from = RandomStream(scope);
    AddElement({kind, scope, {from}, {AddStream(scope, LocationOf(from))}, 0, {}});
  }

  void AddExchange(int scope) {
    const int from = RandomStream(scope);
    const int input = AddLocation();
    const int output = AddLocation();
    AddEdge(LocationOf(from), input);
    AddEdge(input, output);
    AddElement({Kind::kExchange, scope, {from}, {AddStream(scope, output)}, 0, {}});
  }

  void AddMerge(int scope) {
    std::vector<int> from = {RandomStream(scope), RandomStream(scope)};
    const int location = AddLocation();
    for (int stream : from) AddEdge(LocationOf(stream), location);
    AddElement({Kind::kMerge, scope, std::move(from), {AddStream(scope, location)}, 0, {}});
  }

  void OpenScope(int parent) {
    if (plan_.scopes[parent].depth == kMaxDepth) return;
    const int scope = static_cast<int>(plan_.scopes.size());
    plan_.scopes.push_back({parent, plan_.scopes[parent].depth + 1});
    AddElement({Kind::kOpenScope, scope, {}, {}, 0, {}});
    AddEnter(scope);
    if (random_.OneIn(2)) AddFeedback(scope);
    AddOperator(scope, {}, 1);
    if (random_.OneIn(2)) AddLeave(scope);
  }

  void AddEnter(int scope) {
    const int parent = plan_.scopes[scope].parent;
    if (parent < 0) return;
    const int from = RandomStream(parent);
    const int location = AddLocation();
    AddEdge(LocationOf(from), location);
    AddElement({Kind::kEnter, scope, {from}, {AddStream(scope, location)}, 0, {}});
  }

  void AddLeave(int scope) {
    const int parent = plan_.scopes[scope].parent;
    if (parent < 0) return;
    const int from = RandomStream(scope);
    const int location = AddLocation();
    AddEdge(LocationOf(from), location, {}, plan_.scopes[parent].depth);
    AddElement({Kind::kLeave, parent, {from}, {AddStream(parent, location)}, 0, {}});
  }

  void AddFeedback(int scope) {
    if (!allow_cycles_) return;
    const int depth = plan_.scopes[scope].depth;
    SimTime summary;
    summary.at[random_.OneIn(5) ? 0 : depth - 1] = 1 + (random_.OneIn(5) ? 1 : 0);
    const int stream = AddStream(scope, AddLocation());
    AddElement({Kind::kFeedback, scope, {}, {stream}, static_cast<int>(loops_.size()), summary});
    loops_.push_back({scope, stream, summary});
    // The stream needs a consumer.
    AddOperator(scope, {stream, RandomStream(scope)}, 1);
  }

  // Closes each loop with the output of an operator, since a cycle of transforms alone would never
  // end. No path may lead through the outside of the loop's scope to that output. Such a cycle
  // would lose the rounds of the loop, and would not advance time.
  void CloseLoops() {
    for (size_t i = 0; i < loops_.size(); ++i) {
      const OpenLoop loop = loops_[i];
      const std::vector<bool> inside_or_outside = ReachableFrom({LocationOf(loop.stream)});
      std::vector<int> exits;
      for (const Element& element : plan_.elements) {
        if (element.kind == Kind::kLeave && plan_.streams[element.in[0]].scope == loop.scope &&
            inside_or_outside[LocationOf(element.in[0])]) {
          exits.push_back(LocationOf(element.out[0]));
        }
      }
      const std::vector<bool> outside = ReachableFrom(exits);
      std::vector<int> outputs;
      for (const Element& element : plan_.elements) {
        if (element.kind != Kind::kOperator || element.scope != loop.scope) continue;
        for (int stream : element.out) {
          if (!outside[LocationOf(stream)]) outputs.push_back(stream);
        }
      }
      if (outputs.empty()) {
        AddOperator(loop.scope, {loop.stream}, 1);
        outputs = plan_.elements.back().out;
      }
      const int from = outputs[random_.Index(outputs.size())];
      const int input = AddLocation();
      AddEdge(LocationOf(from), input);
      AddEdge(input, LocationOf(loop.stream), loop.summary);
      AddElement({Kind::kConnectLoop,
                  loop.scope,
                  {from},
                  {loop.stream},
                  static_cast<int>(i),
                  loop.summary});
    }
  }

  std::vector<bool> ReachableFrom(std::vector<int> locations) const {
    std::vector<bool> reachable(plan_.edges.size());
    while (!locations.empty()) {
      const int location = locations.back();
      locations.pop_back();
      if (reachable[location]) continue;
      reachable[location] = true;
      for (const EdgePlan& edge : plan_.edges[location]) locations.push_back(edge.to);
    }
    return reachable;
  }

  void AddOperator(int scope, std::vector<int> from, int output_count) {
    OperatorPlan op;
    op.depth = plan_.scopes[scope].depth;
    if (from.empty()) {
      const int inputs = random_.OneIn(3) ? 2 + random_.Int(2) : 1;
      for (int i = 0; i < inputs; ++i) from.push_back(RandomStream(scope));
    }
    for (int stream : from) {
      constexpr PactKind kPacts[] = {PactKind::kPipeline, PactKind::kPipeline, PactKind::kExchange,
                                     PactKind::kExchange, PactKind::kExchange, PactKind::kBroadcast,
                                     PactKind::kGather};
      op.pacts.push_back(kPacts[random_.Below(7)]);
      op.watches.push_back(!random_.OneIn(4));
      op.input_locations.push_back(AddLocation());
      AddEdge(LocationOf(stream), op.input_locations.back());
      op.summaries.emplace_back();
      for (int o = 0; o < output_count; ++o) op.summaries.back().push_back(RandomSummary(op.depth));
    }
    for (int o = 0; o < output_count; ++o) {
      op.output_locations.push_back(AddLocation());
      op.output_streams.push_back(AddStream(scope, op.output_locations.back()));
      for (size_t i = 0; i < from.size(); ++i) {
        if (!op.summaries[i][o].has_value()) continue;
        AddEdge(op.input_locations[i], op.output_locations[o], *op.summaries[i][o]);
      }
    }
    op.starts_with_capabilities = random_.OneIn(2);
    if (op.starts_with_capabilities && output_count > 0 && random_.OneIn(3)) {
      op.spontaneous_count = 1 + random_.Int(4);
    }
    AddElement({Kind::kOperator,
                scope,
                std::move(from),
                op.output_streams,
                static_cast<int>(plan_.operators.size()),
                {}});
    plan_.operators.push_back(std::move(op));
  }

  std::optional<SimTime> RandomSummary(int depth) {
    SimTime summary;
    switch (random_.Below(12)) {
      case 0:
        return std::nullopt;
      case 1:
        summary.at[random_.Int(depth)] = 1;
        break;
      default:
        break;
    }
    return summary;
  }

  // Ranks the operators, finds the cycles, and has some operators outside of them aggregate.
  void ChooseAggregates() {
    const size_t count = plan_.operators.size();
    std::vector<std::vector<bool>> reaches(count, std::vector<bool>(count));
    for (size_t from = 0; from < count; ++from) {
      const std::vector<bool> seen = ReachableFrom(plan_.operators[from].output_locations);
      for (size_t to = 0; to < count; ++to) {
        for (int input : plan_.operators[to].input_locations) {
          if (seen[input]) reaches[from][to] = true;
        }
      }
    }
    for (size_t via = 0; via < count; ++via) {
      for (size_t from = 0; from < count; ++from) {
        for (size_t to = 0; to < count; ++to) {
          if (reaches[from][via] && reaches[via][to]) reaches[from][to] = true;
        }
      }
    }
    for (size_t i = 0; i < count; ++i) {
      OperatorPlan& op = plan_.operators[i];
      for (size_t from = 0; from < count; ++from) op.rank += reaches[from][i] && !reaches[i][from];
      plan_.has_cycle |= reaches[i][i];
      op.aggregates = !reaches[i][i] && op.output_locations.size() == 1 && random_.OneIn(3);
      for (size_t input = 0; op.aggregates && input < op.summaries.size(); ++input) {
        op.aggregates = op.summaries[input][0] == SimTime{} && op.watches[input];
      }
    }
  }

  Random& random_;
  const bool allow_cycles_;
  Plan plan_;
  std::vector<OpenLoop> loops_;
};

// Returns true iff operators may send at this time. Without a last time loops would never end.
bool InBounds(const Plan& plan, const SimTime& time) {
  return time.at[0] <= plan.last_epoch && time.at[1] <= plan.last_round &&
         time.at[2] <= plan.last_round;
}

void AddEmission(const Plan& plan, Emission emission, std::vector<Emission>& emissions) {
  if (InBounds(plan, emission.time)) emissions.push_back(emission);
}

}  // namespace

Plan MakePlan(Random& random, int workers, uint32_t first_epoch, bool allow_cycles) {
  return Planner(random, workers, first_epoch, allow_cycles).Make();
}

std::vector<Emission> Emissions(const Plan& plan, int op, int input, const SimTime& time,
                                const Record& record) {
  std::vector<Emission> emissions;
  if (record.hops >= plan.max_hops) return emissions;
  const OperatorPlan& operator_plan = plan.operators[op];
  for (size_t output = 0; output < operator_plan.output_locations.size(); ++output) {
    const std::optional<SimTime>& summary = operator_plan.summaries[input][output];
    if (!summary.has_value()) continue;
    const uint64_t fate = Mix(record.id, static_cast<uint64_t>((op * 8 + input) * 8) + output);
    Record next{Mix(fate), static_cast<uint32_t>(fate >> 32), record.hops + 1};
    SimTime at = time.Plus(*summary);
    switch (fate % 16) {
      case 0:
      case 1:
        continue;
      case 2:
      case 3:
      case 4:
        at.at[operator_plan.depth - 1] += 1;
        break;
      case 5:
        at.at[0] += 1;
        break;
      case 6: {
        AddEmission(plan, {output, at, next}, emissions);
        next.id = Mix(next.id);
        break;
      }
      default:
        break;
    }
    AddEmission(plan, {output, at, next}, emissions);
  }
  return emissions;
}

std::vector<Emission> Spontaneous(const Plan& plan, int op, int worker) {
  std::vector<Emission> emissions;
  const OperatorPlan& operator_plan = plan.operators[op];
  for (int i = 0; i < operator_plan.spontaneous_count; ++i) {
    const uint64_t id = Mix(static_cast<uint64_t>(op * 8 + worker), static_cast<uint64_t>(i));
    SimTime at = plan.FirstTime();
    at.at[id % static_cast<uint64_t>(operator_plan.depth)] += static_cast<uint32_t>(id >> 8) % 3;
    const size_t output = (id >> 40) % operator_plan.output_locations.size();
    AddEmission(plan, {output, at, {Mix(id), static_cast<uint32_t>(id), 0}}, emissions);
  }
  return emissions;
}

std::string Describe(const Plan& plan) {
  constexpr const char* kKinds[] = {"input", "operator", "map",   "filter", "flat map", "exchange",
                                    "merge", "scope",    "enter", "leave",  "feedback", "connect"};
  constexpr const char* kPacts[] = {"pipeline", "exchange", "broadcast", "gather"};
  std::string text;
  for (const Element& element : plan.elements) {
    absl::StrAppendFormat(&text, "\n    scope %d: %s %d", element.scope,
                          kKinds[static_cast<int>(element.kind)], element.index);
    for (int stream : element.in) absl::StrAppendFormat(&text, " <%d", stream);
    for (int stream : element.out) {
      absl::StrAppendFormat(&text, " >%d@%d", stream, plan.streams[stream].location);
    }
    if (element.kind != Kind::kOperator) continue;
    const OperatorPlan& op = plan.operators[element.index];
    for (PactKind pact : op.pacts) {
      absl::StrAppendFormat(&text, " %s", kPacts[static_cast<int>(pact)]);
    }
    if (op.aggregates) text += " aggregates";
  }
  return text;
}

}  // namespace headway::sim
