// The leader's part: appends, acknowledgements, followers' positions, DeleteRecords.
#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "broker/partition/partition.h"
#include "broker/partition/partition_detail.h"
#include "common/model/mutant.h"
#include "common/records/rewrite.h"
#include "common/records/validate.h"

namespace broker::partition {

using common::model::fail;
using common::model::mutant;

namespace {

void count_fault(common::records::Fault fault, PartitionCounters& counters) {
  using common::records::Fault;
  switch (fault) {
    case Fault::other:
      return;
    case Fault::checksum:
      ++counters.bad_checksums;
      return;
    case Fault::format:
      ++counters.bad_formats;
      return;
    case Fault::key:
      ++counters.missing_keys;
      return;
    case Fault::order:
      ++counters.bad_orders;
      return;
  }
}

}  // namespace

// What an append led to: the answer, and the offset that has to be committed, or synced here, before it may be given.
struct Partition::Appended {
  ProduceResult result;
  std::optional<Offset> committed_before_answer = std::nullopt;
  std::optional<Offset> synced_before_answer = std::nullopt;
};

Awaitable<ProduceResult> Partition::produce(Buffer batches, ProduceOptions options) {
  check_on_shard();
  const std::shared_ptr<Partition> self = shared_from_this();
  Appended appended = append(batches, options);
  appended.result.log_start_offset = log_start_offset();
  batches = {};  // the tail cache decides how long the bytes stay
  ErrorCode outcome = ErrorCode::none;
  const bool waits_for_replicas = appended.committed_before_answer.has_value();
  if (waits_for_replicas) {
    const Instant appended_at = shard_.now();
    outcome = co_await wait_for(committed_waiters_, *appended.committed_before_answer, options.deadline);
    // Otherwise the replica manager may have gone, at the end of the process, and what it counts with it.
    if (outcome == ErrorCode::none) {
      const Instant now = shard_.now();
      if (state_.metrics != nullptr) state_.metrics->commit_latency.observe(now - appended_at);
      if (state_.traffic != nullptr) state_.traffic->on_committed(now - appended_at, now);
    }
  } else if (appended.synced_before_answer) {
    outcome = co_await wait_for(synced_waiters_, *appended.synced_before_answer, options.deadline);
  }
  if (cut_off_ && outcome == ErrorCode::not_enough_replicas_after_append && !options.from_coordinator)
    outcome = ErrorCode::not_leader_or_follower;
  if (outcome == ErrorCode::none && appended.result.error == ErrorCode::none && !waits_for_replicas &&
      options.asked_at && state_.traffic != nullptr) {
    const Instant now = shard_.now();
    state_.traffic->on_answered(now - *options.asked_at, now);
  }
  if (outcome != ErrorCode::none) {
    appended.result.error = outcome;
    appended.result.first_offset.reset();
    appended.result.last_offset.reset();
  }
  co_return std::move(appended.result);
}

namespace {

ProduceResult refused(ErrorCode code, std::string message = {}) {
  ProduceResult r;
  r.error = code;
  r.is_definite = true;
  r.message = std::move(message);
  return r;
}

// compression.type: as the topic says, where the producer said otherwise. What would take too much memory for that
// stays as it came.
Result<Buffer> stored_form(const Buffer& batch, const StoredCodec& stored, common::records::BatchFacts& facts,
                           size_t batch_bytes_max) {
  constexpr size_t uncompressed_max = 64u << 20;
  if (!stored.codec || *stored.codec == facts.codec) return batch;
  const auto view = common::records::BatchView::parse_header(batch.view());
  if (!view) return tl::unexpected(view.error());
  Result<Buffer> again = common::records::recompress(*view, *stored.codec, stored.compression, uncompressed_max);
  if (!again) return batch;
  if (again->size() > batch_bytes_max) {
    return fail(ErrorCode::message_too_large, fmt::format("{} bytes under compression.type of the topic, {} allowed",
                                                          again->size(), batch_bytes_max));
  }
  facts.codec = *stored.codec;
  facts.size_bytes = again->size();
  return again;
}

}  // namespace

bool Partition::is_own_gap(const common::records::BatchFacts& batch) const {
  const auto found = unwritten_.find(batch.producer->id);
  if (found == unwritten_.end() || found->second.first.epoch != batch.producer->epoch) return false;
  if (shard_.now() - found->second.at > own_gap_patience) return false;
  constexpr int64_t sequences = int64_t{1} << 31;
  const int64_t ahead = (sequences + batch.producer->base_sequence - found->second.first.base_sequence) % sequences;
  return ahead > 0 && ahead < sequences / 2;
}

void Partition::note_unwritten(const common::records::ProducerStamp& first) {
  constexpr size_t producers_max = 10'000;
  const auto found = unwritten_.find(first.id);
  if (found != unwritten_.end() && found->second.first.epoch == first.epoch) {
    found->second.at = shard_.now();  // the first one counts
    found->second.number = ++last_refusal_;
    return;
  }
  if (unwritten_.size() >= producers_max) {
    // Those refused last are the ones whose next batches may be on their way. Thousands may be refused at one instant.
    using Refusal = std::pair<Instant, uint64_t>;
    const auto refusal_of = [](const Unwritten& unwritten) { return Refusal(unwritten.at, unwritten.number); };
    std::vector<Refusal> refusals;
    refusals.reserve(unwritten_.size());
    for (const auto& [id, unwritten] : unwritten_) refusals.push_back(refusal_of(unwritten));
    const auto median = refusals.begin() + static_cast<std::ptrdiff_t>(refusals.size() / 2);
    std::nth_element(refusals.begin(), median, refusals.end());
    std::erase_if(unwritten_, [&](const auto& entry) { return refusal_of(entry.second) <= *median; });
  }
  unwritten_.insert_or_assign(first.id, Unwritten{first, shard_.now(), ++last_refusal_});
}

std::optional<ProduceResult> Partition::refuse_unseen(const ProduceOptions& options) const {
  if (!tracker_) return refused(ErrorCode::not_leader_or_follower);
  if (options.only_in_epoch && *options.only_in_epoch != leader_epoch_)
    return refused(ErrorCode::not_leader_or_follower);
  // R33: clients look for another leader on this error, and not on those about replicas.
  if (options.acks == Acks::all && (cut_off_ || state_.behind())) {
    return refused(options.from_coordinator ? ErrorCode::not_enough_replicas : ErrorCode::not_leader_or_follower,
                   "cut off from the controller and the followers");
  }
  // R57: before the append, so that the failure is definite.
  if (options.acks == Acks::all && !tracker_->has_enough_replicas() && !mutant<"R57-appends-below-min-isr">()) {
    return refused(ErrorCode::not_enough_replicas,
                   fmt::format("{} in sync, {} needed", tracker_->isr_size(), tracker_->effective_min_isr()));
  }
  if (options.from_coordinator) return std::nullopt;
  if (!state_.low_on_space.empty() && state_.low_on_space.contains(directory_) &&
      !mutant<"R81-appends-below-the-line">())
    return refused(ErrorCode::kafka_storage_error, "low on disk space");  // R81
  // R33: nobody has heard of us for a session; somebody else may lead by now.
  if (state_.isolated() && options.acks != Acks::all && !mutant<"R33-acknowledges-in-isolation">())
    return refused(ErrorCode::not_leader_or_follower, "isolated");
  return std::nullopt;
}

std::optional<Partition::Appended> Partition::answer_by_producers(const std::vector<common::records::BatchFacts>& facts,
                                                                  const ProduceOptions& options) {
  for (const common::records::BatchFacts& batch : facts) {
    if (batch.marker) {
      if (auto checked = log_->producers().check_marker(batch); !checked) {
        return Appended{refused(checked.error().code, std::move(checked.error().message))};
      }
    }
    if (!batch.producer || batch.is_control) continue;
    Result<std::optional<common::records::KnownBatch>> known = log_->producers().check(batch);
    if (!known) {
      // R86: if somebody else leads by now, the gap may be ours and not the producer's.
      if (state_.isolated() && known.error().code == ErrorCode::out_of_order_sequence_number &&
          !mutant<"R86-claims-gaps-in-isolation">()) {
        return Appended{refused(ErrorCode::not_leader_or_follower, "isolated")};
      }
      if (known.error().code == ErrorCode::out_of_order_sequence_number && is_own_gap(batch) &&
          !mutant<"R86-blames-the-producer-for-own-gaps">()) {
        return Appended{refused(ErrorCode::kafka_storage_error, "what came before it could not be written")};
      }
      return Appended{refused(known.error().code, std::move(known.error().message))};
    }
    // R86: a producer may begin anywhere, but not behind what was refused here a moment ago and will come again.
    if (!*known && !log_->producers().knows(batch.producer->id) && is_own_gap(batch) &&
        !mutant<"R86-begins-behind-a-refusal">()) {
      return Appended{refused(ErrorCode::kafka_storage_error, "what came before it could not be written")};
    }
    if (!*known || mutant<"R85-appends-duplicates">()) continue;
    // R85: a retry of what we hold. Its answer is the first one's, and no sooner: once committed.
    Appended appended;
    appended.result.first_offset = (*known)->first_offset;
    appended.result.last_offset = (*known)->last_offset;
    if (settings_.log.log_append_time) appended.result.log_append_time = (*known)->timestamp;
    const Offset end = (*known)->last_offset.next();
    if (options.acks == Acks::all && end > high_watermark_ && !mutant<"R85-answers-a-duplicate-at-once">())
      appended.committed_before_answer = end;
    if (options.acks == Acks::leader && settings_.sync_before_ack && end > log_->flushed_offset() &&
        !mutant<"R47-acks-1-before-the-sync">()) {
      appended.synced_before_answer = end;
      flush_if_needed();
    }
    return appended;
  }
  return std::nullopt;
}

void Partition::note_appended(const std::vector<common::records::BatchFacts>& facts, size_t bytes, Instant begun) {
  if (!unwritten_.empty()) {
    for (const common::records::BatchFacts& batch : facts) {
      if (batch.producer) unwritten_.erase(batch.producer->id);
    }
  }
  counters_.bytes_in += bytes;
  for (const common::records::BatchFacts& batch : facts)
    counters_.messages_in += static_cast<uint64_t>(batch.record_count);
  const Instant now = shard_.now();
  if (state_.metrics != nullptr) state_.metrics->writes.add(now - begun);
  if (state_.traffic != nullptr) state_.traffic->on_appended(bytes, now);
  perform(tracker_->on_append(log_->log_end_offset(), now));
  for_observers([](FollowerObserver& o, uint32_t slot) { o.on_log_end(slot); });
  flush_if_needed();
}

namespace {

// Where the wall clock may be wrong, a record's time is out of range only if it is so by what is believed, too: a clock
// that was set back would refuse whatever clients with a right one write.
void allow_doubt(common::records::ProduceLimits& limits, const common::BelievedClock& clock, Instant now,
                 TimestampMs wall) {
  const auto longer = [](int64_t limit, int64_t by) { return limit > INT64_MAX - by ? INT64_MAX : limit + by; };
  limits.timestamp_before_max_ms =
      longer(limits.timestamp_before_max_ms, wall.value - clock.to_compare(now, wall).value);
  limits.timestamp_after_max_ms = longer(limits.timestamp_after_max_ms, clock.to_record(now, wall).value - wall.value);
}

}  // namespace

// Everything that is refused in here is a definite failure: nothing was appended.
Partition::Appended Partition::append(const Buffer& batches, const ProduceOptions& options) {
  if (is_offline()) return {refused(ErrorCode::kafka_storage_error, "the log directory is offline")};
  if (auto refusal = refuse_unseen(options)) {
    const auto first = common::records::BatchView::parse_header(batches.view());
    if (first && first->producer() && !first->is_control()) note_unwritten(*first->producer());
    return {*std::move(refusal)};
  }
  const Instant now = shard_.now();
  const TimestampMs wall = shard_.clock().wall_now();
  common::records::ProduceLimits limits = settings_.produce;
  allow_doubt(limits, state_.clock, now, wall);
  if (options.zstd_refused) limits.zstd = common::records::ZstdRule::refused;
  if (options.from_coordinator) limits.origin = common::records::AppendOrigin::coordinator;
  auto facts = common::records::validate_produced(batches.view(), limits, wall);
  if (!facts) {
    counters_.bytes_rejected += batches.size();
    count_fault(facts.error().fault, counters_);
    ProduceResult r = refused(facts.error().code, std::move(facts.error().message));
    for (auto& e : facts.error().record_errors) r.record_errors.push_back({e.batch_index, std::move(e.message)});
    return {std::move(r)};
  }
  if (auto answer = answer_by_producers(*facts, options)) return *std::move(answer);

  Result<Buffer> stored = options.from_coordinator
                              ? Result<Buffer>(batches)
                              : stored_form(batches, settings_.stored, facts->front(), limits.max_batch_bytes);
  if (!stored) return {refused(stored.error().code, std::move(stored.error().message))};
  const bool is_anew = stored->view().data() != batches.view().data();
  const Instant begun = shard_.now();
  Result<common::log::AppendInfo> info =
      log_->append_as_leader(*stored, *facts, leader_epoch_, state_.clock.to_record(now, wall),
                             is_anew ? stored->size() : options.frame_bytes, wall);
  if (!info) {
    for (const common::records::BatchFacts& batch : *facts) {
      if (batch.producer && !batch.is_control) note_unwritten(*batch.producer);
    }
    return {refused(info.error().code, std::move(info.error().message))};
  }
  // The batch was written, but its indexes were not: the directory has failed meanwhile (R76). Nobody is told to rely
  // on what lies there; what becomes of it is open.
  if (const auto& failure = log_->failure(); failure && !mutant<"R76-acknowledges-on-what-has-failed">()) {
    Appended in_doubt;
    in_doubt.result.error = failure->code;
    in_doubt.result.message = failure->message;
    return in_doubt;
  }
  note_appended(*facts, batches.size(), begun);

  Appended appended;
  appended.result.first_offset = info->first_offset;
  appended.result.last_offset = info->last_offset;
  appended.result.log_append_time = info->log_append_time;
  const Offset end = info->last_offset.next();
  if (options.acks == Acks::all && end > high_watermark_ && !mutant<"R50-acknowledges-before-the-commit">())
    appended.committed_before_answer = end;
  if (options.acks == Acks::leader && settings_.sync_before_ack && !mutant<"R47-acks-1-before-the-sync">())
    appended.synced_before_answer = end;
  return appended;
}

Awaitable<Result<void>> Partition::until_committed(Offset offset, Instant deadline) {
  check_on_shard();
  const std::shared_ptr<Partition> self = shared_from_this();
  if (is_offline()) co_return fail(ErrorCode::kafka_storage_error);
  if (!tracker_) co_return fail(ErrorCode::not_leader_or_follower);
  if (offset <= high_watermark_) co_return Result<void>();
  const ErrorCode outcome = co_await wait_for(committed_waiters_, offset, deadline);
  if (outcome != ErrorCode::none) co_return fail(outcome);
  co_return Result<void>();
}

// R58: answered by progress, by the end of the role, or by the deadline.
Awaitable<ErrorCode> Partition::wait_for(std::vector<Waiter*>& list, Offset required, Instant deadline) {
  Waiter waiter(shard_, list, required);
  co_await common::until(waiter.done, deadline);
  co_return waiter.outcome.value_or(ErrorCode::request_timed_out);
}

void Partition::complete(std::vector<Waiter*>& list, Offset reached, ErrorCode outcome) {
  size_t done = 0;
  for (; done < list.size() && list[done]->required <= reached; ++done) list[done]->answer(outcome);
  list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(done));
}

