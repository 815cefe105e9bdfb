// kafka-metadata-quorum: the quorum of controllers described, and its voters added and removed.
#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/kafka_tools/controller_config.h"
#include "cli/kafka_tools/flags.h"
#include "cli/kafka_tools/tools.h"
#include "cli/output.h"
#include "cli/quorum_facts.h"
#include "common/config/config_load.h"
#include "common/model/address_text.h"
#include "kafka/describe_cluster.h"

namespace cli::kafka_tools {
namespace {

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

using Quorum = kafka::DescribeQuorumResponse;
using Replica = QuorumReplica;

std::string members_text(const Quorum& answer, const std::vector<Replica>& replicas) {
  std::vector<std::string> all;
  for (const Replica& r : replicas) {
    std::vector<std::string> endpoints;
    for (const auto& node : answer.nodes) {
      if (node.node_id != r.replica_id) continue;
      for (const auto& l : node.listeners)
        endpoints.push_back(fmt::format("\"{}://{}\"", l.name, common::model::address_text(l.host, l.port)));
    }
    std::string text = fmt::format("{{\"id\": {}", r.replica_id);
    if (!r.replica_directory_id.is_zero())
      text += fmt::format(", \"directoryId\": \"{}\"", r.replica_directory_id.to_string());
    if (!endpoints.empty()) text += fmt::format(", \"endpoints\": [{}]", fmt::join(endpoints, ", "));
    all.push_back(text + "}");
  }
  return fmt::format("[{}]", fmt::join(all, ", "));
}

Exit quorum_status(client::Cluster& cluster, const QuorumFacts& quorum) {
  const auto identity = cluster.call<kafka::DescribeClusterResponse>(kafka::DescribeClusterRequest{});
  if (!identity) return fail(identity.error());
  const Quorum::PartitionData& m = quorum.metadata;
  const auto leader =
      std::ranges::find_if(m.current_voters, [&](const Replica& r) { return r.replica_id == m.leader_id; });
  int64_t lag = 0;
  int64_t lag_ms = 0;
  if (leader != m.current_voters.end()) {
    const auto slowest = std::ranges::min_element(m.current_voters, {}, &Replica::log_end_offset);
    lag = leader->log_end_offset - slowest->log_end_offset;
    // As MetadataQuorumCommand: the time of the voter that lags most, and nothing is known of one that never fetched.
    if (slowest->replica_id != m.leader_id && slowest->last_caught_up_timestamp >= 0 && lag > 0) {
      lag_ms = leader->last_caught_up_timestamp - slowest->last_caught_up_timestamp;
    } else if (slowest->last_caught_up_timestamp < 0) {
      lag_ms = -1;
    }
  }
  print_out(
      fmt::format("ClusterId:              {}\nLeaderId:               {}\nLeaderEpoch:            {}\n"
                  "HighWatermark:          {}\nMaxFollowerLag:         {}\nMaxFollowerLagTimeMs:   {}\n"
                  "CurrentVoters:          {}\nCurrentObservers:       {}\n",
                  identity->cluster_id, m.leader_id, m.leader_epoch, m.high_watermark, lag, lag_ms,
                  members_text(quorum.answer, m.current_voters), members_text(quorum.answer, m.observers)));
  return Exit::done;
}

std::string time_text(int64_t timestamp, bool human) {
  if (!human || timestamp < 0) return std::to_string(timestamp);
  return fmt::format("{} ms ago", std::max<int64_t>(0, now_ms() - timestamp));
}

// Columns as wide as their widest cell, each followed by a tab, as Kafka's ToolsUtils.prettyPrintTable.
void print_columns(const std::vector<std::vector<std::string>>& rows) {
  std::string out;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      size_t width = 0;
      for (const auto& other : rows) width = std::max(width, other[i].size());
      out += fmt::format("{:<{}}\t", row[i], width);
    }
    out += "\n";
  }
  print_out(out);
}

Exit quorum_replication(const QuorumFacts& quorum, bool human) {
  const Quorum::PartitionData& m = quorum.metadata;
  std::vector<std::vector<std::string>> rows = {
      {"NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp", "LastCaughtUpTimestamp", "Status"}};
  const int64_t end = quorum.leader_end();
  const auto add = [&](const Replica& r, const char* status) {
    rows.push_back({std::to_string(r.replica_id), r.replica_directory_id.to_string(), std::to_string(r.log_end_offset),
                    std::to_string(end - r.log_end_offset), time_text(r.last_fetch_timestamp, human),
                    time_text(r.last_caught_up_timestamp, human), status});
  };
  for (const Replica& r : m.current_voters) {
    if (r.replica_id == m.leader_id) add(r, "Leader");
  }
  for (const Replica& r : m.current_voters) {
    if (r.replica_id != m.leader_id) add(r, "Follower");
  }
  for (const Replica& r : m.observers) add(r, "Observer");
  print_columns(rows);
  return Exit::done;
}

