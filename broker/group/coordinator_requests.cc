// What each request asks of the coordinator. Membership itself is in membership*.cc.
#include <algorithm>
#include <cctype>
#include <set>

#include <fmt/format.h>

#include "broker/group/coordinator.h"
#include "common/model/mutant.h"

namespace broker::group {

using common::model::mutant;

namespace {

constexpr std::string_view classic_type = "classic";

template <class A>
A with_error(ErrorCode error) {
  A answer;
  answer.error = error;
  return answer;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

bool passes(const std::vector<std::string>& filter, std::string_view name) {
  return filter.empty() || std::any_of(filter.begin(), filter.end(),
                                       [&](const std::string& wanted) { return equal_ignoring_case(wanted, name); });
}

// Kafka measures the limit in UTF-16 units.
size_t utf16_length(std::string_view text) {
  size_t units = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xc0) != 0x80) units += byte >= 0xf0 ? 2 : 1;
  }
  return units;
}

// Who may commit: a member that speaks of the current generation, or, for a group without members, anybody.
ErrorCode may_commit(const Group* group, const CommitRequest& request) {
  if (group == nullptr) {
    if (!request.generation) return ErrorCode::none;  // a simple consumer, or a tool, makes the group
    return request.unknown_group_has_own_code ? ErrorCode::group_id_not_found : ErrorCode::illegal_generation;
  }
  const bool is_empty = group->state() == GroupState::empty;
  if (!request.generation && is_empty) return ErrorCode::none;
  if (request.generation || !request.member_id.empty() || request.instance_id) {
    const ErrorCode error = Membership::check_member(*group, request.member_id, request.instance_id);
    if (error != ErrorCode::none) return error;
    if (request.generation != group->generation() && !mutant<"R104-commits-of-older-generations">())
      return ErrorCode::illegal_generation;
  } else if (!is_empty) {
    return ErrorCode::unknown_member_id;
  }
  return group->state() == GroupState::completing_rebalance ? ErrorCode::rebalance_in_progress : ErrorCode::none;
}

StoredOffset to_store(const CommitRequest& request, const CommitRequest::Partition& asked, Moment at) {
  StoredOffset value;
  value.offset = asked.offset;
  value.leader_epoch = asked.leader_epoch;
  value.metadata = asked.metadata;
  value.topic_id = asked.topic_id;
  // A client's clock may be ahead; an offset must not be kept longer for it (R99).
  value.committed_at = asked.committed_at ? std::min(*asked.committed_at, at.wall) : at.wall;
  if (mutant<"R99-believes-the-clients-clock">() && asked.committed_at) value.committed_at = *asked.committed_at;
  if (request.retention) {
    const int64_t longest = INT64_MAX - at.wall.value;
    value.expires_at = TimestampMs(at.wall.value + std::min(request.retention->count(), longest));
  }
  return value;
}

}  // namespace

std::optional<std::string> GroupCoordinator::memory_exceeded(const Group* group, const JoinRequest& request) const {
  size_t wanted = sizeof(Member) + request.client_id.size() + request.client_host.size();
  for (const Protocol& p : request.protocols) wanted += sizeof(Protocol) + p.name.size() + p.metadata.size();
  const Member* member = group != nullptr ? group->find(request.member_id) : nullptr;
  const size_t held = member != nullptr ? member->memory_bytes() : 0;
  if (wanted <= held) return std::nullopt;
  const size_t more = wanted - held;
  if (memory_bytes_ + more > config_.members_memory_max) return fmt::format("{} bytes", config_.members_memory_max);
  if (config_.broker_memory && config_.broker_memory->load() + more > config_.broker_memory_max)
    return fmt::format("{} bytes in all coordinators of this broker", config_.broker_memory_max);
  return std::nullopt;
}

