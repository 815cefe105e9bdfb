// Every topic configuration that the reference calls used reaches the part that honours it.
#include "broker/topic_settings.h"

#include <functional>
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "broker/config_schema.h"
#include "broker/partition/topic_settings.h"
#include "common/config/config_table.h"
#include "common/config/topic_config.h"

using broker::partition::TopicSettings;
using common::config::ConfigMap;
using controller::metadata::ResourceType;
using namespace std::chrono_literals;

namespace {

struct Case {
  std::string value;
  std::function<bool(const TopicSettings&)> is_honoured;
};

const std::map<std::string, Case> cases = {
    {"cleanup.policy",
     {"compact",
      [](const TopicSettings& s) {
        return !s.log.delete_old_segments && s.log.allow_offset_gaps &&
               s.produce.keys == common::records::KeyRule::required;
      }}},
    {"file.delete.delay.ms", {"7", [](const TopicSettings& s) { return s.log.file_delete_delay == 7ms; }}},
    {"flush.messages", {"1", [](const TopicSettings& s) { return s.sync_before_ack && s.log.flush_messages == 1; }}},
    {"flush.ms", {"7", [](const TopicSettings& s) { return s.log.flush_ms == 7ms; }}},
    {"index.interval.bytes", {"7", [](const TopicSettings& s) { return s.log.index_interval_bytes == 7; }}},
    {"max.decompressed.message.bytes",
     {"7", [](const TopicSettings& s) { return s.produce.decompress.max_record_bytes == 7; }}},
    {"max.message.bytes", {"7", [](const TopicSettings& s) { return s.produce.max_batch_bytes == 7; }}},
    {"message.timestamp.after.max.ms",
     {"7", [](const TopicSettings& s) { return s.produce.timestamp_after_max_ms == 7; }}},
    {"message.timestamp.before.max.ms",
     {"7", [](const TopicSettings& s) { return s.produce.timestamp_before_max_ms == 7; }}},
    {"message.timestamp.type",
     {"LogAppendTime",
      [](const TopicSettings& s) {
        return s.log.log_append_time &&
               s.produce.timestamp_type == common::records::TimestampType::log_append_time;
      }}},
    {"min.insync.replicas", {"7", [](const TopicSettings& s) { return s.min_isr == 7; }}},
    {"retention.bytes", {"7", [](const TopicSettings& s) { return s.log.retention_bytes == 7u; }}},
    {"retention.ms", {"7", [](const TopicSettings& s) { return s.log.retention_ms == 7ms; }}},
    {"segment.bytes", {"2000000", [](const TopicSettings& s) { return s.log.segment_bytes == 2'000'000; }}},
    {"segment.index.bytes", {"8", [](const TopicSettings& s) { return s.log.segment_index_bytes == 8; }}},
    {"segment.jitter.ms", {"7", [](const TopicSettings& s) { return s.log.segment_jitter == 7ms; }}},
    {"segment.ms", {"7", [](const TopicSettings& s) { return s.log.segment_ms == 7ms; }}},
};
bool is_level(const TopicSettings& s, int level) {
  return s.cleaning->stored.compression.level == level && s.stored.compression.level == level;
}
// Of compacted topics only; codec and level of the others are the same ones.
const std::map<std::string, Case> compaction_cases = {
    {"compression.gzip.level", {"7", [](const TopicSettings& s) { return is_level(s, 7); }}},
    {"compression.lz4.level", {"7", [](const TopicSettings& s) { return is_level(s, 7); }}},
    {"compression.zstd.level", {"7", [](const TopicSettings& s) { return is_level(s, 7); }}},
    {"compression.type",
     {"zstd",
      [](const TopicSettings& s) {
        return s.cleaning->stored.codec == common::records::Codec::zstd &&
               s.stored.codec == common::records::Codec::zstd;
      }}},
    {"delete.retention.ms", {"7", [](const TopicSettings& s) { return s.cleaning->delete_retention == 7ms; }}},
    {"max.compaction.lag.ms", {"7", [](const TopicSettings& s) { return s.cleaning->max_lag == 7ms; }}},
    {"min.cleanable.dirty.ratio", {"0.25", [](const TopicSettings& s) { return s.cleaning->min_dirty_ratio == 0.25; }}},
    {"min.compaction.lag.ms", {"7", [](const TopicSettings& s) { return s.cleaning->min_lag == 7ms; }}},
};
// The controller's business (tests/scenarios/controller/unclean_election.txt), and that of the replication's leaders
// (send_throttle_test).
const std::set<std::string> elsewhere = {"follower.replication.throttled.replicas",
                                         "leader.replication.throttled.replicas", "unclean.leader.election.enable"};

TopicSettings settings_with(const ConfigMap& topic) {
  return broker::to_partition_settings(common::config::resolve_topic({.topic = common::config::lookup_in(topic)}));
}

}  // namespace

