// Reads for clients: records, offsets by time, ends of epochs.
#include <algorithm>
#include <utility>

#include "broker/partition/partition.h"
#include "broker/partition/partition_detail.h"
#include "common/model/mutant.h"

namespace broker::partition {

using common::model::fail;
using common::model::mutant;

// KIP-320: the reader's idea of the epoch against ours.
Result<void> Partition::check_epoch(std::optional<LeaderEpoch> current) const {
  if (!current || *current == leader_epoch_) return {};
  if (mutant<"R61-serves-any-readers-epoch">()) return {};
  if (*current < leader_epoch_) return fail(ErrorCode::fenced_leader_epoch);
  return fail(ErrorCode::unknown_leader_epoch);
}

Result<void> Partition::check_reader(std::optional<LeaderEpoch> current, bool leader_only) const {
  if (is_offline()) return fail(ErrorCode::kafka_storage_error, "the log directory is offline");
  if (auto epoch = check_epoch(current); !epoch) return epoch;
  if (role_ == Role::none || (leader_only && role_ != Role::leader)) return fail(ErrorCode::not_leader_or_follower);
  if (role_ == Role::leader && state_.behind() && !mutant<"R33-leads-without-the-metadata">())
    return fail(ErrorCode::not_leader_or_follower, "the metadata stands still here");
  return {};
}

std::optional<EpochEnd> Partition::divergence(LeaderEpoch last_epoch, Offset fetch_offset) const {
  return find_divergence(LogFacts(*log_), last_epoch, fetch_offset);
}

Offset Partition::readable_end(Isolation isolation) const {
  if (mutant<"R68-reads-beyond-the-hw">() && log_) return log_->log_end_offset();
  if (isolation == Isolation::read_uncommitted || !log_) return high_watermark_;
  const std::optional<Offset> unstable = log_->producers().first_unstable_offset();
  if (mutant<"R94-ignores-open-transactions">()) return high_watermark_;
  return unstable ? std::min(*unstable, high_watermark_) : high_watermark_;
}

Awaitable<Result<ReadResult>> Partition::read(ReadOptions options) {
  check_on_shard();
  const std::shared_ptr<Partition> self = shared_from_this();
  if (auto checked = check_reader(options.current_leader_epoch, options.leader_only); !checked) {
    co_return tl::unexpected(std::move(checked.error()));
  }
  ReadResult out;
  out.high_watermark = high_watermark_;
  out.last_stable_offset = readable_end(Isolation::read_committed);
  out.log_start_offset = log_->log_start_offset();
  if (options.last_fetched_epoch) {
    if (auto diverging = divergence(*options.last_fetched_epoch, options.from)) {
      out.diverging = diverging;
      co_return out;
    }
  }
  if (options.from < log_->log_start_offset() || options.from > log_->log_end_offset()) {
    // Readers without an epoch of their own (before KIP-320) would start over: they come from the leader that replaced us.
    if (role_ == Role::leader && state_.isolated() && options.from > log_->log_end_offset())
      co_return fail(ErrorCode::not_leader_or_follower);
    co_return fail(ErrorCode::offset_out_of_range);  // beyond a follower's end: the reader asks the leader then (R68)
  }
  if (role_ == Role::follower && options.from > high_watermark_ && !mutant<"R68-empty-beyond-a-followers-hw">())
    co_return fail(ErrorCode::offset_not_available);  // R68
  const Offset limit = options.to_log_end ? log_->log_end_offset() : readable_end(options.isolation);
  if (options.from >= limit) co_return out;

  const auto at_least_one =
      options.at_least_one_batch ? common::log::AtLeastOneBatch::yes : common::log::AtLeastOneBatch::no;
  Result<common::log::ReadResult> read =
      log_->read({.from = options.from, .limit = limit, .max_bytes = options.max_bytes, .at_least_one = at_least_one});
  if (!read) co_return tl::unexpected(std::move(read.error()));
  if (!read->is_cold) {
    out.records = std::move(read->records);
    co_return out;
  }
  Result<BufferChain> cold =
      co_await read_from_disk(options.from, limit, options.max_bytes, options.at_least_one_batch);
  if (!cold) co_return tl::unexpected(std::move(cold.error()));
  // What is below the high watermark never changes; what a coordinator reads above it might, if the role ended
  // meanwhile.
  if (options.to_log_end && role_ != Role::leader) co_return fail(ErrorCode::not_leader_or_follower);
  out.records = std::move(*cold);
  co_return out;
}

Awaitable<Result<BufferChain>> Partition::read_from_disk(Offset from, Offset limit, size_t max_bytes,
                                                         bool at_least_one) {
  const auto pending = std::make_shared<ColdRead>(shard_);
  cold_reads_.push_back(pending);
  log_->read_cold({.from = from,
                   .limit = limit,
                   .max_bytes = max_bytes,
                   .at_least_one = at_least_one ? common::log::AtLeastOneBatch::yes : common::log::AtLeastOneBatch::no},
                  [pending](Result<common::log::ReadResult> result) {
                    pending->result.emplace(std::move(result));
                    pending->done.set();
                  });
  co_await common::until(pending->done);
  std::erase(cold_reads_, pending);
  if (!*pending->result) co_return tl::unexpected(std::move(pending->result->error()));
  co_return std::move((*pending->result)->records);
}

Awaitable<Result<OffsetAndTimestamp>> Partition::locate(LocateOptions options) {
  check_on_shard();
  const std::shared_ptr<Partition> self = shared_from_this();
  if (auto checked = check_reader(options.current_leader_epoch, options.leader_only); !checked) {
    co_return tl::unexpected(std::move(checked.error()));
  }
  const auto* special = std::get_if<SpecialTime>(&options.at);
  // KIP-207: a new leader's high watermark may be stale; an answer from it could go back.
  const bool stale = tracker_ && options.isolation && tracker_->leader_epoch_start_offset() > high_watermark_ &&
                     !mutant<"R50-latest-from-a-stale-hw">();
  if (special != nullptr && *special == SpecialTime::latest) {
    if (stale) co_return fail(ErrorCode::offset_not_available);
    OffsetAndTimestamp out;
    out.offset = options.isolation ? readable_end(*options.isolation) : log_->log_end_offset();
    out.leader_epoch = log_->epochs().latest();
    co_return out;
  }
  if (special != nullptr && *special == SpecialTime::earliest) {
    OffsetAndTimestamp out;
    out.offset = log_->log_start_offset();
    out.leader_epoch = log_->epochs().epoch_at(*out.offset);
    co_return out;
  }
  Result<OffsetAndTimestamp> found = co_await locate_in_log(options);
  // Not found, or found beyond what we know to be committed: it may be there all the same.
  if (found && stale && (!found->offset || *found->offset >= high_watermark_))
    co_return fail(ErrorCode::offset_not_available);
  co_return found;
}

Awaitable<Result<OffsetAndTimestamp>> Partition::locate_in_log(LocateOptions options) {
  const Offset limit = options.isolation ? readable_end(*options.isolation) : log_->log_end_offset();
  const auto pending = std::make_shared<ColdRead>(shard_);
  cold_reads_.push_back(pending);
  common::log::FindDone done = [pending](Result<std::optional<common::log::FoundRecord>> found) {
    pending->found.emplace(std::move(found));
    pending->done.set();
  };
  if (const auto* time = std::get_if<TimestampMs>(&options.at)) {
    log_->find_timestamp(*time, limit, std::move(done));
  } else {
    log_->find_largest_timestamp(limit, std::move(done));
  }
  co_await common::until(pending->done);
  std::erase(cold_reads_, pending);
  if (!*pending->found) co_return tl::unexpected(std::move(pending->found->error()));
  OffsetAndTimestamp out;
  if (const auto& record = **pending->found) {
    out.offset = record->offset;
    out.timestamp = record->timestamp;
    out.leader_epoch = record->leader_epoch;
  }
  co_return out;
}

Result<std::optional<EpochEnd>> Partition::epoch_end(std::optional<LeaderEpoch> current_leader_epoch,
                                                     LeaderEpoch asked) const {
  check_on_shard();
  if (auto checked = check_reader(current_leader_epoch, true); !checked)
    return tl::unexpected(std::move(checked.error()));
  if (asked < LeaderEpoch(0)) return std::optional<EpochEnd>();  // who has no epoch is not told that its log was cut
  const auto found = log_->epochs().end_offset_for(asked, log_->log_end_offset());
  if (!found) return std::optional<EpochEnd>();
  return std::optional(EpochEnd{.epoch = found->epoch, .end_offset = found->end_offset});
}

}  // namespace broker::partition
