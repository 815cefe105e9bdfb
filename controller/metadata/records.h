// The records of the metadata log: everything the cluster agrees on changes by these and by nothing else. One Raft
// entry is one atomic batch of them. Ids and timestamps ride in the records, so that applying them is deterministic
// (R19). Their stored form is proto/cluster/metadata.proto, written by controller/quorum/metadata_codec; each carries
// `version` there, and a node that meets a newer one than it knows halts rather than skip it (R18).
//
// Immutable values; no thread rules.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/model/types.h"

namespace controller::metadata {

using common::model::BrokerEpoch;
using common::model::BrokerId;
using common::model::DirectoryId;
using common::model::IncarnationId;
using common::model::LeaderEpoch;
using common::model::LogIndex;
using common::model::PartitionEpoch;
using common::model::PartitionIndex;
using common::model::ProducerId;
using common::model::TopicId;
using common::model::TopicIdPartition;
using common::model::Uuid;

// ---- Cluster ----

// First record of a cluster's life.
struct ClusterRecord {
  static constexpr uint32_t version = 1;
  Uuid cluster_id;
  friend bool operator==(const ClusterRecord&, const ClusterRecord&) = default;
};

// Finalizes a feature ("metadata.version" is the first of them) at a level; level 0 removes it.
struct FeatureRecord {
  static constexpr uint32_t version = 1;
  std::string name;
  int16_t level = 0;
  friend bool operator==(const FeatureRecord&, const FeatureRecord&) = default;
};
inline constexpr const char* metadata_version_feature = "metadata.version";
// The level that this build writes and reads.
inline constexpr int16_t metadata_version_latest = 1;

// ---- Brokers (R24-R31) ----

// Kafka's numbers.
enum class SecurityProtocol : int16_t { plaintext = 0, ssl = 1, sasl_plaintext = 2, sasl_ssl = 3 };

// Where clients reach a broker.
struct Listener {
  std::string name;  // "PLAINTEXT"
  std::string host;
  uint16_t port = 0;
  SecurityProtocol security_protocol = SecurityProtocol::plaintext;
  friend bool operator==(const Listener&, const Listener&) = default;
};

// Where other brokers reach its gRPC services (controller, replication).
struct ClusterEndpoint {
  std::string host;
  uint16_t port = 0;
  friend bool operator==(const ClusterEndpoint&, const ClusterEndpoint&) = default;
};

struct FeatureRange {
  int16_t min = 0;
  int16_t max = 0;
  friend bool operator==(const FeatureRange&, const FeatureRange&) = default;
};

// A process registers: a new incarnation starts fenced (R27) and replaces the old one.
struct RegisterBrokerRecord {
  static constexpr uint32_t version = 1;
  BrokerId broker_id;
  BrokerEpoch epoch;  // index of the entry that carries the registration; unique and monotonic (R24)
  IncarnationId incarnation_id;
  std::vector<DirectoryId> directories;
  std::vector<Listener> listeners;
  ClusterEndpoint cluster_endpoint;
  std::optional<std::string> rack;
  std::map<std::string, FeatureRange> features;
  bool fenced = true;
  bool in_controlled_shutdown = false;
  std::optional<LogIndex> registered_at;  // set when applied; what R27 compares the heartbeat's offset with
  friend bool operator==(const RegisterBrokerRecord&, const RegisterBrokerRecord&) = default;
};

struct UnregisterBrokerRecord {
  static constexpr uint32_t version = 1;
  BrokerId broker_id;
  BrokerEpoch epoch;
  friend bool operator==(const UnregisterBrokerRecord&, const UnregisterBrokerRecord&) = default;
};
// What the controller went by; a remark for people, which changes nothing.
enum class FenceReason : uint8_t {
  unknown,  // by a version that did not say
  refused,
  lost_stream,
  silent,
  replaced,
  own_wish,
  stalled,
  shut_down,
  unregistered,
};
struct FenceBrokerRecord {
  static constexpr uint32_t version = 1;
  BrokerId broker_id;
  BrokerEpoch epoch;
  FenceReason reason = FenceReason::unknown;
  friend bool operator==(const FenceBrokerRecord&, const FenceBrokerRecord&) = default;
};
struct UnfenceBrokerRecord {
  static constexpr uint32_t version = 1;
  BrokerId broker_id;
  BrokerEpoch epoch;
  friend bool operator==(const UnfenceBrokerRecord&, const UnfenceBrokerRecord&) = default;
};
// The broker is going down in good order (R31). Only a new registration ends this state.
struct BrokerShutdownRecord {
  static constexpr uint32_t version = 1;
  BrokerId broker_id;
  BrokerEpoch epoch;
  friend bool operator==(const BrokerShutdownRecord&, const BrokerShutdownRecord&) = default;
};

// ---- Topics and partitions (R34-R46) ----

struct TopicRecord {
  static constexpr uint32_t version = 1;
  TopicId topic_id;
  std::string name;
  friend bool operator==(const TopicRecord&, const TopicRecord&) = default;
};

// Removes the topic, its partitions and its configuration.
struct RemoveTopicRecord {
  static constexpr uint32_t version = 1;
  TopicId topic_id;
  friend bool operator==(const RemoveTopicRecord&, const RemoveTopicRecord&) = default;
};

enum class RecoveryState : uint8_t {
  recovered = 0,
  recovering = 1,  // the leader was elected uncleanly and has not recovered yet: the ISR cannot grow (R39)
};

// The agreed state of one partition. Invariants: isr, elr within replicas; isr and elr disjoint; a leader is in the
// isr.
struct PartitionState {
  std::vector<BrokerId> replicas;  // assignment; the first is the preferred leader
  std::vector<BrokerId> isr;
  std::vector<BrokerId> elr;             // left the ISR while it was below minISR: hold everything committed (R43)
  std::vector<BrokerId> last_known_elr;  // were in ISR or ELR and lost that claim by an unclean restart (R46)
  std::vector<BrokerId> adding;          // targets of a reassignment
  std::vector<BrokerId> removing;
  std::optional<BrokerId> leader;
  LeaderEpoch leader_epoch;        // +1 whenever a record names the leader, even the same one (R36)
  PartitionEpoch partition_epoch;  // +1 with every change (R36)
  RecoveryState recovery_state = RecoveryState::recovered;
  friend bool operator==(const PartitionState&, const PartitionState&) = default;
};

struct PartitionRecord {
  static constexpr uint32_t version = 1;
  TopicId topic_id;
  PartitionIndex partition;
  PartitionState state;
  friend bool operator==(const PartitionRecord&, const PartitionRecord&) = default;
};

// What the controller went by, where the batch does not tell it; a remark for people, which changes nothing.
enum class LeaderReason : uint8_t {
  unknown,
  slow,  // the leader before
};
// Who leads; `broker` unset: nobody can. Naming a leader raises the leader epoch.
struct LeaderChoice {
  std::optional<BrokerId> broker;
  LeaderReason reason = LeaderReason::unknown;
  friend bool operator==(const LeaderChoice&, const LeaderChoice&) = default;
};

// What changes in a partition; unset fields stay as they are.
struct PartitionChangeRecord {
  static constexpr uint32_t version = 1;
  TopicId topic_id;
  PartitionIndex partition;
  std::optional<LeaderChoice> leader;
  std::optional<std::vector<BrokerId>> isr;
  std::optional<std::vector<BrokerId>> elr;
  std::optional<std::vector<BrokerId>> last_known_elr;
  std::optional<std::vector<BrokerId>> replicas;
  std::optional<std::vector<BrokerId>> adding;
  std::optional<std::vector<BrokerId>> removing;
  std::optional<RecoveryState> recovery_state;
  friend bool operator==(const PartitionChangeRecord&, const PartitionChangeRecord&) = default;
};

// ---- Configuration ----

// Kafka's numbers.
enum class ResourceType : int8_t {
  unknown = 0,
  topic = 2,
  broker = 4,
  broker_logger = 8,
  client_metrics = 16,
  group = 32
};

// {broker, ""} holds the cluster-wide defaults.
struct ConfigResource {
  ResourceType type = ResourceType::unknown;
  std::string name;
  friend auto operator<=>(const ConfigResource&, const ConfigResource&) = default;
};

// Unset value: the setting returns to its default.
struct ConfigRecord {
  static constexpr uint32_t version = 1;
  ConfigResource resource;
  std::string key;
  std::optional<std::string> value;
  friend bool operator==(const ConfigRecord&, const ConfigRecord&) = default;
};

// ---- Producer ids (R96) ----

// Ids below `next_producer_id` have been given away.
struct ProducerIdsRecord {
  static constexpr uint32_t version = 1;
  BrokerId broker_id;
  BrokerEpoch broker_epoch;
  ProducerId next_producer_id;
  friend bool operator==(const ProducerIdsRecord&, const ProducerIdsRecord&) = default;
};

using MetadataRecord =
    std::variant<ClusterRecord, FeatureRecord, RegisterBrokerRecord, UnregisterBrokerRecord, FenceBrokerRecord,
                 UnfenceBrokerRecord, BrokerShutdownRecord, TopicRecord, RemoveTopicRecord, PartitionRecord,
                 PartitionChangeRecord, ConfigRecord, ProducerIdsRecord>;

}  // namespace controller::metadata
