#ifndef HEADWAY_ENGINE_STEP_FURTHER_INPUT_H_
#define HEADWAY_ENGINE_STEP_FURTHER_INPUT_H_

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "engine/step/epoch_order.h"

namespace headway::internal {

// An input of a node besides the first one, which is an EpochInput: its batches in epoch order if
// the run asks for it. Hides the type of the records.
template <class T>
class FurtherInput {
 public:
  using Arrive = absl::FunctionRef<void(const CapabilityRef<T>&)>;
  using Begin = absl::FunctionRef<bool(Epoch)>;
  using Raised = absl::FunctionRef<void(const CapabilityRef<T>&)>;

  virtual ~FurtherInput() = default;

  // Applies the batches that are due; the functions are those of EpochOrder::ForEach.
  virtual void Apply(Arrive arrive, Begin begin, Raised raised) = 0;
  virtual FrontierView<T> frontier() const = 0;
  virtual std::optional<Epoch> first_waiting() const = 0;
};

template <class T>
using FurtherInputs = std::vector<std::unique_ptr<FurtherInput<T>>>;

// ApplyFn is a function of (const CapabilityRef<T>& time, Batch<D>& batch).
template <class D, class T, class ApplyFn>
class FurtherInputOf final : public FurtherInput<T> {
 public:
  FurtherInputOf(NodeInput<D, T>& input, bool in_order, ApplyFn apply)
      : input_(input), order_(in_order), apply_(std::move(apply)) {}

  void Apply(typename FurtherInput<T>::Arrive arrive, typename FurtherInput<T>::Begin begin,
             typename FurtherInput<T>::Raised raised) override {
    order_.ForEach(input_, arrive, apply_, begin, raised);
  }
  FrontierView<T> frontier() const override { return input_.frontier(); }
  std::optional<Epoch> first_waiting() const override { return order_.first_waiting(); }

 private:
  NodeInput<D, T>& input_;
  EpochOrder<D, T> order_;
  ApplyFn apply_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_FURTHER_INPUT_H_
