#ifndef HEADWAY_OPERATORS_DELAY_H_
#define HEADWAY_OPERATORS_DELAY_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "comm/codec/codec.h"
#include "engine/step/define_step.h"
#include "engine/step/kept_watermarks.h"
#include "engine/step/operator_builder.h"

namespace headway {

namespace internal {

// The records that a Delay keeps on a worker, encoded, in chunks. A chunk is one entry of the
// state, so a snapshot writes each record once, and that it is gone once.
template <class D>
class DelayedRecords {
 public:
  struct Key {
    uint32_t worker;  // which made the chunk
    uint32_t number;  // among those of the same worker and epochs
    Epoch since;      // the epoch in which the records arrived
    Epoch until;      // the epoch in which they are due
  };
  using Chunk = std::vector<std::byte>;
  using Chunks = KeyedState<Key, Chunk>;

  DelayedRecords(int worker, Chunks& chunks)
      : worker_(static_cast<uint32_t>(worker)), chunks_(chunks) {}

  // Finds the chunks that were restored, and calls found(until) for their epochs.
  template <class Found>
  void FindRestored(Epoch first_epoch, Found found) {
    chunks_.ForEach([&](const Key& key, const Chunk&) {
      due_[std::max(key.until, first_epoch)].chunks.push_back(key);
    });
    for (auto& [until, due] : due_) {
      std::sort(due.chunks.begin(), due.chunks.end(), [](const Key& a, const Key& b) {
        return std::tie(a.since, a.worker, a.number) < std::tie(b.since, b.worker, b.number);
      });
      kept_.Add(due.watermark);
      found(until);
    }
  }

  bool Has(Epoch until) const { return due_.contains(until); }
  // The limit of the watermark: it must not pass the records that are kept.
  EventTime WatermarkLimit() const { return kept_.Limit(); }

  // Begins a batch, whose records arrive in the epoch `since`, behind this watermark.
  void BeginBatch(Epoch since, EventTime watermark) {
    since_ = since;
    watermark_ = watermark;
    open_ = nullptr;  // a snapshot may have been taken: a change has to be noted again
  }
  // Keeps a record. Returns true if it is the first one of its epoch.
  bool Keep(Epoch until, const ReadType<D>& record) {
    bool is_first = false;
    if (open_ == nullptr || until != until_ || open_->size() >= kChunkBytes) {
      is_first = Open(until);
    }
    encoder_.Clear();
    if constexpr (std::is_reference_v<ReadType<D>>) {
      Codec<D>::Encode(record, encoder_);
    } else {
      record_ = record;  // its strings keep their memory
      Codec<D>::Encode(std::as_const(record_), encoder_);
    }
    open_->insert(open_->end(), encoder_.bytes().begin(), encoder_.bytes().end());
    return is_first;
  }

  // Passes the next chunks of an epoch to give(D&& record). Returns true if none are left.
  template <class Give>
  bool GiveDue(Epoch until, Give give) {
    const auto due = due_.find(until);
    if (due == due_.end()) return true;
    open_ = nullptr;
    const std::vector<Key>& keys = due->second.chunks;
    for (size_t i = 0; i < kChunksAtOnce && given_ < keys.size(); ++i, ++given_) {
      Decoder decoder(*chunks_.Find(keys[given_]));
      while (decoder.remaining() > 0) {
        if (!Codec<D>::Decode(decoder, &record_)) {
          throw std::runtime_error(
              "a stored record cannot be decoded: it was written by another version of the step, "
              "or is damaged");
        }
        give(std::move(record_));
      }
      chunks_.Erase(keys[given_]);
    }
    if (given_ < keys.size()) return false;
    kept_.Remove(due->second.watermark);
    due_.erase(due);
    given_ = 0;
    return true;
  }

 private:
  static constexpr size_t kChunkBytes = size_t{64} << 10;
  static constexpr size_t kChunksAtOnce = 16;

  // The records of an epoch.
  struct Due {
    std::vector<Key> chunks;             // in the order of their arrival
    EventTime watermark = kNoWatermark;  // behind which the first record arrived
  };

  // Opens the chunk to which records for `until` are added. Returns true if it is the first one.
  bool Open(Epoch until) {
    auto [due, is_first] = due_.try_emplace(until);
    if (is_first) {
      due->second.watermark = watermark_;
      kept_.Add(watermark_);
    }
    std::vector<Key>& keys = due->second.chunks;
    until_ = until;
    // Restored chunks have an earlier epoch.
    if (!keys.empty() && keys.back().since == since_) {
      open_ = &chunks_.At(keys.back());
      if (open_->size() < kChunkBytes) return is_first;
    }
    keys.push_back({worker_, static_cast<uint32_t>(keys.size()), since_, until});
    open_ = &chunks_.At(keys.back());
    return is_first;
  }

