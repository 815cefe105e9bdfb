// kafka-topics: list, describe, create, alter and delete topics, with TopicCommand's flags and lines.
#include <algorithm>
#include <regex>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/facts.h"
#include "cli/kafka_tools/flags.h"
#include "cli/kafka_tools/tools.h"
#include "cli/output.h"
#include "kafka/create_partitions.h"
#include "kafka/create_topics.h"
#include "kafka/delete_topics.h"
#include "kafka/describe_configs.h"

namespace cli::kafka_tools {
namespace {

using common::model::ErrorCode;

constexpr int8_t default_source = 5;
constexpr int32_t request_timeout_ms = 30'000;

struct Options {
  Target target;
  bool list = false, describe = false, create = false, alter = false, remove = false;
  std::string topic, topic_id, assignment;
  std::vector<std::string> configs;
  std::optional<int64_t> partitions, replication;
  bool if_exists = false, if_not_exists = false, without_internal = false;
  bool under_replicated = false, unavailable = false, under_min_isr = false, at_min_isr = false, with_overrides = false;
};

std::optional<Exit> parse(Options& o, int argc, const char* const* argv) {
  Flags flags("kafka-topics", "This tool helps to create, delete, describe, or change a topic.");
  o.target.add_to(flags);
  flags.toggle("--list", o.list, "List all available topics.");
  flags.toggle("--describe", o.describe, "List details for the given topics.");
  flags.toggle("--create", o.create, "Create a new topic.");
  flags.toggle("--alter", o.alter, "Alter the number of partitions.");
  flags.toggle("--delete", o.remove, "Delete a topic.");
  flags.text("--topic", o.topic, "The topic; a regular expression except for --create.");
  flags.text("--topic-id", o.topic_id, "The topic id to describe.");
  flags.texts("--config", o.configs, "A topic configuration for --create, NAME=VALUE.");
  flags.number("--partitions", o.partitions, "The number of partitions.");
  flags.number("--replication-factor", o.replication, "The number of replicas of each partition.");
  flags.text("--replica-assignment", o.assignment, "Replicas of each partition: 1:2:3,2:3:1");
  flags.toggle("--if-exists", o.if_exists, "Do nothing if the topic is missing.");
  flags.toggle("--if-not-exists", o.if_not_exists, "Do nothing if the topic is there.");
  flags.toggle("--exclude-internal", o.without_internal, "Leave out internal topics.");
  flags.toggle("--under-replicated-partitions", o.under_replicated, "Describe only under-replicated partitions.");
  flags.toggle("--unavailable-partitions", o.unavailable, "Describe only partitions without a leader.");
  flags.toggle("--under-min-isr-partitions", o.under_min_isr, "Describe only partitions below min.insync.replicas.");
  flags.toggle("--at-min-isr-partitions", o.at_min_isr, "Describe only partitions at min.insync.replicas.");
  flags.toggle("--topics-with-overrides", o.with_overrides, "Describe only topics with overridden configurations.");
  flags.ignored("--partition-size-limit-per-response");
  if (const auto over = flags.parse(argc, argv)) return over;
  if (o.list + o.describe + o.create + o.alter + o.remove != 1) {
    return fail("Command must include exactly one action: --list, --describe, --create, --alter or --delete");
  }
  if (o.target.brokers.empty()) return fail("--bootstrap-server must be specified");
  if (o.topic.empty() && (o.create || o.alter || o.remove)) return fail("Missing required argument \"[topic]\"");
  // Only --describe has it: --delete would take the topic of that id, and not the one that --topic names.
  const char* const changes = o.create ? "create" : o.alter ? "alter" : o.remove ? "delete" : nullptr;
  if (!o.topic_id.empty() && changes != nullptr)
    return fail(fmt::format("Option \"[topic-id]\" can't be used with option \"[{}]\"", changes));
  return std::nullopt;
}

// As TopicCommand says it: on standard output.
Exit refuse(const std::string& message) {
  print_out(fmt::format("Error while executing topic command : {}\n", message));
  return Exit::refused;
}
Exit refuse(const Problem& problem) {
  return refuse(problem.message);
}

// The topics that --topic names (as a whole), in the order of their names; all without it.
Outcome<std::vector<TopicFacts>> chosen(client::Cluster& cluster, const Options& o) {
  Outcome<std::vector<TopicFacts>> topics = fetch_topics(cluster, std::nullopt);
  if (!topics) return topics;
  std::regex pattern;
  try {
    pattern = std::regex(o.topic);
  } catch (const std::regex_error&) {
    return problem(Exit::refused, fmt::format("{} is an invalid regex.", o.topic));
  }
  std::erase_if(*topics, [&](const TopicFacts& topic) {
    if (o.without_internal && topic.internal) return true;
    if (!o.topic_id.empty()) return topic.id != o.topic_id;
    return !o.topic.empty() && topic.name != o.topic && !std::regex_match(topic.name, pattern);
  });
  const bool named = !o.topic.empty() || !o.topic_id.empty();
  if (named && topics->empty() && !o.if_exists && !o.list) {
    return problem(Exit::refused, o.topic_id.empty()
                                      ? fmt::format("Topic '{}' does not exist as expected", o.topic)
                                      : fmt::format("TopicId '{}' does not exist as expected", o.topic_id));
  }
  return topics;
}

// Of those that are changed, one whose name stands there letter by letter is meant alone: to Kafka's tool "a.b" is a
// regular expression even so, and --delete takes a-b and axb with it. And what all groups have committed goes only
// where it is named: --delete --topic '.*' hardly means that.
Outcome<std::vector<TopicFacts>> chosen_to_change(client::Cluster& cluster, const Options& o) {
  Outcome<std::vector<TopicFacts>> topics = chosen(cluster, o);
  if (!topics || topics->empty()) return topics;
  if (std::ranges::find(*topics, o.topic, &TopicFacts::name) != topics->end()) {
    std::erase_if(*topics, [&](const TopicFacts& topic) { return topic.name != o.topic; });
  } else if (o.remove) {
    std::erase_if(*topics, [](const TopicFacts& topic) { return topic.internal; });
    if (topics->empty())
      return problem(Exit::refused, fmt::format("Only internal topics match '{}': name the one to delete", o.topic));
  }
  return topics;
}

Exit list(client::Cluster& cluster, const Options& o) {
  const auto topics = chosen(cluster, o);
  if (!topics) return refuse(topics.error());
  for (const TopicFacts& topic : *topics) print_out(topic.name + "\n");
  return Exit::done;
}

using Settings = std::vector<kafka::DescribeConfigsResponse::DescribeConfigsResourceResult>;

Outcome<std::map<std::string, Settings>> fetch_settings(client::Cluster& cluster,
                                                        const std::vector<TopicFacts>& topics) {
  kafka::DescribeConfigsRequest request;
  for (const TopicFacts& topic : topics) {
    kafka::DescribeConfigsRequest::DescribeConfigsResource resource;
    resource.resource_type = 2;
    resource.resource_name = topic.name;
    resource.configuration_keys.reset();
    request.resources.push_back(std::move(resource));
  }
  std::map<std::string, Settings> all;
  if (topics.empty()) return all;
  auto answer = cluster.call<kafka::DescribeConfigsResponse>(request);
  if (!answer) return tl::unexpected(std::move(answer.error()));
  for (auto& result : answer->results) all[result.resource_name] = std::move(result.configs);
  return all;
}

bool is_wanted(const Options& o, const TopicFacts& topic, const PartitionFacts& p) {
  const auto least = static_cast<size_t>(topic.min_isr.value_or(1));
  if (o.under_replicated) return !p.fully_replicated();
  if (o.unavailable) return !p.led();
  if (o.under_min_isr) return !p.led() || p.isr.size() < least;
  if (o.at_min_isr) return p.led() && p.isr.size() == least;
  return true;
}

std::string heading(const TopicFacts& topic, const Settings& settings) {
  std::vector<std::string> changed;
  for (const auto& s : settings) {
    if (s.config_source != default_source) changed.push_back(fmt::format("{}={}", s.name, s.value.value_or("null")));
  }
  return fmt::format("Topic: {}\tTopicId: {}\tPartitionCount: {}\tReplicationFactor: {}\tConfigs: {}\n", topic.name,
                     topic.id, topic.partitions.size(), topic.replication(), fmt::join(changed, ","));
}

std::string line_of(const TopicFacts& topic, const PartitionFacts& p) {
  return fmt::format("\tTopic: {}\tPartition: {}\tLeader: {}\tReplicas: {}\tIsr: {}\tElr: {}\tLastKnownElr: \n",
                     topic.name, p.index, p.leader ? std::to_string(*p.leader) : "none", fmt::join(p.replicas, ","),
                     fmt::join(p.isr, ","), fmt::join(p.eligible, ","));
}

Exit describe(client::Cluster& cluster, const Options& o) {
  auto topics = chosen(cluster, o);
  if (!topics) return refuse(topics.error());
  fetch_eligible(cluster, *topics);
  fetch_min_isr(cluster, *topics);
  const auto settings = fetch_settings(cluster, *topics);
  if (!settings) return refuse(settings.error());
  const bool problems_only = o.under_replicated || o.unavailable || o.under_min_isr || o.at_min_isr;
  std::string out;
  for (const TopicFacts& topic : *topics) {
    const auto found = settings->find(topic.name);
    const Settings none;
    const Settings& own = found == settings->end() ? none : found->second;
    const bool overridden = std::ranges::any_of(own, [](const auto& s) { return s.config_source != default_source; });
    if (o.with_overrides && !overridden) continue;
    if (!problems_only) out += heading(topic, own);
    if (o.with_overrides) continue;
    for (const PartitionFacts& p : topic.partitions) {
      if (is_wanted(o, topic, p)) out += line_of(topic, p);
    }
  }
  print_out(out);
  return Exit::done;
}

// "1:2:3,2:3:1"
Outcome<std::vector<std::vector<int32_t>>> parse_assignment(const std::string& text) {
  std::vector<std::vector<int32_t>> all(1);
  std::string digits;
  for (const char c : text + ",") {
    if (c >= '0' && c <= '9' && digits.size() < 9) {
      digits += c;
      continue;
    }
    if ((c != ':' && c != ',') || digits.empty()) {
      return problem(Exit::refused, fmt::format("--replica-assignment {}: must be broker ids as in 1:2:3,2:3:1", text));
    }
    all.back().push_back(std::atoi(digits.c_str()));
    digits.clear();
    if (c == ',') all.emplace_back();
  }
  all.pop_back();
  return all;
}

Outcome<kafka::CreateTopicsRequest> creation(const Options& o) {
  kafka::CreateTopicsRequest request;
  request.timeout_ms = request_timeout_ms;
  kafka::CreateTopicsRequest::CreatableTopic topic;
  topic.name = o.topic;
  topic.num_partitions = static_cast<int32_t>(o.partitions.value_or(-1));
  topic.replication_factor = static_cast<int16_t>(o.replication.value_or(-1));
  if (!o.assignment.empty()) {
    const auto lists = parse_assignment(o.assignment);
    if (!lists) return tl::unexpected(lists.error());
    for (size_t i = 0; i < lists->size(); ++i) {
      topic.assignments.push_back({.partition_index = static_cast<int32_t>(i), .broker_ids = (*lists)[i]});
    }
    topic.num_partitions = -1;
    topic.replication_factor = -1;
  }
  for (const std::string& text : o.configs) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos)
      return problem(Exit::refused, fmt::format("--config {}: must be name=value", text));
    topic.configs.push_back({.name = text.substr(0, equals), .value = text.substr(equals + 1)});
  }
  request.topics.push_back(std::move(topic));
  return request;
}

