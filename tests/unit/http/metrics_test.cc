// The text format, the limit of named series, and who says what.
#include <sstream>

#include <catch2/catch.hpp>

#include "broker/http/metrics.h"

using namespace broker::http;
namespace metadata = controller::metadata;
using common::model::BrokerId;
using common::model::Offset;
using common::model::PartitionIndex;

namespace {

// The value of the sample that begins with `series`; none if it is not there.
std::optional<double> value_of(const std::string& text, const std::string& series) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(series + " ")) return std::stod(line.substr(series.size() + 1));
  }
  return std::nullopt;
}

ReplicaSample replica(const std::string& topic, int32_t index, bool leads) {
  ReplicaSample r;
  r.facts.topic = topic;
  r.facts.topic_id = common::model::TopicId::from_halves(7, 7);
  r.facts.partition = PartitionIndex(index);
  r.facts.high_watermark = Offset(10);
  r.facts.log_end_offset = Offset(12);
  r.facts.size_bytes = 500;
  r.facts.is_leader = leads;
  r.facts.min_isr = 1;
  r.facts.producers = 2;
  if (leads) {
    r.facts.isr = {BrokerId(1)};
    r.facts.followers = {{BrokerId(2), Offset(9)}, {BrokerId(3), std::nullopt}};
  }
  r.counters.messages_in = leads ? 12 : 0;
  return r;
}

}  // namespace

TEST_CASE("samples, escapes and whole numbers") {
  MetricsText out;
  out.family("a_total", "counter", "Help.");
  out.sample(12345678);
  out.sample({{"topic", "a\"b\\c\nd"}}, 0.5);
  const std::string text = out.take();
  CHECK(text ==
        "# HELP a_total Help.\n# TYPE a_total counter\na_total 12345678\na_total{topic=\"a\\\"b\\\\c\\nd\"} 0.5\n");
}

// Prometheus throws away a whole scrape for one label that is no UTF-8; names of groups come from clients.
TEST_CASE("labels are UTF-8 whatever clients send") {
  const auto label = [](std::string_view content) {
    MetricsText out;
    out.family("a", "gauge", "Help.");
    (void)out.take();
    out.sample({{"l", content}}, 1);
    return out.take();
  };
  CHECK(label("gr\u00fcn \u2192 \U0001f600") == "a{l=\"gr\u00fcn \u2192 \U0001f600\"} 1\n");
  CHECK(label("a\xff" "b") == "a{l=\"a\\\\xffb\"} 1\n");
  CHECK(label("\xc3") == "a{l=\"\\\\xc3\"} 1\n");                                 // cut off
  CHECK(label("\xc0\x80") == "a{l=\"\\\\xc0\\\\x80\"} 1\n");                      // overlong
  CHECK(label("\xed\xa0\x80") == "a{l=\"\\\\xed\\\\xa0\\\\x80\"} 1\n");            // half of a pair
  CHECK(label("\xf4\x90\x80\x80") == "a{l=\"\\\\xf4\\\\x90\\\\x80\\\\x80\"} 1\n");  // beyond the last
}

TEST_CASE("a time since 1970 keeps its fractions of a second") {
  MetricsText out;
  out.family("t", "gauge", "Help.");
  out.sample(1795957445.25);
  CHECK(value_of(out.take(), "t") == 1795957445.25);
}

TEST_CASE("a histogram is cumulative and ends with everything") {
  common::Histogram h;
  h.observe(std::chrono::microseconds(100));
  h.observe(std::chrono::seconds(60));
  MetricsText out;
  out.family("x_seconds", "histogram", "Help.");
  out.histogram({}, h);
  const std::string text = out.take();
  CHECK(value_of(text, "x_seconds_bucket{le=\"6.4e-05\"}") == 0);
  CHECK(value_of(text, "x_seconds_bucket{le=\"0.000128\"}") == 1);
  CHECK(value_of(text, "x_seconds_bucket{le=\"+Inf\"}") == 2);
  CHECK(value_of(text, "x_seconds_count") == 2);
}

