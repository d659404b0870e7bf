#include "tests/sim/simulation.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"

namespace headway::sim {
namespace {

// Limits that keep one seed at a few milliseconds.
constexpr uint64_t kMaxDeliveries = 2500;
constexpr uint64_t kMaxRandomActions = 1500;
// Far more rounds than any run needs.
constexpr int kMaxFairRounds = 20000;
constexpr int kMaxRestRounds = 3000;

}  // namespace

Simulation::Simulation(uint64_t seed) : random_(seed) {
  workers_count_ = 1 + random_.Int(4);
  first_epoch_ = random_.OneIn(4) ? 7 : 0;
  limited_ = random_.OneIn(4);
  respects_credit_ = random_.OneIn(3);
  bool allow_cycles = true;
  if (limited_) {
    constexpr int64_t kLimits[] = {1, 100 << 10, 1 << 20};
    max_bytes_in_flight_ = kLimits[random_.Below(3)];
    // A cycle must stay within the limit, so it needs a larger one.
    allow_cycles = random_.OneIn(3);
    if (allow_cycles) max_bytes_in_flight_ = 8 << 20;
  }
  if (random_.OneIn(3)) rings_ = {.mailbox_messages = 2, .progress_frames = 2};
  MakeDataflows(allow_cycles);

  RunOptions options;
  options.first_epoch = first_epoch_;
  options.max_bytes_in_flight = max_bytes_in_flight_;
  options.clock = &clock_;
  run_ = std::make_unique<internal::RunContext>(workers_count_, options);
  attempt_ = std::make_unique<internal::Attempt>(*run_, rings_);
  for (int worker = 0; worker < workers_count_; ++worker) {
    workers_.push_back(std::make_unique<Worker>(*attempt_, worker));
  }
  next_build_.resize(workers_.size());
}

void Simulation::MakeDataflows(bool allow_cycles) {
  const size_t count = 1 + random_.Index(3);
  dataflows_.resize(count);
  for (Dataflow& dataflow : dataflows_) {
    std::optional<AllReceipts> expected;
    while (!expected.has_value()) {
      dataflow.plan = MakePlan(random_, workers_count_, first_epoch_, allow_cycles);
      while (!(expected = RunModel(dataflow.plan, kMaxDeliveries / count)).has_value()) {
        if (dataflow.plan.max_hops-- == 0) break;
      }
    }
    dataflow.expected = *std::move(expected);
    dataflow.ghost = std::make_unique<Ghost>(dataflow.plan, verdict_);
    dataflow.locals.resize(static_cast<size_t>(workers_count_));
    for (Local& local : dataflow.locals) {
      local.next_step.resize(dataflow.plan.input_streams.size());
      local.sent_count.resize(dataflow.plan.input_streams.size());
    }
    has_cycle_ |= dataflow.plan.has_cycle;
  }
  if (random_.OneIn(3)) dataflows_[random_.Index(count)].to_be_cancelled = true;
}

std::string Simulation::Describe() const {
  std::string text = absl::StrFormat(
      "%d workers, first epoch %d, %d bytes in flight, rings of %d and %d, %s the credit;",
      workers_count_, first_epoch_, max_bytes_in_flight_, rings_.mailbox_messages,
      rings_.progress_frames, respects_credit_ ? "respects" : "ignores");
  for (const Dataflow& dataflow : dataflows_) {
    absl::StrAppendFormat(
        &text, "\n  a dataflow%s%s:%s", dataflow.plan.has_cycle ? " with a cycle" : "",
        dataflow.to_be_cancelled ? ", to be cancelled" : "", sim::Describe(dataflow.plan));
  }
  return text;
}

std::string Simulation::Run() {
  RandomPhase();
  FairPhase();
  if (!failed()) CheckResults();
  counts_.cycles = has_cycle_;
  for (const Dataflow& dataflow : dataflows_) {
    for (const auto& inputs : dataflow.ghost->receipts()) {
      for (const Receipts& receipts : inputs) counts_.records += receipts.count;
    }
  }
  return verdict_.what();
}

// ---- Actions ----

bool Simulation::BuildNext(int worker) {
  const size_t number = next_build_[worker];
  if (number == dataflows_.size()) return false;
  ++next_build_[worker];
  Dataflow& dataflow = dataflows_[number];
  const OperatorContext context{dataflow.plan, *dataflow.ghost, verdict_, random_, worker};
  HandleStatus(workers_[worker]->Build(absl::StrFormat("flow-%d", number), [&](Scope<>& scope) {
    BuildPlan(context, dataflow.locals[worker].installed, scope);
  }));
  return true;
}

bool Simulation::CancelOne(int worker) {
  for (size_t number = 0; number < next_build_[worker]; ++number) {
    Dataflow& dataflow = dataflows_[number];
    Local& local = dataflow.locals[worker];
    if (!dataflow.to_be_cancelled || local.cancelled || local.installed.gone) continue;
    local.cancelled = true;
    dataflow.ghost->Cancel(worker);
    HandleStatus(workers_[worker]->Cancel(absl::StrFormat("flow-%d", number)));
    if (!local.installed.gone) verdict_.Fail("a cancelled dataflow was not removed");
    return true;
  }
  return false;
}

bool Simulation::FeedInput(int worker) {
  if (next_build_[worker] == 0) return false;
  Dataflow& dataflow = dataflows_[random_.Index(next_build_[worker])];
  Local& local = dataflow.locals[worker];
  if (local.installed.gone) return false;
  const size_t input = random_.Index(local.next_step.size());
  const std::vector<InputStep>& steps = dataflow.plan.input_steps[input][worker];
  if (local.next_step[input] == steps.size()) return false;
  const InputStep& step = steps[local.next_step[input]];
  InputHandle<Record>& handle = local.installed.inputs[input];
  if (respects_credit_ && step.record_count > 0 && !handle.HasCredit()) return false;
  ++local.next_step[input];

  Ghost& ghost = *dataflow.ghost;
  const int stream = dataflow.plan.input_streams[input];
  const int location = dataflow.plan.streams[stream].location;
  const SimTime time{{static_cast<uint32_t>(handle.time())}};
  switch (step.what) {
    case InputStep::What::kSend:
      for (int i = 0; i < step.record_count; ++i) {
        const Record record =
            InputRecord(static_cast<int>(input), worker, local.sent_count[input]++);
        ghost.Give(worker, stream, time, record);
        handle.Send(record);
      }
      break;
    case InputStep::What::kFlush:
      handle.Flush();
      break;
    case InputStep::What::kAdvance:
      handle.AdvanceTo(step.epoch);
      ghost.AddCapability(worker, location, {{step.epoch}});
      ghost.RemoveCapability(worker, location, time);
      break;
    case InputStep::What::kClose:
      handle.Close();
      ghost.RemoveCapability(worker, location, time);
      break;
  }
  return true;
}

void Simulation::Step(int worker) {
  clock_.Advance(absl::Nanoseconds(1));
  HandleStatus(workers_[worker]->Step());
  for (const Dataflow& dataflow : dataflows_) {
    const Installed& installed = dataflow.locals[worker].installed;
    if (installed.built && !installed.gone && !installed.graph->credit().empty()) {
      ++counts_.waits_for_credit;
    }
  }
}

void Simulation::HandleStatus(const absl::Status& status) {
  if (status.ok()) return;
  if (limited_ && has_cycle_ && absl::IsResourceExhausted(status)) {
    counts_.exhausted = 1;
  } else {
    verdict_.Fail(absl::StrFormat("the run failed: %s", status.ToString()));
  }
}

// ---- Schedules ----

void Simulation::RandomPhase() {
  int starved = -1;
  uint64_t starved_until = 0;
  while (!failed() && counts_.actions < kMaxRandomActions && !ScriptsDone()) {
    if (counts_.actions >= starved_until) {
      const bool starve = workers_count_ > 1 && random_.OneIn(2);
      starved = starve ? random_.Int(workers_count_) : -1;
      starved_until = counts_.actions + 20 + random_.Below(limited_ ? 600 : 200);
    }
    const int worker = random_.Int(workers_count_);
    if (worker == starved) {
      // A starved worker still feeds its inputs.
      if (!random_.OneIn(8) || !FeedInput(worker)) continue;
    } else if (random_.OneIn(12)) {
      if (!BuildNext(worker)) continue;
    } else if (random_.OneIn(80)) {
      if (!CancelOne(worker)) continue;
    } else if (random_.OneIn(150)) {
      ComeToRest();
      starved_until = counts_.actions;
      continue;
    } else if (!random_.OneIn(3) || !FeedInput(worker)) {
      Step(worker);
    }
    ++counts_.actions;
    Check(worker);
  }
}

void Simulation::FairPhase() {
  for (int round = 0; round < kMaxFairRounds && !failed(); ++round) {
    if (ScriptsDone() && AllGone()) return;
    clock_.Advance(absl::Nanoseconds(10));
    for (int worker = 0; worker < workers_count_ && !failed(); ++worker) {
      if (!BuildNext(worker) && random_.OneIn(4)) CancelOne(worker);
      FeedInput(worker);
      Step(worker);
      ++counts_.actions;
      Check(worker);
    }
  }
  if (failed()) return;
  std::string outstanding;
  for (const Dataflow& dataflow : dataflows_) {
    outstanding += dataflow.ghost->DescribeOutstanding();
  }
  verdict_.Fail("O2: the run does not end; outstanding:" + outstanding);
}

void Simulation::ComeToRest() {
  int idle_rounds = 0;
  for (int round = 0; idle_rounds < 2 && !failed(); ++round) {
    clock_.Advance(absl::Nanoseconds(100));
    bool did_work = false;
    for (int worker = 0; worker < workers_count_ && !failed(); ++worker) {
      Step(worker);
      did_work |= workers_[worker]->did_work();
      ++counts_.actions;
      Check(worker);
    }
    idle_rounds = did_work ? 0 : idle_rounds + 1;
    if (round == kMaxRestRounds) verdict_.Fail("O2: the workers never come to rest");
  }
  if (!failed()) CheckExact();
  ++counts_.rests;
}

bool Simulation::ScriptsDone() const {
  for (const Dataflow& dataflow : dataflows_) {
    for (int worker = 0; worker < workers_count_; ++worker) {
      const Local& local = dataflow.locals[worker];
      if (local.installed.gone) continue;
      if (!local.installed.built || dataflow.to_be_cancelled) return false;
      for (size_t input = 0; input < local.next_step.size(); ++input) {
        if (local.next_step[input] < dataflow.plan.input_steps[input][worker].size()) return false;
      }
    }
  }
  return true;
}

bool Simulation::AllGone() const {
  return std::none_of(workers_.begin(), workers_.end(),
                      [](const auto& worker) { return worker->HasDataflows(); });
}

// ---- Checks ----

void Simulation::Check(int stepped_worker) {
  for (size_t number = 0; number < dataflows_.size() && !failed(); ++number) {
    Dataflow& dataflow = dataflows_[number];
    const bool changed = dataflow.checked_version != dataflow.ghost->version();
    dataflow.checked_version = dataflow.ghost->version();
    for (int worker = 0; worker < workers_count_; ++worker) {
      const Local& local = dataflow.locals[worker];
      if (local.cancelled || !local.installed.built) continue;
      if (local.installed.gone) {
        CheckGone(dataflow, number, worker);
      } else if (changed || worker == stepped_worker) {
        CheckWorker(dataflow, number, worker, worker == stepped_worker);
      }
    }
  }
}

void Simulation::CheckWorker(Dataflow& dataflow, size_t number, int worker, bool stepped) {
  const std::vector<SimFrontier>& possible = dataflow.ghost->Possible();
  for (const std::unique_ptr<Place>& place : dataflow.locals[worker].installed.places) {
    if (stepped) {
      place->Read(scratch_);
      for (const SimTime& time : scratch_) {
        if (place->was_read && !LessEqual(place->last, time)) {
          verdict_.Fail(absl::StrFormat(
              "S2: in dataflow %d the frontier of worker %d at location %d moved back from %s to "
              "%s",
              number, worker, place->location(), Format(place->last), Format(scratch_)));
        }
      }
      counts_.frontier_changes += place->last != scratch_;
      place->last.swap(scratch_);
      place->was_read = true;
    }
    for (const SimTime& time : possible[place->location()]) {
      const bool may_come = LessEqual(place->last, time);
      if (!may_come) {
        verdict_.Fail(absl::StrFormat(
            "S1: in dataflow %d the frontier of worker %d at location %d is %s, but %s may still "
            "appear there; outstanding:%s",
            number, worker, place->location(), Format(place->last), time.Format(),
            dataflow.ghost->DescribeOutstanding()));
      } else if (stepped && !place->ProbeAgrees(time, may_come)) {
        verdict_.Fail(absl::StrFormat("a probe on worker %d contradicts its frontier", worker));
      }
    }
  }
}

void Simulation::CheckGone(Dataflow& dataflow, size_t number, int worker) {
  Local& local = dataflow.locals[worker];
  if (std::exchange(local.checked_gone, true)) return;
  if (!dataflow.ghost->empty()) {
    verdict_.Fail(
        absl::StrFormat("S1: dataflow %d is complete on worker %d, but these are outstanding:%s",
                        number, worker, dataflow.ghost->DescribeOutstanding()));
  }
  for (const std::unique_ptr<Place>& place : local.installed.places) {
    if (!place->ProbeIsDone()) {
      verdict_.Fail("the dataflow has ended, but one of its probes is not done");
    }
  }
}

void Simulation::CheckExact() {
  // A worker without credit holds back times that the ghost sees downstream.
  if (limited_) return;
  for (size_t number = 0; number < dataflows_.size(); ++number) {
    Dataflow& dataflow = dataflows_[number];
    const bool cancelled = std::any_of(dataflow.locals.begin(), dataflow.locals.end(),
                                       [](const Local& local) { return local.cancelled; });
    if (cancelled) continue;
    const std::vector<SimFrontier>& possible = dataflow.ghost->Possible();
    for (int worker = 0; worker < workers_count_; ++worker) {
      Local& local = dataflow.locals[worker];
      if (!local.installed.built || local.installed.gone) continue;
      if (dataflow.ghost->empty()) {
        verdict_.Fail(absl::StrFormat(
            "O2: dataflow %d is complete, but worker %d has not removed it", number, worker));
      }
      for (const std::unique_ptr<Place>& place : local.installed.places) {
        SimFrontier expected = possible[place->location()];
        place->Read(scratch_);
        std::sort(expected.begin(), expected.end());
        std::sort(scratch_.begin(), scratch_.end());
        if (expected == scratch_) continue;
        verdict_.Fail(absl::StrFormat(
            "O1: at rest, in dataflow %d, the frontier of worker %d at location %d is %s instead "
            "of %s",
            number, worker, place->location(), Format(scratch_), Format(expected)));
      }
    }
  }
}

void Simulation::CheckResults() {
  for (size_t number = 0; number < dataflows_.size(); ++number) {
    const Dataflow& dataflow = dataflows_[number];
    if (dataflow.to_be_cancelled) continue;
    if (!dataflow.ghost->empty()) {
      verdict_.Fail("O3: the run has ended, but these are outstanding:" +
                    dataflow.ghost->DescribeOutstanding());
    }
    if (dataflow.ghost->receipts() != dataflow.expected) {
      verdict_.Fail(absl::StrFormat(
          "O3: the operators of dataflow %d received different records than in the model", number));
    }
  }
  // Late batches for ended dataflows are dropped, and do not count as in flight any more.
  for (int idle_rounds = 0; idle_rounds < 2 && !failed();) {
    bool did_work = false;
    for (int worker = 0; worker < workers_count_; ++worker) {
      Step(worker);
      did_work |= workers_[worker]->did_work();
    }
    idle_rounds = did_work ? 0 : idle_rounds + 1;
  }
  const int64_t in_flight = attempt_->flow_control().InFlight();
  if (in_flight != 0) {
    verdict_.Fail(absl::StrFormat("%d bytes count as in flight after the end", in_flight));
  }
}

}  // namespace headway::sim
