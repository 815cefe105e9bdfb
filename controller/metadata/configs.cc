#include "controller/metadata/configs.h"

#include <charconv>
#include <map>

#include "common/model/mutant.h"
#include "controller/metadata/config_lists.h"
#include "controller/metadata/partitions.h"
#include "controller/metadata/topics.h"

namespace controller::metadata {
namespace {

using common::model::fail;
using common::model::mutant;
using common::model::Unexpected;

constexpr const char* min_isr_key = "min.insync.replicas";
constexpr const char* unclean_key = "unclean.leader.election.enable";

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> items;
  while (!list.empty()) {
    const size_t comma = list.find(',');
    std::string_view item = list.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(item);
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return items;
}

Result<void> check_resource(const MetadataImage& image, const ConfigResource& resource) {
  switch (resource.type) {
    case ResourceType::topic:
      if (image.topic_by_name(resource.name) == nullptr) {
        return fail(ErrorCode::unknown_topic_or_partition,
                    fmt::format("The topic '{}' does not exist.", resource.name));
      }
      return {};
    case ResourceType::broker: {
      if (resource.name.empty()) return {};
      int32_t id = 0;
      const char* const last = resource.name.data() + resource.name.size();
      const auto [end, error] = std::from_chars(resource.name.data(), last, id);
      if (error != std::errc() || end != last || fmt::format("{}", id) != resource.name) {  // "01" would be nobody's
        return fail(ErrorCode::invalid_request, fmt::format("Invalid broker name {}", resource.name));
      }
      if (image.broker(BrokerId{id}) == nullptr) {
        return fail(ErrorCode::broker_id_not_registered, fmt::format("No broker with id {} found.", id));
      }
      return {};
    }
    case ResourceType::group:
      if (resource.name.empty()) return fail(ErrorCode::invalid_request, "Default group resources are not allowed.");
      return {};
    default:
      return fail(ErrorCode::invalid_request,
                  fmt::format("Unexpected resource type {}.", static_cast<int>(resource.type)));
  }
}

// What a list holds after APPEND or SUBTRACT (KIP-339).
Result<std::string> changed_list(const AlterConfigs::Change& change, const ConfigResource& resource,
                                 const std::optional<std::string>& current, const ConfigSchema& schema) {
  const bool append = change.operation == ConfigOperation::append;
  if (!schema.is_list(resource.type, change.key)) {
    return fail(ErrorCode::invalid_config, fmt::format("Can't {} to key {} because its type is not LIST.",
                                                       append ? "APPEND" : "SUBTRACT", change.key));
  }
  std::vector<std::string> items =
      split(current.value_or(schema.default_value(resource.type, change.key).value_or("")));
  const std::vector<std::string> named = split(*change.value);
  if (append) {
    append_items(items, named);
  } else {
    subtract_items(items, named);
  }
  return fmt::format("{}", fmt::join(items, ","));
}

// The cluster's minISR is agreed, not what each node's file says (R43, R48): taken back, it is what the active
// controller takes it for, as when the cluster began.
std::optional<std::string> value_to_write(const ConfigResource& resource, const std::string& key,
                                          const std::optional<std::string>& value, const ControllerOptions& options) {
  const bool is_agreed = resource.type == ResourceType::broker && resource.name.empty() && key == min_isr_key;
  if (value || !is_agreed || mutant<"R43-forgets-the-agreed-min-isr">()) return value;
  return fmt::format("{}", options.min_isr_default);
}

// The new value of each named key; unset: back to the default.
using Settings = std::map<std::string, std::optional<std::string>>;

// All that is set on the resource then.
ConfigMap with_settings(ConfigMap values, const Settings& settings) {
  for (const auto& [key, value] : settings) {
    if (value) {
      values.insert_or_assign(key, *value);
    } else {
      values.erase(key);
    }
  }
  return values;
}

Result<Settings> new_settings(const MetadataImage& image, const AlterConfigs::Resource& asked,
                              ConfigAlteration alteration, const ConfigSchema& schema) {
  const ConfigMap& old = image.config(asked.resource);
  Settings settings;
  for (const AlterConfigs::Change& change : asked.changes) {
    if (settings.contains(change.key)) {
      return fail(ErrorCode::invalid_request, fmt::format("Error due to duplicate config keys : {}", change.key));
    }
    const bool is_set = alteration == ConfigAlteration::full || change.operation == ConfigOperation::set;
    if (!change.value && (is_set || change.operation != ConfigOperation::remove)) {
      return fail(ErrorCode::invalid_request, fmt::format("Null value not supported for : {}", change.key));
    }
    std::optional<std::string> value;
    if (is_set) {
      value = change.value;
    } else if (change.operation != ConfigOperation::remove) {
      const auto current = old.find(change.key);
      auto list = changed_list(change, asked.resource,
                               current != old.end() ? std::optional(current->second) : std::nullopt, schema);
      if (!list) return Unexpected(std::move(list).error());
      value = std::move(*list);
    }
    if (value) {
      if (auto good = schema.validate(asked.resource, change.key, *value); !good)
        return Unexpected(std::move(good).error());
      value = schema.canonical(asked.resource.type, change.key, *value);
    }
    settings.emplace(change.key, std::move(value));
  }
  if (alteration == ConfigAlteration::full) {
    for (const auto& [key, value] : old) settings.try_emplace(key, std::nullopt);
  }
  if (auto good = schema.validate_together(asked.resource, with_settings(old, settings)); !good)
    return Unexpected(std::move(good).error());
  return settings;
}

// The topics for which a setting of the resource counts, as the draft has them now.
template <class F>
void for_topics_of(const Draft& draft, const ConfigResource& resource, F f) {
  const MetadataImage now = draft.image();
  if (resource.type == ResourceType::topic) {
    f(*now.topic_by_name(resource.name));
  } else if (resource.type == ResourceType::broker && resource.name.empty()) {
    for (const auto& [id, topic] : now.topics()) f(*topic);
  }
}

// Writes what differs, and what follows from it in the same batch: a changed minISR may end the eligibility of replicas
// (R43), and who allows unclean elections does so because there is a partition that waits for one (R39).
void write(Draft& draft, const ConfigResource& resource, const Settings& settings, const ControllerOptions& options) {
  const ConfigMap old = draft.image().config(resource);
  bool min_isr_changed = false;
  bool unclean_changed = false;
  for (const auto& [key, wanted] : settings) {
    const auto current = old.find(key);
    const std::optional<std::string> value = value_to_write(resource, key, wanted, options);
    const bool same = value ? current != old.end() && current->second == *value : current == old.end();
    if (same) continue;
    draft.add(ConfigRecord{resource, key, value});
    draft.note("{} '{}': {} = {}", resource.type == ResourceType::topic ? "topic" : "broker", resource.name, key,
               value.value_or("(default)"));
    min_isr_changed = min_isr_changed || key == min_isr_key;
    unclean_changed = unclean_changed || key == unclean_key;
  }
  if (min_isr_changed)
    for_topics_of(draft, resource, [&](const TopicImage& topic) { revise_eligible(draft, topic, options); });
  if (unclean_changed)
    for_topics_of(draft, resource, [&](const TopicImage& topic) { elect_leaderless(draft, topic, options); });
}

// What marks a deleted topic is taken away, by itself: the way in which a client asks for the topic to be restored. The
// id of the one that it means comes as the value, for which a removal has no other use.
bool asks_to_restore(const AlterConfigs::Resource& asked, ConfigAlteration alteration) {
  return asked.resource.type == ResourceType::topic && alteration == ConfigAlteration::incremental &&
         asked.changes.size() == 1 && asked.changes.front().key == kept_key &&
         asked.changes.front().operation == ConfigOperation::remove;
}

Error restore(Draft& draft, const AlterConfigs::Resource& asked) {
  const std::optional<std::string>& id = asked.changes.front().value;
  const std::optional<Uuid> meant = id ? Uuid::parse(*id) : std::nullopt;
  if (id && !meant) return {ErrorCode::invalid_request, fmt::format("{} is no topic id", *id)};
  return restore_topic(draft, asked.resource.name, meant);
}

}  // namespace

AlterConfigsAnswer alter_configs(Draft& draft, const AlterConfigs& request, const ControllerOptions& options,
                                 const ConfigSchema& schema) {
  AlterConfigsAnswer answer;
  std::map<ConfigResource, int> count;
  for (const auto& asked : request.resources) ++count[asked.resource];
  for (const AlterConfigs::Resource& asked : request.resources) {
    AlterConfigsAnswer::Resource item;
    item.resource = asked.resource;
    if (count.at(asked.resource) > 1) {
      item.error = {ErrorCode::invalid_request, "Each resource must appear at most once."};
    } else if (asks_to_restore(asked, request.alteration)) {
      item.error = restore(draft, asked);
    } else if (auto good = check_resource(draft.image(), asked.resource); !good) {
      item.error = std::move(good).error();
    } else if (auto settings = new_settings(draft.image(), asked, request.alteration, schema); !settings) {
      item.error = std::move(settings).error();
    } else {
      write(draft, asked.resource, *settings, options);
    }
    answer.resources.push_back(std::move(item));
  }
  return answer;
}

}  // namespace controller::metadata