TEST_CASE("a broker's page: leaders speak for partitions, sums cover what is left out") {
  BrokerSample sample;
  sample.image = std::make_shared<const metadata::MetadataImage>();
  sample.shards.resize(2);
  sample.shards[0].replicas = {replica("orders", 0, true), replica("orders", 1, false)};
  sample.shards[1].replicas = {replica("payments", 0, true)};
  sample.shards[1].partitions.retired["gone"].messages_in = 5;
  sample.shards[1].partitions.retired_in_all.messages_in = 5;
  sample.shards[1].partitions.retired_in_all.bad_checksums = 2;
  sample.shards[1].partitions.commit_latency.observe(std::chrono::milliseconds(3));
  sample.shards[0].replicas[0].counters.missing_keys = 1;
  sample.shards[0].replicas[1].facts.fetch_fails = true;
  sample.shards[0].replicas[0].counters.reassignment_bytes_in = 21;
  sample.shards[0].replicas[0].counters.reassignment_bytes_out = 22;
  std::vector<GroupLag> lags;
  lags.push_back({.group = "g",
                  .partition = {"orders", PartitionIndex(0)},
                  .committed = Offset(4),
                  .end = Offset(10),
                  .records = 6,
                  .seconds = 1.5});
  lags.push_back({.group = "g",
                  .partition = {"orders", PartitionIndex(1)},
                  .committed = Offset(10),
                  .end = Offset(10),
                  .records = 0,
                  .seconds = 0});
  MetricsInput in;
  in.node_id = 1;
  in.broker_state = 3;
  in.version = "1";
  in.broker = &sample;
  in.lags = &lags;
  MetricsPage page;
  const std::string text = page.render(in);
  CHECK(value_of(text, "kafka_server_brokertopicmetrics_messagesin_total") == 29);
  CHECK(value_of(text, "kafka_server_brokertopicmetrics_reassignmentbytesin_total") == 21);
  CHECK(value_of(text, "kafka_server_brokertopicmetrics_reassignmentbytesout_total") == 22);
  CHECK(value_of(text, "kafka_server_brokertopicmetrics_messagesin_total{topic=\"orders\"}") == 12);
  CHECK(value_of(text, "kafka_server_brokertopicmetrics_messagesin_total{topic=\"gone\"}") == 5);
  CHECK(value_of(text, "kafka_server_replicamanager_partitioncount") == 3);
  CHECK(value_of(text, "kafka_server_replicamanager_leadercount") == 2);
  CHECK(value_of(text, "kafka_server_brokertopicmetrics_invalidmessagecrcrecords_total") == 2);
  CHECK(value_of(text, "kafka_server_brokertopicmetrics_nokeycompactedtopicrecords_total") == 1);
  CHECK(value_of(text, "kafka_network_requestmetrics_remotetimems_sum{request=\"Produce\"}") == 3);
  CHECK(value_of(text, "kafka_server_replicamanager_produceridcount") == 6);
  CHECK(value_of(text, "kafka_server_replicamanager_failedisrupdates_total") == 0);
  const std::string lag =
      R"(kafka_server_fetcherlagmetrics_consumerlag{clientId="ReplicaFetcherThread-0-1",topic="orders",partition="0",)";
  CHECK(value_of(text, lag + R"(replica="2"})") == 3);
  CHECK(value_of(text, lag + R"(replica="3"})") == 12);  // has not spoken: all of it
  CHECK(value_of(text, R"(kafka_server_replicafetchermanager_maxlag{clientId="Replica"})") == 12);
  CHECK(value_of(text, R"(kafka_server_replicafetchermanager_failedpartitionscount{clientId="Replica"})") == 1);
  CHECK(value_of(text, "kafka_log_log_logendoffset{topic=\"orders\",partition=\"1\"}") == 12);
  CHECK(value_of(text, "kafka_topic_partition_current_offset{topic=\"orders\",partition=\"0\"}") == 10);
  CHECK_FALSE(value_of(text, "kafka_topic_partition_current_offset{topic=\"orders\",partition=\"1\"}"));
  CHECK(value_of(text, "kafka_consumergroup_lag{consumergroup=\"g\",topic=\"orders\",partition=\"0\"}") == 6);
  CHECK(value_of(text, "kafka_consumergroup_lag_sum{consumergroup=\"g\",topic=\"orders\"}") == 6);
  CHECK(value_of(text, "naru_consumergroup_lag_seconds{consumergroup=\"g\",topic=\"orders\",partition=\"0\"}") == 1.5);
  CHECK(value_of(text, "naru_metrics_left_out{kind=\"partition\"}") == 0);
  CHECK(value_of(text, "kafka_server_replicamanager_reassigningpartitions") == 0);
  CHECK(value_of(text, "kafka_server_groupmetadatamanager_numgroupsstable") == 0);
  CHECK(value_of(text, "kafka_log_logflushstats_logflushrateandtimems_count") == 0);

  in.partitions_max = 1;
  const std::string limited = page.render(in);
  CHECK(value_of(limited, "kafka_server_brokertopicmetrics_messagesin_total") == 29);
  CHECK(value_of(limited, "kafka_log_log_size{topic=\"orders\",partition=\"0\"}") == 500);
  CHECK_FALSE(value_of(limited, "kafka_log_log_size{topic=\"payments\",partition=\"0\"}"));
  CHECK(value_of(limited, "naru_metrics_left_out{kind=\"partition\"}") == 2);
  CHECK(value_of(limited, "naru_metrics_left_out{kind=\"group_partition\"}") == 1);
}

