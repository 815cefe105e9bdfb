#include "cli/kafka_tools/group_changes.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <regex>

#include <fmt/format.h>
#include <fmt/ranges.h>

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

// "t:0,1,2" to partitions; there need be none such.
Outcome<void> add_listed(const std::string& text, std::set<TopicPartition>& into) {
  const size_t colon = text.find(':');
  if (colon == 0 || colon + 1 == text.size() || text.find(':', colon + 1) != std::string::npos)
    return problem(Exit::usage, fmt::format("Invalid topic arg '{}', expected topic name and partitions", text));
  for (size_t at = colon + 1; at < text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    const std::string number = text.substr(at, comma - at);
    const std::string_view digits = std::string_view(number).substr(number.starts_with('-') ? 1 : 0);
    if (digits.empty() || digits.size() > 9 ||
        !std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; }))
      return problem(Exit::usage, fmt::format("Invalid partition '{}' specified in topic arg '{}''", number, text));
    into.insert({text.substr(0, colon), PartitionIndex(std::atoi(number.c_str()))});
    at = comma + 1;
  }
  return {};
}

struct Wanted {
  std::set<TopicPartition> partitions;
  std::vector<std::string> unknown_topics;  // of those named without partitions
};

Outcome<Wanted> wanted_of(const std::vector<TopicFacts>& topics, const std::vector<std::string>& texts) {
  Wanted wanted;
  for (const std::string& text : texts) {
    if (text.find(':') != std::string::npos) {
      if (auto added = add_listed(text, wanted.partitions); !added) return tl::unexpected(added.error());
      continue;
    }
    const auto topic = std::ranges::find(topics, text, &TopicFacts::name);
    if (topic == topics.end() || topic->error != ErrorCode::none) {
      wanted.unknown_topics.push_back(text);
      continue;
    }
    for (const PartitionFacts& p : topic->partitions) wanted.partitions.insert({text, PartitionIndex(p.index)});
  }
  return wanted;
}

// Every partition exists and has a leader, or nothing is reset.
Outcome<void> check_all_valid(const std::vector<TopicFacts>& topics, const std::set<TopicPartition>& wanted) {
  std::vector<std::string> missing;
  std::vector<std::string> leaderless;
  for (const TopicPartition& wish : wanted) {
    const std::string name = fmt::format("{}-{}", wish.topic, wish.partition.value);
    const auto topic = std::ranges::find(topics, wish.topic, &TopicFacts::name);
    if (topic == topics.end() || topic->error != ErrorCode::none)
      return problem(Exit::refused, "java.util.concurrent.ExecutionException: " +
                                        exception_text(ErrorCode::unknown_topic_or_partition));
    const auto found = std::ranges::find(topic->partitions, wish.partition.value, &PartitionFacts::index);
    if (found == topic->partitions.end()) {
      missing.push_back(name);
    } else if (!found->led()) {
      leaderless.push_back(name);
    }
  }
  if (!missing.empty())
    return problem(Exit::refused, fmt::format("The partitions \"{}\" do not exist", fmt::join(missing, ",")));
  if (!leaderless.empty())
    return problem(Exit::refused, fmt::format("The partitions \"{}\" have no leader", fmt::join(leaderless, ",")));
  return {};
}

