#ifndef HEADWAY_TESTS_SIM_PLAN_H_
#define HEADWAY_TESTS_SIM_PLAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "comm/codec/stable_hash.h"
#include "tests/sim/random.h"
#include "tests/sim/sim_time.h"

// A random dataflow as plain data. Every worker builds the same plan. The ghost state and the
// sequential model follow records through it, independently of the engine.

namespace headway::sim {

struct Record {
  uint64_t id;
  uint32_t key;   // routes exchanges
  uint32_t hops;  // the number of operators before it

  bool operator==(const Record&) const = default;
};

enum class Kind {
  kInput,
  kOperator,  // a SimOperator: any number of inputs and outputs
  kMap,       // transforms
  kFilter,
  kFlatMap,
  kExchange,  // the step of the library
  kMerge,
  kOpenScope,
  kEnter,
  kLeave,
  kFeedback,
  kConnectLoop,
};

enum class PactKind { kPipeline, kExchange, kBroadcast, kGather };

struct OperatorPlan {
  std::vector<PactKind> pacts;  // by input
  std::vector<bool> watches;    // by input: true iff its frontier activates the operator
  // [input][output]: the path summary; nullopt if no path leads from the input to the output.
  std::vector<std::vector<std::optional<SimTime>>> summaries;
  std::vector<int> input_locations;
  std::vector<int> output_locations;
  std::vector<int> output_streams;
  int depth = 1;
  bool starts_with_capabilities = false;
  // Sends one record for each complete time, instead of one for each record. Never in a cycle.
  bool aggregates = false;
  int spontaneous_count = 0;  // records that it sends without input, on each worker
  int rank = 0;  // greater than the rank of every operator before it outside its cycles
};

struct Element {
  Kind kind;
  int scope;             // kOpenScope: the new scope; kEnter, kLeave: the target scope
  std::vector<int> in;   // streams
  std::vector<int> out;  // streams
  int index = 0;         // of the operator, the input, or the loop
  SimTime summary;       // of the loop
};

struct ScopePlan {
  int parent;
  int depth;  // numbers in its times
};

struct StreamPlan {
  int scope;
  int location;
  struct Use {
    int element;
    int input;  // the index of the element's input
  };
  std::vector<Use> uses;
};

// A path summary between two locations.
struct EdgePlan {
  int to;
  SimTime summary;
  int cleared;  // the coordinate that an exit of a scope drops, or -1

  SimTime ResultsIn(const SimTime& time) const {
    SimTime result = time.Plus(summary);
    if (cleared >= 0) result.at[cleared] = 0;
    return result;
  }
};

struct InputStep {
  enum class What { kSend, kFlush, kAdvance, kClose } what;
  int record_count = 0;  // kSend
  uint32_t epoch = 0;    // kSend: the time of the records; kAdvance: the new epoch
};

struct Plan {
  int workers = 1;
  uint32_t first_epoch = 0;
  uint32_t last_epoch = 0;  // operators do not send later, nor in later rounds of a loop
  uint32_t last_round = 0;
  uint32_t max_hops = 0;
  bool has_cycle = false;
  std::vector<ScopePlan> scopes;
  std::vector<StreamPlan> streams;
  std::vector<Element> elements;
  std::vector<OperatorPlan> operators;
  std::vector<std::vector<EdgePlan>> edges;  // by location
  std::vector<int> input_streams;
  std::vector<std::vector<std::vector<InputStep>>> input_steps;  // [input][worker]