TEST_CASE("no alarm is about a deleted topic that is kept, and its bytes are counted") {
  metadata::ImageEditor editor{metadata::MetadataImage()};
  const auto id = common::model::TopicId::from_halves(7, 7);
  REQUIRE(editor.apply(metadata::TopicRecord{id, "orders"}, common::model::LogIndex(1)).has_value());
  BrokerSample sample;
  sample.image = std::make_shared<const metadata::MetadataImage>(editor.image());
  sample.shards.resize(1);
  sample.shards[0].replicas = {replica("orders", 0, true)};
  sample.shards[0].replicas[0].facts.isr.clear();
  sample.quorum.emplace();
  sample.quorum->role = controller::raft::Role::leader;
  MetricsInput in;
  in.node_id = 1;
  in.broker = &sample;
  MetricsPage page;
  const std::string labels = "{topic=\"orders\",partition=\"0\"}";
  CHECK(value_of(page.render(in), "kafka_server_replicamanager_underreplicatedpartitions") == 1);
  CHECK(value_of(page.render(in), "kafka_cluster_partition_underreplicated" + labels) == 1);
  CHECK(value_of(page.render(in), "kafka_controller_kafkacontroller_globaltopiccount") == 1);

  const metadata::ConfigResource topic{metadata::ResourceType::topic, "orders"};
  const metadata::ConfigRecord deleted{topic, std::string(metadata::kept_key), "1+1"};
  REQUIRE(editor.apply(deleted, common::model::LogIndex(2)).has_value());
  sample.image = std::make_shared<const metadata::MetadataImage>(editor.image());
  const std::string text = page.render(in);
  CHECK(value_of(text, "kafka_server_replicamanager_underreplicatedpartitions") == 0);
  CHECK_FALSE(value_of(text, "kafka_cluster_partition_underreplicated" + labels));
  CHECK(value_of(text, "kafka_log_log_size" + labels) == 500);
  CHECK(value_of(text, "kafka_server_replicamanager_leadercount") == 1);
  CHECK(value_of(text, "kafka_controller_kafkacontroller_globaltopiccount") == 0);
}

TEST_CASE("a pace is what a counter grew by in a second, over a second at least") {
  Pace pace;
  const common::Instant begin{std::chrono::seconds(100)};
  CHECK(pace.of(50, begin) == 0);
  CHECK(pace.of(70, begin + std::chrono::milliseconds(500)) == 0);  // too soon to tell
  CHECK(pace.of(90, begin + std::chrono::seconds(2)) == 20);
  CHECK(pace.of(95, begin + std::chrono::milliseconds(2500)) == 20);
  CHECK(pace.of(0, begin + std::chrono::seconds(4)) == 0);  // it began anew
}

