// Shared by the two halves of the history checker. Nobody else includes it.
#pragma once
#include <utility>

#include "cli/verify/history_checker.h"

namespace cli::verify {

constexpr size_t examples_max = 20;
constexpr size_t unknown_reads_max = 100'000;

template <class... A>
void HistoryChecker::add(Anomaly anomaly, bool promised, fmt::format_string<A...> text, A&&... values) {
  ++(promised ? verdict_.anomalies : verdict_.tolerated)[anomaly];
  if (!promised || verdict_.examples.size() >= examples_max) return;
  verdict_.examples.push_back(fmt::format("{}: {}", to_string(anomaly), fmt::format(text, std::forward<A>(values)...)));
}

template <class F>
void HistoryChecker::for_each_partition(F f) {
  for (size_t p = 0; p < partitions_.size(); ++p) {
    if (partitions_[p]) f(static_cast<int32_t>(p), *partitions_[p]);
  }
  for (auto& [number, state] : far_partitions_) f(number, state);
}

}  // namespace cli::verify
