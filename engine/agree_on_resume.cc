#include "engine/agree_on_resume.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "comm/codec/codec.h"
#include "engine/recovery/recovery.h"
#include "engine/runtime/status_macros.h"
#include "engine/step/input_handle.h"
#include "engine/step/operators.h"
#include "engine/worker.h"

namespace headway::internal {
namespace {

// A message of process 0 to all workers: first the token of the run and the number of partitions,
// then the plan.
struct Announcement {
  int32_t partition_count = 0;
  std::string token = {};
  std::vector<ResumePlan> plan = {};  // empty, or one
};

// A message of the first worker of each process to process 0: first its identity, and again when it
// has opened its partitions.
struct Report {
  std::string token = {};
  uint64_t generation = 0;
  int32_t attempts = 0;
};

// A worker's ends of the two streams.
struct Conversation {
  InputHandle<Announcement> announce;
  InputHandle<Report> report;
  std::vector<Announcement> announced;
  std::vector<Report> reports;  // of process 0
};

absl::Status Open(Worker& worker, Conversation& conversation) {
  return worker.Build("recovery", [&](Scope<>& scope) {
    scope.Input(conversation.announce) |
        Unary<char>("announce", pact::Broadcast{}, [&](Capability<>) {
          return [&](NodeInput<Announcement>& in, NodeOutput<char>&) {
            in.ForEach([&](const CapabilityRef<>&, Batch<Announcement>& batch) {
              for (size_t i = 0; i < batch.size(); ++i) {
                conversation.announced.push_back(batch.Take(i));
              }
            });
          };
        });
    scope.Input(conversation.report) | Unary<char>("report", pact::Gather{}, [&](Capability<>) {
      return [&](NodeInput<Report>& in, NodeOutput<char>&) {
        in.ForEach([&](const CapabilityRef<>&, Batch<Report>& batch) {
          for (size_t i = 0; i < batch.size(); ++i) {
            conversation.reports.push_back(batch.Take(i));
          }
        });
      };
    });
  });
}

absl::Status Announce(Worker& worker, Conversation& conversation, Announcement announcement) {
  conversation.announce.Send(std::move(announcement));
  conversation.announce.Flush();
  return worker.Step();
}

void SendReport(Conversation& conversation, const RunIdentity& identity) {
  conversation.report.Send(Report{identity.token, identity.generation, identity.attempts});
  conversation.report.Flush();
}

absl::Status AwaitReports(Worker& worker, Conversation& conversation, int count) {
  return worker.StepWhile([&] { return conversation.reports.size() < static_cast<size_t>(count); });
}

// The token of the processes that took part in the last generation: those that were started in the
// place of lost ones have others, or none.
std::string AgreedToken(const std::vector<Report>& reports) {
  const auto latest = std::max_element(
      reports.begin(), reports.end(),
      [](const Report& a, const Report& b) { return a.generation < b.generation; });
  return latest->token.empty() ? RandomStoreId() : latest->token;
}

// Whether the run has failed before, as any of its processes knows.
bool IsRestart(const std::vector<Report>& reports) {
  return std::any_of(reports.begin(), reports.end(),
                     [](const Report& report) { return report.attempts > 1; });
}

absl::Status AwaitAnnouncements(Worker& worker, Conversation& conversation, size_t count) {
  return worker.StepWhile([&] { return conversation.announced.size() < count; });
}

}  // namespace

absl::Status AgreeOnResume(Worker& worker, Recovery& recovery) {
  const Topology& topology = recovery.run().topology();
  const bool leads = worker.index() == 0;
  const bool speaks = worker.index() == topology.first_worker();
  Conversation conversation;
  HEADWAY_RETURN_IF_ERROR(Open(worker, conversation));
  if (speaks) SendReport(conversation, recovery.identity());
  if (leads) {
    HEADWAY_RETURN_IF_ERROR(AwaitReports(worker, conversation, topology.process_count));
    absl::StatusOr<int> count = recovery.PrepareStore();
    if (!count.ok()) return count.status();
    HEADWAY_RETURN_IF_ERROR(
        Announce(worker, conversation,
                 {.partition_count = *count, .token = AgreedToken(conversation.reports)}));
  }
  HEADWAY_RETURN_IF_ERROR(AwaitAnnouncements(worker, conversation, 1));
  const int count = conversation.announced[0].partition_count;
  if (speaks) {
    HEADWAY_RETURN_IF_ERROR(recovery.OpenPartitions(count, conversation.announced[0].token));
    SendReport(conversation, recovery.identity());
  }
  if (leads) {
    HEADWAY_RETURN_IF_ERROR(AwaitReports(worker, conversation, 2 * topology.process_count));
    absl::StatusOr<ResumePlan> made = recovery.MakePlan(count, IsRestart(conversation.reports));
    if (!made.ok()) return made.status();
    HEADWAY_RETURN_IF_ERROR(
        Announce(worker, conversation, {.partition_count = count, .token = {}, .plan = {*made}}));
  }
  HEADWAY_RETURN_IF_ERROR(AwaitAnnouncements(worker, conversation, 2));
  const ResumePlan& plan = conversation.announced[1].plan.at(0);
  conversation.announce.Close();
  conversation.report.Close();
  HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return worker.HasDataflows(); }));
  // Only now all workers have built the dataflow, with the first epoch of the options.
  return recovery.Adopt(plan);
}

}  // namespace headway::internal
