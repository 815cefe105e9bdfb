// Brokers, partitions and the whole cluster as the page's JSON. Pure.
#pragma once
#include <string>

#include <nlohmann/json.hpp>

#include "controller/metadata/image.h"

namespace broker::http {

[[nodiscard]] nlohmann::json broker_json(const controller::metadata::BrokerImage& broker);
[[nodiscard]] nlohmann::json partition_json(int32_t index, const controller::metadata::PartitionState& state);
// Topics by name with their partitions. Above `partitions_max` only those with a problem, and the counts: a page of ten
// thousand squares tells nobody anything.
[[nodiscard]] nlohmann::json topics_json(const controller::metadata::MetadataImage& image, size_t partitions_max);
// As text; what is no UTF-8 is replaced.
[[nodiscard]] std::string dump(const nlohmann::json& value);

}  // namespace broker::http