void GroupCoordinator::on(Turn& turn, RequestToken token, JoinRequest& request) {
  const auto refuse = [&](ErrorCode error) { turn.answer(token, join_refused(request.member_id, error)); };
  if (request.group.empty()) return refuse(ErrorCode::invalid_group_id);
  if (request.session_timeout < config_.session_timeout_min || request.session_timeout > config_.session_timeout_max)
    return refuse(ErrorCode::invalid_session_timeout);
  Group* group = find(request.group);
  if (group == nullptr && !request.member_id.empty()) return refuse(ErrorCode::unknown_member_id);
  if (const auto exceeded = memory_exceeded(group, request)) {
    turn.log(LineLevel::warn,
             fmt::format("group {}: members would take more than {}, a join is refused", request.group, *exceeded));
    return refuse(ErrorCode::group_max_size_reached);
  }
  membership_.join(turn, find_or_create(request.group), token, request);
}

void GroupCoordinator::on(Turn& turn, RequestToken token, SyncRequest& request) {
  if (request.group.empty()) return turn.answer(token, sync_refused(ErrorCode::invalid_group_id));
  Group* group = find(request.group);
  if (group == nullptr) return turn.answer(token, sync_refused(ErrorCode::unknown_member_id));
  membership_.sync(turn, *group, token, request);
}

void GroupCoordinator::on(Turn& turn, RequestToken token, HeartbeatRequest& request) {
  HeartbeatAnswer answer;
  Group* group = find(request.group);
  if (request.group.empty())
    answer.error = ErrorCode::invalid_group_id;
  else if (group == nullptr)
    answer.error = ErrorCode::unknown_member_id;
  else
    answer.error = membership_.heartbeat(turn, *group, request);
  turn.answer(token, answer);
}

void GroupCoordinator::on(Turn& turn, RequestToken token, LeaveRequest& request) {
  LeaveAnswer answer;
  if (request.group.empty()) return turn.answer(token, with_error<LeaveAnswer>(ErrorCode::invalid_group_id));
  Group* group = find(request.group);
  std::vector<ErrorCode> codes(request.members.size(), ErrorCode::unknown_member_id);
  if (group != nullptr) codes = membership_.leave(turn, *group, request.members);
  for (size_t i = 0; i < codes.size(); ++i)
    answer.members.push_back({request.members[i].member_id, request.members[i].instance_id, codes[i]});
  turn.answer(token, std::move(answer));
}

void GroupCoordinator::on(Turn& turn, RequestToken token, CommitRequest& request) {
  Group* group = find(request.group);
  const ErrorCode error = may_commit(group, request);
  CommitAnswer answer;
  answer.partitions.assign(request.partitions.size(), error);
  if (error != ErrorCode::none) return turn.answer(token, std::move(answer));
  std::vector<GroupRecord> records;
  for (size_t i = 0; i < request.partitions.size(); ++i) {
    CommitRequest::Partition& asked = request.partitions[i];
    if (utf16_length(asked.metadata) > static_cast<size_t>(config_.offset_metadata_max)) {
      answer.partitions[i] = ErrorCode::offset_metadata_too_large;
      continue;
    }
    StoredOffset value = to_store(request, asked, turn.at);
    records.emplace_back(OffsetStored{request.group, std::move(asked.partition), std::move(value)});
  }
  // A commit is a sign of life of the member.
  if (group != nullptr && request.generation) {
    Member* member = group->find(request.member_id);
    const bool excused = member != nullptr && (member->awaiting_join || member->awaiting_sync);
    if (member != nullptr && !excused) Membership::touch(*group, *member, turn.at.now);
    arm(*group);
  }
  if (records.empty()) return turn.answer(token, std::move(answer));
  turn.write(std::move(records), AnswerAfterWrite{token, std::move(answer)});
}

void GroupCoordinator::on(Turn& turn, RequestToken token, FetchRequest& request) {
  const Group* group = find(request.group);
  FetchAnswer answer;
  const std::vector<TopicPartition> wanted =
      request.partitions ? std::move(*request.partitions)
                         : (group != nullptr ? group->offsets.partitions() : std::vector<TopicPartition>());
  for (const TopicPartition& partition : wanted) {
    FetchAnswer::Partition& found = answer.partitions.emplace_back();
    found.partition = partition;
    if (group == nullptr) continue;
    if (request.stability == Stability::require_stable && group->offsets.is_in_transaction(partition)) {
      found.error = ErrorCode::unstable_offset_commit;  // KIP-447
      continue;
    }
    if (const StoredOffset* value = group->offsets.find(partition)) found.value = *value;
  }
  turn.answer(token, std::move(answer));
}

