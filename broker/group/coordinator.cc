// Events, timers and bookkeeping of the coordinator; requests are in coordinator_requests.cc, writes in
// coordinator_writes.cc.
#include "broker/group/coordinator.h"

#include <algorithm>

#include <fmt/format.h>

namespace broker::group {

GroupCoordinator::GroupCoordinator(GroupConfig config) : config_(config), membership_(config_) {}

GroupCoordinator::~GroupCoordinator() {
  account(0);
}

void GroupCoordinator::account(size_t bytes) {
  if (config_.broker_memory) config_.broker_memory->fetch_add(bytes - memory_bytes_);  // modulo: may be less
  memory_bytes_ = bytes;
}

Group* GroupCoordinator::find(std::string_view group) {
  const auto found = groups_.find(group);
  return found == groups_.end() ? nullptr : &found->second;
}

Group& GroupCoordinator::find_or_create(const std::string& group) {
  return groups_.try_emplace(group, group).first->second;
}

void GroupCoordinator::replay(const GroupRecord& record, std::optional<ProducerId> in_transaction) {
  Group& group = find_or_create(group_of(record));
  if (const auto* stored = std::get_if<OffsetStored>(&record); stored != nullptr && in_transaction) {
    group.offsets.put_in_transaction(*in_transaction, stored->partition, stored->value);
  } else if (const auto* loaded = std::get_if<GroupStored>(&record)) {
    group.load(loaded->value);
  } else if (std::holds_alternative<GroupRemoved>(record)) {
    group.unload();
  } else {
    apply(record);
  }
}

void GroupCoordinator::replay_end(ProducerId producer, TransactionEnd end) {
  for (auto& [id, group] : groups_) group.offsets.end_transaction(producer, end);
}

Effects GroupCoordinator::start(Moment at) {
  Turn turn{.at = at};
  size_t members = 0;
  size_t offsets = 0;
  std::vector<std::string> ids;
  for (auto& [id, group] : groups_) {
    membership_.resume(group, at.now);
    members += group.members().size();
    group.offsets.for_each([&](const auto&, PartitionIndex, const auto&) { ++offsets; });
    ids.push_back(id);
  }
  for (const std::string& id : ids) settle(id);
  next_expiry_check_ = at.now + config_.expiry_check_interval;
  turn.log(LineLevel::info, fmt::format("loaded {} groups, {} members, {} offsets", groups_.size(), members, offsets));
  return finish(std::move(turn));
}

Effects GroupCoordinator::handle(RequestToken token, Request request, Moment at) {
  Turn turn{.at = at};
  std::visit(
      [&](auto& r) {
        on(turn, token, r);
        using R = std::decay_t<decltype(r)>;
        if constexpr (std::is_same_v<R, HeartbeatRequest>) {
          if (Group* group = find(r.group)) arm(*group);  // a group of 1,000 members is not looked through for each
        } else if constexpr (!std::is_same_v<R, ListRequest> && !std::is_same_v<R, FetchRequest> &&
                             !std::is_same_v<R, DescribeRequest> && !std::is_same_v<R, CommitRequest>) {
          settle(r.group);
        }
      },
      request);
  return finish(std::move(turn));
}

Effects GroupCoordinator::on_time(Moment at) {
  Turn turn{.at = at};
  time_out_writes(turn);
  while (!wake_ups_.empty() && wake_ups_.begin()->first <= at.now) {
    const std::string id = wake_ups_.begin()->second;
    membership_.on_time(turn, *find(id));
    // What is due again at this very moment waits for the next call.
    settle(id);
    if (!wake_ups_.empty() && wake_ups_.begin()->second == id) break;
  }
  if (next_expiry_check_ <= at.now) {
    expire_offsets(turn);
    next_expiry_check_ = at.now + config_.expiry_check_interval;
  }
  if (!to_forget_.empty() && next_removal_ <= at.now) forget_again(turn);
  return finish(std::move(turn));
}

void GroupCoordinator::on_pause(Moment at) {
  for (auto& [id, group] : groups_) {
    membership_.excuse(group, at.now);
    arm(group);
  }
}

std::optional<Instant> GroupCoordinator::next_deadline() const {
  Instant first = next_expiry_check_;
  if (!wake_ups_.empty()) first = std::min(first, wake_ups_.begin()->first);
  if (timed_out_ < pending_.size()) first = std::min(first, pending_[timed_out_].deadline);
  if (!to_forget_.empty()) first = std::min(first, next_removal_);
  return first;
}

Effects GroupCoordinator::resign(ErrorCode error) {
  Turn turn;
  for (auto& [id, group] : groups_) {
    for (const auto& [member_id, unused] : group.members()) {
      Member& member = *group.find(member_id);
      if (const auto token = group.take_join(member)) turn.answer(*token, join_refused(member_id, error));
      if (const auto token = std::exchange(member.awaiting_sync, std::nullopt))
        turn.answer(*token, sync_refused(error));
    }
  }
  for (size_t i = timed_out_; i < pending_.size(); ++i) {
    auto* waiting = std::get_if<AnswerAfterWrite>(&pending_[i].after);
    if (waiting == nullptr) continue;
    fail_answer(waiting->answer, error);
    turn.answer(waiting->token, std::move(waiting->answer));
  }
  pending_.clear();
  timed_out_ = 0;
  return Effects{.answers = std::move(turn.answers)};
}

std::vector<OffsetStored> GroupCoordinator::committed_offsets() const {
  std::vector<OffsetStored> all;
  for (const auto& [id, group] : groups_) {
    group.offsets.for_each([&](const std::string& topic, PartitionIndex index, const StoredOffset& value) {
      all.push_back({id, {topic, index}, value});
    });
  }
  return all;
}

bool GroupCoordinator::has_members() const {
  return std::ranges::any_of(groups_, [](const auto& entry) { return !entry.second.members().empty(); });
}

std::vector<GroupSurvey> GroupCoordinator::survey() const {
  std::vector<GroupSurvey> all;
  for (const auto& [id, group] : groups_) {
    GroupSurvey one{.group = id, .state = std::string(to_string(group.state())), .members = group.members().size(), .offsets = {}};
    group.offsets.for_each([&](const std::string& topic, PartitionIndex index, const StoredOffset& value) {
      one.offsets.emplace_back(TopicPartition{topic, index}, value);
    });
    all.push_back(std::move(one));
  }
  return all;
}

void GroupCoordinator::settle(const std::string& group_id) {
  Group* group = find(group_id);
  if (group == nullptr) return;
  group->check_invariants();
  account(memory_bytes_ - group->memory_accounted + group->memory_bytes());
  group->memory_accounted = group->memory_bytes();
  if (group->is_void()) {
    if (group->armed_at) wake_ups_.erase({*group->armed_at, group_id});
    groups_.erase(groups_.find(group_id));
    return;
  }
  arm(*group);
}

void GroupCoordinator::arm(Group& group) {
  if (group.armed_at == group.wake_up()) return;
  if (group.armed_at) wake_ups_.erase({*group.armed_at, group.id()});
  group.armed_at = group.wake_up();
  if (group.armed_at) wake_ups_.insert({*group.armed_at, group.id()});
}

}  // namespace broker::group
