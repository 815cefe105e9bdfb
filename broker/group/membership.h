// The rules of classic group membership: joining, the rebalance that follows, handing out assignments, heartbeats,
// leaving, and what happens when somebody does none of that in time. KIP-394 (member ids), KIP-345 (static members),
// KIP-814 (skipAssignment), KIP-559 (protocol checks), KIP-800 (reasons).
//
// Works on one Group at a time and puts what must be done into the Turn. Thread-compatible; holds no state but config.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "broker/group/config.h"
#include "broker/group/effects.h"
#include "broker/group/group.h"

namespace broker::group {

class Membership {
 public:
  explicit Membership(const GroupConfig& config) : config_(config) {}

  void join(Turn& turn, Group& group, RequestToken token, JoinRequest& request) const;
  void sync(Turn& turn, Group& group, RequestToken token, SyncRequest& request) const;
  [[nodiscard]] ErrorCode heartbeat(Turn& turn, Group& group, const HeartbeatRequest& request) const;
  // One code per member, in order; then the group goes on without those that left.
  [[nodiscard]] std::vector<ErrorCode> leave(Turn& turn, Group& group,
                                             const std::vector<LeaveRequest::Member>& members) const;

  // Whatever deadline of the group has passed.
  void on_time(Turn& turn, Group& group) const;
  void on_assignment_written(Turn& turn, Group& group, AssignmentStored& stored, ErrorCode outcome) const;
  void on_static_member_written(Turn& turn, Group& group, StaticMemberReplaced& replaced, ErrorCode outcome) const;
  // A loaded group: each member is given a whole session (R108).
  void resume(Group& group, Instant now) const;
  // Nobody could be heard for a while until `now`: who owes a sign of life has a whole session for it, and a rebalance
  // that has waited for long enough waits a little more.
  void excuse(Group& group, Instant now) const;

  // The member exists, and if it names itself as a static member it is the one of that name.
  [[nodiscard]] static ErrorCode check_member(const Group& group, const std::string& member_id,
                                              const std::optional<std::string>& instance_id);
  // A sign of life.
  static void touch(Group& group, Member& member, Instant now);

 private:
  void join_new(Turn& turn, Group& group, RequestToken token, JoinRequest& request) const;
  void join_known(Turn& turn, Group& group, RequestToken token, JoinRequest& request) const;
  [[nodiscard]] bool has_room(const Group& group, const std::string& member_id) const;
  void add_member(Turn& turn, Group& group, RequestToken token, JoinRequest& request, std::string member_id) const;
  void update_member(Turn& turn, Group& group, RequestToken token, JoinRequest& request, Member& member) const;
  void replace_static_member(Turn& turn, Group& group, RequestToken token, JoinRequest& request,
                             const std::string& old_member_id, const std::string& new_member_id) const;

  void rebalance(Turn& turn, Group& group, const std::string& reason) const;
  void rebalance_or_complete(Turn& turn, Group& group, const std::string& reason) const;
  void complete_join_if_ready(Turn& turn, Group& group) const;
  void complete_join(Turn& turn, Group& group) const;
  void on_join_deadline(Turn& turn, Group& group) const;
  void on_sync_deadline(Turn& turn, Group& group) const;
  void expire_sessions(Turn& turn, Group& group) const;
  void drop_waiting_assignments(Turn& turn, Group& group, ErrorCode error) const;
  void remove_member(Turn& turn, Group& group, const std::string& member_id) const;

  const GroupConfig& config_;
};

[[nodiscard]] SyncAnswer sync_refused(ErrorCode error);
[[nodiscard]] JoinAnswer join_refused(const std::string& member_id, ErrorCode error);
// What a member is told about the generation that it is part of.
[[nodiscard]] JoinAnswer join_accepted(const Group& group, const Member& member);

}  // namespace broker::group
