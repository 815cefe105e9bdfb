// Which value counts: topic, then this broker's dynamic value, then the cluster's, then the file, then the default.
#include <catch2/catch.hpp>

#include <algorithm>

#include "common/config/config_load.h"
#include "common/config/topic_config.h"

using namespace common::config;
using common::model::ErrorCode;

namespace {
BrokerConfig broker(std::string_view text) {
  auto loaded = load_config({.file = parse_properties(text), .environment = {}, .sets = {}});
  REQUIRE(loaded);
  return std::move(loaded->config);
}
const DescribedConfig& entry(const std::vector<DescribedConfig>& all, std::string_view name) {
  const auto it = std::find_if(all.begin(), all.end(), [&](const DescribedConfig& c) { return c.name == name; });
  REQUIRE(it != all.end());
  return *it;
}
}  // namespace

TEST_CASE("a topic's value: the nearest layer wins") {
  const BrokerConfig base = broker("log.dirs=/d\nlog.retention.hours=1");
  const ConfigMap empty;
  const ConfigMap cluster{{"log.retention.ms", "2000"}};
  const ConfigMap mine{{"log.retention.ms", "3000"}};
  const ConfigMap topic{{"retention.ms", "4000"}};
  ConfigLayers layers{.broker = &base, .dynamic_default = {}, .dynamic_broker = {}, .topic = {}};
  CHECK(resolve_topic(layers).retention_age == std::chrono::hours(1));
  layers.dynamic_default = lookup_in(cluster);
  CHECK(resolve_topic(layers).retention_age == milliseconds(2000));
  layers.dynamic_broker = lookup_in(mine);
  CHECK(resolve_topic(layers).retention_age == milliseconds(3000));
  layers.topic = lookup_in(topic);
  CHECK(resolve_topic(layers).retention_age == milliseconds(4000));

  const std::vector<DescribedConfig> all = describe_topic(layers);
  const DescribedConfig& retention = entry(all, "retention.ms");
  CHECK(retention.value == "4000");
  CHECK(retention.source == ConfigSource::topic);
  CHECK_FALSE(retention.read_only);
  CHECK(retention.type == ValueType::int64);
  std::vector<std::string> chain;
  for (const SynonymValue& s : retention.synonyms) {
    chain.push_back(fmt::format("{}={}:{}", s.name, s.value.value_or("null"), static_cast<int>(s.source)));
  }
  CHECK(chain == std::vector<std::string>{"retention.ms=4000:1", "log.retention.ms=3000:2", "log.retention.ms=2000:3",
                                          "log.retention.hours=3600000:4", "log.retention.ms=604800000:5"});
}

TEST_CASE("typed values of a topic") {
  const BrokerConfig base = broker("log.dirs=/d");
  const ConfigMap topic{{"cleanup.policy", "compact,delete"},
                        {"flush.messages", "1"},
                        {"message.timestamp.type", "LogAppendTime"},
                        {"compression.type", "zstd"},
                        {"retention.bytes", "-1"},
                        {"unclean.leader.election.enable", "true"},
                        {"max.message.bytes", "77"},
                        {"message.timestamp.before.max.ms", "5"}};
  const TopicConfig config =
      resolve_topic({.broker = &base, .dynamic_default = {}, .dynamic_broker = {}, .topic = lookup_in(topic)});
  CHECK(config.cleanup_policy == CleanupPolicy{.compact = true, .remove = true});
  CHECK(config.flush_messages == 1);
  CHECK(config.timestamp_type == TimestampType::log_append_time);
  CHECK(config.compression_type == CompressionType::zstd);
  CHECK_FALSE(config.retention_bytes);
  CHECK(config.unclean_leader_election);
  CHECK(config.max_message_bytes == 77);
  CHECK(config.timestamp_before_max == milliseconds(5));
}

TEST_CASE("a stored value that does not parse counts as absent") {
  const BrokerConfig base = broker("log.dirs=/d");
  const ConfigMap topic{{"retention.ms", "soon"}};
  CHECK(resolve_topic({.broker = &base, .dynamic_default = {}, .dynamic_broker = {}, .topic = lookup_in(topic)}) ==
        base.topic_defaults);
}