void Partition::complete_committed() {
  if (committed_waiters_.empty()) return;
  // R50: committed while the ISR has shrunk below the minimum is not what acks=all promises.
  const bool enough = !tracker_ || tracker_->has_enough_replicas() || mutant<"R50-forgets-the-isr-after-the-append">();
  complete(committed_waiters_, high_watermark_, enough ? ErrorCode::none : ErrorCode::not_enough_replicas_after_append);
}

void Partition::complete_low_watermark() {
  if (low_watermark_waiters_.empty() || !tracker_) return;
  const std::optional<Offset> low = tracker_->low_watermark(log_->log_start_offset());
  if (low) complete(low_watermark_waiters_, *low, ErrorCode::none);
}

void Partition::fail_all(std::vector<Waiter*>& list, ErrorCode code) {
  for (Waiter* waiter : std::exchange(list, {})) waiter->answer(code);
}

PositionVerdict Partition::on_follower_position(const FollowerPosition& position,
                                                std::optional<LeaderEpoch> last_epoch) {
  if (is_offline()) return {.error = ErrorCode::kafka_storage_error};
  if (!tracker_) {
    return {.error = position.leader_epoch > leader_epoch_ ? ErrorCode::unknown_leader_epoch
                                                           : ErrorCode::not_leader_or_follower};
  }
  // R61
  if (position.leader_epoch > leader_epoch_) return {.error = ErrorCode::unknown_leader_epoch};
  if (position.leader_epoch < leader_epoch_ && !mutant<"R61-serves-an-older-epoch">())
    return {.error = ErrorCode::fenced_leader_epoch};
  if (last_epoch) {
    const auto diverging = divergence(*last_epoch, position.fetch_offset);
    if (!diverging && !log_->epochs().latest()) return {.error = ErrorCode::offset_out_of_range};
    if (diverging && !mutant<"R49-counts-positions-that-diverge">()) return {.diverging = diverging};
  }
  if (position.fetch_offset < log_->log_start_offset() || position.fetch_offset > log_->log_end_offset()) {
    return {.error = ErrorCode::offset_out_of_range};
  }
  if (position.is_unverified) return {};
  perform(tracker_->on_follower_position(position, shard_.now()));
  complete_low_watermark();
  return {.in_sync = !tracker_ || tracker_->is_waited_for(position.follower, shard_.now())};
}

