// What a broker was told to do, as plain typed values. Rows of config_table.h say which Kafka property fills which
// member (that table is the only place where a setting is named); config_load.h fills a BrokerConfig
// from server.properties, the environment and --set.
//
// Code receives the small struct it needs, made from these in the assembly; nobody keeps a global.
// Immutable once loaded; thread-safe to read.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/model/types.h"

namespace common::config {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Property name -> value as written. Ordered, so that whatever is printed from it is stable.
using ConfigMap = std::map<std::string, std::string, std::less<>>;

enum class SecurityProtocol { plaintext, ssl, sasl_plaintext, sasl_ssl };
enum class CompressionType { producer, uncompressed, gzip, snappy, lz4, zstd };
enum class TimestampType { create_time, log_append_time };

struct CleanupPolicy {
  bool compact = false;
  bool remove = true;  // "delete"; neither is allowed since Kafka 4
  friend bool operator==(const CleanupPolicy&, const CleanupPolicy&) = default;
};

// The effective settings of one topic, after every default has been looked up.
// A limit that is absent means "no limit" (-1 or the largest long in Kafka's text).
struct TopicConfig {
  int32_t segment_bytes = 1 << 30;
  milliseconds segment_age{604'800'000};  // segment.ms; "never" is a hundred years
  milliseconds segment_jitter{0};
  int32_t segment_index_bytes = 10 << 20;
  int32_t index_interval_bytes = 4096;
  std::optional<int64_t> flush_messages;  // 1: an acknowledgement waits for a sync (D2)
  std::optional<milliseconds> flush_age;  // flush.ms
  std::optional<int64_t> retention_bytes;
  std::optional<milliseconds> retention_age = milliseconds(604'800'000);  // retention.ms
  int32_t max_message_bytes = 1'048'588;
  int32_t max_decompressed_message_bytes = 2'147'483'639;
  milliseconds file_delete_delay{60'000};
  CleanupPolicy cleanup_policy;
  double min_cleanable_ratio = 0.5;  // min.cleanable.dirty.ratio
  milliseconds min_compaction_lag{0};
  std::optional<milliseconds> max_compaction_lag;
  milliseconds delete_retention{86'400'000};  // of tombstones
  bool unclean_leader_election = false;
  int32_t min_insync_replicas = 1;
  CompressionType compression_type = CompressionType::producer;
  int32_t gzip_level = -1;
  int32_t lz4_level = 9;
  int32_t zstd_level = 3;
  TimestampType timestamp_type = TimestampType::create_time;
  std::optional<milliseconds> timestamp_before_max;
  std::optional<milliseconds> timestamp_after_max = milliseconds(3'600'000);
  friend bool operator==(const TopicConfig&, const TopicConfig&) = default;
};

// An address to bind or to hand out. host empty (or 0.0.0.0, ::) in a bound one: all interfaces, IPv4 and IPv6.
struct Listener {
  std::string name;
  SecurityProtocol protocol = SecurityProtocol::plaintext;
  std::string host;
  uint16_t port = 0;  // 0: any free port
  friend bool operator==(const Listener&, const Listener&) = default;
};

struct HostPort {
  std::string host;
  uint16_t port = 0;
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

// One entry of controller.quorum.voters; the address is where its gRPC listens.
struct Voter {
  model::BrokerId id;
  HostPort address;
  friend bool operator==(const Voter&, const Voter&) = default;
};

struct BrokerConfig {
  // Who this is
  model::BrokerId node_id{1};
  std::optional<std::string> rack;
  std::optional<std::string>
      cluster_id;  // CLUSTER_ID of Kafka's images: the cluster must bear it; chosen at first start if absent

  // Where it listens. Clients: `listeners`; other brokers (gRPC): `peer_listeners`, which are those named in
  // controller.listener.names or else the client ports + 10000.
  std::vector<Listener> listeners;
  std::vector<Listener> peer_listeners;
  std::vector<Listener> advertised_listeners;       // empty: each connection is told the address that reached us
  std::vector<Listener> advertised_peer_listeners;  // empty likewise: peers use the voters' addresses
  std::string inter_broker_listener_name = "PLAINTEXT";

  // The quorum. Both empty: this node alone.
  std::vector<Voter> voters;
  std::vector<HostPort> bootstrap_servers;
  milliseconds quorum_fetch_timeout{500};  // silence of the Raft leader before a pre-vote
  milliseconds quorum_election_timeout{250};
  milliseconds quorum_election_backoff_max{1000};
  int64_t metadata_snapshot_bytes = 20'971'520;
  milliseconds metadata_snapshot_interval{3'600'000};

