// naru group seek|delete: where a group goes on reading, with a preview, and groups that go.
#include <chrono>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/facts.h"
#include "cli/group_facts.h"
#include "cli/items.h"
#include "cli/json_or_null.h"
#include "cli/output.h"
#include "cli/record_text.h"
#include "cli/session.h"
#include "common/model/uuid.h"
#include "kafka/delete_groups.h"
#include "kafka/offset_commit.h"

namespace cli {
namespace {

using common::model::ErrorCode;
using common::model::PartitionIndex;
using common::model::TopicPartition;
using Json = nlohmann::ordered_json;

constexpr std::string_view seek_shape =
    R"({"group": "text", "done": true, "offsets": [{"topic": "text", "partition": 0, "from": 0 or null, "to": 0,
  "records": 0}]}
)";
constexpr std::string_view outcome_shape = R"([{"name": "text", "error": "CODE" or null}]
)";

struct Step {
  TopicPartition partition;
  std::optional<int64_t> from;
  int64_t to = 0;
};

// "orders" or "orders:0,3" against what there is.
Outcome<std::vector<TopicPartition>> chosen_partitions(client::Cluster& cluster, const GroupSeekCommand& command,
                                                       const GroupFacts& group) {
  std::vector<TopicPartition> chosen;
  if (command.topics.empty()) {
    for (const GroupOffset& offset : group.offsets) chosen.push_back(offset.partition);
    if (chosen.empty()) {
      return problem(Exit::usage, fmt::format("group {} has committed nothing: which topic?", command.group),
                     "name it with --topic");
    }
    return chosen;
  }
  for (const std::string& text : command.topics) {
    const Outcome<TopicChoice> choice = parse_topic_choice(text);
    if (!choice) return tl::unexpected(choice.error());
    const std::string& name = choice->topic;
    const Outcome<std::vector<TopicFacts>> topics = fetch_topics(cluster, std::vector{name});
    if (!topics) return tl::unexpected(topics.error());
    const TopicFacts& topic = topics->front();
    if (topic.error != ErrorCode::none)
      return tl::unexpected(refused(fmt::format("cannot read topic {}", name), topic.error));
    std::set<int32_t> missing = choice->partitions;
    for (const PartitionFacts& p : topic.partitions) {
      if (choice->partitions.empty() || missing.erase(p.index) > 0) chosen.push_back({name, PartitionIndex(p.index)});
    }
    if (!missing.empty())
      return problem(Exit::usage, fmt::format("topic {} has no partition {}", name, *missing.begin()));
  }
  return chosen;
}

Outcome<std::vector<Step>> plan(client::Cluster& cluster, const GroupSeekCommand& command, const GroupFacts& group) {
  using Kind = StartPosition::Kind;
  const int64_t now =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  const Outcome<StartPosition> to = parse_from(command.to, now, "--to");
  if (!to) return tl::unexpected(to.error());
  const auto partitions = chosen_partitions(cluster, command, group);
  if (!partitions) return tl::unexpected(partitions.error());
  const auto starts = fetch_offsets_at(cluster, *partitions, timestamp_start);
  if (!starts) return tl::unexpected(starts.error());
  const auto ends = fetch_offsets_at(cluster, *partitions, timestamp_end);
  if (!ends) return tl::unexpected(ends.error());
  std::map<TopicPartition, int64_t> at_time;
  if (to->kind == Kind::time) {
    auto found = fetch_offsets_at(cluster, *partitions, to->number);
    if (!found) return tl::unexpected(found.error());
    at_time = std::move(*found);
  }
  std::vector<Step> steps;
  for (const TopicPartition& p : *partitions) {
    const auto start = starts->find(p);
    const auto end = ends->find(p);
    const auto found = at_time.find(p);
    std::optional<int64_t> target;
    if (start != starts->end() && end != ends->end()) {
      target = offset_meant(*to, start->second, end->second,
                            found == at_time.end() ? std::nullopt : std::optional(found->second));
    }
    if (!target)
      return problem(Exit::refused, fmt::format("{} has no leader that tells its offsets", p),
                     "`naru why consume` says why");
    Step step{.partition = p, .from = std::nullopt, .to = *target};
    for (const GroupOffset& offset : group.offsets) {
      if (offset.partition == p) step.from = offset.committed;
    }
    steps.push_back(step);
  }
  return steps;
}

