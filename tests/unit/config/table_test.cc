// The table agrees with itself: defaults fit their own bounds, synonyms exist, members are filled.
#include <catch2/catch.hpp>

#include <set>

#include "common/config/config_table.h"
#include "common/config/topic_config.h"

using namespace common::config;

namespace {
std::string refusal(std::string_view key, std::string_view value) {
  const Property* property = find_broker_property(key);
  if (property == nullptr) property = find_topic_property(key);
  REQUIRE(property != nullptr);
  const auto result = check_value(*property, value);
  return result ? std::string() : result.error().message;
}
}  // namespace

TEST_CASE("every default fits its own row") {
  for (const auto rows : {broker_properties(), topic_properties()}) {
    for (const Property& row : rows) {
      INFO(row.key);
      CHECK_FALSE(row.doc.empty());
      if (row.default_text && !row.default_text->empty()) CHECK(check_value(row, *row.default_text));
      if (row.effect == Effect::accepted) CHECK_FALSE(row.note.empty());
    }
  }
}

TEST_CASE("topic rows fall back on broker rows that exist and may change as often") {
  for (const Property& row : topic_properties()) {
    INFO(row.key);
    for (const Synonym& synonym : row.synonyms) {
      const Property* broker_row = find_broker_property(synonym.key);
      REQUIRE(broker_row != nullptr);
      INFO(synonym.key);
      // What the broker's row lets through must fit the topic's, or it would silently not count.
      if (row.min)
        CHECK((broker_row->min && *broker_row->min * (*broker_row->min < 0 ? 1 : synonym.times) >= *row.min));
      CHECK(broker_row->allowed == row.allowed);
      CHECK(broker_row->except == row.except);
    }
    if (row.effect != Effect::used) continue;
    // Those are lists of what the leaders' shards look up for themselves (replication::ThrottledReplicas).
    CHECK((!std::holds_alternative<std::monostate>(row.topic_member) ||
           row.key == "leader.replication.throttled.replicas" ||
           row.key == "follower.replication.throttled.replicas"));
  }
}

TEST_CASE("what may change while running has somewhere to go") {
  std::set<std::string_view> topic_defaults;
  for (const Property& row : topic_properties()) {
    for (const Synonym& synonym : row.synonyms) topic_defaults.insert(synonym.key);
  }
  for (const Property& row : broker_properties()) {
    if (row.effect != Effect::used || row.update == Update::at_restart) continue;
    INFO(row.key);
    CHECK((topic_defaults.contains(row.key) || !std::holds_alternative<std::monostate>(row.broker_member) ||
           row.key == "max.connections.per.ip.overrides" ||
           row.key == "follower.replication.throttled.rate"));  // the leaders look that up (follower_shares.h)
  }
}

TEST_CASE("what is without effect fills nothing") {
  const auto check = [](const Property& row) {
    if (row.effect != Effect::accepted || row.key == "replica.fetch.wait.max.ms") return;  // compared with another one
    INFO(row.key);
    CHECK(std::holds_alternative<std::monostate>(row.broker_member));
    CHECK(std::holds_alternative<std::monostate>(row.topic_member));
  };
  for (const Property& row : broker_properties()) check(row);
  for (const Property& row : topic_properties()) check(row);
}

TEST_CASE("a refusal names property, value and what is allowed") {
  CHECK(refusal("num.partitions", "0") == "num.partitions=0: must be a whole number from 1 to 2147483647");
  CHECK(refusal("num.partitions", "many") == "num.partitions=many: must be a whole number from 1 to 2147483647");
  CHECK(refusal("num.partitions", "99999999999") ==
        "num.partitions=99999999999: must be a whole number from 1 to 2147483647");
  CHECK(refusal("auto.create.topics.enable", "yes") == "auto.create.topics.enable=yes: must be true or false");
  CHECK(refusal("cleanup.policy", "compact,drop") == "cleanup.policy=compact,drop: must be a list of: compact, delete");
  CHECK(refusal("compression.type", "brotli").find("one of: uncompressed, zstd") != std::string::npos);
  CHECK(refusal("min.cleanable.dirty.ratio", "1.5") == "min.cleanable.dirty.ratio=1.5: must be a number from 0 to 1");
  CHECK(refusal("compression.gzip.level", "0") ==
        "compression.gzip.level=0: must be a whole number from -1 to 9, but not 0");
  CHECK(refusal("ssl.key.password", "secret").empty());
  CHECK(refusal("remote.storage.enable", "true") == "remote.storage.enable=true: must be only false");
}

TEST_CASE("values that are right") {
  CHECK(refusal("num.partitions", " 12 ").empty());
  CHECK(refusal("auto.create.topics.enable", "TRUE").empty());
  CHECK(refusal("cleanup.policy", "compact, delete").empty());
  CHECK(refusal("cleanup.policy", "").empty());
  CHECK(refusal("retention.ms", "-1").empty());
  for (const char* level : {"-1", "1", "9"}) CHECK(refusal("compression.gzip.level", level).empty());
  CHECK(refusal("flush.messages", "9223372036854775807").empty());
}

TEST_CASE("names: aliases and the nearest") {
  CHECK(find_broker_property("broker.id")->key == "node.id");
  CHECK(find_broker_property("listener.name.internal.ssl.keystore.location")->key == "ssl.keystore.location");
  CHECK(find_broker_property("listener.name.internal.scram-sha-256.sasl.jaas.config")->key == "sasl.jaas.config");
  CHECK(find_broker_property("retention.ms") == nullptr);
  CHECK(nearest_broker_property("num.partition") == "num.partitions");
  CHECK(nearest_broker_property("log.retention.hour") == "log.retention.hours");
  CHECK(nearest_topic_property("retention.msec") == "retention.ms");
  CHECK_FALSE(nearest_broker_property("completely.unrelated.thing.of.another.world"));
}
