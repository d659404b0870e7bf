#ifndef HEADWAY_ENGINE_STEP_TRANSFORM_H_
#define HEADWAY_ENGINE_STEP_TRANSFORM_H_

#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "engine/graph/scope.h"

// Transforms: stateless steps whose output has the time of their input. A transform runs within the
// push of its producer, on one batch at a time while that is in the cache. It is not scheduled, and
// the progress protocol does not see it.

namespace headway {

namespace internal {

// A transform's output was used outside of the call that received it.
[[noreturn, gnu::cold]] inline void FailKeptOutput(Graph& graph, const std::string& step_id) {
  graph.errors().FailAndThrow(
      step_id, absl::FailedPreconditionError(
                   "its output was used after the call that received it; emit within the call"));
}

}  // namespace internal

// The output of a transform. Records gather in a batch, which is sent when it is full and at the
// end of each input batch. Valid in the call of the body that receives it, and neither copied nor
// moved; use of a reference that was kept is a FailedPrecondition failure of the run.
template <class R, class T>
class TransformOutput {
 public:
  // `step_id` outlives the output.
  TransformOutput(internal::Graph& graph, const std::string& step_id)
      : graph_(graph), step_id_(step_id), tee_(graph.worker().endpoint()) {}
  TransformOutput(const TransformOutput&) = delete;
  TransformOutput& operator=(const TransformOutput&) = delete;

  // Emits one record.
  template <class U = R>
  void Give(U&& record) {
    if (!batch_.TryAppend(std::forward<U>(record))) [[unlikely]] {
      Flush();
      RequireCall();
      batch_.Allocate(tee_.endpoint(), record);
      batch_.TryAppend(std::forward<U>(record));
    }
  }

  // Emits strings of a range of BatchString from `at` on, as long as the batch has room for short
  // strings; returns after the first longer one. Reads each string once. REQUIRES: R is
  // std::string.
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

  // Emits a whole batch, without a copy.
  void GiveBatch(Batch<R>&& batch) {
    Flush();
    RequireCall();
    if (!batch.empty()) tee_.Push(*time_, std::move(batch));
  }

  void Flush() {
    if (!batch_.empty()) Push(*time_);
  }

  // The batch, with room for at least one record, for loops that fill it themselves. REQUIRES: R
  // has a VectorBatch.
  Batch<R>& BatchWithRoom() {
    if (batch_.room() == 0) {
      Flush();
      RequireCall();
      batch_.AllocateRoom(tee_.endpoint());
    }
    return batch_;
  }

  // The time of the input batch, and of all that is emitted in this call.
  const T& time() {
    RequireCall();
    return *time_;
  }
  // Returns false if no step reads the stream: records that are emitted are dropped.
  bool IsRead() const { return tee_.has_receivers(); }

  internal::Tee<R, T>& tee() { return tee_; }
  // For the transform: a call of the body follows, which emits at `time`, and it is over.
  void Begin(const T& time) { time_ = &time; }
  void End() {
    const T* const time = std::exchange(time_, nullptr);
    if (!batch_.empty()) Push(*time);
  }
  // The number of batches that were sent because they were full or at the end of an input batch.
  uint64_t flush_count() const { return flush_count_; }

 private:
  void Push(const T& time) {
    ++flush_count_;
    Batch<R> pushed = std::move(batch_);
    tee_.Push(time, std::move(pushed));
  }
  // Between calls the batch is empty, so a record takes the slow path, which checks.
  void RequireCall() const {
    if (time_ == nullptr) [[unlikely]] {
      internal::FailKeptOutput(graph_, step_id_);
    }
  }

  internal::Graph& graph_;
  const std::string& step_id_;
  internal::Tee<R, T> tee_;
  Batch<R> batch_;
  const T* time_ = nullptr;  // of the call under way; null between calls
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
        output_(graph, step_id_) {}

  void Push(const T& time, Batch<D>&& batch) override {
    output_.Begin(time);
    graph_.errors().Guard(step_id_, [&] { body_(batch, output_); });
    output_.End();
  }
  void PushWatermark(const T& time, const Watermark& watermark) override {
    output_.tee().PushWatermark(time, watermark);
  }
  Tee<R, T>& tee() { return output_.tee(); }

 private:
  Graph& graph_;
  const std::string step_id_;
  Body body_;
  TransformOutput<R, T> output_;
};

// A transform with several outputs, one for each of Rs.
template <class D, class T, class Body, class... Rs>
class SeveralOutputsReceiver final : public Receiver<D, T> {
 public:
  SeveralOutputsReceiver(Graph& graph, std::string step_id, Body body)
      : graph_(graph),
        step_id_(std::move(step_id)),
        body_(std::move(body)),
        outputs_(Place<Rs>{graph_, step_id_}...) {}

  void Push(const T& time, Batch<D>&& batch) override {
    WithOutputs([&](auto&... outputs) {
      (outputs.Begin(time), ...);
      graph_.errors().Guard(step_id_, [&] { body_(batch, outputs...); });
      (outputs.End(), ...);
    });
  }
  void PushWatermark(const T& time, const Watermark& watermark) override {
    WithOutputs([&](auto&... outputs) { (outputs.tee().PushWatermark(time, watermark), ...); });
  }
  // Returns f(TransformOutput<Rs, T>&...).
  template <class F>
  auto WithOutputs(F f) {
    return std::apply([&](auto&... each) { return f(each.output...); }, outputs_);
  }

 private:
  template <class R>
  struct Place {
    Graph& graph;
    const std::string& step_id;
  };
  // Constructs in a tuple an output, which cannot be moved.
  template <class R>
  struct Output {
    // NOLINTNEXTLINE(google-explicit-constructor): a tuple converts its arguments
    Output(const Place<R>& place) : output(place.graph, place.step_id) {}
    TransformOutput<R, T> output;
  };

