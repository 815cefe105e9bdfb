#include "cli/kafka_tools/instead.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace cli::kafka_tools {
namespace {

constexpr std::string_view no_share_groups = "nothing: naru has no share groups";
constexpr std::string_view verifies =
    "`naru verify` writes and reads under whatever happens, and says what was lost or duplicated";

constexpr auto other_tools = std::to_array<Instead>({
    {"kafka-acls", "nothing: naru has no ACLs, and whoever reaches a broker's port may do everything"},
    {"kafka-client-metrics", "nothing: naru takes no metrics from clients; its own are at http://BROKER:9644/metrics"},
    {"kafka-cluster",
     "`naru status -o json` has the cluster's id, `naru broker list` the brokers, `naru broker remove ID` unregisters "
     "one"},
    {"kafka-console-share-consumer", no_share_groups},
    {"kafka-consumer-perf-test", "`naru bench consume TOPIC -n MESSAGES`"},
    {"kafka-delegation-tokens", "nothing: naru has no users, and so no tokens of theirs"},
    {"kafka-delete-records", "`naru topic trim TOPIC --before OFFSET --partition NUMBER --yes`"},
    {"kafka-dump-log", "`naru log dump FILE`, with --records for --print-data-log"},
    {"kafka-e2e-latency", "`naru bench e2e -n MESSAGES`"},
    {"kafka-features", "nothing, and there is nothing to upgrade by hand; `naru version` says which one this is"},
    {"kafka-groups", "`naru group list`"},
    {"kafka-jmx", "`curl http://BROKER:9644/metrics`: the names are those of the JMX exporter"},
    {"kafka-leader-election",
     "`naru partition elect TOPIC`, with --partition for one and --unclean where nobody in sync is left"},
    {"kafka-log-dirs", "`naru broker describe ID`"},
    {"kafka-metadata-shell", "nothing reads the metadata's files; `naru quorum status` says who holds them"},
    {"kafka-producer-perf-test", "`naru bench produce TOPIC -n RECORDS --size BYTES --rate PER_SECOND`"},
    {"kafka-reassign-partitions",
     "`naru partition move TOPIC --to 1,2,3 --yes`; `naru partition balance` makes a plan, `naru partition moves` "
     "shows how far it is, and with --cancel turns it back"},
    {"kafka-replica-verification", verifies},
    {"kafka-server-stop",
     "`systemctl stop naru` or `docker stop`, Ctrl-C where it runs in the foreground, or SIGTERM to the process"},
    {"kafka-share-consumer-perf-test", no_share_groups},
    {"kafka-share-groups", no_share_groups},
    {"kafka-streams-application-reset",
     "`naru group seek APPLICATION --to start --yes`, and `naru topic delete` for its internal topics"},
    {"kafka-streams-groups", "nothing: naru has no streams groups; `naru group` has the others"},
    {"kafka-transactions", "nothing: naru has no transactions"},
    {"kafka-verifiable-consumer", verifies},
    {"kafka-verifiable-producer", verifies},
    {"kafka-verifiable-share-consumer", no_share_groups},
});

// Of the tools that naru stands for: what it calls the same thing.
constexpr auto own_words = std::to_array<Instead>({
    {"kafka-broker-api-versions", "naru doctor"},
    {"kafka-configs", "naru config"},
    {"kafka-console-consumer", "naru consume"},
    {"kafka-console-producer", "naru produce"},
    {"kafka-consumer-groups", "naru group"},
    {"kafka-get-offsets", "naru topic offsets"},
    {"kafka-metadata-quorum", "naru quorum"},
    {"kafka-topics", "naru topic"},
});

// Classes that runbooks hand to kafka-run-class, by the last part of their names.
struct ClassOfTool {
  std::string_view name;
  std::string_view tool;
};
constexpr auto classes_of_tools = std::to_array<ClassOfTool>({
    {"AclCommand", "kafka-acls"},
    {"ConfigCommand", "kafka-configs"},
    {"ConsoleConsumer", "kafka-console-consumer"},
    {"ConsoleProducer", "kafka-console-producer"},
    {"ConsumerGroupCommand", "kafka-consumer-groups"},
    {"ConsumerPerformance", "kafka-consumer-perf-test"},
    {"DeleteRecordsCommand", "kafka-delete-records"},
    {"DumpLogSegments", "kafka-dump-log"},
    {"GetOffsetShell", "kafka-get-offsets"},
    {"JmxTool", "kafka-jmx"},
    {"LeaderElectionCommand", "kafka-leader-election"},
    {"LogDirsCommand", "kafka-log-dirs"},
    {"MetadataQuorumCommand", "kafka-metadata-quorum"},
    {"ProducerPerformance", "kafka-producer-perf-test"},
    {"ReassignPartitionsCommand", "kafka-reassign-partitions"},
    {"StorageTool", "kafka-storage"},
    {"TopicCommand", "kafka-topics"},
});

constexpr std::string_view moves_single_partitions =
    "`naru group seek GROUP --to OFFSET --topic TOPIC:PARTITION --yes` moves single partitions";
constexpr std::string_view has_no_users = "naru has no users, quotas and client metrics";

struct FlagOfKafka {
  std::string_view tool;  // empty: of any
  std::string_view name;
  std::string_view what;
};
constexpr auto flags_of_kafka = std::to_array<FlagOfKafka>({
    {"", "--zookeeper", "there is no ZooKeeper: --bootstrap-server HOST:9092 names a broker instead"},
    {"", "--bootstrap-controller", "each broker embeds a controller: --bootstrap-server HOST:9092 names one"},
    {"kafka-configs", "--broker-logger",
     "`naru start --set naru.log.level=debug` is for all of a broker, from its start on"},
    {"kafka-configs", "--client", has_no_users},
    {"kafka-configs", "--client-defaults", has_no_users},
    {"kafka-configs", "--client-metrics", has_no_users},
    {"kafka-configs", "--group", "`naru config get group NAME` and `naru config set group NAME KEY=VALUE`"},
    {"kafka-configs", "--ip", has_no_users},
    {"kafka-configs", "--ip-defaults", has_no_users},
    {"kafka-configs", "--user", has_no_users},
    {"kafka-configs", "--user-defaults", has_no_users},
    {"kafka-consumer-groups", "--export", "`naru group describe GROUP -o json` writes a group's offsets down"},
    {"kafka-consumer-groups", "--from-file", moves_single_partitions},
    {"kafka-consumer-groups", "--validate-regex", "`naru topic list --regex REGEX` shows which topics one matches"},
    {"kafka-topics", "--delete-config", "`naru config unset topic TOPIC KEY`, or kafka-configs"},
});

}  // namespace

