#include "engine/agree_on_resume.h"

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

// A message of process 0 to all workers: first the number of partitions, then the plan.
struct Announcement {
  int32_t partition_count = 0;
  std::vector<ResumePlan> plan = {};  // empty, or one
};

// A message of the first worker of each process to process 0: it has opened its partitions.
struct Report {
  int32_t process = 0;
};

// A worker's ends of the two streams.
struct Conversation {
  InputHandle<Announcement> announce;
  InputHandle<Report> report;
  std::vector<Announcement> announced;
  int reports = 0;
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
          conversation.reports += static_cast<int>(batch.size());
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
  if (leads) {
    absl::StatusOr<int> count = recovery.PrepareStore();
    if (!count.ok()) return count.status();
    HEADWAY_RETURN_IF_ERROR(Announce(worker, conversation, {.partition_count = *count}));
  }
  HEADWAY_RETURN_IF_ERROR(AwaitAnnouncements(worker, conversation, 1));
  const int count = conversation.announced[0].partition_count;
  if (speaks) {
    HEADWAY_RETURN_IF_ERROR(recovery.OpenPartitions(count));
    conversation.report.Send(Report{topology.process});
    conversation.report.Flush();
  }
  if (leads) {
    HEADWAY_RETURN_IF_ERROR(
        worker.StepWhile([&] { return conversation.reports < topology.process_count; }));
    absl::StatusOr<ResumePlan> made = recovery.MakePlan(count);
    if (!made.ok()) return made.status();
    HEADWAY_RETURN_IF_ERROR(
        Announce(worker, conversation, {.partition_count = count, .plan = {*made}}));
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
