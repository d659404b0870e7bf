#ifndef HEADWAY_OPERATORS_IO_CAPTURE_H_
#define HEADWAY_OPERATORS_IO_CAPTURE_H_

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/codec/codec.h"
#include "engine/graph/type_name.h"
#include "engine/runtime/config.h"
#include "engine/step/define_step.h"
#include "engine/step/epoch_order.h"
#include "engine/step/operator_builder.h"
#include "engine/step/source.h"
#include "operators/io/capture_events.h"
#include "operators/io/capture_store.h"

namespace headway {

namespace internal {

// Captures the batches of a worker, and passes them on.
template <class D>
class Capturer {
 public:
  Capturer(std::unique_ptr<CaptureWriter> writer, StepErrors& errors, std::string step_id)
      : writer_(std::move(writer)), errors_(errors), step_id_(std::move(step_id)) {}

  void Run(NodeInput<D, Epoch>& input, NodeOutput<D, Epoch>& output) {
    order_.ForEach(input, [&](const CapabilityRef<Epoch>& time, Batch<D>& batch) {
      records_.Clear();
      for (size_t i = 0; i < batch.size(); ++i) {
        Codec<std::remove_cvref_t<ReadType<D>>>::Encode(std::as_const(batch)[i], records_);
      }
      Check(writer_->AddBatch(time.time(), batch.size(), records_.bytes()));
      output.SessionAt(time).GiveBatch(std::move(batch));
    });
    const std::optional<Epoch> frontier = FirstOf(input.frontier());
    if (!frontier.has_value()) {
      if (writer_ != nullptr) Check(writer_->Flush());
      return writer_.reset();
    }
    // A graceful stop moves the frontier to kStopEpoch, which is no epoch of the stream.
    if (frontier > frontier_ && *frontier < kStopEpoch) {
      frontier_ = *frontier;
      writer_->AddFrontier(frontier_);
    }
    Check(writer_->Flush());
  }

 private:
  static std::optional<Epoch> FirstOf(const FrontierView<Epoch>& frontier) {
    if (frontier.empty()) return std::nullopt;
    return *frontier.elements().begin();
  }
  void Check(const absl::Status& status) {
    if (!status.ok()) errors_.FailAndThrow(step_id_, status);
  }

  std::unique_ptr<CaptureWriter> writer_;  // null once the input has ended
  StepErrors& errors_;
  const std::string step_id_;
  EpochOrder<D, Epoch> order_{/*enabled=*/true};
  Epoch frontier_ = 0;
  Encoder records_;  // scratch
};

// The epochs of the readers of a Replay on a worker. They share the epoch of their source, so none
// may close it before all others have replayed it.
class ReplayEpochs {
 public:
  size_t Add() {
    next_[count_] = 0;
    return count_++;
  }
  // The reader needs this epoch for its next event. Returns the one that the source may begin.
  Epoch Need(size_t reader, Epoch epoch) {
    next_[reader] = epoch;
    return std::ranges::min_element(next_, {}, [](const auto& each) { return each.second; })
        ->second;
  }
  void Remove(size_t reader) { next_.erase(reader); }

 private:
  size_t count_ = 0;
  std::map<size_t, Epoch> next_;  // by reader
};

}  // namespace internal

// Writes the events of a stream to `store`: batches with their epochs, and the frontier. Passes the
// records on: Stream<D> stays Stream<D>. Replay reads them in a later run. D needs a Codec. Root
// scope only. Source: timely dataflow.
//
//   stream | Capture("capture", CaptureInDirectory("/tmp/orders")) | ...;
//
// Each worker writes a part of its own; the step exchanges nothing. Events are written at the end
// of each activation of the step, before the progress protocol hears of them, and are safe from a
// crash of the process, not of the machine. Batches of an epoch wait in the step until the earlier
// epochs are complete. A run that resumes, or restarts, adds parts, and the replay takes each epoch
// from the run that committed it.
//
// The end of input and a graceful stop end the parts. A failure ends them too; after a crash their
// end is missing. Errors end the run and name the step. FailedPrecondition: the store has the
// capture of another run. ResourceExhausted: the disk is full, or a batch has 512 MiB. It costs the
// encoding of the records, their compression (zstd, level 1), and a write for each activation.
inline auto Capture(std::string step_id, std::shared_ptr<CaptureStore> store) {
  return DefineStep(
      std::move(step_id), std::move(store),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id,
                           const std::shared_ptr<CaptureStore>& to) {
        static_assert(std::is_same_v<T, Epoch>, "Capture must be in the root scope");
        static_assert(Encodable<D>,
                      "Capture: the records must have a Codec, since they are kept as bytes: make "
                      "them aggregates of types that have one, write HEADWAY_CODEC_FIELDS(Type, "
                      "members...), or specialize headway::Codec");
        OperatorBuilder<T> builder(stream.scope(), id);
        NodeInput<D, T>& input = builder.AddInput(stream, pact::Pipeline{});
        NodeOutput<D, T>& output = builder.template AddOutput<D>();
        const StepContext context = builder.context();
        internal::StepErrors& errors = builder.graph().errors();
        builder.Build([&](std::vector<Capability<T>> first) {
          absl::StatusOr<std::unique_ptr<internal::CaptureWriter>> writer =
              internal::CaptureWriter::Create(*to,
                                              {.generation = context.generation,
                                               .first_epoch = first[0].time(),
                                               .worker_index = context.worker_index,
                                               .worker_count = context.worker_count},
                                              internal::TypeName<D>());
          if (!writer.ok()) errors.FailAndThrow(context.step_id, writer.status());
          return
              [&input, &output,
               capturer = std::make_unique<internal::Capturer<D>>(
                   *std::move(writer), errors, context.step_id)] { capturer->Run(input, output); };
        });
        return builder.StreamOf(output);
      });
}

