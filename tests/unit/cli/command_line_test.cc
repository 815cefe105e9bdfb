// Words to commands, and what wrong words answer.
#include <catch2/catch.hpp>

#include "cli/client/cluster.h"
#include "cli/command_line.h"

using namespace cli;

namespace {
tl::expected<Command, Exit> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "naru");
  return parse_command_line(static_cast<int>(words.size()), words.data());
}
template <class C>
C parsed(std::vector<const char*> words) {
  const auto command = parse(std::move(words));
  REQUIRE(command);
  REQUIRE(std::holds_alternative<C>(*command));
  return std::get<C>(*command);
}
}  // namespace

TEST_CASE("commands with their options") {
  CHECK_FALSE(parsed<GroupListCommand>({"group", "list"}).behind);
  CHECK(parsed<GroupListCommand>({"group", "list", "--behind", "-o", "json"}).behind);

  const auto start = parsed<StartCommand>({"start", "-c", "server.properties", "--set", "a=1", "--set", "b=2"});
  CHECK(start.config_file == "server.properties");
  CHECK(start.sets == std::vector<std::string>{"a=1", "b=2"});

  const auto create = parsed<TopicCreateCommand>({"topic", "create", "a", "b", "-p", "6", "-r", "3", "-c", "x=1", "-c",
                                                  "y=2", "--if-absent", "-b", "h:1", "-o", "json"});
  CHECK(create.names == std::vector<std::string>{"a", "b"});
  CHECK(create.partitions == 6);
  CHECK(create.replicas == 3);
  CHECK(create.configs == std::vector<std::string>{"x=1", "y=2"});
  CHECK(create.if_absent);
  CHECK(create.shared.brokers == "h:1");
  CHECK(create.shared.format == Format::json);

  const auto consume =
      parsed<ConsumeCommand>({"consume", "t", "--from", "-10", "-e", "-n", "5", "-p", "0", "-f", "%v"});
  CHECK(consume.from == "-10");
  CHECK(consume.exit_at_end);
  CHECK(consume.count == 5);
  CHECK(parsed<ConsumeCommand>({"consume", "t", "--from", "end", "-g", "g"}).group == "g");
  CHECK(parse({"consume", "t", "--from", "-10", "-g", "g"}).error() == Exit::usage);
  CHECK(parse({"consume", "t", "--from", "2h", "-g", "g"}).error() == Exit::usage);
  CHECK(parse({"consume", "t", "-p", "0", "-g", "g"}).error() == Exit::usage);

  const auto produce = parsed<ProduceCommand>({"produce", "t", "-k", "", "-z", "zstd"});
  CHECK(produce.has_key);
  CHECK_FALSE(parsed<ProduceCommand>({"produce", "t"}).has_key);
  CHECK(parsed<ProduceCommand>({"produce", "t"}).shared.timeout == std::chrono::seconds(30));

  const auto health = parsed<HealthCommand>({"health", "--wait", "--timeout", "500ms", "--bootstrap-server", "h:1"});
  CHECK(health.wait);
  CHECK(health.shared.timeout == std::chrono::milliseconds(500));
  CHECK(parsed<HealthCommand>({"health", "--timeout", "2m"}).shared.timeout == std::chrono::minutes(2));
  CHECK(parsed<DevCommand>({"dev", "--brokers", "3"}).brokers == 3);
  CHECK(parsed<StatusCommand>({"top"}).watch);
  CHECK_FALSE(parsed<StatusCommand>({"status"}).watch);
  CHECK(parsed<BenchCommand>({"bench", "e2e", "--size", "10"}).mode == BenchCommand::Mode::e2e);
  CHECK(parsed<LogCommand>({"log", "verify", "d"}).action == LogCommand::Action::verify);
  parsed<VersionCommand>({"version"});
  parsed<VersionCommand>({"--version"});
}

