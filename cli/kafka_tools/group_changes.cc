#include "cli/kafka_tools/group_changes.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <regex>

#include <fmt/format.h>

#include "cli/facts.h"
#include "cli/group_facts.h"
#include "kafka/delete_groups.h"
#include "kafka/offset_commit.h"
#include "kafka/offset_delete.h"

namespace cli::kafka_tools {

using common::model::ErrorCode;
using common::model::PartitionIndex;

namespace {

struct Group {
  GroupFacts facts;
  client::Broker coordinator;
};

Outcome<Group> find_group(client::Cluster& cluster, const std::string& name) {
  auto groups = fetch_groups(cluster, {name});
  if (!groups) return tl::unexpected(std::move(groups.error()));
  GroupFacts& facts = groups->front();
  if (!facts.coordinator)
    return tl::unexpected(refused(fmt::format("group {}", name), facts.error, facts.error_message));
  const auto nodes = fetch_nodes(cluster);
  if (!nodes) return tl::unexpected(nodes.error());
  const auto node = nodes->brokers.find(*facts.coordinator);
  if (node == nodes->brokers.end())
    return problem(Exit::refused, fmt::format("The coordinator of {} is not available.", name));
  return Group{std::move(facts), node->second};
}

// "t" or "t:0,1,2" to partitions that there are.
Outcome<void> add_topic(const std::vector<TopicFacts>& topics, const std::string& text,
                        std::set<TopicPartition>& into) {
  const size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  const auto topic = std::ranges::find(topics, name, &TopicFacts::name);
  if (topic == topics.end() || topic->error != ErrorCode::none) {
    return problem(Exit::refused, fmt::format("The topic '{}' does not exist.", name));
  }
  if (colon == std::string::npos) {
    for (const PartitionFacts& p : topic->partitions) into.insert({name, PartitionIndex(p.index)});
    return {};
  }
  for (size_t at = colon + 1; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    const std::string digits = text.substr(at, comma - at);
    const bool whole = !digits.empty() && digits.size() < 9 &&
                       std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
    if (!whole)
      return problem(Exit::refused,
                     fmt::format("Invalid topic arg '{}', expected: 'TopicName' or 'TopicName:0,1,2'", text));
    into.insert({name, PartitionIndex(std::atoi(digits.c_str()))});
    at = comma + 1;
  }
  return {};
}

Outcome<std::set<TopicPartition>> partitions_of(const std::vector<TopicFacts>& topics, const GroupFacts& group,
                                                const OffsetReset& reset) {
  std::set<TopicPartition> wanted;
  if (reset.all_topics) {
    for (const GroupOffset& offset : group.offsets) wanted.insert(offset.partition);
    return wanted;
  }
  if (reset.topics.empty()) {
    return problem(Exit::refused, "One of the reset scopes should be defined: --all-topics, --topic.");
  }
  for (const std::string& topic : reset.topics) {
    if (auto added = add_topic(topics, topic, wanted); !added) return tl::unexpected(added.error());
  }
  return wanted;
}

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// "2026-11-28T12:00:00.000", with Z or +HH:MM behind it; without, it is local time as in Kafka.
Outcome<int64_t> parse_datetime(const std::string& text) {
  static const std::regex form(R"((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d{1,3})?(Z|[+-]\d{2}:?\d{2})?)");
  std::smatch found;
  std::tm time{};
  if (!std::regex_match(text, found, form) ||
      ::strptime(found[1].str().c_str(), "%Y-%m-%dT%H:%M:%S", &time) == nullptr) {
    return problem(Exit::refused, fmt::format("Error parsing timestamp. It does not contain a valid date: {}", text));
  }
  const std::string zone = found[3];
  time.tm_isdst = -1;
  int64_t seconds = zone.empty() ? ::mktime(&time) : ::timegm(&time);
  if (zone.size() > 1) {
    const int64_t shift =
        std::atoi(zone.substr(1, 2).c_str()) * 3600 + std::atoi(zone.substr(zone.size() - 2).c_str()) * 60;
    seconds -= zone.front() == '-' ? -shift : shift;
  }
  const std::string fraction = found[2].length() > 1 ? (found[2].str().substr(1) + "00").substr(0, 3) : "0";
  return seconds * 1000 + std::atoi(fraction.c_str());
}

// "P1DT2H3M4S"
Outcome<int64_t> parse_duration(const std::string& text) {
  static const std::regex form(R"(P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?)");
  std::smatch found;
  if (!std::regex_match(text, found, form) || text.size() < 3) {
    return problem(Exit::refused, fmt::format("Text cannot be parsed to a Duration: {}", text));
  }
  const auto part = [&](int i) { return found[i].matched ? std::atoll(found[i].str().c_str()) : 0; };
  return (((part(1) * 24 + part(2)) * 60 + part(3)) * 60 + part(4)) * 1000;
}

using Offsets = std::map<TopicPartition, int64_t>;

std::optional<int64_t> committed_of(const GroupFacts& group, const TopicPartition& p) {
  const auto found = std::ranges::find(group.offsets, p, &GroupOffset::partition);
  return found == group.offsets.end() ? std::nullopt : found->committed;
}

Outcome<Offsets> offsets_at(client::Cluster& cluster, const std::set<TopicPartition>& wanted, int64_t timestamp,
                            const Offsets& ends) {
  auto found = fetch_offsets(cluster, wanted, timestamp);
  if (!found) return found;
  for (const TopicPartition& p : wanted) {
    if (!found->contains(p) && ends.contains(p)) (*found)[p] = ends.at(p);  // nothing that late: the end
  }
  return found;
}

Outcome<Offsets> new_offsets(client::Cluster& cluster, const GroupFacts& group, const std::set<TopicPartition>& wanted,
                             const OffsetReset& reset) {
  const auto starts = fetch_offsets(cluster, wanted, earliest);
  if (!starts) return tl::unexpected(starts.error());
  const auto ends = fetch_offsets(cluster, wanted, latest);
  if (!ends || reset.to_latest) return ends;
  if (reset.to_earliest) return starts;
  if (!reset.to_datetime.empty() || !reset.by_duration.empty()) {
    const auto time = reset.to_datetime.empty() ? parse_duration(reset.by_duration) : parse_datetime(reset.to_datetime);
    if (!time) return tl::unexpected(time.error());
    return offsets_at(cluster, wanted, reset.to_datetime.empty() ? now_ms() - *time : *time, *ends);
  }
  Offsets result;
  for (const TopicPartition& p : wanted) {
    const auto current = committed_of(group, p);
    if (reset.shift_by && !current) {
      return problem(Exit::usage,
                     fmt::format("Cannot shift offset for partition {}-{} since there is no current committed offset",
                                 p.topic, p.partition.value));
    }
    const auto end = ends->find(p);
    const auto start = starts->find(p);
    if (end == ends->end() || start == starts->end()) {
      return problem(Exit::refused, fmt::format("The partition \"{}-{}\" does not exist", p.topic, p.partition.value));
    }
    const int64_t asked = reset.to_offset  ? *reset.to_offset
                          : reset.shift_by ? *current + *reset.shift_by
                                           : current.value_or(end->second);
    result[p] = std::clamp(asked, start->second, end->second);
  }
  return result;
}

Outcome<void> commit(client::Cluster& cluster, const Group& group, const std::vector<TopicFacts>& topics,
                     const Offsets& offsets) {
  kafka::OffsetCommitRequest request;
  request.group_id = group.facts.name;
  for (const auto& [p, offset] : offsets) {
    if (request.topics.empty() || request.topics.back().name != p.topic) {
      auto& topic = request.topics.emplace_back();
      topic.name = p.topic;
      const auto known = std::ranges::find(topics, p.topic, &TopicFacts::name);
      if (known != topics.end()) topic.topic_id = common::model::Uuid::parse(known->id).value_or(common::model::Uuid{});
    }
    kafka::OffsetCommitRequest::OffsetCommitRequestPartition one;
    one.partition_index = p.partition.value;
    one.committed_offset = offset;
    one.committed_metadata = "";
    request.topics.back().partitions.push_back(std::move(one));
  }
  const auto answer = cluster.call_on<kafka::OffsetCommitResponse>(group.coordinator, request);
  if (!answer) return tl::unexpected(answer.error());
  for (const auto& topic : answer->topics) {
    for (const auto& p : topic.partitions) {
      if (p.error_code != ErrorCode::none)
        return tl::unexpected(refused("the offsets were not committed", p.error_code));
    }
  }
  return {};
}

int ways(const OffsetReset& r) {
  return r.to_earliest + r.to_latest + r.to_current + r.to_offset.has_value() + r.shift_by.has_value() +
         !r.to_datetime.empty() + !r.by_duration.empty();
}

}  // namespace

Outcome<Offsets> reset_offsets(client::Cluster& cluster, const std::string& name, const OffsetReset& reset) {
  if (ways(reset) != 1) {
    return problem(
        Exit::refused,
        "Option '[reset-offsets]' requires one and only one of the following scenarios: [to-offset], [to-datetime], "
        "[by-duration], [to-earliest], [to-latest], [shift-by], [to-current]");
  }
  const auto group = find_group(cluster, name);
  if (!group) return tl::unexpected(group.error());
  const std::string& state = group->facts.state;
  if (state != "Empty" && state != "Dead" && !state.empty()) {
    return problem(
        Exit::refused,
        fmt::format("Assignments can only be reset if the group '{}' is inactive, but the current state is {}.", name,
                    state));
  }
  const auto topics = fetch_topics(cluster, std::nullopt);
  if (!topics) return tl::unexpected(topics.error());
  const auto wanted = partitions_of(*topics, group->facts, reset);
  if (!wanted) return tl::unexpected(wanted.error());
  auto offsets = new_offsets(cluster, group->facts, *wanted, reset);
  if (!offsets || !reset.execute || offsets->empty()) return offsets;
  if (const auto done = commit(cluster, *group, *topics, *offsets); !done) return tl::unexpected(done.error());
  return offsets;
}

Outcome<std::map<TopicPartition, ErrorCode>> delete_offsets(client::Cluster& cluster, const std::string& name,
                                                            const std::vector<std::string>& texts) {
  const auto group = find_group(cluster, name);
  if (!group) return tl::unexpected(group.error());
  const auto topics = fetch_topics(cluster, std::nullopt);
  if (!topics) return tl::unexpected(topics.error());
  std::set<TopicPartition> wanted;
  for (const std::string& text : texts) {
    if (auto added = add_topic(*topics, text, wanted); !added) return tl::unexpected(added.error());
  }
  if (wanted.empty()) return problem(Exit::refused, "Option [delete-offsets] takes the following option: [topic]");
  kafka::OffsetDeleteRequest request;
  request.group_id = name;
  for (const TopicPartition& p : wanted) {
    if (request.topics.empty() || request.topics.back().name != p.topic) request.topics.emplace_back().name = p.topic;
    request.topics.back().partitions.push_back({.partition_index = p.partition.value});
  }
  const auto answer = cluster.call_on<kafka::OffsetDeleteResponse>(group->coordinator, request);
  if (!answer) return tl::unexpected(answer.error());
  if (answer->error_code != ErrorCode::none)
    return tl::unexpected(refused("the offsets were not deleted", answer->error_code));
  std::map<TopicPartition, ErrorCode> result;
  for (const auto& topic : answer->topics) {
    for (const auto& p : topic.partitions) result[{topic.name, PartitionIndex(p.partition_index)}] = p.error_code;
  }
  return result;
}

Outcome<void> delete_group(client::Cluster& cluster, const std::string& name) {
  const auto group = find_group(cluster, name);
  if (!group) return tl::unexpected(group.error());
  kafka::DeleteGroupsRequest request;
  request.groups_names = {name};
  const auto answer = cluster.call_on<kafka::DeleteGroupsResponse>(group->coordinator, request);
  if (!answer) return tl::unexpected(answer.error());
  for (const auto& result : answer->results) {
    if (result.error_code == ErrorCode::none) continue;
    const std::string what =
        result.error_code == ErrorCode::non_empty_group      ? "GroupNotEmptyException: The group is not empty."
        : result.error_code == ErrorCode::group_id_not_found ? "GroupIdNotFoundException: The group id does not exist."
                                                             : std::string(common::model::to_string(result.error_code));
    return problem(Exit::refused, "org.apache.kafka.common.errors." + what);
  }
  return {};
}

}  // namespace cli::kafka_tools
