// Topics that were deleted and are kept for a while: which there are, and bringing them back. Network,
// thread-compatible.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "cli/client/cluster.h"
#include "cli/commands.h"

namespace cli {

struct DeletedTopic {
  std::string name;
  std::string id;
  int32_t partitions = 0;
  std::optional<int64_t> deleted_at_ms;
  std::chrono::milliseconds keep{0};
};
// None where the brokers know of no such thing.
[[nodiscard]] Outcome<std::vector<DeletedTopic>> fetch_deleted_topics(client::Cluster& cluster);
// How long it can be restored for certain: a controller that took over meanwhile keeps it longer. Pure.
[[nodiscard]] std::chrono::milliseconds time_left(const DeletedTopic& topic, int64_t now_ms);

extern const std::string_view deleted_topics_shape;
Exit list_deleted_topics(client::Cluster& cluster, const Shared& shared, const std::regex& pattern);

}  // namespace cli
