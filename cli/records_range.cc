// naru topic offsets|trim: where partitions begin and end, and records deleted from the front.
#include <chrono>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/facts.h"
#include "cli/group_facts.h"
#include "cli/items.h"
#include "cli/json_or_null.h"
#include "cli/output.h"
#include "cli/record_text.h"
#include "cli/session.h"
#include "kafka/delete_records.h"

namespace cli {
namespace {

using common::model::ErrorCode;
using common::model::PartitionIndex;
using common::model::TopicPartition;
using Json = nlohmann::ordered_json;
using Offsets = std::map<TopicPartition, int64_t>;

constexpr std::string_view offsets_shape =
    R"([{"partition": 0, "leader": 1 or null, "start": 0 or null, "end": 0 or null, "records": 0 or null, "at": 0 or null}]
)";
constexpr std::string_view trim_shape = R"([{"name": "topic-partition", "error": "CODE" or null}]
)";

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Outcome<TopicFacts> one_topic(client::Cluster& cluster, const std::string& name) {
  Outcome<std::vector<TopicFacts>> topics = fetch_topics(cluster, std::vector{name});
  if (!topics) return tl::unexpected(topics.error());
  if (topics->front().error != ErrorCode::none)
    return tl::unexpected(refused(fmt::format("cannot read topic {}", name), topics->front().error));
  return std::move(topics->front());
}

std::vector<TopicPartition> partitions_of(const TopicFacts& topic, int only) {
  std::vector<TopicPartition> all;
  for (const PartitionFacts& p : topic.partitions) {
    if (only < 0 || only == p.index) all.push_back({topic.name, PartitionIndex(p.index)});
  }
  return all;
}

std::optional<int64_t> at(const Offsets& offsets, const TopicPartition& p) {
  const auto found = offsets.find(p);
  return found != offsets.end() ? std::optional(found->second) : std::nullopt;
}

std::string text_or_empty(const std::optional<int64_t>& value) {
  return value ? std::to_string(*value) : "";
}

struct Cut {
  TopicPartition partition;
  int64_t start = 0;
  int64_t before = 0;
};

std::string name_of(const TopicPartition& partition) {
  return fmt::format("{}-{}", partition.topic, partition.partition.value);
}

struct Plan {
  std::string topic_id;
  std::vector<Cut> cuts;
};

// An offset that a partition has not reached yet is refused, as brokers refuse it: meant for another partition, or a
// date without its dashes, it would delete everything.
Outcome<void> check_reached(const StartPosition& until, const TopicPartition& partition, int64_t end) {
  if (until.kind != StartPosition::Kind::offset || until.number <= end) return {};
  return problem(Exit::refused, fmt::format("{} ends at {}: there is no offset {} to delete records before", partition,
                                            end, until.number),
                 "-p names one partition; --before end deletes all of it");
}

// A time names the first record that stays.
Outcome<Plan> plan(client::Cluster& cluster, const TopicTrimCommand& command) {
  const Outcome<StartPosition> until = parse_from(command.before, now_ms(), "--before");
  if (!until) return tl::unexpected(until.error());
  using Kind = StartPosition::Kind;
  const Outcome<TopicFacts> topic = one_topic(cluster, command.topic);
  if (!topic) return tl::unexpected(topic.error());
  const std::vector<TopicPartition> partitions = partitions_of(*topic, command.partition);
  if (partitions.empty())
    return problem(Exit::usage, fmt::format("topic {} has no partition {}", command.topic, command.partition));
  const auto starts = fetch_offsets_at(cluster, partitions, timestamp_start);
  if (!starts) return tl::unexpected(starts.error());
  const auto ends = fetch_offsets_at(cluster, partitions, timestamp_end);
  if (!ends) return tl::unexpected(ends.error());
  Offsets by_time;
  if (until->kind == Kind::time) {
    auto found = fetch_offsets_at(cluster, partitions, until->number);
    if (!found) return tl::unexpected(found.error());
    by_time = std::move(*found);
  }
  Plan plan{.topic_id = topic->id, .cuts = {}};
  for (const TopicPartition& p : partitions) {
    const auto start = at(*starts, p);
    const auto end = at(*ends, p);
    const auto before = start && end ? offset_meant(*until, *start, *end, at(by_time, p)) : std::nullopt;
    if (!before)
      return problem(Exit::refused, fmt::format("{} has no leader that tells its offsets", p),
                     fmt::format("`naru why consume {}` says why", command.topic));
    if (const Outcome<void> reached = check_reached(*until, p, *end); !reached)
      return tl::unexpected(reached.error());
    plan.cuts.push_back({p, *start, *before});
  }
  return plan;
}

