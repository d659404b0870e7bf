#ifndef HEADWAY_ENGINE_STEP_TRANSFORM_H_
#define HEADWAY_ENGINE_STEP_TRANSFORM_H_

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/graph/scope.h"

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

  // Gives strings of a range of BatchString from `at` on while the batch has room for more short
  // ones; after a longer one it returns. Reads each of them once. REQUIRES: R is std::string.
  template <class Iterator, class Sentinel>
  void GiveShort(Iterator& at, const Sentinel& end) {
    typename Batch<R>::ShortWriter writer(batch_);
    for (size_t room = batch_.room_for_short(); room > 0 && at != end; --room, ++at) {
      const BatchString record = *at;
      if (record.size() > Batch<R>::kShortMax) [[unlikely]] {
        writer.Finish(batch_);
        Give(record);
        ++at;
        return;
      }
      writer.Write(record, 1);
    }
    writer.Finish(batch_);
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
    graph_.errors().Guard(step_id_, [&] { body_(batch, output_); });
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
class InPlaceReceiver : public Receiver<D, T> {
 public:
  InPlaceReceiver(Graph& graph, std::string step_id, Body body)
      : graph_(graph),
        step_id_(std::move(step_id)),
        body_(std::move(body)),
        tee_(graph.worker().endpoint) {}

  void Push(const T& time, Batch<D>&& batch) override { ChangeAndPush(time, batch); }
  Tee<D, T>& tee() { return tee_; }

 protected:
  void ChangeAndPush(const T& time, Batch<D>& batch) {
    graph_.errors().Guard(step_id_, [&] { body_(batch); });
    tee_.Push(time, std::move(batch));
  }

 private:
  Graph& graph_;
  const std::string step_id_;
  Body body_;
  Tee<D, T> tee_;
};

// Whether a loop over records gains from a second form for processors with wider vectors than those
// that the program is compiled for.
#if defined(__x86_64__) && !defined(__AVX2__)
template <class D>
inline constexpr bool kHasWideForm = std::is_arithmetic_v<D>;
inline bool HasWideVectors() { return __builtin_cpu_supports("avx2"); }
#define HEADWAY_WIDE_VECTORS [[gnu::target("avx2")]]
#else
template <class D>
inline constexpr bool kHasWideForm = false;
inline bool HasWideVectors() { return false; }
#define HEADWAY_WIDE_VECTORS
#endif

// The same for a processor with wide vectors: where the basic instructions of x86-64 take one
// number, it takes four. The whole Push is compiled for it, not a function that Push calls: a call
// in the middle would cost each transform of a chain a frame on the stack.
template <class D, class T, class Body>
class WideInPlaceReceiver final : public InPlaceReceiver<D, T, Body> {
 public:
  using InPlaceReceiver<D, T, Body>::InPlaceReceiver;
  HEADWAY_WIDE_VECTORS void Push(const T& time, Batch<D>&& batch) override {
    this->ChangeAndPush(time, batch);
  }
};

#undef HEADWAY_WIDE_VECTORS

template <class D, class T, class Body>
InPlaceReceiver<D, T, Body>& MakeInPlaceReceiver(Graph& graph, const std::string& step_id,
                                                 Body body) {
  if constexpr (kHasWideForm<D>) {
    if (HasWideVectors()) {
      return graph.objects().Make<WideInPlaceReceiver<D, T, Body>>(graph, step_id, std::move(body));
    }
  }
  return graph.objects().Make<InPlaceReceiver<D, T, Body>>(graph, step_id, std::move(body));
}

}  // namespace internal

// The stream that results from `body(Batch<D>& batch)`, called with each batch of `stream`, which
// changes its records but not their number: less work for each batch than Transform.
template <class D, class T, class Body>
Stream<D, T> TransformInPlace(const Stream<D, T>& stream, std::string_view step_id, Body body) {
  internal::Graph& graph = stream.scope().graph();
  std::string id = stream.scope().FullId(step_id);
  graph.builder(id).ClaimStepId(id);
  auto& receiver = internal::MakeInPlaceReceiver<D, T>(graph, id, std::move(body));
  stream.AddReceiver(id, receiver);
  graph.builder().description().AddStream(&receiver.tee(), id);
  return Stream<D, T>(stream.scope(), receiver.tee(), stream.location(), stream.ports());
}

// The stream that results from `body(Batch<D>& batch, TransformOutput<R, T>& output)`, called with
// each batch of `stream`.
template <class R, class D, class T, class Body>
Stream<R, T> Transform(const Stream<D, T>& stream, std::string_view step_id, Body body) {
  internal::Graph& graph = stream.scope().graph();
  std::string id = stream.scope().FullId(step_id);
  graph.builder(id).ClaimStepId(id);
  auto& receiver =
      graph.objects().Make<internal::TransformReceiver<D, R, T, Body>>(graph, id, std::move(body));
  stream.AddReceiver(id, receiver);
  graph.builder().description().AddStream(&receiver.output().tee(), id);
  return Stream<R, T>(stream.scope(), receiver.output().tee(), stream.location(), stream.ports());
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_TRANSFORM_H_
