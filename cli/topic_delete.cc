// naru topic delete: what would be lost, the question, and the deletion.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/facts.h"
#include "cli/group_facts.h"
#include "cli/items.h"
#include "cli/output.h"
#include "cli/session.h"
#include "kafka/delete_topics.h"
#include "kafka/describe_log_dirs.h"

namespace cli {
namespace {

using common::model::ErrorCode;
using common::model::PartitionIndex;
using common::model::TopicPartition;

constexpr std::string_view deletion_shape = R"([{"name": "text", "error": "CODE" or null}]
)";

// Of one topic. What could not be learnt is absent: a deletion does not fail for that.
struct Loss {
  std::optional<int64_t> records;
  std::optional<int64_t> bytes;  // of all replicas
  bool has_more_bytes = false;   // on brokers that did not tell
  std::optional<std::vector<std::string>> readers;
};
using Losses = std::map<std::string, Loss>;

void add_records(client::Cluster& cluster, const std::vector<TopicFacts>& topics, Losses& losses) {
  std::vector<TopicPartition> partitions;
  for (const TopicFacts& topic : topics) {
    for (const PartitionFacts& p : topic.partitions) partitions.push_back({topic.name, PartitionIndex(p.index)});
  }
  const auto starts = fetch_offsets_at(cluster, partitions, timestamp_start);
  const auto ends = fetch_offsets_at(cluster, partitions, timestamp_end);
  if (!starts || !ends) return;
  std::set<std::string> incomplete;  // a sum over some of the partitions would be less than what is lost
  for (const TopicPartition& partition : partitions) {
    const auto start = starts->find(partition);
    const auto end = ends->find(partition);
    Loss& loss = losses[partition.topic];
    if (start == starts->end() || end == ends->end()) {
      incomplete.insert(partition.topic);
    } else {
      loss.records = loss.records.value_or(0) + std::max<int64_t>(0, end->second - start->second);
    }
  }
  for (const std::string& topic : incomplete) losses[topic].records.reset();
}

bool has_replicas_beside(const TopicFacts& topic, const std::set<int32_t>& brokers) {
  return std::ranges::any_of(topic.partitions, [&](const PartitionFacts& p) {
    return std::ranges::any_of(p.replicas, [&](int32_t id) { return !brokers.contains(id); });
  });
}

void add_bytes(client::Cluster& cluster, const std::vector<TopicFacts>& topics, Losses& losses) {
  const Outcome<ClusterFacts> facts = fetch_cluster(cluster, WithDisks::no);
  if (!facts) return;
  kafka::DescribeLogDirsRequest request;
  request.topics.reset();
  std::set<int32_t> asked;
  for (const BrokerFacts& broker : facts->brokers) {
    if (broker.fenced) continue;
    const auto answer = cluster.call_on<kafka::DescribeLogDirsResponse>(
        client::Broker{.id = broker.id, .address = {.host = broker.host, .port = broker.port}}, request);
    if (!answer) continue;
    asked.insert(broker.id);
    for (const auto& dir : answer->results) {
      for (const auto& topic : dir.topics) {
        const auto found = losses.find(topic.name);
        if (found == losses.end()) continue;
        for (const auto& p : topic.partitions) found->second.bytes = found->second.bytes.value_or(0) + p.partition_size;
      }
    }
  }
  for (const TopicFacts& topic : topics) {
    if (has_replicas_beside(topic, asked)) losses[topic.name].has_more_bytes = true;
  }
}

void add_readers(client::Cluster& cluster, Losses& losses) {
  const auto names = fetch_group_names(cluster);
  if (!names) return;
  const auto groups = fetch_groups(cluster, *names);
  if (!groups) return;
  const auto is_told = [](const GroupFacts& group) {
    return group.error == ErrorCode::none || group.error == ErrorCode::group_id_not_found;
  };
  if (!std::ranges::all_of(*groups, is_told)) return;  // "read by no group" would be a guess
  for (auto& [topic, loss] : losses) {
    const auto is_of_it = [&](const TopicPartition& p) { return p.topic == topic; };
    loss.readers.emplace();
    for (const GroupFacts& group : *groups) {
      const bool has_read = std::ranges::any_of(
          group.offsets, [&](const GroupOffset& offset) { return offset.committed && is_of_it(offset.partition); });
      const bool reads = std::ranges::any_of(
          group.members, [&](const MemberFacts& member) { return std::ranges::any_of(member.assigned, is_of_it); });
      if (has_read || reads) loss.readers->push_back(group.name);
    }
  }
}

// "orders: 24 records, 1.2 KiB on all replicas, read by g1, g2", a line for each that is there.
std::string losses_text(const Losses& losses) {
  constexpr size_t named_max = 5;
  std::string all;
  for (const auto& [topic, loss] : losses) {
    std::vector<std::string> parts;
    if (loss.records) parts.push_back(fmt::format("{} records", *loss.records));
    if (loss.bytes)
      parts.push_back(
          fmt::format("{}{} on all replicas", loss.has_more_bytes ? "at least " : "", bytes_text(*loss.bytes)));
    if (loss.readers && loss.readers->empty()) parts.emplace_back("read by no group");
    if (loss.readers && !loss.readers->empty()) {
      const std::vector<std::string>& readers = *loss.readers;
      const size_t named = std::min(readers.size(), named_max);
      std::string by = fmt::format("read by {}", fmt::join(readers.begin(), readers.begin() + ptrdiff_t(named), ", "));
      if (readers.size() > named) by += fmt::format(" and {} more groups", readers.size() - named);
      parts.push_back(std::move(by));
    }
    if (!parts.empty()) all += fmt::format("{}: {}\n", topic, fmt::join(parts, ", "));
  }
  return all;
}

// To standard error, whatever can be learnt.
void tell_losses(client::Cluster& cluster, const std::vector<TopicFacts>& topics) {
  Losses losses;
  for (const TopicFacts& topic : topics) {
    if (topic.error == ErrorCode::none) losses[topic.name];
  }
  if (losses.empty()) return;
  add_records(cluster, topics, losses);
  add_bytes(cluster, topics, losses);
  add_readers(cluster, losses);
  fmt::print(stderr, "{}", losses_text(losses));
}

using Request = kafka::DeleteTopicsRequest;

// By id where the topic is known: what goes is the topic that was shown, not one that somebody, or a client that makes
// topics by itself, has made under its name while the question stood there or an answer was lost.
Request request_for(const std::vector<std::string>& names, const std::vector<TopicFacts>& topics) {
  Request request;
  for (const std::string& name : names) {
    Request::DeleteTopicState& state = request.topics.emplace_back();
    const auto known = std::ranges::find(topics, name, &TopicFacts::name);
    const auto id = known == topics.end() ? std::nullopt : common::model::Uuid::parse(known->id);
    state.name = id ? std::nullopt : std::optional(name);
    state.topic_id = id.value_or(common::model::Uuid{});
  }
  return request;
}

struct Deletion {
  std::vector<ItemOutcome> items;
  std::vector<std::string> kept;           // can be restored
  std::chrono::milliseconds kept_time{0};  // the shortest
};

void add_kept(Deletion& deletion, const std::string& name, int64_t kept_ms) {
  const std::chrono::milliseconds time(kept_ms);
  if (kept_ms <= 0) return;
  deletion.kept_time = deletion.kept.empty() ? time : std::min(deletion.kept_time, time);
  deletion.kept.push_back(name);
}

Outcome<Deletion> ask_for(client::Cluster& cluster, const TopicDeleteCommand& command,
                          const std::vector<TopicFacts>& topics) {
  const std::vector<std::string>& names = command.names;
  Request request = request_for(names, topics);
  request.keep_ms = command.keep.count();
  request.timeout_ms = static_cast<int32_t>(cluster.timeout().count());
  auto answer = cluster.call<kafka::DeleteTopicsResponse>(request);
  if (!answer && answer.error().exit == Exit::usage) {
    // Before version 6 the request carries plain names, and the codec refuses to drop the newer list.
    request.topics.clear();
    request.topic_names = names;
    answer = cluster.call<kafka::DeleteTopicsResponse>(request);
  }
  if (!answer) return tl::unexpected(answer.error());
  Deletion deletion;
  for (const auto& result : answer->responses) {
    const auto asked = std::ranges::find(topics, result.topic_id.to_string(), &TopicFacts::id);
    const std::string name = asked == topics.end() ? result.name.value_or("") : asked->name;
    const bool is_gone = result.error_code == ErrorCode::unknown_topic_id;
    deletion.items.push_back(
        {name, result.error_code, is_gone ? "it was deleted meanwhile" : result.error_message.value_or("")});
    if (result.error_code == ErrorCode::none) add_kept(deletion, name, result.kept_ms);
  }
  add_unanswered(deletion.items, names, ErrorCode::unknown_server_error);
  return deletion;
}

Exit show_deletion(client::Cluster& cluster, const TopicDeleteCommand& command) {
  const Outcome<std::vector<TopicFacts>> topics = fetch_topics(cluster, command.names);
  if (!topics) return report(topics.error());
  if (!command.shared.quiet) tell_losses(cluster, *topics);
  std::vector<ItemOutcome> items;
  for (const TopicFacts& topic : *topics) items.push_back({topic.name, topic.error, ""});
  return print_items(command.shared.format, "delete topic", "would delete", items);
}

}  // namespace

