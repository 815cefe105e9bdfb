// naru broker list|describe: the brokers, what they hold, and their data directories.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/facts.h"
#include "cli/json_or_null.h"
#include "cli/output.h"
#include "cli/session.h"
#include "common/model/address_text.h"
#include "kafka/describe_log_dirs.h"

namespace cli {
namespace {

using common::model::ErrorCode;
using Json = nlohmann::ordered_json;

constexpr std::string_view list_shape =
    R"([{"id": 1, "host": "text", "port": 9092, "rack": "text" or null, "role": "controller|voter|observer" or null,
  "state": "up|down" or null, "leaders": 0, "replicas": 0, "disk_used": bytes or null, "disk_total": bytes or null,
  "up_ms": 0 or null, "version": "text" or null}]
)";
constexpr std::string_view describe_shape =
    R"({"id": 1, "host": "text", "port": 9092, "rack": "text" or null, "role": "text" or null, "state": "up|down" or null,
 "leaders": 0, "replicas": 0, "up_ms": 0 or null, "version": "text" or null,
 "directories": [{"path": "text", "error": "CODE" or null, "used": bytes, "total": bytes or null, "free": bytes or null,
                  "replicas": [{"topic": "text", "partition": 0, "size": bytes, "lag": records}]}]}
)";

Json broker_json(const BrokerFacts& b, const ClusterFacts& cluster) {
  return {{"id", b.id},
          {"host", b.host},
          {"port", b.port},
          {"rack", or_null(b.rack)},
          {"role", known_or_null(role_of(b, cluster))},
          {"state", known_or_null(state_of(b, cluster))},
          {"leaders", b.leaders},
          {"replicas", b.replicas}};
}

using Directory = kafka::DescribeLogDirsResponse::DescribeLogDirsResult;

int64_t used_of(const Directory& directory) {
  int64_t used = 0;
  for (const auto& topic : directory.topics) {
    for (const auto& p : topic.partitions) used += p.partition_size;
  }
  return used;
}

Json directory_json(const Directory& d) {
  Json replicas = Json::array();
  for (const auto& topic : d.topics) {
    for (const auto& p : topic.partitions) {
      replicas.push_back(
          {{"topic", topic.name}, {"partition", p.partition_index}, {"size", p.partition_size}, {"lag", p.offset_lag}});
    }
  }
  return {{"path", d.log_dir},
          {"error",
           d.error_code == ErrorCode::none ? Json(nullptr) : Json(std::string(common::model::to_string(d.error_code)))},
          {"used", used_of(d)},
          {"total", d.total_bytes >= 0 ? Json(d.total_bytes) : Json(nullptr)},
          {"free", d.usable_bytes >= 0 ? Json(d.usable_bytes) : Json(nullptr)},
          {"replicas", std::move(replicas)}};
}

std::string directories_table(const std::vector<Directory>& directories) {
  Table table({{"DIRECTORY"},
               {"REPLICAS", Align::right},
               {"USED", Align::right},
               {"FREE", Align::right},
               {"ERROR", Align::left, true}});
  for (const Directory& d : directories) {
    size_t replicas = 0;
    for (const auto& topic : d.topics) replicas += topic.partitions.size();
    table.add({d.log_dir, std::to_string(replicas), bytes_text(used_of(d)),
               d.usable_bytes >= 0 ? bytes_text(d.usable_bytes) : "",
               d.error_code == ErrorCode::none ? "" : std::string(common::model::to_string(d.error_code))});
  }
  return table.text();
}

}  // namespace

Exit run(const BrokerListCommand& command) {
  if (command.shared.format == Format::help) return print_out(list_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const Outcome<ClusterFacts> facts = fetch_cluster(*cluster, WithDisks::yes);
  if (!facts) return report(facts.error());
  Json all = Json::array();
  Table table({{"BROKER", Align::right},
               {"ADDRESS"},
               {"ROLE"},
               {"STATE"},
               {"LEADERS", Align::right},
               {"REPLICAS", Align::right},
               {"DISK", Align::right, true},
               {"UP", Align::right, true},
               {"VERSION", Align::left, true},
               {"RACK", Align::left, true}});
  std::string names;
  for (const BrokerFacts& b : facts->brokers) {
    Json one = broker_json(b, *facts);
    one["disk_used"] = or_null(b.disk_used);
    one["disk_total"] = or_null(b.disk_total);
    one["up_ms"] = b.up ? Json(b.up->count()) : Json(nullptr);
    one["version"] = known_or_null(b.version);
    all.push_back(std::move(one));
    table.add({std::to_string(b.id), common::model::address_text(b.host, b.port), std::string(role_of(b, *facts)),
               std::string(state_of(b, *facts)), std::to_string(b.leaders), std::to_string(b.replicas), disk_text(b),
               b.up ? duration_text(*b.up) : std::string(), b.version, b.rack.value_or("")});
    names += fmt::format("{}\n", b.id);
  }
  print_out(command.shared.format == Format::json   ? all.dump(2) + "\n"
            : command.shared.format == Format::name ? names
                                                    : table.text());
  return Exit::done;
}

Exit run(const BrokerDescribeCommand& command) {
  if (command.shared.format == Format::help) return print_out(describe_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const Outcome<ClusterFacts> facts = fetch_cluster(*cluster, WithDisks::no);
  if (!facts) return report(facts.error());
  const auto found = std::find_if(facts->brokers.begin(), facts->brokers.end(),
                                  [&](const BrokerFacts& b) { return b.id == command.id; });
  if (found == facts->brokers.end()) {
    return report({.exit = Exit::refused,
                   .message = fmt::format("no such broker: {}", command.id),
                   .next_step = "`naru broker list` shows what there is"});
  }
  kafka::DescribeLogDirsResponse told;
  if (!found->fenced) {
    kafka::DescribeLogDirsRequest request;
    request.topics.reset();
    request.traffic = true;  // and with it whatever the broker says of itself
    auto answer = cluster->call_on<kafka::DescribeLogDirsResponse>(
        client::Broker{.id = found->id, .address = {.host = found->host, .port = found->port}}, request);
    if (!answer) return report(answer.error());
    told = std::move(*answer);
  }
  if (command.shared.format == Format::json) {
    Json one = broker_json(*found, *facts);
    one["up_ms"] = told.up_ms >= 0 ? Json(told.up_ms) : Json(nullptr);
    one["version"] = known_or_null(told.version);
    one["directories"] = Json::array();
    for (const Directory& d : told.results) one["directories"].push_back(directory_json(d));
    print_out(one.dump(2) + "\n");
    return Exit::done;
  }
  const auto known = [](std::string_view text) { return std::string(text.empty() ? "-" : text); };
  const std::string state = known(state_of(*found, *facts));
  print_out(fmt::format("broker {}   {}   {}   {}   leads {} of its {} replicas{}{}{}\n", found->id,
                        common::model::address_text(found->host, found->port), known(role_of(*found, *facts)),
                        state == "down" ? red(state) : state, found->leaders, found->replicas,
                        found->rack ? "   rack " + *found->rack : "",
                        told.version.empty() ? "" : "   version " + told.version,
                        told.up_ms >= 0 ? "   runs for " + duration_text(std::chrono::milliseconds(told.up_ms)) : ""));
  if (!told.results.empty()) print_out(directories_table(told.results));
  return Exit::done;
}

}  // namespace cli
