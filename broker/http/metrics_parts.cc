#include "broker/http/metrics_parts.h"

#include <algorithm>
#include <map>
#include <span>

#include <fmt/format.h>

namespace broker::http {

namespace {

// Replicas in the order of topic and partition, as many as may be shown.
std::vector<const ReplicaSample*> shown(const BrokerSample& sample, size_t most) {
  std::vector<const ReplicaSample*> all;
  for (const ShardSample& shard : sample.shards) {
    for (const ReplicaSample& replica : shard.replicas) all.push_back(&replica);
  }
  std::ranges::sort(all, [](const ReplicaSample* a, const ReplicaSample* b) {
    return std::tie(a->facts.topic, a->facts.partition) < std::tie(b->facts.topic, b->facts.partition);
  });
  if (all.size() > most) all.resize(most);
  return all;
}

// One family with a sample for each replica of which `value` says something.
template <class Value>
void each(MetricsText& out, const std::vector<const ReplicaSample*>& replicas, const char* name, const char* help,
          Value value) {
  out.family(name, "gauge", help);
  for (const ReplicaSample* replica : replicas) {
    if (const std::optional<double> v = value(*replica)) {
      out.sample({{"topic", replica->facts.topic}, {"partition", fmt::to_string(replica->facts.partition.value)}}, *v);
    }
  }
}

void write_offsets(MetricsText& out, const std::vector<const ReplicaSample*>& replicas) {
  using Value = std::optional<double>;
  const auto of_all = [&](const char* name, const char* help, auto value) {
    each(out, replicas, name, help, [&](const ReplicaSample& r) -> Value { return number(value(r)); });
  };
  const auto of_leaders = [&](const char* name, const char* help, auto value) {
    each(out, replicas, name, help,
         [&](const ReplicaSample& r) -> Value { return r.facts.is_leader ? Value(number(value(r))) : Value(); });
  };
  of_all("kafka_log_log_size", "Bytes of the replica on disk.",
         [](const ReplicaSample& r) { return r.facts.size_bytes; });
  of_all("kafka_log_log_numlogsegments", "Segments of the replica.",
         [](const ReplicaSample& r) { return r.facts.segments; });
  of_all("kafka_log_log_logstartoffset", "First offset of the replica.",
         [](const ReplicaSample& r) { return r.facts.log_start_offset.value; });
  of_all("kafka_log_log_logendoffset", "Next offset of the replica.",
         [](const ReplicaSample& r) { return r.facts.log_end_offset.value; });
  of_leaders("kafka_cluster_partition_laststableoffsetlag", "Records held back by open transactions.",
             [](const ReplicaSample& r) { return r.facts.high_watermark.value - r.facts.last_stable_offset.value; });
  of_leaders("kafka_topic_partition_current_offset", "Next offset that consumers will see.",
             [](const ReplicaSample& r) { return r.facts.high_watermark.value; });
  of_leaders("kafka_topic_partition_oldest_offset", "First offset of the partition.",
             [](const ReplicaSample& r) { return r.facts.log_start_offset.value; });
}

// How far followers are behind, as their leader knows: it alone knows both ends. The largest covers what is left out.
void write_follower_lag(MetricsText& out, int32_t node_id, const BrokerSample& sample,
                        const std::vector<const ReplicaSample*>& replicas) {
  const auto lag_of = [](const ReplicaSample& leader, const partition::PartitionDescription::Follower& follower) {
    const common::model::Offset end = follower.log_end.value_or(leader.facts.log_start_offset);
    return std::max<int64_t>(0, leader.facts.log_end_offset.value - end.value);
  };
  int64_t largest = 0;
  size_t failing = 0;
  for (const ShardSample& shard : sample.shards) {
    for (const ReplicaSample& replica : shard.replicas) {
      failing += replica.facts.fetch_fails ? 1 : 0;
      for (const auto& follower : replica.facts.followers) largest = std::max(largest, lag_of(replica, follower));
    }
  }
  out.family("kafka_server_replicafetchermanager_maxlag", "gauge",
             "Records by which the follower that is furthest behind lags; said by the leader.");
  out.sample({{"clientId", "Replica"}}, number(largest));
  out.family("kafka_server_replicafetchermanager_failedpartitionscount", "gauge",
             "Replicas here that could not take what their leader last sent, and try again after a while.");
  out.sample({{"clientId", "Replica"}}, number(failing));
  out.family("kafka_server_fetcherlagmetrics_consumerlag", "gauge",
             "Records by which each follower lags behind; said by the leader, the follower is a label.");
  for (const ReplicaSample* replica : replicas) {
    for (const auto& follower : replica->facts.followers) {
      out.sample({{"clientId", fmt::format("ReplicaFetcherThread-0-{}", node_id)},
                  {"topic", replica->facts.topic},
                  {"partition", fmt::to_string(replica->facts.partition.value)},
                  {"replica", fmt::to_string(follower.id.value)}},
                 number(lag_of(*replica, follower)));
    }
  }
}

void write_isr(MetricsText& out, const BrokerSample& sample, const std::vector<const ReplicaSample*>& replicas) {
  using Value = std::optional<double>;
  const auto standing = [&](const char* name, const char* help, auto value) {
    each(out, replicas, name, help, [&](const ReplicaSample& r) -> Value {
      return r.facts.is_leader ? Value(number(value(standing_of(sample, r)))) : Value();
    });
  };
  const auto under = [](const IsrStanding& s) { return s.in_sync < s.replicas ? 1 : 0; };
  standing("kafka_cluster_partition_underreplicated", "1: replicas are out of sync.", under);
  standing("kafka_cluster_partition_underminisr", "1: below min.insync.replicas.",
           [](const IsrStanding& s) { return s.in_sync < s.min_isr ? 1 : 0; });
  standing("kafka_cluster_partition_atminisr", "1: exactly at min.insync.replicas.",
           [](const IsrStanding& s) { return s.in_sync == s.min_isr ? 1 : 0; });
  standing("kafka_cluster_partition_insyncreplicascount", "Replicas in sync.",
           [](const IsrStanding& s) { return s.in_sync; });
  standing("kafka_cluster_partition_replicascount", "Replicas.", [](const IsrStanding& s) { return s.replicas; });
  standing("kafka_topic_partition_in_sync_replica", "Replicas in sync.",
           [](const IsrStanding& s) { return s.in_sync; });
  standing("kafka_topic_partition_replicas", "Replicas.", [](const IsrStanding& s) { return s.replicas; });
  standing("kafka_topic_partition_under_replicated_partition", "1: replicas are out of sync.", under);
  const auto state_of = [&](const ReplicaSample& r) {
    return sample.image->partition(r.facts.topic_id, r.facts.partition);
  };
  each(out, replicas, "kafka_topic_partition_leader", "Broker that leads the partition.",
       [&](const ReplicaSample& r) -> Value {
         const auto* state = state_of(r);
         return r.facts.is_leader && state != nullptr && state->leader ? Value(state->leader->value) : Value();
       });
  each(out, replicas, "kafka_topic_partition_leader_is_preferred", "1: the leader is the preferred replica.",
       [&](const ReplicaSample& r) -> Value {
         const auto* state = state_of(r);
         if (!r.facts.is_leader || state == nullptr) return Value();
         return state->leader && !state->replicas.empty() && *state->leader == state->replicas.front() ? 1 : 0;
       });
  out.family("kafka_topic_partitions", "gauge", "Partitions of the topic; said by the leader of partition 0.");
  for (const ReplicaSample* replica : replicas) {
    if (!replica->facts.is_leader || replica->facts.partition.value != 0) continue;
    if (const auto* topic = sample.image->topic_by_id(replica->facts.topic_id)) {
      out.sample({{"topic", topic->name}}, number(topic->partition_count()));
    }
  }
}

}  // namespace

IsrStanding standing_of(const BrokerSample& sample, const ReplicaSample& replica) {
  IsrStanding standing;
  const auto* state = sample.image->partition(replica.facts.topic_id, replica.facts.partition);
  standing.replicas = state != nullptr ? state->replicas.size() : 1;
  standing.in_sync = replica.facts.isr.size();
  standing.min_isr = std::min<size_t>(static_cast<size_t>(std::max(1, replica.facts.min_isr)), standing.replicas);
  return standing;
}

void write_process(MetricsText& out, const MetricsInput& in) {
  out.family("kafka_server_kafkaserver_brokerstate", "gauge",
             "1 starting, 2 recovery, 3 running, 6 controlled shutdown.");
  out.sample(in.broker_state);
  out.family("naru_build_info", "gauge", "Always 1; the version is a label.");
  out.sample({{"version", in.version}, {"node_id", fmt::to_string(in.node_id)}}, 1);
  out.family("naru_uptime_seconds", "gauge", "Since the process started.");
  out.sample(in.process.uptime_seconds);
  out.family("process_cpu_seconds_total", "counter", "CPU time used.");
  out.sample(in.process.cpu_seconds);
  out.family("process_resident_memory_bytes", "gauge", "Memory in use.");
  out.sample(in.process.resident_bytes);
  out.family("process_virtual_memory_bytes", "gauge", "Address space in use.");
  out.sample(in.process.virtual_bytes);
  out.family("process_open_fds", "gauge", "Open descriptors.");
  out.sample(in.process.open_descriptors);
  out.family("process_max_fds", "gauge", "Descriptors that may be open.");
  out.sample(in.process.max_descriptors);
  out.family("kafka_server_kafkaserver_linux_disk_read_bytes", "gauge", "Bytes that this process had read from disks.");
  out.sample(in.process.disk_read_bytes);
  out.family("kafka_server_kafkaserver_linux_disk_write_bytes", "gauge", "Bytes that it had written to disks.");
  out.sample(in.process.disk_write_bytes);
  out.family("process_start_time_seconds", "gauge", "When the process started.");
  out.sample(in.process.start_time_seconds);
  // One thread accepts and spreads connections over the shards: there is one "processor" to name.
  out.family("kafka_server_socket_server_metrics_connection_count", "gauge", "Clients connected.");
  for (const ConnectionSample::OfListener& listener : in.connections.listeners)
    out.sample({{"listener", listener.name}, {"networkProcessor", "0"}}, number(listener.open));
  out.family("naru_connections_accepted_total", "counter", "Connections taken.");
  out.sample(number(in.connections.accepted));
  out.family("naru_connections_refused_total", "counter", "Connections refused by a limit.");
  out.sample(number(in.connections.refused));
}

size_t write_partitions(MetricsText& out, const MetricsInput& in, const BrokerSample& sample) {
  const std::vector<const ReplicaSample*> replicas = shown(sample, in.partitions_max);
  write_offsets(out, replicas);
  // Nobody sees a topic that is deleted and kept, nor can mend it: no alarm is about one. Its bytes are on the disk.
  std::vector<const ReplicaSample*> visible = replicas;
  std::erase_if(visible, [&](const ReplicaSample* r) { return sample.image->is_kept(r->facts.topic_id); });
  write_isr(out, sample, visible);
  write_follower_lag(out, in.node_id, sample, replicas);
  size_t all = 0;
  for (const ShardSample& shard : sample.shards) all += shard.replicas.size();
  return all - replicas.size();
}

void write_software(MetricsText& out, const BrokerSample& sample) {
  std::map<server::SoftwareTable::Key, uint64_t> all;
  for (const ShardSample& shard : sample.shards) {
    for (const auto& [key, connections] : shard.software) all[key] += connections;
  }
  out.family("kafka_server_socket_server_metrics_connections_software", "gauge",
             "Clients connected, by library and version as they say; unknown: not said.");
  for (const auto& [key, connections] : all) {
    out.sample({{"clientSoftwareName", key.name},
                {"clientSoftwareVersion", key.version},
                {"listener", key.listener},
                {"networkProcessor", "0"}},
               number(connections));
  }
}

// Of the shard that is worst off.
void write_cleaner(MetricsText& out, const BrokerSample& sample) {
  cleaner::CleanerStanding all;
  std::optional<double> since_look, took;
  double dirtiest = 0;
  bool is_on = false;
  for (const ShardSample& shard : sample.shards) {
    if (!shard.cleaner) continue;
    is_on = true;
    const cleaner::CleanerStanding& one = *shard.cleaner;
    const auto ms = [](common::Duration d) { return std::chrono::duration<double, std::milli>(d).count(); };
    if (one.looked_at) since_look = std::max(since_look.value_or(0), ms(sample.taken - *one.looked_at));
    if (one.bytes_before > 0) took = std::max(took.value_or(0), ms(one.took));
    dirtiest = std::max(dirtiest, one.dirtiest);
    all.bytes_before += one.bytes_before;
    all.bytes_after += one.bytes_after;
    for (const auto& [directory, logs] : one.uncleanable) all.uncleanable[directory] += logs;
  }
  if (!is_on) return;
  const auto gauge = [&](const char* name, const char* help, double value) {
    out.family(name, "gauge", help);
    out.sample(value);
  };
  if (since_look) {
    gauge("kafka_log_logcleanermanager_time_since_last_run_ms",
          "Since compaction last looked for what to compact: the shard that waits longest.", *since_look);
  }
  gauge("kafka_log_logcleaner_max_dirty_percent", "Dirty share of the dirtiest compacted log, as it looked then.",
        dirtiest * 100);
  const double recopied = all.bytes_before > 0 ? number(all.bytes_after) / number(all.bytes_before) : 0;
  gauge("kafka_log_logcleaner_cleaner_recopy_percent", "What the last runs have left of what they read.",
        recopied * 100);
  gauge("kafka_log_logcleaner_max_clean_time_secs", "How long the longest of the last runs took.",
        took.value_or(0) / 1000);
  out.family("kafka_log_logcleanermanager_uncleanable_partitions_count", "gauge",
             "Logs that cannot be compacted as they are; the broker's log says why.");
  for (const auto& volume : sample.volumes) all.uncleanable.try_emplace(volume.path, 0);
  for (const auto& [directory, logs] : all.uncleanable) out.sample({{"logDirectory", directory}}, number(logs));
}

void write_volumes(MetricsText& out, const BrokerSample& sample) {
  size_t offline = 0;
  for (const partition::Volume& volume : sample.volumes) offline += volume.is_offline ? 1 : 0;
  out.family("kafka_log_logmanager_offlinelogdirectorycount", "gauge", "Data directories that have failed.");
  out.sample(number(offline));
  out.family("naru_disk_free_bytes", "gauge", "Free space of a data directory's file system.");
  for (const auto& volume : sample.volumes) {
    if (volume.space) out.sample({{"directory", volume.path}}, number(volume.space->free_bytes));
  }
  out.family("naru_disk_total_bytes", "gauge", "Size of a data directory's file system.");
  for (const auto& volume : sample.volumes) {
    if (volume.space) out.sample({{"directory", volume.path}}, number(volume.space->total_bytes));
  }
}

namespace {

// Lags come group by group, topic by topic. Of as many topics of groups as may be shown, each with all its partitions:
// a sum of some of them would be a wrong number. Where no lag is known there is none to sum, and 0 would be one.
void write_sums(MetricsText& out, const std::vector<GroupLag>& lags, size_t most, const char* name, const char* help,
                bool of_lag) {
  out.family(name, "gauge", help);
  for (size_t i = 0, shown = 0; i < lags.size() && shown < most;) {
    double sum = 0;
    bool known = false;
    size_t j = i;
    for (; j < lags.size() && lags[j].group == lags[i].group && lags[j].partition.topic == lags[i].partition.topic;
         ++j) {
      known = known || !of_lag || lags[j].records;
      sum += of_lag ? number(lags[j].records.value_or(0)) : number(lags[j].committed.value);
    }
    if (known) {
      out.sample({{"consumergroup", lags[i].group}, {"topic", lags[i].partition.topic}}, sum);
      ++shown;
    }
    i = j;
  }
}

// How many groups there are, by state, and what they have committed.
void write_group_counts(MetricsText& out, const BrokerSample& sample) {
  std::map<std::string, size_t> by_state;
  size_t offsets = 0;
  for (const group::GroupSurvey& group : sample.groups) {
    ++by_state[group.state];
    offsets += group.offsets.size();
  }
  out.family("kafka_server_groupmetadatamanager_numgroups", "gauge", "Groups coordinated by this broker.");
  out.sample(number(sample.groups.size()));
  for (const auto& [state, name] : {std::pair{"PreparingRebalance", "preparingrebalance"},
                                    {"CompletingRebalance", "completingrebalance"},
                                    {"Empty", "empty"},
                                    {"Stable", "stable"},
                                    {"Dead", "dead"}}) {
    out.family(fmt::format("kafka_server_groupmetadatamanager_numgroups{}", name), "gauge", "Those in that state.");
    const auto found = by_state.find(state);
    out.sample(found != by_state.end() ? number(found->second) : 0);
  }
  out.family("kafka_server_groupmetadatamanager_numoffsets", "gauge", "Committed offsets kept by this broker.");
  out.sample(number(offsets));
  out.family("kafka_server_group_coordinator_metrics_group_count", "gauge", "Groups by state.");
  for (const auto& [state, groups] : by_state) out.sample({{"protocol", "classic"}, {"state", state}}, number(groups));
}

void write_group_loads(MetricsText& out, const BrokerSample& sample) {
  common::Duration longest{0}, sum{0};
  for (const common::Duration took : sample.group_load_times) {
    longest = std::max(longest, took);
    sum += took;
  }
  const auto ms = [](common::Duration d) { return std::chrono::duration<double, std::milli>(d).count(); };
  const double loads = number(std::max<size_t>(1, sample.group_load_times.size()));
  out.family("kafka_server_group_coordinator_metrics_partition_load_time_max", "gauge",
             "Milliseconds that the coordinators of this broker took to load, at most.");
  out.sample(ms(longest));
  out.family("kafka_server_group_coordinator_metrics_partition_load_time_avg", "gauge", "The same, on average.");
  out.sample(ms(sum) / loads);
}

// Of each partition with a lag.
void write_lags(MetricsText& out, std::span<const GroupLag> lags) {
  const auto each = [&](const char* name, const char* help, auto value) {
    out.family(name, "gauge", help);
    for (const GroupLag& lag : lags) {
      if (const std::optional<double> v = value(lag)) {
        out.sample({{"consumergroup", lag.group},
                    {"topic", lag.partition.topic},
                    {"partition", fmt::to_string(lag.partition.partition.value)}},
                   *v);
      }
    }
  };
  using Value = std::optional<double>;
  each("kafka_consumergroup_current_offset", "Committed offset.",
       [](const GroupLag& l) -> Value { return number(l.committed.value); });
  each("kafka_consumergroup_lag", "Records between the committed offset and the end.",
       [](const GroupLag& l) -> Value { return l.records ? Value(number(*l.records)) : Value(); });
  each("naru_consumergroup_lag_seconds", "Age of the oldest record that the group has not read.",
       [](const GroupLag& l) -> Value { return l.seconds; });
}

}  // namespace

size_t write_groups(MetricsText& out, const BrokerSample& sample, const std::vector<GroupLag>* lags,
                    size_t partitions_max) {
  write_group_counts(out, sample);
  write_group_loads(out, sample);
  out.family("kafka_consumergroup_members", "gauge", "Members of the group; said by its coordinator.");
  size_t named = 0;
  for (const group::GroupSurvey& group : sample.groups) {
    if (named++ < partitions_max) out.sample({{"consumergroup", group.group}}, number(group.members));
  }
  if (lags == nullptr) return 0;
  const std::span some(lags->data(), std::min(lags->size(), partitions_max));
  write_lags(out, some);
  write_sums(out, *lags, partitions_max, "kafka_consumergroup_current_offset_sum", "Committed offsets summed.", false);
  write_sums(out, *lags, partitions_max, "kafka_consumergroup_lag_sum", "Lag summed, as far as it is known.", true);
  return lags->size() - some.size();
}

}  // namespace broker::http