TEST_CASE("a stored size above what a batch may be counts as the limit") {
  const BrokerConfig base = broker("log.dirs=/d");
  const ConfigMap topic{{"max.message.bytes", "200000000"}};
  const ConfigMap cluster{{"message.max.bytes", "150000000"}};
  ConfigLayers layers{.broker = &base, .dynamic_default = lookup_in(cluster), .dynamic_broker = {}, .topic = {}};
  CHECK(resolve_topic(layers).max_message_bytes == 104857600);
  CHECK(with_dynamic(base, {}, lookup_in(cluster)).topic_defaults.max_message_bytes == 104857600);
  CHECK(entry(describe_broker(layers), "message.max.bytes").value == "104857600");
  layers.dynamic_default = {};
  layers.topic = lookup_in(topic);
  CHECK(resolve_topic(layers).max_message_bytes == 104857600);
  const std::vector<DescribedConfig> all = describe_topic(layers);
  CHECK(entry(all, "max.message.bytes").value == "104857600");
  CHECK(entry(all, "max.message.bytes").source == ConfigSource::topic);
  CHECK_FALSE(check_topic_configs(topic));  // new ones are refused
}

TEST_CASE("without a file the defaults describe themselves") {
  const std::vector<DescribedConfig> all = describe_topic({});
  CHECK(all.size() == topic_properties().size());
  for (const DescribedConfig& config : all) CHECK(config.is_default());
  CHECK(std::is_sorted(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; }));
}

TEST_CASE("a broker describes itself") {
  const BrokerConfig base =
      broker("log.dirs=/d\nnode.id=3\nssl.key.password=hush\ncontroller.quorum.voters=1@a:1,2@b:1,3@c:1");
  const ConfigMap cluster{{"log.retention.ms", "2000"}};
  const std::vector<DescribedConfig> all =
      describe_broker({.broker = &base, .dynamic_default = lookup_in(cluster), .dynamic_broker = {}, .topic = {}});
  CHECK(entry(all, "node.id").value == "3");
  CHECK(entry(all, "node.id").source == ConfigSource::static_broker);
  CHECK(entry(all, "node.id").read_only);
  CHECK(entry(all, "log.retention.ms").source == ConfigSource::dynamic_default_broker);
  CHECK_FALSE(entry(all, "log.retention.ms").read_only);
  CHECK(entry(all, "ssl.key.password").sensitive);
  CHECK_FALSE(entry(all, "ssl.key.password").value);
  CHECK(entry(all, "default.replication.factor").value == "3");
  CHECK(entry(all, "default.replication.factor").is_default());
}

TEST_CASE("dynamic values change what may change") {
  const BrokerConfig base = broker("log.dirs=/d\nlog.segment.bytes=2000000");
  const ConfigMap cluster{{"max.connections", "5"}, {"log.segment.bytes", "3000000"}, {"num.partitions", "9"}};
  const BrokerConfig now = with_dynamic(base, {}, lookup_in(cluster));
  CHECK(now.max_connections == 5);
  CHECK(now.topic_defaults.segment_bytes == 3000000);
  CHECK(now.num_partitions == 1);
}

TEST_CASE("connections of single addresses come from the file, or change while it runs") {
  const BrokerConfig base = broker("log.dirs=/d\nmax.connections.per.ip.overrides=10.0.0.1:7");
  using Counts = std::map<std::string, int32_t>;
  CHECK(base.max_connections_per_ip_overrides == Counts{{"10.0.0.1", 7}});
  const ConfigMap cluster{{"max.connections.per.ip.overrides", "10.0.0.2:5, ::1:0"}};
  REQUIRE(check_dynamic_broker_configs(cluster, ConfigOf::all_brokers));
  CHECK(with_dynamic(base, {}, lookup_in(cluster)).max_connections_per_ip_overrides ==
        Counts{{"10.0.0.2", 5}, {"::1", 0}});
  const ConfigMap none{{"max.connections.per.ip.overrides", ""}};
  CHECK(with_dynamic(base, lookup_in(none), lookup_in(cluster)).max_connections_per_ip_overrides.empty());
  CHECK(with_dynamic(base, {}, {}).max_connections_per_ip_overrides == base.max_connections_per_ip_overrides);
  const auto refused =
      check_dynamic_broker_configs({{"max.connections.per.ip.overrides", "10.0.0.2"}}, ConfigOf::all_brokers);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message == "max.connections.per.ip.overrides=10.0.0.2: '10.0.0.2' must be address:count");
}