void Partition::on_follower_left(BrokerId follower, BrokerEpoch life) {
  if (is_offline() || !tracker_) return;
  if (is_followed_by(follower)) return;  // it has opened the partition anew before it closed the old slot
  perform(tracker_->on_follower_left(follower, life, shard_.now()));
}

LeaderView Partition::leader_view() const {
  return {.leader_epoch = leader_epoch_,
          .log_start_offset = log_start_offset(),
          .log_end_offset = log_end_offset(),
          .high_watermark = high_watermark_,
          .counts_synced = settings_.sync_before_ack};
}

void Partition::count_read_by(BrokerId follower, size_t bytes) {
  counters_.replication_bytes_out += bytes;
  if (is_being_added(follower)) counters_.reassignment_bytes_out += bytes;
}

Result<FollowerRead> Partition::read_for_follower(BrokerId follower, Offset from, size_t max_bytes) {
  if (is_offline()) return fail(ErrorCode::kafka_storage_error);
  Result<common::log::ReadResult> read = log_->read({.from = from,
                                                     .limit = log_->log_end_offset(),
                                                     .max_bytes = max_bytes,
                                                     .at_least_one = common::log::AtLeastOneBatch::yes});
  if (!read) return tl::unexpected(std::move(read.error()));
  FollowerRead out;
  out.records = std::move(read->records);
  count_read_by(follower, out.records.size());
  out.cold = read->is_cold;
  return out;
}

