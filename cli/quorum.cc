// naru quorum status|add|remove: who votes on the metadata, and how far each has come.
#include <algorithm>
#include <chrono>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/items.h"
#include "cli/output.h"
#include "cli/quorum_facts.h"
#include "cli/session.h"
#include "common/model/address_text.h"
#include "kafka/describe_cluster.h"

namespace cli {
namespace {

using common::model::ErrorCode;
using Json = nlohmann::ordered_json;

constexpr std::string_view quorum_status_shape =
    R"({"cluster_id": "text", "leader": 1 or null, "epoch": 1, "high_watermark": 0, "majority": 2,
 "voters": [{"id": 1, "directory_id": "text", "address": "host:port" or null, "log_end": 0, "lag": 0,
             "last_fetch_ms": milliseconds since 1970 or null, "last_caught_up_ms": milliseconds since 1970 or null}],
 "observers": [as voters]}
)";
constexpr std::string_view change_shape = R"([{"name": "id", "error": "CODE" or null}]
)";

Json time_or_null(int64_t timestamp) {
  return timestamp < 0 ? Json(nullptr) : Json(timestamp);
}

std::string address_of(const QuorumFacts& quorum, int32_t id) {
  for (const auto& node : quorum.answer.nodes) {
    if (node.node_id == id && !node.listeners.empty())
      return common::model::address_text(node.listeners.front().host, node.listeners.front().port);
  }
  return {};
}

Json replicas_json(const QuorumFacts& quorum, const std::vector<QuorumReplica>& replicas) {
  Json all = Json::array();
  for (const QuorumReplica& r : replicas) {
    const std::string address = address_of(quorum, r.replica_id);
    all.push_back({{"id", r.replica_id},
                   {"directory_id", r.replica_directory_id.to_string()},
                   {"address", address.empty() ? Json(nullptr) : Json(address)},
                   {"log_end", r.log_end_offset},
                   {"lag", quorum.leader_end() - r.log_end_offset},
                   {"last_fetch_ms", time_or_null(r.last_fetch_timestamp)},
                   {"last_caught_up_ms", time_or_null(r.last_caught_up_timestamp)}});
  }
  return all;
}

std::string since_text(int64_t timestamp) {
  if (timestamp < 0) return {};
  const auto now =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  return duration_text(std::max(now - std::chrono::milliseconds(timestamp), std::chrono::milliseconds(0))) + " ago";
}

std::string status_table(const std::string& cluster_id, const QuorumFacts& quorum) {
  const auto& m = quorum.metadata;
  std::string out = fmt::format(
      "{}   {} (epoch {})   {} {}, {} must agree   {} {}\n", cluster_id.empty() ? "cluster without id" : cluster_id,
      m.leader_id < 0 ? "no controller" : fmt::format("controller {}", m.leader_id), m.leader_epoch,
      m.current_voters.size(), m.current_voters.size() == 1 ? "voter" : "voters", m.current_voters.size() / 2 + 1,
      m.observers.size(), m.observers.size() == 1 ? "observer" : "observers");
  Table table({{"BROKER", Align::right},
               {"ROLE"},
               {"DIRECTORY"},
               {"ADDRESS", Align::left, true},
               {"LOG END", Align::right},
               {"LAG", Align::right},
               {"CAUGHT UP", Align::right}});
  const auto add = [&](const std::vector<QuorumReplica>& replicas, const char* role) {
    for (const QuorumReplica& r : replicas) {
      table.add({std::to_string(r.replica_id), r.replica_id == m.leader_id ? "controller" : role,
                 r.replica_directory_id.to_string(), address_of(quorum, r.replica_id), std::to_string(r.log_end_offset),
                 std::to_string(quorum.leader_end() - r.log_end_offset), since_text(r.last_caught_up_timestamp)});
    }
  };
  add(m.current_voters, "voter");
  add(m.observers, "observer");
  return out + table.text();
}

const QuorumReplica* newest(const std::vector<QuorumReplica>& replicas, int32_t id) {
  const QuorumReplica* found = nullptr;
  for (const QuorumReplica& r : replicas) {
    if (r.replica_id == id && (found == nullptr || r.last_fetch_timestamp > found->last_fetch_timestamp)) found = &r;
  }
  return found;
}