TEST_CASE("every topic configuration that is used changes what it says") {
  for (const auto& [key, one] : cases) {
    CAPTURE(key, one.value);
    REQUIRE(common::config::check_topic_configs({{key, one.value}}).has_value());
    CHECK_FALSE(one.is_honoured(settings_with({})));
    CHECK(one.is_honoured(settings_with({{key, one.value}})));
  }
}

TEST_CASE("the largest number is no limit") {
  const std::string most = "9223372036854775807";
  const auto with = [&](const char* key) { return settings_with({{key, most}, {"cleanup.policy", "compact"}}); };
  constexpr std::chrono::hours decades(24 * 365 * 50);
  CHECK(with("segment.ms").log.segment_ms > decades);
  CHECK_FALSE(with("retention.ms").log.retention_ms);
  CHECK_FALSE(with("retention.bytes").log.retention_bytes);
  CHECK_FALSE(with("flush.messages").log.flush_messages);
  CHECK_FALSE(with("flush.ms").log.flush_ms);
  CHECK_FALSE(with("max.compaction.lag.ms").cleaning->max_lag);
  CHECK(with("max.compaction.lag.ms").log.segment_ms == 168h);
  CHECK(with("delete.retention.ms").cleaning->delete_retention > decades);
  CHECK(with("min.compaction.lag.ms").cleaning->min_lag > decades);
  CHECK(with("file.delete.delay.ms").log.file_delete_delay > decades);
  CHECK(with("message.timestamp.before.max.ms").produce.timestamp_before_max_ms > 1'000'000'000'000'000);
  CHECK(with("message.timestamp.after.max.ms").produce.timestamp_after_max_ms > 1'000'000'000'000'000);
}

TEST_CASE("every configuration of compacted topics that is used changes what it says") {
  for (const auto& [key, one] : compaction_cases) {
    CAPTURE(key, one.value);
    ConfigMap topic = {{"cleanup.policy", "compact"}};
    const size_t level = key.find(".level");
    if (level != std::string::npos) topic.emplace("compression.type", key.substr(12, level - 12));
    CHECK_FALSE(one.is_honoured(settings_with(topic)));
    topic.emplace(key, one.value);
    REQUIRE(common::config::check_topic_configs(topic).has_value());
    CHECK(one.is_honoured(settings_with(topic)));
  }
}

TEST_CASE("a setting is stored in one form, however it was written (R43)") {
  const broker::TableSchema schema;
  const auto stored = [&](const char* key, const char* value) {
    REQUIRE(schema.validate({ResourceType::topic, "t"}, key, value).has_value());
    return schema.canonical(ResourceType::topic, key, value);
  };
  for (const char* one : {"1", " 1", "1\n", "+1", " +1 ", "01"}) CHECK(stored("min.insync.replicas", one) == "1");
  for (const char* yes : {"true", "TRUE", " True "}) CHECK(stored("unclean.leader.election.enable", yes) == "true");
  CHECK(stored("retention.ms", " -1") == "-1");
  CHECK(stored("cleanup.policy", " compact,delete ") == "compact,delete");
  CHECK(stored("min.cleanable.dirty.ratio", " 0.25 ") == "0.25");
}

TEST_CASE("a topic whose records may be compacted only after they must be is refused") {
  const broker::TableSchema schema;
  const controller::metadata::ConfigResource topic{ResourceType::topic, "t"};
  const auto refused =
      schema.validate_together(topic, {{"min.compaction.lag.ms", "10"}, {"max.compaction.lag.ms", "5"}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == common::model::ErrorCode::invalid_config);
  CHECK(refused.error().message == "min.compaction.lag.ms=10: must not be more than max.compaction.lag.ms=5");
  CHECK(schema.validate_together(topic, {{"min.compaction.lag.ms", "5"}, {"max.compaction.lag.ms", "5"}}));
  // Stored by a broker that allowed it: no reason to refuse what else is set.
  CHECK(schema.validate_together(topic, {{"max.message.bytes", "200000000"}}));
}

TEST_CASE("committed offsets are not left to retention (R104)") {
  const broker::TableSchema schema;
  const controller::metadata::ConfigResource offsets{ResourceType::topic, "__consumer_offsets"};
  CHECK(schema.validate_together(offsets, {{"cleanup.policy", "compact"}, {"segment.bytes", "1048576"}}));
  CHECK(schema.validate_together({ResourceType::topic, "t"}, {}));
  for (const char* policy : {"delete", "compact,delete", "delete,compact", ""}) {
    std::map<std::string, std::string, std::less<>> values{{"segment.bytes", "1048576"}};
    if (*policy != 0) values.emplace("cleanup.policy", policy);
    const auto refused = schema.validate_together(offsets, values);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == common::model::ErrorCode::invalid_config);
  }
}

TEST_CASE("no topic configuration is called used without a case here") {
  for (const common::config::Property& property : common::config::topic_properties()) {
    if (property.effect != common::config::Effect::used) continue;
    CAPTURE(property.key);
    const std::string key(property.key);
    CHECK((cases.contains(key) || compaction_cases.contains(key) || elsewhere.contains(key)));
  }
}