void Partition::read_cold_for_follower(BrokerId follower, Offset from, size_t max_bytes,
                                       std::function<void(Result<BufferChain>)> done) {
  if (is_offline()) {
    shard_.post([done = std::move(done)] { done(fail(ErrorCode::kafka_storage_error)); });
    return;
  }
  log_->read_cold({.from = from, .limit = log_->log_end_offset(), .max_bytes = max_bytes},
                  [done = std::move(done), weak = weak_from_this(), follower](Result<common::log::ReadResult> read) {
                    if (!read) return done(tl::unexpected(std::move(read.error())));
                    if (const auto self = weak.lock()) self->count_read_by(follower, read->records.size());
                    done(std::move(read->records));
                  });
}

Awaitable<Result<Offset>> Partition::delete_records(std::optional<Offset> before, Instant deadline) {
  check_on_shard();
  const std::shared_ptr<Partition> self = shared_from_this();
  if (is_offline()) co_return fail(ErrorCode::kafka_storage_error);
  if (!tracker_) co_return fail(ErrorCode::not_leader_or_follower);
  const Offset target = before.value_or(high_watermark_);
  if ((target > high_watermark_ && !mutant<"R82-deletes-above-the-hw">()) || target < Offset(0))
    co_return fail(ErrorCode::offset_out_of_range);  // R82
  log_->advance_log_start(target);
  for_observers([](FollowerObserver& o, uint32_t slot) { o.on_high_watermark(slot); });
  if (const auto low = tracker_->low_watermark(log_->log_start_offset()); low && *low >= target) co_return *low;
  const ErrorCode outcome = co_await wait_for(low_watermark_waiters_, target, deadline);
  if (outcome != ErrorCode::none) co_return fail(outcome);
  co_return tracker_ ? tracker_->low_watermark(log_start_offset()).value_or(target) : target;
}

}  // namespace broker::partition
