#include "broker/config_schema.h"

#include <fmt/format.h>

#include "broker/group/service/group_service.h"
#include "common/config/config_table.h"
#include "common/config/topic_config.h"
#include "common/config/values.h"

namespace broker {

namespace metadata = controller::metadata;
using common::config::Property;
using common::model::ErrorCode;
using common::model::Result;
using metadata::ResourceType;

namespace {

const Property* find(ResourceType type, std::string_view key) {
  if (type == ResourceType::topic) return common::config::find_topic_property(key);
  if (type == ResourceType::broker) return common::config::find_broker_property(key);
  return nullptr;
}

// R104: unset, the policy is that of all topics; with both, what is kept by key is deleted by age as well.
bool keeps_by_key(const std::map<std::string, std::string, std::less<>>& values) {
  const auto policy = values.find("cleanup.policy");
  if (policy == values.end()) return false;
  return policy->second.find("compact") != std::string::npos && policy->second.find("delete") == std::string::npos;
}

}  // namespace

Result<void> TableSchema::validate(const metadata::ConfigResource& resource, std::string_view key,
                                   std::string_view value) const {
  const common::config::ConfigMap one{{std::string(key), std::string(value)}};
  switch (resource.type) {
    case ResourceType::topic: return common::config::check_topic_configs(one);
    case ResourceType::broker: {
      using common::config::ConfigOf;
      const ConfigOf whom = resource.name.empty() ? ConfigOf::all_brokers : ConfigOf::one_broker;
      return common::config::check_dynamic_broker_configs(one, whom);
    }
    default:
      return common::model::fail(ErrorCode::invalid_request, "only topics and brokers have settings that can be changed");
  }
}

Result<void> TableSchema::validate_together(const metadata::ConfigResource& resource,
                                            const std::map<std::string, std::string, std::less<>>& values) const {
  if (resource.type != ResourceType::topic) return {};
  if (resource.name == group::offsets_topic_name && !keeps_by_key(values)) {
    return common::model::fail(ErrorCode::invalid_config,
                               fmt::format("cleanup.policy: must be compact alone for {}: its records would be deleted "
                                           "by age, and with them what groups have committed",
                                           resource.name));
  }
  return common::config::check_topic_configs_together(values);
}

std::string TableSchema::canonical(ResourceType type, std::string_view key, std::string_view value) const {
  using common::config::ValueType;
  const std::string as_given(common::config::trimmed(value));
  const Property* property = find(type, key);
  if (property == nullptr) return as_given;
  switch (property->type) {
    case ValueType::boolean: {
      const std::optional<bool> truth = common::config::parse_boolean(value);
      return truth ? std::string(*truth ? "true" : "false") : as_given;
    }
    case ValueType::int16:
    case ValueType::int32:
    case ValueType::int64: {
      const std::optional<int64_t> number = common::config::parse_integer(value);
      return number ? std::to_string(*number) : as_given;
    }
    default:
      return as_given;
  }
}

bool TableSchema::is_list(ResourceType type, std::string_view key) const {
  const Property* property = find(type, key);
  return property != nullptr && property->type == common::config::ValueType::list;
}

std::optional<std::string> TableSchema::default_value(ResourceType type, std::string_view key) const {
  const Property* property = find(type, key);
  if (property == nullptr || !property->default_text) return std::nullopt;
  return std::string(*property->default_text);
}

}  // namespace broker
