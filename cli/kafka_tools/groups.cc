// kafka-consumer-groups: list and describe groups, reset and delete their offsets, delete them, with
// ConsumerGroupCommand's flags and lines.
#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/facts.h"
#include "cli/group_facts.h"
#include "cli/kafka_tools/flags.h"
#include "cli/kafka_tools/group_changes.h"
#include "cli/kafka_tools/tools.h"
#include "cli/output.h"

namespace cli::kafka_tools {
namespace {

using common::model::ErrorCode;

struct Options {
  Target target;
  bool list = false, describe = false, remove = false, reset = false, delete_offsets = false;
  bool all_groups = false, members = false, verbose = false, offsets = false, state = false;
  std::vector<std::string> groups;
  OffsetReset change;
};

std::optional<Exit> parse(Options& o, int argc, const char* const* argv) {
  Flags flags(
      "kafka-consumer-groups",
      "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset "
      "consumer group offsets.");
  o.target.add_to(flags);
  flags.toggle("--list", o.list, "List all groups.");
  flags.toggle("--describe", o.describe, "Describe groups and the lag of their offsets.");
  flags.toggle("--delete", o.remove, "Delete groups with their offsets.");
  flags.toggle("--reset-offsets", o.reset, "Reset the offsets of an inactive group.");
  flags.toggle("--delete-offsets", o.delete_offsets, "Delete a group's offsets of topics.");
  flags.texts("--group", o.groups, "The group; may be given several times.");
  flags.toggle("--all-groups", o.all_groups, "All groups.");
  flags.toggle("--members", o.members, "Describe the members.");
  flags.toggle("--verbose", o.verbose, "More about the members.");
  flags.toggle("--offsets", o.offsets, "Describe the offsets (the default).");
  flags.toggle("--state", o.state, "Describe or list the state.");
  flags.texts("--topic", o.change.topics, "A topic, or topic:0,1,2; may be given several times.");
  flags.toggle("--all-topics", o.change.all_topics, "All topics of the group.");
  flags.toggle("--execute", o.change.execute, "Carry the reset out.");
  flags.toggle("--dry-run", o.change.dry_run, "Only show what a reset would do (the default).");
  flags.toggle("--to-earliest", o.change.to_earliest, "Reset to the earliest offset.");
  flags.toggle("--to-latest", o.change.to_latest, "Reset to the latest offset.");
  flags.toggle("--to-current", o.change.to_current, "Reset to the current offset.");
  flags.number("--to-offset", o.change.to_offset, "Reset to this offset.");
  flags.number("--shift-by", o.change.shift_by, "Shift the current offset by this number.");
  flags.text("--to-datetime", o.change.to_datetime, "Reset to the offset of a time: YYYY-MM-DDTHH:mm:SS.sss");
  flags.text("--by-duration", o.change.by_duration, "Reset to the offset of so long ago: PnDTnHnMnS");
  flags.ignored("--timeout");
  if (const auto over = flags.parse(argc, argv)) return over;
  if (o.list + o.describe + o.remove + o.reset + o.delete_offsets != 1) {
    return fail(
        "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets, "
        "--validate-regex");
  }
  if (o.target.brokers.empty()) return fail("Missing required argument \"[bootstrap-server]\"");
  if (!o.list && o.groups.empty() == !o.all_groups) {
    return fail(o.describe || o.remove ? "Option takes one of these options: [all-groups], [group]"
                                       : "Option takes the option: [group]");
  }
  return std::nullopt;
}

void print_error(const std::string& what) {
  print_out(fmt::format("\nError: {}\n", what));
}

// The least width of a column in ConsumerGroupCommand's tables.
constexpr size_t narrow = 15;

template <class Rows, class Text>
size_t width_of(const Rows& rows, Text text) {
  size_t width = narrow;
  for (const auto& row : rows) width = std::max(width, text(row).size());
  return width;
}

Exit list(client::Cluster& cluster, const Options& o) {
  const auto names = fetch_group_names(cluster);
  if (!names) return fail(names.error());
  if (!o.state) {
    for (const std::string& name : *names) print_out(name + "\n");
    return Exit::done;
  }
  const auto groups = fetch_groups(cluster, *names);
  if (!groups) return fail(groups.error());
  const size_t width = width_of(*groups, [](const GroupFacts& group) -> const std::string& { return group.name; }) + 10;
  print_out(fmt::format("{:<{}} {:<20}\n", "GROUP", width, "STATE"));
  for (const GroupFacts& group : *groups) print_out(fmt::format("{:<{}} {:<20}\n", group.name, width, group.state));
  return Exit::done;
}

struct OffsetRow {
  std::string topic, partition, current, end, lag, member, host, client;
};

std::string or_dash(const std::optional<int64_t>& number) {
  return number ? std::to_string(*number) : "-";
}

std::vector<OffsetRow> offset_rows(const GroupFacts& group) {
  std::vector<OffsetRow> rows;
  for (const GroupOffset& offset : group.offsets) {
    OffsetRow row{.topic = offset.partition.topic,
                  .partition = std::to_string(offset.partition.partition.value),
                  .current = or_dash(offset.committed),
                  .end = or_dash(offset.end),
                  .lag = or_dash(offset.lag()),
                  .member = "-",
                  .host = "-",
                  .client = "-"};
    for (const MemberFacts& member : group.members) {
      if (std::ranges::find(member.assigned, offset.partition) == member.assigned.end()) continue;
      row.member = member.id;
      row.host = member.host;
      row.client = member.client_id;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

void print_offsets(const GroupFacts& group) {
  const std::vector<OffsetRow> rows = offset_rows(group);
  if (rows.empty()) return;
  const size_t g = std::max(narrow, group.name.size());
  const size_t t = width_of(rows, [](const OffsetRow& r) { return r.topic; });
  const size_t m = width_of(rows, [](const OffsetRow& r) { return r.member; });
  const size_t h = width_of(rows, [](const OffsetRow& r) { return r.host; });
  const auto line = [&](const std::string& name, const OffsetRow& r) {
    return fmt::format("\n{:<{}} {:<{}} {:<10} {:<15} {:<15} {:<15} {:<{}} {:<{}} {}", name, g, r.topic, t, r.partition,
                       r.current, r.end, r.lag, r.member, m, r.host, h, r.client);
  };
  std::string out = line(
      "GROUP", {"TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID"});
  for (const OffsetRow& row : rows) out += line(group.name, row);
  print_out(out + "\n");
}

// "my.topic:0,1,2;other:1"
std::string assignment_text(const MemberFacts& member) {
  std::map<std::string, std::vector<int32_t>> by_topic;
  for (const auto& p : member.assigned) by_topic[p.topic].push_back(p.partition.value);
  std::vector<std::string> parts;
  for (auto& [topic, partitions] : by_topic) {
    std::ranges::sort(partitions);
    parts.push_back(fmt::format("{}:{}", topic, fmt::join(partitions, ",")));
  }
  return fmt::format("{}", fmt::join(parts, ";"));
}

void print_members(const GroupFacts& group, bool verbose) {
  const size_t g = std::max(narrow, group.name.size());
  const size_t m = width_of(group.members, [](const MemberFacts& r) { return r.id; });
  const size_t i = width_of(group.members, [](const MemberFacts& r) { return r.instance.value_or(""); });
  const size_t h = width_of(group.members, [](const MemberFacts& r) { return r.host; });
  const size_t c = width_of(group.members, [](const MemberFacts& r) { return r.client_id; });
  const bool with_instances =
      std::ranges::any_of(group.members, [](const MemberFacts& r) { return r.instance.has_value(); });
  size_t a = 20;
  for (const MemberFacts& r : group.members) a = std::max(a, assignment_text(r).size());
  const auto line = [&](std::string_view name, std::string_view id, std::string_view instance, std::string_view host,
                        std::string_view client, std::string_view count, std::string_view assigned, bool head) {
    std::string out = fmt::format("\n{:<{}} {:<{}} ", name, g, id, m);
    if (with_instances) out += fmt::format("{:<{}} ", instance, i);
    out += fmt::format("{:<{}} {:<{}} {:<15} ", host, h, client, c, count);
    if (verbose) {
      out += fmt::format("{:<15} {:<{}} {:<15} {:<19} ", head ? "CURRENT-EPOCH" : "-", assigned, a,
                         head ? "TARGET-EPOCH" : "-", head ? "TARGET-ASSIGNMENT" : "-");
    }
    return out;
  };
  std::string out =
      line("GROUP", "CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS", "CURRENT-ASSIGNMENT", true);
  for (const MemberFacts& r : group.members) {
    out += line(group.name, r.id, r.instance.value_or(""), r.host, r.client_id, std::to_string(r.assigned.size()),
                r.assigned.empty() ? "-" : assignment_text(r), false);
  }
  print_out(out + "\n");
}

void print_state(const GroupFacts& group, const Nodes& nodes) {
  std::string coordinator = "-";
  if (group.coordinator) {
    const auto node = nodes.brokers.find(*group.coordinator);
    if (node != nodes.brokers.end()) {
      coordinator =
          fmt::format("{}:{}  ({})", node->second.address.host, node->second.address.port, *group.coordinator);
    }
  }
  const size_t g = std::max(narrow, group.name.size());
  const size_t c = std::max<size_t>(25, coordinator.size());
  print_out(fmt::format("\n{:<{}} {:<{}} {:<20} {:<20} {}\n{:<{}} {:<{}} {:<20} {:<20} {}\n", "GROUP", g,
                        "COORDINATOR (ID)", c, "ASSIGNMENT-STRATEGY", "STATE", "#MEMBERS", group.name, g, coordinator,
                        c, group.protocol.empty() ? "-" : group.protocol, group.state, group.members.size()));
}

// What is wrong with a group, or that nobody is in it; whether there is something to print.
bool introduce(const GroupFacts& group) {
  if (group.error == ErrorCode::group_id_not_found || group.state == "Dead") {
    fmt::print(stderr, "\nConsumer group '{}' does not exist.\n", group.name);
    return false;
  }
  if (group.state == "Empty") {
    fmt::print(stderr, "\nConsumer group '{}' has no active members.\n", group.name);
  } else if (group.state == "PreparingRebalance" || group.state == "CompletingRebalance") {
    fmt::print(stderr, "\nWarning: Consumer group '{}' is rebalancing.\n", group.name);
  }
  return true;
}

Exit describe(client::Cluster& cluster, const std::vector<std::string>& names, const Options& o) {
  const auto groups = fetch_groups(cluster, names);
  if (!groups) return fail(groups.error());
  const auto nodes = fetch_nodes(cluster);
  if (!nodes) return fail(nodes.error());
  for (const GroupFacts& group : *groups) {
    if (group.error == ErrorCode::group_id_not_found) {
      print_error(
          fmt::format("Executing consumer group command failed due to "
                      "org.apache.kafka.common.errors.GroupIdNotFoundException: Group {} not found.",
                      group.name));
      continue;
    }
    if (!introduce(group)) continue;
    if (o.members) {
      print_members(group, o.verbose);
    } else if (o.state) {
      print_state(group, *nodes);
    } else {
      print_offsets(group);
    }
  }
  return Exit::done;
}

Exit remove(client::Cluster& cluster, const std::vector<std::string>& names) {
  std::vector<std::string> deleted;
  std::vector<std::string> failed;
  for (const std::string& name : names) {
    if (const Outcome<void> done = delete_group(cluster, name); done) {
      deleted.push_back(fmt::format("'{}'", name));
    } else {
      failed.push_back(fmt::format("* Group '{}' could not be deleted due to: {}", name, done.error().message));
    }
  }
  if (failed.empty()) {
    print_out(fmt::format("Deletion of requested consumer groups ({}) was successful.\n", fmt::join(deleted, ", ")));
    return Exit::done;
  }
  print_error(fmt::format("Deletion of some consumer groups failed:\n{}", fmt::join(failed, "\n")));
  if (!deleted.empty()) {
    print_out(fmt::format("\nThese consumer groups were deleted successfully: {}\n", fmt::join(deleted, ", ")));
  }
  return Exit::done;
}

Exit reset(client::Cluster& cluster, const std::vector<std::string>& names, const Options& o) {
  size_t width = narrow;
  size_t topic_width = narrow;
  std::vector<std::pair<std::string, std::map<TopicPartition, int64_t>>> all;
  for (const std::string& name : names) {
    auto offsets = reset_offsets(cluster, name, o.change);
    if (!offsets) {
      print_error(offsets.error().message);
      if (offsets.error().exit == Exit::usage) return Exit::refused;  // Kafka's tool prints its usage and ends
      all.emplace_back(name, std::map<TopicPartition, int64_t>());
      continue;
    }
    width = std::max(width, name.size());
    for (const auto& [p, offset] : *offsets) topic_width = std::max(topic_width, p.topic.size());
    all.emplace_back(name, std::move(*offsets));
  }
  std::string out =
      fmt::format("\n{:<{}} {:<{}} {:<10} {}", "GROUP", width, "TOPIC", topic_width, "PARTITION", "NEW-OFFSET");
  for (const auto& [name, offsets] : all) {
    for (const auto& [p, offset] : offsets) {
      out += fmt::format("\n{:<{}} {:<{}} {:<10} {}", name, width, p.topic, topic_width, p.partition.value, offset);
    }
  }
  print_out(out + "\n");
  return Exit::done;
}

Exit remove_offsets(client::Cluster& cluster, const Options& o) {
  const std::string& name = o.groups.front();
  const auto done = delete_offsets(cluster, name, o.change.topics);
  if (!done) {
    print_error(done.error().message);
    return Exit::done;
  }
  const bool all_well = std::ranges::all_of(*done, [](const auto& entry) { return entry.second == ErrorCode::none; });
  std::string out = all_well
                        ? fmt::format("Request succeeded for deleting offsets from group {}.\n", name)
                        : fmt::format("\nError: Encountered some partition-level error, see the follow-up details.\n");
  size_t t = narrow;
  for (const auto& [p, code] : *done) t = std::max(t, p.topic.size());
  out += fmt::format("\n{:<{}} {:<10} {:<15}", "TOPIC", t, "PARTITION", "STATUS");
  for (const auto& [p, code] : *done) {
    out +=
        fmt::format("\n{:<{}} {:<10} {:<15}", p.topic, t, p.partition.value,
                    code == ErrorCode::none ? "Successful" : fmt::format("Error: {}", common::model::to_string(code)));
  }
  print_out(out + "\n");
  return Exit::done;
}

}  // namespace

Exit consumer_groups(int argc, const char* const* argv) {
  Options o;
  if (const auto over = parse(o, argc, argv)) return *over;
  Outcome<client::Cluster> cluster = o.target.open();
  if (!cluster) return fail(cluster.error());
  if (o.list) return list(*cluster, o);
  std::vector<std::string> names = o.groups;
  if (o.all_groups) {
    const auto all = fetch_group_names(*cluster);
    if (!all) return fail(all.error());
    names = *all;
  }
  if (o.describe) return describe(*cluster, names, o);
  if (o.remove) return remove(*cluster, names);
  return o.reset ? reset(*cluster, names, o) : remove_offsets(*cluster, o);
}

}  // namespace cli::kafka_tools