TEST_CASE("a listener's own bound of connections comes from the file, or changes while it runs") {
  const BrokerConfig base = broker(
      "log.dirs=/d\nlisteners=INTERNAL://:9092,OUTSIDE://:9094\n"
      "listener.security.protocol.map=INTERNAL:PLAINTEXT,OUTSIDE:PLAINTEXT\n"
      "listener.name.outside.max.connections=7\n");
  CHECK(base.max_connections_of_listener == std::map<std::string, int32_t>{{"OUTSIDE", 7}});
  const ConfigMap mine{{"listener.name.outside.max.connections", "8"}};
  const ConfigMap cluster{{"listener.name.outside.max.connections", "9"},
                          {"listener.name.internal.max.connections", "5"}};
  REQUIRE(check_dynamic_broker_configs(mine, ConfigOf::one_broker));
  REQUIRE(check_dynamic_broker_configs(cluster, ConfigOf::all_brokers));
  CHECK_FALSE(check_dynamic_broker_configs({{"listener.name.outside.max.connections", "0"}}, ConfigOf::all_brokers));
  const BrokerConfig now = with_dynamic(base, lookup_in(mine), lookup_in(cluster));
  CHECK(now.max_connections_of_listener == std::map<std::string, int32_t>{{"INTERNAL", 5}, {"OUTSIDE", 8}});
  CHECK(now.max_connections == base.max_connections);
  CHECK(with_dynamic(base, {}, {}).max_connections_of_listener == base.max_connections_of_listener);
}

TEST_CASE("overrides are checked before they are stored") {
  CHECK(check_topic_configs({{"retention.ms", "1"}, {"cleanup.policy", "compact"}}));
  const auto unknown = check_topic_configs({{"retention.msec", "1"}});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code == ErrorCode::invalid_config);
  CHECK(unknown.error().message == "retention.msec: no such topic configuration; the nearest is retention.ms");
  CHECK(check_topic_configs({{"segment.bytes", "1"}}).error().message ==
        "segment.bytes=1: must be a whole number from 1048576 to 2147483647");
  CHECK_FALSE(check_topic_configs({{"min.compaction.lag.ms", "10"}, {"max.compaction.lag.ms", "5"}}));

  CHECK(check_dynamic_broker_configs({{"log.retention.ms", "1"}}, ConfigOf::all_brokers));
  CHECK(check_dynamic_broker_configs({{"num.partitions", "1"}}, ConfigOf::one_broker).error().code ==
        ErrorCode::invalid_request);
  CHECK_FALSE(check_dynamic_broker_configs({{"leader.replication.throttled.rate", "1"}}, ConfigOf::all_brokers));
  CHECK(check_dynamic_broker_configs({{"leader.replication.throttled.rate", "1"}}, ConfigOf::one_broker));
  CHECK_FALSE(check_dynamic_broker_configs({{"no.such.thing", "1"}}, ConfigOf::all_brokers));
  for (const auto& [key, value] : ConfigMap{{"min.insync.replicas", "1"}, {"unclean.leader.election.enable", "true"}}) {
    CHECK(check_dynamic_broker_configs({{key, value}}, ConfigOf::all_brokers));
    CHECK(check_dynamic_broker_configs({{key, value}}, ConfigOf::one_broker).error().code ==
          ErrorCode::invalid_request);
  }
}
