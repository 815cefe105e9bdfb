#include "broker/http/metrics.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include <fmt/format.h>

#include "broker/api/handler.h"
#include "broker/http/metrics_parts.h"

namespace broker::http {

using partition::PartitionCounters;

ProcessSample sample_process() {
  ProcessSample sample;
  std::ifstream stat("/proc/self/stat");
  std::string line;
  std::getline(stat, line);
  // The name in parentheses may hold anything: count fields from its end.
  const size_t end_of_name = line.rfind(')');
  std::vector<double> fields;
  if (end_of_name != std::string::npos) {
    std::istringstream rest(line.substr(end_of_name + 4));
    for (double value = 0; rest >> value;) fields.push_back(value);
  }
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  constexpr size_t user = 10, system = 11, start = 18, virtual_size = 19, resident_pages = 20;
  if (fields.size() > resident_pages) {
    sample.cpu_seconds = (fields[user] + fields[system]) / ticks;
    sample.virtual_bytes = fields[virtual_size];
    sample.resident_bytes = fields[resident_pages] * static_cast<double>(sysconf(_SC_PAGESIZE));
    double since_boot = 0;
    std::ifstream("/proc/uptime") >> since_boot;
    sample.uptime_seconds = since_boot - fields[start] / ticks;
    // Once: the wall clock is set now and then, and whoever counts restarts by this value would see one each time.
    static const double started =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count() -
        sample.uptime_seconds;
    sample.start_time_seconds = started;
  }
  sample.max_descriptors = static_cast<double>(sysconf(_SC_OPEN_MAX));
  std::ifstream io("/proc/self/io");
  std::string name;
  for (double value = 0; io >> name >> value;) {
    if (name == "read_bytes:") sample.disk_read_bytes = value;
    if (name == "write_bytes:") sample.disk_write_bytes = value;
  }
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error), end; it != end; it.increment(error)) {
    ++sample.open_descriptors;
  }
  return sample;
}

// Sums over the shards of one broker.
struct MetricsPage::Totals {
  Totals(const MetricsInput& in, const BrokerSample& sample);

  // Topics that have replicas here and are not named.
  [[nodiscard]] size_t topics_left_out() const {
    // Topics that had replicas here once are counted and named, too: they fill no gap of those that have.
    return static_cast<size_t>(
        std::ranges::count_if(topics_here, [&](const std::string& topic) { return !by_topic.contains(topic); }));
  }

  std::map<std::string, PartitionCounters> by_topic;  // whatever this broker has counted
  PartitionCounters all;
  partition::ShardPartitionMetrics shards;
  size_t replicas = 0;
  size_t leaders = 0;
  size_t offline = 0;
  size_t under_replicated = 0;
  size_t under_min_isr = 0;
  size_t at_min_isr = 0;
  size_t reassigning = 0;
  size_t producers = 0;

 private:
  void add(const BrokerSample& sample, const ReplicaSample& replica);
  void add_to_topic(const std::string& topic, const PartitionCounters& counted) {
    if (by_topic.size() < topics_max || by_topic.contains(topic)) by_topic[topic].add(counted);
  }

  size_t topics_max;
  std::set<std::string> topics_here;
};

MetricsPage::Totals::Totals(const MetricsInput& in, const BrokerSample& sample) : topics_max(in.partitions_max) {
  for (const ShardSample& shard : sample.shards) {
    offline += shard.unusable;
    all.add(shard.partitions.retired_in_all);
    shards.commit_latency.merge(shard.partitions.commit_latency);
    shards.sync_latency.merge(shard.partitions.sync_latency);
    shards.failover.merge(shard.partitions.failover);
    shards.unclean_recoveries += shard.partitions.unclean_recoveries;
    for (const auto& [topic, counted] : shard.partitions.retired) add_to_topic(topic, counted);
    for (const ReplicaSample& replica : shard.replicas) add(sample, replica);
  }
}

