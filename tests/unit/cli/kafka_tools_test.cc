// The names of Kafka's scripts, Kafka's lists of settings, and the sources of a container's configuration.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "cli/image.h"
#include "cli/kafka_tools/controller_config.h"
#include "cli/kafka_tools/dispatch.h"
#include "cli/kafka_tools/flags.h"
#include "cli/kafka_tools/group_changes.h"
#include "cli/kafka_tools/instead.h"
#include "support/temporary_directory.h"

namespace {

cli::StartCommand started;  // what the tools that start a broker asked for

}  // namespace

// The broker's part of the binary is not in this program.
cli::Exit cli::run(const StartCommand& command) {
  started = command;
  return Exit::done;
}

using cli::kafka_tool_named;
using cli::kafka_tools::parse_settings;
using Settings = std::vector<std::pair<std::string, std::string>>;

TEST_CASE("A program is a tool by the last part of its name, with or without .sh") {
  for (const char* tool : {"kafka-topics", "kafka-console-producer", "kafka-console-consumer", "kafka-consumer-groups",
                           "kafka-configs", "kafka-broker-api-versions", "kafka-get-offsets", "kafka-metadata-quorum",
                           "kafka-server-start", "kafka-storage", "run"}) {
    CAPTURE(tool);
    REQUIRE(kafka_tool_named(tool));
    REQUIRE(kafka_tool_named(std::string("/opt/kafka/bin/") + tool + ".sh"));
  }
  for (const char* other : {"naru", "/usr/bin/naru", "", "kafka-topics.sh/"}) {
    CAPTURE(other);
    REQUIRE_FALSE(kafka_tool_named(other));
  }
  for (const char* unknown : {"kafka-topic", "/opt/kafka/bin/kafka-acls.sh"}) {
    CAPTURE(unknown);
    const auto tool = kafka_tool_named(unknown);
    REQUIRE(tool);
    CHECK((*tool)(1, &unknown) == cli::Exit::usage);
  }
}

TEST_CASE("kafka-console-consumer refuses a group beside a partition, as Kafka's does") {
  const std::vector<const char*> words = {"kafka-console-consumer", "--bootstrap-server", "localhost:1", "--topic", "t",
                                          "--partition", "0", "--group", "g"};
  const auto tool = kafka_tool_named(words.front());
  REQUIRE(tool);
  CHECK((*tool)(static_cast<int>(words.size()), words.data()) == cli::Exit::refused);
}

TEST_CASE("Offsets are reset of a group that its coordinator has told all about, and that nobody is in") {
  using common::model::ErrorCode;
  using cli::kafka_tools::may_be_reset;
  const auto group = [](ErrorCode error, std::string state) {
    cli::GroupFacts facts;
    facts.name = "g";
    facts.error = error;
    facts.state = std::move(state);
    return facts;
  };
  CHECK(may_be_reset(group(ErrorCode::none, "Empty")));
  CHECK(may_be_reset(group(ErrorCode::group_id_not_found, "Dead")));  // the commit makes it
  const auto busy = may_be_reset(group(ErrorCode::none, "Stable"));
  REQUIRE_FALSE(busy);
  CHECK(busy.error().exit == cli::Exit::partly);
  // Nothing of its offsets is known: --to-current would take it to the end of every partition.
  for (const ErrorCode error : {ErrorCode::coordinator_load_in_progress, ErrorCode::not_coordinator,
                                ErrorCode::group_authorization_failed, ErrorCode::unstable_offset_commit}) {
    CAPTURE(error);
    for (const char* state : {"", "Empty", "Dead"}) {
      const auto unknown = may_be_reset(group(error, state));
      REQUIRE_FALSE(unknown);
      CHECK(unknown.error().exit == cli::Exit::refused);
    }
  }
}

