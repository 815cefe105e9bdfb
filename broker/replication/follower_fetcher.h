// The follower's side of one fetch stream: which partitions of one leader's shard we follow, what we have told the
// leader of each, and what its answers do to them.
//
// A position is sent when it differs from the one sent last or when an answer has to be answered; positions of a moment
// travel in one frame. A partition that fails waits alone and asks again later (R69).
//
// Lives for one stream; a broken stream gets a new one, which opens every partition again. Thread-compatible: lives on
// the follower's shard.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "broker/partition/follower_replica.h"
#include "broker/replication/frames.h"
#include "common/model/result.h"

namespace broker::replication {

struct FollowerFetchOptions {
  Duration backoff = std::chrono::milliseconds(100);            // replica.fetch.backoff.ms
  Duration metadata_patience = std::chrono::milliseconds(500);  // ask again although nothing has changed
  size_t slots_before_anew = 1 << 16;                           // far below what a leader takes of one stream
};

class FollowerFetcher final : public partition::PositionObserver {
 public:
  // `on_work`: called when next_frame() may have become useful; it takes a note and returns.
  FollowerFetcher(FollowerFetchOptions options, std::function<void()> on_work);
  ~FollowerFetcher() override;
  FollowerFetcher(const FollowerFetcher&) = delete;
  FollowerFetcher& operator=(const FollowerFetcher&) = delete;

  void follow(const TopicIdPartition& id, std::shared_ptr<partition::FollowerReplica> replica);
  void unfollow(const TopicIdPartition& id);
  [[nodiscard]] bool follows(const TopicIdPartition& id) const { return by_id_.contains(id); }
  [[nodiscard]] size_t size() const { return by_id_.size(); }
  // A number is never used again on a stream, so each partition that was ever followed leaves one behind at both ends,
  // and the leader takes no more than so many. Where most are of partitions that are gone, another stream is cheaper.
  [[nodiscard]] bool is_worn_out() const {
    return slots_.size() >= options_.slots_before_anew && 2 * by_id_.size() <= slots_.size();
  }

  // Applies the answers. An error means that the leader broke the rules of the stream: end it.
  [[nodiscard]] common::model::Result<void> on_frame(LeaderFrame frame, Instant now);
  // false: next_frame() would have nothing.
  [[nodiscard]] bool has_work(Instant now) const {
    return !dirty_.empty() || !to_close_.empty() || (!resumes_.empty() && resumes_.begin()->first <= now);
  }
  [[nodiscard]] std::optional<FollowerFrame> next_frame(Instant now);
  // Whether others of the shard should have their turn before the next one: what many copies end with was looked at.
  [[nodiscard]] bool gives_way() const { return gives_way_; }
  // A frame that says nothing but that we are here.
  [[nodiscard]] FollowerFrame heartbeat() {
    return {.sequence = ++last_sent_, .opened = {}, .positions = {}, .closed = {}};
  }
  // When a partition that backs off wants to ask again.
  [[nodiscard]] std::optional<Instant> next_deadline() const;

  void on_position_changed(uint32_t slot) override;

 private:
  struct Slot {
    TopicIdPartition id;
    std::shared_ptr<partition::FollowerReplica> replica;
    bool is_announced = false;
    bool dirty = false;     // in dirty_
    bool busy = false;      // the disk is at work on an answer
    uint64_t answered = 0;  // number of the last answer received
    bool owes_answer = false;
    bool owes_last_batch = true;  // nothing was said of what the copy ends with since it was opened, or cut
    std::optional<partition::ReplicaPosition> sent;
    std::optional<Instant> resumes_at;  // backing off until then
  };

  common::model::Result<void> apply(SlotAnswer answer, Instant now);
  [[nodiscard]] Slot* find(uint32_t number) { return number < slots_.size() ? slots_[number].get() : nullptr; }
  void mark_dirty(uint32_t number);
  void back_off(uint32_t number, Instant until);
  void resume_due(Instant now);

  const FollowerFetchOptions options_;
  std::function<void()> on_work_;
  std::vector<std::unique_ptr<Slot>> slots_;  // by number; null: closed, and never used again on this stream
  boost::unordered_flat_map<TopicIdPartition, uint32_t, std::hash<TopicIdPartition>> by_id_;
  std::vector<uint32_t> dirty_;
  std::vector<uint32_t> to_close_;
  std::multimap<Instant, uint32_t> resumes_;
  bool gives_way_ = false;
  uint64_t last_received_ = 0;
  uint64_t last_sent_ = 0;
};

}  // namespace broker::replication