Json seek_json(const GroupSeekCommand& command, const std::vector<Step>& steps, bool done) {
  Json offsets = Json::array();
  for (const Step& s : steps) {
    offsets.push_back({{"topic", s.partition.topic},
                       {"partition", s.partition.partition.value},
                       {"from", or_null(s.from)},
                       {"to", s.to},
                       {"records", s.from ? s.to - *s.from : 0}});
  }
  return {{"group", command.group}, {"done", done}, {"offsets", std::move(offsets)}};
}

std::string preview(const std::vector<Step>& steps) {
  Table table({{"TOPIC"}, {"PARTITION", Align::right}, {"FROM", Align::right}, {"TO", Align::right}, {"RECORDS"}});
  for (const Step& s : steps) {
    const int64_t by = s.from ? s.to - *s.from : 0;
    table.add({s.partition.topic, std::to_string(s.partition.partition.value), s.from ? std::to_string(*s.from) : "",
               std::to_string(s.to),
               !s.from  ? ""
               : by < 0 ? fmt::format("{} again", -by)
               : by > 0 ? fmt::format("{} skipped", by)
                        : "stays"});
  }
  return table.text();
}

// Version 10 knows topics by id, older ones by name.
Outcome<std::vector<ItemOutcome>> commit(client::Cluster& cluster, const std::string& group,
                                         const std::vector<Step>& steps) {
  const Outcome<client::Broker> coordinator = fetch_coordinator(cluster, group);
  if (!coordinator) return tl::unexpected(coordinator.error());
  std::map<std::string, std::vector<const Step*>> by_topic;
  for (const Step& s : steps) by_topic[s.partition.topic].push_back(&s);
  std::vector<std::string> names;
  for (const auto& [name, some] : by_topic) names.push_back(name);
  const auto topics = fetch_topics(cluster, names);
  if (!topics) return tl::unexpected(topics.error());
  std::map<std::string, std::string> name_of;
  const auto request_by = [&](bool ids) {
    kafka::OffsetCommitRequest request;
    request.group_id = group;
    for (const TopicFacts& topic : *topics) {
      kafka::OffsetCommitRequest::OffsetCommitRequestTopic one;
      if (ids) {
        if (const auto id = common::model::Uuid::parse(topic.id)) one.topic_id = *id;
      } else {
        one.name = topic.name;
      }
      name_of[topic.id] = topic.name;
      for (const Step* s : by_topic[topic.name]) {
        kafka::OffsetCommitRequest::OffsetCommitRequestPartition p;
        p.partition_index = s->partition.partition.value;
        p.committed_offset = s->to;
        p.committed_metadata = "";
        one.partitions.push_back(std::move(p));
      }
      request.topics.push_back(std::move(one));
    }
    return request;
  };
  auto answer = cluster.call_on<kafka::OffsetCommitResponse>(*coordinator, request_by(true));
  if (!answer && answer.error().exit == Exit::usage)
    answer = cluster.call_on<kafka::OffsetCommitResponse>(*coordinator, request_by(false));
  if (!answer) return tl::unexpected(answer.error());
  std::vector<ItemOutcome> items;
  for (const auto& topic : answer->topics) {
    const std::string name = topic.name.empty() ? name_of[topic.topic_id.to_string()] : topic.name;
    for (const auto& p : topic.partitions)
      items.push_back({fmt::format("{}-{}", name, p.partition_index), p.error_code, ""});
  }
  std::vector<std::string> asked;
  for (const Step& s : steps) asked.push_back(fmt::format("{}-{}", s.partition.topic, s.partition.partition.value));
  add_unanswered(items, asked, ErrorCode::unknown_server_error);
  return items;
}