// Where they lie and who leads them now: between the plan and the answer to the question much may happen. Offsets of a
// topic that is gone say nothing about another one that has its name since.
Outcome<TopicFacts> topic_of_plan(client::Cluster& cluster, const std::string& name, const Plan& plan) {
  Outcome<TopicFacts> topic = one_topic(cluster, name);
  if (topic && topic->id != plan.topic_id)
    return problem(Exit::refused, fmt::format("topic {} is another one than a moment ago: nothing is trimmed", name));
  return topic;
}

// What a leader deletes of its partitions.
kafka::DeleteRecordsRequest request_to(int32_t leader, const TopicFacts& topic, const std::vector<Cut>& cuts) {
  kafka::DeleteRecordsRequest request;
  kafka::DeleteRecordsRequest::DeleteRecordsTopic one;
  one.name = topic.name;
  for (const PartitionFacts& p : topic.partitions) {
    for (const Cut& cut : cuts) {
      if (cut.partition.partition.value == p.index && p.leader == leader)
        one.partitions.push_back({.partition_index = p.index, .offset = cut.before});
    }
  }
  if (!one.partitions.empty()) request.topics.push_back(std::move(one));
  return request;
}

// One after the other; a leader that does not answer keeps nobody from hearing what the others have deleted.
Outcome<std::vector<ItemOutcome>> carry_out(client::Cluster& cluster, const TopicFacts& topic,
                                            const std::vector<Cut>& cuts) {
  const Outcome<ClusterFacts> facts = fetch_cluster(cluster, WithDisks::no);
  if (!facts) return tl::unexpected(facts.error());
  std::vector<ItemOutcome> items;
  for (const BrokerFacts& broker : facts->brokers) {
    kafka::DeleteRecordsRequest request = request_to(broker.id, topic, cuts);
    if (request.topics.empty()) continue;
    request.timeout_ms = static_cast<int32_t>(cluster.timeout().count());
    const auto answer = cluster.call_on<kafka::DeleteRecordsResponse>(
        client::Broker{.id = broker.id, .address = {.host = broker.host, .port = broker.port}}, request);
    if (!answer) {
      for (const auto& p : request.topics.front().partitions)
        items.push_back(unanswered("trim", fmt::format("{}-{}", topic.name, p.partition_index), answer.error()));
      continue;
    }
    for (const auto& t : answer->topics) {
      for (const auto& p : t.partitions)
        items.push_back({fmt::format("{}-{}", t.name, p.partition_index), p.error_code, ""});
    }
  }
  std::vector<std::string> asked;
  for (const Cut& cut : cuts) asked.push_back(name_of(cut.partition));
  add_unanswered(items, asked, ErrorCode::leader_not_available);  // who led it has gone meanwhile
  return items;
}

// What --at says; nothing where it says nothing.
Outcome<std::optional<StartPosition>> asked_time(const std::string& at) {
  if (at.empty()) return std::optional<StartPosition>();
  const Outcome<StartPosition> parsed = parse_from(at, now_ms(), "--at");
  if (!parsed) return tl::unexpected(parsed.error());
  if (parsed->kind != StartPosition::Kind::time) {
    return problem(Exit::usage, fmt::format("--at {}: must be a time such as 2h or @2026-11-23T12:00:00Z", at));
  }
  return std::optional(*parsed);
}

}  // namespace