TEST_CASE("quorum and groups in the numbers of Kafka's beans") {
  BrokerSample sample;
  sample.taken = common::Instant{std::chrono::seconds(100)};
  sample.image = std::make_shared<const metadata::MetadataImage>();
  sample.quorum.emplace();
  sample.quorum->role = controller::raft::Role::leader;
  sample.quorum->committed = common::model::LogIndex(8);
  sample.quorum->log_end = common::model::LogIndex(10);
  sample.groups.push_back({.group = "g", .state = "Stable", .members = 2, .offsets = {}});
  sample.group_load_times = {std::chrono::milliseconds(10), std::chrono::milliseconds(30)};
  sample.quorum->voted_for = BrokerId(2);
  sample.raft.snapshots_loaded = 1;
  MetricsInput in;
  in.broker = &sample;
  in.controllers_seen = 3;
  in.sessions_lost = 2;
  MetricsPage page;
  (void)page.render(in);
  sample.taken += std::chrono::seconds(2);
  sample.quorum->log_end = common::model::LogIndex(30);
  sample.controller_cpu_time = std::chrono::milliseconds(500);
  sample.raft.commit_latency.observe(std::chrono::milliseconds(4));
  sample.raft.commit_latency.observe(std::chrono::milliseconds(8));
  sample.raft.snapshot_made_at = sample.taken - std::chrono::seconds(3);
  sample.raft.snapshot_bytes = 4096;
  sample.controller.requests = 5;
  sample.controller.waiting = 2;
  sample.controller.slow_brokers = 1;
  sample.controller.processing.observe(std::chrono::milliseconds(1));
  const std::string text = page.render(in);
  CHECK(value_of(text, "kafka_server_raft_metrics_append_records_rate") == 10);
  CHECK(value_of(text, "kafka_server_raft_metrics_fetch_records_rate") == 0);
  CHECK(value_of(text, "kafka_controller_kafkacontroller_lastcommittedrecordoffset") == 7);
  CHECK(value_of(text, "kafka_controller_kafkacontroller_newactivecontrollerscount") == 3);
  CHECK(value_of(text, "kafka_controller_kafkacontroller_timedoutbrokerheartbeatcount") == 2);
  CHECK(value_of(text, "kafka_server_raft_metrics_commit_latency_avg") == 6);
  CHECK(value_of(text, "kafka_server_raftmetrics_commit_latency_max") >= 8);
  CHECK(value_of(text, "kafka_server_raft_metrics_election_latency_avg") == 0);
  CHECK(value_of(text, "kafka_server_raft_metrics_current_vote") == 2);
  CHECK(value_of(text, "kafka_server_raft_metrics_poll_idle_ratio_avg") == 0.75);
  CHECK(value_of(text, "kafka_server_raft_metrics_number_unknown_voter_connections") == 0);
  CHECK(value_of(text, "kafka_server_metadataloader_handleloadsnapshotcount") == 1);
  CHECK(value_of(text, "kafka_server_snapshotemitter_latestsnapshotgeneratedbytes") == 4096);
  CHECK(value_of(text, "kafka_server_snapshotemitter_latestsnapshotgeneratedagems") == 3000);
  CHECK(value_of(text, "kafka_controller_controllereventmanager_eventqueuesize") == 2);
  CHECK(value_of(text, "naru_slow_brokers") == 1);
  CHECK(value_of(text, "kafka_controller_controllereventmanager_eventqueuetimems_count") == 0);
  CHECK(value_of(text, "kafka_controller_controllereventmanager_eventqueueprocessingtimems_count") == 1);
  CHECK(value_of(text, "kafka_controller_kafkacontroller_eventqueueoperationsstartedcount") == 5);
  CHECK(value_of(text, "kafka_server_group_coordinator_metrics_partition_load_time_max") == 30);
  CHECK(value_of(text, "kafka_server_group_coordinator_metrics_partition_load_time_avg") == 20);
  CHECK(value_of(text, "kafka_server_groupmetadatamanager_numgroupsstable") == 1);
  CHECK(value_of(text, "kafka_server_groupmetadatamanager_numgroupsempty") == 0);
}

