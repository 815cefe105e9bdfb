#include "common/records/producer_state.h"

#include <algorithm>

#include "common/model/check.h"
#include "common/model/mutant.h"

namespace common::records {

using common::model::mutant;

using model::ErrorCode;
using model::fail;

bool ProducerStateTable::is_in_sequence(const Producer& producer, const BatchFacts& batch) {
  const int32_t first = batch.producer->base_sequence;
  if (mutant<"R86-takes-any-sequence">()) return true;
  if (producer.epoch != batch.producer->epoch) return first == 0 || mutant<"R86-an-epoch-begins-anywhere">();
  if (producer.batch_count == 0) return first == 0;  // a marker began this epoch
  return first == sequence_after(producer.batches[producer.batch_count - 1].last_sequence, 1);
}

Result<std::optional<KnownBatch>> ProducerStateTable::check(const BatchFacts& batch) const {
  NARU_CHECK(batch.producer && !batch.is_control, "a data batch of a producer");
  const auto found = producers_.find(batch.producer->id);
  // Nothing is known of it (first batch here, or expired, or its records were deleted): any sequence may begin (R86).
  if (found == producers_.end()) return std::optional<KnownBatch>();
  const Producer& producer = found->second;

  if (batch.producer->epoch < producer.epoch && !mutant<"R86-takes-older-epochs">()) {
    return fail(ErrorCode::invalid_producer_epoch,
                fmt::format("epoch {} of producer {} is older than {}", batch.producer->epoch, batch.producer->id,
                            producer.epoch));
  }
  if (batch.producer->epoch == producer.epoch) {
    for (size_t i = 0; i < producer.batch_count; ++i) {
      const Batch& known = producer.batches[i];
      if (known.last_sequence == batch.last_sequence() &&
          sequence_before(known.last_sequence, known.offset_delta) == batch.producer->base_sequence) {
        return KnownBatch{known.last_offset - known.offset_delta, known.last_offset, known.timestamp};
      }
    }
  }
  if (!is_in_sequence(producer, batch)) {
    return fail(ErrorCode::out_of_order_sequence_number,
                fmt::format("sequence {} of producer {} epoch {} after {} of epoch {}", batch.producer->base_sequence,
                            batch.producer->id, batch.producer->epoch,
                            producer.batch_count == 0 ? -1 : producer.batches[producer.batch_count - 1].last_sequence,
                            producer.epoch));
  }
  if (producer.txn_first_offset && !batch.is_transactional) {
    return fail(ErrorCode::invalid_txn_state,
                fmt::format("a batch outside of the open transaction of producer {}", batch.producer->id));
  }
  return std::optional<KnownBatch>();
}

Result<void> ProducerStateTable::check_marker(const BatchFacts& batch) const {
  NARU_CHECK(batch.producer && batch.marker, "an end marker of a producer");
  const auto found = producers_.find(batch.producer->id);
  if (found == producers_.end()) return {};
  const Producer& producer = found->second;
  if (batch.producer->epoch < producer.epoch) {
    return fail(ErrorCode::invalid_producer_epoch,
                fmt::format("marker of epoch {} for producer {}, which is at {}", batch.producer->epoch,
                            batch.producer->id, producer.epoch));
  }
  if (producer.coordinator_epoch && batch.marker->coordinator_epoch < *producer.coordinator_epoch &&
      !mutant<"R92-takes-markers-of-older-coordinators">()) {
    return fail(
        ErrorCode::transaction_coordinator_fenced,
        fmt::format("coordinator epoch {} after {}", batch.marker->coordinator_epoch, *producer.coordinator_epoch));
  }
  return {};
}

void ProducerStateTable::remember(Producer& producer, const Batch& batch) {
  if (producer.batch_count == (mutant<"R85-remembers-one-batch">() ? 1 : batches_kept)) {
    std::shift_left(producer.batches.begin(), producer.batches.end(), 1);
    --producer.batch_count;
  }
  producer.batches[producer.batch_count++] = batch;
}

std::optional<CompletedTxn> ProducerStateTable::on_append(const BatchFacts& batch, Offset base_offset,
                                                          TimestampMs append_time) {
  if (!batch.producer) return std::nullopt;
  if (batch.is_control && !batch.marker) return std::nullopt;
  auto [at, is_new] = producers_.try_emplace(batch.producer->id);
  Producer& producer = at->second;
  if (is_new || batch.producer->epoch != producer.epoch) {
    producer.epoch = batch.producer->epoch;
    producer.batch_count = 0;
  }
  producer.last_append_time = mutant<"R88-ages-by-record-time">() ? batch.max_timestamp : append_time;
  if (batch.marker) return on_marker(producer, batch, base_offset);

  remember(producer, {batch.last_sequence(), batch.last_offset_delta, base_offset + batch.last_offset_delta,
                      batch.max_timestamp});
  if (batch.is_transactional && !producer.txn_first_offset) {
    producer.txn_first_offset = base_offset;
    open_.emplace(base_offset, batch.producer->id);
  }
  return std::nullopt;
}

std::optional<CompletedTxn> ProducerStateTable::on_marker(Producer& producer, const BatchFacts& batch, Offset offset) {
  producer.coordinator_epoch = batch.marker->coordinator_epoch;
  // A marker without records before it (the transaction never wrote here) decides nothing.
  if (!producer.txn_first_offset) return std::nullopt;
  CompletedTxn completed;
  completed.producer = batch.producer->id;
  completed.first_offset = *producer.txn_first_offset;
  completed.marker_offset = offset;
  completed.outcome = batch.marker->type;
  open_.erase(completed.first_offset);
  unreplicated_.emplace(completed.first_offset, offset);
  producer.txn_first_offset.reset();
  return completed;
}

size_t ProducerStateTable::expire(TimestampMs now, int64_t expiration_ms) {
  const size_t expired = boost::unordered::erase_if(producers_, [&](const auto& entry) {
    const Producer& producer = entry.second;
    return (!producer.txn_first_offset || mutant<"R88-expires-during-a-transaction">()) &&
           now.value - producer.last_append_time.value >= expiration_ms;
  });
  // The table never gets smaller by itself, and a place is some two hundred bytes: after a day of many producers they
  // would be kept, in each partition, as long as the process lives.
  constexpr size_t places_few = 1024;
  if (places() > places_few && size() < places() / 8) producers_.rehash(2 * size());
  return expired;
}

void ProducerStateTable::on_high_watermark(Offset high_watermark) {
  std::erase_if(unreplicated_, [&](const auto& txn) {
    return txn.second < high_watermark || mutant<"R94-counts-markers-above-the-hw">();
  });
}

std::optional<Offset> ProducerStateTable::first_unstable_offset() const {
  std::optional<Offset> first;
  if (!open_.empty()) first = open_.begin()->first;
  if (!unreplicated_.empty())
    first = std::min(first.value_or(unreplicated_.begin()->first), unreplicated_.begin()->first);
  return first;
}

std::vector<Offset> ProducerStateTable::remembered_batches() const {
  std::vector<Offset> all;
  for (const auto& [id, producer] : producers_) {
    for (size_t i = 0; i < producer.batch_count; ++i) all.push_back(producer.batches[i].last_offset);
  }
  std::ranges::sort(all);
  return all;
}

void ProducerStateTable::clear() {
  producers_.clear();
  open_.clear();
  unreplicated_.clear();
}

std::vector<ProducerSummary> ProducerStateTable::describe() const {
  std::vector<ProducerSummary> all;
  for (const auto& [id, producer] : producers_) {
    ProducerSummary one;
    one.id = id;
    one.epoch = producer.epoch;
    if (producer.batch_count > 0) one.last_sequence = producer.batches[producer.batch_count - 1].last_sequence;
    one.last_append_time = producer.last_append_time;
    one.coordinator_epoch = producer.coordinator_epoch;
    one.txn_first_offset = producer.txn_first_offset;
    all.push_back(one);
  }
  std::ranges::sort(all, {}, [](const ProducerSummary& s) { return s.id; });
  return all;
}

}  // namespace common::records
