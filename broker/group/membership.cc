// The rebalance itself, and what time, heartbeats and departures do to a group.
#include "broker/group/membership.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/model/mutant.h"

namespace broker::group {

using common::model::mutant;

namespace {

// A request that waits here shows that its client is alive; only a newcomer, whose client may be gone, is not trusted.
bool is_excused(const Member& member) {
  return !member.is_new && (member.awaiting_join || member.awaiting_sync);
}

std::string joined(const std::vector<std::string>& ids) {
  return fmt::format("{}", fmt::join(ids, ", "));
}

}  // namespace

ErrorCode Membership::check_member(const Group& group, const std::string& member_id,
                                   const std::optional<std::string>& instance_id) {
  if (instance_id) {
    const std::string* current = group.static_member_id(*instance_id);
    if (current == nullptr) return ErrorCode::unknown_member_id;
    if (*current != member_id) return ErrorCode::fenced_instance_id;
  }
  return group.find(member_id) == nullptr ? ErrorCode::unknown_member_id : ErrorCode::none;
}

void Membership::touch(Group& group, Member& member, Instant now) {
  group.set_session_deadline(member, now + member.session_timeout);
}

ErrorCode Membership::heartbeat(Turn& turn, Group& group, const HeartbeatRequest& request) const {
  const ErrorCode error = check_member(group, request.member_id, request.instance_id);
  if (error != ErrorCode::none) return error;
  if (request.generation != group.generation()) return ErrorCode::illegal_generation;
  if (group.state() == GroupState::empty) return ErrorCode::unknown_member_id;
  touch(group, *group.find(request.member_id), turn.at.now);
  return group.state() == GroupState::preparing_rebalance ? ErrorCode::rebalance_in_progress : ErrorCode::none;
}

std::vector<ErrorCode> Membership::leave(Turn& turn, Group& group,
                                         const std::vector<LeaveRequest::Member>& members) const {
  std::vector<ErrorCode> codes;
  std::vector<std::string> left;
  bool gave_up_id = false;
  for (const LeaveRequest::Member& leaving : members) {
    std::string id = leaving.member_id;
    ErrorCode code = ErrorCode::none;
    if (id.empty()) {
      // Removal by an administrator, who knows the instance only.
      const std::string* current = leaving.instance_id ? group.static_member_id(*leaving.instance_id) : nullptr;
      if (current == nullptr)
        code = ErrorCode::unknown_member_id;
      else
        id = *current;
    } else if (group.release_id(id)) {
      gave_up_id = true;
      codes.push_back(ErrorCode::none);
      continue;
    } else {
      code = check_member(group, id, leaving.instance_id);
    }
    if (code == ErrorCode::none) {
      remove_member(turn, group, id);
      left.push_back(leaving.reason.empty() ? id : fmt::format("{} ({})", id, leaving.reason));
    }
    codes.push_back(code);
  }
  if (!left.empty())
    rebalance_or_complete(turn, group, fmt::format("left: {}", joined(left)));
  else if (gave_up_id)
    complete_join_if_ready(turn, group);
  return codes;
}

void Membership::remove_member(Turn& turn, Group& group, const std::string& member_id) const {
  Member& member = *group.find(member_id);
  // If it is alive after all, this tells it to join as somebody new.
  if (const auto token = group.take_join(member)) turn.answer(*token, join_refused({}, ErrorCode::unknown_member_id));
  if (const auto token = std::exchange(member.awaiting_sync, std::nullopt))
    turn.answer(*token, sync_refused(ErrorCode::unknown_member_id));
  group.remove(member_id);
  if (group.all_synced()) group.set_sync_deadline(std::nullopt);
}

void Membership::rebalance_or_complete(Turn& turn, Group& group, const std::string& reason) const {
  if (group.state() == GroupState::preparing_rebalance) return complete_join_if_ready(turn, group);
  rebalance(turn, group, reason);
}

void Membership::rebalance(Turn& turn, Group& group, const std::string& reason) const {
  if (group.state() == GroupState::completing_rebalance)
    drop_waiting_assignments(turn, group, ErrorCode::rebalance_in_progress);
  group.set_sync_deadline(std::nullopt);
  const bool initial = group.state() == GroupState::empty;
  turn.log(LineLevel::info, fmt::format("group {}: rebalance after generation {}, was {}: {}", group.id(),
                                        group.generation().value, to_string(group.state()), reason));
  group.set_state(GroupState::preparing_rebalance, turn.at.wall);
  if (!initial) {
    if (group.all_joined()) return complete_join(turn, group);
    return group.set_join_deadline(turn.at.now + group.rebalance_timeout());
  }
  const milliseconds delay = config_.initial_rebalance_delay;
  group.initial_delay =
      InitialDelay{.remaining = std::max(group.rebalance_timeout() - delay, milliseconds(0)), .current = delay};
  if (delay == milliseconds(0)) return complete_join(turn, group);
  group.set_join_deadline(turn.at.now + delay);
}

// A group that forms waits for its delay even if all who are known have come.
void Membership::complete_join_if_ready(Turn& turn, Group& group) const {
  if (group.state() == GroupState::preparing_rebalance && !group.initial_delay && group.all_joined())
    complete_join(turn, group);
}

void Membership::on_join_deadline(Turn& turn, Group& group) const {
  group.set_join_deadline(std::nullopt);
  if (InitialDelay* delay = group.initial_delay ? &*group.initial_delay : nullptr;
      delay != nullptr && delay->member_added && delay->remaining > milliseconds(0)) {
    const milliseconds elapsed = delay->current;
    delay->member_added = false;
    delay->current = std::min(config_.initial_rebalance_delay, delay->remaining);
    delay->remaining = std::max(delay->remaining - elapsed, milliseconds(0));
    return group.set_join_deadline(turn.at.now + delay->current);
  }
  complete_join(turn, group);
}

void Membership::complete_join(Turn& turn, Group& group) const {
  group.set_join_deadline(std::nullopt);
  std::vector<std::string> late;
  for (const auto& [id, member] : group.members())
    if (!member.awaiting_join && !member.is_static()) late.push_back(id);
  for (const std::string& id : late) remove_member(turn, group, id);
  if (!late.empty())
    turn.log(LineLevel::info, fmt::format("group {}: did not join again in time: {}", group.id(), joined(late)));
  if (!group.members().empty() && !group.elect_joined_leader()) {
    // Only static members that have not come back. They keep their places until their sessions end.
    turn.log(LineLevel::info, fmt::format("group {}: nobody has joined again, waiting on", group.id()));
    return group.set_join_deadline(turn.at.now + group.rebalance_timeout());
  }
  group.initial_delay.reset();
  group.begin_generation();
  if (group.members().empty()) {
    group.set_state(GroupState::empty, turn.at.wall);
    turn.log(LineLevel::info, fmt::format("group {}: generation {} is empty", group.id(), group.generation().value));
    if (!group.is_stored() && group.offsets.holds_nothing()) return;  // the log need not hear of it
    std::vector<GroupRecord> records;
    records.emplace_back(GroupStored{group.id(), group.stored_form({})});
    // If it fails the log still has the old members; they would be given a session and found absent.
    return turn.write(std::move(records), NothingAfterWrite{});
  }
  group.set_state(GroupState::completing_rebalance, turn.at.wall);
  turn.log(LineLevel::info,
           fmt::format("group {}: generation {} has {} members, leader {}, protocol {}", group.id(),
                       group.generation().value, group.members().size(), *group.leader(), *group.protocol()));
  for (const auto& [id, unused] : group.members()) {
    Member& member = *group.find(id);
    if (const auto token = group.take_join(member)) turn.answer(*token, join_accepted(group, member));
    member.is_new = false;
    touch(group, member, turn.at.now);
    group.set_must_sync(member, true);
  }
  group.set_sync_deadline(turn.at.now + group.rebalance_timeout());
}

// Whoever was told of the generation and never asked for its part is gone.
void Membership::on_sync_deadline(Turn& turn, Group& group) const {
  group.set_sync_deadline(std::nullopt);
  std::vector<std::string> silent;
  for (const auto& [id, member] : group.members())
    if (member.must_sync) silent.push_back(id);
  if (silent.empty()) return;
  for (const std::string& id : silent) remove_member(turn, group, id);
  rebalance_or_complete(turn, group, fmt::format("no SyncGroup in time from {}", joined(silent)));
}

void Membership::expire_sessions(Turn& turn, Group& group) const {
  std::vector<std::string> expired;
  for (const auto& [id, unused] : group.members()) {
    Member& member = *group.find(id);
    if (!member.session_deadline || *member.session_deadline > turn.at.now) continue;
    if (is_excused(member))
      group.set_session_deadline(member, std::nullopt);
    else
      expired.push_back(id);
  }
  if (expired.empty()) return;
  for (const std::string& id : expired) remove_member(turn, group, id);
  rebalance_or_complete(turn, group, fmt::format("session expired: {}", joined(expired)));
}

void Membership::on_time(Turn& turn, Group& group) const {
  const auto passed = [&](const std::optional<Instant>& deadline) { return deadline && *deadline <= turn.at.now; };
  std::vector<std::string> unused;
  for (const auto& [id, until] : group.reserved_ids())
    if (until <= turn.at.now) unused.push_back(id);
  for (const std::string& id : unused) group.release_id(id);
  if (!unused.empty()) complete_join_if_ready(turn, group);
  expire_sessions(turn, group);
  if (passed(group.join_deadline())) on_join_deadline(turn, group);
  if (passed(group.sync_deadline())) on_sync_deadline(turn, group);
  group.recompute_wake_up();
}

void Membership::resume(Group& group, Instant now) const {
  if (mutant<"R108-forgets-members-at-a-failover">()) return;
  for (const auto& [id, unused] : group.members()) touch(group, *group.find(id), now);
}

void Membership::excuse(Group& group, Instant now) const {
  if (mutant<"R108-blames-members-for-its-own-pause">()) return;
  for (const auto& [id, unused] : group.members()) {
    Member& member = *group.find(id);
    if (member.session_deadline) touch(group, member, now);
  }
  const Instant soon = now + config_.session_timeout_min;
  if (group.join_deadline() && !group.initial_delay) group.set_join_deadline(std::max(*group.join_deadline(), soon));
  if (group.sync_deadline()) group.set_sync_deadline(std::max(*group.sync_deadline(), soon));
  group.recompute_wake_up();
}

}  // namespace broker::group