std::string endpoints_text(const std::vector<VoterEndpoint>& endpoints) {
  std::vector<std::string> all;
  for (const VoterEndpoint& e : endpoints)
    all.push_back(fmt::format("{}://{}", e.listener, common::model::address_text(e.host, e.port)));
  return fmt::format("{}", fmt::join(all, ", "));
}

Exit add_controller(const Target& target, bool dry_run) {
  if (target.config_file.empty())
    return fail("You must supply the configuration file of the controller you are adding when using add-controller.");
  const auto file = common::config::read_properties_file(target.config_file);
  if (!file) return fail(file.error());
  const auto config = read_controller_config(*file);
  if (!config) return fail(config.error());
  if (!dry_run) {
    Outcome<client::Cluster> cluster = target.open();
    if (!cluster) return fail(cluster.error());
    const auto added = add_voter(*cluster, config->id, config->directory, config->endpoints);
    if (!added) return fail(added.error());
  }
  print_out(fmt::format("{}controller {} with directory id {} and endpoints: {}\n",
                        dry_run ? "DRY RUN of adding " : "Added ", config->id, config->directory.to_string(),
                        endpoints_text(config->endpoints)));
  return Exit::done;
}

Exit remove_controller(const Target& target, std::optional<int64_t> id, const std::string& directory, bool dry_run) {
  if (!id || directory.empty()) return fail("--controller-id and --controller-directory-id must be specified");
  if (*id < 0 || *id > INT32_MAX) return fail(fmt::format("Invalid negative --controller-id: {}", *id));
  const auto directory_id = common::model::Uuid::parse(directory);
  if (!directory_id) return fail(fmt::format("Failed to parse --controller-directory-id: {}", directory));
  if (!dry_run) {
    Outcome<client::Cluster> cluster = target.open();
    if (!cluster) return fail(cluster.error());
    const auto removed = remove_voter(*cluster, static_cast<int32_t>(*id), *directory_id);
    if (!removed) return fail(removed.error());
  }
  print_out(fmt::format("{}KRaft controller {} with directory id {}\n", dry_run ? "DRY RUN of removing " : "Removed ",
                        *id, directory_id->to_string()));
  return Exit::done;
}

Exit describe(const Target& target, bool status, bool replication, bool human) {
  if (status == replication)
    return fail("One of --status or --replication must be specified with describe sub-command");
  Outcome<client::Cluster> cluster = target.open();
  if (!cluster) return fail(cluster.error());
  const auto quorum = fetch_quorum(*cluster);
  if (!quorum) return fail(quorum.error());
  return status ? quorum_status(*cluster, *quorum) : quorum_replication(*quorum, human);
}

}  // namespace

Exit metadata_quorum(int argc, const char* const* argv) {
  Target target;
  std::string controllers;
  std::string what;
  std::string directory;
  std::optional<int64_t> id;
  bool status = false;
  bool replication = false;
  bool human = false;
  bool dry_run = false;
  Flags flags("kafka-metadata-quorum", "This tool describes kraft metadata quorum status.");
  target.add_to(flags);
  flags.text("--bootstrap-controller", controllers, "Controllers to connect to; here every broker is one.");
  flags.word("command", what, "describe, add-controller or remove-controller");
  flags.toggle("--status", status, "A short summary of the quorum status.");
  flags.toggle("--replication", replication, "Detailed information about the status of replication.");
  flags.toggle("--human-readable", human, "Times as the time passed since.");
  flags.number("--controller-id,-i", id, "The id of the controller to remove.");
  flags.text("--controller-directory-id,-d", directory, "The directory ID of the controller to remove.");
  flags.toggle("--dry-run", dry_run, "True if we should print what would be done, but not do it.");
  if (const auto over = flags.parse(argc, argv)) return *over;
  if (!controllers.empty())
    return fail("--bootstrap-controller: name the brokers by --bootstrap-server; each embeds a controller");
  if (what == "describe") return describe(target, status, replication, human);
  if (what == "add-controller") return add_controller(target, dry_run);
  if (what == "remove-controller") return remove_controller(target, id, directory, dry_run);
  return fail(what.empty() ? "no command" : fmt::format("Unknown command: {}", what));
}

}  // namespace cli::kafka_tools