TEST_CASE("where a partition ends is asked of replicas that keep up") {
  const auto topic = common::model::TopicId::from_halves(7, 7);
  metadata::ImageEditor editor{metadata::MetadataImage()};
  const auto add = [&](const metadata::MetadataRecord& record) {
    REQUIRE(editor.apply(record, common::model::LogIndex(1)));
  };
  add(metadata::TopicRecord{topic, "orders"});
  for (int32_t p = 0; p < 4; ++p) {
    metadata::PartitionRecord partition{.topic_id = topic, .partition = PartitionIndex(p), .state = {}};
    partition.state.replicas = {BrokerId(2), BrokerId(1)};
    partition.state.isr = p == 1 ? std::vector{BrokerId(2)} : std::vector{BrokerId(2), BrokerId(1)};
    partition.state.leader = BrokerId(2);
    add(partition);
  }
  BrokerSample sample;
  sample.image = std::make_shared<const metadata::MetadataImage>(editor.take_image());
  sample.shards.resize(1);
  // 0: in sync; 1: fell behind; 2: its directory has failed; 3: leads, whatever the image has heard of it.
  sample.shards[0].replicas = {replica("orders", 0, false), replica("orders", 1, false), replica("orders", 2, false),
                               replica("orders", 3, true)};
  sample.shards[0].replicas[2].offline = true;
  const auto ends = known_ends(sample, BrokerId(1));
  CHECK(ends.size() == 2);
  CHECK(ends.contains({topic, PartitionIndex(0)}));
  CHECK(ends.contains({topic, PartitionIndex(3)}));
}

TEST_CASE("a group's sums cover partitions that are left out, and say nothing where no lag is known") {
  BrokerSample sample;
  sample.image = std::make_shared<const metadata::MetadataImage>();
  std::vector<GroupLag> lags;
  for (int32_t p = 0; p < 3; ++p)
    lags.push_back({.group = "far",
                    .partition = {"a", PartitionIndex(p)},
                    .committed = Offset(5),
                    .end = Offset(7),
                    .records = 2,
                    .seconds = {}});
  lags.push_back({.group = "lost",
                  .partition = {"b", PartitionIndex(0)},
                  .committed = Offset(9),
                  .end = {},
                  .records = {},
                  .seconds = {}});
  MetricsInput in;
  in.broker = &sample;
  in.lags = &lags;
  in.partitions_max = 2;
  MetricsPage page;
  const std::string text = page.render(in);
  CHECK(value_of(text, R"(kafka_consumergroup_lag{consumergroup="far",topic="a",partition="1"})") == 2);
  CHECK(!value_of(text, R"(kafka_consumergroup_lag{consumergroup="far",topic="a",partition="2"})"));
  CHECK(value_of(text, R"(kafka_consumergroup_lag_sum{consumergroup="far",topic="a"})") == 6);
  CHECK(value_of(text, R"(kafka_consumergroup_current_offset_sum{consumergroup="lost",topic="b"})") == 9);
  CHECK(!value_of(text, R"(kafka_consumergroup_lag_sum{consumergroup="lost",topic="b"})"));
  CHECK(value_of(text, R"(naru_metrics_left_out{kind="group_partition"})") == 2);
}

TEST_CASE("errors by API and code, the answers without any, and who waits") {
  BrokerSample sample;
  sample.image = std::make_shared<const metadata::MetadataImage>();
  sample.shards.resize(2);
  constexpr size_t produce = 0;
  for (ShardSample& shard : sample.shards) {
    shard.requests.resize(1);
    broker::api::ApiMetrics& api = shard.requests[produce];
    for (int i = 0; i < 5; ++i) api.time.observe(std::chrono::milliseconds(1));
    api.errors[common::model::ErrorCode::not_leader_or_follower] = 3;
    api.faulty = 1;
    api.closed = 1;
    shard.waiting = {.produce = 2, .fetch = 5, .delete_records = 0, .rebalance = 1};
  }
  MetricsInput in;
  in.broker = &sample;
  MetricsPage page;
  const std::string text = page.render(in);
  const std::string name = "kafka_network_requestmetrics_errors_total";
  CHECK(value_of(text, name + "{request=\"Produce\",error=\"NOT_LEADER_OR_FOLLOWER\"}") == 6);
  CHECK(value_of(text, name + "{request=\"Produce\",error=\"NONE\"}") == 6);
  const std::string waiting = "kafka_server_delayedoperationpurgatory_purgatorysize";
  CHECK(value_of(text, waiting + "{delayedOperation=\"Produce\"}") == 4);
  CHECK(value_of(text, waiting + "{delayedOperation=\"Fetch\"}") == 10);
  CHECK(value_of(text, waiting + "{delayedOperation=\"DeleteRecords\"}") == 0);
  CHECK(value_of(text, waiting + "{delayedOperation=\"Rebalance\"}") == 2);
}

