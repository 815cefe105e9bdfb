// kafka-broker-api-versions and kafka-metadata-quorum: what brokers and controllers say of themselves.
#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/kafka_tools/flags.h"
#include "cli/kafka_tools/offsets.h"
#include "cli/kafka_tools/tools.h"
#include "cli/output.h"
#include "kafka/api_versions.h"
#include "kafka/describe_cluster.h"
#include "kafka/describe_quorum.h"
#include "proto/kafka/runtime/apis.h"

namespace cli::kafka_tools {
namespace {

using common::model::ErrorCode;

std::string range_text(int16_t min, int16_t max) {
  return min == max ? std::to_string(min) : fmt::format("{} to {}", min, max);
}

// "\tProduce(0): 0 to 13 [usable: 13],": one line for each API that this client or the broker knows.
std::string versions_text(const kafka::ApiVersionsResponse& answer) {
  std::map<int16_t, std::string> lines;
  for (const kafka::ApiFacts& api : kafka::apis()) {
    std::string_view name(api.name);
    if (name.ends_with("Request")) name.remove_suffix(7);
    lines[api.key] = fmt::format("\t{}({}): UNSUPPORTED", name, api.key);
  }
  for (const auto& api : answer.api_keys) {
    const kafka::ApiFacts* known = kafka::find_api(api.api_key);
    if (known == nullptr) {
      lines[api.api_key] = fmt::format("\tUNKNOWN({}): {}", api.api_key, range_text(api.min_version, api.max_version));
      continue;
    }
    std::string_view name(known->name);
    if (name.ends_with("Request")) name.remove_suffix(7);
    const int16_t usable = std::min(known->stable_version, api.max_version);
    lines[api.api_key] =
        fmt::format("\t{}({}): {} [usable: {}]", name, api.api_key, range_text(api.min_version, api.max_version),
                    usable < std::max(known->min_version, api.min_version) ? "none" : std::to_string(usable));
  }
  std::vector<std::string> sorted;
  for (auto& [key, line] : lines) sorted.push_back(std::move(line));
  return fmt::format("{}", fmt::join(sorted, ",\n"));
}

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

using Quorum = kafka::DescribeQuorumResponse;
using Replica = Quorum::ReplicaState;

struct Described {
  Quorum answer;
  Quorum::PartitionData metadata;
};

Outcome<Described> describe_quorum(client::Cluster& cluster) {
  kafka::DescribeQuorumRequest request;
  request.topics.push_back({.topic_name = "__cluster_metadata", .partitions = {{.partition_index = 0}}});
  auto answer = cluster.call<Quorum>(request);
  if (!answer) return tl::unexpected(std::move(answer.error()));
  if (answer->error_code != ErrorCode::none)
    return tl::unexpected(refused("cannot describe the quorum", answer->error_code));
  if (answer->topics.empty() || answer->topics.front().partitions.empty()) {
    return problem(Exit::refused, "the quorum was not described");
  }
  Quorum::PartitionData metadata = answer->topics.front().partitions.front();
  if (metadata.error_code != ErrorCode::none) {
    return tl::unexpected(
        refused("cannot describe the quorum", metadata.error_code, metadata.error_message.value_or("")));
  }
  return Described{std::move(*answer), std::move(metadata)};
}

std::string members_text(const Quorum& answer, const std::vector<Replica>& replicas) {
  std::vector<std::string> all;
  for (const Replica& r : replicas) {
    std::vector<std::string> endpoints;
    for (const auto& node : answer.nodes) {
      if (node.node_id != r.replica_id) continue;
      for (const auto& l : node.listeners) {
        const bool v6 = l.host.find(':') != std::string::npos;
        endpoints.push_back(fmt::format("\"{}://{}{}{}:{}\"", l.name, v6 ? "[" : "", l.host, v6 ? "]" : "", l.port));
      }
    }
    std::string text = fmt::format("{{\"id\": {}", r.replica_id);
    if (!r.replica_directory_id.is_zero())
      text += fmt::format(", \"directoryId\": \"{}\"", r.replica_directory_id.to_string());
    if (!endpoints.empty()) text += fmt::format(", \"endpoints\": [{}]", fmt::join(endpoints, ", "));
    all.push_back(text + "}");
  }
  return fmt::format("[{}]", fmt::join(all, ", "));
}

Exit quorum_status(client::Cluster& cluster, const Described& quorum) {
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

Exit quorum_replication(const Described& quorum, bool human) {
  const Quorum::PartitionData& m = quorum.metadata;
  std::vector<std::vector<std::string>> rows = {
      {"NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp", "LastCaughtUpTimestamp", "Status"}};
  int64_t end = 0;
  for (const Replica& r : m.current_voters) {
    if (r.replica_id == m.leader_id) end = r.log_end_offset;
  }
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

}  // namespace

Exit broker_api_versions(int argc, const char* const* argv) {
  Target target;
  Flags flags("kafka-broker-api-versions", "This tool helps to retrieve broker version information.");
  target.add_to(flags);
  if (const auto over = flags.parse(argc, argv)) return *over;
  Outcome<client::Cluster> cluster = target.open();
  if (!cluster) return fail(cluster.error());
  const Outcome<Nodes> nodes = fetch_nodes(*cluster);
  if (!nodes) return fail(nodes.error());
  for (const auto& [id, broker] : nodes->brokers) {
    const auto answer = cluster->call_on<kafka::ApiVersionsResponse>(
        broker, kafka::ApiVersionsRequest{.client_software_name = "naru", .client_software_version = "1"});
    const std::string where =
        fmt::format("{}:{} (id: {} rack: {} isFenced: false)", broker.address.host, broker.address.port, id,
                    nodes->racks.contains(id) ? nodes->racks.at(id) : "null");
    if (!answer) {
      print_out(fmt::format("{} -> ERROR: {}\n", where, answer.error().message));
      continue;
    }
    print_out(fmt::format("{} -> (\n{}\n)\n", where, versions_text(*answer)));
  }
  return Exit::done;
}

Exit metadata_quorum(int argc, const char* const* argv) {
  Target target;
  std::string controllers;
  std::string what;
  bool status = false;
  bool replication = false;
  bool human = false;
  Flags flags("kafka-metadata-quorum", "This tool describes kraft metadata quorum status.");
  target.add_to(flags);
  flags.text("--bootstrap-controller", controllers, "Controllers to connect to; here every broker is one.");
  flags.word("command", what, "describe");
  flags.toggle("--status", status, "A short summary of the quorum status.");
  flags.toggle("--replication", replication, "Detailed information about the status of replication.");
  flags.toggle("--human-readable", human, "Times as the time passed since.");
  if (const auto over = flags.parse(argc, argv)) return *over;
  if (!controllers.empty())
    return fail("--bootstrap-controller: name the brokers by --bootstrap-server; each embeds a controller");
  if (what != "describe")
    return fail(fmt::format("{}: only describe is known here", what.empty() ? "no command" : what));
  if (status == replication)
    return fail("One of --status or --replication must be specified with describe sub-command");
  Outcome<client::Cluster> cluster = target.open();
  if (!cluster) return fail(cluster.error());
  const auto quorum = describe_quorum(*cluster);
  if (!quorum) return fail(quorum.error());
  return status ? quorum_status(*cluster, *quorum) : quorum_replication(*quorum, human);
}

}  // namespace cli::kafka_tools
