// kafka-consumer-groups: list and describe groups, reset and delete their offsets, delete them, with
// ConsumerGroupCommand's flags and lines. Its errors go three ways: what is wrong with the words, and a reset that its
// words do not allow, to standard error with the usage (1); all else to standard output (0).
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/facts.h"
#include "cli/group_facts.h"
#include "cli/kafka_tools/flags.h"
#include "cli/kafka_tools/group_changes.h"
#include "cli/kafka_tools/group_options.h"
#include "cli/kafka_tools/tools.h"
#include "cli/output.h"

namespace cli::kafka_tools {
namespace {

using common::model::ErrorCode;

void print_error(const std::string& what) {
  print_out(fmt::format("\nError: {}\n", what));
}
void print_failure(const std::string& why) {
  print_error("Executing consumer group command failed due to " + why);
}

// The least width of a column in ConsumerGroupCommand's tables.
constexpr size_t narrow = 15;

template <class Rows, class Text>
size_t width_of(const Rows& rows, Text text) {
  size_t width = narrow;
  for (const auto& row : rows) width = std::max(width, text(row).size());
  return width;
}

Exit list(client::Cluster& cluster, const GroupOptions& o) {
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

Exit describe(client::Cluster& cluster, const std::vector<std::string>& names, const GroupOptions& o) {
  const auto groups = fetch_groups(cluster, names);
  if (!groups) return fail(groups.error());
  const auto nodes = fetch_nodes(cluster);
  if (!nodes) return fail(nodes.error());
  const auto unknown = std::ranges::find(*groups, ErrorCode::group_id_not_found, &GroupFacts::error);
  if (unknown != groups->end()) {  // the others are not described either
    print_failure(fmt::format("{}: Group {} not found.", exception_name(unknown->error), unknown->name));
    return Exit::done;
  }
  for (const GroupFacts& group : *groups) {
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

Exit reset(client::Cluster& cluster, const std::vector<std::string>& names, const GroupOptions& o) {
  size_t width = narrow;
  size_t topic_width = narrow;
  std::vector<std::pair<std::string, std::map<TopicPartition, int64_t>>> all;
  for (const std::string& name : names) {
    auto done = reset_offsets(cluster, name, o.change);
    if (!done) {
      const Problem& problem = done.error();
      if (problem.exit == Exit::usage) return fail_with_usage(problem.message, o.usage);
      if (problem.exit != Exit::partly) {
        print_failure(problem.message);
        return Exit::done;
      }
      print_error(problem.message);
      done.emplace();
    }
    for (const TopicPartition& p : done->at_end) {
      print_out(fmt::format("\nWarn: Partition {} from topic {} is empty. Falling back to latest known offset.\n",
                            p.partition.value, p.topic));
    }
    width = std::max(width, name.size());
    for (const auto& [p, offset] : done->offsets) topic_width = std::max(topic_width, p.topic.size());
    all.emplace_back(name, std::move(done->offsets));
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

Exit remove_offsets(client::Cluster& cluster, const GroupOptions& o) {
  const std::string& name = o.groups.front();
  const auto done = delete_offsets(cluster, name, o.change.topics);
  if (!done) {
    if (done.error().exit == Exit::usage) return fail_with_usage(done.error().message, o.usage);
    print_failure(done.error().message);
    return Exit::done;
  }
  if (done->group_error != ErrorCode::none) {
    print_error(std::string(exception_message(done->group_error)));
  } else if (std::ranges::any_of(done->partitions, [](const auto& entry) { return entry.second != ErrorCode::none; })) {
    print_error("Encountered some partition-level error, see the follow-up details.");
  } else {
    print_out(fmt::format("Request succeeded for deleting offsets from group {}.\n", name));
  }
  size_t t = narrow;
  for (const auto& [p, code] : done->partitions) t = std::max(t, p.topic.size());
  for (const std::string& topic : done->unknown_topics) t = std::max(t, topic.size());
  std::string out = fmt::format("\n{:<{}} {:<10} {:<15}", "TOPIC", t, "PARTITION", "STATUS");
  const auto add = [&](const std::string& topic, const std::string& partition, ErrorCode code) {
    out += fmt::format("\n{:<{}} {:<10} {:<15}", topic, t, partition,
                       code == ErrorCode::none ? "Successful" : "Error: " + exception_text(code));
  };
  for (const auto& [p, code] : done->partitions) add(p.topic, std::to_string(p.partition.value), code);
  for (const std::string& topic : done->unknown_topics) add(topic, "-", ErrorCode::unknown_topic_or_partition);
  print_out(out + "\n");
  return Exit::done;
}

}  // namespace

Exit consumer_groups(int argc, const char* const* argv) {
  GroupOptions o;
  if (const auto over = o.parse(argc, argv)) return *over;
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
