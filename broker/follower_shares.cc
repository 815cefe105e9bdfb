#include "broker/follower_shares.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <string>

namespace broker {

namespace metadata = controller::metadata;
using common::model::BrokerId;

namespace {

// Set while the cluster runs, as in Kafka: of the follower's file the leaders know nothing.
std::optional<int64_t> rate_of(const metadata::MetadataImage& image, BrokerId follower) {
  const metadata::ConfigMap& settings = image.config(metadata::ResourceType::broker, std::to_string(follower.value));
  const auto found = settings.find("follower.replication.throttled.rate");
  if (found == settings.end()) return std::nullopt;
  const std::string& text = found->second;
  int64_t rate = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rate);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(rate) : std::nullopt;
}

}  // namespace

std::map<BrokerId, int64_t> follower_shares(const metadata::MetadataImage& image,
                                            const replication::ThrottledReplicas& throttled) {
  std::map<BrokerId, std::set<BrokerId>> feeding;  // by follower: the leaders that have something for it
  for (const auto& [name, named] : throttled.topics()) {
    const metadata::TopicImage* topic = image.topic_by_name(name);
    if (topic == nullptr) continue;
    for (const auto& [index, state] : topic->partitions) {
      if (!state->leader) continue;
      for (const BrokerId replica : state->replicas) {
        const bool is_behind = std::ranges::find(state->isr, replica) == state->isr.end();
        if (is_behind && throttled.contain(name, index, replica)) feeding[replica].insert(*state->leader);
      }
    }
  }
  std::map<BrokerId, int64_t> shares;
  for (const auto& [follower, leaders] : feeding) {
    constexpr auto unlimited = replication::SendThrottle::unlimited;
    const int64_t rate = rate_of(image, follower).value_or(unlimited);
    if (rate != unlimited) shares[follower] = rate / static_cast<int64_t>(leaders.size());
  }
  return shares;
}

}  // namespace broker
