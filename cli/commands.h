// The commands as values: what the command line was parsed into (command_line.h), and run(), which carries it out: it
// prints to standard output (data) and standard error (everything else) and returns the exit code. On the main thread.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/problem.h"

namespace cli {

enum class Format { table, wide, json, name, help };

// What every command that talks to a cluster takes.
struct Shared {
  std::string brokers;                  // empty: neither -b nor NARU_BROKERS; see client_properties.h
  std::string command_config;           // a file of client properties
  std::vector<std::string> properties;  // -X name=value
  Format format = Format::table;
  std::chrono::milliseconds timeout{10'000};
  bool is_timeout_given = false;
  bool quiet = false;
};

struct StartCommand {
  std::string config_file;
  std::vector<std::string> sets;
  bool as_image = false;               // what a container of Kafka's images starts: see image.h
  std::vector<std::string> variables;  // NAME=VALUE above the environment; only then
};
struct DevCommand {
  int brokers = 1;
  std::string dir = "naru-data";
  int port = 9092;
  std::vector<std::string> sets;
  std::string ready_file;  // written once the cluster is healthy; for scripts/run --detach
};
struct StatusCommand {
  Shared shared;
  bool watch = false;
};
struct HealthCommand {
  Shared shared;
  bool wait = false;
  bool local = false;
  int brokers_min = 0;
};
struct TopicCreateCommand {
  Shared shared;
  std::vector<std::string> names;
  int partitions = -1;  // the cluster's default; so are the replicas
  int replicas = -1;
  std::vector<std::string> configs;  // name=value
  std::string assignment;            // 1:2:3,2:3:1
  bool if_absent = false;
  bool dry_run = false;  // only say what would be done
};
struct TopicListCommand {
  Shared shared;
  std::string pattern;
  bool problems = false;
  bool internal = false;
  bool deleted = false;  // instead: those that can be restored
};
struct TopicDescribeCommand {
  Shared shared;
  std::vector<std::string> names;
};
struct TopicGrowCommand {
  Shared shared;
  std::string name;
  int partitions = 0;
  bool dry_run = false;  // only say what would be done
};
struct TopicDeleteCommand {
  Shared shared;
  std::vector<std::string> names;
  std::chrono::milliseconds keep{3'600'000};  // it can be restored for so long
  bool yes = false;
  bool dry_run = false;  // only say what would be done
};
struct TopicRestoreCommand {
  Shared shared;
  std::vector<std::string> names;
  bool dry_run = false;  // only say what would be done
};
struct ProduceCommand {
  Shared shared;
  std::string topic;
  std::string key;
  bool has_key = false;
  std::vector<std::string> headers;
  std::string codec;
  std::string acks = "all";
  int partition = -1;     // by the key
  std::string timestamp;  // of every record; empty: now
  std::string format;
};
struct ConsumeCommand {
  Shared shared;
  std::vector<std::string> topics;
  std::string from;
  std::string group;
  std::string format;
  bool exit_at_end = false;
  int64_t count = 0;   // 0: as many as come
  int partition = -1;  // all
};
struct GroupListCommand {
  Shared shared;
  bool behind = false;  // the lag in time too, for which records are read
};
struct GroupDescribeCommand {
  Shared shared;
  std::vector<std::string> names;
};
// Election of the preferred leaders of a topic, or of one of its partitions.
struct PartitionElectCommand {
  Shared shared;
  std::string topic;
  int partition = -1;    // all
  bool unclean = false;  // any live replica, where nobody can lead
  bool yes = false;
  bool dry_run = false;
};
// See verify/workload.h.
struct WorkloadCommand {
  Shared shared;
  std::string topic;
  std::string group = "naru-workload";
  std::string history;  // a file, or empty
  std::string acks = "all";
  int producers = 1;
  int consumers = 2;
  int rate = 200;  // records a second of each producer into each partition
  int size = 100;  // bytes of a record
  int settle_ms = 60'000;
};
// See verify/run.cc.
struct VerifyCommand {
  Shared shared;
  std::string topic;  // empty: one of its own, deleted afterwards
  bool keep = false;
  std::string group;  // empty: one of its own
  std::string history;
  std::string acks = "all";
  std::chrono::milliseconds duration{30'000};
  int partitions = 6;
  int replicas = -1;  // as many as there are brokers, at most 3
  int producers = 2;
  int consumers = 2;
  int rate = 1000;  // records a second in all
  int size = 100;   // bytes of a record
  int faults_min = 0;
  int leader_changes_min = 0;
  int acks_min = -1;  // a second; a tenth of the rate, at most 100
  std::chrono::milliseconds settle{60'000};
};
struct VerifyCheckCommand {
  Shared shared;
  std::string file;  // "-": standard input
  int faults_min = 0;
  int leader_changes_min = 0;
  int acks_min = 0;
};
struct ConfigCheckCommand {
  std::string file;
};
struct ConfigExplainCommand {
  std::string key;
};
struct ConfigReferenceCommand {};
struct VersionCommand {};
// See bench/bench.cc.
struct BenchCommand {
  enum class Mode { produce, consume, e2e };
  Shared shared;
  Mode mode = Mode::produce;
  std::string topic;  // empty: one of its own, deleted afterwards
  int64_t count = 100'000;
  int size = 100;  // bytes of a record
  int rate = 0;    // records a second; 0: as fast as it goes
  std::string acks = "all";
  std::string codec;
  int partitions = 6;
  int replicas = -1;  // as many as there are brokers, at most 3
};
// Segment files on this machine; see log_files.h.
struct LogCommand {
  enum class Action { dump, verify };
  Shared shared;
  Action action = Action::dump;
  std::vector<std::string> paths;
  bool records = false;
  std::string format;  // of a record
};
// Clusters by name; see profile_files.h.
struct ProfileCommand {
  enum class Action { save, use, list, remove };
  Shared shared;
  Action action = Action::list;
  std::string name;  // empty with `use`: none
};
// What is derived from the tree of commands itself: see command_tree.h.
struct CompletionCommand {
  std::string shell;
};
struct ManCommand {};

// Settings of a topic, a broker, the cluster or a group; see config_values.cc.
struct ConfigTarget {
  std::string kind;  // topic, broker, cluster, group
  std::string name;  // empty: the cluster's
};
struct ConfigGetCommand {
  Shared shared;
  ConfigTarget target;
  std::vector<std::string> keys;
  bool all = false;  // defaults too
};
struct ConfigSetCommand {
  Shared shared;
  ConfigTarget target;
  std::vector<std::string> settings;  // name=value, or names to unset
  bool unset = false;
  bool dry_run = false;
};
struct GroupSeekCommand {
  Shared shared;
  std::string group;
  std::vector<std::string> topics;  // t or t:0,1; empty: all that it has committed
  std::string to;
  bool yes = false;
  bool dry_run = false;  // only say what would be done
};
struct GroupDeleteCommand {
  Shared shared;
  std::vector<std::string> names;
  bool yes = false;
  bool dry_run = false;  // only say what would be done
};
struct BrokerListCommand {
  Shared shared;
};
struct BrokerDescribeCommand {
  Shared shared;
  int id = -1;
};
// The cluster forgets a broker; see broker_remove.cc.
struct BrokerRemoveCommand {
  Shared shared;
  int id = -1;
  bool yes = false;
  bool dry_run = false;  // only say what would be done
};
// Replicas, or only leaderships, away from a broker, and back; see broker_drain.cc.
struct BrokerDrainCommand {
  Shared shared;
  int id = -1;
  bool back = false;     // undrain
  bool leaders = false;  // replicas stay
  std::optional<int64_t> throttle;  // bytes a second of each leader
  bool yes = false;
  bool dry_run = false;
};
// Replicas to other brokers; see move.cc.
struct PartitionMoveCommand {
  Shared shared;
  std::vector<std::string> topics;  // empty: all
  std::vector<int> to;              // the brokers that may hold them; empty: all
  std::vector<int> off;             // brokers that shall hold none
  bool balance = false;             // brokers that have more than others give some away
  int replicas = -1;                // as many as they have
  std::optional<int64_t> throttle;  // bytes a second of each leader
  bool yes = false;
  bool wait = false;
  bool dry_run = false;
};
struct PartitionMovesCommand {
  Shared shared;
  std::optional<int64_t> throttle;  // another than it began with
  bool wait = false;
  bool cancel = false;
  bool keep_throttle = false;
};
struct TopicTrimCommand {
  Shared shared;
  std::string topic;
  std::string before;  // an offset, a time, or end
  int partition = -1;  // all
  bool yes = false;
  bool dry_run = false;  // only say what would be done
};
struct TopicOffsetsCommand {
  Shared shared;
  std::string topic;
  std::string at;  // a time
};
struct QuorumStatusCommand {
  Shared shared;
};
// Voters to add or remove; see quorum.cc.
struct QuorumCommand {
  Shared shared;
  std::vector<int> ids;
  bool remove = false;
  bool yes = false;
  bool dry_run = false;  // only say what would be done
};
struct WhyCommand {
  Shared shared;
  std::string what;  // produce, consume, group, under-replicated
  std::string name;  // of the first three
};
struct DoctorCommand {
  Shared shared;
  bool addresses = false;  // only those
};
// See drill/drill.cc.
struct DrillCommand {
  Shared shared;
  std::string harm;  // kill-leader, kill-controller, pause, partition, fill-disk, rolling-restart
  int broker = -1;        // instead of the one that the harm names
  std::string harm_with;  // a command that does the harm, where it is not to be done here; heal_with undoes it
  std::string heal_with;
  int rate = 1000;                              // records a second in all
  std::chrono::milliseconds quiet_time{3000};   // before and after the harm
  std::chrono::milliseconds harm_time{5000};    // how long what can be healed lasts
  std::chrono::milliseconds patience{120'000};  // for the cluster to be well again
  bool yes = false;
};

using Command = std::variant<
    StartCommand, DevCommand, StatusCommand, HealthCommand, TopicCreateCommand, TopicListCommand, TopicDescribeCommand,
    TopicGrowCommand, TopicDeleteCommand, TopicRestoreCommand, ProduceCommand, ConsumeCommand, GroupListCommand,
    GroupDescribeCommand, PartitionElectCommand, WorkloadCommand, VerifyCommand, VerifyCheckCommand, ConfigCheckCommand,
    ConfigExplainCommand, ConfigReferenceCommand, VersionCommand, CompletionCommand, ManCommand, ConfigGetCommand,
    ConfigSetCommand, GroupSeekCommand, GroupDeleteCommand, BrokerListCommand, BrokerDescribeCommand,
    BrokerRemoveCommand, BrokerDrainCommand, PartitionMoveCommand, PartitionMovesCommand, TopicTrimCommand,
    TopicOffsetsCommand, WhyCommand, DoctorCommand, DrillCommand, QuorumStatusCommand, QuorumCommand, LogCommand,
    BenchCommand, ProfileCommand>;

Exit run(const StartCommand& command);
Exit run(const DevCommand& command);
Exit run(const StatusCommand& command);
Exit run(const HealthCommand& command);
Exit run(const TopicCreateCommand& command);
Exit run(const TopicListCommand& command);
Exit run(const TopicDescribeCommand& command);
Exit run(const TopicGrowCommand& command);
Exit run(const TopicDeleteCommand& command);
Exit run(const TopicRestoreCommand& command);
Exit run(const ProduceCommand& command);
Exit run(const ConsumeCommand& command);
Exit run(const GroupListCommand& command);
Exit run(const GroupDescribeCommand& command);
Exit run(const PartitionElectCommand& command);
Exit run(const WorkloadCommand& command);
Exit run(const VerifyCommand& command);
Exit run(const VerifyCheckCommand& command);
Exit run(const ConfigCheckCommand& command);
Exit run(const ConfigExplainCommand& command);
Exit run(const ConfigReferenceCommand& command);
Exit run(const VersionCommand& command);
Exit run(const CompletionCommand& command);
Exit run(const ManCommand& command);
Exit run(const ConfigGetCommand& command);
Exit run(const ConfigSetCommand& command);
Exit run(const GroupSeekCommand& command);
Exit run(const GroupDeleteCommand& command);
Exit run(const BrokerListCommand& command);
Exit run(const BrokerDescribeCommand& command);
Exit run(const BrokerRemoveCommand& command);
Exit run(const BrokerDrainCommand& command);
Exit run(const PartitionMoveCommand& command);
Exit run(const PartitionMovesCommand& command);
Exit run(const TopicTrimCommand& command);
Exit run(const TopicOffsetsCommand& command);
Exit run(const WhyCommand& command);
Exit run(const DoctorCommand& command);
Exit run(const DrillCommand& command);
Exit run(const QuorumStatusCommand& command);
Exit run(const QuorumCommand& command);
Exit run(const LogCommand& command);
Exit run(const BenchCommand& command);
Exit run(const ProfileCommand& command);

}  // namespace cli
