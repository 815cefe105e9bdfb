// Replicas without a log for tests of the fetch stream's two ends: a record is a byte, an offset a position in a
// string.
#pragma once
#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/partition/follower_replica.h"
#include "broker/partition/leader_replica.h"

namespace test_support {

using namespace broker::partition;
using common::model::Buffer;
using common::model::BufferChain;
using common::model::ErrorCode;
using common::model::Result;

class FakeLeader : public LeaderReplica {
 public:
  LeaderEpoch epoch{1};
  std::string log;
  Offset high_watermark;
  bool leads = true;
  bool is_cold = false;
  std::optional<ErrorCode> read_error;
  size_t batch_bytes = 0;  // a read finds one whole batch at least
  bool follower_in_sync = true;
  bool counts_synced = false;
  std::optional<EpochEnd> diverging_once;
  std::vector<FollowerPosition> positions;
  std::vector<std::pair<BrokerId, common::model::BrokerEpoch>> left;
  std::vector<size_t> read_sizes;
  std::vector<std::function<void()>> cold_reads;
  Compared comparison = Compared::nothing_against;
  bool compares_later = false;
  std::vector<BatchIdentity> compared;
  std::vector<std::function<void()>> comparisons;  // that are under way

  void append(size_t bytes) {
    log.append(bytes, 'x');
    for (const auto& [observer, slot] : std::vector(observers_)) observer->on_log_end(slot);
  }
  void commit(int64_t offset) {
    high_watermark = Offset(offset);
    for (const auto& [observer, slot] : std::vector(observers_)) observer->on_high_watermark(slot);
  }
  void change_role(bool leads_now, int32_t epoch_now) {
    leads = leads_now;
    epoch = LeaderEpoch(epoch_now);
    for (const auto& [observer, slot] : std::vector(observers_)) observer->on_role(slot);
  }
  size_t observer_count() const { return observers_.size(); }

  PositionVerdict on_follower_position(const FollowerPosition& p, std::optional<LeaderEpoch>) override {
    if (!leads) return {.error = ErrorCode::not_leader_or_follower, .diverging = {}};
    if (p.leader_epoch > epoch) return {.error = ErrorCode::unknown_leader_epoch, .diverging = {}};
    if (p.leader_epoch < epoch) return {.error = ErrorCode::fenced_leader_epoch, .diverging = {}};
    if (auto d = std::exchange(diverging_once, {})) return {.error = ErrorCode::none, .diverging = d};
    if (p.is_unverified) return {};
    positions.push_back(p);
    return {.in_sync = follower_in_sync};
  }
  void compare_batch(BatchIdentity theirs, BrokerId, std::function<void(Compared)> done) override {
    compared.push_back(theirs);
    if (!compares_later) return done(comparison);
    comparisons.push_back([this, done = std::move(done)] { done(comparison); });
  }
  void on_follower_left(BrokerId follower, common::model::BrokerEpoch life) override {
    left.emplace_back(follower, life);
  }
  LeaderView leader_view() const override {
    return {epoch, Offset(0), Offset(static_cast<int64_t>(log.size())), high_watermark, counts_synced};
  }
  Result<FollowerRead> read_for_follower(BrokerId, Offset from, size_t max_bytes) override {
    if (read_error) return common::model::fail(*read_error);
    if (is_cold) return FollowerRead{.records = {}, .cold = true};
    return FollowerRead{.records = bytes(from, max_bytes), .cold = false};
  }
  void read_cold_for_follower(BrokerId, Offset from, size_t max_bytes,
                              std::function<void(Result<BufferChain>)> done) override {
    cold_reads.push_back([this, from, max_bytes, done = std::move(done)] { done(bytes(from, max_bytes)); });
  }
  void attach(FollowerObserver& observer, uint32_t slot) override { observers_.emplace_back(&observer, slot); }
  void detach(FollowerObserver& observer, uint32_t slot) override {
    std::erase(observers_, std::pair(&observer, slot));
  }

 private:
  BufferChain bytes(Offset from, size_t max_bytes) {
    const std::string part = log.substr(static_cast<size_t>(from.value), std::max(max_bytes, batch_bytes));
    read_sizes.push_back(part.size());
    return BufferChain(Buffer::copy_of(part));
  }
  std::vector<std::pair<FollowerObserver*, uint32_t>> observers_;
};

class FakeFollower final : public FollowerReplica {
 public:
  LeaderEpoch epoch{1};
  std::string log;
  Offset durable;
  bool leader_counts_synced = false;
  Offset high_watermark;
  std::optional<Applied> outcome;  // instead of appending
  size_t answers = 0;
  std::optional<uint32_t> checksum;  // of its last record, if it tells of that
  bool reads_its_end = false;        // and cannot tell yet
  size_t times_refused = 0;          // because of what it ends with

  void change(const std::function<void()>& f) {
    f();
    if (observer_ != nullptr) observer_->on_position_changed(slot_);
  }

  ReplicaPosition position() const override {
    return {
        .ask = {.leader_epoch = epoch, .fetch_offset = Offset(static_cast<int64_t>(log.size())), .last_epoch = epoch},
        .partition_epoch = PartitionEpoch(0),
        .durable_offset = durable,
        .log_start_offset = Offset(0)};
  }
  LastBatch last_batch() override {
    if (reads_its_end) return {.is_known = false, .batch = {}};
    if (!checksum || log.empty()) return {};
    const Offset last(static_cast<int64_t>(log.size()) - 1);
    return {.is_known = true, .batch = BatchIdentity{last, last, epoch, *checksum}};
  }
  Applied apply(const LeaderAnswer& answer, BufferChain records) override {
    ++answers;
    if (outcome) return *outcome;
    if (answer.differs) {
      ++times_refused;
      return Applied::back_off;
    }
    if (answer.error != ErrorCode::none) return Applied::back_off;
    if (answer.diverging) {
      log.resize(static_cast<size_t>(answer.diverging->end_offset.value));
      return Applied::done;
    }
    if (answer.asked != position().ask) return Applied::done;
    log += records.flatten().text();
    high_watermark = answer.high_watermark;
    return Applied::done;
  }
  void apply_high_watermark(LeaderEpoch leader_epoch, Offset hw, Offset) override {
    if (leader_epoch == epoch) high_watermark = hw;
  }
  void note_what_counts(LeaderEpoch leader_epoch, bool synced) override {
    if (leader_epoch == epoch) leader_counts_synced = synced;
  }
  void set_position_observer(PositionObserver& observer, uint32_t slot) override {
    observer_ = &observer;
    slot_ = slot;
  }
  void clear_position_observer(const PositionObserver& observer) override {
    if (observer_ == &observer) observer_ = nullptr;
  }

 private:
  PositionObserver* observer_ = nullptr;
  uint32_t slot_ = 0;
};

}  // namespace test_support