Outcome<std::set<TopicPartition>> partitions_of(const std::vector<TopicFacts>& topics, const GroupFacts& group,
                                                const OffsetReset& reset) {
  if (reset.all_topics) {
    std::set<TopicPartition> committed;
    for (const GroupOffset& offset : group.offsets) committed.insert(offset.partition);
    return committed;
  }
  if (reset.topics.empty())
    return problem(Exit::usage, "One of the reset scopes should be defined: --all-topics, --topic.");
  auto wanted = wanted_of(topics, reset.topics);
  if (!wanted) return tl::unexpected(wanted.error());
  if (!wanted->unknown_topics.empty())
    return problem(Exit::refused, std::string(exception_message(ErrorCode::unknown_topic_or_partition)));
  return std::move(wanted->partitions);
}

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// "2026-11-28T12:00:00.000", with Z or +HH:MM behind it; without, it is UTC as in Kafka.
Outcome<int64_t> parse_datetime(const std::string& text) {
  static const std::regex form(R"((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d{1,3})?(Z|[+-]\d{2}(:?\d{2})?)?)");
  const std::string wrong = "java.text.ParseException: ";
  const size_t time_part = text.find('T');
  if (time_part == std::string::npos || time_part + 1 == text.size()) {
    return problem(Exit::refused,
                   wrong + "Error parsing timestamp. It does not contain a 'T' according to ISO8601 format");
  }
  std::smatch found;
  std::tm time{};
  if (!std::regex_match(text, found, form) ||
      ::strptime(found[1].str().c_str(), "%Y-%m-%dT%H:%M:%S", &time) == nullptr) {
    const bool zoned = text.find_first_of("+-Z", time_part) != std::string::npos;
    return problem(Exit::refused, fmt::format("{}Unparseable date: \"{}{}\"", wrong, text, zoned ? "" : "Z"));
  }
  int64_t seconds = ::timegm(&time);
  const std::string zone = found[3];
  if (zone.size() > 1) {
    const int minutes = found[4].matched ? std::atoi(zone.substr(zone.size() - 2).c_str()) : 0;
    const int64_t shift = std::atoi(zone.substr(1, 2).c_str()) * 3600 + minutes * 60;
    seconds -= zone.front() == '-' ? -shift : shift;
  }
  const std::string fraction = found[2].length() > 1 ? (found[2].str().substr(1) + "00").substr(0, 3) : "0";
  return seconds * 1000 + std::atoi(fraction.c_str());
}

// "P1DT2H3M4S"
Outcome<int64_t> parse_duration(const std::string& text) {
  static const std::regex form(R"(P(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})(?:\.\d+)?S)?)?)");
  std::smatch found;
  if (!std::regex_match(text, found, form) || text.size() < 3) {
    return problem(Exit::refused, "Text cannot be parsed to a Duration");
  }
  const auto part = [&](int i) { return found[i].matched ? std::atoll(found[i].str().c_str()) : 0; };
  return (((part(1) * 24 + part(2)) * 60 + part(3)) * 60 + part(4)) * 1000;
}

using Offsets = std::map<TopicPartition, int64_t>;

std::optional<int64_t> committed_of(const GroupFacts& group, const TopicPartition& p) {
  const auto found = std::ranges::find(group.offsets, p, &GroupOffset::partition);
  return found == group.offsets.end() ? std::nullopt : found->committed;
}

Outcome<ResetOffsets> offsets_at(client::Cluster& cluster, const std::set<TopicPartition>& wanted, int64_t timestamp,
                                 const Offsets& ends) {
  const auto found = fetch_offsets_at(cluster, {wanted.begin(), wanted.end()}, timestamp);
  if (!found) return tl::unexpected(found.error());
  ResetOffsets result;
  for (const TopicPartition& p : wanted) {
    const auto at = found->find(p);
    if (at == found->end()) {  // not asked or not answered: that it has no record so young is not known
      return problem(Exit::refused, fmt::format("Error getting offset by timestamp of topic partition: {}-{}", p.topic,
                                                p.partition.value));
    }
    const bool is_there = at->second >= 0;
    result.offsets[p] = is_there ? at->second : ends.at(p);
    if (!is_there) result.at_end.push_back(p);
  }
  return result;
}