Outcome<GroupFacts> group_at_rest(client::Cluster& cluster, const std::string& name) {
  Outcome<std::vector<GroupFacts>> groups = fetch_groups(cluster, {name});
  if (!groups) return tl::unexpected(groups.error());
  GroupFacts& group = groups->front();
  if (group.error != ErrorCode::none && group.error != ErrorCode::group_id_not_found)
    return tl::unexpected(refused(fmt::format("cannot describe group {}", name), group.error, group.error_message));
  if (!group.members.empty()) {
    return problem(Exit::refused,
                   fmt::format("group {} has {} members that would overwrite what is set", name, group.members.size()),
                   "stop them first");
  }
  return std::move(group);
}

}  // namespace

Exit run(const GroupSeekCommand& command) {
  if (command.shared.format == Format::help) return print_out(seek_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const Outcome<GroupFacts> group = group_at_rest(*cluster, command.group);
  if (!group) return report(group.error());
  const Outcome<std::vector<Step>> steps = plan(*cluster, command, *group);
  if (!steps) return report(steps.error());
  const bool json = command.shared.format == Format::json;
  if (!json) print_out(preview(*steps));
  const bool asked = !command.dry_run && (command.yes || is_terminal(0));
  if (!asked) {
    if (json) print_out(seek_json(command, *steps, false).dump(2) + "\n");
    if (!command.shared.quiet)
      fmt::print(stderr, "nothing changed: --yes does it{}\n", command.dry_run ? " without --dry-run" : "");
    return Exit::done;
  }
  if (!confirmed(command.yes, "seeks", fmt::format("move group {}?", command.group))) return Exit::usage;
  const auto items = commit(*cluster, command.group, *steps);
  if (!items) return report(items.error());
  const Exit exit = conclude("move", *items);
  if (json) print_out(seek_json(command, *steps, exit == Exit::done).dump(2) + "\n");
  return exit;
}

namespace {

// What the coordinator would say to it.
Exit show_deletion(const GroupDeleteCommand& command) {
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const Outcome<std::vector<GroupFacts>> groups = fetch_groups(*cluster, command.names);
  if (!groups) return report(groups.error());
  std::vector<ItemOutcome> items;
  for (const GroupFacts& group : *groups) {
    const bool in_use = group.error == ErrorCode::none && !group.members.empty();
    items.push_back({group.name, in_use ? ErrorCode::non_empty_group : group.error,
                     in_use ? fmt::format("it has {} members", group.members.size()) : group.error_message});
  }
  return print_items(command.shared.format, "delete group", "would delete", items);
}

Outcome<ItemOutcome> delete_one(client::Cluster& cluster, const std::string& name) {
  const Outcome<client::Broker> coordinator = fetch_coordinator(cluster, name);
  if (!coordinator) return tl::unexpected(coordinator.error());
  kafka::DeleteGroupsRequest request;
  request.groups_names = {name};
  const auto answer = cluster.call_on<kafka::DeleteGroupsResponse>(*coordinator, request);
  if (!answer) return tl::unexpected(answer.error());
  if (answer->results.empty()) return problem(Exit::refused, "nothing was answered");
  const auto& result = answer->results.front();
  return ItemOutcome{result.group_id, result.error_code, result.error_message.value_or("")};
}

}  // namespace

Exit run(const GroupDeleteCommand& command) {
  if (command.shared.format == Format::help) return print_out(outcome_shape) ? Exit::done : Exit::refused;
  if (command.dry_run) return show_deletion(command);
  const std::string question = fmt::format("delete {} and what they have committed?", fmt::join(command.names, ", "));
  if (!confirmed(command.yes, "deletes", question)) return Exit::usage;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  std::vector<ItemOutcome> items;
  for (const std::string& name : command.names) {  // each by itself: those before and behind one that fails are told of
    const auto deleted = delete_one(*cluster, name);
    items.push_back(deleted ? *deleted : unanswered("delete group", name, deleted.error()));
  }
  return print_items(command.shared.format, "delete group", "deleted", items);
}

}  // namespace cli
