// The arithmetic of majorities. Pure functions over values.
#pragma once
#include <algorithm>
#include <functional>
#include <vector>

#include "controller/raft/types.h"

namespace controller::raft {

// The largest value that a majority of `voters` has reached. No voters: nullopt.
template <class T, class F>
std::optional<T> majority_value(const VoterSet& voters, F value_of) {
  if (voters.empty()) return std::nullopt;
  std::vector<T> values;
  values.reserve(voters.size());
  for (const Voter& voter : voters.voters()) values.push_back(value_of(voter.key));
  std::sort(values.begin(), values.end(), std::greater<>());
  return values[voters.majority() - 1];
}

}  // namespace controller::raft
