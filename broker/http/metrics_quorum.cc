// The families of /metrics that speak of the metadata quorum, its controller and the cluster as they see it.
#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "broker/http/metrics_parts.h"
#include "common/model/address_text.h"

namespace broker::http {

namespace metadata = controller::metadata;

namespace {

struct ClusterCounts {
  size_t partitions = 0, offline = 0, not_preferred = 0;
  size_t active = 0, fenced = 0;
};

ClusterCounts count(const metadata::MetadataImage& image) {
  ClusterCounts counts;
  for (const auto& [name, id] : image.topic_names()) {
    const auto* topic = image.topic_by_id(id);
    for (const auto& [index, state] : topic->partitions) {
      ++counts.partitions;
      if (!state->leader) {
        ++counts.offline;
      } else if (!state->replicas.empty() && *state->leader != state->replicas.front()) {
        ++counts.not_preferred;
      }
    }
  }
  for (const auto& [id, broker] : image.brokers()) ++(broker->fenced ? counts.fenced : counts.active);
  return counts;
}

}  // namespace

void MetricsPage::quorum(MetricsText& out, const BrokerSample& sample) {
  if (!sample.quorum) return;
  const auto gauge = [&](const std::string& name, const char* help, double value) {
    out.family(name, "gauge", help);
    out.sample(value);
  };
  const auto ms = [](common::Duration d) { return std::chrono::duration<double, std::milli>(d).count(); };
  const controller::quorum::RaftMeasures& raft = sample.raft;
  for (const auto& [what, help, all] :
       {std::tuple{"commit_latency", "Milliseconds from proposing an entry here to its commit, in the last minutes.",
                   &raft.commit_latency},
        {"election_latency", "Milliseconds from standing for election to a known leader, in the last minutes.",
         &raft.election_latency}}) {
    const common::Histogram lately = recent(what, *all, sample.taken);
    const double average = lately.count() > 0 ? lately.sum_seconds() * 1000 / number(lately.count()) : 0;
    for (const char* style : {"raft_metrics", "raftmetrics"}) {
      gauge(fmt::format("kafka_server_{}_{}_avg", style, what), help, average);
      gauge(fmt::format("kafka_server_{}_{}_max", style, what), help, lately.quantile_seconds(1) * 1000);
    }
  }
  const double idle_share = controller_idle_.of({sample.controller_cpu_time}, sample.taken);
  const auto unknown = std::ranges::count_if(sample.quorum->voters.voters(),
                                             [](const auto& voter) { return voter.endpoint.host.empty(); });
  for (const char* style : {"raft_metrics", "raftmetrics"}) {
    gauge(fmt::format("kafka_server_{}_current_vote", style), "Whom this node has voted for in this term, -1: nobody.",
          sample.quorum->voted_for ? number(sample.quorum->voted_for->value) : -1);
    gauge(fmt::format("kafka_server_{}_poll_idle_ratio_avg", style),
          "Share of time that the controller's thread is idle.", idle_share);
    gauge(fmt::format("kafka_server_{}_number_unknown_voter_connections", style), "Voters whose address is not known.",
          number(unknown));
  }
  gauge("kafka_server_metadataloader_handleloadsnapshotcount", "Snapshots of the metadata loaded by this process.",
        number(raft.snapshots_loaded));
  if (raft.snapshot_made_at) {
    gauge("kafka_server_snapshotemitter_latestsnapshotgeneratedbytes", "Size of the last snapshot made here.",
          number(raft.snapshot_bytes));
    gauge("kafka_server_snapshotemitter_latestsnapshotgeneratedagems", "Age of the last snapshot made here.",
          ms(sample.taken - *raft.snapshot_made_at));
  }
}

// Its queue, in the words of Kafka's: what waits, how late it comes to what is due, and how long it decides.
void MetricsPage::controller_queue(MetricsText& out, const BrokerSample& sample) {
  if (!sample.quorum) return;
  const auto gauge = [&](const char* name, const char* help, double value) {
    out.family(name, "gauge", help);
    out.sample(value);
  };
  const controller::quorum::ControllerMeasures& measures = sample.controller;
  gauge("kafka_controller_controllereventmanager_eventqueuesize",
        "Requests to the controller that wait for a commit, or for brokers to apply it.", number(measures.waiting));
  out.family("kafka_controller_controllereventmanager_eventqueuetimems", "summary",
             "How late the active controller's thread comes to what is due.");
  out.summary_ms({}, measures.lateness, recent("lateness", measures.lateness, sample.taken));
  out.family("kafka_controller_controllereventmanager_eventqueueprocessingtimems", "summary",
             "Time to decide a request, without its commit.");
  out.summary_ms({}, measures.processing, recent("deciding", measures.processing, sample.taken));
  gauge("kafka_controller_kafkacontroller_eventqueueoperationsstartedcount",
        "Requests that this node has taken as the active controller.", number(measures.requests));
  gauge("kafka_controller_kafkacontroller_eventqueueoperationstimedoutcount",
        "Those answered before all that they concern had applied them.", number(measures.timed_out));
}

namespace {

void write_brokers(MetricsText& out, const metadata::MetadataImage& image, size_t active) {
  out.family("kafka_brokers", "gauge", "Brokers in the cluster; said by the active controller.");
  out.sample(number(active));
  out.family("kafka_broker_info", "gauge", "One per broker; said by the active controller.");
  for (const auto& [id, broker] : image.brokers()) {
    std::string address;
    if (!broker->listeners.empty()) {
      // Where nothing is advertised, each client is told what it can reach; here, where the other brokers reach it.
      const metadata::Listener& listener = broker->listeners.front();
      address = common::model::address_text(listener.host.empty() ? broker->cluster_endpoint.host : listener.host,
                                            listener.port);
    }
    out.sample({{"id", fmt::to_string(id.value)}, {"address", address}}, 1);
  }
}

void write_quorum(MetricsText& out, const controller::raft::QuorumStatus& quorum) {
  const auto gauge = [&](const std::string& name, const char* help, double value) {
    out.family(name, "gauge", help);
    out.sample(value);
  };
  gauge("kafka_controller_kafkacontroller_lastcommittedrecordoffset", "Last committed entry of the metadata log.",
        number(quorum.committed.value) - 1);
  const double leader = quorum.leader ? number(quorum.leader->value) : -1;
  for (const char* style : {"raft_metrics", "raftmetrics"}) {  // two exporters spell it in two ways
    gauge(fmt::format("kafka_server_{}_current_leader", style), "Leader of the metadata quorum, -1: unknown.", leader);
    gauge(fmt::format("kafka_server_{}_current_epoch", style), "Term of the metadata quorum.",
          number(quorum.term.value));
    gauge(fmt::format("kafka_server_{}_high_watermark", style), "Committed end of the metadata log.",
          number(quorum.committed.value));
    gauge(fmt::format("kafka_server_{}_log_end_offset", style), "End of the metadata log.",
          number(quorum.log_end.value));
    out.family(fmt::format("kafka_server_{}_current_state", style), "gauge", "1 with the state as a label.");
    out.sample({{"state", controller::raft::to_string(quorum.role)}}, 1);
  }
  gauge("naru_quorum_voters", "Members of the metadata quorum.", number(quorum.voters.size()));
}

}  // namespace

void write_controller(MetricsText& out, const MetricsInput& in, const BrokerSample& sample) {
  const bool active = sample.quorum && sample.quorum->role == controller::raft::Role::leader;
  const ClusterCounts counts = active ? count(*sample.image) : ClusterCounts{};
  const auto gauge = [&](const char* name, const char* help, double value) {
    out.family(name, "gauge", help);
    out.sample(value);
  };
  gauge("kafka_controller_kafkacontroller_activecontrollercount", "1 on the active controller.", active ? 1 : 0);
  gauge("kafka_controller_kafkacontroller_offlinepartitionscount",
        "Partitions without a leader; on the active controller.", number(counts.offline));
  gauge("kafka_controller_kafkacontroller_preferredreplicaimbalancecount",
        "Partitions not led by their preferred replica; on the active controller.", number(counts.not_preferred));
  gauge("kafka_controller_kafkacontroller_globaltopiccount", "Topics; on the active controller.",
        active ? number(sample.image->topic_names().size()) : 0);
  gauge("kafka_controller_kafkacontroller_globalpartitioncount", "Partitions; on the active controller.",
        number(counts.partitions));
  gauge("kafka_controller_kafkacontroller_activebrokercount", "Brokers in service; on the active controller.",
        number(counts.active));
  gauge("kafka_controller_kafkacontroller_fencedbrokercount", "Fenced brokers; on the active controller.",
        number(counts.fenced));
  gauge("naru_slow_brokers",
        "Brokers whose writes take far longer than their peers', for as long; on the active controller.",
        active ? number(sample.controller.slow_brokers) : 0);
  if (active) write_brokers(out, *sample.image, counts.active);
  const double applied = sample.image->offset() ? number(sample.image->offset()->value) : -1;
  gauge("kafka_server_broker_metadata_metrics_last_applied_record_offset", "Metadata that this broker has applied.",
        applied);
  gauge("kafka_controller_kafkacontroller_lastappliedrecordoffset", "The same, of the controller in this process.",
        applied);
  gauge("kafka_controller_kafkacontroller_newactivecontrollerscount",
        "Controllers elected since this process started, as seen from here.", number(in.controllers_seen));
  gauge("kafka_controller_kafkacontroller_timedoutbrokerheartbeatcount",
        "Brokers fenced because they were gone or silent since this process started, as seen from here.",
        number(in.sessions_lost));
  // A process that cannot read or apply an entry of the metadata log ends: of one that answers here this is so, and
  // rules that watch these find what they ask for.
  for (const char* name : {"kafka_controller_kafkacontroller_metadataerrorcount",
                           "kafka_server_broker_metadata_metrics_metadata_load_error_count",
                           "kafka_server_broker_metadata_metrics_metadata_apply_error_count"}) {
    gauge(name, "Always 0: a process that meets an entry that it cannot read or apply ends.", 0);
  }
  const auto* version = sample.image->features().find("metadata.version");
  gauge("kafka_server_metadataloader_currentmetadataversion", "Finalized level of metadata.version.",
        version != nullptr ? number(*version) : 0);
  if (sample.quorum) write_quorum(out, *sample.quorum);
}

}  // namespace broker::http