Exit run(const TopicOffsetsCommand& command) {
  if (command.shared.format == Format::help) return print_out(offsets_shape) ? Exit::done : Exit::refused;
  const Outcome<std::optional<StartPosition>> when = asked_time(command.at);
  if (!when) return report(when.error());
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const Outcome<TopicFacts> topic = one_topic(*cluster, command.topic);
  if (!topic) return report(topic.error());
  const std::vector<TopicPartition> partitions = partitions_of(*topic, -1);
  const auto starts = fetch_offsets_at(*cluster, partitions, timestamp_start);
  if (!starts) return report(starts.error());
  const auto ends = fetch_offsets_at(*cluster, partitions, timestamp_end);
  if (!ends) return report(ends.error());
  Offsets at_time;
  if (*when) {
    auto found = fetch_offsets_at(*cluster, partitions, (*when)->number);
    if (!found) return report(found.error());
    at_time = std::move(*found);
  }
  Json all = Json::array();
  Table table({{"PARTITION", Align::right},
               {"LEADER", Align::right},
               {"START", Align::right},
               {"END", Align::right},
               {"RECORDS", Align::right},
               {"AT", Align::right, true}});
  for (const PartitionFacts& p : topic->partitions) {
    const TopicPartition tp{topic->name, PartitionIndex(p.index)};
    const auto start = at(*starts, tp);
    const auto end = at(*ends, tp);
    const auto there = at(at_time, tp);
    const auto records = start && end ? std::optional(*end - *start) : std::nullopt;
    all.push_back({{"partition", p.index},
                   {"leader", or_null(p.leader)},
                   {"start", or_null(start)},
                   {"end", or_null(end)},
                   {"records", or_null(records)},
                   {"at", there && *there >= 0 ? Json(*there) : Json(nullptr)}});
    table.add({std::to_string(p.index), p.leader ? std::to_string(*p.leader) : "", text_or_empty(start),
               text_or_empty(end), text_or_empty(records), there && *there >= 0 ? std::to_string(*there) : ""});
  }
  print_out(command.shared.format == Format::json ? all.dump(2) + "\n" : table.text());
  return Exit::done;
}

Exit run(const TopicTrimCommand& command) {
  if (command.shared.format == Format::help) return print_out(trim_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const Outcome<Plan> planned = plan(*cluster, command);
  if (!planned) return report(planned.error());
  const std::vector<Cut>& cuts = planned->cuts;
  int64_t records = 0;
  Table table(
      {{"PARTITION", Align::right}, {"START", Align::right}, {"THEN", Align::right}, {"DELETED", Align::right}});
  for (const Cut& cut : cuts) {
    records += cut.before - cut.start;
    table.add({std::to_string(cut.partition.partition.value), std::to_string(cut.start), std::to_string(cut.before),
               std::to_string(cut.before - cut.start)});
  }
  if (command.shared.format != Format::json && command.shared.format != Format::name) print_out(table.text());
  if (command.dry_run) {
    std::vector<ItemOutcome> items;
    for (const Cut& cut : cuts) items.push_back({name_of(cut.partition), ErrorCode::none, ""});
    return print_items(command.shared.format, "trim", "would trim", items);
  }
  if (!confirmed(command.yes, "deletes records", fmt::format("delete {} records of {}?", records, command.topic)))
    return Exit::usage;
  const Outcome<TopicFacts> topic = topic_of_plan(*cluster, command.topic, *planned);
  if (!topic) return report(topic.error());
  const Outcome<std::vector<ItemOutcome>> items = carry_out(*cluster, *topic, cuts);
  if (!items) return report(items.error());
  return print_items(command.shared.format, "trim", "trimmed", *items);
}

}  // namespace cli
