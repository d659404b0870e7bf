#include "engine/step/source_listing.h"

#include <utility>

#include "engine/runtime/concat.h"

namespace headway::internal {

SourceListing* SourceListing::AddTo(Scope<Epoch>& scope, OperatorBuilder<Epoch>& source,
                                    std::string_view step_id) {
  if (scope.worker_count() == 1) return nullptr;
  OperatorBuilder<Epoch> sender(scope, Concat({step_id, ".partitions"}));
  auto& output = sender.AddOutput<std::vector<std::string>>();
  auto& listing = scope.graph().objects().Make<SourceListing>();
  // Runs once, after the sources are open.
  sender.Build([&](std::vector<Capability<Epoch>> first) {
    return [&listing, &output, held = std::move(first[0])]() mutable {
      if (!held.held()) return;
      if (listing.to_send_.has_value()) {
        output.SessionAt(held).Give(*std::exchange(listing.to_send_, std::nullopt));
      }
      held.Drop();
    };
  });
  listing.input_ = &source.AddInput(sender.StreamOf(output), pact::Broadcast{});
  source.IgnoreFrontier(0);
  return &listing;
}

std::optional<std::vector<std::string>> SourceListing::Receive() {
  std::optional<std::vector<std::string>> list;
  if (input_ == nullptr || input_->empty()) return list;
  input_->ForEach([&](const CapabilityRef<Epoch>&, Batch<std::vector<std::string>>& batch) {
    list = batch.Take(0);
  });
  return list;
}

}  // namespace headway::internal
