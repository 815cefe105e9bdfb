// The offsets of partitions, and kafka-get-offsets, which prints them with GetOffsetShell's flags and lines.
#include "cli/kafka_tools/offsets.h"

#include <charconv>
#include <regex>

#include <fmt/format.h>

#include "cli/facts.h"
#include "cli/kafka_tools/flags.h"
#include "cli/kafka_tools/tools.h"
#include "cli/output.h"
#include "kafka/list_offsets.h"
#include "kafka/metadata.h"

namespace cli::kafka_tools {

using common::model::ErrorCode;
using common::model::PartitionIndex;

Outcome<Nodes> fetch_nodes(client::Cluster& cluster) {
  kafka::MetadataRequest request;
  request.allow_auto_topic_creation = false;
  request.topics.emplace();
  const auto answer = cluster.call<kafka::MetadataResponse>(request);
  if (!answer) return tl::unexpected(answer.error());
  Nodes nodes;
  for (const auto& b : answer->brokers) {
    nodes.brokers[b.node_id] = {b.node_id, {b.host, static_cast<uint16_t>(b.port)}};
    if (b.rack) nodes.racks[b.node_id] = *b.rack;
  }
  return nodes;
}

namespace {

using Request = kafka::ListOffsetsRequest;

Request request_for(const std::set<TopicPartition>& partitions, int64_t timestamp) {
  Request request;
  request.replica_id = -1;
  for (const TopicPartition& p : partitions) {
    if (request.topics.empty() || request.topics.back().name != p.topic) request.topics.emplace_back().name = p.topic;
    Request::ListOffsetsPartition one;
    one.partition_index = p.partition.value;
    one.timestamp = timestamp;
    request.topics.back().partitions.push_back(std::move(one));
  }
  return request;
}

}  // namespace

Outcome<std::map<TopicPartition, int64_t>> fetch_offsets(client::Cluster& cluster,
                                                         const std::set<TopicPartition>& wanted, int64_t timestamp) {
  std::map<TopicPartition, int64_t> found;
  if (wanted.empty()) return found;
  const Outcome<Nodes> nodes = fetch_nodes(cluster);
  if (!nodes) return tl::unexpected(nodes.error());
  std::set<std::string> names;
  for (const TopicPartition& p : wanted) names.insert(p.topic);
  const auto topics = fetch_topics(cluster, std::vector<std::string>(names.begin(), names.end()));
  if (!topics) return tl::unexpected(topics.error());
  std::map<int32_t, std::set<TopicPartition>> by_leader;
  for (const TopicFacts& topic : *topics) {
    for (const PartitionFacts& p : topic.partitions) {
      const TopicPartition id{topic.name, PartitionIndex(p.index)};
      if (p.leader && wanted.contains(id)) by_leader[*p.leader].insert(id);
    }
  }
  for (const auto& [leader, partitions] : by_leader) {
    const auto node = nodes->brokers.find(leader);
    if (node == nodes->brokers.end()) continue;
    const auto answer = cluster.call_on<kafka::ListOffsetsResponse>(node->second, request_for(partitions, timestamp));
    if (!answer) return tl::unexpected(answer.error());
    for (const auto& t : answer->topics) {
      for (const auto& p : t.partitions) {
        if (p.error_code == ErrorCode::none && p.offset >= 0)
          found[{t.name, PartitionIndex(p.partition_index)}] = p.offset;
      }
    }
  }
  return found;
}

namespace {

// "topic:0-3" and the like of --topic-partitions: a pattern for the topic, a range of partitions.
struct Rule {
  std::string pattern;
  int64_t from = 0;
  int64_t to = std::numeric_limits<int64_t>::max();  // behind the last
  [[nodiscard]] bool matches(const TopicPartition& p) const {
    return p.partition.value >= from && p.partition.value < to &&
           (pattern.empty() || std::regex_match(p.topic, std::regex(pattern)));
  }
};

std::optional<int64_t> number_of(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "0", "0-3" (the end is not in it), "2-", "-3"
std::optional<Rule> rule_with_range(std::string pattern, std::string_view range) {
  Rule rule{.pattern = std::move(pattern)};
  if (range.empty()) return rule;
  const size_t dash = range.find('-');
  if (dash == std::string_view::npos) {
    const auto one = number_of(range);
    if (!one) return std::nullopt;
    rule.from = *one;
    rule.to = *one + 1;
    return rule;
  }
  const auto from = dash == 0 ? std::optional<int64_t>(0) : number_of(range.substr(0, dash));
  const auto to = dash + 1 == range.size() ? std::optional(rule.to) : number_of(range.substr(dash + 1));
  if (!from || !to) return std::nullopt;
  rule.from = *from;
  rule.to = *to;
  return rule;
}

struct Options {
  Target target;
  std::string topic, topic_partitions, partitions;
  std::string time = "latest";
  bool without_internal = false;
};

Outcome<std::vector<Rule>> rules_of(const Options& o) {
  std::vector<Rule> rules;
  const auto add = [&](std::string pattern, std::string_view range) {
    auto rule = rule_with_range(std::move(pattern), range);
    if (rule) rules.push_back(std::move(*rule));
    return rule.has_value();
  };
  const std::string& list = o.topic_partitions.empty() ? o.partitions : o.topic_partitions;
  for (size_t at = 0; at < list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    const std::string entry = list.substr(at, comma - at);
    const size_t colon = entry.rfind(':');
    const bool with_topic = !o.topic_partitions.empty();
    const bool fits = with_topic
                          ? add(entry.substr(0, colon), colon == std::string::npos ? "" : entry.substr(colon + 1))
                          : add(o.topic, entry);
    if (!fits) return problem(Exit::refused, fmt::format("Invalid rule specification: {}", entry));
    at = comma + 1;
  }
  if (rules.empty()) add(o.topic, "");
  return rules;
}

std::optional<int64_t> time_of(const std::string& text) {
  if (text == "latest" || text == "-1") return latest;
  if (text == "earliest" || text == "-2") return earliest;
  if (text == "max-timestamp" || text == "-3") return -3;
  if (text == "earliest-local" || text == "-4") return -4;
  if (text == "latest-tiered" || text == "-5") return -5;
  return number_of(text);
}

Exit print_offsets(client::Cluster& cluster, const Options& o, const std::vector<Rule>& rules, int64_t time) {
  const auto topics = fetch_topics(cluster, std::nullopt);
  if (!topics) return fail("Error occurred: " + topics.error().message);
  std::set<TopicPartition> wanted;
  for (const TopicFacts& topic : *topics) {
    if (o.without_internal && topic.internal) continue;
    for (const PartitionFacts& p : topic.partitions) {
      const TopicPartition id{topic.name, PartitionIndex(p.index)};
      if (std::ranges::any_of(rules, [&](const Rule& rule) { return rule.matches(id); })) wanted.insert(id);
    }
  }
  if (wanted.empty()) return fail("Error occurred: Could not match any topic-partitions with the specified filters");
  const auto offsets = fetch_offsets(cluster, wanted, time);
  if (!offsets) return fail("Error occurred: " + offsets.error().message);
  // As GetOffsetShell sorts: by topic, then by partition; of one without an offset of that time, nothing stands behind
  // the colon.
  std::string out;
  for (const TopicPartition& p : wanted) {
    const auto found = offsets->find(p);
    out += fmt::format("{}:{}:{}\n", p.topic, p.partition.value,
                       found == offsets->end() ? std::string() : std::to_string(found->second));
  }
  print_out(out);
  return Exit::done;
}

}  // namespace

Exit get_offsets(int argc, const char* const* argv) {
  Options o;
  Flags flags("kafka-get-offsets", "An interactive shell for getting topic-partition offsets.");
  o.target.add_to(flags);
  flags.text("--topic", o.topic, "A regular expression for the topics.");
  flags.text("--topic-partitions", o.topic_partitions, "Topics with partitions: t:0-3,u:2");
  flags.text("--partitions", o.partitions, "Partitions of the topics: 0,2-4");
  flags.text("--time", o.time, "A timestamp, or latest, earliest, max-timestamp.");
  flags.toggle("--exclude-internal-topics", o.without_internal, "Leave out internal topics.");
  if (const auto over = flags.parse(argc, argv)) return *over;
  if (!o.topic_partitions.empty() && (!o.topic.empty() || !o.partitions.empty())) {
    return fail("--topic-partitions cannot be used with --topic or --partitions");
  }
  const std::optional<int64_t> time = time_of(o.time);
  if (!time) {
    return fail(
        fmt::format("Error occurred: Malformed time argument {}, please use -1 or latest / -2 or earliest / -3 or "
                    "max-timestamp / -4 or earliest-local / -5 or latest-tiered, or a specified long format timestamp",
                    o.time));
  }
  const auto rules = rules_of(o);
  if (!rules) return fail("Error occurred: " + rules.error().message);
  Outcome<client::Cluster> cluster = o.target.open();
  if (!cluster) return fail(cluster.error());
  try {
    return print_offsets(*cluster, o, *rules, *time);
  } catch (const std::regex_error&) {
    return fail("Error occurred: a topic is an invalid regex");
  }
}

}  // namespace cli::kafka_tools
