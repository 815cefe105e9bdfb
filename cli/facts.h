// What a cluster says of itself, gathered from several Kafka requests into plain values, and the verdict on it. The
// commands status, health, topic and scripts print from these.
// fetch_*: network, thread-compatible. assess: pure.
#pragma once
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/client/cluster.h"
#include "common/model/error_code.h"

namespace cli {

struct PartitionFacts {
  int32_t index = 0;
  std::optional<int32_t> leader;
  int32_t leader_epoch = -1;
  std::vector<int32_t> replicas;
  std::vector<int32_t> isr;
  std::vector<int32_t> offline;
  std::vector<int32_t> eligible;  // ELR, where the broker tells
  std::vector<int32_t> last_known_eligible;  // were in sync or eligible before they stopped uncleanly, likewise
  [[nodiscard]] bool led() const { return leader.has_value(); }
  [[nodiscard]] bool fully_replicated() const { return isr.size() >= replicas.size(); }
};

struct TopicFacts {
  std::string name;
  std::string id;
  bool internal = false;
  common::model::ErrorCode error = common::model::ErrorCode::none;
  std::vector<PartitionFacts> partitions;
  std::optional<int> min_isr;  // where asked for
  [[nodiscard]] size_t replication() const { return partitions.empty() ? 0 : partitions.front().replicas.size(); }
  [[nodiscard]] int leaderless() const;
  [[nodiscard]] int under_replicated() const;
  [[nodiscard]] int under_min_isr() const;  // 0 where min_isr is unknown
};

struct BrokerFacts {
  int32_t id = -1;
  std::string host;
  uint16_t port = 0;
  std::optional<std::string> rack;
  bool fenced = false;
  bool answers = false;  // was asked itself, and did
  bool voter = false;
  int leaders = 0;
  int replicas = 0;
  std::optional<int64_t> disk_used;  // bytes of its replicas
  std::optional<int64_t> disk_total;
  std::optional<int64_t> disk_free;       // of the fullest directory
  std::vector<std::string> offline_dirs;  // data directories that have failed
  std::vector<std::string> low_dirs;      // those that refuse produces for want of space
  // Of clients, over the last seconds; and since when it runs. Absent where the broker does not tell.
  std::optional<int64_t> bytes_in_per_second;
  std::optional<int64_t> bytes_out_per_second;
  std::optional<std::chrono::milliseconds> up;
  std::optional<std::chrono::milliseconds> down;  // for how long others have seen it so
  std::string version;  // empty where the broker does not tell
  // How far its clock is from this machine's, apart from what the way there and back hides: later is more than 0.
  std::optional<std::chrono::milliseconds> clock_ahead;
};

// What the brokers last saw change: who leads, who is in sync, who is there.
struct ChangeFacts {
  std::string text;
  std::string reason;  // may be empty
  std::chrono::milliseconds ago{0};
};

struct ClusterFacts {
  std::string cluster_id;
  std::optional<int32_t> controller;
  std::optional<int32_t> controller_epoch;
  std::vector<BrokerFacts> brokers;
  std::vector<int32_t> voters;     // empty where the broker does not tell
  std::vector<int32_t> observers;  // with a voter's id too: its vote went with an earlier disk
  std::vector<TopicFacts> topics;
  std::optional<ChangeFacts> last_change;  // absent where no broker tells
  [[nodiscard]] int partitions() const;
  [[nodiscard]] int leaderless() const;
  [[nodiscard]] int under_replicated() const;
  [[nodiscard]] int under_min_isr() const;
};

// All topics, or the named ones (one that does not exist carries its error).
Outcome<std::vector<TopicFacts>> fetch_topics(client::Cluster& cluster,
                                              const std::optional<std::vector<std::string>>& names);
// Eligible leader replicas, filled in where the cluster tells of them.
void fetch_eligible(client::Cluster& cluster, std::vector<TopicFacts>& topics);
// min.insync.replicas of each topic, filled in.
void fetch_min_isr(client::Cluster& cluster, std::vector<TopicFacts>& topics);
// And with what else each broker alone knows: traffic, time of its start, what it last saw change.
enum class WithDisks { no, yes };
Outcome<ClusterFacts> fetch_cluster(client::Cluster& cluster, WithDisks disks);

// Whose copies are missing where a partition is not fully replicated. Sorted.
std::vector<int32_t> brokers_not_in_sync(const ClusterFacts& cluster);

struct Health {
  std::vector<std::string> reasons;  // why not; empty: healthy
  [[nodiscard]] bool healthy() const { return reasons.empty(); }
};
Health assess(const ClusterFacts& cluster, int brokers_min);

// Empty where nobody can know: without a controller, what the brokers last heard may be old.
std::string_view role_of(const BrokerFacts& broker, const ClusterFacts& cluster);
// up, down, or empty where nobody can know.
std::string_view state_of(const BrokerFacts& broker, const ClusterFacts& cluster);
// Used and in all, as people read it; empty where the broker does not say.
std::string disk_text(const BrokerFacts& broker);
// Where a setting's value comes from; `source` is Kafka's number for it.
std::string_view source_text(int8_t source);

}  // namespace cli
