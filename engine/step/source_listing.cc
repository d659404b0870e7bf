#include "engine/step/source_listing.h"

#include <utility>

#include "engine/runtime/concat.h"

namespace headway::internal {

SourceListing* SourceListing::AddTo(Scope<Epoch>& scope, OperatorBuilder<Epoch>& source,
                                    std::string_view step_id) {
  if (scope.worker_count() == 1) return nullptr;
  OperatorBuilder<Epoch> sender(scope, Concat({step_id, ".partitions"}));
  auto& output = sender.AddOutput<PartitionList>();
  auto& listing = scope.graph().objects().Make<SourceListing>();
  listing.output_ = &output;
  listing.sender_.emplace(scope.graph(), sender.node());
  sender.Build([&](std::vector<Capability<Epoch>> first) {
    listing.held_ = std::move(first[0]);
    return [&listing] { listing.SendWaiting(); };
  });
  listing.input_ = &source.AddInput(sender.StreamOf(output), pact::Broadcast{});
  source.IgnoreFrontier(0);
  return &listing;
}

void SourceListing::Send(PartitionList list) {
  sends_more_ = !list.is_last;
  to_send_.push_back(std::move(list));
  sender_->Activate();
}

void SourceListing::Follow(Epoch epoch) {
  if (held_.held() && to_send_.empty()) held_.Downgrade(epoch);
}

void SourceListing::Stop() {
  to_send_.clear();
  held_.Drop();
}

// Runs for the first time after the sources are open. Other workers than worker 0 have nothing to
// send then.
void SourceListing::SendWaiting() {
  if (!held_.held()) return;
  for (PartitionList& list : to_send_) output_->SessionAt(held_).Give(std::move(list));
  to_send_.clear();
  if (!sends_more_) held_.Drop();
}

std::optional<PartitionList> SourceListing::Receive() {
  if (input_ != nullptr && !input_->empty()) {
    input_->ForEach([&](const CapabilityRef<Epoch>&, Batch<PartitionList>& batch) {
      for (size_t i = 0; i < batch.size(); ++i) received_.push_back(batch.Take(i));
    });
  }
  if (received_.empty()) return std::nullopt;
  PartitionList list = std::move(received_.front());
  received_.pop_front();
  return list;
}

}  // namespace headway::internal