  Graph& graph_;
  const std::string step_id_;
  Body body_;
  std::tuple<Output<Rs>...> outputs_;
};

// Changes the records of a batch in place, and sends the same batch.
template <class D, class T, class Body>
class InPlaceReceiver : public Receiver<D, T> {
 public:
  InPlaceReceiver(Graph& graph, std::string step_id, Body body)
      : graph_(graph),
        step_id_(std::move(step_id)),
        body_(std::move(body)),
        tee_(graph.worker().endpoint()) {}

  void Push(const T& time, Batch<D>&& batch) override { ChangeAndPush(time, batch); }
  void PushWatermark(const T& time, const Watermark& watermark) override {
    tee_.PushWatermark(time, watermark);
  }
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

// True if a loop over records of type D gains from a second form for processors with wider vectors
// than the program is compiled for.
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

// The same, compiled for AVX2. All of Push is compiled for it, not a function that Push calls: such
// a call would cost each transform of a chain a stack frame.
template <class D, class T, class Body>
class WideInPlaceReceiver final : public InPlaceReceiver<D, T, Body> {
 public:
  using InPlaceReceiver<D, T, Body>::InPlaceReceiver;
  HEADWAY_WIDE_VECTORS void Push(const T& time, Batch<D>&& batch) override {
    this->ChangeAndPush(time, batch);
  }
};

#undef HEADWAY_WIDE_VECTORS

// Adds a receiver to the graph that runs within the push of the stream's producer.
template <class TransformType, class D, class T, class Body>
TransformType& AddTransformReceiver(const Stream<D, T>& stream, const std::string& id, Body body) {
  Graph& graph = stream.scope().graph();
  graph.builder(id).ClaimStepId(id);
  auto& transform = graph.objects().template Make<TransformType>(graph, id, std::move(body));
  stream.AddReceiver(id, transform);
  return transform;
}
// The stream of an output of the transform `id` of `stream`.
template <class R, class D, class T>
Stream<R, T> StreamOfTransform(const Stream<D, T>& stream, const std::string& id, Tee<R, T>& tee) {
  stream.scope().graph().builder().describer().AddStream(&tee, id);
  return Stream<R, T>(stream.scope(), tee, stream.location(), stream.ports());
}

template <class R, class TransformType, class D, class T, class Body>
Stream<R, T> AddTransform(const Stream<D, T>& stream, std::string_view step_id, Body body) {
  const std::string id = stream.scope().FullId(step_id);
  auto& transform = AddTransformReceiver<TransformType>(stream, id, std::move(body));
  return StreamOfTransform<R>(stream, id, transform.tee());
}

}  // namespace internal

// Returns the stream of the batches of `stream` after body(Batch<D>& batch), which changes the
// records of a batch but not their number. Cheaper per batch than Transform.
template <class D, class T, class Body>
Stream<D, T> TransformInPlace(const Stream<D, T>& stream, std::string_view step_id, Body body) {
  static_assert(std::is_invocable_v<Body&, Batch<D>&>,
                "TransformInPlace: the body must take Batch<D>& batch, for a stream of D");
  if constexpr (internal::kHasWideForm<D>) {
    if (internal::HasWideVectors()) {
      return internal::AddTransform<D, internal::WideInPlaceReceiver<D, T, Body>>(stream, step_id,
                                                                                  std::move(body));
    }
  }
  return internal::AddTransform<D, internal::InPlaceReceiver<D, T, Body>>(stream, step_id,
                                                                          std::move(body));
}

// Returns the stream of the records that body(Batch<D>& batch, TransformOutput<R, T>& output) emits
// for each batch of `stream`. A call does not stop for lack of credit, so it emits about as many
// records as it takes; for transforms that multiply records, prefer TransformResumable.
template <class R, class D, class T, class Body>
Stream<R, T> Transform(const Stream<D, T>& stream, std::string_view step_id, Body body) {
  static_assert(std::is_invocable_v<Body&, Batch<D>&, TransformOutput<R, T>&>,
                "Transform: the body must take (Batch<D>& batch, TransformOutput<R, T>& output), "
                "for streams of D to R at times of type T");
  return internal::AddTransform<R, internal::TransformReceiver<D, R, T, Body>>(stream, step_id,
                                                                               std::move(body));
}

// The same with several outputs: returns a std::tuple<Stream<Rs, T>...> of the records that
// body(Batch<D>& batch, TransformOutput<Rs, T>&... outputs) emits. Records for an output that no
// step reads are dropped; a body that asks output.IsRead() need not make them.
template <class... Rs, class D, class T, class Body>
std::tuple<Stream<Rs, T>...> TransformTo(const Stream<D, T>& stream, std::string_view step_id,
                                         Body body) {
  static_assert(sizeof...(Rs) > 0, "TransformTo: name the record type of each output");
  static_assert(std::is_invocable_v<Body&, Batch<D>&, TransformOutput<Rs, T>&...>,
                "TransformTo: the body must take (Batch<D>& batch, TransformOutput<Rs, T>&... "
                "outputs), for streams of D to each of Rs at times of type T");
  const std::string id = stream.scope().FullId(step_id);
  auto& transform =
      internal::AddTransformReceiver<internal::SeveralOutputsReceiver<D, T, Body, Rs...>>(
          stream, id, std::move(body));
  return transform.WithOutputs([&](auto&... outputs) {
    return std::tuple<Stream<Rs, T>...>{
        internal::StreamOfTransform<Rs>(stream, id, outputs.tee())...};
  });
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_TRANSFORM_H_
