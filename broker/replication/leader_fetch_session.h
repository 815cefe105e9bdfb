// The leader's side of one fetch stream: where one follower's shard stands in each partition of one of our shards, and
// what to send it next.
//
// Rules (docs/architecture.md, "The path of a record"): a position comes only when it changed; at most one unanswered
// answer for each partition, so pipelining is across partitions; bytes in unanswered answers stay below a credit; ready
// partitions take turns, at least one batch each; a high watermark that moves alone is sent a little later, with all
// others that moved meanwhile; an idle partition costs nothing.
//
// Told what happened; next_frame() says what to send whenever the transport can take a frame. Positions that are ahead
// of our metadata are kept until our role changes: a new leader that learns of its leadership after its followers
// serves them at once.
//
// Thread-compatible: lives on the leader's shard.
#pragma once
#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "broker/partition/leader_replica.h"
#include "broker/replication/catch_up_pace.h"
#include "broker/replication/frames.h"
#include "broker/replication/send_throttle.h"
#include "common/model/result.h"

namespace broker::replication {

struct LeaderFetchOptions {
  size_t credit_bytes = 10 << 20;    // replica.fetch.response.max.bytes
  size_t partition_bytes = 1 << 20;  // replica.fetch.max.bytes
  size_t frame_bytes = 1 << 20;      // of one frame; large enough to be worth a write, small enough for turns
  size_t slots_max = 1 << 20;
  CatchUpPace* pace = nullptr;  // of replicas that are not in sync; none: as fast as they take it
  // What of them this concerns goes no faster than that, whatever the pace is. Both or neither.
  SendThrottle* throttle = nullptr;
  std::function<bool(const TopicIdPartition&)> is_throttled;
  // The same for what one follower is sent by us; asked for when its stream begins. Both or neither.
  std::function<SendThrottle*(BrokerId)> follower_throttle;
  std::function<bool(const TopicIdPartition&, BrokerId)> is_throttled_for;
  // Long enough that under load the next answer carries it: a frame of its own wakes both brokers. Kafka's followers
  // hear of one within replica.fetch.wait.max.ms (500 ms).
  Duration high_watermark_delay = std::chrono::milliseconds(25);
};

// Finds a partition of this shard; null if there is none (yet).
using FindReplica = std::function<std::shared_ptr<partition::LeaderReplica>(const TopicIdPartition&)>;

class LeaderFetchSession final : public partition::FollowerObserver {
 public:
  // `on_work`: called when next_frame() may have become useful; it takes a note and returns.
  LeaderFetchSession(FollowerHello follower, LeaderFetchOptions options, FindReplica find,
                     std::function<void()> on_work);
  ~LeaderFetchSession() override;
  LeaderFetchSession(const LeaderFetchSession&) = delete;
  LeaderFetchSession& operator=(const LeaderFetchSession&) = delete;

  // Bad input (an unknown slot, a slot opened twice) is an error: the shell ends the stream.
  [[nodiscard]] common::model::Result<void> on_frame(const FollowerFrame& frame, Instant now);

  // false: next_frame() would have nothing.
  [[nodiscard]] bool has_work(Instant now) const {
    return (!ready_.empty() && has_credit()) || has_paced_work(now) || has_throttled_work(now) ||
           (high_watermarks_due_ && now >= *high_watermarks_due_) ||
           (!high_watermarks_.empty() && !high_watermarks_due_);
  }
  // The next frame to send, if there is anything; call again until none.
  [[nodiscard]] std::optional<LeaderFrame> next_frame(Instant now);
  // A frame that says nothing but that we are here.
  [[nodiscard]] LeaderFrame heartbeat() { return {.sequence = ++last_sent_, .answers = {}, .high_watermarks = {}}; }
  // When next_frame() will have something without a further event: high watermarks that are being collected.
  [[nodiscard]] std::optional<Instant> next_deadline() const {
    std::optional<Instant> at = high_watermarks_due_;
    if (!paced_.empty() && has_credit()) at = std::min(at.value_or(Instant::max()), options_.pace->ready_at());
    for (const Bound& bound : bounds_) {
      if (!bound.waiting.empty() && has_credit()) at = std::min(at.value_or(Instant::max()), bound.next_turn());
    }
    return at;
  }

