// The typed calls that any broker makes to the active controller, and its answers. The controller never parses Kafka
// bytes: handlers translate into these. Per-item results keep the order of the request's items.
//
// Plain values; no thread rules.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/model/error_code.h"
#include "common/model/result.h"
#include "controller/metadata/records.h"

namespace controller::metadata {

using common::model::Error;
using common::model::ErrorCode;
using common::model::Instant;
using common::model::Offset;

enum class ValidateOnly : uint8_t { no, yes };

// ---- Topics ----

struct CreateTopics {
  struct Topic {
    std::string name;
    std::optional<int32_t> partition_count;     // unset: num.partitions
    std::optional<int16_t> replication_factor;  // unset: default.replication.factor
    // Given by hand: (partition, replicas) as the client sent them; duplicates are an error that we report.
    std::vector<std::pair<PartitionIndex, std::vector<BrokerId>>> assignments;
    std::vector<std::pair<std::string, std::optional<std::string>>> configs;
    // Chosen by the asker, so that asking again after a lost answer finds its own topic instead of
    // TOPIC_ALREADY_EXISTS: by the id of one of the attempts before. Each has another, as what was made may have been
    // deleted since, and no topic may be made of an id that has been one (R36).
    std::optional<TopicId> topic_id;
    std::vector<TopicId> former_ids;
  };
  std::vector<Topic> topics;
  ValidateOnly validate_only = ValidateOnly::no;
};
struct CreateTopicsAnswer {
  struct Topic {
    std::string name;
    Error error{ErrorCode::none, {}};
    TopicId topic_id;
    int32_t partition_count = 0;
    int16_t replication_factor = 0;
  };
  std::vector<Topic> topics;
};

struct DeleteTopics {
  struct Topic {  // one of the two
    std::optional<std::string> name;
    std::optional<TopicId> topic_id;
  };
  std::vector<Topic> topics;
  // Clients see them no more, and they can be restored for so long. Zero: they go at once, those that were kept before,
  // too. Unset, as Kafka's clients ask: they go at once, and what is kept is not there for the asker.
  std::optional<std::chrono::milliseconds> keep;
  common::model::TimestampMs asked_at;
};
struct DeleteTopicsAnswer {
  struct Topic {
    std::optional<std::string> name;
    TopicId topic_id;
    Error error{ErrorCode::none, {}};
  };
  std::vector<Topic> topics;
};

struct CreatePartitions {
  struct Topic {
    std::string name;
    int32_t count = 0;                                              // partitions in all, afterwards
    std::optional<std::vector<std::vector<BrokerId>>> assignments;  // of the added ones, in order
  };
  std::vector<Topic> topics;
  ValidateOnly validate_only = ValidateOnly::no;
};
struct CreatePartitionsAnswer {
  struct Topic {
    std::string name;
    Error error{ErrorCode::none, {}};
  };
  std::vector<Topic> topics;
};

// ---- Configuration ----

// Kafka's numbers (IncrementalAlterConfigs).
enum class ConfigOperation : int8_t { set = 0, remove = 1, append = 2, subtract = 3 };
enum class ConfigAlteration : uint8_t {
  incremental,  // the named keys only (KIP-339)
  full,         // keys not named return to their default (the old AlterConfigs)
};
struct AlterConfigs {
  struct Change {
    std::string key;
    ConfigOperation operation = ConfigOperation::set;
    std::optional<std::string> value;
  };
  struct Resource {
    ConfigResource resource;
    std::vector<Change> changes;
  };
  ConfigAlteration alteration = ConfigAlteration::incremental;
  std::vector<Resource> resources;
  ValidateOnly validate_only = ValidateOnly::no;
};
struct AlterConfigsAnswer {
  struct Resource {
    ConfigResource resource;
    Error error{ErrorCode::none, {}};
  };
  std::vector<Resource> resources;
};

// ---- Partitions ----

// A leader proposes an ISR (R35). Each member with the broker epoch that the leader saw in its fetches (KIP-903).
struct AlterPartition {
  struct Member {
    BrokerId broker_id;
    std::optional<BrokerEpoch> broker_epoch;  // unset only for members that are in the ISR already
    friend bool operator==(const Member&, const Member&) = default;
  };
  struct Partition {
    TopicId topic_id;
    PartitionIndex partition;
    LeaderEpoch leader_epoch;
    PartitionEpoch partition_epoch;
    std::vector<Member> isr;
    RecoveryState recovery_state = RecoveryState::recovered;
  };
  BrokerId broker_id;
  BrokerEpoch broker_epoch;
  std::vector<Partition> partitions;
};
struct AlterPartitionAnswer {
  struct Partition {
    TopicId topic_id;
    PartitionIndex partition;
    ErrorCode error = ErrorCode::none;
    // The state after the change; meaningful without an error.
    std::optional<BrokerId> leader;
    LeaderEpoch leader_epoch;
    PartitionEpoch partition_epoch;
    std::vector<BrokerId> isr;
    RecoveryState recovery_state = RecoveryState::recovered;
  };
  ErrorCode error = ErrorCode::none;  // of the whole request, e.g. STALE_BROKER_EPOCH (R30)
  std::vector<Partition> partitions;
};

enum class ElectionType : int8_t { preferred = 0, unclean = 1 };
struct ElectLeaders {
  ElectionType type = ElectionType::preferred;
  // By topic name; unset: every partition (those that need no election are then left out of the answer, as Kafka does).
  std::optional<std::vector<common::model::TopicPartition>> partitions;
};
struct ElectLeadersAnswer {
  struct Partition {
    common::model::TopicPartition partition;
    Error error{ErrorCode::none, {}};
  };
  Error error{ErrorCode::none, {}};
  std::vector<Partition> partitions;
};

// Where partitions' replicas are to be (R40). Unset replicas: the reassignment that goes on is turned back.
enum class FactorChange : uint8_t { allowed, refused };
struct AlterPartitionReassignments {
  struct Partition {
    common::model::TopicPartition partition;
    std::optional<std::vector<BrokerId>> replicas;
  };
  FactorChange factor_change = FactorChange::allowed;  // of the number of replicas
  std::vector<Partition> partitions;
};
struct AlterPartitionReassignmentsAnswer {
  struct Partition {
    common::model::TopicPartition partition;
    Error error{ErrorCode::none, {}};
  };
  std::vector<Partition> partitions;
};

// ---- Producer ids ----

struct AllocateProducerIds {
  BrokerId broker_id;
  BrokerEpoch broker_epoch;
};
struct AllocateProducerIdsAnswer {
  ErrorCode error = ErrorCode::none;
  ProducerId first;
  int32_t count = 0;
};

// ---- Brokers (carried by the session stream, not by clients) ----

struct RegisterBroker {
  BrokerId broker_id;
  Uuid cluster_id;
  IncarnationId incarnation_id;
  std::vector<DirectoryId> directories;
  std::vector<Listener> listeners;
  ClusterEndpoint cluster_endpoint;
  std::optional<std::string> rack;
  std::map<std::string, FeatureRange> features;
  // From a valid clean marker (R70, R75): the epoch under which the logs were closed. Unset: an unclean restart (R44).
  std::optional<BrokerEpoch> previous_broker_epoch;
};
struct RegisterBrokerAnswer {
  Error error{ErrorCode::none, {}};
  BrokerEpoch broker_epoch;
};

// Proof of work, not of life (R32): how long each loop has been without progress while it had work.
struct Progress {
  std::chrono::milliseconds append_stalled{0};
  std::chrono::milliseconds sync_stalled{0};
  std::chrono::milliseconds network_stalled{0};
  std::chrono::milliseconds apply_stalled{0};
  // How long one write to a log took in the last second or so, and one sync that acknowledgements waited for: the mean
  // ("gray failure"). Unset: there was none, or the broker's version does not say.
  std::optional<std::chrono::milliseconds> write_time;
  std::optional<std::chrono::milliseconds> sync_time;
};

// A partition lost every replica that was known to hold all its records (R46): where does this broker's copy end?
struct LogEndQuery {
  TopicIdPartition partition;
  LeaderEpoch leader_epoch;  // nobody leads in it
  LogIndex metadata_offset;  // to be applied before answering, so that the copy no longer changes
  friend bool operator==(const LogEndQuery&, const LogEndQuery&) = default;
};
struct LogEnd {
  TopicIdPartition partition;
  LeaderEpoch leader_epoch;               // of the query
  std::optional<LeaderEpoch> last_epoch;  // of the last record; unset: the copy is empty
  Offset end;
  // The copy was made in the place of the one that is asked for, and has been in no ISR since: that one may lie on a
  // disk that is not there.
  bool never_in_sync = false;
  friend bool operator==(const LogEnd&, const LogEnd&) = default;
};

// Replicas that a broker cannot use as it should, by what is wrong with them or their directory.
struct ReplicaTrouble {
  std::set<TopicIdPartition> failed;        // R72, R76: offline
  std::set<TopicIdPartition> low_on_space;  // R81: would rather not lead
  std::set<TopicIdPartition> damaged;       // R72: serve what can still be read, if there is nobody better
  friend bool operator==(const ReplicaTrouble&, const ReplicaTrouble&) = default;
};

struct BrokerHeartbeat {
  BrokerId broker_id;
  BrokerEpoch broker_epoch;
  std::optional<LogIndex> metadata_offset;  // applied by this broker
  bool ready = false;                       // logs recovered, threads healthy: may be unfenced (R27)
  bool want_fence = false;                  // goodbye, or its own watchdog asks (R32)
  bool want_shutdown = false;               // SIGTERM (R31)
  Progress progress;
  std::vector<LogEnd> log_ends;  // answers to queries
  // Set: replaces what this broker said before. Said when it changes, and at the begin of each session.
  std::optional<ReplicaTrouble> trouble;
};
struct BrokerHeartbeatAnswer {
  ErrorCode error = ErrorCode::none;  // STALE_BROKER_EPOCH: register again (R30)
  bool caught_up = false;
  bool fenced = true;
  bool may_shut_down = false;
  std::vector<LogEndQuery> log_end_queries;
  // Committed, and what the answer rests on: a broker that has applied it knows what the controller has made of it
  // (R33).
  std::optional<LogIndex> metadata_offset;
};

struct UnregisterBroker {
  BrokerId broker_id;
};
struct UnregisterBrokerAnswer {
  Error error{ErrorCode::none, {}};
};

// ---- Quorum ----

struct DescribeQuorum {};
struct DescribeQuorumAnswer {
  struct Replica {
    BrokerId broker_id;
    DirectoryId directory_id;
    std::optional<LogIndex> log_end;  // next index, exclusive
    std::optional<common::model::TimestampMs> last_fetch;
    std::optional<common::model::TimestampMs> last_caught_up;
  };
  struct Node {
    BrokerId broker_id;
    ClusterEndpoint endpoint;
  };
  Error error{ErrorCode::none, {}};
  std::optional<BrokerId> leader;
  common::model::Term term;
  LogIndex high_watermark;  // exclusive
  std::vector<Replica> voters;
  std::vector<Replica> observers;
  std::vector<Node> nodes;
};

// The voters of the quorum (R12). Whoever is added follows the metadata log already.
struct AddRaftVoter {
  BrokerId broker_id;
  DirectoryId directory_id;  // of the metadata log, or of a data directory that the broker has registered
  std::optional<ClusterEndpoint> endpoint;  // where the broker has not registered
};
struct AddRaftVoterAnswer {
  Error error{ErrorCode::none, {}};
  bool is_voter = false;  // also when it was one before: asking again after a lost answer finds its own deed
};
struct RemoveRaftVoter {
  BrokerId broker_id;
  DirectoryId directory_id;
};
struct RemoveRaftVoterAnswer {
  Error error{ErrorCode::none, {}};
};

// The controller could not act on the call as a whole: NOT_CONTROLLER, REQUEST_TIMED_OUT, BROKER_NOT_AVAILABLE.
struct Refused {
  Error error;
  bool may_have_happened = false;  // the request was taken, and its fate is not known
};

using ControllerRequest =
    std::variant<CreateTopics, DeleteTopics, CreatePartitions, AlterConfigs, AlterPartition, ElectLeaders,
                 AlterPartitionReassignments, AllocateProducerIds, RegisterBroker, BrokerHeartbeat, UnregisterBroker,
                 DescribeQuorum, AddRaftVoter, RemoveRaftVoter>;
// The alternative matches the request's, or is Refused.
using ControllerAnswer =
    std::variant<Refused, CreateTopicsAnswer, DeleteTopicsAnswer, CreatePartitionsAnswer, AlterConfigsAnswer,
                 AlterPartitionAnswer, ElectLeadersAnswer, AlterPartitionReassignmentsAnswer, AllocateProducerIdsAnswer,
                 RegisterBrokerAnswer, BrokerHeartbeatAnswer, UnregisterBrokerAnswer, DescribeQuorumAnswer,
                 AddRaftVoterAnswer, RemoveRaftVoterAnswer>;

// Who asks, for authorization and logs.
struct RequestOrigin {
  std::string principal = "User:ANONYMOUS";
  std::string client_host;
};

}  // namespace controller::metadata
