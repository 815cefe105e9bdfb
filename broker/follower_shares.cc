#include "broker/follower_shares.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace broker {

namespace metadata = controller::metadata;
using common::model::BrokerId;
using common::model::PartitionIndex;

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

bool FollowerShares::follow(const metadata::MetadataImage& image, const metadata::ImageDelta& delta,
                            const replication::ThrottledReplicas& named) {
  if (named.empty() && feeds_.empty() && shares_.empty()) return false;
  std::set<std::string> as_a_whole;
  for (const metadata::ConfigResource& resource : delta.configs) {
    if (resource.type == metadata::ResourceType::topic) as_a_whole.insert(resource.name);
  }
  for (const auto* topics : {&delta.created_topics, &delta.deleted_topics}) {
    for (const auto& [id, name] : *topics) as_a_whole.insert(name);
  }
  for (const std::string& name : as_a_whole) {
    forget(name);
    const metadata::TopicImage* topic = named.topics().contains(name) ? image.topic_by_name(name) : nullptr;
    if (topic == nullptr) continue;
    for (const auto& [index, state] : topic->partitions) look_at(*topic, index, named);
  }
  for (const auto& [id, indexes] : delta.partitions) {
    const metadata::TopicImage* topic = image.visible_topic(id);
    if (topic == nullptr || as_a_whole.contains(topic->name) || !named.topics().contains(topic->name)) continue;
    for (const PartitionIndex index : indexes) look_at(*topic, index, named);
  }

  Shares shares;
  for (const auto& [follower, leaders] : counts_) {
    constexpr auto unlimited = replication::SendThrottle::unlimited;
    const int64_t rate = rate_of(image, follower).value_or(unlimited);
    if (rate != unlimited) shares[follower] = rate / static_cast<int64_t>(leaders.size());
  }
  return std::exchange(shares_, shares) != shares;
}

void FollowerShares::look_at(const metadata::TopicImage& topic, PartitionIndex index,
                             const replication::ThrottledReplicas& named) {
  Feeds feeds;
  const metadata::PartitionState* state = topic.partition(index);
  if (state != nullptr && state->leader) {
    for (const BrokerId replica : state->replicas) {
      const bool is_behind = std::ranges::find(state->isr, replica) == state->isr.end();
      if (is_behind && named.contain(topic.name, index, replica)) feeds.emplace_back(replica, *state->leader);
    }
  }
  count(feeds, 1);
  auto& of_topic = feeds_[topic.name];
  count(std::exchange(of_topic[index], feeds), -1);
  if (feeds.empty()) of_topic.erase(index);
  if (of_topic.empty()) feeds_.erase(topic.name);
}

void FollowerShares::forget(const std::string& topic) {
  const auto found = feeds_.find(topic);
  if (found == feeds_.end()) return;
  for (const auto& [index, feeds] : found->second) count(feeds, -1);
  feeds_.erase(found);
}

void FollowerShares::count(const Feeds& feeds, int by) {
  for (const auto& [follower, leader] : feeds) {
    const auto of_follower = counts_.try_emplace(follower).first;
    const auto one = of_follower->second.try_emplace(leader, 0).first;
    one->second += by;
    if (one->second == 0) of_follower->second.erase(one);
    if (of_follower->second.empty()) counts_.erase(of_follower);
  }
}

}  // namespace broker
