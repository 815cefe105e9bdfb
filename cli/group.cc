// naru group list|describe.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/group_facts.h"
#include "cli/json_or_null.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/unread_age.h"

namespace cli {
namespace {

using common::model::ErrorCode;
using Json = nlohmann::ordered_json;

constexpr std::string_view list_shape =
    R"([{"name": "text", "state": "text", "members": 0, "lag": 0, "lag_seconds": 0.0 or null, "coordinator": 1 or null,
  "error": "CODE" or null}]
"lag_seconds" is null without --behind.
)";
constexpr std::string_view describe_shape =
    R"([{"name": "text", "state": "text", "protocol": "text", "coordinator": 1 or null,
  "lag": 0, "lag_seconds": 0.0 or null,
  "error": "CODE" or null,
  "members": [{"id": "text", "instance": "text" or null, "client_id": "text", "host": "text",
               "partitions": [{"topic": "text", "partition": 0}]}],
  "offsets": [{"topic": "text", "partition": 0, "committed": 0 or null, "start": 0 or null, "end": 0 or null,
               "lag": 0 or null, "lag_seconds": 0.0 or null, "member": "text" or null}]}]
)";

std::string or_empty(const std::optional<int64_t>& value) {
  return value ? std::to_string(*value) : std::string();
}

Json error_json(ErrorCode code) {
  return code == ErrorCode::none ? Json(nullptr) : Json(std::string(common::model::to_string(code)));
}

using LagTime = std::optional<std::chrono::milliseconds>;
Json seconds_json(const LagTime& time) {
  return time ? Json(std::chrono::duration<double>(*time).count()) : Json(nullptr);
}
// Nothing where there is no lag: a column of zeros says no more than the lag's.
std::string time_text(const LagTime& time) {
  return time && time->count() > 0 ? duration_text(*time) : std::string();
}

const MemberFacts* owner_of(const GroupFacts& group, const common::model::TopicPartition& partition) {
  for (const MemberFacts& member : group.members) {
    for (const auto& assigned : member.assigned) {
      if (assigned == partition) return &member;
    }
  }
  return nullptr;
}

Json describe_json(const GroupFacts& group, SystemTime now) {
  Json members = Json::array();
  for (const MemberFacts& m : group.members) {
    Json partitions = Json::array();
    for (const auto& p : m.assigned) partitions.push_back({{"topic", p.topic}, {"partition", p.partition.value}});
    members.push_back({{"id", m.id},
                       {"instance", or_null(m.instance)},
                       {"client_id", m.client_id},
                       {"host", m.host},
                       {"partitions", std::move(partitions)}});
  }
  Json offsets = Json::array();
  for (const GroupOffset& o : group.offsets) {
    const MemberFacts* owner = owner_of(group, o.partition);
    offsets.push_back({{"topic", o.partition.topic},
                       {"partition", o.partition.partition.value},
                       {"committed", or_null(o.committed)},
                       {"start", or_null(o.start)},
                       {"end", or_null(o.end)},
                       {"lag", or_null(o.lag())},
                       {"lag_seconds", seconds_json(lag_time(o, now))},
                       {"member", owner == nullptr ? Json(nullptr) : Json(owner->id)}});
  }
  return {{"name", group.name},
          {"state", group.state},
          {"protocol", group.protocol},
          {"coordinator", or_null(group.coordinator)},
          {"lag", group.total_lag()},
          {"lag_seconds", seconds_json(lag_time(group, now))},
          {"error", error_json(group.error)},
          {"members", std::move(members)},
          {"offsets", std::move(offsets)}};
}

std::string describe_table(const GroupFacts& group, SystemTime now) {
  std::string out = fmt::format("{}   {}   {} {}   lag {}{}{}\n", group.name, group.state, group.members.size(),
                                group.members.size() == 1 ? "member" : "members", group.total_lag(),
                                group.coordinator ? fmt::format("   coordinator {}", *group.coordinator) : "",
                                group.protocol.empty() ? "" : fmt::format("   assignor {}", group.protocol));
  if (!group.offsets.empty()) {
    Table table({{"TOPIC"},
                 {"PARTITION", Align::right},
                 {"COMMITTED", Align::right},
                 {"START", Align::right},
                 {"END", Align::right},
                 {"LAG", Align::right},
                 {"BEHIND", Align::right, true},
                 {"CLIENT", Align::left, true},
                 {"HOST", Align::left, true},
                 {"INSTANCE", Align::left, true}});
    for (const GroupOffset& o : group.offsets) {
      const MemberFacts* owner = owner_of(group, o.partition);
      table.add({o.partition.topic, std::to_string(o.partition.partition.value), or_empty(o.committed),
                 or_empty(o.start), or_empty(o.end), or_empty(o.lag()), time_text(lag_time(o, now)),
                 owner == nullptr ? "" : owner->client_id, owner == nullptr ? "" : owner->host,
                 owner == nullptr ? "" : owner->instance.value_or("")});
    }
    out += table.text();
  }
  return out;
}

