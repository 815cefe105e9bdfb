// SyncGroup: the leader hands in who does what, everybody gets its part once that is written.
#include <fmt/format.h>

#include "broker/group/membership.h"

namespace broker::group {
namespace {

// KIP-559: a client that names the protocol must name the one that was chosen.
bool differs(const std::optional<std::string>& named, const std::optional<std::string>& chosen) {
  return named && named != chosen;
}

SyncAnswer assigned(const Group& group, const Member& member) {
  SyncAnswer answer;
  answer.protocol_type = group.protocol_type();
  answer.protocol = group.protocol();
  answer.assignment = member.assignment;
  return answer;
}

ErrorCode check(const Group& group, const SyncRequest& request) {
  const ErrorCode error = Membership::check_member(group, request.member_id, request.instance_id);
  if (error != ErrorCode::none) return error;
  if (request.generation != group.generation()) return ErrorCode::illegal_generation;
  if (differs(request.protocol_type, group.protocol_type()) || differs(request.protocol, group.protocol()))
    return ErrorCode::inconsistent_group_protocol;
  if (group.state() == GroupState::empty) return ErrorCode::unknown_member_id;
  if (group.state() == GroupState::preparing_rebalance) return ErrorCode::rebalance_in_progress;
  return ErrorCode::none;
}

// Whether what the member hands in is the assignment.
bool is_to_be_stored(const Group& group, const Member& member) {
  return group.state() == GroupState::completing_rebalance && group.is_leader(member.member_id) &&
         !group.storing_assignment;
}

}  // namespace

SyncAnswer sync_refused(ErrorCode error) {
  SyncAnswer answer;
  answer.error = error;
  return answer;
}

void Membership::sync(Turn& turn, Group& group, RequestToken token, SyncRequest& request) const {
  const ErrorCode error = check(group, request);
  if (error != ErrorCode::none) return turn.answer(token, sync_refused(error));
  Member& member = *group.find(request.member_id);
  if (is_to_be_stored(group, member) && !group.has_room_to_write()) {
    // It joins again and is told the same generation, until what it hands in can be kept.
    touch(group, member, turn.at.now);
    return turn.answer(token, sync_refused(ErrorCode::coordinator_not_available));
  }
  group.set_must_sync(member, false);
  if (group.all_synced()) group.set_sync_deadline(std::nullopt);
  if (group.state() == GroupState::stable) {
    touch(group, member, turn.at.now);
    return turn.answer(token, assigned(group, member));
  }
  if (const auto earlier = std::exchange(member.awaiting_sync, token))
    turn.answer(*earlier, sync_refused(ErrorCode::rebalance_in_progress));
  group.set_session_deadline(member, std::nullopt);
  if (!is_to_be_stored(group, member)) return;

  group.storing_assignment = true;
  std::map<std::string, Buffer> assignments;  // those of members only; a member that was forgotten gets nothing
  for (const auto& [member_id, assignment] : request.assignments)
    if (group.find(member_id) != nullptr) assignments[member_id] = Buffer::copy_of(assignment.view());
  std::vector<GroupRecord> records;
  records.emplace_back(GroupStored{group.id(), group.stored_form(assignments)});
  turn.write(std::move(records), AssignmentStored{group.id(), group.generation(), std::move(assignments)});
}

void Membership::on_assignment_written(Turn& turn, Group& group, AssignmentStored& stored, ErrorCode outcome) const {
  // A rebalance that began meanwhile has taken back this assignment.
  if (group.state() != GroupState::completing_rebalance || group.generation() != stored.generation) return;
  group.storing_assignment = false;
  if (outcome != ErrorCode::none) {
    drop_waiting_assignments(turn, group, outcome);
    return rebalance_or_complete(turn, group, fmt::format("the assignment could not be stored: {}", outcome));
  }
  group.set_state(GroupState::stable, turn.at.wall);
  turn.log(LineLevel::info, fmt::format("group {}: generation {} is stable, {} of {} members have work", group.id(),
                                        group.generation().value, stored.assignments.size(), group.members().size()));
  for (const auto& [id, unused] : group.members()) {
    Member& member = *group.find(id);
    const auto part = stored.assignments.find(id);
    group.set_assignment(member, part == stored.assignments.end() ? Buffer() : part->second);
    if (const auto token = std::exchange(member.awaiting_sync, std::nullopt)) {
      turn.answer(*token, assigned(group, member));
      touch(group, member, turn.at.now);
    }
  }
}

void Membership::drop_waiting_assignments(Turn& turn, Group& group, ErrorCode error) const {
  for (const auto& [id, unused] : group.members()) {
    Member& member = *group.find(id);
    group.set_assignment(member, {});
    if (const auto token = std::exchange(member.awaiting_sync, std::nullopt)) {
      turn.answer(*token, sync_refused(error));
      touch(group, member, turn.at.now);
    }
  }
}

}  // namespace broker::group