Exit create(client::Cluster& cluster, const Options& o) {
  if (o.topic.find_first_of("._") != std::string::npos) {
    print_out(
        "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To "
        "avoid issues it is best to use either, but not both.\n");
  }
  const auto request = creation(o);
  if (!request) return refuse(request.error());
  const auto answer = cluster.call<kafka::CreateTopicsResponse>(*request);
  if (!answer) return refuse(answer.error());
  for (const auto& topic : answer->topics) {
    if (topic.error_code == ErrorCode::topic_already_exists && o.if_not_exists) continue;
    if (topic.error_code != ErrorCode::none) {
      return refuse(topic.error_message.value_or(std::string(common::model::to_string(topic.error_code))));
    }
    print_out(fmt::format("Created topic {}.\n", topic.name));
  }
  return Exit::done;
}

Exit alter(client::Cluster& cluster, const Options& o) {
  const auto topics = chosen_to_change(cluster, o);
  if (!topics) return refuse(topics.error());
  if (!o.partitions) return fail("Missing required argument \"[partitions]\"");
  kafka::CreatePartitionsRequest request;
  request.timeout_ms = request_timeout_ms;
  const auto lists = o.assignment.empty() ? std::vector<std::vector<int32_t>>() : parse_assignment(o.assignment);
  if (!lists) return refuse(lists.error());
  for (const TopicFacts& topic : *topics) {
    kafka::CreatePartitionsRequest::CreatePartitionsTopic one;
    one.name = topic.name;
    one.count = static_cast<int32_t>(*o.partitions);
    one.assignments.reset();
    if (!lists->empty()) {
      one.assignments.emplace();
      for (size_t i = topic.partitions.size(); i < lists->size(); ++i)
        one.assignments->push_back({.broker_ids = (*lists)[i]});
    }
    request.topics.push_back(std::move(one));
  }
  if (request.topics.empty()) return Exit::done;
  const auto answer = cluster.call<kafka::CreatePartitionsResponse>(request);
  if (!answer) return refuse(answer.error());
  for (const auto& result : answer->results) {
    if (result.error_code != ErrorCode::none) {
      return refuse(result.error_message.value_or(std::string(common::model::to_string(result.error_code))));
    }
  }
  return Exit::done;
}

