// The layers from which a setting's value comes, out of the request's image: what DescribeConfigs and CreateTopics
// show. A layer refers to the image, which the request keeps alive.
#pragma once
#include <optional>
#include <string>

#include "broker/api/context.h"
#include "common/config/topic_config.h"

namespace broker::api {

[[nodiscard]] inline common::config::Lookup image_layer(const RequestContext& ctx,
                                                        controller::metadata::ResourceType type,
                                                        const std::string& name) {
  return common::config::lookup_in(ctx.image().config(type, name));
}

// This broker's file and dynamic values; no topic.
[[nodiscard]] inline common::config::ConfigLayers broker_layers(const RequestContext& ctx) {
  using controller::metadata::ResourceType;
  return {.broker = &ctx.config(),
          .dynamic_default = image_layer(ctx, ResourceType::broker, ""),
          .dynamic_broker = image_layer(ctx, ResourceType::broker, std::to_string(ctx.node_id().value)),
          .topic = {}};
}

[[nodiscard]] inline common::config::ConfigLayers topic_layers(const RequestContext& ctx, const std::string& topic) {
  common::config::ConfigLayers layers = broker_layers(ctx);
  layers.topic = image_layer(ctx, controller::metadata::ResourceType::topic, topic);
  return layers;
}

}  // namespace broker::api