TEST_CASE("A tool of Kafka's that naru does not stand for names the command that does its job") {
  using cli::kafka_tools::instead_of_tool;
  const auto says = [](std::string_view tool, std::string_view word, std::string_view command) {
    INFO(tool << " " << word << ": " << instead_of_tool(tool, word));
    CHECK(instead_of_tool(tool, word).find(command) != std::string::npos);
  };
  says("kafka-reassign-partitions", "", "`naru partition move ");
  says("kafka-dump-log", "", "`naru log dump ");
  says("kafka-leader-election", "", "`naru partition elect ");
  says("kafka-log-dirs", "", "`naru broker describe ");
  says("kafka-delete-records", "", "`naru topic trim ");
  says("kafka-acls", "", "nothing: ");
  says("kafka-run-class", "kafka.tools.DumpLogSegments", "`naru log dump ");
  says("kafka-run-class", "org.apache.kafka.tools.GetOffsetShell", "kafka-get-offsets.sh");
  says("kafka-run-class", "com.example.Main", "nothing: ");
  says("kafka-run-class", "", "nothing: ");
  CHECK(instead_of_tool("kafka-topic", "").empty());
  for (const auto& other : cli::kafka_tools::tools_not_offered()) {
    INFO(other.tool);
    CHECK((other.what.find('`') != std::string_view::npos || other.what.starts_with("nothing")));
    const std::string path = "/opt/kafka/bin/" + std::string(other.tool) + ".sh";
    const auto tool = kafka_tool_named(path);
    REQUIRE(tool);
    const char* const argv = path.c_str();
    CHECK((*tool)(1, &argv) == cli::Exit::usage);
  }
}

TEST_CASE("A flag that only Kafka's tool has names the command that does its job") {
  using cli::kafka_tools::instead_of_flag;
  CHECK(instead_of_flag("kafka-topics", "--zookeeper=localhost:2181").find("--bootstrap-server") !=
        std::string_view::npos);
  CHECK(instead_of_flag("kafka-consumer-groups", "--from-file").find("`naru group seek ") != std::string_view::npos);
  CHECK(instead_of_flag("kafka-configs", "--group").find("`naru config set group ") != std::string_view::npos);
  CHECK(instead_of_flag("kafka-topics", "--from-file").empty());
  CHECK(instead_of_flag("kafka-topics", "--nonsense").empty());
  for (const char* tool : {"kafka-topics", "kafka-console-producer", "kafka-console-consumer", "kafka-consumer-groups",
                           "kafka-configs", "kafka-broker-api-versions", "kafka-get-offsets", "kafka-metadata-quorum"})
    CHECK(cli::kafka_tools::own_words_for(tool).starts_with("naru "));
  CHECK(cli::kafka_tools::own_words_for("kafka-acls").empty());
}

TEST_CASE("add-controller reads who the controller is, and where, as Kafka's tool does") {
  using cli::kafka_tools::read_controller_config;
  const test_support::TemporaryDirectory temporary("tools");
  const std::string& directory = temporary.path();
  common::config::ConfigMap properties = {{"node.id", "4"},
                                          {"log.dirs", directory + ",/elsewhere"},
                                          {"controller.listener.names", "CONTROLLER"},
                                          {"listeners", "PLAINTEXT://a:1,CONTROLLER://b:2"}};
  REQUIRE_FALSE(read_controller_config(properties));  // no directory id yet
  std::filesystem::create_directories(directory + "/__cluster_metadata-0");
  std::ofstream(directory + "/__cluster_metadata-0/quorum.properties") << "directory.id=AAAAAAAAAAIAAAAAAAAAAg\n";
  CHECK(read_controller_config(properties)->directory == common::model::Uuid::from_halves(2, 2));
  std::ofstream(directory + "/meta.properties") << "directory.id=AAAAAAAAAAEAAAAAAAAAAg\n";
  const auto config = read_controller_config(properties);
  REQUIRE(config);
  CHECK(config->id == 4);
  CHECK(config->directory == common::model::Uuid::from_halves(1, 2));
  REQUIRE(config->endpoints.size() == 1);
  CHECK(config->endpoints[0].listener == "CONTROLLER");
  CHECK(config->endpoints[0].host == "b");
  CHECK(config->endpoints[0].port == 2);
  properties["advertised.listeners"] = "CONTROLLER://c:3";
  CHECK(read_controller_config(properties)->endpoints[0].host == "c");
  properties["node.id"] = "-1";
  CHECK_FALSE(read_controller_config(properties));
  properties.erase("node.id");
  CHECK_FALSE(read_controller_config(properties));
}

