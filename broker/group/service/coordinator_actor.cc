#include "broker/group/service/coordinator_actor.h"

#include <algorithm>
#include <utility>

#include "broker/group/service/record_codec.h"
#include "common/model/mutant.h"

namespace broker::group {
namespace {

using common::Awaitable;
using common::model::Buffer;
using common::model::BufferChain;
using common::model::BytesView;
using common::model::fail;
using common::model::mutant;
using common::model::Result;
using common::records::BatchBuilder;
using common::records::BatchCursor;
using common::records::BatchView;
using common::records::Record;
using common::records::Visit;

constexpr std::chrono::milliseconds first_retry{50};
constexpr std::chrono::milliseconds longest_retry{5000};
constexpr std::chrono::seconds stood_still_min{1};  // by which a timer comes too late

// About what the records take in the queue and in the log.
size_t size_of(const std::vector<GroupRecord>& records) {
  size_t bytes = 0;
  for (const GroupRecord& record : records) {
    bytes += 64 + group_of(record).size();
    if (const auto* r = std::get_if<OffsetStored>(&record))
      bytes += r->partition.topic.size() + r->value.metadata.size();
    if (const auto* r = std::get_if<GroupStored>(&record))
      for (const StoredMember& m : r->value.members) bytes += 128 + m.subscription.size() + m.assignment.size();
  }
  return bytes;
}

// For who has waited long enough for a load. To the question of a rebalance some clients (sarama before 1.33, kafkajs)
// take the plain answer for a failure; on the other one all look for the coordinator anew, and find it here.
ErrorCode told_while_loading(const Request& request) {
  const bool rebalances = std::holds_alternative<JoinRequest>(request) || std::holds_alternative<SyncRequest>(request);
  return rebalances ? ErrorCode::not_coordinator : ErrorCode::coordinator_load_in_progress;
}

// The coordinator is to be looked for again. With COORDINATOR_NOT_AVAILABLE for an OffsetFetch Java's consumer gives
// up.
ErrorCode told_while_unusable(const Request& request) {
  return std::holds_alternative<FetchRequest>(request) ? ErrorCode::not_coordinator
                                                       : ErrorCode::coordinator_not_available;
}

// Requests that are pointless while nothing can be written. Membership goes on: it is in memory for the most part.
bool only_writes(const Request& request) {
  return std::holds_alternative<CommitRequest>(request) || std::holds_alternative<DeleteRequest>(request) ||
         std::holds_alternative<DeleteOffsetsRequest>(request);
}

bool is_over(ErrorCode error) {
  return error == ErrorCode::not_leader_or_follower || error == ErrorCode::fenced_leader_epoch ||
         error == ErrorCode::unknown_topic_or_partition;
}

}  // namespace

bool is_definite(ErrorCode error) {
  switch (error) {
    case ErrorCode::not_enough_replicas:
    case ErrorCode::message_too_large:
    case ErrorCode::record_list_too_large:
    case ErrorCode::invalid_record:
    case ErrorCode::invalid_timestamp:
    case ErrorCode::corrupt_message:
      return true;
    default:
      return false;
  }
}

CoordinatorActor::CoordinatorActor(common::Shard& shard, ActorOptions options, LeaderEpoch epoch,
                                   std::unique_ptr<CoordinatorLog> log)
    : shard_(shard),
      options_(std::move(options)),
      epoch_(epoch),
      log_(std::move(log)),
      loaded_(shard),
      wake_writer_(shard) {}

Moment CoordinatorActor::now() const {
  const Instant now = shard_.now();
  const TimestampMs wall = shard_.clock().wall_now();
  const common::BelievedClock& clock = log_->believed_clock();
  return {.now = now, .wall = clock.to_record(now, wall), .believed = clock.to_compare(now, wall)};
}

void CoordinatorActor::start() {
  shard_.spawn("group coordinator load", run_load(shared_from_this()));
  shard_.spawn("group coordinator writer", run_writer(shared_from_this()));
}

void CoordinatorActor::stop() {
  if (state_ == State::stopped) return;
  give_up(ErrorCode::not_coordinator, State::stopped);
  loaded_.set();
  wake_writer_.set();
}

void CoordinatorActor::give_up(ErrorCode error, State next) {
  state_ = next;
  ++life_;
  queue_.clear();
  queue_bytes_ = 0;
  timer_.cancel();
  armed_for_.reset();
  if (!coordinator_) return;
  const std::unique_ptr<GroupCoordinator> given_up = std::move(coordinator_);
  if (next == State::loading) unforgotten_ = given_up->unforgotten();
  for (Answered& answered : given_up->resign(error).answers) {
    const auto waiter = waiters_.extract(answered.token);
    if (!waiter) continue;
    waiter.mapped()->answer = std::move(answered.answer);
    waiter.mapped()->event.set();
  }
}

// ---- Loading ----

Awaitable<void> CoordinatorActor::run_load(std::shared_ptr<CoordinatorActor> self) {
  std::chrono::milliseconds retry = first_retry;
  while (self->state_ == State::loading) {
    const common::Instant begun = self->shard_.now();
    Result<void> loaded = co_await self->load();
    if (mutant<"R104-serves-after-a-failed-load">()) loaded = {};
    if (self->state_ != State::loading) co_return;
    if (loaded) {
      self->state_ = State::active;
      self->load_failed_ = false;
      self->load_time_ = self->shard_.now() - begun;
      self->perform(self->coordinator_->start(self->now()));
      self->forget_deleted_topics();
      self->options_.log.info(
          "serving in epoch {} after {} ms", self->epoch_,
          std::chrono::duration_cast<std::chrono::milliseconds>(self->shard_.now() - begun).count());
      self->loaded_.set();
      co_return;
    }
    self->coordinator_.reset();
    if (self->is_over_with(loaded.error().code)) co_return self->stop();
    // R104: a partition that cannot be read is answered with an error until it can, never as if it were empty.
    self->load_failed_ = true;
    self->options_.log.error("could not be loaded in epoch {}, next attempt in {} ms: {} {}", self->epoch_,
                             retry.count(), loaded.error().code, loaded.error().message);
    co_await common::sleep_until(self->shard_, self->shard_.now() + retry);
    retry = std::min(retry * 2, longest_retry);
  }
}

// A leader that is cut off answers as nobody's (R33), and may find out that it still is one: only the end of its epoch
// ends us.
bool CoordinatorActor::is_over_with(ErrorCode error) const {
  return is_over(error) && !log_->log_end_offset();
}

// R104: the whole partition, up to the log end as it is now. What earlier leaders left uncommitted is part of it, so
// nothing is served before all of that is committed.
Awaitable<Result<void>> CoordinatorActor::load() {
  coordinator_ = std::make_unique<GroupCoordinator>(options_.config);
  const Result<Offset> start = log_->log_start_offset();
  const Result<Offset> end = log_->log_end_offset();
  if (!start) co_return tl::unexpected(start.error());
  if (!end) co_return tl::unexpected(end.error());
  Offset next = *start;
  while (next < *end && !mutant<"R104-does-not-load">()) {
    Result<BufferChain> chunk = co_await log_->read(next, options_.load_chunk_bytes);
    if (state_ != State::loading) co_return fail(ErrorCode::not_leader_or_follower);
    if (!chunk) co_return tl::unexpected(chunk.error());
    const Offset before = next;
    const Buffer bytes = chunk->flatten();
    if (Result<void> replayed = replay(bytes.view(), next); !replayed) co_return replayed;
    if (next == before)
      co_return fail(ErrorCode::kafka_storage_error, fmt::format("nothing to read at {} below {}", next, *end));
    co_await common::yield_to(shard_);
    if (state_ != State::loading) co_return fail(ErrorCode::not_leader_or_follower);
  }
  const bool committed =
      mutant<"R104-serves-before-what-it-read-is-committed">() || co_await log_->until_committed_before(*end);
  if (committed) co_return Result<void>();
  if (const Result<Offset> still = log_->log_end_offset(); !still) co_return tl::unexpected(still.error());
  co_return fail(ErrorCode::request_timed_out, fmt::format("not committed up to {}", *end));
}

Result<void> CoordinatorActor::replay(BytesView batches, Offset& next) {
  BatchCursor cursor(batches);
  while (!cursor.at_end()) {
    const Result<BatchView> batch = cursor.next();
    if (!batch) return tl::unexpected(batch.error());
    if (!batch->crc_ok() && !mutant<"R104-loads-what-is-damaged">())
      return fail(ErrorCode::corrupt_message, fmt::format("checksum at {}", batch->base_offset()));
    if (Result<void> replayed = replay_batch(*batch, next); !replayed) return replayed;
    next = std::max(next, batch->next_offset());
  }
  return {};
}

Result<void> CoordinatorActor::replay_batch(const BatchView& batch, Offset from) {
  const std::optional<common::records::ProducerStamp> producer = batch.producer();
  if (batch.is_control()) {
    Result<std::optional<common::records::EndTxnMarker>> marker = common::records::end_txn_marker_in(batch);
    if (!marker) return tl::unexpected(marker.error());
    if (*marker && producer)
      coordinator_->replay_end(producer->id, (*marker)->type == common::records::MarkerType::commit
                                                 ? TransactionEnd::committed
                                                 : TransactionEnd::aborted);
    return {};
  }
  std::optional<ProducerId> in_transaction;
  if (batch.is_transactional() && producer) in_transaction = producer->id;
  Result<void> outcome;
  const Result<void> walked = common::records::for_each_record(batch, {}, [&](const Record& record) {
    if (record.offset < from) return Visit::go_on;
    Result<std::optional<GroupRecord>> decoded = record.key ? decode_record(*record.key, record.value)
                                                            : fail(ErrorCode::invalid_record, "a record without a key");
    if (!decoded) {
      outcome = fail(decoded.error().code, fmt::format("record at {}: {}", record.offset, decoded.error().message));
      return Visit::stop;
    }
    if (*decoded) coordinator_->replay(**decoded, in_transaction);
    return Visit::go_on;
  });
  return walked ? outcome : walked;
}

// ---- Running ----

bool CoordinatorActor::is_of_no_use_to(const Request& request) const {
  // Offsets are answered from memory, and never with an older value than another coordinator has acknowledged.
  return log_->is_cut_off() || (std::holds_alternative<FetchRequest>(request) && log_->may_be_outdated());
}

Awaitable<Answer> CoordinatorActor::ask(Request request, Instant patience) {
  const std::shared_ptr<CoordinatorActor> self = shared_from_this();
  if (is_of_no_use_to(request)) co_return refusal(request, told_while_unusable(request));
  if (state_ == State::loading && !load_failed_) {
    ++awaiting_load_;
    co_await common::until(loaded_, patience);
    --awaiting_load_;
  } else if (awaiting_load_ > 0 && state_ == State::active && !mutant<"R87-overtakes-who-waits-for-the-load">()) {
    // Commits of one connection must not overtake those that have just been woken (R87): these stand before us in the
    // loop's queue. Nor may who comes next overtake us, so we are one of those who wait.
    ++awaiting_load_;
    co_await common::yield_to(shard_);
    --awaiting_load_;
  }
  if (state_ == State::loading && !(mutant<"R104-answers-while-loading">() && coordinator_)) {
    co_return refusal(request, load_failed_ ? told_while_unusable(request) : told_while_loading(request));
  }
  if (state_ == State::stopped) co_return refusal(request, ErrorCode::not_coordinator);
  if (is_of_no_use_to(request)) co_return refusal(request, told_while_unusable(request));  // by now
  if (only_writes(request) && queue_bytes_ > options_.queue_bytes_max)
    co_return refusal(request, ErrorCode::coordinator_not_available);
  if (const auto* commit = std::get_if<CommitRequest>(&request); commit != nullptr && is_for_other_topics(*commit))
    co_return refusal(request, ErrorCode::coordinator_load_in_progress);
  const auto* fetch = std::get_if<FetchRequest>(&request);
  const bool asks_for_all = fetch != nullptr && !fetch->partitions;
  const RequestToken token(++last_token_);
  Waiter waiter(shard_);
  waiters_.emplace(token, &waiter);
  perform(coordinator_->handle(token, std::move(request), now()));
  while (!waiter.answer) co_await common::until(waiter.event);
  if (auto* fetched = std::get_if<FetchAnswer>(&*waiter.answer)) leave_out_former_topics(*fetched, asks_for_all);
  co_return std::move(*waiter.answer);
}

// Another topic has the name now, and the removal is not written yet: a group that began there would skip as much of
// the new one as it had read of the old one.
void CoordinatorActor::leave_out_former_topics(FetchAnswer& answer, bool asks_for_all) const {
  const auto is_former = [&](const FetchAnswer::Partition& found) {
    if (!found.value || !found.value->topic_id) return false;
    const std::optional<Uuid> now_there = log_->topic_id(found.partition.topic);
    return now_there && *now_there != *found.value->topic_id;
  };
  if (asks_for_all) {
    std::erase_if(answer.partitions, is_former);
    return;
  }
  for (FetchAnswer::Partition& found : answer.partitions) {
    if (is_former(found)) found.value.reset();
  }
}

// The connection's shard has a newer image than ours, or an older one. What we took now would be of a former topic to us,
// or of a topic whose deletion we have heard of already; in a moment both have the same image.
bool CoordinatorActor::is_for_other_topics(const CommitRequest& request) const {
  return std::ranges::any_of(request.partitions, [&](const CommitRequest::Partition& one) {
    if (!one.topic_id) return false;
    const std::optional<Uuid> there = log_->topic_id(one.partition.topic);
    return there && *there != *one.topic_id;
  });
}

void CoordinatorActor::on_topic_deleted(const std::string& topic, std::optional<Uuid> id) {
  if (state_ == State::active) {
    perform(coordinator_->on_topic_deleted(topic, now(), id));
  } else if (state_ == State::loading) {
    deleted_meanwhile_.emplace(topic, id);
  }
}

// What was deleted while nobody coordinated, or during the load, has its offsets in the log still: another topic of
// that name would be read from where the old one was left. Whatever earlier leaders took an offset for was in the
// metadata before our epoch; what we take ourselves may be of a newer image than ours, so later loads only look at what
// they were told.
void CoordinatorActor::forget_deleted_topics() {
  if (life_ == 0) {
    std::map<std::string, Uuid> there;
    for (const std::string& topic : coordinator_->topics()) {
      if (const auto id = log_->topic_id(topic)) there.emplace(topic, *id);
    }
    perform(coordinator_->forget_all_but(there, now()));
  }
  perform(coordinator_->forget(std::exchange(unforgotten_, {}), now()));
  for (const auto& [topic, id] : std::exchange(deleted_meanwhile_, {}))
    perform(coordinator_->on_topic_deleted(topic, now(), id));
}

void CoordinatorActor::perform(Effects effects) {
  for (const LogLine& line : effects.lines) {
    switch (line.level) {
      case LineLevel::debug:
        options_.log.debug("{}", line.text);
        break;
      case LineLevel::info:
        options_.log.info("{}", line.text);
        break;
      case LineLevel::warn:
        options_.log.warn("{}", line.text);
        break;
    }
  }
  for (Write& write : effects.writes) {
    queue_bytes_ += size_of(*write.records);
    queue_.push_back({write.id, std::move(write.records)});
  }
  if (!effects.writes.empty()) wake_writer_.set();
  for (Answered& answered : effects.answers) {
    const auto waiter = waiters_.extract(answered.token);
    NARU_CHECK(!waiter.empty(), "request {} answered twice", answered.token);
    waiter.mapped()->answer = std::move(answered.answer);
    waiter.mapped()->event.set();
  }
  arm();
}

void CoordinatorActor::arm() {
  const std::optional<Instant> next = coordinator_->next_deadline();
  if (next == armed_for_) return;
  armed_for_ = next;
  timer_.cancel();
  if (!next) return;
  timer_ = shard_.call_at(*next, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->state_ != State::active) return;
    const Moment now = self->now();
    const Instant due = std::exchange(self->armed_for_, std::nullopt).value_or(now.now);
    if (now.now - due > stood_still_min) {
      if (self->coordinator_->has_members()) {
        self->options_.log.warn("was not running for {} ms or more: its members get another session each",
                                std::chrono::duration_cast<std::chrono::milliseconds>(now.now - due).count());
      }
      self->coordinator_->on_pause(now);
    }
    self->perform(self->coordinator_->on_time(now));
  });
}