struct ReplayOptions {
  // Replays the events that are there of a capture whose end is missing.
  bool incomplete = false;
};

// A source of the records that Capture wrote, in the epochs in which they were captured:
//
//   scope.Input("replay", Replay<Order>(CaptureInDirectory("/tmp/orders"))) | ...;
//
// Its partitions are the parts of the captured workers, so the number of workers may be another
// one; the records of a part keep their order. Epochs without records are replayed too. It keeps a
// position in each part, and a run with recovery resumes there. The capture is replayed after its
// run has ended.
//
// Errors end the run and name the part. NotFound: there is no capture. DataLoss: a part is missing,
// damaged, or cut off (see ReplayOptions). FailedPrecondition: the records have another type, or
// the capture is of a newer version or of runs that do not belong together.
template <class D>
class Replay {
  static_assert(Encodable<D> && std::is_default_constructible_v<D>,
                "Replay: the records must be default-constructible and have a Codec");

 public:
  using Record = D;

  explicit Replay(std::shared_ptr<CaptureStore> store, ReplayOptions options = {})
      : store_(std::move(store)), options_(options) {}

  class Reader {
   public:
    Reader(std::unique_ptr<internal::CaptureReader> reader,
           std::shared_ptr<internal::ReplayEpochs> epochs)
        : reader_(std::move(reader)),
          epochs_(std::move(epochs)),
          id_(epochs_->Add()),
          next_record_(reader_->first_record()) {
      SkipReplayed();
    }

    absl::StatusOr<SourceState> Poll(SourceOutput<D>& out) {
      while (true) {
        const auto& event = reader_->event();
        if (event.kind == internal::CaptureReader::Kind::kEnd) {
          epochs_->Remove(id_);
          return SourceState::Done();
        }
        if (event.epoch > out.epoch()) {
          const Epoch next = epochs_->Need(id_, event.epoch);
          // Another reader still replays this epoch.
          return next > out.epoch() ? SourceState::AdvanceTo(next) : SourceState::More();
        }
        for (; next_record_ < event.record_count; ++next_record_) {
          if (!out.WantsMore()) return SourceState::More();
          D record{};
          if (!Codec<D>::Decode(records_, &record)) return reader_->Malformed();
          out.Emit(std::move(record));
        }
        if (records_.remaining() > 0) return reader_->Malformed();
        if (absl::Status status = reader_->Next(); !status.ok()) return status;
        next_record_ = 0;
        records_ = Decoder(reader_->event().records);
      }
    }
    std::string Snapshot() const { return reader_->PositionAt(next_record_); }

   private:
    void SkipReplayed() {
      records_ = Decoder(reader_->event().records);
      for (size_t i = 0; i < next_record_; ++i) {
        D record{};
        if (!Codec<D>::Decode(records_, &record)) return;  // the next record is malformed, too
      }
    }

    std::unique_ptr<internal::CaptureReader> reader_;
    std::shared_ptr<internal::ReplayEpochs> epochs_;
    size_t id_;
    size_t next_record_;  // of the present event
    Decoder records_{{}};
  };

  EpochConfig epoch_config() const { return SourceEpochConfig{}; }
  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    absl::StatusOr<std::vector<internal::CapturedPart>> parts = internal::CapturedParts(*store_);
    if (!parts.ok()) return parts.status();
    std::vector<std::string> names;
    for (internal::CapturedPart& part : *parts) names.push_back(std::move(part.name));
    return names;
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& partition,
                                       const std::optional<std::string>& position) {
    absl::StatusOr<std::vector<internal::CapturedPart>> parts = internal::CapturedParts(*store_);
    if (!parts.ok()) return parts.status();
    const auto part = std::ranges::find(*parts, partition, &internal::CapturedPart::name);
    if (part == parts->end()) {
      return absl::NotFoundError(store_->Describe() + " has lost its part '" + partition + "'");
    }
    auto reader = internal::CaptureReader::Open(*store_, *part, internal::TypeName<D>(),
                                                options_.incomplete, position);
    if (!reader.ok()) return reader.status();
    if (epochs_ == nullptr) epochs_ = std::make_shared<internal::ReplayEpochs>();
    return Reader(*std::move(reader), epochs_);
  }

 private:
  std::shared_ptr<CaptureStore> store_;
  ReplayOptions options_;
  std::shared_ptr<internal::ReplayEpochs> epochs_;  // of an open source
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_CAPTURE_H_