void GroupCoordinator::on(Turn& turn, RequestToken token, DescribeRequest& request) {
  DescribeAnswer answer;
  answer.state = "Dead";
  if (const Group* group = find(request.group)) {
    const bool is_stable = group->state() == GroupState::stable;
    answer.found = true;
    answer.state = to_string(group->state());
    answer.protocol_type = group->protocol_type().value_or("");
    if (is_stable) answer.protocol = group->protocol().value_or("");
    for (const auto& [id, member] : group->members()) {
      DescribeAnswer::Member& m = answer.members.emplace_back();
      m.member_id = id;
      m.instance_id = member.instance_id;
      m.client_id = member.client_id;
      m.client_host = member.client_host;
      if (!is_stable) continue;
      m.metadata = member.metadata_for(group->protocol());
      m.assignment = member.assignment;
    }
  }
  turn.answer(token, std::move(answer));
}

void GroupCoordinator::on(Turn& turn, RequestToken token, ListRequest& request) {
  ListAnswer answer;
  // Once, not for each group: a filter may have 200,000 items (R109).
  std::set<GroupState> states;
  for (const GroupState state : {GroupState::empty, GroupState::preparing_rebalance, GroupState::completing_rebalance,
                                 GroupState::stable}) {
    if (passes(request.types, classic_type) && passes(request.states, to_string(state))) states.insert(state);
  }
  for (const auto& [id, group] : groups_) {
    if (!states.contains(group.state())) continue;
    answer.groups.push_back(
        {id, group.protocol_type().value_or(""), std::string(to_string(group.state())), std::string(classic_type)});
  }
  turn.answer(token, std::move(answer));
}

void GroupCoordinator::on(Turn& turn, RequestToken token, DeleteRequest& request) {
  Group* group = find(request.group);
  if (group == nullptr) return turn.answer(token, with_error<DeleteAnswer>(ErrorCode::group_id_not_found));
  if (group->state() != GroupState::empty)
    return turn.answer(token, with_error<DeleteAnswer>(ErrorCode::non_empty_group));
  const std::map<std::string, Instant> reserved = group->reserved_ids();
  for (const auto& [member_id, until] : reserved) group->release_id(member_id);
  turn.log(LineLevel::info, fmt::format("group {}: deleted on request", group->id()));
  plan_removals(turn, *group, group->offsets.all_partitions(), group->is_stored() ? RemoveGroup::yes : RemoveGroup::no,
                AnswerAfterWrite{token, DeleteAnswer{}});
}

// KIP-496: not for topics that members read.
void GroupCoordinator::on(Turn& turn, RequestToken token, DeleteOffsetsRequest& request) {
  const auto refuse = [&](ErrorCode error) { turn.answer(token, with_error<DeleteOffsetsAnswer>(error)); };
  if (request.group.empty()) return refuse(ErrorCode::invalid_group_id);
  Group* group = find(request.group);
  if (group == nullptr) return refuse(ErrorCode::group_id_not_found);
  const bool is_empty = group->state() == GroupState::empty;
  if (!is_empty && group->protocol_type() != consumer_protocol_type) return refuse(ErrorCode::non_empty_group);
  DeleteOffsetsAnswer answer;
  std::vector<TopicPartition> removed;
  std::set<TopicPartition> seen;  // each removal repeats the group's name, which may be long (R109)
  for (const TopicPartition& partition : request.partitions) {
    const bool is_read = !is_empty && group->is_subscribed_to(partition.topic);
    answer.partitions.push_back(is_read ? ErrorCode::group_subscribed_to_topic : ErrorCode::none);
    if (is_read) continue;
    const bool exists = group->offsets.find(partition) != nullptr || group->offsets.is_on_the_way(partition) ||
                        group->offsets.is_in_transaction(partition);
    if (exists && seen.insert(partition).second) removed.push_back(partition);
  }
  plan_removals(turn, *group, std::move(removed), RemoveGroup::no, AnswerAfterWrite{token, std::move(answer)});
}

}  // namespace broker::group
