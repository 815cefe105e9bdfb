#include "cli/verify/group_offsets.h"

#include <algorithm>

namespace cli::verify {

std::optional<int64_t> GroupOffsets::floor_of(const Register& state) {
  std::optional<int64_t> least;
  bool any_acknowledged = false;
  for (const Commit& commit : state.candidates) {
    least = std::min(least.value_or(commit.offset), commit.offset);
    any_acknowledged = any_acknowledged || commit.acknowledged;
  }
  return any_acknowledged ? least : std::nullopt;
}

std::optional<int64_t> GroupOffsets::floor(Key key) const {
  const auto it = registers_.find(key);
  return it == registers_.end() ? std::nullopt : floor_of(it->second);
}

bool GroupOffsets::commit_began(int64_t call, Key key, int64_t offset) {
  if (!commits_.try_emplace(call, key).second) return false;
  Register& state = registers_[key];
  state.candidates.push_back({.call = call, .offset = offset, .began = ++time_});
  // A fetch that is under way may already see it.
  std::erase_if(state.fetches, [&](int64_t fetch) {
    const auto it = fetches_.find(fetch);
    if (it == fetches_.end()) return true;
    if (it->second.floor) it->second.floor = std::min(*it->second.floor, offset);
    return false;
  });
  return true;
}

bool GroupOffsets::commit_acknowledged(int64_t call) {
  const auto known = commits_.find(call);
  if (known == commits_.end()) return false;
  std::vector<Commit>& candidates = registers_[known->second].candidates;
  commits_.erase(known);
  const auto mine = std::ranges::find(candidates, call, &Commit::call);
  mine->acknowledged = true;
  mine->ended = ++time_;
  const int64_t began = mine->began;
  std::erase_if(candidates, [began](const Commit& other) { return other.ended >= 0 && other.ended < began; });
  return true;
}

bool GroupOffsets::commit_failed(int64_t call, Failure failure) {
  const auto known = commits_.find(call);
  if (known == commits_.end()) return false;
  std::vector<Commit>& candidates = registers_[known->second].candidates;
  commits_.erase(known);
  const auto mine = std::ranges::find(candidates, call, &Commit::call);
  if (failure == Failure::definite) {
    candidates.erase(mine);
  } else {
    mine->ended = ++time_;
  }
  return true;
}

bool GroupOffsets::fetch_began(int64_t call, Key key) {
  Register& state = registers_[key];
  if (!fetches_.try_emplace(call, Fetch{key, floor_of(state)}).second) return false;
  state.fetches.push_back(call);
  return true;
}

bool GroupOffsets::fetch_answered(int64_t call, int64_t offset, std::optional<Regress>& regress) {
  const auto it = fetches_.find(call);
  if (it == fetches_.end()) return false;
  const Fetch fetch = it->second;
  fetches_.erase(it);
  std::erase(registers_[fetch.key].fetches, call);
  if (fetch.floor && offset < *fetch.floor) regress = Regress{fetch.key, *fetch.floor, offset};
  return true;
}

}  // namespace cli::verify
