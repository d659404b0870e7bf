#ifndef HEADWAY_ENGINE_GRAPH_TEE_H_
#define HEADWAY_ENGINE_GRAPH_TEE_H_

#include <type_traits>
#include <utility>
#include <vector>

#include "engine/batch/batch.h"
#include "engine/graph/watermark.h"

namespace headway::internal {

// Takes the batches of a stream: a transform or a channel.
template <class D, class T>
class Receiver {
 public:
  virtual ~Receiver() = default;
  // The receiver may move from the batch, or leave it to the caller. REQUIRES: it is not empty.
  virtual void Push(const T& time, Batch<D>&& batch) = 0;
  // The watermark of the records that follow. The receiver passes it on behind the records that
  // came before it.
  virtual void PushWatermark(const T& time, const Watermark& watermark) = 0;
};

// Gives the batches of a stream to all its receivers: a copy to each but the last, the batch itself
// to the last. A stream of move-only records has one receiver.
template <class D, class T>
class Tee {
 public:
  explicit Tee(Endpoint& endpoint) : endpoint_(endpoint) {}

  bool MayAdd() const { return kCopies || receivers_.empty(); }
  // REQUIRES: MayAdd().
  void Add(Receiver<D, T>* receiver) {
    only_ = receivers_.empty() ? receiver : nullptr;
    receivers_.push_back(receiver);
  }

  void Push(const T& time, Batch<D>&& batch) {
    if (only_ != nullptr) [[likely]] {
      only_->Push(time, std::move(batch));
    } else {
      PushToEach(time, std::move(batch));
    }
  }

  bool has_receivers() const { return !receivers_.empty(); }
  void PushWatermark(const T& time, const Watermark& watermark) {
    for (Receiver<D, T>* receiver : receivers_) receiver->PushWatermark(time, watermark);
  }

  Endpoint& endpoint() { return endpoint_; }

 private:
  static constexpr bool kCopies = std::is_copy_constructible_v<D>;

  // Out of line, so that Push needs neither a stack frame nor cleanup: a chain of transforms is a
  // chain of jumps.
  [[gnu::noinline]] void PushToEach(const T& time, Batch<D>&& batch) {
    if (receivers_.empty()) return;
    if constexpr (kCopies) {
      for (size_t i = 0; i + 1 < receivers_.size(); ++i) {
        Batch<D> copy;
        copy.CopyFrom(endpoint_, batch);
        receivers_[i]->Push(time, std::move(copy));
      }
    }
    receivers_.back()->Push(time, std::move(batch));
  }

  Endpoint& endpoint_;
  // The receiver if there is just one. Saves a load, which shows in long chains.
  Receiver<D, T>* only_ = nullptr;
  std::vector<Receiver<D, T>*> receivers_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_TEE_H_
