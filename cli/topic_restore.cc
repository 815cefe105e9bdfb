#include "cli/topic_restore.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/items.h"
#include "cli/json_or_null.h"
#include "cli/output.h"
#include "cli/session.h"
#include "kafka/describe_cluster.h"
#include "kafka/incremental_alter_configs.h"

namespace cli {

const std::string_view deleted_topics_shape =
    R"([{"name": "text", "id": "text", "partitions": 6, "deleted_at_ms": 1700000000000 or null, "keep_ms": 3600000,
  "left_ms": 1200000}]
)";

namespace {

using common::model::ErrorCode;
using Json = nlohmann::ordered_json;

constexpr std::string_view restored_shape = R"([{"name": "text", "error": "CODE" or null}]
)";
// Brokers mark a deleted topic by this; taking it away is asking for the topic (controller/metadata/image.h, kept_key).
constexpr std::string_view mark_key = "naru.deleted";
constexpr int8_t resource_of_topic = 2;
constexpr int8_t take_away = 1;

int64_t wall_now_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

// By the id that was looked up: what comes back is that one, or nothing.
kafka::IncrementalAlterConfigsRequest restoration_of(const std::vector<DeletedTopic>& topics, bool dry_run) {
  kafka::IncrementalAlterConfigsRequest request;
  request.validate_only = dry_run;
  for (const DeletedTopic& topic : topics) {
    auto& resource = request.resources.emplace_back();
    resource.resource_type = resource_of_topic;
    resource.resource_name = topic.name;
    auto& config = resource.configs.emplace_back();
    config.name = std::string(mark_key);
    config.config_operation = take_away;
    config.value = topic.id;
  }
  return request;
}

ItemOutcome not_kept(const std::string& name) {
  return not_done(name, {.exit = Exit::refused,
                         .message = fmt::format("cannot restore {}: no deleted topic of that name is kept", name),
                         .next_step = "`naru topic list --deleted` shows what can be restored"});
}

}  // namespace

Outcome<std::vector<DeletedTopic>> fetch_deleted_topics(client::Cluster& cluster) {
  kafka::DescribeClusterRequest request;
  request.include_kept_topics = true;
  const auto answer = cluster.call<kafka::DescribeClusterResponse>(request);
  if (!answer) return tl::unexpected(answer.error());
  if (answer->error_code != ErrorCode::none)
    return tl::unexpected(
        refused("cannot list deleted topics", answer->error_code, answer->error_message.value_or("")));
  std::vector<DeletedTopic> topics;
  for (const auto& kept : answer->kept_topics) {
    topics.push_back({.name = kept.name,
                      .id = kept.topic_id.to_string(),
                      .partitions = kept.partitions,
                      .deleted_at_ms = kept.deleted_at_ms > 0 ? std::optional(kept.deleted_at_ms) : std::nullopt,
                      .keep = std::chrono::milliseconds(kept.keep_ms)});
  }
  return topics;
}

std::chrono::milliseconds time_left(const DeletedTopic& topic, int64_t now_ms) {
  const std::chrono::milliseconds gone(topic.deleted_at_ms ? std::max<int64_t>(now_ms - *topic.deleted_at_ms, 0) : 0);
  return std::max(topic.keep - gone, std::chrono::milliseconds(0));
}

Exit list_deleted_topics(client::Cluster& cluster, const Shared& shared, const std::regex& pattern) {
  const auto topics = fetch_deleted_topics(cluster);
  if (!topics) return report(topics.error());
  const int64_t now = wall_now_ms();
  Table table({{"TOPIC"}, {"PARTITIONS", Align::right}, {"DELETED", Align::right}, {"LEFT", Align::right}});
  Json all = Json::array();
  std::string names;
  for (const DeletedTopic& topic : *topics) {
    if (!std::regex_search(topic.name, pattern)) continue;
    const auto left = time_left(topic, now);
    const auto ago = topic.deleted_at_ms
                         ? std::optional(std::chrono::milliseconds(std::max<int64_t>(now - *topic.deleted_at_ms, 0)))
                         : std::nullopt;
    table.add({topic.name, std::to_string(topic.partitions), ago ? duration_text(*ago) + " ago" : "",
               duration_text(left)});
    all.push_back({{"name", topic.name},
                   {"id", topic.id},
                   {"partitions", topic.partitions},
                   {"deleted_at_ms", or_null(topic.deleted_at_ms)},
                   {"keep_ms", topic.keep.count()},
                   {"left_ms", left.count()}});
    names += topic.name + "\n";
  }
  print_out(shared.format == Format::json   ? all.dump(2) + "\n"
            : shared.format == Format::name ? names
                                            : table.text());
  return Exit::done;
}

Exit run(const TopicRestoreCommand& command) {
  if (command.shared.format == Format::help) return print_out(restored_shape) ? Exit::done : Exit::refused;
  Outcome<client::Cluster> cluster = open_cluster(command.shared);
  if (!cluster) return report(cluster.error());
  const auto kept = fetch_deleted_topics(*cluster);
  if (!kept) return report(kept.error());
  std::vector<DeletedTopic> wanted;
  std::vector<ItemOutcome> items;
  for (const std::string& name : command.names) {
    const auto found = std::ranges::find(*kept, name, &DeletedTopic::name);
    if (found == kept->end()) {
      items.push_back(not_kept(name));
    } else if (std::ranges::find(wanted, name, &DeletedTopic::name) == wanted.end()) {
      wanted.push_back(*found);
    }
  }
  if (!wanted.empty()) {
    const auto answer =
        cluster->call<kafka::IncrementalAlterConfigsResponse>(restoration_of(wanted, command.dry_run));
    if (!answer) return report(answer.error());
    for (const auto& r : answer->responses)
      items.push_back({r.resource_name, r.error_code, r.error_message.value_or("")});
  }
  return print_items(command.shared.format, "restore", command.dry_run ? "would restore" : "restored", items);
}

}  // namespace cli
