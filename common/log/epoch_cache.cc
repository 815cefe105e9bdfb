#include "common/log/epoch_cache.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/model/check.h"
#include "common/model/mutant.h"

namespace common::log {

using common::model::mutant;

Changed EpochCache::assign(LeaderEpoch epoch, Offset start_offset) {
  if (!entries_.empty() && entries_.back().epoch == epoch && entries_.back().start_offset <= start_offset) {
    return Changed::no;
  }
  // An older leader's word about the same or later offsets is void.
  const auto contradicted = std::find_if(entries_.begin(), entries_.end(), [&](const EpochStart& e) {
    return e.epoch >= epoch || e.start_offset >= start_offset;
  });
  entries_.erase(contradicted, entries_.end());
  entries_.push_back({epoch, start_offset});
  check_invariants();
  return Changed::yes;
}

std::optional<EpochEnd> EpochCache::end_offset_for(LeaderEpoch asked, Offset log_end_offset) const {
  if (entries_.empty()) return std::nullopt;
  const auto after = std::upper_bound(entries_.begin(), entries_.end(), asked,
                                      [](LeaderEpoch a, const EpochStart& e) { return a < e.epoch; });
  if (after == entries_.begin()) return EpochEnd{asked, after->start_offset};
  Offset end = after == entries_.end() ? log_end_offset : after->start_offset;
  if (mutant<"R60-every-epoch-ends-at-the-log-end">()) end = log_end_offset;
  return EpochEnd{mutant<"R60-says-the-epoch-asked-for">() ? asked : std::prev(after)->epoch, end};
}

std::optional<LeaderEpoch> EpochCache::latest() const {
  if (entries_.empty()) return std::nullopt;
  return entries_.back().epoch;
}

std::optional<LeaderEpoch> EpochCache::epoch_at(Offset offset) const {
  const auto after = std::upper_bound(entries_.begin(), entries_.end(), offset,
                                      [](Offset o, const EpochStart& e) { return o < e.start_offset; });
  if (after == entries_.begin()) return std::nullopt;
  return std::prev(after)->epoch;
}

EpochCache EpochCache::within(Offset first, Offset end) const {
  auto from = std::upper_bound(entries_.begin(), entries_.end(), first,
                               [](Offset o, const EpochStart& e) { return o < e.start_offset; });
  if (from != entries_.begin()) --from;
  EpochCache part;
  for (; from != entries_.end() && from->start_offset < end; ++from) part.entries_.push_back(*from);
  return part;
}

std::optional<std::string> EpochCache::contradiction(Offset last_offset, LeaderEpoch epoch) const {
  const auto known = epoch_at(last_offset);
  if (!known || *known == epoch || mutant<"R79-believes-the-epoch-of-a-batch">()) return std::nullopt;
  return fmt::format("leader epoch {} where epoch {} was written", epoch, *known);
}

Changed EpochCache::truncate_from_end(Offset end_offset) {
  const auto first =
      std::find_if(entries_.begin(), entries_.end(), [&](const EpochStart& e) { return e.start_offset >= end_offset; });
  if (first == entries_.end()) return Changed::no;
  entries_.erase(first, entries_.end());
  return Changed::yes;
}

Changed EpochCache::truncate_from_start(Offset start_offset) {
  // The last entry at or below start_offset covers it and moves up; what lies before is gone.
  const auto after = std::upper_bound(entries_.begin(), entries_.end(), start_offset,
                                      [](Offset o, const EpochStart& e) { return o < e.start_offset; });
  if (after == entries_.begin()) return Changed::no;
  const auto covering = std::prev(after);
  if (covering == entries_.begin() && covering->start_offset == start_offset) return Changed::no;
  covering->start_offset = start_offset;
  entries_.erase(entries_.begin(), covering);
  check_invariants();
  return Changed::yes;
}

Changed EpochCache::clear() {
  if (entries_.empty()) return Changed::no;
  entries_.clear();
  return Changed::yes;
}

void EpochCache::check_invariants() const {
  for (size_t i = 1; i < entries_.size(); ++i) {
    NARU_CHECK(entries_[i - 1].epoch < entries_[i].epoch && entries_[i - 1].start_offset < entries_[i].start_offset,
               "epochs {}@{} {}@{}", entries_[i - 1].epoch, entries_[i - 1].start_offset, entries_[i].epoch,
               entries_[i].start_offset);
  }
}

}  // namespace common::log
