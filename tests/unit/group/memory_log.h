// A __consumer_offsets partition of memory, for tests of what stands on it.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/group/service/coordinator_log.h"
#include "common/records/batch.h"

namespace group_test {

using broker::group::is_definite;
using common::Awaitable;
using common::model::Buffer;
using common::model::BufferChain;
using common::model::ErrorCode;
using common::model::fail;
using common::model::LeaderEpoch;
using common::model::Offset;
using common::model::Result;

// The partition's log. Appends are committed at once, or wait for release().
struct Disk {
  std::vector<Buffer> batches;  // as appended, offsets assigned
  Offset end{0};
  bool hold = false;
  bool hold_load = false;
  bool hold_commit = false;  // of what was there before the load
  int reads = 0;
  std::optional<ErrorCode> append_error;
  std::optional<ErrorCode> read_error;
  bool leads = true;
  bool cut_off = false;
  bool may_be_outdated = false;
  size_t batch_bytes_max = 1 << 20;
  std::set<std::string> deleted_topics;
  common::model::Uuid topic_id = common::model::Uuid::from_halves(7, 1);  // of every other one
  std::function<std::optional<common::model::Uuid>(const std::string&)> topic_id_of;  // instead of these two
  std::unique_ptr<common::Event> released;
  common::BelievedClock clock;

  void put(Buffer batch) {
    end = common::records::assign_offsets(batch,
                                          {.first_offset = end, .leader_epoch = LeaderEpoch(1), .log_append_time = {}});
    batches.push_back(std::move(batch));
  }
};

class MemoryLog final : public broker::group::CoordinatorLog {
 public:
  MemoryLog(Disk& disk, common::Shard& shard) : disk_(disk) {
    if (!disk_.released) disk_.released = std::make_unique<common::Event>(shard);
  }
  Awaitable<Result<Offset>> append(Buffer batch) override {
    if (batch.size() > disk_.batch_bytes_max) co_return fail(ErrorCode::message_too_large);
    if (disk_.append_error && is_definite(*disk_.append_error)) co_return fail(*disk_.append_error);
    disk_.put(std::move(batch));
    if (disk_.append_error) co_return fail(*disk_.append_error);
    while (disk_.hold) co_await common::until(*disk_.released);
    if (!disk_.leads) co_return fail(ErrorCode::not_leader_or_follower);
    co_return disk_.end - 1;
  }
  size_t batch_bytes_max() const override { return disk_.batch_bytes_max; }
  Awaitable<Result<BufferChain>> read(Offset from, size_t) override {
    ++disk_.reads;
    while (disk_.hold_load) co_await common::until(*disk_.released);
    if (disk_.read_error) co_return fail(*disk_.read_error);
    for (const Buffer& batch : disk_.batches)
      if (common::records::BatchView::parse(batch.view())->next_offset() > from) co_return BufferChain(batch);
    co_return BufferChain();
  }
  Awaitable<bool> until_committed_before(Offset) override {
    while (disk_.hold_commit) co_await common::until(*disk_.released);
    co_return disk_.leads;
  }
  bool is_cut_off() const override { return disk_.cut_off; }
  bool may_be_outdated() const override { return disk_.may_be_outdated; }
  std::optional<common::model::Uuid> topic_id(const std::string& name) const override {
    if (disk_.topic_id_of) return disk_.topic_id_of(name);
    if (disk_.deleted_topics.contains(name)) return std::nullopt;
    return disk_.topic_id;
  }
  const common::BelievedClock& believed_clock() const override { return disk_.clock; }
  Result<Offset> log_start_offset() const override { return Offset(0); }
  Result<Offset> log_end_offset() const override {
    if (!disk_.leads) return fail(ErrorCode::not_leader_or_follower);
    return disk_.end;
  }

 private:
  Disk& disk_;
};

}  // namespace group_test
