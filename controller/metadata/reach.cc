#include "controller/metadata/reach.h"

#include <algorithm>

namespace controller::metadata {
namespace {

// Attempts of one follower are never further apart: a connect timeout and a pause.
constexpr std::chrono::seconds attempts_apart{2};
constexpr std::chrono::minutes shun{1};
constexpr std::chrono::minutes shun_max{16};

}  // namespace

void Reach::on_report(BrokerId follower, BrokerId leader, Instant now) {
  if (follower == leader) return;
  const auto [found, is_new] = reports_.try_emplace({leader, follower}, Reports{now, now});
  if (!is_new && now - found->second.last > attempts_apart) found->second.since = now;
  found->second.last = now;
}

void Reach::forget(BrokerId leader) {
  std::erase_if(reports_, [&](const auto& entry) { return entry.first.first == leader; });
}

void Reach::remove(BrokerId id) {
  std::erase_if(reports_, [&](const auto& entry) { return entry.first.first == id || entry.first.second == id; });
  shunned_.erase(id);
}

bool Reach::is_cut(BrokerId follower, BrokerId leader, Instant now) const {
  const auto found = reports_.find({leader, follower});
  return found != reports_.end() && now - found->second.last <= attempts_apart &&
         found->second.last - found->second.since >= lasting_;
}

std::set<BrokerId> Reach::suspects(Instant now) const {
  std::set<BrokerId> found;
  for (const auto& [pair, reports] : reports_) {
    if (is_cut(pair.second, pair.first, now)) found.insert(pair.first);
  }
  return found;
}

void Reach::on_moved(BrokerId leader, Instant now) {
  Shunned& s = shunned_[leader];
  const bool again = s.pause > Duration::zero() && now - s.until < 4 * s.pause;
  s.pause = again ? std::min<Duration>(2 * s.pause, shun_max) : Duration(shun);
  s.until = now + s.pause;
}

bool Reach::is_shunned(BrokerId leader, Instant now) const {
  const auto found = shunned_.find(leader);
  return found != shunned_.end() && now < found->second.until;
}

std::set<BrokerId> Reach::shunned(Instant now) const {
  std::set<BrokerId> found;
  for (const auto& [leader, shunned] : shunned_) {
    if (now < shunned.until) found.insert(leader);
  }
  return found;
}

}  // namespace controller::metadata
