#include "broker/partition/creations.h"

#include "common/shard.h"

namespace broker::partition {

using common::model::TopicIdPartition;

bool Creations::begin(const TopicIdPartition& id) {
  const auto [at, is_first] = under_way_.try_emplace(id);
  if (!is_first && !at->second->ended.is_set()) return false;
  at->second = std::make_shared<Creation>(shard_);
  return true;
}

Creations::ById::iterator Creations::end(ById::iterator creation) {
  creation->second->ended.set();
  return creation->second->waiting == 0 ? under_way_.erase(creation) : std::next(creation);
}

void Creations::end(const TopicIdPartition& id) {
  if (const auto found = under_way_.find(id); found != under_way_.end()) end(found);
}

void Creations::end_all() {
  for (auto creation = under_way_.begin(); creation != under_way_.end();) creation = end(creation);
}

common::Awaitable<void> Creations::wait(TopicIdPartition id, common::Instant deadline) {
  const auto found = under_way_.find(id);
  if (found == under_way_.end()) co_return;
  const std::shared_ptr<Creation> creation = found->second;
  const std::weak_ptr<bool> alive = alive_;
  ++creation->waiting;
  if (creation->ended.is_set()) {
    // Those who came before have been woken, but do not run yet: behind them.
    co_await common::yield_to(shard_);
  } else {
    co_await common::until(creation->ended, deadline);
  }
  --creation->waiting;
  if (alive.expired() || creation->waiting > 0 || !creation->ended.is_set()) co_return;
  const auto mine = under_way_.find(id);
  if (mine != under_way_.end() && mine->second == creation) under_way_.erase(mine);
}

}  // namespace broker::partition
