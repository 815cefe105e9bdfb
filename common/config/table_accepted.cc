// Rows of the configuration table: broker properties that are known, checked and described, and have no effect here.
// One line each, so not through clang-format: key, type, default (nullptr: null), smallest, largest, allowed words,
// when Kafka lets it change, why it does nothing, meaning. See config_table.h.
#include <limits>

#include "common/config/table_rows.h"

namespace common::config {
namespace {

struct Row {
  std::string_view key;
  ValueType type;
  const char* default_text;
  int64_t min, max;
  std::string_view allowed;
  Update update;
  std::string_view why;
  std::string_view doc;
};

constexpr int64_t low = std::numeric_limits<int64_t>::min();   // no smallest value
constexpr int64_t high = std::numeric_limits<int64_t>::max();  // no largest value
constexpr std::string_view no_tiering = "no tiered storage";
constexpr std::string_view no_share_groups = "no share groups";
constexpr std::string_view no_streams_groups = "no streams groups";
constexpr std::string_view no_kip848 = "the consumer protocol of KIP-848 is not offered yet";
constexpr std::string_view no_security = "no TLS or SASL listeners yet";
constexpr std::string_view not_recompressed = "the coordinator writes its records uncompressed";
constexpr std::string_view no_transactions = "no transactions yet";
constexpr std::string_view no_quotas = "no quotas yet";
constexpr std::string_view no_disk_moves = "replicas do not move between disks of one broker";
constexpr std::string_view no_samples = "metrics have no samples or plug-ins here";
constexpr std::string_view no_pools = "one thread for each CPU does this work; there is nothing to size";
constexpr std::string_view no_plugins = "no JVM plug-ins";
constexpr std::string_view not_ours = "does not apply to Naru";

using enum ValueType;
using enum Update;

// clang-format off
constexpr Row rows[] = {
  {"add.partitions.to.txn.retry.backoff.max.ms", int32, "100", 0, high, "", at_restart, no_transactions, "Longest wait of the server-side add-partition retry (KIP-890)."},
  {"add.partitions.to.txn.retry.backoff.ms", int32, "20", 1, high, "", at_restart, no_transactions, "Pause of that retry."},
  {"alter.config.policy.class.name", klass, nullptr, low, high, "", at_restart, no_plugins, "Plug-in that may refuse configuration changes."},
  {"alter.log.dirs.replication.quota.window.num", int32, "11", 1, high, "", at_restart, no_quotas, "Samples of disk-move throttles."},
  {"alter.log.dirs.replication.quota.window.size.seconds", int32, "1", 1, high, "", at_restart, no_quotas, "Length of a disk-move sample."},
  {"background.threads", int32, "10", 1, high, "", cluster_wide, no_pools, "Threads for background chores."},
  {"client.quota.callback.class", klass, nullptr, low, high, "", at_restart, no_quotas, "Plug-in that decides quotas."},
  {"config.providers", list, "", low, high, "", cluster_wide, no_plugins, "Plug-ins that fill ${...} in configuration from files, environment or vaults."},
  {"connection.failed.authentication.delay.ms", int32, "100", 0, high, "", at_restart, no_security, "Delay before closing after a failed login, against guessing."},
  {"connections.max.reauth.ms", int64, "0", low, high, "", at_restart, no_security, "Force SASL re-authentication after this long (KIP-368)."},
  {"controller.performance.always.log.threshold.ms", int64, "2000", 0, high, "", at_restart, not_ours, "Controller events slower than this are logged."},
  {"controller.performance.sample.period.ms", int64, "60000", 100, high, "", at_restart, not_ours, "How often controller event timings are logged."},
  {"controller.quorum.auto.join.enable", boolean, "false", low, high, "", at_restart, not_ours, "A new controller joins the voters by itself (KIP-853 follow-up, 4.2)."},
  {"controller.quorum.fetch.max.bytes", int32, "1048576", 1, high, "", at_restart, not_ours, "Bytes per quorum fetch (4.x)."},
  {"controller.quorum.fetch.snapshot.max.bytes", int32, "1048576", 1, high, "", at_restart, not_ours, "Bytes per snapshot fetch (4.x)."},
  {"controller.quorum.retry.backoff.ms", int32, "20", 0, high, "", at_restart, not_ours, "Pause after a failed quorum request."},
  {"controller.quota.window.num", int32, "11", 1, high, "", at_restart, no_quotas, "Samples of controller mutation quotas."},
  {"controller.quota.window.size.seconds", int32, "1", 1, high, "", at_restart, no_quotas, "Length of a mutation-quota sample."},
  {"controller.socket.timeout.ms", int32, "30000", low, high, "", at_restart, no_pools, "Socket timeout of broker-controller connections."},
  {"cordoned.log.dirs", list, "", low, high, "", per_broker, not_ours, "Data directories that get no new replicas (KIP-1066)."},
  {"create.topic.policy.class.name", klass, nullptr, low, high, "", at_restart, no_plugins, "Plug-in that may refuse topic creation."},
  {"delegation.token.expiry.check.interval.ms", int64, "3600000", 1, high, "", at_restart, no_security, "How often expired tokens are removed."},
  {"delegation.token.expiry.time.ms", int64, "86400000", 1, high, "", at_restart, no_security, "Time before a token must be renewed."},
  {"delegation.token.max.lifetime.ms", int64, "604800000", 1, high, "", at_restart, no_security, "Longest life of a token."},
  {"delegation.token.secret.key", password, nullptr, low, high, "", at_restart, no_security, "Shared secret that signs delegation tokens."},
  {"delete.records.purgatory.purge.interval.requests", int32, "1", low, high, "", at_restart, no_pools, "Housekeeping of delayed record deletions."},
  {"early.start.listeners", list, nullptr, low, high, "", at_restart, no_security, "Listeners that may open before the authorizer is ready (default: the controller listeners)."},
  {"errors.deadletterqueue.auto.create.topics.enable", boolean, "false", low, high, "", cluster_wide, no_share_groups, "Create dead-letter topics for share groups by itself (KIP-1191)."},
  {"errors.deadletterqueue.topic.name.prefix", string, "dlq.", low, high, "", cluster_wide, no_share_groups, "Prefix dead-letter topic names must have."},
  {"fetch.purgatory.purge.interval.requests", int32, "1000", low, high, "", at_restart, no_pools, "Housekeeping of delayed fetches."},
  {"follower.fetch.last.tiered.offset.enable", boolean, "false", low, high, "", cluster_wide, no_tiering, "An empty follower starts after the tiered data instead of copying all (4.4)."},
  {"group.consumer.assignment.interval.ms", int32, "1000", 0, high, "", cluster_wide, no_kip848, "Least time between two assignments of a consumer group (4.4)."},
  {"group.consumer.assignor.offload.enable", boolean, "true", low, high, "", cluster_wide, no_kip848, "Compute assignments off the coordinator thread."},
  {"group.consumer.assignors", list, "uniform, range", low, high, "", at_restart, no_kip848, "Server-side assignors on offer."},
  {"group.consumer.heartbeat.interval.ms", int32, "5000", 1, high, "", at_restart, no_kip848, "Pace of consumer-group heartbeats."},
  {"group.consumer.max.assignment.interval.ms", int32, "15000", 0, high, "", at_restart, no_kip848, "Largest group-level value allowed for: least time between two assignments of a consumer group (4.4)."},
  {"group.consumer.max.heartbeat.interval.ms", int32, "15000", 1, high, "", at_restart, no_kip848, "Largest group-level value allowed for: pace of consumer-group heartbeats."},
  {"group.consumer.max.session.timeout.ms", int32, "60000", 1, high, "", at_restart, no_kip848, "Largest group-level value allowed for: silence after which a consumer-group member is dropped."},
  {"group.consumer.max.size", int32, "2147483647", 1, high, "", at_restart, no_kip848, "Most members of a consumer group."},
  {"group.consumer.migration.policy", string, "bidirectional", low, high, "", at_restart, no_kip848, "Whether a live group may change between classic and consumer protocol."},
  {"group.consumer.min.assignment.interval.ms", int32, "0", 0, high, "", at_restart, no_kip848, "Smallest group-level value allowed for: least time between two assignments of a consumer group (4.4)."},
  {"group.consumer.min.heartbeat.interval.ms", int32, "5000", 1, high, "", at_restart, no_kip848, "Smallest group-level value allowed for: pace of consumer-group heartbeats."},
  {"group.consumer.min.session.timeout.ms", int32, "45000", 1, high, "", at_restart, no_kip848, "Smallest group-level value allowed for: silence after which a consumer-group member is dropped."},
  {"group.consumer.regex.refresh.interval.ms", int32, "600000", 10000, high, "", at_restart, no_kip848, "How often subscribed regexes are resolved again."},
  {"group.consumer.session.timeout.ms", int32, "45000", 1, high, "", at_restart, no_kip848, "Silence after which a consumer-group member is dropped."},
  {"group.coordinator.append.linger.ms", int32, "-1", -1, high, "", at_restart, no_pools, "How long coordinator writes gather before going to disk; -1 adapts."},
  {"group.coordinator.background.threads", int32, "2", 1, high, "", at_restart, no_pools, "Threads for regex and assignment work (4.4)."},
  {"group.coordinator.cached.buffer.max.bytes", int32, "1048588", 524288, high, "", cluster_wide, no_pools, "Largest buffer the group coordinator keeps (4.4)."},
  {"group.coordinator.rebalance.protocols", list, "classic, consumer, streams", low, high, "consumer, classic, share, streams", at_restart, no_kip848, "Group protocols on offer (deprecated)."},
  {"group.coordinator.threads", int32, "4", 1, high, "", at_restart, no_pools, "Threads of the group coordinator."},
  {"group.share.assignment.interval.ms", int32, "1000", 0, high, "", cluster_wide, no_share_groups, "Least time between two assignments of a share group (4.4)."},
  {"group.share.assignor.offload.enable", boolean, "true", low, high, "", cluster_wide, no_share_groups, "Compute share assignments off the coordinator thread."},
  {"group.share.assignors", list, "simple", low, high, "", at_restart, no_share_groups, "Share-group assignors on offer."},
  {"group.share.delivery.count.limit", int32, "5", 2, 10, "", at_restart, no_share_groups, "How often a share-group record is offered before it is given up."},
  {"group.share.dlq.manager.class.name", string, "org.apache.kafka.server.share.dlq.DefaultShareGroupDLQManager", low, high, "", at_restart, no_share_groups, "Dead-letter manager class."},
  {"group.share.heartbeat.interval.ms", int32, "5000", 1, high, "", at_restart, no_share_groups, "Pace of share-group heartbeats."},
  {"group.share.initialize.retry.interval.ms", int32, "30000", 1, high, "", at_restart, no_share_groups, "Retry pace of share-state initialisation."},
  {"group.share.max.assignment.interval.ms", int32, "15000", 0, high, "", at_restart, no_share_groups, "Largest group-level value allowed for: least time between two assignments of a share group (4.4)."},
  {"group.share.max.delivery.count.limit", int32, "10", 5, 25, "", at_restart, no_share_groups, "Largest group-level value allowed for: how often a share-group record is offered before it is given up."},
  {"group.share.max.heartbeat.interval.ms", int32, "15000", 1, high, "", at_restart, no_share_groups, "Largest group-level value allowed for: pace of share-group heartbeats."},
  {"group.share.max.partition.max.record.locks", int32, "4000", 2000, 10000, "", at_restart, no_share_groups, "Largest group-level value allowed for: records in flight per share partition."},
  {"group.share.max.record.lock.duration.ms", int32, "60000", 30000, 3600000, "", at_restart, no_share_groups, "Largest group-level value allowed for: how long a consumer holds a share-group record."},
  {"group.share.max.session.timeout.ms", int32, "60000", 1, high, "", at_restart, no_share_groups, "Largest group-level value allowed for: silence after which a share-group member is dropped."},
  {"group.share.max.share.sessions", int32, "2000", 1, high, "", at_restart, no_share_groups, "Share sessions per broker."},
  {"group.share.max.size", int32, "200", 1, 1000, "", at_restart, no_share_groups, "Most members of a share group."},
  {"group.share.min.assignment.interval.ms", int32, "0", 0, high, "", at_restart, no_share_groups, "Smallest group-level value allowed for: least time between two assignments of a share group (4.4)."},
  {"group.share.min.delivery.count.limit", int32, "2", 2, 5, "", at_restart, no_share_groups, "Smallest group-level value allowed for: how often a share-group record is offered before it is given up."},
  {"group.share.min.heartbeat.interval.ms", int32, "5000", 1, high, "", at_restart, no_share_groups, "Smallest group-level value allowed for: pace of share-group heartbeats."},
  {"group.share.min.partition.max.record.locks", int32, "100", 100, 2000, "", at_restart, no_share_groups, "Smallest group-level value allowed for: records in flight per share partition."},
  {"group.share.min.record.lock.duration.ms", int32, "15000", 1000, 30000, "", at_restart, no_share_groups, "Smallest group-level value allowed for: how long a consumer holds a share-group record."},
  {"group.share.min.session.timeout.ms", int32, "45000", 1, high, "", at_restart, no_share_groups, "Smallest group-level value allowed for: silence after which a share-group member is dropped."},
  {"group.share.partition.max.record.locks", int32, "2000", 100, 10000, "", at_restart, no_share_groups, "Records in flight per share partition."},
  {"group.share.persister.class.name", string, "org.apache.kafka.server.share.persister.DefaultStatePersister", low, high, "", at_restart, no_share_groups, "Share-state store class."},
  {"group.share.record.lock.duration.ms", int32, "30000", 1000, 3600000, "", at_restart, no_share_groups, "How long a consumer holds a share-group record."},
  {"group.share.session.timeout.ms", int32, "45000", 1, high, "", at_restart, no_share_groups, "Silence after which a share-group member is dropped."},
  {"group.streams.acceptable.recovery.lag", int64, "10000", 0, high, "", at_restart, no_streams_groups, "Lag at which a streams client counts as caught up."},
  {"group.streams.assignment.interval.ms", int32, "1000", 0, high, "", cluster_wide, no_streams_groups, "Least time between two assignments of a streams group (4.4)."},
  {"group.streams.assignor.offload.enable", boolean, "true", low, high, "", cluster_wide, no_streams_groups, "Compute streams assignments off the coordinator thread."},
  {"group.streams.assignors", list, "sticky", low, high, "", at_restart, no_streams_groups, "Streams-group assignors on offer."},
  {"group.streams.heartbeat.interval.ms", int32, "5000", 1, high, "", at_restart, no_streams_groups, "Pace of streams-group heartbeats."},
  {"group.streams.initial.rebalance.delay.ms", int32, "3000", 0, high, "", at_restart, no_streams_groups, "Wait for more streams clients before the first rebalance."},
  {"group.streams.max.assignment.interval.ms", int32, "15000", 0, high, "", at_restart, no_streams_groups, "Largest group-level value allowed for: least time between two assignments of a streams group (4.4)."},
  {"group.streams.max.heartbeat.interval.ms", int32, "15000", 1, high, "", at_restart, no_streams_groups, "Largest group-level value allowed for: pace of streams-group heartbeats."},
  {"group.streams.max.session.timeout.ms", int32, "60000", 1, high, "", at_restart, no_streams_groups, "Largest group-level value allowed for: silence after which a streams-group member is dropped."},
  {"group.streams.max.size", int32, "2147483647", 1, high, "", at_restart, no_streams_groups, "Most members of a streams group."},
  {"group.streams.max.standby.replicas", int32, "2", 0, high, "", at_restart, no_streams_groups, "Largest allowed number of standby copies."},
  {"group.streams.max.warmup.replicas", int32, "20", 0, high, "", at_restart, no_streams_groups, "Largest allowed number of warm-up copies."},
  {"group.streams.min.assignment.interval.ms", int32, "0", 0, high, "", at_restart, no_streams_groups, "Smallest group-level value allowed for: least time between two assignments of a streams group (4.4)."},
  {"group.streams.min.heartbeat.interval.ms", int32, "5000", 1, high, "", at_restart, no_streams_groups, "Smallest group-level value allowed for: pace of streams-group heartbeats."},
  {"group.streams.min.session.timeout.ms", int32, "45000", 1, high, "", at_restart, no_streams_groups, "Smallest group-level value allowed for: silence after which a streams-group member is dropped."},
  {"group.streams.min.task.offset.interval.ms", int32, "15000", 1, high, "", at_restart, no_streams_groups, "Smallest allowed value of that."},
  {"group.streams.num.standby.replicas", int32, "0", 0, high, "", at_restart, no_streams_groups, "Standby copies of each streams task."},
  {"group.streams.num.warmup.replicas", int32, "2", 0, high, "", at_restart, no_streams_groups, "Warm-up copies of streams tasks."},
  {"group.streams.rack.aware.assignment.tags", list, "", low, high, "", at_restart, no_streams_groups, "Client tags used to spread standby tasks."},
  {"group.streams.session.timeout.ms", int32, "45000", 1, high, "", at_restart, no_streams_groups, "Silence after which a streams-group member is dropped."},
  {"group.streams.task.offset.interval.ms", int32, "60000", 1, high, "", at_restart, no_streams_groups, "How often warm-up progress is reported."},
  {"group.streams.topology.description.plugin.class", klass, nullptr, low, high, "", at_restart, no_streams_groups, "Plug-in that receives topology descriptions (4.4)."},
  {"kafka.metrics.polling.interval.secs", int32, "10", 1, high, "", at_restart, no_samples, "Pace of those."},
  {"kafka.metrics.reporters", list, "", low, high, "", at_restart, no_samples, "JVM metric plug-ins of the older library."},
  {"log.dir.failure.timeout.ms", int64, "30000", 1, high, "", at_restart, not_ours, "Stop if the controller cannot be told of a broken disk for this long."},
  {"log.initial.task.delay.ms", int64, "30000", 0, high, "", at_restart, not_ours, "Delay of first log chores."},
  {"log.local.retention.bytes", int64, "-2", -2, high, "", cluster_wide, no_tiering, "Broker default of local.retention.bytes."},
  {"log.local.retention.ms", int64, "-2", -2, high, "", cluster_wide, no_tiering, "Broker default of local.retention.ms."},
  {"log.remote.copy.lag.bytes", int64, "-1", -1, high, "", cluster_wide, no_tiering, "Broker default of remote.copy.lag.bytes."},
  {"log.remote.copy.lag.ms", int64, "0", -1, high, "", cluster_wide, no_tiering, "Broker default of remote.copy.lag.ms."},
  {"metadata.log.segment.bytes", int32, "1073741824", 8388608, high, "", at_restart, not_ours, "Segment size of the metadata log."},
  {"metadata.log.segment.ms", int64, "604800000", low, high, "", at_restart, not_ours, "Segment age of the metadata log."},
  {"metadata.max.idle.interval.ms", int32, "500", 0, high, "", at_restart, not_ours, "How often an idle controller writes a no-op record."},
  {"metadata.max.retention.bytes", int64, "104857600", low, high, "", at_restart, not_ours, "Size of metadata log plus snapshots before old ones go."},
  {"metadata.max.retention.ms", int64, "604800000", low, high, "", at_restart, not_ours, "Age of metadata log and snapshots before they go."},
  {"metric.reporters", list, "org.apache.kafka.common.metrics.JmxReporter", low, high, "", cluster_wide, no_samples, "JVM metric plug-ins."},
  {"metrics.num.samples", int32, "2", 1, high, "", at_restart, no_samples, "Samples behind windowed metrics."},
  {"metrics.recording.level", string, "INFO", low, high, "", at_restart, no_samples, "How detailed metrics are."},
  {"metrics.sample.window.ms", int64, "30000", 1, high, "", at_restart, no_samples, "Length of one sample."},
  {"num.io.threads", int32, "8", 1, high, "", cluster_wide, no_pools, "Request-handler threads."},
  {"num.network.threads", int32, "3", 1, high, "", cluster_wide, no_pools, "Network threads per listener."},
  {"num.replica.alter.log.dirs.threads", int32, nullptr, low, high, "", at_restart, no_pools, "Threads moving replicas between disks; default one per log dir."},
  {"num.replica.fetchers", int32, "1", 1, high, "", cluster_wide, not_ours, "Fetcher threads per source broker."},
  {"offsets.load.buffer.size", int32, "5242880", 1, high, "", at_restart, no_pools, "Read size when loading offsets."},
  {"offsets.topic.compression.codec", int32, "0", low, high, "", at_restart, not_recompressed, "Codec of the offsets topic."},
  {"principal.builder.class", klass, "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder", low, high, "", per_broker, no_security, "Plug-in that turns a login into a principal."},
  {"producer.id.expiration.check.interval.ms", int32, "600000", 1, high, "", at_restart, not_ours, "How often that is checked."},
  {"producer.purgatory.purge.interval.requests", int32, "1000", low, high, "", at_restart, no_pools, "Housekeeping of delayed produces."},
  {"queued.max.requests", int32, "500", 1, high, "", at_restart, no_pools, "Requests waiting before network threads stop reading."},
  {"quota.window.num", int32, "11", 1, high, "", at_restart, no_quotas, "Samples of client quotas."},
  {"quota.window.size.seconds", int32, "1", 1, high, "", at_restart, no_quotas, "Length of a client-quota sample."},
  {"remote.fetch.max.wait.ms", int32, "500", 1, high, "", cluster_wide, no_tiering, "Longest wait of a fetch that needs remote data."},
  {"remote.list.offsets.request.timeout.ms", int64, "30000", 1, high, "", cluster_wide, no_tiering, "Longest wait of an offset lookup that needs remote data."},
  {"remote.log.index.file.cache.total.size.bytes", int64, "1073741824", 1, high, "", cluster_wide, no_tiering, "Local disk for cached indexes of remote segments."},
  {"remote.log.index.file.cache.ttl.ms", int64, "900000", -1, high, "", at_restart, no_tiering, "Idle time after which a cached remote index goes."},
  {"remote.log.manager.copier.thread.pool.size", int32, "10", 1, high, "", cluster_wide, no_tiering, "Threads copying segments out."},
  {"remote.log.manager.copy.max.bytes.per.second", int64, "9223372036854775807", 1, high, "", cluster_wide, no_tiering, "Bandwidth limit for copying to remote storage."},
  {"remote.log.manager.copy.quota.window.num", int32, "11", 1, high, "", at_restart, no_tiering, "Samples kept for that limit."},
  {"remote.log.manager.copy.quota.window.size.seconds", int32, "1", 1, high, "", at_restart, no_tiering, "Length of one such sample."},
  {"remote.log.manager.expiration.thread.pool.size", int32, "10", 1, high, "", cluster_wide, no_tiering, "Threads deleting expired remote segments."},
  {"remote.log.manager.fetch.max.bytes.per.second", int64, "9223372036854775807", 1, high, "", cluster_wide, no_tiering, "Bandwidth limit for reading from remote storage."},
  {"remote.log.manager.fetch.quota.window.num", int32, "11", 1, high, "", at_restart, no_tiering, "Samples kept for that limit."},
  {"remote.log.manager.fetch.quota.window.size.seconds", int32, "1", 1, high, "", at_restart, no_tiering, "Length of one such sample."},
  {"remote.log.manager.follower.thread.pool.size", int32, "2", 1, high, "", cluster_wide, no_tiering, "Threads with which followers learn how far data is remote."},
  {"remote.log.manager.task.interval.ms", int64, "30000", 1, high, "", at_restart, no_tiering, "How often tiering work runs."},
  {"remote.log.manager.task.retry.backoff.max.ms", int64, "30000", 1, high, "", at_restart, no_tiering, "Longest wait after a failed tiering task."},
  {"remote.log.manager.task.retry.backoff.ms", int64, "500", 1, high, "", at_restart, no_tiering, "First wait after a failed tiering task."},
  {"remote.log.manager.task.retry.jitter", real, "0.2", low, high, "", at_restart, no_tiering, "Randomness of that wait."},
  {"remote.log.manager.thread.pool.size", int32, "2", 1, high, "", at_restart, no_tiering, "Older name of the follower pool size (deprecated)."},
  {"remote.log.metadata.custom.metadata.max.bytes", int32, "128", 0, high, "", at_restart, no_tiering, "Cap on plug-in metadata per segment."},
  {"remote.log.metadata.manager.class.name", string, "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager", low, high, "", at_restart, no_tiering, "Remote-metadata plug-in class (default keeps it in an internal topic)."},
  {"remote.log.metadata.manager.class.path", string, nullptr, low, high, "", at_restart, no_tiering, "Where to load the remote-metadata plug-in from."},
  {"remote.log.metadata.manager.impl.prefix", string, "rlmm.config.", low, high, "", at_restart, no_tiering, "Prefix of settings handed to the remote-metadata plug-in."},
  {"remote.log.metadata.manager.listener.name", string, nullptr, low, high, "", at_restart, no_tiering, "Listener the remote-metadata plug-in uses to reach its own broker."},
  {"remote.log.reader.max.pending.tasks", int32, "100", 1, high, "", at_restart, no_tiering, "Queue of remote reads beyond which fetches get an error."},
  {"remote.log.reader.threads", int32, "10", 1, high, "", cluster_wide, no_tiering, "Threads reading remote data for consumers."},
  {"remote.log.storage.manager.class.name", string, nullptr, low, high, "", at_restart, no_tiering, "Storage plug-in class."},
  {"remote.log.storage.manager.class.path", string, nullptr, low, high, "", at_restart, no_tiering, "Where to load the storage plug-in from."},
  {"remote.log.storage.manager.impl.prefix", string, "rsm.config.", low, high, "", at_restart, no_tiering, "Prefix of settings handed to the storage plug-in."},
  {"replica.fetch.min.bytes", int32, "1", low, high, "", at_restart, not_ours, "Bytes a replication fetch waits for."},
  {"replica.socket.receive.buffer.bytes", int32, "65536", low, high, "", at_restart, no_pools, "Receive buffer of replication sockets."},
  {"replica.socket.timeout.ms", int32, "30000", low, high, "", at_restart, no_pools, "Socket timeout of replication."},
  {"replica.alter.log.dirs.io.max.bytes.per.second", int64, "9223372036854775807", 0, high, "", per_broker, no_disk_moves, "Bytes per second for moves between disks of one broker."},
  {"replication.quota.window.num", int32, "11", 1, high, "", at_restart, no_quotas, "Samples of replication throttles."},
  {"replication.quota.window.size.seconds", int32, "1", 1, high, "", at_restart, no_quotas, "Length of a replication-throttle sample."},
  {"sasl.client.callback.handler.class", klass, nullptr, low, high, "", at_restart, no_security, "Client-side login plug-in."},
  {"sasl.enabled.mechanisms", list, "GSSAPI", low, high, "", per_broker, no_security, "SASL mechanisms on offer (the default is only GSSAPI)."},
  {"sasl.jaas.config", password, nullptr, low, high, "", per_broker, no_security, "Inline JAAS login: how PLAIN users and inter-broker logins are given."},
  {"sasl.kerberos.kinit.cmd", string, "kinit", low, high, "", per_broker, no_security, "Kinit command."},
  {"sasl.kerberos.min.time.before.relogin", int64, "60000", low, high, "", per_broker, no_security, "Pause between logins."},
  {"sasl.kerberos.principal.to.local.rules", list, "DEFAULT", low, high, "", per_broker, no_security, "Rules from Kerberos principal to user name."},
  {"sasl.kerberos.service.name", string, nullptr, low, high, "", per_broker, no_security, "Kerberos service name."},
  {"sasl.kerberos.ticket.renew.jitter", real, "0.05", low, high, "", per_broker, no_security, "Randomness of renewal."},
  {"sasl.kerberos.ticket.renew.window.factor", real, "0.8", low, high, "", per_broker, no_security, "When to renew a ticket."},
  {"sasl.login.callback.handler.class", klass, nullptr, low, high, "", at_restart, no_security, "Login callback plug-in."},
  {"sasl.login.class", klass, nullptr, low, high, "", at_restart, no_security, "Login plug-in."},
  {"sasl.login.connect.timeout.ms", int32, nullptr, low, high, "", at_restart, no_security, "Connect timeout to the identity provider."},
  {"sasl.login.read.timeout.ms", int32, nullptr, low, high, "", at_restart, no_security, "Read timeout to the identity provider."},
  {"sasl.login.refresh.buffer.seconds", int16, "300", low, high, "", per_broker, no_security, "Safety time before expiry."},
  {"sasl.login.refresh.min.period.seconds", int16, "60", low, high, "", per_broker, no_security, "Least time before a refresh."},
  {"sasl.login.refresh.window.factor", real, "0.8", low, high, "", per_broker, no_security, "When to refresh a token."},
  {"sasl.login.refresh.window.jitter", real, "0.05", low, high, "", per_broker, no_security, "Randomness of that."},
  {"sasl.login.retry.backoff.max.ms", int64, "10000", low, high, "", at_restart, no_security, "Longest pause between login tries."},
  {"sasl.login.retry.backoff.ms", int64, "100", low, high, "", at_restart, no_security, "First pause between login tries."},
  {"sasl.mechanism.controller.protocol", string, "GSSAPI", low, high, "", at_restart, no_security, "SASL mechanism towards controllers."},
  {"sasl.mechanism.inter.broker.protocol", string, "GSSAPI", low, high, "", per_broker, no_security, "SASL mechanism between brokers."},
  {"sasl.oauthbearer.allow.unverified.audience", boolean, "false", low, high, "", at_restart, no_security, "Accept tokens without checking their audience (4.4)."},
  {"sasl.oauthbearer.allow.unverified.issuer", boolean, "false", low, high, "", at_restart, no_security, "Accept tokens without checking their issuer (4.4)."},
  {"sasl.oauthbearer.assertion.algorithm", string, "RS256", low, high, "ES256, RS256", at_restart, no_security, "Client-side JWT assertion: algorithm."},
  {"sasl.oauthbearer.assertion.claim.aud", string, nullptr, low, high, "", at_restart, no_security, "Client-side JWT assertion: claim aud."},
  {"sasl.oauthbearer.assertion.claim.exp.seconds", int32, "300", 0, 86400, "", at_restart, no_security, "Client-side JWT assertion: claim exp seconds."},
  {"sasl.oauthbearer.assertion.claim.iss", string, nullptr, low, high, "", at_restart, no_security, "Client-side JWT assertion: claim iss."},
  {"sasl.oauthbearer.assertion.claim.jti.include", boolean, "false", low, high, "", at_restart, no_security, "Client-side JWT assertion: claim jti include."},
  {"sasl.oauthbearer.assertion.claim.nbf.seconds", int32, "60", 0, 3600, "", at_restart, no_security, "Client-side JWT assertion: claim nbf seconds."},
  {"sasl.oauthbearer.assertion.claim.sub", string, nullptr, low, high, "", at_restart, no_security, "Client-side JWT assertion: claim sub."},
  {"sasl.oauthbearer.assertion.file", string, nullptr, low, high, "", at_restart, no_security, "Client-side JWT assertion: file."},
  {"sasl.oauthbearer.assertion.private.key.file", string, nullptr, low, high, "", at_restart, no_security, "Client-side JWT assertion: private key file."},
  {"sasl.oauthbearer.assertion.private.key.passphrase", password, nullptr, low, high, "", at_restart, no_security, "Client-side JWT assertion: private key passphrase."},
  {"sasl.oauthbearer.assertion.template.file", string, nullptr, low, high, "", at_restart, no_security, "Client-side JWT assertion: template file."},
  {"sasl.oauthbearer.client.credentials.client.id", string, nullptr, low, high, "", at_restart, no_security, "Client id for the token request."},
  {"sasl.oauthbearer.client.credentials.client.secret", password, nullptr, low, high, "", at_restart, no_security, "Client secret for the token request."},
  {"sasl.oauthbearer.clock.skew.seconds", int32, "30", low, high, "", at_restart, no_security, "Clock difference forgiven."},
  {"sasl.oauthbearer.expected.audience", list, "", low, high, "", at_restart, no_security, "Audiences accepted."},
  {"sasl.oauthbearer.expected.issuer", string, nullptr, low, high, "", at_restart, no_security, "Issuer accepted."},
  {"sasl.oauthbearer.jwks.endpoint.refresh.ms", int64, "3600000", low, high, "", at_restart, no_security, "How often those keys are reloaded."},
  {"sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", int64, "10000", low, high, "", at_restart, no_security, "Longest pause after a failed reload."},
  {"sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", int64, "100", low, high, "", at_restart, no_security, "First pause after a failed reload."},
  {"sasl.oauthbearer.jwks.endpoint.url", string, nullptr, low, high, "", at_restart, no_security, "Where the keys that verify tokens come from."},
  {"sasl.oauthbearer.jwt.retriever.class", klass, "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever", low, high, "", at_restart, no_security, "Plug-in that gets tokens."},
  {"sasl.oauthbearer.jwt.validator.class", klass, "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator", low, high, "", at_restart, no_security, "Plug-in that checks tokens."},
  {"sasl.oauthbearer.scope", string, nullptr, low, high, "", at_restart, no_security, "Scope asked for."},
  {"sasl.oauthbearer.scope.claim.name", string, "scope", low, high, "", at_restart, no_security, "Claim that holds scopes."},
  {"sasl.oauthbearer.sub.claim.name", string, "sub", low, high, "", at_restart, no_security, "Claim that becomes the user name."},
  {"sasl.oauthbearer.token.endpoint.url", string, nullptr, low, high, "", at_restart, no_security, "Where tokens come from (client role)."},
  {"sasl.server.callback.handler.class", klass, nullptr, low, high, "", at_restart, no_security, "Plug-in that checks logins."},
  {"sasl.server.max.receive.size", int32, "524288", low, high, "", at_restart, no_security, "Largest message accepted before login."},
  {"security.providers", string, nullptr, low, high, "", at_restart, no_security, "JVM security provider plug-ins."},
  {"server.max.startup.time.ms", int64, "9223372036854775807", 0, high, "", at_restart, not_ours, "Give up starting after this long."},
  {"share.coordinator.append.linger.ms", int32, "-1", -1, high, "", at_restart, no_share_groups, "Gathering time of share-state writes."},
  {"share.coordinator.cached.buffer.max.bytes", int32, "1048588", 524288, high, "", cluster_wide, no_share_groups, "Largest buffer the share coordinator keeps."},
  {"share.coordinator.cold.partition.snapshot.interval.ms", int32, "300000", 1, high, "", at_restart, no_share_groups, "How often idle share partitions are snapshotted."},
  {"share.coordinator.load.buffer.size", int32, "5242880", 1, high, "", at_restart, no_share_groups, "Read size when loading share state."},
  {"share.coordinator.snapshot.update.records.per.snapshot", int32, "500", 0, 500, "", at_restart, no_share_groups, "Updates between share-state snapshots."},
  {"share.coordinator.state.topic.compression.codec", int32, "0", low, high, "", at_restart, no_share_groups, "Codec of the share-state topic."},
  {"share.coordinator.state.topic.min.isr", int16, "2", 1, high, "", at_restart, no_share_groups, "Min.insync.replicas of the share-state topic."},
  {"share.coordinator.state.topic.num.partitions", int32, "50", 1, high, "", at_restart, no_share_groups, "Partitions of the share-state topic."},
  {"share.coordinator.state.topic.prune.interval.ms", int32, "300000", 1, high, "", at_restart, no_share_groups, "How often old share state is pruned."},
  {"share.coordinator.state.topic.replication.factor", int16, "3", 1, high, "", at_restart, no_share_groups, "Replicas of the share-state topic."},
  {"share.coordinator.state.topic.segment.bytes", int32, "104857600", 1, high, "", at_restart, no_share_groups, "Segment size of the share-state topic."},
  {"share.coordinator.threads", int32, "1", 1, high, "", at_restart, no_share_groups, "Threads of the share coordinator."},
  {"share.coordinator.write.timeout.ms", int32, "5000", 1, high, "", at_restart, no_share_groups, "How long a share-state write waits for replicas."},
  {"share.fetch.purgatory.purge.interval.requests", int32, "1000", low, high, "", at_restart, no_share_groups, "Housekeeping of delayed share fetches."},
  {"socket.connection.setup.timeout.max.ms", int64, "30000", low, high, "", at_restart, no_pools, "Largest connect timeout after backoff."},
  {"socket.connection.setup.timeout.ms", int64, "10000", low, high, "", at_restart, no_pools, "First connect timeout of the broker's own connections."},
  {"ssl.allow.dn.changes", boolean, "false", low, high, "", at_restart, no_security, "Allow a new certificate with another name when reloading."},
  {"ssl.allow.san.changes", boolean, "false", low, high, "", at_restart, no_security, "Allow a new certificate with other alternative names when reloading."},
  {"ssl.cipher.suites", list, "", low, high, "", per_broker, no_security, "Cipher suites allowed."},
  {"ssl.client.auth", string, "none", low, high, "required, requested, none", per_broker, no_security, "None, requested or required: mutual TLS."},
  {"ssl.enabled.protocols", list, "TLSv1.2, TLSv1.3", low, high, "", per_broker, no_security, "TLS versions allowed."},
  {"ssl.endpoint.identification.algorithm", string, "https", low, high, "", per_broker, no_security, "Host-name check of certificates; empty switches it off."},
  {"ssl.engine.factory.class", klass, nullptr, low, high, "", per_broker, no_security, "TLS engine plug-in."},
  {"ssl.key.password", password, nullptr, low, high, "", per_broker, no_security, "Private key password."},
  {"ssl.keymanager.algorithm", string, "SunX509", low, high, "", per_broker, no_security, "JVM key manager."},
  {"ssl.keystore.certificate.chain", password, nullptr, low, high, "", per_broker, no_security, "Certificate chain as inline PEM."},
  {"ssl.keystore.key", password, nullptr, low, high, "", per_broker, no_security, "Private key as inline PEM."},
  {"ssl.keystore.location", string, nullptr, low, high, "", per_broker, no_security, "Key store file."},
  {"ssl.keystore.password", password, nullptr, low, high, "", per_broker, no_security, "Key store password."},
  {"ssl.keystore.type", string, "JKS", low, high, "", per_broker, no_security, "JKS, PKCS12 or PEM."},
  {"ssl.principal.mapping.rules", string, "DEFAULT", low, high, "", at_restart, no_security, "Rules from certificate name to user name."},
  {"ssl.protocol", string, "TLSv1.3", low, high, "", per_broker, no_security, "TLS version of the context."},
  {"ssl.provider", string, nullptr, low, high, "", per_broker, no_security, "JVM TLS provider."},
  {"ssl.secure.random.implementation", string, nullptr, low, high, "", per_broker, no_security, "JVM random source."},
  {"ssl.trustmanager.algorithm", string, "PKIX", low, high, "", per_broker, no_security, "JVM trust manager."},
  {"ssl.truststore.certificates", password, nullptr, low, high, "", per_broker, no_security, "Trusted certificates as inline PEM."},
  {"ssl.truststore.location", string, nullptr, low, high, "", per_broker, no_security, "Trust store file."},
  {"ssl.truststore.password", password, nullptr, low, high, "", per_broker, no_security, "Trust store password."},
  {"ssl.truststore.type", string, "JKS", low, high, "", per_broker, no_security, "JKS, PKCS12 or PEM."},
  {"telemetry.max.bytes", int32, "1048576", 1, high, "", at_restart, no_quotas, "Largest client-metrics push accepted (KIP-714)."},
  {"transaction.abort.timed.out.transaction.cleanup.interval.ms", int32, "10000", 1, high, "", at_restart, no_transactions, "How often timed-out transactions are aborted."},
  {"transaction.max.timeout.ms", int32, "900000", 1, high, "", at_restart, no_transactions, "Longest transaction timeout a client may ask for (15 min)."},
  {"transaction.partition.verification.enable", boolean, "true", low, high, "", cluster_wide, no_transactions, "Check that a partition belongs to the transaction before appending (KIP-890 part 1)."},
  {"transaction.remove.expired.transaction.cleanup.interval.ms", int32, "3600000", 1, high, "", at_restart, no_transactions, "How often expired transactional ids are removed."},
  {"transaction.state.log.load.buffer.size", int32, "5242880", 1, high, "", at_restart, no_transactions, "Read size when loading transaction state."},
  {"transaction.two.phase.commit.enable", boolean, "false", low, high, "", at_restart, no_transactions, "Let an outside coordinator drive two-phase commit (KIP-939)."},
  {"transactional.id.expiration.ms", int32, "604800000", 1, high, "", at_restart, no_transactions, "Forget a transactional id after this long without use (7 days)."},
  {"unclean.leader.election.interval.ms", int64, "300000", 1, high, "", at_restart, not_ours, "How often leaderless partitions are looked at for unclean election."},
};
// clang-format on

}  // namespace

std::vector<Property> accepted_broker_rows() {
  std::vector<Property> all;
  all.reserve(std::size(rows));
  for (const Row& row : rows) {
    Property p;
    p.key = row.key;
    p.type = row.type;
    if (row.default_text != nullptr) p.default_text = row.default_text;
    if (row.min != low) p.min = row.min;
    if (row.max != high) p.max = row.max;
    p.allowed = row.allowed;
    p.update = row.update;
    p.effect = Effect::accepted;
    p.doc = row.doc;
    p.note = row.why;
    all.push_back(std::move(p));
  }
  return all;
}

}  // namespace common::config