void MetricsPage::Totals::add(const BrokerSample& sample, const ReplicaSample& replica) {
  ++replicas;
  topics_here.insert(replica.facts.topic);
  if (replica.offline) ++offline;
  producers += replica.facts.producers;
  all.add(replica.counters);
  add_to_topic(replica.facts.topic, replica.counters);
  if (!replica.facts.is_leader) return;
  ++leaders;
  if (sample.image->is_kept(replica.facts.topic_id)) return;  // no alarm is about one that is deleted
  const IsrStanding standing = standing_of(sample, replica);
  if (standing.in_sync < standing.replicas) ++under_replicated;
  if (standing.in_sync < standing.min_isr) ++under_min_isr;
  if (standing.in_sync == standing.min_isr) ++at_min_isr;
  const auto* state = sample.image->partition(replica.facts.topic_id, replica.facts.partition);
  if (state != nullptr && !(state->adding.empty() && state->removing.empty())) ++reassigning;
}

double Pace::of(double count, common::Instant now) {
  constexpr std::chrono::seconds window_min{1};
  if (!at_) {
    at_ = now;
    before_ = count;
  } else if (now - *at_ >= window_min) {
    per_second_ = std::max(0.0, (count - before_) / std::chrono::duration<double>(now - *at_).count());
    at_ = now;
    before_ = count;
  }
  return per_second_;
}

namespace {

struct Counter {
  const char* name;
  const char* help;
  uint64_t PartitionCounters::* member;
  bool by_topic;
};
constexpr Counter counters[] = {
    {"kafka_server_brokertopicmetrics_messagesin_total", "Records appended as leader.", &PartitionCounters::messages_in,
     true},
    {"kafka_server_brokertopicmetrics_bytesin_total", "Bytes appended as leader.", &PartitionCounters::bytes_in, true},
    {"kafka_server_brokertopicmetrics_bytesout_total", "Bytes sent to consumers.", &PartitionCounters::bytes_out, true},
    {"kafka_server_brokertopicmetrics_bytesrejected_total", "Bytes of batches that were refused.",
     &PartitionCounters::bytes_rejected, true},
    {"kafka_server_brokertopicmetrics_totalproducerequests_total", "Produce requests, one for each partition named.",
     &PartitionCounters::produce_requests, true},
    {"kafka_server_brokertopicmetrics_failedproducerequests_total", "Those that failed.",
     &PartitionCounters::failed_produce_requests, true},
    {"kafka_server_brokertopicmetrics_totalfetchrequests_total", "Consumers' reads, one for each partition named.",
     &PartitionCounters::fetch_requests, true},
    {"kafka_server_brokertopicmetrics_failedfetchrequests_total", "Those that failed.",
     &PartitionCounters::failed_fetch_requests, true},
    {"kafka_server_brokertopicmetrics_replicationbytesin_total", "Bytes appended as follower.",
     &PartitionCounters::replication_bytes_in, false},
    {"kafka_server_brokertopicmetrics_replicationbytesout_total", "Bytes read by followers.",
     &PartitionCounters::replication_bytes_out, false},
    {"kafka_server_brokertopicmetrics_reassignmentbytesin_total",
     "Of the bytes appended as follower, those of replicas that a reassignment adds.",
     &PartitionCounters::reassignment_bytes_in, false},
    {"kafka_server_brokertopicmetrics_reassignmentbytesout_total",
     "Of the bytes read by followers, those read by replicas that a reassignment adds.",
     &PartitionCounters::reassignment_bytes_out, false},
    {"kafka_server_replicamanager_isrshrinks_total", "Times that an ISR of a partition led here has shrunk.",
     &PartitionCounters::isr_shrinks, false},
    {"kafka_server_replicamanager_isrexpands_total", "Times that one has grown.", &PartitionCounters::isr_expands,
     false},
    {"kafka_server_replicamanager_failedisrupdates_total", "Changes of an ISR that the controller refused.",
     &PartitionCounters::failed_isr_updates, false},
    {"kafka_server_brokertopicmetrics_invalidmessagecrcrecords_total", "Batches refused for their checksum.",
     &PartitionCounters::bad_checksums, false},
    {"kafka_server_brokertopicmetrics_invalidmagicnumberrecords_total", "Batches refused for their old format.",
     &PartitionCounters::bad_formats, false},
    {"kafka_server_brokertopicmetrics_nokeycompactedtopicrecords_total",
     "Batches for compacted topics refused because a record has no key.", &PartitionCounters::missing_keys, false},
    {"kafka_server_brokertopicmetrics_invalidoffsetorsequencerecords_total",
     "Batches refused because the offsets in them do not follow each other.", &PartitionCounters::bad_orders, false},
};

}  // namespace

