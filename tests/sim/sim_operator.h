#ifndef HEADWAY_TESTS_SIM_SIM_OPERATOR_H_
#define HEADWAY_TESTS_SIM_SIM_OPERATOR_H_

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/step/operator_builder.h"
#include "tests/sim/ghost.h"
#include "tests/sim/plan.h"
#include "tests/sim/random.h"

namespace headway::sim {

// The state that the operators of one dataflow on one worker share.
struct OperatorContext {
  const Plan& plan;
  Ghost& ghost;
  Verdict& verdict;
  Random& random;
  int worker;
};

// An operator whose results depend only on its input. Chance decides everything else: when it reads
// which input, and when it sends, at once or later by a retained capability. Chance also decides
// how it moves, clones and drops its capabilities. It reports to the ghost, and checks its own
// frontiers.
template <class T>
class SimOperator {
 public:
  SimOperator(const OperatorContext& context, int index, OperatorBuilder<T>& builder,
              std::vector<NodeInput<Record, T>*> inputs,
              std::vector<NodeOutput<Record, T>*> outputs)
      : context_(context),
        plan_(context.plan.operators[index]),
        index_(index),
        graph_(builder.graph()),
        node_(builder.node()),
        inputs_(std::move(inputs)),
        outputs_(std::move(outputs)) {}

  // `first` has the initial capability of each output.
  void Start(std::vector<Capability<T>> first) {
    for (const Emission& emission : Spontaneous(context_.plan, index_, context_.worker)) {
      Capability<T>& held = first[emission.output];
      Held& entry = Hold(emission.output, emission.time == ReadTime(held.time()) && Coin()
                                              ? held.Clone()
                                              : held.Delayed(Make(emission.time)));
      entry.send_at = emission.time;
      entry.records.push_back(emission.record);
    }
    for (size_t output = 0; output < first.size(); ++output) {
      // The ghost has counted it since the start of the dataflow.
      held_.push_back({output, std::move(first[output]), context_.plan.FirstTime(), {}});
    }
  }

