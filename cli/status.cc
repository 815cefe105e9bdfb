// naru status and naru health: the cluster on one screen, and whether all is well.
#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/facts.h"
#include "cli/image.h"
#include "cli/json_or_null.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/wait.h"
#include "common/model/address_text.h"

namespace cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view status_shape = R"({"cluster_id": "text", "healthy": true, "reasons": ["text"],
 "controller": 1 or null, "controller_epoch": 1 or null,
 "brokers": [{"id": 1, "host": "text", "port": 9092, "rack": "text" or null, "role": "controller|voter|observer" or null,
              "fenced": false or null, "leaders": 0, "replicas": 0, "disk_used": bytes or null, "disk_total": bytes or null,
              "offline_dirs": ["path"], "bytes_in_per_second": 0 or null, "bytes_out_per_second": 0 or null,
              "up_ms": 0 or null, "down_ms": 0 or null}],
 "topics": 0, "partitions": 0, "led": 0, "fully_replicated": 0, "leaderless": 0, "under_replicated": 0,
 "under_min_isr": 0, "last_change": {"text": "text", "reason": "text" or null, "ms_ago": 0} or null}
)";
constexpr std::string_view health_shape =
    R"({"healthy": true, "reasons": ["text"], "controller": 1 or null, "brokers": [1],
 "brokers_down": [1], "leaderless": 0, "under_replicated": 0, "under_min_isr": 0}
)";

Json change_json(const ClusterFacts& cluster) {
  if (!cluster.last_change) return nullptr;
  const ChangeFacts& change = *cluster.last_change;
  return {{"text", change.text}, {"reason", known_or_null(change.reason)}, {"ms_ago", change.ago.count()}};
}

// "last change: orders-3: leader 2 -> 3, 4 min ago (broker 2 is fenced)"
std::string change_text(const ClusterFacts& cluster) {
  if (!cluster.last_change) return "";
  const ChangeFacts& change = *cluster.last_change;
  const std::string reason = change.reason.empty() ? "" : fmt::format(" ({})", change.reason);
  return fmt::format("last change: {}, {} ago{}\n", change.text, duration_text(change.ago), reason);
}

Json status_json(const ClusterFacts& cluster, const Health& health) {
  Json brokers = Json::array();
  for (const BrokerFacts& b : cluster.brokers) {
    const std::string_view state = state_of(b, cluster);
    brokers.push_back({{"id", b.id},
                       {"host", b.host},
                       {"port", b.port},
                       {"rack", or_null(b.rack)},
                       {"role", known_or_null(role_of(b, cluster))},
                       {"fenced", state.empty() ? Json(nullptr) : Json(state == "down")},
                       {"leaders", b.leaders},
                       {"replicas", b.replicas},
                       {"disk_used", or_null(b.disk_used)},
                       {"disk_total", or_null(b.disk_total)},
                       {"offline_dirs", b.offline_dirs},
                       {"bytes_in_per_second", or_null(b.bytes_in_per_second)},
                       {"bytes_out_per_second", or_null(b.bytes_out_per_second)},
                       {"up_ms", b.up ? Json(b.up->count()) : Json(nullptr)},
                       {"down_ms", b.down ? Json(b.down->count()) : Json(nullptr)}});
  }
  const int partitions = cluster.partitions();
  return {{"cluster_id", cluster.cluster_id},
          {"healthy", health.healthy()},
          {"reasons", health.reasons},
          {"controller", or_null(cluster.controller)},
          {"controller_epoch", or_null(cluster.controller_epoch)},
          {"brokers", std::move(brokers)},
          {"topics", cluster.topics.size()},
          {"partitions", partitions},
          {"led", partitions - cluster.leaderless()},
          {"fully_replicated", partitions - cluster.under_replicated()},
          {"leaderless", cluster.leaderless()},
          {"under_replicated", cluster.under_replicated()},
          {"under_min_isr", cluster.under_min_isr()},
          {"last_change", change_json(cluster)}};
}

std::string count_text(size_t n, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", n, n == 1 ? one : many);
}