  SimTime FirstTime() const { return {{first_epoch}}; }
  int location_count() const { return static_cast<int>(edges.size()); }
};

// A random plan, without cycles unless `allow_cycles`.
Plan MakePlan(Random& random, int workers, uint32_t first_epoch, bool allow_cycles);

// The elements, one per line, with their input and output streams.
std::string Describe(const Plan& plan);

// ---- The records ----

inline Record MapRecord(Record record) {
  record.key = static_cast<uint32_t>(Mix(record.key));
  return record;
}
inline bool FilterRecord(const Record& record) { return record.key % 4 != 0; }
// Some records become many, so that they fill more than one batch.
inline std::vector<Record> FlatMapRecord(const Record& record) {
  const uint64_t fate = Mix(record.id, 17) % 64;
  const size_t count = fate == 0 ? 40 : fate % 3;
  std::vector<Record> records(count, record);
  for (size_t i = 0; i < count; ++i) records[i].id = Mix(record.id, i);
  return records;
}
inline int RouteRecord(const Record& record, int workers) {
  return RouteHash(StableHash(record.key), workers);
}

// The record number `number` that a worker sends into an input.
inline Record InputRecord(int input, int worker, int number) {
  const uint64_t id =
      Mix(static_cast<uint64_t>(input * 100 + worker), static_cast<uint64_t>(number));
  return {id, static_cast<uint32_t>(Mix(id)), 0};
}

struct Emission {
  size_t output;
  SimTime time;
  Record record;
};

// The records that an operator sends for a record: perhaps none, perhaps at later times.
std::vector<Emission> Emissions(const Plan& plan, int op, int input, const SimTime& time,
                                const Record& record);
// The records that it sends on a worker without input.
std::vector<Emission> Spontaneous(const Plan& plan, int op, int worker);

// The records of one time in an aggregating operator.
struct Aggregate {
  uint64_t id_sum = 0;
  uint32_t hops = 0;

  void Add(const Record& record) {
    id_sum += Mix(record.id);
    hops = std::max(hops, record.hops);
  }
  std::optional<Emission> Result(const Plan& plan, int op, const SimTime& time) const {
    if (hops >= plan.max_hops) return std::nullopt;
    const uint64_t id = Mix(id_sum, static_cast<uint64_t>(op));
    return Emission{0, time, {id, static_cast<uint32_t>(Mix(id)), hops + 1}};
  }
};

// Follows a record from a stream on a worker to the operators that will receive it. Calls
// deliver(int op, int input, int worker, const SimTime&, const Record&) for each delivery.
template <class Deliver>
void Route(const Plan& plan, int stream, int worker, const SimTime& time, const Record& record,
           Deliver&& deliver) {
  for (const StreamPlan::Use& use : plan.streams[stream].uses) {
    const Element& element = plan.elements[use.element];
    const int next = element.out.empty() ? -1 : element.out[0];
    switch (element.kind) {
      case Kind::kMap:
        Route(plan, next, worker, time, MapRecord(record), deliver);
        break;
      case Kind::kFilter:
        if (FilterRecord(record)) Route(plan, next, worker, time, record, deliver);
        break;
      case Kind::kFlatMap:
        for (const Record& r : FlatMapRecord(record)) Route(plan, next, worker, time, r, deliver);
        break;
      case Kind::kExchange:
        Route(plan, next, RouteRecord(record, plan.workers), time, record, deliver);
        break;
      case Kind::kMerge:
      case Kind::kEnter:
        Route(plan, next, worker, time, record, deliver);
        break;
      case Kind::kLeave: {
        SimTime outer = time;
        outer.at[plan.scopes[element.scope].depth] = 0;
        Route(plan, next, worker, outer, record, deliver);
        break;
      }
      case Kind::kConnectLoop:
        Route(plan, next, worker, time.Plus(element.summary), record, deliver);
        break;
      case Kind::kOperator:
        switch (plan.operators[element.index].pacts[use.input]) {
          case PactKind::kPipeline:
            deliver(element.index, use.input, worker, time, record);
            break;
          case PactKind::kExchange:
            deliver(element.index, use.input, RouteRecord(record, plan.workers), time, record);
            break;
          case PactKind::kBroadcast:
            for (int to = 0; to < plan.workers; ++to) {
              deliver(element.index, use.input, to, time, record);
            }
            break;
          case PactKind::kGather:
            deliver(element.index, use.input, 0, time, record);
            break;
        }
        break;
      case Kind::kInput:
      case Kind::kFeedback:
      case Kind::kOpenScope:
        break;  // use no stream
    }
  }
}

}  // namespace headway::sim

#endif  // HEADWAY_TESTS_SIM_PLAN_H_