// ---- Writing: one batch at a time; what gathers meanwhile is the next one ----

Awaitable<void> CoordinatorActor::run_writer(std::shared_ptr<CoordinatorActor> self) {
  while (self->state_ != State::stopped) {
    if (self->queue_.empty()) {
      self->wake_writer_.reset();
      co_await common::until(self->wake_writer_);
      continue;
    }
    const int life = self->life_;
    const std::optional<Batch> batch = self->next_batch();
    if (!batch) continue;
    const Result<Offset> outcome = co_await self->log_->append(batch->bytes);
    if (self->life_ == life) self->on_append(*batch, outcome);
  }
}

std::optional<CoordinatorActor::Batch> CoordinatorActor::next_batch() {
  BatchBuilder builder;
  Batch batch;
  std::vector<std::pair<WriteId, common::model::Error>> failed;
  const TimestampMs timestamp = shard_.clock().wall_now();
  const size_t batch_bytes_max = std::min(options_.batch_bytes_max, log_->batch_bytes_max());
  while (!queue_.empty()) {
    std::vector<EncodedRecord> encoded;
    size_t bytes = 0;
    Result<void> good;
    for (const GroupRecord& record : *queue_.front().records) {
      Result<EncodedRecord> one = encode_record(record);
      if (!one) {
        good = tl::unexpected(std::move(one.error()));
        break;
      }
      // 32 bytes cover a record's own fields.
      bytes += 32 + one->key.size() + (one->value ? one->value->size() : 0);
      encoded.push_back(std::move(*one));
    }
    if (good && bytes + common::records::batch_header_size > batch_bytes_max)
      good = fail(ErrorCode::message_too_large, fmt::format("{} bytes in one write", bytes));
    if (good && !builder.empty() && builder.size_bytes() + bytes > batch_bytes_max) break;
    const WriteId id = queue_.front().id;
    queue_bytes_ -= size_of(*queue_.front().records);
    queue_.pop_front();
    if (!good) {
      failed.emplace_back(id, std::move(good.error()));
      continue;
    }
    for (const EncodedRecord& e : encoded) {
      const std::optional<BytesView> value = e.value ? std::optional(e.value->view()) : std::nullopt;
      builder.add({.timestamp = timestamp, .key = e.key.view(), .value = value});
    }
    batch.ids.push_back(id);
  }
  if (!builder.empty()) batch.bytes = builder.build();
  for (const auto& [id, error] : failed) {
    options_.log.warn("a write is refused: {} {}", error.code, error.message);
    perform(coordinator_->on_write_failed(id, error.code, now()));
  }
  return batch.ids.empty() ? std::nullopt : std::optional(std::move(batch));
}

void CoordinatorActor::on_append(const Batch& batch, const Result<Offset>& outcome) {
  if (outcome) return perform(coordinator_->on_committed(batch.ids.back(), now()));
  const ErrorCode error = outcome.error().code;
  if (is_definite(error)) {
    options_.log.warn("{} writes failed: {} {}", batch.ids.size(), error, outcome.error().message);
    for (const WriteId id : batch.ids) perform(coordinator_->on_write_failed(id, error, now()));
    return;
  }
  if (is_over_with(error)) return stop();
  // The records may or may not be in the log, so the log must say what is true.
  options_.log.warn("the outcome of {} writes is unknown, loading again: {} {}", batch.ids.size(), error,
                    outcome.error().message);
  loaded_.reset();
  give_up(ErrorCode::coordinator_not_available, State::loading);
  shard_.spawn("group coordinator load", run_load(shared_from_this()));
}

}  // namespace broker::group