  // Sessions with the active controller
  milliseconds heartbeat_interval{100};
  milliseconds session_timeout{1500};
  bool controlled_shutdown = true;
  milliseconds controlled_shutdown_timeout{30'000};
  bool auto_leader_rebalance = true;
  seconds leader_imbalance_check_interval{1};

  // Disk
  std::vector<std::string> log_dirs;
  std::string metadata_log_dir;
  milliseconds retention_check_interval{300'000};
  milliseconds recovery_point_checkpoint_interval{60'000};
  milliseconds log_start_checkpoint_interval{60'000};
  milliseconds high_watermark_checkpoint_interval{5000};
  int64_t low_space_bytes = int64_t{1} << 30;  // R81: below this (or low_space_percent) produces are refused
  int32_t low_space_percent = 5;

  // The cleaner of compacted topics
  bool cleaner_enabled = true;
  int32_t cleaner_threads = 1;
  milliseconds cleaner_backoff{15'000};
  int64_t cleaner_map_bytes = 134'217'728;  // log.cleaner.dedupe.buffer.size, of all runs together
  double cleaner_map_load = 0.9;
  int32_t cleaner_io_buffer_bytes = 524'288;
  double cleaner_io_bytes_per_second = 1.7976931348623157e308;

  // Topics
  TopicConfig topic_defaults;
  int32_t num_partitions = 1;
  int16_t default_replication_factor = 1;
  bool auto_create_topics = true;
  bool delete_topics = true;

  // Replication
  milliseconds replica_lag_time_max{10'000};
  int32_t replica_fetch_max_bytes = 1'048'576;
  int32_t replica_fetch_response_max_bytes = 10'485'760;
  milliseconds replica_fetch_wait_max{500};
  milliseconds replica_fetch_backoff{100};
  int64_t leader_throttled_rate = 9'223'372'036'854'775'807;  // bytes a second to replicas that topics name (KIP-73)
  milliseconds producer_id_expiration{86'400'000};

  // Edge
  int32_t request_max_bytes = 104'857'600;
  int64_t request_memory_bytes = 16 << 20;   // queued.max.request.bytes: requests being read and handled, all together
  int64_t response_memory_bytes = 64 << 20;  // answers that wait for their clients, all together
  int32_t fetch_max_bytes = 57'671'680;
  int32_t fetch_sessions_max = 1000;
  int32_t describe_page_max = 2000;
  int32_t max_connections = 2'147'483'647;
  int32_t max_connections_per_ip = 2'147'483'647;
  std::map<std::string, int32_t> max_connections_per_ip_overrides;
  std::map<std::string, int32_t> max_connections_of_listener;  // listener.name.X.max.connections, by listener
  std::optional<milliseconds> connections_max_idle = milliseconds(600'000);
  int32_t listen_backlog = 1024;
  std::optional<int32_t> socket_send_buffer;  // absent (-1): the kernel tunes it
  std::optional<int32_t> socket_receive_buffer;
  milliseconds request_timeout{30'000};

  // Groups and offsets
  int16_t offsets_replication_factor = 1;
  int32_t offsets_partitions = 50;
  int32_t offsets_segment_bytes = 104'857'600;
  int32_t offset_metadata_max_bytes = 4096;
  milliseconds offsets_retention{604'800'000};
  milliseconds offsets_retention_check_interval{600'000};
  milliseconds offsets_commit_timeout{5000};
  milliseconds group_min_session_timeout{6000};
  milliseconds group_max_session_timeout{1'800'000};
  milliseconds group_initial_rebalance_delay{3000};
  int32_t group_max_size = 2'147'483'647;

  // Transactions (the topic is made with these; the coordinator comes later)
  int16_t transactions_replication_factor = 1;
  int32_t transactions_min_isr = 1;
  int32_t transactions_partitions = 50;
  int32_t transactions_segment_bytes = 104'857'600;

  // The process
  int32_t shards = 0;  // 0: one for each usable CPU but one
  int64_t tail_cache_bytes = 16 << 20;
  int64_t peer_memory_bytes = 32 << 20;  // gRPC's resource quota
  std::string log_level = "info";
  std::string log_format = "text";
  std::string log_file;

  // HTTP: health, metrics, the page
  int32_t http_port = 9644;        // -1: none
  std::string http_host;           // empty: that of the first listener
  std::string http_advertised;     // host:port; empty: what the broker is reached by otherwise, and the port
  std::string http_allowed_hosts;  // comma separated: further names by which it may be asked
  int32_t http_max_connections = 100;
  int32_t metrics_partitions_max = 1000;

  // The properties as they were given (file, environment, --set), under the names given. What was not given is absent.
  ConfigMap given;

  // How many voters the configuration speaks of: the default replication factor follows from it (design: never from
  // the number alive at the moment).
  [[nodiscard]] int configured_voters() const;
};

}  // namespace common::config