  void Run() {
    std::vector<size_t> order(inputs_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    for (size_t i = 1; i < order.size(); ++i) {
      std::swap(order[i], order[context_.random.Index(i + 1)]);
    }
    for (size_t input : order) {
      if (!context_.random.OneIn(8)) Read(input);
    }
    if (plan_.aggregates) SendCompleteAggregates();
    for (size_t i = 0; i < held_.size();) {
      Work(held_[i]);
      if (held_[i].capability.held()) {
        ++i;
      } else {
        held_.erase(held_.begin() + static_cast<ptrdiff_t>(i));
      }
    }
    if (held_.empty()) return;
    if (Coin()) {
      graph_.queue().Activate(node_);
    } else {
      graph_.queue().ActivateAt(node_, graph_.worker().NowNanos() + context_.random.Int(30));
    }
  }

 private:
  // A capability, and the records to send by it, at its own time or a later one.
  struct Held {
    size_t output;
    Capability<T> capability;
    SimTime send_at;
    std::vector<Record> records;
  };
  struct HeldAggregate {
    Aggregate aggregate;
    Capability<T> capability;
  };

  static SimTime ReadTime(const T& time) { return TimeOf<T>::Read(time); }
  static T Make(const SimTime& time) { return TimeOf<T>::Make(time); }
  bool Coin() { return context_.random.OneIn(2); }
  void Counted(size_t output, const SimTime& time) {
    context_.ghost.AddCapability(context_.worker, plan_.output_locations[output], time);
  }
  void Gone(size_t output, const SimTime& time) {
    context_.ghost.RemoveCapability(context_.worker, plan_.output_locations[output], time);
  }

  Held& Hold(size_t output, Capability<T> capability) {
    Counted(output, ReadTime(capability.time()));
    held_.push_back({output, std::move(capability), {}, {}});
    return held_.back();
  }

  template <class CapabilityType>
  void Give(size_t output, const CapabilityType& capability, const Record& record) {
    outputs_[output]->SessionAt(capability).Give(record);
    context_.ghost.Give(context_.worker, plan_.output_streams[output], ReadTime(capability.time()),
                        record);
  }

  void Read(size_t input) {
    inputs_[input]->ForEach([&](const CapabilityRef<T>& ref, Batch<Record>& batch) {
      const SimTime time = ReadTime(ref.time());
      if (!inputs_[input]->frontier().LessEqual(ref.time())) {
        context_.verdict.Fail(absl::StrFormat(
            "S1: operator %d on worker %d received a batch at %s, which the frontier of its input "
            "%d had passed",
            index_, context_.worker, time.Format(), input));
      }
      for (const Record& record : batch) {
        context_.ghost.Receive(context_.worker, index_, static_cast<int>(input), time, record);
        if (plan_.aggregates) {
          AddToAggregate(ref, time, record);
          continue;
        }
        for (const Emission& emission :
             Emissions(context_.plan, index_, static_cast<int>(input), time, record)) {
          Emit(ref, input, emission);
        }
      }
    });
  }

  // Sends the record now, or adds it to records that wait for the same time, or retains a
  // capability.
  void Emit(const CapabilityRef<T>& ref, size_t input, const Emission& emission) {
    const size_t output = emission.output;
    const SimTime first = ReadTime(ref.time()).Plus(*plan_.summaries[input][output]);
    const bool unchanged = first == ReadTime(ref.time());
    if (unchanged && emission.time == first && Coin()) {
      Give(output, ref, emission.record);
      return;
    }
    for (Held& held : held_) {
      if (held.output == output && held.send_at == emission.time && held.capability.held() &&
          !held.records.empty() && !context_.random.OneIn(4)) {
        held.records.push_back(emission.record);
        return;
      }
    }
    Held& held = Hold(output, unchanged && Coin()
                                  ? ref.Retain(output)
                                  : ref.Delayed(Make(Coin() ? first : emission.time), output));
    held.send_at = emission.time;
    held.records.push_back(emission.record);
  }

  void AddToAggregate(const CapabilityRef<T>& ref, const SimTime& time, const Record& record) {
    auto [found, is_new] = aggregates_.try_emplace(time);
    if (is_new) {
      found->second.capability = ref.Retain();
      Counted(0, time);
    }
    found->second.aggregate.Add(record);
  }

  void SendCompleteAggregates() {
    for (auto entry = aggregates_.begin(); entry != aggregates_.end();) {
      const SimTime time = entry->first;
      bool complete = true;
      for (NodeInput<Record, T>* input : inputs_)
        complete &= !input->frontier().LessEqual(Make(time));
      if (!complete) {
        ++entry;
        continue;
      }
      HeldAggregate& held = entry->second;
      if (auto result = held.aggregate.Result(context_.plan, index_, time)) {
        Give(0, held.capability, result->record);
      }
      Gone(0, time);
      entry = aggregates_.erase(entry);
    }
  }

  // One random action that the capability allows. Eventually drops a capability without records.
  void Work(Held& held) {
    const SimTime time = ReadTime(held.capability.time());
    switch (context_.random.Below(6)) {
      case 0:
        return;  // later
      case 1: {
        // A clone replaces the original.
        Capability<T> clone = held.capability.Clone();
        Counted(held.output, time);
        held.capability = std::move(clone);
        clone.Drop();
        Gone(held.output, time);
        return;
      }
      case 2: {
        SimTime later = time;
        for (int i = 0; i < kMaxDepth; ++i) {
          if (held.send_at.at[i] > later.at[i] && Coin()) later.at[i] = held.send_at.at[i];
        }
        Downgrade(held, later);
        return;
      }
      default:
        break;
    }
    if (!held.records.empty()) {
      if (Coin()) {
        Downgrade(held, held.send_at);
        GiveSome(held, held.capability);
      } else {
        Capability<T> later = held.capability.Delayed(Make(held.send_at));
        // Only the engine counts `later`. The ghost covers it by the original capability.
        GiveSome(held, later);
      }
    }
    if (held.records.empty() && Coin()) {
      const SimTime last = ReadTime(held.capability.time());
      held.capability.Drop();
      Gone(held.output, last);
    }
  }

  void GiveSome(Held& held, const Capability<T>& capability) {
    const size_t count =
        Coin() ? held.records.size() : 1 + context_.random.Index(held.records.size());
    for (size_t i = 0; i < count; ++i) {
      Give(held.output, capability, held.records.back());
      held.records.pop_back();
    }
  }

  void Downgrade(Held& held, const SimTime& later) {
    const SimTime time = ReadTime(held.capability.time());
    held.capability.Downgrade(Make(later));
    Counted(held.output, later);
    Gone(held.output, time);
  }

  OperatorContext context_;
  const OperatorPlan& plan_;
  const int index_;
  internal::Graph& graph_;
  internal::Node& node_;
  std::vector<NodeInput<Record, T>*> inputs_;
  std::vector<NodeOutput<Record, T>*> outputs_;
  std::vector<Held> held_;
  std::map<SimTime, HeldAggregate> aggregates_;
};

}  // namespace headway::sim

#endif  // HEADWAY_TESTS_SIM_SIM_OPERATOR_H_