Exit remove(client::Cluster& cluster, const Options& o) {
  const auto topics = chosen_to_change(cluster, o);
  if (!topics) return refuse(topics.error());
  kafka::DeleteTopicsRequest request;
  request.timeout_ms = request_timeout_ms;
  for (const TopicFacts& topic : *topics) {
    kafka::DeleteTopicsRequest::DeleteTopicState state;
    state.name = topic.name;
    request.topics.push_back(std::move(state));
  }
  if (request.topics.empty()) return Exit::done;
  const auto answer = cluster.call<kafka::DeleteTopicsResponse>(request);
  if (!answer) return refuse(answer.error());
  for (const auto& result : answer->responses) {
    if (result.error_code != ErrorCode::none) {
      return refuse(result.error_message.value_or(std::string(common::model::to_string(result.error_code))));
    }
  }
  return Exit::done;
}

}  // namespace

Exit topics(int argc, const char* const* argv) {
  Options o;
  if (const auto over = parse(o, argc, argv)) return *over;
  Outcome<client::Cluster> cluster = o.target.open();
  if (!cluster) return refuse(cluster.error());
  if (o.list) return list(*cluster, o);
  if (o.describe) return describe(*cluster, o);
  if (o.create) return create(*cluster, o);
  return o.alter ? alter(*cluster, o) : remove(*cluster, o);
}

}  // namespace cli::kafka_tools
