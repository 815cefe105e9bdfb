// JoinGroup: who may join, under which member id, and whether that makes the group rebalance.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "broker/group/membership.h"

namespace broker::group {
namespace {

// As java.util.UUID prints it: what clients and operators expect to see behind a client id.
std::string hyphenated(const Uuid& id) {
  std::string text;
  for (size_t i = 0; i < id.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", id.bytes[i]);
  }
  return text;
}

std::string new_member_id(const JoinRequest& request) {
  return fmt::format("{}-{}", request.instance_id.value_or(request.client_id), hyphenated(request.fresh_id));
}

// The request's bytes are slices of its frame: keep copies, or a member would hold the frame. A name given twice counts
// once.
std::vector<Protocol> own_copy(const std::vector<Protocol>& protocols) {
  std::vector<Protocol> copies;
  std::set<std::string_view> seen;
  for (const Protocol& p : protocols)
    if (seen.insert(p.name).second) copies.push_back({p.name, Buffer::copy_of(p.metadata.view())});
  return copies;
}

void take_timeouts(Member& member, const JoinRequest& request) {
  member.session_timeout = request.session_timeout;
  // A group that must be ready at once could never rebalance.
  member.rebalance_timeout = std::max(request.rebalance_timeout, milliseconds(1));
}

std::string with_reason(std::string what, const JoinRequest& request) {
  if (!request.reason.empty()) what += fmt::format("; client reason: {}", request.reason);
  return what;
}

}  // namespace

JoinAnswer join_refused(const std::string& member_id, ErrorCode error) {
  JoinAnswer answer;
  answer.error = error;
  answer.member_id = member_id;
  return answer;
}

JoinAnswer join_accepted(const Group& group, const Member& member) {
  JoinAnswer answer;
  answer.generation = group.generation();
  answer.protocol_type = group.protocol_type();
  answer.protocol = group.protocol();
  answer.leader = group.leader().value_or("");
  answer.member_id = member.member_id;
  if (group.is_leader(member.member_id))
    for (const auto& [id, m] : group.members())
      answer.members.push_back({id, m.instance_id, m.metadata_for(group.protocol())});
  return answer;
}

void Membership::join(Turn& turn, Group& group, RequestToken token, JoinRequest& request) const {
  const bool reserved = group.has_reserved(request.member_id);
  if (!has_room(group, request.member_id)) {
    const bool was_member = group.find(request.member_id) != nullptr;
    if (was_member) remove_member(turn, group, request.member_id);
    if (reserved) group.release_id(request.member_id);
    turn.answer(token, join_refused({}, ErrorCode::group_max_size_reached));
    if (was_member || reserved) complete_join_if_ready(turn, group);
    return;
  }
  if (!group.supports(request.protocol_type, request.protocols))
    return turn.answer(token, join_refused(request.member_id, ErrorCode::inconsistent_group_protocol));
  if (request.member_id.empty()) return join_new(turn, group, token, request);
  // A static member is never asked to come back with an id (KIP-394), so this is not one of ours.
  if (reserved && request.instance_id)
    return turn.answer(token, join_refused(request.member_id, ErrorCode::unknown_member_id));
  if (reserved) return add_member(turn, group, token, request, request.member_id);
  join_known(turn, group, token, request);
}

// group.max.size. While a group rebalances, those who have come back count, so that a group that is too large sheds its
// last ones.
bool Membership::has_room(const Group& group, const std::string& member_id) const {
  const auto size_max = static_cast<size_t>(config_.size_max);
  const Member* member = group.find(member_id);
  switch (group.state()) {
    case GroupState::empty:
      return true;
    case GroupState::preparing_rebalance:
      return (member != nullptr && member->awaiting_join) || group.awaiting_join() < size_max;
    case GroupState::completing_rebalance:
    case GroupState::stable:
      return member != nullptr || group.members().size() < size_max;
  }
  return false;
}

void Membership::join_new(Turn& turn, Group& group, RequestToken token, JoinRequest& request) const {
  std::string member_id = new_member_id(request);
  if (request.instance_id) {
    if (const std::string* current = group.static_member_id(*request.instance_id)) {
      if (group.state() == GroupState::stable && !group.has_room_to_write())
        return turn.answer(token, join_refused({}, ErrorCode::coordinator_not_available));
      return replace_static_member(turn, group, token, request, std::string(*current), member_id);
    }
    return add_member(turn, group, token, request, std::move(member_id));
  }
  if (request.member_id_rule == MemberIdRule::may_be_empty)
    return add_member(turn, group, token, request, std::move(member_id));
  // KIP-394: the client must come back with this id, so that a lost answer does not leave a member behind.
  group.reserve_id(member_id, turn.at.now + std::min(request.session_timeout, config_.reserved_id_max));
  turn.log(LineLevel::debug, fmt::format("group {}: member id {} given out", group.id(), member_id));
  turn.answer(token, join_refused(member_id, ErrorCode::member_id_required));
}

void Membership::join_known(Turn& turn, Group& group, RequestToken token, JoinRequest& request) const {
  const ErrorCode error = check_member(group, request.member_id, request.instance_id);
  if (error != ErrorCode::none) return turn.answer(token, join_refused(request.member_id, error));
  Member& member = *group.find(request.member_id);
  const bool same = member.has_protocols(request.protocols);
  const bool leads = group.is_leader(member.member_id);
  // The answer to its last request may have been lost, or a follower asks again: told again, nothing changes. A leader
  // of a stable group that asks wants a rebalance: it has seen topics change.
  const bool told_again = (group.state() == GroupState::completing_rebalance && same) ||
                          (group.state() == GroupState::stable && same && !leads);
  if (told_again) {
    JoinAnswer answer = join_accepted(group, member);
    touch(group, member, turn.at.now);
    return turn.answer(token, std::move(answer));
  }
  update_member(turn, group, token, request, member);
  rebalance_or_complete(turn, group, with_reason(fmt::format("member {} joins again", request.member_id), request));
}

void Membership::add_member(Turn& turn, Group& group, RequestToken token, JoinRequest& request,
                            std::string member_id) const {
  Member member;
  member.member_id = std::move(member_id);
  member.instance_id = request.instance_id;
  member.client_id = request.client_id;
  member.client_host = request.client_host;
  take_timeouts(member, request);
  member.protocols = own_copy(request.protocols);
  member.is_new = true;
  Member& added = group.add(std::move(member), request.protocol_type);
  group.wait_for_join(added, token);
  group.set_session_deadline(added, turn.at.now + config_.first_join_timeout);
  if (group.initial_delay && group.generation() == Generation(0)) group.initial_delay->member_added = true;
  turn.log(LineLevel::debug,
           fmt::format("group {}: {} member {} joins, protocol type {}", group.id(),
                       added.is_static() ? "static" : "dynamic", added.member_id, request.protocol_type));
  rebalance_or_complete(turn, group, with_reason(fmt::format("member {} joins", added.member_id), request));
}

void Membership::update_member(Turn& turn, Group& group, RequestToken token, JoinRequest& request,
                               Member& member) const {
  group.set_protocols(member, own_copy(request.protocols));
  take_timeouts(member, request);
  // Its earlier request came over a connection that it gave up.
  if (const auto earlier = group.take_join(member))
    turn.answer(*earlier, join_refused(member.member_id, ErrorCode::rebalance_in_progress));
  group.wait_for_join(member, token);
  if (!member.is_new) group.set_session_deadline(member, std::nullopt);
}

// KIP-345: a static member has restarted. It takes over the place of its former self, which is fenced at once; the
// group need not rebalance unless the protocol would change.
void Membership::replace_static_member(Turn& turn, Group& group, RequestToken token, JoinRequest& request,
                                       const std::string& old_member_id, const std::string& new_member_id) const {
  const std::string leader_before = group.leader().value_or("");
  Member before = group.replace_static(old_member_id, new_member_id, {request.client_id, request.client_host});
  if (before.awaiting_join)
    turn.answer(*before.awaiting_join, join_refused(old_member_id, ErrorCode::fenced_instance_id));
  if (before.awaiting_sync) turn.answer(*before.awaiting_sync, sync_refused(ErrorCode::fenced_instance_id));
  Member& member = *group.find(new_member_id);
  member.is_new = false;
  update_member(turn, group, token, request, member);
  turn.log(LineLevel::info, fmt::format("group {}: static member {} comes back as {}, was {}", group.id(),
                                        *request.instance_id, new_member_id, old_member_id));
  if (group.state() != GroupState::stable) {
    // Completing: the leader may already be working with the old member id, so all must join again.
    return rebalance_or_complete(turn, group, fmt::format("static member {} came back", *request.instance_id));
  }
  if (group.protocol_after_rebalance() != group.protocol())
    return rebalance_or_complete(turn, group,
                                 fmt::format("static member {} changes the protocol", *request.instance_id));
  std::map<std::string, Buffer> assignments;
  for (const auto& [id, m] : group.members()) assignments[id] = m.assignment;
  std::vector<GroupRecord> records;
  records.emplace_back(GroupStored{group.id(), group.stored_form(assignments)});
  turn.write(std::move(records), StaticMemberReplaced{.group = group.id(),
                                                      .generation = group.generation(),
                                                      .before = std::move(before),
                                                      .member_id = new_member_id,
                                                      .leader_before = leader_before,
                                                      .skip_assignment = request.skip_assignment});
}

void Membership::on_static_member_written(Turn& turn, Group& group, StaticMemberReplaced& replaced,
                                          ErrorCode outcome) const {
  Member* member = group.find(replaced.member_id);
  // If the group moved on meanwhile, the member has been told or will be when the rebalance completes.
  const bool as_it_was = group.state() == GroupState::stable && group.generation() == replaced.generation;
  if (member == nullptr || !as_it_was) return;
  const std::optional<RequestToken> token = group.take_join(*member);
  if (outcome != ErrorCode::none) {
    touch(group, group.restore_static(replaced.member_id, std::move(replaced.before)), turn.at.now);
    if (token) turn.answer(*token, join_refused({}, outcome));
    return;
  }
  touch(group, *member, turn.at.now);
  if (!token) return;
  JoinAnswer answer = join_accepted(group, *member);
  if (replaced.skip_assignment == SkipAssignment::supported) {
    // KIP-814: a leader that came back must not compute assignments that nobody waits for.
    answer.skip_assignment = group.is_leader(member->member_id);
  } else {
    // An old client must not believe that it leads, for the same reason.
    answer.leader = replaced.leader_before;
    answer.members.clear();
  }
  turn.answer(*token, std::move(answer));
}

}  // namespace broker::group
