// What the parts of Partition (roles, leader, follower, reads) share and nobody else sees.
//
// Lives on the partition's home shard.
#pragma once
#include <algorithm>
#include <optional>
#include <vector>

#include "broker/partition/partition.h"

namespace broker::partition {

// R86: who still means to write what was refused comes back with it sooner.
constexpr auto own_gap_patience = std::chrono::minutes(1);

// The log through the reconciler's eyes.
class Partition::LogFacts final : public LogView {
 public:
  explicit LogFacts(const common::log::Log& log) : log_(log) {}
  [[nodiscard]] Offset log_start_offset() const override { return log_.log_start_offset(); }
  [[nodiscard]] Offset log_end_offset() const override { return log_.log_end_offset(); }
  [[nodiscard]] std::optional<LeaderEpoch> latest_epoch() const override { return log_.epochs().latest(); }
  [[nodiscard]] std::optional<EpochEnd> end_offset_for(LeaderEpoch epoch) const override {
    const auto found = log_.epochs().end_offset_for(epoch, log_.log_end_offset());
    if (!found) return std::nullopt;
    return EpochEnd{.epoch = found->epoch, .end_offset = found->end_offset};
  }

 private:
  const common::log::Log& log_;
};

// A coroutine that waits for an offset: lives in the coroutine's frame and stands in the partition's list until it is
// answered, or until its frame dies.
struct Partition::Waiter {
  Waiter(common::Shard& shard, std::vector<Waiter*>& list, Offset required)
      : list(list), required(required), done(shard) {
    const auto place = std::upper_bound(list.begin(), list.end(), required,
                                        [](Offset offset, const Waiter* w) { return offset < w->required; });
    list.insert(place, this);
  }
  ~Waiter() {
    if (outcome) return;
    const auto less = [](const Waiter* a, const Waiter* b) { return a->required < b->required; };
    const auto [first, last] = std::equal_range(list.begin(), list.end(), this, less);
    list.erase(std::find(first, last, this));
  }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  // The caller takes it off the list.
  void answer(ErrorCode code) {
    outcome = code;
    done.set();
  }

  std::vector<Waiter*>& list;
  const Offset required;
  common::Event done;
  std::optional<ErrorCode> outcome;
};

struct Partition::ColdRead {
  explicit ColdRead(common::Shard& shard) : done(shard) {}
  common::Event done;
  std::optional<Result<common::log::ReadResult>> result;
  std::optional<Result<std::optional<common::log::FoundRecord>>> found;
};

template <class Call>
void Partition::for_observers(Call call) {
  // An observer may attach or detach others meanwhile (a session that finds its replica gone).
  ++walking_observers_;
  for (size_t i = 0; i < observers_.size(); ++i) {
    if (const Observer o = observers_[i]; o.observer != nullptr) call(*o.observer, o.slot);
  }
  if (--walking_observers_ == 0) {
    std::erase_if(observers_, [](const Observer& o) { return o.observer == nullptr; });
  }
}

}  // namespace broker::partition
