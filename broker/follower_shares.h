// What a leader may send to a follower that is throttled (KIP-73): follower.replication.throttled.rate is for what all
// leaders send it together, and none knows how fast the others are. So each has the same part, as long as it has
// something for it.
//
// While 10,000 partitions are being moved, each that is in sync is another image: only what changed is looked at.
// Pure; thread-compatible, one for each shard.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "broker/replication/send_throttle.h"
#include "controller/metadata/image.h"

namespace broker {

class FollowerShares {
 public:
  // Bytes a second, by follower. Who is not in it has no limit, or nobody has anything for it.
  using Shares = std::map<common::model::BrokerId, int64_t>;

  // `delta` is all that happened to what was followed before; `named` are the replicas that topics' settings name in
  // `image`. True: the shares are others than before.
  bool follow(const controller::metadata::MetadataImage& image, const controller::metadata::ImageDelta& delta,
              const replication::ThrottledReplicas& named);
  [[nodiscard]] const Shares& shares() const { return shares_; }

 private:
  // Follower and leader, of replicas that are throttled and not in sync.
  using Feeds = std::vector<std::pair<common::model::BrokerId, common::model::BrokerId>>;

  void look_at(const controller::metadata::TopicImage& topic, common::model::PartitionIndex index,
               const replication::ThrottledReplicas& named);
  void forget(const std::string& topic);
  void count(const Feeds& feeds, int by);

  std::map<std::string, std::map<common::model::PartitionIndex, Feeds>> feeds_;  // of those that have any
  // How many of them there are, by follower and leader. Always the sum of feeds_.
  std::map<common::model::BrokerId, std::map<common::model::BrokerId, int64_t>> counts_;
  Shares shares_;
};

}  // namespace broker