void MetricsPage::broker_totals(MetricsText& out, const Totals& totals, common::Instant now) {
  for (const Counter& counter : counters) {
    out.family(counter.name, "counter", counter.help);
    out.sample(number(totals.all.*counter.member));
    if (!counter.by_topic) continue;
    for (const auto& [topic, counted] : totals.by_topic)
      out.sample({{"topic", topic}}, number(counted.*counter.member));
  }
  const auto gauge = [&](const char* name, const char* help, size_t value) {
    out.family(name, "gauge", help);
    out.sample(number(value));
  };
  gauge("kafka_server_replicamanager_partitioncount", "Replicas on this broker.", totals.replicas);
  gauge("kafka_server_replicamanager_leadercount", "Partitions led by this broker.", totals.leaders);
  gauge("kafka_server_replicamanager_offlinereplicacount", "Replicas on this broker that cannot be used.",
        totals.offline);
  gauge("kafka_server_replicamanager_underreplicatedpartitions", "Led partitions with replicas out of sync.",
        totals.under_replicated);
  gauge("kafka_server_replicamanager_underminisrpartitioncount", "Led partitions below min.insync.replicas.",
        totals.under_min_isr);
  gauge("kafka_server_replicamanager_atminisrpartitioncount", "Led partitions exactly at min.insync.replicas.",
        totals.at_min_isr);
  gauge("kafka_server_replicamanager_produceridcount", "Idempotent producers that the replicas here remember.",
        totals.producers);
  gauge("kafka_server_replicamanager_reassigningpartitions", "Led partitions whose replicas are being moved.",
        totals.reassigning);
  out.family("kafka_controller_controllerstats_uncleanleaderelections_total", "counter",
             "Leaderships of this broker that began with an unclean election.");
  out.sample(number(totals.shards.unclean_recoveries));
  out.family("naru_commit_latency_seconds", "histogram", "From the append to the commit, of produces with acks=all.");
  out.histogram({}, totals.shards.commit_latency);
  out.family("naru_fsync_latency_seconds", "histogram", "Syncs that acknowledgements waited for.");
  out.histogram({}, totals.shards.sync_latency);
  out.family("naru_failover_seconds", "histogram", "From the loss of a partition's leader to leading it here.");
  out.histogram({}, totals.shards.failover);
  // The same as Kafka's beans have it.
  out.family("kafka_log_logflushstats_logflushrateandtimems", "summary", "Syncs that acknowledgements waited for.");
  out.summary_ms({}, totals.shards.sync_latency, recent("flush", totals.shards.sync_latency, now));
  out.family("kafka_network_requestmetrics_remotetimems", "summary",
             "Time for which produces with acks=all waited for replicas, each partition for itself.");
  out.summary_ms({{"request", "Produce"}}, totals.shards.commit_latency,
                 recent("commit", totals.shards.commit_latency, now));
  out.family("kafka_controller_controllerstats_leaderelectionrateandtimems", "summary",
             "Leaderships that this broker took over from a lost leader; sum it over the brokers.");
  out.summary_ms({}, totals.shards.failover, recent("failover", totals.shards.failover, now));
}

common::Histogram MetricsPage::recent(const std::string& name, const common::Histogram& all, common::Instant now) {
  constexpr std::chrono::seconds step{60};
  Window& window = windows_[name];
  if (now - window.newer_at > step) {
    window.older = window.newer;
    window.newer = all;
    window.newer_at = now;
  }
  return all.since(window.older);
}

