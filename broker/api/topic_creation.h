// Topics that come into being because somebody asked for them: by Metadata with auto.create.topics.enable, and the
// internal ones with the settings they need, whoever asks.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "broker/api/context.h"
#include "controller/metadata/requests.h"

namespace broker::api {

// What is asked of the controller for a topic of that name, as far as nobody says otherwise.
[[nodiscard]] controller::metadata::CreateTopics::Topic topic_to_create(const common::config::BrokerConfig& config,
                                                                        const std::string& name);

// Asks the controller for all of `names` at once and refreshes the request's image. Names that exist by now are not in
// the answer; the others are, each with its error.
Awaitable<std::map<std::string, common::model::Error>> create_missing_topics(RequestContext& ctx,
                                                                             std::vector<std::string> names);

}  // namespace broker::api
