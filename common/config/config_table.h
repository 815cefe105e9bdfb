// Every property that a broker or a topic knows, one row each: Kafka's key, type, default, bounds, whether it can
// change while running, what it means, and which member it fills. --help, docs/configuration.md, DescribeConfigs, the
// parser and AlterConfigs all read these rows. Immutable; thread-safe.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/config/config.h"
#include "common/model/result.h"

namespace common::config {

// Kafka's numbers for ConfigEntry types in DescribeConfigs.
enum class ValueType : int8_t {
  boolean = 1,
  string = 2,
  int32 = 3,
  int16 = 4,
  int64 = 5,
  real = 6,
  list = 7,
  klass = 8,
  password = 9
};

// When a change takes effect.
enum class Update { at_restart, per_broker, cluster_wide };

enum class Effect {
  used,      // does what Kafka's property of that name does
  accepted,  // stored and described, without effect here (`note` says why)
};

using BrokerMember =
    std::variant<std::monostate, bool BrokerConfig::*, int16_t BrokerConfig::*, int32_t BrokerConfig::*,
                 int64_t BrokerConfig::*, milliseconds BrokerConfig::*, seconds BrokerConfig::*,
                 std::optional<milliseconds> BrokerConfig::*, std::optional<int32_t> BrokerConfig::*,
                 double BrokerConfig::*, std::string BrokerConfig::*, std::optional<std::string> BrokerConfig::*>;
using TopicMember = std::variant<std::monostate, bool TopicConfig::*, int32_t TopicConfig::*, double TopicConfig::*,
                                 milliseconds TopicConfig::*, std::optional<milliseconds> TopicConfig::*,
                                 std::optional<int64_t> TopicConfig::*, CleanupPolicy TopicConfig::*,
                                 CompressionType TopicConfig::*, TimestampType TopicConfig::*>;

// Another property that stands in when this one is not set; its number is multiplied by `times` (hours -> ms).
struct Synonym {
  std::string_view key;
  int64_t times = 1;
};

struct Property {
  std::string_view key;
  ValueType type = ValueType::string;
  std::optional<std::string_view> default_text;  // absent: null
  std::optional<int64_t> min;
  std::optional<int64_t> max;
  std::optional<int64_t> except;  // within the bounds, and not allowed all the same
  std::string_view allowed;       // "a, b, c"; empty: anything
  Update update = Update::at_restart;
  Effect effect = Effect::used;
  std::string_view doc;
  std::string_view note;  // why without effect, or where our default differs from Kafka's
  BrokerMember broker_member;
  TopicMember topic_member;
  std::vector<Synonym> synonyms;  // of a topic property: the broker properties it falls back on, in order
};

std::span<const Property> broker_properties();
std::span<const Property> topic_properties();
// nullptr: no such property. broker.id is found as node.id's older name, listener.name.X.Y as Y.
const Property* find_broker_property(std::string_view key);
const Property* find_topic_property(std::string_view key);
// The known name that looks most like a misspelt one, if any is near.
std::optional<std::string_view> nearest_broker_property(std::string_view key);
std::optional<std::string_view> nearest_topic_property(std::string_view key);

// What a value may be, in words: "a whole number, at least 1", "one of: compact, delete".
std::string allowed_text(const Property& property);
// Whether `value` may be given to `property`: type, bounds, allowed words. The message names property, value and what
// is allowed; the code is INVALID_CONFIG.
model::Result<void> check_value(const Property& property, std::string_view value);

}  // namespace common::config