// Records are read only for those who asked for it.
void add_times(client::Cluster& cluster, std::vector<GroupFacts>& groups, const Shared& shared) {
  if (fetch_unread_since(cluster, groups) || shared.quiet) return;
  fmt::print(stderr, "the lag in time is not known of all partitions: {} of records were read, or {} rounds made\n",
             bytes_text(unread_bytes_max), unread_rounds_max);
}

Problem group_problem(const GroupFacts& group) {
  if (group.error == ErrorCode::group_id_not_found) {
    return {.exit = Exit::refused,
            .message = fmt::format("no such group: {}", group.name),
            .next_step = "`naru group list` shows what there is"};
  }
  return refused(fmt::format("cannot describe group {}", group.name), group.error, group.error_message);
}

// Says of which groups something could not be learnt.
Exit told_of(const std::vector<GroupFacts>& groups) {
  size_t failed = 0;
  for (const GroupFacts& group : groups) {
    if (group.error == ErrorCode::none) continue;
    ++failed;
    report(group_problem(group));
  }
  if (failed == 0) return Exit::done;
  return failed < groups.size() ? Exit::partly : Exit::refused;
}

}  // namespace

Exit run(const GroupListCommand& command) {
  if (command.shared.format == Format::help) return print_out(list_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const Outcome<std::vector<std::string>> names = fetch_group_names(*cluster);
  if (!names) return report(names.error());
  Outcome<std::vector<GroupFacts>> groups = fetch_groups(*cluster, *names);
  if (!groups) return report(groups.error());
  // Deleted since it was listed, as the group of a tool that ends: no failure, and nothing to list.
  std::erase_if(*groups, [](const GroupFacts& group) { return group.error == ErrorCode::group_id_not_found; });
  const bool behind = command.behind || command.shared.format == Format::wide;
  if (behind) add_times(*cluster, *groups, command.shared);
  const SystemTime now = std::chrono::system_clock::now();
  Table table({{"GROUP"},
               {"STATE"},
               {"MEMBERS", Align::right},
               {"LAG", Align::right},
               {"BEHIND", Align::right, true},
               {"COORDINATOR", Align::right},
               {"ERROR", Align::left, true}});
  Json all = Json::array();
  std::string text;
  for (const GroupFacts& g : *groups) {
    const LagTime time = behind ? lag_time(g, now) : std::nullopt;
    table.add({g.name, g.state, std::to_string(g.members.size()), std::to_string(g.total_lag()), time_text(time),
               g.coordinator ? std::to_string(*g.coordinator) : "",
               g.error == ErrorCode::none ? "" : std::string(common::model::to_string(g.error))});
    all.push_back({{"name", g.name},
                   {"state", g.state},
                   {"members", g.members.size()},
                   {"lag", g.total_lag()},
                   {"lag_seconds", seconds_json(time)},
                   {"coordinator", or_null(g.coordinator)},
                   {"error", error_json(g.error)}});
    text += g.name + "\n";
  }
  print_out(command.shared.format == Format::json   ? all.dump(2) + "\n"
            : command.shared.format == Format::name ? text
                                                    : table.text());
  return told_of(*groups);
}

Exit run(const GroupDescribeCommand& command) {
  if (command.shared.format == Format::help) return print_out(describe_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  Outcome<std::vector<GroupFacts>> groups = fetch_groups(*cluster, command.names);
  if (!groups) return report(groups.error());
  if (command.shared.format != Format::name) add_times(*cluster, *groups, command.shared);
  const SystemTime now = std::chrono::system_clock::now();
  Json all = Json::array();
  std::string text;
  for (const GroupFacts& group : *groups) {
    all.push_back(describe_json(group, now));
    if (group.error != ErrorCode::none) continue;
    text += command.shared.format == Format::name ? group.name + "\n"
                                                  : (text.empty() ? "" : "\n") + describe_table(group, now);
  }
  print_out(command.shared.format == Format::json ? all.dump(2) + "\n" : text);
  return told_of(*groups);
}

}  // namespace cli