// All of them, or nothing is reset.
Outcome<Offsets> all_offsets(client::Cluster& cluster, const std::set<TopicPartition>& wanted, int64_t timestamp,
                             std::string_view which) {
  auto found = fetch_offsets(cluster, wanted, timestamp);
  if (!found) return tl::unexpected(found.error());
  for (const TopicPartition& p : wanted) {
    if (!found->contains(p)) {
      return problem(Exit::refused, fmt::format("Error getting {} offset of topic partition: {}-{}", which, p.topic,
                                                p.partition.value));
    }
  }
  return std::move(*found);
}

Outcome<ResetOffsets> new_offsets(client::Cluster& cluster, const GroupFacts& group,
                                  const std::set<TopicPartition>& wanted, const OffsetReset& reset) {
  const auto starts = all_offsets(cluster, wanted, earliest, "starting");
  if (!starts) return tl::unexpected(starts.error());
  const auto ends = all_offsets(cluster, wanted, latest, "ending");
  if (!ends) return tl::unexpected(ends.error());
  if (reset.to_latest) return ResetOffsets{.offsets = *ends, .at_end = {}};
  if (reset.to_earliest) return ResetOffsets{.offsets = *starts, .at_end = {}};
  if (!reset.to_datetime.empty() || !reset.by_duration.empty()) {
    const auto time = reset.to_datetime.empty() ? parse_duration(reset.by_duration) : parse_datetime(reset.to_datetime);
    if (!time) return tl::unexpected(time.error());
    return offsets_at(cluster, wanted, reset.to_datetime.empty() ? now_ms() - *time : *time, *ends);
  }
  ResetOffsets result;
  for (const TopicPartition& p : wanted) {
    const auto current = committed_of(group, p);
    if (reset.shift_by && !current) {
      return problem(Exit::usage,
                     fmt::format("Cannot shift offset for partition {}-{} since there is no current committed offset",
                                 p.topic, p.partition.value));
    }
    const int64_t start = starts->at(p);
    const int64_t end = ends->at(p);
    if (reset.to_current) {
      result.offsets[p] = current.value_or(end);  // wherever it is: as Kafka, not brought within the log
    } else {
      result.offsets[p] = std::clamp(reset.to_offset ? *reset.to_offset : *current + *reset.shift_by, start, end);
    }
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
      if (p.error_code != ErrorCode::none) return problem(Exit::refused, std::string(exception_message(p.error_code)));
    }
  }
  return {};
}

int ways(const OffsetReset& r) {
  return r.to_earliest + r.to_latest + r.to_current + r.to_offset.has_value() + r.shift_by.has_value() +
         !r.to_datetime.empty() + !r.by_duration.empty();
}

}  // namespace

Outcome<void> may_be_reset(const GroupFacts& group) {
  // A group of which nothing was learnt looks like one that has committed nothing, and --to-current takes such a one to
  // the end of each partition.
  if (group.error != ErrorCode::none && group.error != ErrorCode::group_id_not_found) {
    const std::string_view why = group.error_message;
    return problem(Exit::refused, why.empty() ? exception_text(group.error)
                                              : fmt::format("{}: {}", exception_name(group.error), why));
  }
  const std::string& state = group.state;
  if (state == "Empty" || state == "Dead" || state.empty()) return {};
  return problem(
      Exit::partly,
      fmt::format("Assignments can only be reset if the group '{}' is inactive, but the current state is {}.",
                  group.name, state));
}

Outcome<ResetOffsets> reset_offsets(client::Cluster& cluster, const std::string& name, const OffsetReset& reset) {
  const auto group = find_group(cluster, name);
  if (!group) return tl::unexpected(group.error());
  if (const auto may_be = may_be_reset(group->facts); !may_be) return tl::unexpected(may_be.error());
  const auto topics = fetch_topics(cluster, std::nullopt);
  if (!topics) return tl::unexpected(topics.error());
  const auto wanted = partitions_of(*topics, group->facts, reset);
  if (!wanted) return tl::unexpected(wanted.error());
  if (const auto valid = check_all_valid(*topics, *wanted); !valid) return tl::unexpected(valid.error());
  if (ways(reset) == 0) {
    return problem(Exit::usage,
                   "Option '[reset-offsets]' requires one of the following scenarios: [[to-latest], [by-duration], "
                   "[to-datetime], [from-file], [shift-by], [to-offset], [to-earliest], [to-current]]");
  }
  auto result = new_offsets(cluster, group->facts, *wanted, reset);
  if (!result || !reset.execute || result->offsets.empty()) return result;
  if (const auto done = commit(cluster, *group, *topics, result->offsets); !done) return tl::unexpected(done.error());
  return result;
}