  const uint32_t worker_;
  Chunks& chunks_;
  std::map<Epoch, Due> due_;
  KeptWatermarks kept_;  // of the epochs in due_
  size_t given_ = 0;     // chunks of the epoch that is being emitted
  Epoch since_ = 0;
  EventTime watermark_ = kNoWatermark;
  Epoch until_ = 0;
  Chunk* open_ = nullptr;  // for records that are due in until_
  Encoder encoder_;
  D record_{};
};

}  // namespace internal

// Moves each record to the epoch until(record, epoch), which is the epoch of the record or a later
// one: Stream<D> stays Stream<D>. A record is emitted when that epoch has ended at the step; one
// that stays in its epoch is passed on at once, unless others wait for that epoch. Records of one
// epoch keep their order. An epoch that is earlier, or from kStopEpoch on, and an exception of
// `until` end the run with an error that names the step.
//
// Keeps records as bytes until they are emitted, so the record type needs a Codec. The memory for
// them has no limit. Under recovery they are state of their worker, and a snapshot writes each
// once. At the end of the input, and at a graceful stop, all epochs end: the records are emitted,
// in their epochs. The step exchanges nothing. It must be in the root scope. A record costs its
// encoding and decoding.
template <class F>
auto Delay(std::string step_id, F until) {
  return DefineStep(
      std::move(step_id), std::move(until),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, F until_of) {
        static_assert(std::is_same_v<T, Epoch>, "Delay must be in the root scope");
        static_assert(std::is_invocable_r_v<Epoch, F&, ReadType<D>, Epoch>,
                      "Delay: the function must take (record, Epoch), with std::string_view for "
                      "strings of the record, and return the epoch in which the record is due");
        static_assert(std::is_default_constructible_v<D> && Encodable<D>,
                      "Delay: the record must be default-constructible and have a Codec, since it "
                      "is kept as bytes");
        using Records = internal::DelayedRecords<D>;
        using Key = typename Records::Key;
        OperatorBuilder<T> builder(stream.scope(), id);
        auto& input = builder.AddInput(stream, pact::Pipeline{});
        auto& output = builder.template AddOutput<D>();
        auto& chunks = builder.template AddState<Key, typename Records::Chunk>(
            [](const Key& key) { return WorkerIndex{key.worker}; });
        auto& epochs = builder.OrderEpochs();
        auto run = [&input, &output, &epochs, until_of = std::move(until_of),
                    records = Records(stream.scope().worker_index(), chunks)](
                       Capability<T>& first) mutable {
          if (first.held()) {
            input.WithRightAt(first.time(), [&](const CapabilityRef<T>& time) {
              records.FindRestored(time.time(), [&](Epoch epoch) { epochs.NotifyAt(time, epoch); });
            });
            input.LimitWatermark(first.time(), records.WatermarkLimit());
            first.Drop();
          }
          epochs.ForEach(input, [&](const CapabilityRef<T>& time, Batch<D>& batch) {
            const Epoch now = time.time();
            const bool passes = !records.Has(now);
            auto session = output.SessionAt(time);
            records.BeginBatch(now, input.watermark());
            for (size_t i = 0; i < batch.size(); ++i) {
              const Epoch epoch = until_of(std::as_const(batch)[i], now);
              if (epoch == now && passes) {
                session.Give(batch.Take(i));
                continue;
              }
              if (epoch < now || epoch >= kStopEpoch) [[unlikely]] {
                throw std::out_of_range("it returned epoch " + std::to_string(epoch) +
                                        " for a record of epoch " + std::to_string(now) +
                                        "; return that epoch or a later one, below kStopEpoch");
              }
              if (records.Keep(epoch, std::as_const(batch)[i])) epochs.NotifyAt(time, epoch);
            }
            input.LimitWatermark(now, records.WatermarkLimit());
          });
          epochs.CloseEnded([&](const Capability<T>& time) {
            auto session = output.SessionAt(time);
            if (!records.GiveDue(time.time(),
                                 [&](D&& record) { session.Give(std::move(record)); })) {
              return false;
            }
            input.LimitWatermark(time.time(), records.WatermarkLimit());
            return true;
          });
        };
        builder.Build([&](std::vector<Capability<T>> capabilities) {
          return
              [run = std::move(run), first = std::move(capabilities[0])]() mutable { run(first); };
        });
        return builder.StreamOf(output);
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_DELAY_H_
