// What must hold of partitions: what was committed once is never lost, changed or moved, whoever leads; one leader an
// epoch; a high watermark that does not go back and is never ahead of the log or of what is committed; every member of
// an ISR or ELR that runs holds everything committed; and no follower is told that it holds other records than its
// leader.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/cluster.h"
#include "sim/complaints.h"
#include "sim/probes.h"

namespace sim {

using common::model::TopicIdPartition;

class PartitionInvariants {
 public:
  PartitionInvariants(Complaints& complaints, Probes& probes) : complaints_(complaints), probes_(probes) {}

  void on_started(const Node& node) { views_.erase(node.host()); }
  // Inside the event, on the partition's shard.
  void on_high_watermark(Node& node, broker::partition::Partition& partition);
  // After every event: whoever is counted on holds what was just committed.
  void after_event(Cluster& cluster, const controller::metadata::ImagePtr& newest);
  // Now and then: everything that costs a look at all partitions.
  void sweep(Cluster& cluster, const controller::metadata::ImagePtr& newest);
  // A client was told that this was committed.
  void on_acknowledged(const TopicIdPartition& id, int64_t offset);
  // Nothing is asked any more of what was committed below.
  void forget_below(const TopicIdPartition& id, int64_t offset);

  [[nodiscard]] uint64_t leader_changes() const { return leader_changes_; }
  [[nodiscard]] int64_t committed_end(const TopicIdPartition& id) const;

 private:
  struct Batch {
    int64_t next = 0;  // exclusive end
    uint64_t identity = 0;
  };
  // What is committed, over all times and leaders.
  struct Committed {
    std::vector<Batch> batches;  // gapless from `start`
    int64_t start = 0;
    std::map<int32_t, int> leaders;  // by epoch
    int32_t epoch = -1;
    [[nodiscard]] int64_t end() const { return batches.empty() ? start : batches.back().next; }
  };
  // What one process was seen to have.
  struct View {
    int64_t verified = 0;  // its log agrees with what is committed, up to here
    int32_t epoch = -1;
    int64_t high_watermark = -1;
    int64_t log_end = 0;
    int truncations = 0;
    int64_t cleaned = 0;
    bool leads = false;
  };
  using Views = std::unordered_map<TopicIdPartition, View, std::hash<TopicIdPartition>>;

  void check_contents(Node& node, broker::partition::Partition& partition, Committed& committed, View& view);
  void compare(Node& node, broker::partition::Partition& partition, common::log::Log& log_here, Committed& committed,
               View& view);
  void check_leader(Node& node, broker::partition::Partition& partition, Committed& committed);
  void check_members(Cluster& cluster, const controller::metadata::MetadataImage& image);
  void check_members_of(Cluster& cluster, const controller::metadata::MetadataImage& image, const std::string& topic,
                        const TopicIdPartition& id, const controller::metadata::PartitionImage& state);
  void note_change(const TopicIdPartition& id, const std::shared_ptr<const controller::metadata::PartitionImage>& state);
  void learn(Committed& committed, const common::records::BatchView& batch);
  [[nodiscard]] std::string name(Node& node, const broker::partition::Partition& partition) const;

  Complaints& complaints_;
  Probes& probes_;
  std::unordered_map<TopicIdPartition, Committed, std::hash<TopicIdPartition>> committed_;
  std::map<Host, Views> views_;
  uint64_t leader_changes_ = 0;
  std::map<TopicIdPartition, std::shared_ptr<const controller::metadata::PartitionImage>> seen_;
  std::set<BrokerId> fenced_;
  std::set<TopicIdPartition> just_committed_;  // in this event
};

}  // namespace sim
