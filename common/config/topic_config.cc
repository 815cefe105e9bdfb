#include "common/config/topic_config.h"

#include <algorithm>

#include "common/config/defaults.h"
#include "common/config/listeners.h"
#include "common/config/values.h"
#include "common/model/mutant.h"

namespace common::config {
namespace {

using model::ErrorCode;
using model::fail;
using model::Result;

std::optional<std::string> look(const Lookup& layer, std::string_view key) {
  return layer ? layer(key) : std::nullopt;
}

// R43, R48: leaders and the controller must agree on these, or the controller believes a replica to hold everything
// that the leader acknowledged without it. So they are the cluster's or a topic's, never one broker's (nor in KIP-966).
bool is_agreed(std::string_view key) {
  if (model::mutant<"R43-lets-one-broker-have-its-min-isr">()) return false;
  return key == "min.insync.replicas" || key == "unclean.leader.election.enable";
}

constexpr std::string_view connection_overrides = "max.connections.per.ip.overrides";

std::optional<std::string> given(const BrokerConfig* broker, std::string_view key) {
  if (broker == nullptr) return std::nullopt;
  const auto it = broker->given.find(key);
  return it == broker->given.end() ? std::nullopt : std::optional(it->second);
}

// The value of a stand-in property in the unit of the one it stands in for; -1 stays -1.
std::string scaled(const std::string& value, int64_t times) {
  const std::optional<int64_t> number = parse_integer(value);
  if (times == 1 || !number || *number < 0) return value;
  int64_t product = 0;
  if (__builtin_mul_overflow(*number, times, &product)) product = std::numeric_limits<int64_t>::max();
  return std::to_string(product);
}

int voters_of(const ConfigLayers& layers) {
  return layers.broker == nullptr ? 1 : layers.broker->configured_voters();
}

// Everything that could be the value of a topic property, the one in force first.
std::vector<SynonymValue> topic_candidates(const Property& property, const ConfigLayers& layers) {
  std::vector<SynonymValue> all;
  const auto add = [&](std::string_view name, std::optional<std::string> value, ConfigSource source) {
    if (value) value = lowered_to_limit(property, *value).value_or(*value);
    if (value && check_value(property, *value)) all.push_back({std::string(name), std::move(value), source});
  };
  add(property.key, look(layers.topic, property.key), ConfigSource::topic);
  const auto add_broker = [&](const auto& layer, ConfigSource source) {
    for (const Synonym& s : property.synonyms) {
      std::optional<std::string> value = layer(s.key);
      if (value) value = scaled(*value, s.times);
      add(s.key, std::move(value), source);
    }
  };
  if (!is_agreed(property.key)) {
    add_broker([&](std::string_view k) { return look(layers.dynamic_broker, k); }, ConfigSource::dynamic_broker);
  }
  add_broker([&](std::string_view k) { return look(layers.dynamic_default, k); }, ConfigSource::dynamic_default_broker);
  add_broker([&](std::string_view k) { return given(layers.broker, k); }, ConfigSource::static_broker);
  all.push_back({std::string(property.synonyms.empty() ? property.key : property.synonyms.front().key),
                 default_value(property, voters_of(layers)), ConfigSource::default_value});
  return all;
}

std::vector<SynonymValue> broker_candidates(const Property& property, const ConfigLayers& layers) {
  std::vector<SynonymValue> all;
  const auto add = [&](std::string_view name, std::optional<std::string> value, ConfigSource source) {
    if (value) value = lowered_to_limit(property, *value).value_or(*value);
    if (value) all.push_back({std::string(name), std::move(value), source});
  };
  if (!is_agreed(property.key)) {
    add(property.key, look(layers.dynamic_broker, property.key), ConfigSource::dynamic_broker);
  }
  add(property.key, look(layers.dynamic_default, property.key), ConfigSource::dynamic_default_broker);
  add(property.key, given(layers.broker, property.key), ConfigSource::static_broker);
  all.push_back({std::string(property.key), default_value(property, voters_of(layers)), ConfigSource::default_value});
  return all;
}

DescribedConfig described(const Property& property, std::vector<SynonymValue> candidates) {
  DescribedConfig out;
  out.name = property.key;
  out.type = property.type;
  out.sensitive = property.type == ValueType::password;
  out.documentation = property.doc;
  if (!property.note.empty()) out.documentation += fmt::format(" ({})", property.note);
  out.source = candidates.front().source;
  if (out.sensitive) {
    for (SynonymValue& s : candidates) s.value.reset();
  }
  out.value = candidates.front().value;
  out.synonyms = std::move(candidates);
  return out;
}

void set_member(TopicConfig& config, const Property& property, std::string_view value) {
  const auto number = [&] { return parse_integer(value).value_or(0); };
  std::visit(
      [&](auto member) {
        using M = decltype(member);
        if constexpr (std::is_same_v<M, bool TopicConfig::*>) {
          config.*member = parse_boolean(value).value_or(false);
        } else if constexpr (std::is_same_v<M, int32_t TopicConfig::*>) {
          config.*member = static_cast<int32_t>(number());
        } else if constexpr (std::is_same_v<M, double TopicConfig::*>) {
          config.*member = parse_real(value).value_or(0);
        } else if constexpr (std::is_same_v<M, milliseconds TopicConfig::*>) {
          config.*member = bounded_ms(number());
        } else if constexpr (std::is_same_v<M, std::optional<milliseconds> TopicConfig::*>) {
          config.*member = optional_ms(number());
        } else if constexpr (std::is_same_v<M, std::optional<int64_t> TopicConfig::*>) {
          config.*member = optional_count(number());
        } else if constexpr (std::is_same_v<M, CleanupPolicy TopicConfig::*>) {
          const std::vector<std::string> words = split_list(value);
          const auto has = [&](std::string_view w) { return std::find(words.begin(), words.end(), w) != words.end(); };
          config.*member = {.compact = has("compact"), .remove = has("delete")};
        } else if constexpr (std::is_same_v<M, CompressionType TopicConfig::*>) {
          config.*member = value == "uncompressed" ? CompressionType::uncompressed
                           : value == "gzip"       ? CompressionType::gzip
                           : value == "snappy"     ? CompressionType::snappy
                           : value == "lz4"        ? CompressionType::lz4
                           : value == "zstd"       ? CompressionType::zstd
                                                   : CompressionType::producer;
        } else if constexpr (std::is_same_v<M, TimestampType TopicConfig::*>) {
          config.*member = value == "LogAppendTime" ? TimestampType::log_append_time : TimestampType::create_time;
        }
      },
      property.topic_member);
}

std::string unknown_name(std::string_view what, std::string_view key, std::optional<std::string_view> nearest) {
  return nearest ? fmt::format("{}: no such {} configuration; the nearest is {}", key, what, *nearest)
                 : fmt::format("{}: no such {} configuration", key, what);
}

int64_t number_of(const ConfigMap& map, std::string_view key, std::string_view fallback) {
  const auto it = map.find(key);
  return parse_integer(it == map.end() ? fallback : std::string_view(it->second)).value_or(0);
}

}  // namespace

Lookup lookup_in(const ConfigMap& map) {
  return [&map](std::string_view key) -> std::optional<std::string> {
    const auto it = map.find(key);
    return it == map.end() ? std::nullopt : std::optional(it->second);
  };
}

std::optional<std::string> lowered_to_limit(const Property& property, std::string_view value) {
  if (property.key != "max.message.bytes" && property.key != "message.max.bytes") return std::nullopt;
  const std::optional<int64_t> number = parse_integer(value);
  const bool is_too_large = number && *number > *property.max && *number <= std::numeric_limits<int32_t>::max();
  return is_too_large ? std::optional(std::to_string(*property.max)) : std::nullopt;
}

TopicConfig resolve_topic(const ConfigLayers& layers) {
  TopicConfig config;
  for (const Property& property : topic_properties()) {
    if (std::holds_alternative<std::monostate>(property.topic_member)) continue;
    const std::vector<SynonymValue> candidates = topic_candidates(property, layers);
    if (candidates.front().value) set_member(config, property, trimmed(*candidates.front().value));
  }
  return config;
}

std::vector<DescribedConfig> describe_topic(const ConfigLayers& layers) {
  std::vector<DescribedConfig> all;
  for (const Property& property : topic_properties())
    all.push_back(described(property, topic_candidates(property, layers)));
  return all;
}

std::vector<DescribedConfig> describe_broker(const ConfigLayers& layers) {
  std::vector<DescribedConfig> all;
  for (const Property& property : broker_properties()) {
    all.push_back(described(property, broker_candidates(property, layers)));
    all.back().read_only = property.update == Update::at_restart;
  }
  return all;
}

std::vector<DescribedConfig> describe_dynamic_defaults(const ConfigMap& dynamic_default) {
  std::vector<DescribedConfig> all;
  for (const auto& [key, value] : dynamic_default) {
    if (const Property* property = find_broker_property(key)) {
      all.push_back(described(*property, {{key, value, ConfigSource::dynamic_default_broker}}));
      all.back().name = key;
    }
  }
  return all;
}

Result<void> check_topic_configs(const ConfigMap& overrides) {
  for (const auto& [key, value] : overrides) {
    const Property* property = find_topic_property(key);
    if (property == nullptr) {
      return fail(ErrorCode::invalid_config, unknown_name("topic", key, nearest_topic_property(key)));
    }
    if (Result<void> fits = check_value(*property, value); !fits) return fits;
  }
  return check_topic_configs_together(overrides);
}

Result<void> check_topic_configs_together(const ConfigMap& overrides) {
  const int64_t least = number_of(overrides, "min.compaction.lag.ms", "0");
  const int64_t most = number_of(overrides, "max.compaction.lag.ms", "9223372036854775807");
  if (least > most) {
    return fail(ErrorCode::invalid_config,
                fmt::format("min.compaction.lag.ms={}: must not be more than max.compaction.lag.ms={}", least, most));
  }
  return {};
}

Result<void> check_dynamic_broker_configs(const ConfigMap& values, ConfigOf whom) {
  for (const auto& [key, value] : values) {
    const Property* property = find_broker_property(key);
    if (property == nullptr) {
      return fail(ErrorCode::invalid_config, unknown_name("broker", key, nearest_broker_property(key)));
    }
    if (property->update == Update::at_restart) {
      return fail(ErrorCode::invalid_request,
                  fmt::format("{}: cannot change while brokers run; set it in the file and restart", key));
    }
    if (whom == ConfigOf::all_brokers && property->update == Update::per_broker) {
      return fail(ErrorCode::invalid_request, fmt::format("{}: is set for one broker at a time, not for all", key));
    }
    if (whom == ConfigOf::one_broker && is_agreed(key)) {
      return fail(ErrorCode::invalid_request,
                  fmt::format("{}: all brokers must agree on it; set it for the cluster or for a topic", key));
    }
    if (Result<void> fits = check_value(*property, value); !fits) return fits;
    if (key != connection_overrides) continue;
    if (const auto parsed = parse_connection_overrides(value); !parsed)
      return fail(ErrorCode::invalid_config, fmt::format("{}={}: {}", key, value, parsed.error()));
  }
  return {};
}

BrokerConfig with_dynamic(const BrokerConfig& base, const Lookup& dynamic_broker, const Lookup& dynamic_default) {
  BrokerConfig config = base;
  for (const Property& property : broker_properties()) {
    if (property.update == Update::at_restart) continue;
    std::optional<std::string> value;
    if (!is_agreed(property.key)) value = look(dynamic_broker, property.key);
    if (!value) value = look(dynamic_default, property.key);
    if (value && check_value(property, *value)) set_member(config, property, *value);
  }
  std::optional<std::string> overrides = look(dynamic_broker, connection_overrides);
  if (!overrides) overrides = look(dynamic_default, connection_overrides);
  if (auto parsed = parse_connection_overrides(overrides.value_or("")); overrides && parsed)
    config.max_connections_per_ip_overrides = std::move(*parsed);
  const Property& most = *find_broker_property("max.connections");
  for (const Listener& listener : config.listeners) {
    const std::string key = listener_property(listener.name, most.key);
    std::optional<std::string> value = look(dynamic_broker, key);
    if (!value) value = look(dynamic_default, key);
    if (value && check_value(most, *value))
      config.max_connections_of_listener[listener.name] = static_cast<int32_t>(parse_integer(*value).value_or(0));
  }
  config.topic_defaults = resolve_topic(
      {.broker = &base, .dynamic_default = dynamic_default, .dynamic_broker = dynamic_broker, .topic = {}});
  return config;
}

}  // namespace common::config