TEST_CASE("commands that change a cluster") {
  const auto get = parsed<ConfigGetCommand>({"config", "get", "topic", "t", "a", "b"});
  CHECK(get.target.name == "t");
  CHECK(get.keys == std::vector<std::string>{"a", "b"});
  CHECK(parsed<ConfigGetCommand>({"config", "get", "cluster", "a"}).keys == std::vector<std::string>{"a"});
  const auto set = parsed<ConfigSetCommand>({"config", "set", "broker", "1", "a=b", "--dry-run"});
  CHECK(set.target.kind == "broker");
  CHECK(set.settings == std::vector<std::string>{"a=b"});
  CHECK(set.dry_run);
  CHECK_FALSE(set.unset);
  CHECK(parsed<ConfigSetCommand>({"config", "unset", "cluster", "a"}).unset);
  CHECK(parse({"config", "set", "topic", "t"}).error() == Exit::usage);
  CHECK(parse({"config", "get", "planet", "t"}).error() == Exit::usage);

  const auto seek = parsed<GroupSeekCommand>({"group", "seek", "g", "--to", "-10", "--topic", "t:0,1", "-y"});
  CHECK(seek.to == "-10");
  CHECK(seek.topics == std::vector<std::string>{"t:0,1"});
  CHECK(seek.yes);
  const auto move =
      parsed<PartitionMoveCommand>({"partition", "move", "t", "u", "--to", "1,2", "--off", "3", "-r", "2"});
  CHECK(move.topics == std::vector<std::string>{"t", "u"});
  CHECK(move.to == std::vector<int>{1, 2});
  CHECK(move.off == std::vector<int>{3});
  CHECK(move.replicas == 2);
  CHECK_FALSE(move.balance);
  CHECK_FALSE(move.throttle);
  CHECK(parsed<PartitionMoveCommand>({"partition", "balance"}).balance);
  CHECK(parsed<PartitionMoveCommand>({"partition", "balance", "--throttle", "10MiB"}).throttle == 10 << 20);
  CHECK(parsed<PartitionMoveCommand>({"partition", "move", "--throttle", "500000"}).throttle == 500'000);
  CHECK(parsed<PartitionMovesCommand>({"partition", "moves", "--throttle", "1.5KiB"}).throttle == 1536);
  CHECK(parsed<BrokerDrainCommand>({"broker", "drain", "3", "--throttle", "1GiB"}).throttle == 1 << 30);
  for (const char* wrong : {"0", "-5", "fast", "10MB/s"})
    CHECK(parse({"partition", "move", "--throttle", wrong}).error() == Exit::usage);
  CHECK(parsed<PartitionMovesCommand>({"partition", "moves", "--cancel"}).cancel);
  CHECK_FALSE(parsed<PartitionMovesCommand>({"partition", "moves", "--cancel"}).keep_throttle);
  CHECK(parsed<PartitionMovesCommand>({"partition", "moves", "--wait", "--keep-throttle"}).keep_throttle);
  const auto elect = parsed<PartitionElectCommand>({"partition", "elect", "t", "--unclean", "--dry-run"});
  CHECK(elect.unclean);
  CHECK(elect.dry_run);
  CHECK_FALSE(elect.yes);
  CHECK(parsed<PartitionElectCommand>({"partition", "elect", "t", "--unclean", "-y"}).yes);
  CHECK(parsed<TopicTrimCommand>({"topic", "trim", "t", "--before", "7"}).before == "7");
  CHECK(parsed<TopicDeleteCommand>({"topic", "delete", "t"}).keep == std::chrono::hours(1));
  CHECK(parsed<TopicDeleteCommand>({"topic", "delete", "t", "--keep", "0"}).keep.count() == 0);
  CHECK(parse({"topic", "delete", "t", "--keep", "long"}).error() == Exit::usage);
  CHECK(parsed<TopicRestoreCommand>({"topic", "restore", "t", "u"}).names == std::vector<std::string>{"t", "u"});
  CHECK(parse({"topic", "restore"}).error() == Exit::usage);
  CHECK(parsed<TopicListCommand>({"topic", "list", "--deleted"}).deleted);
  CHECK(parsed<WhyCommand>({"why", "group", "g"}).what == "group");
  CHECK(parse({"why", "not", "g"}).error() == Exit::usage);
  CHECK(parsed<WhyCommand>({"why", "under-replicated"}).what == "under-replicated");
  CHECK(parse({"why", "under-replicated", "t"}).error() == Exit::usage);
  CHECK(parse({"why", "produce"}).error() == Exit::usage);
  CHECK_FALSE(parsed<DoctorCommand>({"doctor"}).addresses);
  CHECK(parsed<DoctorCommand>({"doctor", "--addresses"}).addresses);
  CHECK(parsed<BrokerDescribeCommand>({"broker", "describe", "3"}).id == 3);
  parsed<QuorumStatusCommand>({"quorum", "status"});
  parsed<QuorumStatusCommand>({"quorum", "describe"});
  const auto add = parsed<QuorumCommand>({"quorum", "add", "2", "3"});
  CHECK(add.ids == std::vector<int>{2, 3});
  CHECK_FALSE(add.remove);
  const auto remove = parsed<QuorumCommand>({"quorum", "remove", "3", "-y"});
  CHECK(remove.remove);
  CHECK(remove.yes);
  CHECK(parse({"quorum", "add"}).error() == Exit::usage);
  CHECK(parse({"quorum", "remove", "-1"}).error() == Exit::usage);
  CHECK(parsed<BrokerRemoveCommand>({"broker", "remove", "4", "--yes"}).id == 4);
}

TEST_CASE("what would be done can be asked of everything that changes a cluster") {
  CHECK(parsed<TopicCreateCommand>({"topic", "create", "t", "--dry-run"}).dry_run);
  CHECK(parsed<TopicGrowCommand>({"topic", "grow", "t", "-p", "9", "--dry-run"}).dry_run);
  CHECK(parsed<TopicDeleteCommand>({"topic", "delete", "t", "--dry-run"}).dry_run);
  CHECK(parsed<TopicRestoreCommand>({"topic", "restore", "t", "--dry-run"}).dry_run);
  CHECK(parsed<TopicTrimCommand>({"topic", "trim", "t", "--before", "7", "--dry-run"}).dry_run);
  CHECK(parsed<ConfigSetCommand>({"config", "unset", "topic", "t", "a", "--dry-run"}).dry_run);
  CHECK(parsed<GroupSeekCommand>({"group", "seek", "g", "--to", "end", "--dry-run"}).dry_run);
  CHECK(parsed<GroupDeleteCommand>({"group", "delete", "g", "--dry-run"}).dry_run);
  CHECK(parsed<PartitionMoveCommand>({"partition", "move", "--off", "3", "--dry-run"}).dry_run);
  CHECK(parsed<PartitionMoveCommand>({"partition", "balance", "--dry-run"}).dry_run);
  CHECK(parsed<PartitionElectCommand>({"partition", "elect", "t", "--dry-run"}).dry_run);
  CHECK(parsed<QuorumCommand>({"quorum", "add", "4", "--dry-run"}).dry_run);
  CHECK(parsed<QuorumCommand>({"quorum", "remove", "4", "--dry-run"}).dry_run);
  CHECK(parsed<BrokerRemoveCommand>({"broker", "remove", "4", "--dry-run"}).dry_run);
  CHECK_FALSE(parsed<TopicDeleteCommand>({"topic", "delete", "t"}).dry_run);
}

TEST_CASE("help is no error; wrong words are usage") {
  CHECK(parse({"help"}).error() == Exit::done);
  CHECK(parse({"help", "topic"}).error() == Exit::done);
  CHECK(parse({"help", "topic", "create"}).error() == Exit::done);
  CHECK(parse({"help", "--help"}).error() == Exit::done);
  CHECK(parse({"help", "topic", "creat"}).error() == Exit::usage);
  CHECK(parse({"help", "nonsense"}).error() == Exit::usage);
  CHECK(parse({"help", "topics-in-five-lines"}).error() == Exit::done);
  CHECK(parse({"help", "topics-in-six-lines"}).error() == Exit::usage);
  CHECK(parse({"--help"}).error() == Exit::done);
  CHECK(parse({"topic", "create", "--help"}).error() == Exit::done);
  for (const auto& words : std::vector<std::vector<const char*>>{{},
                                                                 {"nonsense"},
                                                                 {"topic"},
                                                                 {"topic", "creat", "x"},
                                                                 {"topic", "create"},
                                                                 {"topic", "create", "x", "-p", "0"},
                                                                 {"topic", "create", "x", "-p", "many"},
                                                                 {"status", "-o", "yaml"},
                                                                 {"health", "--timeout", "soon"},
                                                                 {"produce", "t", "--acks", "2"},
                                                                 {"dev", "--brokers", "0"}}) {
    const auto command = parse(words);
    REQUIRE_FALSE(command);
    CHECK(command.error() == Exit::usage);
  }
}

TEST_CASE("addresses of brokers") {
  const auto two = client::parse_bootstrap("a:1, b");
  REQUIRE(two);
  CHECK((*two)[0] == common::config::HostPort{"a", 1});
  CHECK((*two)[1] == common::config::HostPort{"b", 9092});
  CHECK((*client::parse_bootstrap("[::1]:7"))[0] == common::config::HostPort{"::1", 7});
  CHECK((*client::parse_bootstrap("[::1]"))[0] == common::config::HostPort{"::1", 9092});
  for (const std::string_view wrong : {"", ",", ":1", "a:x", "a:0", "a:70000", "a:", "a:1:2"})
    CHECK_FALSE(client::parse_bootstrap(wrong));
  CHECK(client::parse_bootstrap("b:1,a:99999").error().message.starts_with("--brokers b:1,a:99999: "));
}

TEST_CASE("the shape of the JSON is told without naming what it would be of") {
  CHECK(parsed<TopicDescribeCommand>({"topic", "describe", "-o", "help"}).shared.format == Format::help);
  CHECK(parsed<TopicGrowCommand>({"topic", "grow", "t", "-o", "help"}).shared.format == Format::help);
  CHECK(parsed<VerifyCheckCommand>({"verify", "check", "--output", "help"}).shared.format == Format::help);
}

TEST_CASE("verify runs by itself, and has subcommands") {
  const auto run = parsed<VerifyCommand>({"verify", "--bootstrap-server", "h:1", "--duration", "90s", "--acks", "1",
                                          "--history", "f", "--min-leader-changes", "2", "-o", "json"});
  CHECK(run.shared.brokers == "h:1");
  CHECK(run.duration == std::chrono::seconds(90));
  CHECK(run.acks == "1");
  CHECK(run.history == "f");
  CHECK(run.leader_changes_min == 2);
  CHECK(run.shared.format == Format::json);
  CHECK(run.topic.empty());

  const auto check = parsed<VerifyCheckCommand>({"verify", "check", "f", "--min-faults", "3"});
  CHECK(check.file == "f");
  CHECK(check.faults_min == 3);

  const auto workload = parsed<WorkloadCommand>({"verify", "workload", "t", "--producers", "3", "--acks", "0"});
  CHECK(workload.topic == "t");
  CHECK(workload.producers == 3);
  CHECK(workload.acks == "0");

  for (const std::vector<const char*>& wrong : {std::vector<const char*>{"verify", "--duration", "soon"},
                                                {"verify", "--acks", "2"},
                                                {"verify", "check"},
                                                {"verify", "--rate", "0"}}) {
    const auto refused = parse(wrong);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == Exit::usage);
  }
}