namespace {

using RequestMetrics = std::map<int16_t, api::ApiMetrics>;  // by key, of all shards; of what was asked for at all

RequestMetrics requests_of(const BrokerSample& sample) {
  RequestMetrics by_key;
  for (const ShardSample& shard : sample.shards) {
    for (size_t key = 0; key < shard.requests.size(); ++key) {
      if (shard.requests[key].time.count() > 0) by_key[static_cast<int16_t>(key)].merge(shard.requests[key]);
    }
  }
  return by_key;
}

// Kafka's beans call a consumer's fetch by another name than the API.
std::string request_name(int16_t key) {
  const api::ApiHandler* handler = api::find_api(key);
  const std::string name = handler != nullptr ? handler->name : std::to_string(key);
  return name == "Fetch" ? std::string("FetchConsumer") : name;
}

void write_request_counts(MetricsText& out, const RequestMetrics& by_key) {
  out.family("kafka_network_requestmetrics_requests_total", "counter", "Requests by API and version.");
  for (const auto& [key, api] : by_key) {
    for (size_t version = 0; version < api.by_version.size(); ++version) {
      if (api.by_version[version] == 0) continue;
      out.sample({{"request", request_name(key)}, {"version", std::to_string(version)}},
                 number(api.by_version[version]));
    }
  }
  out.family("kafka_network_requestmetrics_errors_total", "counter",
             "Errors by API, one for each partition or whatever else it is told of; NONE: requests without any.");
  for (const auto& [key, api] : by_key) {
    const uint64_t unanswered = api.faulty + api.closed;
    out.sample({{"request", request_name(key)}, {"error", "NONE"}},
               number(api.time.count() - std::min(api.time.count(), unanswered)));
    for (const auto& [code, times] : api.errors) {
      out.sample({{"request", request_name(key)}, {"error", common::model::to_string(code)}}, number(times));
    }
  }
}

void write_waiting(MetricsText& out, const BrokerSample& sample) {
  api::Waiting waiting;
  for (const ShardSample& shard : sample.shards) waiting.add(shard.waiting);
  out.family("kafka_server_delayedoperationpurgatory_purgatorysize", "gauge",
             "Requests that wait: for replicas, for records, for other members of their group.");
  for (const auto& [name, count] : {std::pair{"Produce", waiting.produce},
                                    {"Fetch", waiting.fetch},
                                    {"DeleteRecords", waiting.delete_records},
                                    {"Rebalance", waiting.rebalance}}) {
    out.sample({{"delayedOperation", name}}, number(count));
  }
}

}  // namespace

void MetricsPage::requests(MetricsText& out, const BrokerSample& sample) {
  const RequestMetrics by_key = requests_of(sample);
  write_request_counts(out, by_key);
  write_waiting(out, sample);
  out.family("kafka_network_requestmetrics_totaltimems", "summary",
             "Time from request to response; quantiles of the last minutes.");
  for (const auto& [key, api] : by_key) {
    out.summary_ms({{"request", request_name(key)}}, api.time, recent(request_name(key), api.time, sample.taken));
  }
  out.family("kafka_network_requestmetrics_requestbytes", "summary", "Sizes of requests; sum and count only.");
  for (const auto& [key, api] : by_key) {
    out.sum_and_count({{"request", request_name(key)}}, number(api.bytes), number(api.time.count()));
  }
  out.family("naru_request_bytes_total", "counter", "Bytes of requests by API.");
  for (const auto& [key, api] : by_key) out.sample({{"request", request_name(key)}}, number(api.bytes));
  out.family("naru_request_closed_total", "counter", "Requests that ended their connection instead of being answered.");
  for (const auto& [key, api] : by_key) out.sample({{"request", request_name(key)}}, number(api.closed));
  out.family("naru_request_latency_seconds", "histogram", "The same times as a histogram.");
  for (const auto& [key, api] : by_key) out.histogram({{"request", request_name(key)}}, api.time);
}

