#ifndef HEADWAY_ENGINE_TRANSFORM_H_
#define HEADWAY_ENGINE_TRANSFORM_H_

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "headway/engine/scope.h"

// Transforms: stateless steps whose output has the time of their input. They run inside the
// producer's push, a batch at a time while it is in the cache; they are not scheduled, and the
// progress protocol does not see them.

namespace headway {

// Where a transform writes: records gather in a batch that goes on when it is full and at the end
// of each input batch.
template <class R, class T>
class TransformOutput {
 public:
  explicit TransformOutput(internal::Endpoint& endpoint) : tee_(endpoint) {}

  template <class U>
  void Give(U&& record) {
    if (!batch_.TryAppend(std::forward<U>(record))) [[unlikely]] {
      Flush();
      batch_.Allocate(tee_.endpoint(), record);
      batch_.TryAppend(std::forward<U>(record));
    }
  }

  // Passes a whole batch on, without a copy.
  void GiveBatch(Batch<R>&& batch) {
    Flush();
    if (!batch.empty()) tee_.Push(*time_, std::move(batch));
  }

  void Flush() {
    if (batch_.empty()) return;
    ++flush_count_;
    Batch<R> pushed = std::move(batch_);
    tee_.Push(*time_, std::move(pushed));
  }

  // For loops that fill the batch themselves. REQUIRES: R has a VectorBatch.
  Batch<R>& BatchWithRoom() {
    if (batch_.room() == 0) {
      Flush();
      batch_.AllocateRoom(tee_.endpoint());
    }
    return batch_;
  }

  internal::Tee<R, T>& tee() { return tee_; }
  void set_time(const T* time) { time_ = time; }
  // How many batches have gone on; for steps that look at the credit after each.
  uint64_t flush_count() const { return flush_count_; }

 private:
  internal::Tee<R, T> tee_;
  Batch<R> batch_;
  const T* time_ = nullptr;
  uint64_t flush_count_ = 0;
};

namespace internal {

template <class D, class R, class T, class Body>
class TransformReceiver final : public Receiver<D, T> {
 public:
  TransformReceiver(Graph& graph, std::string step_id, Body body)
      : graph_(graph),
        step_id_(std::move(step_id)),
        body_(std::move(body)),
        output_(graph.worker().endpoint) {}

  void Push(const T& time, Batch<D>&& batch) override {
    output_.set_time(&time);
    graph_.GuardStep(step_id_, [&] { body_(batch, output_); });
    output_.Flush();
  }
  TransformOutput<R, T>& output() { return output_; }

 private:
  Graph& graph_;
  const std::string step_id_;
  Body body_;
  TransformOutput<R, T> output_;
};

// Changes the records of a batch where they are, and hands the same batch on.
template <class D, class T, class Body>
class InPlaceReceiver final : public Receiver<D, T> {
 public:
  InPlaceReceiver(Graph& graph, std::string step_id, Body body)
      : graph_(graph),
        step_id_(std::move(step_id)),
        body_(std::move(body)),
        tee_(graph.worker().endpoint) {}

  void Push(const T& time, Batch<D>&& batch) override {
    graph_.GuardStep(step_id_, [&] { body_(batch); });
    tee_.Push(time, std::move(batch));
  }
  Tee<D, T>& tee() { return tee_; }

 private:
  Graph& graph_;
  const std::string step_id_;
  Body body_;
  Tee<D, T> tee_;
};

}  // namespace internal

// The stream that results from `body(Batch<D>& batch)`, called with each batch of `stream`, which
// changes its records but not their number: less work for each batch than Transform.
template <class D, class T, class Body>
Stream<D, T> TransformInPlace(const Stream<D, T>& stream, std::string_view step_id, Body body) {
  internal::Graph& graph = stream.scope().graph();
  std::string id = stream.scope().FullId(step_id);
  graph.ClaimStepId(id);
  auto& receiver = graph.Make<internal::InPlaceReceiver<D, T, Body>>(graph, id, std::move(body));
  stream.AddReceiver(id, receiver);
  return Stream<D, T>(stream.scope(), receiver.tee(), stream.location(), stream.ports());
}

// The stream that results from `body(Batch<D>& batch, TransformOutput<R, T>& output)`, called with
// each batch of `stream`.
template <class R, class D, class T, class Body>
Stream<R, T> Transform(const Stream<D, T>& stream, std::string_view step_id, Body body) {
  internal::Graph& graph = stream.scope().graph();
  std::string id = stream.scope().FullId(step_id);
  graph.ClaimStepId(id);
  auto& receiver =
      graph.Make<internal::TransformReceiver<D, R, T, Body>>(graph, id, std::move(body));
  stream.AddReceiver(id, receiver);
  return Stream<R, T>(stream.scope(), receiver.output().tee(), stream.location(), stream.ports());
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_TRANSFORM_H_