TEST_CASE("kafka-server-start takes a file and overrides, run takes variables") {
  const auto call = [](const char* tool, std::vector<const char*> words) {
    words.insert(words.begin(), tool);
    return (*kafka_tool_named(tool))(static_cast<int>(words.size()), words.data());
  };
  REQUIRE(call("kafka-server-start.sh", {"a.properties", "--override", "node.id=2", "--override", "x=y"}) ==
          cli::Exit::done);
  REQUIRE(started.config_file == "a.properties");
  REQUIRE(started.sets == std::vector<std::string>{"node.id=2", "x=y"});
  REQUIRE_FALSE(started.as_image);
  REQUIRE(call("run", {"KAFKA_NODE_ID=3"}) == cli::Exit::done);
  REQUIRE(started.as_image);
  REQUIRE(started.variables == std::vector<std::string>{"KAFKA_NODE_ID=3"});
  REQUIRE(call("kafka-server-start.sh", {}) == cli::Exit::refused);
  REQUIRE(call("kafka-server-start.sh", {"a.properties", "--unknown"}) == cli::Exit::refused);
  REQUIRE(call("kafka-server-start.sh", {"-daemon", "a.properties"}) == cli::Exit::usage);
}

TEST_CASE("Settings in a list: brackets hold a value with commas together") {
  REQUIRE(*parse_settings("a=1") == Settings{{"a", "1"}});
  REQUIRE(*parse_settings("a=1,b=[x,y],c=") == Settings{{"a", "1"}, {"b", "x,y"}, {"c", ""}});
  REQUIRE(*parse_settings("a=b=c") == Settings{{"a", "b=c"}});
  REQUIRE(parse_settings("")->empty());
  REQUIRE_FALSE(parse_settings("a"));
  REQUIRE_FALSE(parse_settings("=1"));
}

TEST_CASE("Words of an image's start stand above the environment") {
  ::setenv("KAFKA_NUM_PARTITIONS", "4", 1);
  const auto sources = cli::image_sources({"KAFKA_NUM_PARTITIONS=5", "KAFKA_LOG_DIRS=/tmp/data"});
  ::unsetenv("KAFKA_NUM_PARTITIONS");
  REQUIRE(sources);
  const auto loaded = common::config::load_config(*sources);
  REQUIRE(loaded);
  REQUIRE(loaded->config.num_partitions == 5);
  REQUIRE(loaded->config.log_dirs == std::vector<std::string>{"/tmp/data"});
  REQUIRE_FALSE(cli::image_sources({"KAFKA_NODE_ID"}));
  REQUIRE_FALSE(cli::image_sources({"=1"}));
}

TEST_CASE("health --local asks where the configuration says that the broker listens") {
  const auto address_with = [](const char* listeners) {
    ::setenv("KAFKA_LISTENERS", listeners, 1);
    std::string address = cli::local_address();
    ::unsetenv("KAFKA_LISTENERS");
    return address;
  };
  REQUIRE(address_with("PLAINTEXT://:7777") == "localhost:7777");
  REQUIRE(address_with("PLAINTEXT://0.0.0.0:7778") == "localhost:7778");
  REQUIRE(address_with("PLAINTEXT://127.0.0.5:9092") == "127.0.0.5:9092");
  REQUIRE(address_with("PLAINTEXT://[::1]:9092") == "[::1]:9092");
  REQUIRE(address_with("nonsense") == "localhost:9092");
}