double MetricsPage::IdleShare::of(const std::vector<common::Duration>& cpu, common::Instant now) {
  constexpr std::chrono::seconds window_min{1};  // two scrapers side by side still see a sensible window
  if (before_.size() != cpu.size()) {
    before_ = cpu;
    at_ = now;
  } else if (now - at_ >= window_min && !cpu.empty()) {
    double busy = 0;
    const double wall = std::chrono::duration<double>(now - at_).count();
    for (size_t i = 0; i < cpu.size(); ++i) busy += std::chrono::duration<double>(cpu[i] - before_[i]).count() / wall;
    share_ = std::clamp(1 - busy / number(cpu.size()), 0.0, 1.0);
    before_ = cpu;
    at_ = now;
  }
  return share_;
}

// Shards handle both sockets and requests, so that Kafka's two gauges are one number here.
void MetricsPage::idle(MetricsText& out, const BrokerSample& sample) {
  std::vector<common::Duration> cpu;
  for (const ShardSample& shard : sample.shards) cpu.push_back(shard.cpu_time);
  const double share = shards_idle_.of(cpu, sample.taken);
  out.family("kafka_network_socketserver_networkprocessoravgidle_percent", "gauge",
             "Share of time that the shards' threads are idle.");
  out.sample(share);
  out.family("kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent", "gauge",
             "The same: shards do both.");
  out.sample(share);
  out.family("naru_shard_cpu_seconds_total", "counter", "CPU time used by each shard's thread.");
  for (size_t i = 0; i < cpu.size(); ++i) {
    out.sample({{"shard", std::to_string(i)}}, std::chrono::duration<double>(cpu[i]).count());
  }
}

void MetricsPage::paces(MetricsText& out, const MetricsInput& in, const BrokerSample& sample) {
  out.family("kafka_server_socket_server_metrics_connection_creation_rate", "gauge", "New connections a second.");
  for (const ConnectionSample::OfListener& listener : in.connections.listeners) {
    out.sample({{"listener", listener.name}, {"networkProcessor", "0"}},
               connections_[listener.name].of(number(listener.accepted), sample.taken));
  }
  if (!sample.quorum) return;
  const double rate = appended_.of(number(sample.quorum->log_end.value), sample.taken);
  const bool leads = sample.quorum->role == controller::raft::Role::leader;
  for (const char* style : {"raft_metrics", "raftmetrics"}) {
    out.family(fmt::format("kafka_server_{}_append_records_rate", style), "gauge",
               "Entries a second that the leader of the metadata quorum appends; 0 elsewhere.");
    out.sample(leads ? rate : 0);
    out.family(fmt::format("kafka_server_{}_fetch_records_rate", style), "gauge",
               "Entries a second that are taken from that leader.");
    out.sample(leads ? 0 : rate);
  }
}

std::string MetricsPage::render(const MetricsInput& in) {
  MetricsText out;
  write_process(out, in);
  if (in.broker == nullptr) return out.take();
  const BrokerSample& sample = *in.broker;
  const Totals totals(in, sample);
  broker_totals(out, totals, sample.taken);
  requests(out, sample);
  idle(out, sample);
  paces(out, in, sample);
  quorum(out, sample);
  controller_queue(out, sample);
  const size_t left_out = write_partitions(out, in, sample);
  write_controller(out, in, sample);
  write_software(out, sample);
  write_cleaner(out, sample);
  write_volumes(out, sample);
  const size_t groups_left_out = write_groups(out, sample, in.lags, in.partitions_max);
  out.family("naru_metrics_left_out", "gauge",
             "Topics, partitions and group offsets beyond naru.metrics.partitions.max.");
  out.sample({{"kind", "topic"}}, number(totals.topics_left_out()));
  out.sample({{"kind", "partition"}}, number(left_out));
  out.sample({{"kind", "group_partition"}}, number(groups_left_out));
  return out.take();
}

}  // namespace broker::http
