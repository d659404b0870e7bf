#include "tests/sim/model.h"

#include <algorithm>
#include <map>
#include <utility>

namespace headway::sim {
namespace {

struct Delivery {
  int op;
  int input;
  int worker;
  SimTime time;
  Record record;
};

class Model {
 public:
  Model(const Plan& plan, uint64_t max_deliveries) : plan_(plan), left_(max_deliveries) {
    int max_rank = 0;
    for (const OperatorPlan& op : plan.operators) {
      max_rank = std::max(max_rank, op.rank);
      receipts_.emplace_back(op.pacts.size());
    }
    by_rank_.resize(static_cast<size_t>(max_rank) + 1);
  }

  std::optional<AllReceipts> Run() {
    SendInputs();
    for (size_t op = 0; op < plan_.operators.size(); ++op) {
      for (int worker = 0; worker < plan_.workers; ++worker) {
        Send(static_cast<int>(op), worker, Spontaneous(plan_, static_cast<int>(op), worker));
      }
    }
    // Outside its cycles, an operator's rank is greater than the ranks of all operators before it.
    // So at its turn it receives records only from itself and its cycles.
    for (size_t rank = 0; rank < by_rank_.size(); ++rank) {
      while (!by_rank_[rank].empty()) {
        const Delivery delivery = by_rank_[rank].back();
        by_rank_[rank].pop_back();
        Receive(delivery);
      }
      for (auto& [key, aggregate] : aggregates_) {
        const auto& [op, worker, time] = key;
        if (plan_.operators[op].rank != static_cast<int>(rank)) continue;
        if (auto result = aggregate.Result(plan_, op, time)) Send(op, worker, {*result});
      }
    }
    if (left_ == 0) return std::nullopt;
    return std::move(receipts_);
  }

 private:
  void SendInputs() {
    for (size_t input = 0; input < plan_.input_streams.size(); ++input) {
      for (int worker = 0; worker < plan_.workers; ++worker) {
        int number = 0;
        for (const InputStep& step : plan_.input_steps[input][worker]) {
          for (int i = 0; i < step.record_count; ++i) {
            Push(plan_.input_streams[input], worker, {{step.epoch}},
                 InputRecord(static_cast<int>(input), worker, number++));
          }
        }
      }
    }
  }

  void Push(int stream, int worker, const SimTime& time, const Record& record) {
    Route(plan_, stream, worker, time, record,
          [&](int op, int input, int to, const SimTime& at, const Record& r) {
            if (left_ == 0 || --left_ == 0) return;
            by_rank_[plan_.operators[op].rank].push_back({op, input, to, at, r});
          });
  }

  void Send(int op, int worker, const std::vector<Emission>& emissions) {
    for (const Emission& emission : emissions) {
      Push(plan_.operators[op].output_streams[emission.output], worker, emission.time,
           emission.record);
    }
  }

  void Receive(const Delivery& delivery) {
    receipts_[delivery.op][delivery.input].Add(delivery.worker, delivery.time, delivery.record);
    if (plan_.operators[delivery.op].aggregates) {
      aggregates_[{delivery.op, delivery.worker, delivery.time}].Add(delivery.record);
    } else {
      Send(delivery.op, delivery.worker,
           Emissions(plan_, delivery.op, delivery.input, delivery.time, delivery.record));
    }
  }

  const Plan& plan_;
  uint64_t left_;
  AllReceipts receipts_;
  std::vector<std::vector<Delivery>> by_rank_;
  std::map<std::tuple<int, int, SimTime>, Aggregate> aggregates_;
};

}  // namespace

std::optional<AllReceipts> RunModel(const Plan& plan, uint64_t max_deliveries) {
  return Model(plan, max_deliveries).Run();
}

}  // namespace headway::sim