  [[nodiscard]] const FollowerHello& follower() const { return follower_; }
  [[nodiscard]] Instant last_heard() const { return last_heard_; }
  [[nodiscard]] size_t bytes_unanswered() const { return bytes_unanswered_; }
  [[nodiscard]] size_t open_slots() const { return open_slots_; }

  [[nodiscard]] common::model::BrokerId follower_id() const override { return follower_.node_id; }
  void on_log_end(uint32_t slot) override;
  void on_high_watermark(uint32_t slot) override;
  void on_role(uint32_t slot) override;
  // The throttle is another, or concerns others: whoever waits for it looks again.
  void on_throttle_changed();
  // A partition appeared on this shard: positions that were kept for it are looked at.
  void on_replica_created(const TopicIdPartition& partition);

 private:
  enum class Standing {
    unknown,   // no position yet, or the partition is not ours (yet): wait for on_role
    matching,  // the position is a prefix of our log in our epoch
    refused,   // an answer says why; the next position decides
  };
  // A throttle, and who waits for it here.
  struct Bound {
    SendThrottle* throttle = nullptr;
    std::function<bool(const TopicIdPartition&)> concerns;
    std::vector<uint32_t> waiting;  // ready, but not in sync, and it does not let them through now
    Instant paid_until{};           // by what it last let through here

    // Who had the last turn comes after those who wait on other streams of the shard: its timer is older than theirs,
    // and it would always be the first again.
    [[nodiscard]] Instant next_turn() const {
      const Instant at = throttle->ready_at();
      return at == paid_until ? at + Duration(1) : at;
    }
  };
  static constexpr size_t bounds = 2;  // of all that we send, and of what this follower is sent
  struct Slot {
    TopicIdPartition id;
    std::shared_ptr<partition::LeaderReplica> replica;
    bool has_position = false;
    bool in_ready_queue = false;  // or among the paced or throttled
    bool high_watermark_noted = false;
    uint64_t cold_read = 0;  // which one is under way; 0: none
    Standing standing = Standing::unknown;
    partition::PositionVerdict verdict;
    partition::ReplicaPosition position;
    // R59: what the follower's copy ends with, until it has been compared; no position counts before.
    std::optional<partition::BatchIdentity> unverified;
    uint64_t comparison = 0;  // which one is under way; 0: none
    bool differs = false;     // its outcome
    uint64_t unanswered = 0;  // number of the answer that the follower owes us a position for
    size_t unanswered_bytes = 0;
    bool was_refused = false;   // the follower asks for the very records again that it has just been sent
    uint64_t generation = 0;    // of what is asked for: a cold read for an older one is thrown away
    size_t reserved_bytes = 0;  // of the credit, while a cold read runs
    size_t paced_bytes = 0;     // what the pace was paid for, and is not sent yet
    // What each throttle was paid for, and is not sent yet.
    std::array<size_t, bounds> prepaid_bytes{};
    BufferChain cold_records;
    Offset high_watermark_sent;
    Offset log_start_sent;
    common::model::LeaderEpoch epoch_sent;  // a follower forgets with each epoch
    bool counts_synced_sent = false;
    bool anything_sent = false;

    [[nodiscard]] bool knows(const partition::LeaderView& view) const {
      return anything_sent && position.ask.leader_epoch == epoch_sent && view.high_watermark == high_watermark_sent &&
             view.log_start_offset == log_start_sent && view.counts_synced == counts_synced_sent;
    }
    void on_sent(const partition::LeaderView& view) {
      anything_sent = true;
      epoch_sent = position.ask.leader_epoch;
      high_watermark_sent = view.high_watermark;
      log_start_sent = view.log_start_offset;
      counts_synced_sent = view.counts_synced;
    }
  };