// One at a time, in the order given: the quorum takes one change after the other.
template <class Change>
Exit change_each(const QuorumCommand& command, std::string_view what, std::string_view past, Change change) {
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  std::vector<ItemOutcome> items;
  for (const int id : command.ids) {
    if (const Outcome<void> done = change(*cluster, id, command.dry_run); !done) {
      // Nobody is asked for the next one: each change moves the majority. What was changed before is told.
      items.push_back(not_done(std::to_string(id), done.error()));
      break;
    }
    items.push_back({std::to_string(id), ErrorCode::none, {}});
  }
  return print_items(command.shared.format, what, past, items);
}

// Asks for one change, or for none if it is only to be said that it can be asked for.
template <class Call>
Outcome<void> unless_dry(bool dry_run, Call call) {
  return dry_run ? Outcome<void>() : call();
}

// A broker that has just been started needs a moment until the controller hears that it follows.
constexpr auto appearance_limit = std::chrono::seconds(3);

Outcome<void> add_one(client::Cluster& cluster, int32_t id, bool dry_run) {
  const auto limit = std::chrono::steady_clock::now() + appearance_limit;
  do {
    const Outcome<QuorumFacts> quorum = fetch_quorum(cluster);
    if (!quorum) return tl::unexpected(quorum.error());
    if (const QuorumReplica* observer = newest(quorum->metadata.observers, id))
      return unless_dry(dry_run, [&] { return add_voter(cluster, id, observer->replica_directory_id, {}); });
    if (newest(quorum->metadata.current_voters, id) != nullptr)
      return problem(Exit::refused, fmt::format("broker {} votes already", id));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  } while (std::chrono::steady_clock::now() < limit);
  return problem(Exit::refused, fmt::format("no broker {} follows the metadata log", id),
                 "start it first, with controller.quorum.bootstrap.servers naming the brokers that are there");
}

Outcome<void> remove_one(client::Cluster& cluster, int32_t id, bool dry_run) {
  const Outcome<QuorumFacts> quorum = fetch_quorum(cluster);
  if (!quorum) return tl::unexpected(quorum.error());
  if (const QuorumReplica* voter = newest(quorum->metadata.current_voters, id))
    return unless_dry(dry_run, [&] { return remove_voter(cluster, id, voter->replica_directory_id); });
  // It may be awaited: its disk was lost, and it has not caught up yet.
  if (const QuorumReplica* observer = newest(quorum->metadata.observers, id))
    return unless_dry(dry_run, [&] { return remove_voter(cluster, id, observer->replica_directory_id); });
  return problem(Exit::refused, fmt::format("broker {} is no voter", id), "see: naru quorum status");
}

}  // namespace

Exit run(const QuorumStatusCommand& command) {
  if (command.shared.format == Format::help) {
    print_out(quorum_status_shape);
    return Exit::done;
  }
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const Outcome<QuorumFacts> quorum = fetch_quorum(*cluster);
  if (!quorum) return report(quorum.error());
  const auto identity = cluster->call<kafka::DescribeClusterResponse>(kafka::DescribeClusterRequest{});
  if (!identity) return report(identity.error());
  const auto& m = quorum->metadata;
  if (command.shared.format == Format::name) {
    std::string ids;
    for (const QuorumReplica& r : m.current_voters) ids += fmt::format("{}\n", r.replica_id);
    print_out(ids);
  } else if (command.shared.format == Format::json) {
    const Json json = {{"cluster_id", identity->cluster_id},
                       {"leader", m.leader_id < 0 ? Json(nullptr) : Json(m.leader_id)},
                       {"epoch", m.leader_epoch},
                       {"high_watermark", m.high_watermark},
                       {"majority", m.current_voters.size() / 2 + 1},
                       {"voters", replicas_json(*quorum, m.current_voters)},
                       {"observers", replicas_json(*quorum, m.observers)}};
    print_out(json.dump(2) + "\n");
  } else {
    print_out(status_table(identity->cluster_id, *quorum));
  }
  return Exit::done;
}

Exit run(const QuorumCommand& command) {
  if (command.shared.format == Format::help) {
    print_out(change_shape);
    return Exit::done;
  }
  if (!command.remove) return change_each(command, "add", command.dry_run ? "would add" : "added", add_one);
  const std::string question = fmt::format("remove the vote of broker {}?", ids_text(command.ids));
  if (!command.dry_run && !confirmed(command.yes, "removes a vote", question)) return Exit::usage;
  return change_each(command, "remove", command.dry_run ? "would remove" : "removed", remove_one);
}

}  // namespace cli