std::span<const Instead> tools_not_offered() {
  return other_tools;
}

std::string_view own_words_for(std::string_view tool) {
  const auto* const found = std::ranges::find(own_words, tool, &Instead::tool);
  return found == own_words.end() ? std::string_view() : found->what;
}

std::string instead_of_tool(std::string_view tool, std::string_view first_word) {
  if (tool == "kafka-run-class") {
    const std::string_view name = first_word.substr(first_word.rfind('.') + 1);  // all of it where there is no point
    const auto* const known = std::ranges::find(classes_of_tools, name, &ClassOfTool::name);
    if (known == classes_of_tools.end())
      return "nothing: there are no Java classes here; `naru --help` shows what there is";
    const std::string instead = instead_of_tool(known->tool, {});
    return instead.empty() ? fmt::format("{}.sh, a link to this program", known->tool) : instead;
  }
  const auto* const found = std::ranges::find(other_tools, tool, &Instead::tool);
  return found == other_tools.end() ? std::string() : std::string(found->what);
}

std::string_view instead_of_flag(std::string_view tool, std::string_view flag) {
  flag = flag.substr(0, flag.find('='));
  for (const FlagOfKafka& known : flags_of_kafka) {
    if (known.name == flag && (known.tool.empty() || known.tool == tool)) return known.what;
  }
  return {};
}

}  // namespace cli::kafka_tools