TEST_CASE("clients by library: shards together") {
  BrokerSample sample;
  sample.image = std::make_shared<const metadata::MetadataImage>();
  sample.shards.resize(2);
  sample.shards[0].software = {{{"PLAINTEXT", "librdkafka", "2.12.0"}, 2}, {{"PLAINTEXT", "unknown", "unknown"}, 1}};
  sample.shards[1].software = {{{"PLAINTEXT", "librdkafka", "2.12.0"}, 3}};
  MetricsInput in;
  in.broker = &sample;
  MetricsPage page;
  const std::string text = page.render(in);
  CHECK(value_of(text, R"(kafka_server_socket_server_metrics_connections_software{clientSoftwareName="librdkafka",)"
                       R"(clientSoftwareVersion="2.12.0",listener="PLAINTEXT",networkProcessor="0"})") == 5);
  CHECK(value_of(text, R"(kafka_server_socket_server_metrics_connections_software{clientSoftwareName="unknown",)"
                       R"(clientSoftwareVersion="unknown",listener="PLAINTEXT",networkProcessor="0"})") == 1);
}

TEST_CASE("compaction: the shard that waits longest, the dirtiest log, what the last runs left") {
  BrokerSample sample;
  sample.taken = common::Instant{std::chrono::seconds(100)};
  sample.image = std::make_shared<const metadata::MetadataImage>();
  sample.shards.resize(2);
  MetricsInput in;
  in.broker = &sample;
  MetricsPage page;
  CHECK(page.render(in).find("kafka_log_logcleaner") == std::string::npos);  // switched off

  for (int i = 0; i < 2; ++i) {
    auto& cleaner = sample.shards[static_cast<size_t>(i)].cleaner.emplace();
    cleaner.looked_at = sample.taken - std::chrono::seconds(3 + i);
    cleaner.dirtiest = 0.25 * (i + 1);
    cleaner.bytes_before = 1000;
    cleaner.bytes_after = i == 0 ? 100 : 300;
    cleaner.took = std::chrono::seconds(2 - i);
    cleaner.uncleanable["/data"] = 1;
  }
  const std::string text = page.render(in);
  CHECK(value_of(text, "kafka_log_logcleanermanager_time_since_last_run_ms") == 4000);
  CHECK(value_of(text, "kafka_log_logcleaner_max_dirty_percent") == 50);
  CHECK(value_of(text, "kafka_log_logcleaner_cleaner_recopy_percent") == 20);
  CHECK(value_of(text, "kafka_log_logcleaner_max_clean_time_secs") == 2);
  CHECK(value_of(text, "kafka_log_logcleanermanager_uncleanable_partitions_count{logDirectory=\"/data\"}") == 2);
}

TEST_CASE("before it serves a broker tells of its process only") {
  MetricsInput in;
  in.broker_state = 2;
  in.process.disk_read_bytes = 4096;
  in.process.disk_write_bytes = 8192;
  MetricsPage page;
  const std::string text = page.render(in);
  CHECK(value_of(text, "kafka_server_kafkaserver_brokerstate") == 2);
  CHECK(value_of(text, "kafka_server_kafkaserver_linux_disk_read_bytes") == 4096);
  CHECK(value_of(text, "kafka_server_kafkaserver_linux_disk_write_bytes") == 8192);
  CHECK(text.find("kafka_log_log_size") == std::string::npos);
}

TEST_CASE("the process is seen by the kernel") {
  const ProcessSample process = sample_process();
  CHECK(process.resident_bytes > 0);
  CHECK(process.open_descriptors > 2);
  CHECK(process.uptime_seconds >= 0);
}

TEST_CASE("connections are told by the listener that they came in on") {
  MetricsInput in;
  in.connections.listeners = {{"INSIDE", 4, 10}, {"OUTSIDE", 1, 20}};
  const std::string text = MetricsPage().render(in);
  const std::string name = "kafka_server_socket_server_metrics_connection_count";
  CHECK(value_of(text, name + R"({listener="INSIDE",networkProcessor="0"})") == 4);
  CHECK(value_of(text, name + R"({listener="OUTSIDE",networkProcessor="0"})") == 1);
}
