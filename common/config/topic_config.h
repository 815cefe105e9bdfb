// Which value a topic or a broker really has, and where it comes from: topic override, then dynamic values of this
// broker, then dynamic defaults of the cluster, then the file, then the built-in default. Used by whoever needs a
// TopicConfig and by the DescribeConfigs, CreateTopics and AlterConfigs handlers.
// Pure functions; thread-safe.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/config/config_table.h"

namespace common::config {

// Kafka's numbers for config sources in DescribeConfigs (v1+).
enum class ConfigSource : int8_t {
  topic = 1,
  dynamic_broker = 2,
  dynamic_default_broker = 3,
  static_broker = 4,
  default_value = 5,
};

// Looks a key up in one layer of dynamic values (the metadata image's map); an empty function is an empty layer.
using Lookup = std::function<std::optional<std::string>(std::string_view key)>;
Lookup lookup_in(const ConfigMap& map);  // the map must outlive the lookup

struct ConfigLayers {
  const BrokerConfig* broker = nullptr;  // file, environment and defaults
  Lookup dynamic_default;                // image: BROKER ""
  Lookup dynamic_broker;                 // image: BROKER "<id>"
  Lookup topic;                          // image: TOPIC name
};

struct SynonymValue {
  std::string name;
  std::optional<std::string> value;
  ConfigSource source = ConfigSource::default_value;
};

struct DescribedConfig {
  std::string name;
  std::optional<std::string> value;  // absent: null, or sensitive
  ConfigSource source = ConfigSource::default_value;
  bool read_only = false;
  bool sensitive = false;
  ValueType type = ValueType::string;
  std::string documentation;
  std::vector<SynonymValue> synonyms;  // everything that was considered, first the one in force
  [[nodiscard]] bool is_default() const { return source == ConfigSource::default_value; }
};

// Batches had no limit of their own once: a file or a stored setting that lets them be larger than they may be means
// the limit. None: `value` counts as it is.
std::optional<std::string> lowered_to_limit(const Property& property, std::string_view value);

// The effective settings of a topic. A stored value that no longer parses counts as absent (it was checked when it was
// set).
TopicConfig resolve_topic(const ConfigLayers& layers);
// All topic properties in name order, as DescribeConfigs of a TOPIC gives them.
std::vector<DescribedConfig> describe_topic(const ConfigLayers& layers);
// All broker properties in name order, as DescribeConfigs of a BROKER gives them; layers.topic is not looked at.
std::vector<DescribedConfig> describe_broker(const ConfigLayers& layers);
// What DescribeConfigs of the cluster-wide default BROKER "" gives: only what was set there.
std::vector<DescribedConfig> describe_dynamic_defaults(const ConfigMap& dynamic_default);

// Whether a set of topic overrides may be stored (CreateTopics, AlterConfigs): unknown name, bad value, cross-field
// rules. One message that names property, value and what is allowed.
model::Result<void> check_topic_configs(const ConfigMap& overrides);
// Only the cross-field rules: of all that would be set on the topic, also by others and before.
model::Result<void> check_topic_configs_together(const ConfigMap& overrides);
enum class ConfigOf { all_brokers, one_broker };
// Whether a set of dynamic broker values may be stored: known, changeable while running, value in bounds, and one that
// may be set there.
model::Result<void> check_dynamic_broker_configs(const ConfigMap& values, ConfigOf whom);

// The broker's configuration with the dynamic values on top (only those that may change while running).
BrokerConfig with_dynamic(const BrokerConfig& base, const Lookup& dynamic_broker, const Lookup& dynamic_default);

}  // namespace common::config