  [[nodiscard]] Slot* find(uint32_t number);
  common::model::Result<void> open(const OpenSlot& opened);
  common::model::Result<void> close(uint32_t number);
  common::model::Result<void> take(const SlotPosition& said);
  void resolve(uint32_t number);
  void forget_unresolved(uint32_t number);
  void judge(uint32_t number);
  void compare(uint32_t number);
  void on_compared(uint32_t number, uint64_t comparison, partition::Compared compared);
  void settle(Slot& slot);
  void enqueue(uint32_t number);
  void note_high_watermark(uint32_t number);
  [[nodiscard]] bool has_credit() const { return bytes_unanswered_ < options_.credit_bytes; }
  [[nodiscard]] bool is_paced(const Slot& slot) const { return options_.pace != nullptr && !slot.verdict.in_sync; }
  // Its turn comes when the pace allows it. What was read of the disk has had it.
  [[nodiscard]] bool is_held_back(const Slot& slot, Instant now) const {
    return slot.standing == Standing::matching && slot.cold_records.empty() && is_paced(slot) &&
           !options_.pace->may_send(now);
  }
  [[nodiscard]] bool has_paced_work(Instant now) const {
    return !paced_.empty() && has_credit() && options_.pace->may_send(now);
  }
  [[nodiscard]] static bool is_throttled(const Bound& bound, const Slot& slot) {
    return bound.throttle != nullptr && bound.throttle->is_set() && !slot.verdict.in_sync && bound.concerns(slot.id);
  }
  // The first that does not let it through now; null: none. What was read of the disk is paid for already.
  [[nodiscard]] Bound* to_be_paid_first(const Slot& slot, Instant now);
  static void pay(Bound& bound, const Slot& slot, size_t bytes, Instant now);
  [[nodiscard]] bool has_throttled_work(Instant now) const {
    return has_credit() && std::ranges::any_of(bounds_, [now](const Bound& bound) {
             return !bound.waiting.empty() && bound.throttle->may_send(now);
           });
  }
  // What a follower cannot append (R69) it keeps unanswered while it backs off: one batch is enough to find out whether
  // it can by now, and leaves the credit to the others.
  [[nodiscard]] size_t read_bytes(const Slot& slot) const {
    if (slot.was_refused) return 1;
    return is_paced(slot) ? std::min(options_.partition_bytes, options_.pace->turn_bytes()) : options_.partition_bytes;
  }
  void release_held_back(Instant now);
  void answer(uint32_t number, LeaderFrame& frame, size_t& frame_bytes, Instant now);
  bool fill(uint32_t number, SlotAnswer& answer, Instant now);
  void start_cold_read(uint32_t number, Instant now);
  void on_cold_read(uint32_t number, uint64_t read, uint64_t generation, common::model::Result<BufferChain> records);
  void give_up_cold_read(Slot& slot);
  // What pace and throttles were paid for, and will not be sent.
  void give_back(Slot& slot);
  void collect_high_watermarks(LeaderFrame& frame);

  const FollowerHello follower_;
  const LeaderFetchOptions options_;
  FindReplica find_;
  std::function<void()> on_work_;
  std::vector<std::unique_ptr<Slot>> slots_;  // by number; null: closed, and never used again on this stream
  size_t open_slots_ = 0;
  std::multimap<TopicIdPartition, uint32_t> unresolved_;  // open, but there is no such replica here
  std::deque<uint32_t> ready_;
  std::vector<uint32_t> paced_;  // ready, but not in sync, and the pace does not allow more now
  std::array<Bound, bounds> bounds_;
  std::vector<uint32_t> high_watermarks_;
  std::optional<Instant> high_watermarks_due_;
  size_t bytes_unanswered_ = 0;  // sum of unanswered and reserved bytes: below the credit when an answer begins
  uint64_t last_received_ = 0;
  uint64_t last_sent_ = 0;
  uint64_t last_answer_ = 0;
  uint64_t last_cold_read_ = 0;
  uint64_t last_comparison_ = 0;
  Instant last_heard_;
  std::shared_ptr<LeaderFetchSession*> self_;  // null inside once destroyed: cold reads and comparisons come back late
};

}  // namespace broker::replication
