#include "broker/api/fetch_mentions.h"

#include <algorithm>
#include <compare>
#include <map>
#include <tuple>
#include <utility>

#include "common/model/mutant.h"

namespace broker::api {

namespace {

// Up to here each is compared with those before it; nothing is allocated for that.
constexpr size_t few = 16;

// Targets of one element of the request share their topic; the topic may have other elements.
bool is_same(const FetchTarget& a, const FetchTarget& b) {
  return a.partition == b.partition && (a.topic == b.topic || *a.topic == *b.topic);
}

void keep_of_few(std::vector<FetchTarget>& targets) {
  auto kept = targets.begin();  // the end of those that stay
  for (FetchTarget& target : targets) {
    const auto at =
        std::find_if(targets.begin(), kept, [&](const FetchTarget& other) { return is_same(other, target); });
    if (&*at != &target) *at = std::move(target);
    if (at == kept) ++kept;
  }
  targets.erase(kept, targets.end());
}

struct TopicLess {
  bool operator()(const FetchTopicKey* a, const FetchTopicKey* b) const {
    return std::tie(a->id, a->name) < std::tie(b->id, b->name);
  }
};

struct Mention {
  size_t topic = 0;
  int32_t partition = 0;
  size_t index = 0;  // of the target
  friend auto operator<=>(const Mention&, const Mention&) = default;
};

// Topics get numbers, so that a long name is not compared once for each of its partitions.
std::vector<Mention> mentions_in(const std::vector<FetchTarget>& targets) {
  std::vector<Mention> mentions;
  mentions.reserve(targets.size());
  std::map<const FetchTopicKey*, size_t, TopicLess> numbers;
  size_t number = 0;
  for (size_t i = 0; i < targets.size(); ++i) {
    if (i == 0 || targets[i].topic != targets[i - 1].topic)
      number = numbers.try_emplace(targets[i].topic.get(), numbers.size()).first->second;
    mentions.push_back({number, targets[i].partition, i});
  }
  return mentions;
}

// Sorted, not hashed: names and numbers are the client's choice, and it could choose some that collide.
void keep_of_many(std::vector<FetchTarget>& targets) {
  std::vector<Mention> mentions = mentions_in(targets);
  std::sort(mentions.begin(), mentions.end());
  const auto is_same_partition = [](const Mention& a, const Mention& b) {
    return a.topic == b.topic && a.partition == b.partition;
  };
  std::vector<bool> is_gone(targets.size(), false);
  bool any_gone = false;
  for (size_t begin = 0, end = 0; begin < mentions.size(); begin = end) {
    while (end < mentions.size() && is_same_partition(mentions[begin], mentions[end]))
      is_gone[mentions[end++].index] = true;
    is_gone[mentions[begin].index] = false;
    if (end - begin == 1) continue;
    any_gone = true;
    targets[mentions[begin].index] = std::move(targets[mentions[end - 1].index]);
  }
  if (!any_gone) return;
  size_t kept = 0;
  for (size_t i = 0; i < targets.size(); ++i) {
    if (is_gone[i]) continue;
    if (kept != i) targets[kept] = std::move(targets[i]);
    ++kept;
  }
  targets.resize(kept);
}

}  // namespace

void keep_each_partition_once(std::vector<FetchTarget>& targets) {
  if (common::model::mutant<"R109-fetches-each-mention">()) return;
  if (targets.size() <= few) {
    keep_of_few(targets);
  } else {
    keep_of_many(targets);
  }
}

}  // namespace broker::api
