// From text to BrokerConfig: Kafka's own sample files, precedence, defaults that follow from others, clear refusals.
#include <algorithm>

#include <catch2/catch.hpp>

#include "common/config/config_load.h"

using namespace common::config;
using common::model::BrokerId;

namespace {
LoadedConfig load(const ConfigSources& sources) {
  auto loaded = load_config(sources);
  if (!loaded) {
    for (const std::string& problem : loaded.error()) UNSCOPED_INFO(problem);
  }
  REQUIRE(loaded.has_value());
  return std::move(*loaded);
}
LoadedConfig load_text(std::string_view text) {
  return load({.file = parse_properties(text), .environment = {}, .sets = {}});
}
ConfigProblems problems_of(std::string_view text) {
  const auto loaded = load_config({.file = parse_properties(text), .environment = {}, .sets = {}});
  REQUIRE_FALSE(loaded.has_value());
  return loaded.error();
}
std::string problem_of(std::string_view text) {
  const ConfigProblems problems = problems_of(text);
  for (const std::string& problem : problems) UNSCOPED_INFO(problem);
  REQUIRE(problems.size() == 1);
  return problems.front();
}

// The facts of the sample that Kafka 4 ships as config/server.properties, written anew.
constexpr std::string_view kafka_sample =
    "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=localhost:9093\n"
    "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ninter.broker.listener.name=PLAINTEXT\n"
    "advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://"
    "localhost:9093\ncontroller.listener.names=CONTROLLER\n"
    "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,"
    "SASL_SSL:SASL_SSL\n"
    "num.network.threads=3\nnum.io.threads=8\nsocket.send.buffer.bytes=102400\nsocket.receive.buffer.bytes=102400\n"
    "socket.request.max.bytes=104857600\nlog.dirs=/tmp/kraft-combined-logs\nnum.partitions=1\n"
    "num.recovery.threads.per.data.dir=1\noffsets.topic.replication.factor=1\n"
    "share.coordinator.state.topic.replication.factor=1\nshare.coordinator.state.topic.min.isr=1\n"
    "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\nlog.retention.hours=168\n"
    "log.segment.bytes=1073741824\nlog.retention.check.interval.ms=300000\n";
}  // namespace