Outcome<DeletedOffsets> delete_offsets(client::Cluster& cluster, const std::string& name,
                                       const std::vector<std::string>& texts) {
  const auto topics = fetch_topics(cluster, std::nullopt);
  if (!topics) return tl::unexpected(topics.error());
  auto wanted = wanted_of(*topics, texts);
  if (!wanted) return tl::unexpected(wanted.error());
  const auto group = find_group(cluster, name);
  if (!group) return tl::unexpected(group.error());
  kafka::OffsetDeleteRequest request;
  request.group_id = name;
  for (const TopicPartition& p : wanted->partitions) {
    if (request.topics.empty() || request.topics.back().name != p.topic) request.topics.emplace_back().name = p.topic;
    request.topics.back().partitions.push_back({.partition_index = p.partition.value});
  }
  const auto answer = cluster.call_on<kafka::OffsetDeleteResponse>(group->coordinator, request);
  if (!answer) return tl::unexpected(answer.error());
  DeletedOffsets result{
      .group_error = answer->error_code, .partitions = {}, .unknown_topics = std::move(wanted->unknown_topics)};
  // What is not answered is not known to be deleted.
  const ErrorCode of_all = answer->error_code != ErrorCode::none ? answer->error_code : ErrorCode::unknown_server_error;
  for (const TopicPartition& p : wanted->partitions) result.partitions[p] = of_all;
  for (const auto& topic : answer->topics) {
    for (const auto& p : topic.partitions)
      result.partitions[{topic.name, PartitionIndex(p.partition_index)}] = p.error_code;
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
    if (result.error_code != ErrorCode::none) return problem(Exit::refused, exception_text(result.error_code));
  }
  return {};
}

namespace {

struct JavaError {
  ErrorCode code;
  std::string_view name;
  std::string_view message;
};
constexpr JavaError java_errors[] = {
    {ErrorCode::unknown_topic_or_partition, "UnknownTopicOrPartitionException",
     "This server does not host this topic-partition."},
    {ErrorCode::invalid_group_id, "InvalidGroupIdException", "The group id is invalid."},
    {ErrorCode::unknown_member_id, "UnknownMemberIdException", "The coordinator is not aware of this member."},
    {ErrorCode::non_empty_group, "GroupNotEmptyException", "The group is not empty."},
    {ErrorCode::group_id_not_found, "GroupIdNotFoundException", "The group id does not exist."},
    {ErrorCode::group_subscribed_to_topic, "GroupSubscribedToTopicException",
     "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it."}};

const JavaError* java_error(ErrorCode code) {
  const auto* found = std::ranges::find(java_errors, code, &JavaError::code);
  return found == std::end(java_errors) ? nullptr : found;
}

}  // namespace

std::string exception_name(ErrorCode code) {
  const JavaError* known = java_error(code);
  return fmt::format("org.apache.kafka.common.errors.{}",
                     known == nullptr ? std::string_view(common::model::to_string(code)) : known->name);
}
std::string_view exception_message(ErrorCode code) {
  const JavaError* known = java_error(code);
  return known == nullptr ? std::string_view(common::model::to_string(code)) : known->message;
}
std::string exception_text(ErrorCode code) {
  const JavaError* known = java_error(code);
  return known == nullptr ? exception_name(code) : fmt::format("{}: {}", exception_name(code), known->message);
}

}  // namespace cli::kafka_tools
