// What an operator allows replicas that are being moved to take (KIP-73): of a leader
// leader.replication.throttled.rate, for those that leader.replication.throttled.replicas of their topic names, and a
// follower follower.replication.throttled.rate, likewise. Leaders keep to both. They bound what the pace of
// catch_up_pace.h finds by itself, also where that would go faster because nobody minds.
//
// SendThrottle: any thread. ThrottledReplicas: pure, thread-compatible, one for each shard.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "common/model/types.h"

namespace broker::replication {

using common::model::BrokerId;
using common::model::Instant;
using common::model::PartitionIndex;

// Bytes a second, over all that is sent under it: each sending is paid for before the next begins. Nothing is saved up.
class SendThrottle {
 public:
  static constexpr int64_t unlimited = std::numeric_limits<int64_t>::max();

  // Another one than before holds from now on: what waits for the former is to look again.
  void set_rate(int64_t bytes_per_second);
  [[nodiscard]] bool is_set() const { return rate_.load(std::memory_order_relaxed) != unlimited; }
  [[nodiscard]] bool may_send(Instant now) const { return now >= ready_at(); }
  void on_sent(size_t bytes, Instant now);
  // They were paid for, and there was less to send.
  void give_back(size_t bytes);
  // When may_send will be true, if nobody sends meanwhile.
  [[nodiscard]] Instant ready_at() const;

 private:
  std::atomic<int64_t> rate_{unlimited};
  std::atomic<int64_t> paid_at_{0};  // as Instant counts
};

// Which replicas are throttled, on the leader's side or the follower's.
class ThrottledReplicas {
 public:
  struct Named {
    bool all = false;
    std::set<std::pair<int32_t, int32_t>> replicas;  // partition and broker
  };

  // `list`: "*" for all, or PARTITION:BROKER,...; what does not read so counts for nothing. Empty: none.
  void set(const std::string& topic, std::string_view list);
  [[nodiscard]] bool contain(std::string_view topic, PartitionIndex partition, BrokerId broker) const;
  [[nodiscard]] bool empty() const { return topics_.empty(); }
  [[nodiscard]] const std::map<std::string, Named, std::less<>>& topics() const { return topics_; }

 private:
  std::map<std::string, Named, std::less<>> topics_;
};

}  // namespace broker::replication