TEST_CASE("no configuration at all is one broker") {
  const LoadedConfig loaded = load({});
  const BrokerConfig& config = loaded.config;
  CHECK(config.node_id == BrokerId(1));
  CHECK(config.listeners == std::vector<Listener>{{.name = "PLAINTEXT", .host = "", .port = 9092}});
  CHECK(config.peer_listeners == std::vector<Listener>{{.name = "CONTROLLER", .host = "", .port = 19092}});
  CHECK(config.advertised_listeners.empty());
  CHECK(config.default_replication_factor == 1);
  CHECK(config.topic_defaults.min_insync_replicas == 1);
  CHECK(config.offsets_replication_factor == 1);
  CHECK(config.offsets_partitions == 50);
  CHECK(config.heartbeat_interval == milliseconds(100));
  CHECK(config.session_timeout == milliseconds(1500));
  CHECK(config.replica_lag_time_max == milliseconds(10'000));
  CHECK(config.request_memory_bytes == 16 << 20);
  CHECK(config.tail_cache_bytes == 16 << 20);
  CHECK(config.topic_defaults.retention_age == std::chrono::hours(168));
  CHECK_FALSE(config.topic_defaults.flush_messages);
  CHECK(config.topic_defaults == TopicConfig{});
  CHECK(config.metadata_log_dir == config.log_dirs.front());
  REQUIRE(loaded.warnings.size() == 1);
  CHECK(loaded.warnings[0].starts_with("log.dirs is not set"));
}

TEST_CASE("Kafka's own sample file starts a broker") {
  const LoadedConfig loaded = load_text(kafka_sample);
  const BrokerConfig& config = loaded.config;
  CHECK(config.listeners.size() == 1);
  CHECK(config.peer_listeners == std::vector<Listener>{{.name = "CONTROLLER", .host = "", .port = 9093}});
  CHECK(config.advertised_listeners == std::vector<Listener>{{.name = "PLAINTEXT", .host = "localhost", .port = 9092}});
  CHECK(config.advertised_peer_listeners.front().port == 9093);
  CHECK(config.bootstrap_servers == std::vector<HostPort>{{.host = "localhost", .port = 9093}});
  CHECK(config.log_dirs == std::vector<std::string>{"/tmp/kraft-combined-logs"});
  CHECK(config.socket_send_buffer == 102400);
  // One warning lists what does nothing here; values that equal Kafka's default are no news.
  REQUIRE(loaded.warnings.size() == 1);
  CHECK(loaded.warnings[0].find("share.coordinator.state.topic.replication.factor (no share groups)") !=
        std::string::npos);
  CHECK(loaded.warnings[0].find("num.io.threads") == std::string::npos);
}

TEST_CASE("replication defaults follow the configured voters, and explicit values win") {
  const std::string three = "node.id=2\nlog.dirs=/d\ncontroller.quorum.voters=1@a:9093,2@b:9093,3@c:9093\n";
  {
    const BrokerConfig config = load_text(three).config;
    CHECK(config.voters.size() == 3);
    CHECK(config.voters[2] == Voter{.id = BrokerId(3), .address = {.host = "c", .port = 9093}});
    CHECK(config.default_replication_factor == 3);
    CHECK(config.topic_defaults.min_insync_replicas == 2);
    CHECK(config.offsets_replication_factor == 3);
    CHECK(config.transactions_replication_factor == 3);
    CHECK(config.transactions_min_isr == 2);
  }
  {
    const LoadedConfig loaded = load_text(three + "min.insync.replicas=1\noffsets.topic.replication.factor=1\n");
    CHECK(loaded.config.topic_defaults.min_insync_replicas == 1);
    CHECK(loaded.config.offsets_replication_factor == 1);
    CHECK(loaded.warnings.size() == 2);
  }
  CHECK(load_text("node.id=1\nlog.dirs=/d\ncontroller.quorum.bootstrap.servers=a:1,b:1,c:1")
            .config.default_replication_factor == 3);
  CHECK(load_text("node.id=1\nlog.dirs=/d\ncontroller.quorum.voters=1@a:1,2@b:1").config.default_replication_factor ==
        2);
}

TEST_CASE("precedence: file, then variables, then --set") {
  const ConfigSources sources{
      .file = parse_properties("num.partitions=2\nlog.dirs=/file\nnode.id=4"),
      .environment = {{"KAFKA_NUM_PARTITIONS", "3"},
                      {"KAFKA_CFG_LOG_DIRS", "/env"},
                      {"HOME", "/x"},
                      {"KAFKA_BROKER_ID", "5"}},
      .sets = {"num.partitions = 4"},
  };
  const BrokerConfig config = load(sources).config;
  CHECK(config.num_partitions == 4);
  CHECK(config.log_dirs == std::vector<std::string>{"/env"});
  CHECK(config.node_id == BrokerId(5));
}

TEST_CASE("retention: milliseconds before minutes before hours; -1 keeps for ever") {
  CHECK(load_text("log.dirs=/d\nlog.retention.hours=2").config.topic_defaults.retention_age == std::chrono::hours(2));
  CHECK(load_text("log.dirs=/d\nlog.retention.hours=2\nlog.retention.minutes=3").config.topic_defaults.retention_age ==
        std::chrono::minutes(3));
  CHECK(load_text("log.dirs=/d\nlog.retention.ms=5\nlog.retention.minutes=3").config.topic_defaults.retention_age ==
        milliseconds(5));
  CHECK_FALSE(load_text("log.dirs=/d\nlog.retention.hours=-1").config.topic_defaults.retention_age);
  CHECK_FALSE(load_text("log.dirs=/d\nlog.retention.ms=9223372036854775807").config.topic_defaults.retention_age);
  CHECK(load_text("log.dirs=/d\nlog.roll.hours=1").config.topic_defaults.segment_age == std::chrono::hours(1));
}

TEST_CASE("unknown names: one warning, with the nearest name") {
  const LoadedConfig loaded =
      load_text("log.dirs=/d\nnum.partition=3\nzookeeper.connect=z:2181\nmy.own.very.special.plugin.url=x");
  REQUIRE(loaded.warnings.size() == 1);
  CHECK(loaded.warnings[0] ==
        "3 unknown properties ignored: my.own.very.special.plugin.url, num.partition (nearest: num.partitions), "
        "zookeeper.connect (there is no ZooKeeper)");
}

TEST_CASE("variables of the JVM: named once as not needed, and no unknown properties") {
  const LoadedConfig loaded = load({.file = {},
                                    .environment = {{"KAFKA_HEAP_OPTS", "-Xmx1g"},
                                                    {"KAFKA_HOME", "/opt/kafka"},
                                                    {"KAFKA_JMX_PORT", "9999"},
                                                    {"KAFKA_LOG_DIRS", "/d"}},
                                    .sets = {}});
  CHECK(loaded.warnings ==
        std::vector<std::string>{"not needed here, where there is no JVM: KAFKA_HEAP_OPTS, KAFKA_JMX_PORT"});
  CHECK(loaded.warnings_about_names == 0);
}

TEST_CASE("listeners: several for clients, image style") {
  const LoadedConfig loaded = load(
      {.file = {},
       .environment = {{"KAFKA_LISTENERS", "PLAINTEXT://:19092,CONTROLLER://:9093,PLAINTEXT_HOST://:9092"},
                       {"KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://kafka-1:19092,PLAINTEXT_HOST://localhost:29092"},
                       {"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
                        "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT"},
                       {"KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"},
                       {"KAFKA_INTER_BROKER_LISTENER_NAME", "PLAINTEXT"},
                       {"KAFKA_CONTROLLER_QUORUM_VOTERS", "1@kafka-1:9093,2@kafka-2:9093,3@kafka-3:9093"},
                       {"KAFKA_NODE_ID", "1"},
                       {"KAFKA_PROCESS_ROLES", "broker,controller"},
                       {"CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw"},
                       {"KAFKA_LOG_DIRS", "/tmp/kraft-combined-logs"}},
       .sets = {}});
  CHECK(loaded.config.listeners.size() == 2);
  CHECK(loaded.config.peer_listeners.front().port == 9093);
  CHECK(loaded.config.cluster_id == "4L6g3nShT-eMCtK--X86sw");
  CHECK(loaded.config.inter_broker_listener_name == "PLAINTEXT");
  CHECK(loaded.warnings.empty());
}

TEST_CASE("listeners: derived from what is advertised; IPv6; any port") {
  const BrokerConfig derived = load_text("log.dirs=/d\nadvertised.listeners=PLAINTEXT://example.org:9095").config;
  CHECK(derived.listeners == std::vector<Listener>{{.name = "PLAINTEXT", .host = "", .port = 9095}});
  const BrokerConfig v6 = load_text("log.dirs=/d\nlisteners=plaintext://[::1]:9095").config;
  CHECK(v6.listeners == std::vector<Listener>{{.name = "PLAINTEXT", .host = "::1", .port = 9095}});
  CHECK(v6.peer_listeners.front().port == 19095);
  CHECK(load_text("log.dirs=/d\nlisteners=PLAINTEXT://127.0.0.1:0").config.peer_listeners.front().port == 0);
}

TEST_CASE("wrong values: one message with property, value and what is allowed") {
  const auto [text, expected] = GENERATE(table<std::string, std::string>({
      {"process.roles=broker", "process.roles=broker: every Naru broker embeds a controller"},
      {"process.roles=controller", "process.roles=controller: every Naru broker embeds a controller"},
      {"process.roles=broker,worker", "process.roles=broker,worker: must be a list of: broker, controller"},
      {"node.id=-3", "node.id=-3: must be a whole number from 0 to 2147483647"},
      {"listeners=9092", "listeners=9092: '9092' must be NAME://host:port"},
      {"listeners=PLAINTEXT://:99999", "listeners=PLAINTEXT://:99999: 'PLAINTEXT://:99999' must be NAME://host:port"},
      {"listeners=PLAINTEXT://:60000", "listeners=PLAINTEXT://:60000: port 60000 + 10000"},
      {"listeners=SSL://:9093", "listeners=SSL://:9093: listener SSL asks for SSL; only PLAINTEXT is offered yet"},
      {"listeners=A://:1,A://:2", "listeners=A://:1,A://:2: the name A stands there twice"},
      {"listeners=PLAINTEXT://:1,CLIENT://:1", "listeners=PLAINTEXT://:1,CLIENT://:1: two listeners on :1"},
      {"listeners=CLIENT://:9092", "listener.security.protocol.map="},
      {"controller.listener.names=CONTROLLER", "controller.listener.names=CONTROLLER: must name one of listeners"},
      {"advertised.listeners=PLAINTEXT://0.0.0.0:9092",
       "advertised.listeners=PLAINTEXT://0.0.0.0:9092: 'PLAINTEXT://0.0.0.0:9092' must be an address"},
      {"listeners=PLAINTEXT://:1\nadvertised.listeners=SSL://h:1",
       "advertised.listeners=SSL://h:1: must name only listeners that exist"},
      {"controller.quorum.voters=a:9093", "controller.quorum.voters=a:9093: 'a:9093' must be id@host:port"},
      {"node.id=1\ncontroller.quorum.voters=1@a:1,1@b:1",
       "controller.quorum.voters=1@a:1,1@b:1: node 1 stands there twice"},
      {"controller.quorum.voters=1@a:1,2@b:1", "node.id: must be set where more than one broker is configured"},
      {"node.id=1\nbroker.id=2", "broker.id=2: must equal node.id=1"},
      {"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "authorizer.class.name="},
      {"broker.session.timeout.ms=150",
       "broker.session.timeout.ms=150: must be at least twice broker.heartbeat.interval.ms (100)"},
      {"group.min.session.timeout.ms=2000000", "group.min.session.timeout.ms=2000000: must not be more than"},
      {"connections.max.idle.ms=0", "connections.max.idle.ms=0: must be more than 0"},
      {"log.dirs=/a,/b,/a/", "log.dirs=/a,/b,/a/: must name each directory once"},
      {"max.connections=0", "max.connections=0: must be a whole number from 1"},
      {"controller.quorum.fetch.timeout.ms=0", "controller.quorum.fetch.timeout.ms=0: must be a whole number from 1"},
      {"message.max.bytes=3000000000", "message.max.bytes=3000000000: must be a whole number from 0 to 104857600"},
      {"message.max.bytes=-1", "message.max.bytes=-1: must be a whole number from 0 to 104857600"},
      {"message.max.bytes=2000000\nsocket.request.max.bytes=1000000",
       "message.max.bytes=2000000: must not be more than socket.request.max.bytes"},
      {"log.retention.ms=forever", "log.retention.ms=forever: must be a whole number"},
      {"security.inter.broker.protocol=SSL", "security.inter.broker.protocol=SSL: must be one of: PLAINTEXT"},
  }));
  INFO(text);
  const std::string problem = problem_of("log.dirs=/d\n" + text);
  INFO(problem);
  CHECK(problem.starts_with(expected));
}

TEST_CASE("a file of an earlier version, with batches larger than they may be now, starts with the limit") {
  const LoadedConfig loaded =
      load_text("log.dirs=/d\nnum.io.threads=9\nmessage.max.bytes=200000000\nsocket.request.max.bytes=300000000");
  CHECK(loaded.config.topic_defaults.max_message_bytes == 104857600);
  REQUIRE(loaded.warnings.size() == loaded.warnings_about_names + 1);
  CHECK(loaded.warnings.back() == "message.max.bytes=200000000 is more than a batch may be: it counts as 104857600");
  CHECK(load_text("log.dirs=/d\nmessage.max.bytes=104857600").warnings.empty());
  CHECK(load_text("log.dirs=/d\nreplica.fetch.max.bytes=0").config.replica_fetch_max_bytes == 0);
}

TEST_CASE("--set without a value is a usage error") {
  const auto loaded = load_config({.file = {}, .environment = {}, .sets = {"num.partitions"}});
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error() == ConfigProblems{"--set num.partitions: must be name=value"});
}

TEST_CASE("all wrong values are told at once") {
  CHECK(problems_of("num.partitions=0\nlog.retention.hours=x\nauto.create.topics.enable=1").size() == 3);
}

TEST_CASE("a cluster id that is none as Kafka makes them is said to be replaced") {
  CHECK(load_text("log.dirs=/d\nnaru.cluster.id=4L6g3nShT-eMCtK--X86sw").warnings.empty());
  const auto warnings = load_text("log.dirs=/d\nnaru.cluster.id=foo").warnings;
  REQUIRE(warnings.size() == 1);
  CHECK(warnings.front().starts_with("naru.cluster.id=foo is no id as Kafka makes them"));
}

TEST_CASE("each given name is told to be used, or ignored and why") {
  const LoadedConfig loaded = load_text(
      "log.dirs=/d\nnode.id=1\nnum.io.threads=8\nnum.partition=3\nmy.plugin.url=x\nssl.key.password=hush\n"
      "unclean.leader.election.enable=true");
  const std::vector<std::string> lines = checked_lines(loaded.config.given);
  const auto has = [&](std::string_view begin) {
    return std::ranges::any_of(lines, [&](const std::string& line) { return line.starts_with(begin); });
  };
  CHECK(lines.size() == 7);
  CHECK(has("used     log.dirs=/d"));
  CHECK(has("used     node.id=1"));
  CHECK(has("ignored  num.io.threads=8   " + std::string(find_broker_property("num.io.threads")->note)));
  CHECK(has("ignored  num.partition=3   unknown; nearest: num.partitions"));
  CHECK(has("ignored  my.plugin.url=x   unknown"));
  CHECK(has("ignored  ssl.key.password=(hidden)   "));
  CHECK(has("used     unclean.leader.election.enable=true"));
  // What the lines above say already is not among the notes.
  REQUIRE(loaded.warnings.size() > loaded.warnings_about_names);
  CHECK(loaded.warnings[loaded.warnings_about_names].starts_with("unclean.leader.election.enable=true"));
}

TEST_CASE("what was given and differs is one list; secrets are hidden") {
  const BrokerConfig config =
      load_text("log.dirs=/d\nnum.partitions=1\nnum.recovery.threads.per.data.dir=7\nssl.key.password=hush").config;
  CHECK(given_lines(config) ==
        std::vector<std::string>{"log.dirs=/d", "num.recovery.threads.per.data.dir=7", "ssl.key.password=(hidden)"});
}
