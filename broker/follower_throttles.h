// What this broker, as a leader, may send to each follower whose replicas are throttled: its share of what all leaders
// together may (follower.replication.throttled.rate, KIP-73). One for all shards; any thread.
#pragma once
#include <cstdint>
#include <map>
#include <mutex>

#include "broker/replication/send_throttle.h"

namespace broker {

class FollowerThrottles {
 public:
  // Stays where it is.
  [[nodiscard]] replication::SendThrottle& of(common::model::BrokerId follower) {
    const std::lock_guard lock(mutex_);
    return throttles_[follower];
  }
  // Who is not named has no limit.
  void set_rates(const std::map<common::model::BrokerId, int64_t>& rates) {
    const std::lock_guard lock(mutex_);
    for (const auto& [follower, rate] : rates) throttles_[follower].set_rate(rate);
    for (auto& [follower, throttle] : throttles_) {
      if (!rates.contains(follower)) throttle.set_rate(replication::SendThrottle::unlimited);
    }
  }

 private:
  std::mutex mutex_;
  std::map<common::model::BrokerId, replication::SendThrottle> throttles_;
};

}  // namespace broker
