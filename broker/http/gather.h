// One look at a broker: copies of what its shards count, made by a short piece of work posted to each of them. Nothing
// is kept up to date between looks, and no shard waits for another one.
//
// The coroutines run on the HTTP shard.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "broker/api/request_metrics.h"
#include "broker/cleaner/log_cleaner.h"
#include "broker/group/coordinator.h"
#include "broker/http/parts.h"
#include "broker/partition/directories.h"
#include "broker/partition/partition.h"
#include "broker/partition/partition_metrics.h"
#include "broker/server/client_software.h"
#include "controller/metadata/image.h"
#include "controller/quorum/measures.h"
#include "controller/raft/status.h"

namespace broker::http {

struct ReplicaSample {
  partition::PartitionDescription facts;
  partition::PartitionCounters counters;
  bool offline = false;
};

struct ShardSample {
  std::vector<ReplicaSample> replicas;
  size_t unusable = 0;
  partition::ShardPartitionMetrics partitions;
  std::vector<api::ApiMetrics> requests;  // by API key
  api::Waiting waiting;                   // requests
  std::optional<cleaner::CleanerStanding> cleaner;
  std::map<server::SoftwareTable::Key, uint64_t> software;  // connections by client library
  common::Duration cpu_time{0};  // that its thread has used
};

struct BrokerSample {
  common::Instant taken;
  common::model::TimestampMs wall;
  std::vector<ShardSample> shards;
  controller::metadata::ImagePtr image;  // never null
  std::optional<controller::raft::QuorumStatus> quorum;
  controller::quorum::RaftMeasures raft;
  controller::quorum::ControllerMeasures controller;
  common::Duration controller_cpu_time{0};  // that its thread has used
  std::vector<partition::Volume> volumes;
  std::vector<group::GroupSurvey> groups;
  std::vector<common::Duration> group_load_times;  // of each coordinator that serves
};

[[nodiscard]] common::Awaitable<BrokerSample> gather(const ProcessParts& process, const BrokerParts& parts);

// A group's distance from the end of a partition.
struct GroupLag {
  std::string group;
  common::model::TopicPartition partition;
  common::model::Offset committed;
  std::optional<common::model::Offset> end;  // none: the partition is gone, or no replica that we can ask has it
  std::optional<int64_t> records;
  std::optional<double> seconds;  // the age of the oldest record that the group has not read; 0 without lag
};

// Where partitions end, as far as a replica here can tell. One that is offline or out of sync stands where it stopped:
// a group at that end would seem to lag by nothing while records come in elsewhere.
[[nodiscard]] std::map<common::model::TopicIdPartition, common::model::Offset> known_ends(const BrokerSample& sample,
                                                                                          common::model::BrokerId self);

// When the record at which a group stands was written; kept between looks, as most groups stand still or move on.
class LagMeter {
 public:
  // At most this many partitions are read for their timestamps at one look; what is left has no seconds then.
  static constexpr size_t lookups_max = 500;
  [[nodiscard]] common::Awaitable<std::vector<GroupLag>> measure(const ProcessParts& process, const BrokerParts& parts,
                                                                 const BrokerSample& sample);

 private:
  struct Known {
    common::model::Offset offset;
    common::model::TimestampMs written;
  };
  using Key = std::pair<std::string, common::model::TopicIdPartition>;
  std::map<Key, Known> known_;
};

}  // namespace broker::http