Exit run(const TopicDeleteCommand& command) {
  if (command.shared.format == Format::help) return print_out(deletion_shape) ? Exit::done : Exit::refused;
  const std::string question = fmt::format("delete {} with all records?", fmt::join(command.names, ", "));
  const bool asks = !command.yes && is_terminal(STDIN_FILENO);
  if (!command.dry_run && !asks && !confirmed(command.yes, "deletes", question)) return Exit::usage;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  if (command.dry_run) return show_deletion(*cluster, command);
  const Outcome<std::vector<TopicFacts>> topics = fetch_topics(*cluster, command.names);
  if (!topics) return report(topics.error());
  if (asks) {
    tell_losses(*cluster, *topics);
    if (!confirmed(command.yes, "deletes", question)) return Exit::usage;
  }
  const auto answer = ask_for(*cluster, command, *topics);
  if (!answer) return report(answer.error());
  const Exit exit = print_items(command.shared.format, "delete topic", "deleted", answer->items);
  if (!answer->kept.empty() && !command.shared.quiet) {
    fmt::print(stderr, "for {}, `naru topic restore {}` brings back what was deleted; until then it takes its space\n",
               duration_text(answer->kept_time), fmt::join(answer->kept, " "));
  }
  return exit;
}

}  // namespace cli