std::string status_table(const ClusterFacts& cluster, const Health& health) {
  std::string out;
  for (const std::string& reason : health.reasons) out += red("unhealthy: " + reason) + "\n";
  if (cluster.leaderless() + cluster.under_replicated() > 0) {
    out += fmt::format("which and why: naru topic list --problems, naru why {}\n",
                       cluster.leaderless() > 0 ? "produce TOPIC" : "under-replicated");
  }
  const std::string controller =
      cluster.controller ? fmt::format("controller {}", *cluster.controller) : "no controller";
  const std::string epoch = cluster.controller_epoch ? fmt::format(" (epoch {})", *cluster.controller_epoch) : "";
  out += fmt::format("{}   {}   {}{}   {}\n", cluster.cluster_id.empty() ? "cluster without id" : cluster.cluster_id,
                     count_text(cluster.brokers.size(), "broker", "brokers"), controller, epoch,
                     health.healthy() ? "healthy" : "unhealthy");
  Table table({{"BROKER", Align::right},
               {"ADDRESS"},
               {"ROLE"},
               {"STATE"},
               {"LEADERS", Align::right},
               {"REPLICAS", Align::right},
               {"IN/s", Align::right, true},
               {"OUT/s", Align::right, true},
               {"DISK", Align::right, true},
               {"UP", Align::right, true},
               {"RACK", Align::left, true}});
  for (const BrokerFacts& b : cluster.brokers) {
    table.add({std::to_string(b.id), common::model::address_text(b.host, b.port), std::string(role_of(b, cluster)),
               std::string(state_of(b, cluster)), std::to_string(b.leaders), std::to_string(b.replicas),
               b.bytes_in_per_second ? bytes_text(*b.bytes_in_per_second) : std::string(),
               b.bytes_out_per_second ? bytes_text(*b.bytes_out_per_second) : std::string(), disk_text(b),
               b.up     ? duration_text(*b.up)
               : b.down ? "down " + duration_text(*b.down)
                        : std::string(),
               b.rack.value_or("")});
  }
  out += table.text();
  const int partitions = cluster.partitions();
  out += fmt::format("{} in {}: {} led, {} fully replicated\n",
                     count_text(static_cast<size_t>(partitions), "partition", "partitions"),
                     count_text(cluster.topics.size(), "topic", "topics"), partitions - cluster.leaderless(),
                     partitions - cluster.under_replicated());
  return out + change_text(cluster);
}

Exit print_status_once(client::Cluster& cluster, const StatusCommand& command) {
  const Outcome<ClusterFacts> facts = fetch_cluster(cluster, WithDisks::yes);
  if (!facts) return report(facts.error());
  const Health health = assess(*facts, 0);
  if (command.shared.format == Format::json) {
    print_out(status_json(*facts, health).dump(command.watch ? -1 : 2) + "\n");
  } else {
    if (command.watch && is_terminal(STDOUT_FILENO)) print_out("\x1b[H\x1b[2J");
    print_out(status_table(*facts, health));
  }
  return health.healthy() ? Exit::done : Exit::unhealthy;
}

struct HealthAnswer {
  std::optional<ClusterFacts> facts;
  Health health;
};

HealthAnswer ask_health(client::Cluster& cluster, const HealthCommand& command) {
  HealthAnswer answer;
  Outcome<ClusterFacts> facts = fetch_cluster(cluster, WithDisks::no);
  if (!facts) {
    answer.health.reasons.push_back(facts.error().message);
    return answer;
  }
  // --local asks one broker about itself: it answers, so it lives; what others do is not its matter.
  if (!command.local) answer.health = assess(*facts, command.brokers_min);
  answer.facts = std::move(*facts);
  return answer;
}

void print_health(const HealthAnswer& answer, const HealthCommand& command) {
  const ClusterFacts none;
  const ClusterFacts& facts = answer.facts ? *answer.facts : none;
  std::vector<int32_t> up;
  std::vector<int32_t> down;
  for (const BrokerFacts& b : facts.brokers) (b.fenced ? down : up).push_back(b.id);
  if (command.shared.format == Format::json) {
    const Json json = {{"healthy", answer.health.healthy()},
                       {"reasons", answer.health.reasons},
                       {"controller", or_null(facts.controller)},
                       {"brokers", up},
                       {"brokers_down", down},
                       {"leaderless", facts.leaderless()},
                       {"under_replicated", facts.under_replicated()},
                       {"under_min_isr", facts.under_min_isr()}};
    print_out(json.dump(2) + "\n");
    return;
  }
  std::string out = answer.health.healthy() ? "healthy\n" : red("unhealthy") + "\n";
  for (const std::string& reason : answer.health.reasons) out += fmt::format("  {}\n", reason);
  print_out(out);
}

}  // namespace

Exit run(const StatusCommand& command) {
  if (command.shared.format == Format::help) return print_out(status_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  if (!command.watch) return print_status_once(*cluster, command);
  Interruption interruption;
  do {
    print_status_once(*cluster, command);
  } while (output_is_good() && !interruption.wait(std::chrono::seconds(1)));
  return Exit::interrupted;
}

Exit run(const HealthCommand& command) {
  if (command.shared.format == Format::help) return print_out(health_shape) ? Exit::done : Exit::refused;
  Shared shared = command.shared;
  if (command.local && shared.brokers.empty()) shared.brokers = local_address();
  Outcome<client::Cluster> cluster = open_cluster(shared);
  if (!cluster) return report(cluster.error());
  const client::Deadline until = cluster->deadline();
  HealthAnswer answer = ask_health(*cluster, command);
  std::optional<Interruption> interruption;
  if (command.wait) interruption.emplace();
  while (command.wait && !answer.health.healthy() && std::chrono::steady_clock::now() < until) {
    if (interruption->wait(std::chrono::milliseconds(100))) return Exit::interrupted;
    answer = ask_health(*cluster, command);
  }
  print_health(answer, command);
  if (!answer.facts) return Exit::unreachable;
  return answer.health.healthy() ? Exit::done : Exit::unhealthy;
}

}  // namespace cli
