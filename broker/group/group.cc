#include "broker/group/group.h"

#include <algorithm>

#include "broker/group/consumer_subscription.h"

namespace broker::group {
namespace {

size_t bytes_of(const std::vector<Protocol>& protocols) {
  size_t bytes = 0;
  for (const Protocol& p : protocols) bytes += sizeof(Protocol) + p.name.size() + p.metadata.size();
  return bytes;
}

// Of a reserved member id: its key, its deadline and the tree node, and the group that may be there for it alone.
size_t reserved_bytes(const std::string& member_id) {
  return sizeof(Group) + 96 + member_id.size();
}

}  // namespace

std::string_view to_string(GroupState state) {
  switch (state) {
    case GroupState::empty:
      return "Empty";
    case GroupState::preparing_rebalance:
      return "PreparingRebalance";
    case GroupState::completing_rebalance:
      return "CompletingRebalance";
    case GroupState::stable:
      return "Stable";
  }
  return "Dead";
}

bool Member::has_protocols(const std::vector<Protocol>& other) const {
  return std::equal(
      protocols.begin(), protocols.end(), other.begin(), other.end(),
      [](const Protocol& a, const Protocol& b) { return a.name == b.name && a.metadata.text() == b.metadata.text(); });
}

Buffer Member::metadata_for(const std::optional<std::string>& protocol) const {
  if (!protocol) return {};
  for (const Protocol& p : protocols)
    if (p.name == *protocol) return p.metadata;
  return {};
}

size_t Member::memory_bytes() const {
  return sizeof(Member) + 64 + 2 * member_id.size() + (instance_id ? 2 * instance_id->size() : 0) + client_id.size() +
         client_host.size() + bytes_of(protocols) + assignment.size();
}

void Group::set_state(GroupState state, TimestampMs since) {
  state_ = state;
  state_since_ = since;
}

bool Group::is_subscribed_to(std::string_view topic) const {
  if (subscribed_topics_) return subscribed_topics_->contains(topic);
  return protocol_type_ == consumer_protocol_type;
}

Member* Group::find(std::string_view member_id) {
  const auto found = members_.find(member_id);
  return found == members_.end() ? nullptr : &found->second;
}

const std::string* Group::static_member_id(const std::string& instance_id) const {
  const auto found = static_members_.find(instance_id);
  return found == static_members_.end() ? nullptr : &found->second;
}

Member& Group::add(Member member, const std::string& protocol_type) {
  if (members_.empty()) protocol_type_ = protocol_type;
  if (!leader_) leader_ = member.member_id;
  release_id(member.member_id);
  if (member.instance_id) static_members_[*member.instance_id] = member.member_id;
  count_protocols(member, 1);
  memory_bytes_ += member.memory_bytes();
  const std::string id = member.member_id;
  const auto [it, inserted] = members_.emplace(id, std::move(member));
  NARU_CHECK(inserted, "member {} added twice", id);
  return it->second;
}

void Group::remove(const std::string& member_id) {
  const auto found = members_.find(member_id);
  NARU_CHECK(found != members_.end(), "no member {}", member_id);
  Member& member = found->second;
  NARU_CHECK(!member.awaiting_join && !member.awaiting_sync, "member {} is still waiting", member_id);
  set_must_sync(member, false);
  count_protocols(member, -1);
  memory_bytes_ -= member.memory_bytes();
  if (member.instance_id) static_members_.erase(*member.instance_id);
  const bool led = leader_ == member.member_id;
  members_.erase(found);
  if (led) leader_ = members_.empty() ? std::nullopt : std::optional(members_.begin()->first);
}

Member Group::replace_static(const std::string& old_member_id, const std::string& new_member_id,
                             ClientIdentity client) {
  Member* old = find(old_member_id);
  NARU_CHECK(old != nullptr && old->is_static(), "no static member {}", old_member_id);
  const bool led = is_leader(old_member_id);
  const bool must_sync = old->must_sync;
  Member before = *old;
  // The result answers for the old member's requests; in here nobody waits under that id any more.
  take_join(*old);
  old->awaiting_sync.reset();
  Member replaced = *old;
  remove(old_member_id);
  replaced.member_id = new_member_id;
  replaced.client_id = std::move(client.id);  // here, where add() accounts for its bytes
  replaced.client_host = std::move(client.host);
  replaced.must_sync = false;
  Member& added = add(std::move(replaced), *protocol_type_);
  set_must_sync(added, must_sync);
  if (led) leader_ = new_member_id;
  return before;
}

Member& Group::restore_static(const std::string& new_member_id, Member old_member) {
  const bool led = is_leader(new_member_id);
  const std::string old_id = old_member.member_id;
  old_member.awaiting_join.reset();
  old_member.awaiting_sync.reset();
  old_member.must_sync = false;
  remove(new_member_id);
  Member& restored = add(std::move(old_member), *protocol_type_);
  if (led) leader_ = old_id;
  return restored;
}

void Group::set_protocols(Member& member, std::vector<Protocol> protocols) {
  count_protocols(member, -1);
  memory_bytes_ -= member.memory_bytes();
  member.protocols = std::move(protocols);
  memory_bytes_ += member.memory_bytes();
  count_protocols(member, 1);
}

void Group::set_assignment(Member& member, Buffer assignment) {
  memory_bytes_ -= member.memory_bytes();
  member.assignment = std::move(assignment);
  memory_bytes_ += member.memory_bytes();
}

bool Group::supports(const std::string& protocol_type, const std::vector<Protocol>& protocols) const {
  if (state_ == GroupState::empty) return !protocol_type.empty() && !protocols.empty();
  if (protocol_type_ != protocol_type) return false;
  return std::any_of(protocols.begin(), protocols.end(), [&](const Protocol& p) {
    const auto found = protocol_counts_.find(p.name);
    return members_.empty() || (found != protocol_counts_.end() && found->second == static_cast<int>(members_.size()));
  });
}

milliseconds Group::rebalance_timeout() const {
  milliseconds longest{0};
  for (const auto& [id, member] : members_) longest = std::max(longest, member.rebalance_timeout);
  return longest;
}

void Group::wait_for_join(Member& member, RequestToken token) {
  if (!member.awaiting_join) ++awaiting_join_;
  member.awaiting_join = token;
}

std::optional<RequestToken> Group::take_join(Member& member) {
  if (member.awaiting_join) --awaiting_join_;
  return std::exchange(member.awaiting_join, std::nullopt);
}

void Group::set_must_sync(Member& member, bool must) {
  if (member.must_sync != must) must_sync_ += must ? 1 : size_t(-1);
  member.must_sync = must;
}

void Group::reserve_id(const std::string& member_id, Instant until) {
  if (reserved_ids_.insert_or_assign(member_id, until).second) memory_bytes_ += reserved_bytes(member_id);
  note_deadline(until);
}

bool Group::release_id(const std::string& member_id) {
  if (reserved_ids_.erase(member_id) == 0) return false;
  memory_bytes_ -= reserved_bytes(member_id);
  return true;
}

bool Group::elect_joined_leader() {
  if (!leader_) return false;
  if (find(*leader_)->awaiting_join) return true;
  for (const auto& [id, member] : members_) {
    if (!member.awaiting_join) continue;
    leader_ = id;
    return true;
  }
  return false;
}

void Group::begin_generation() {
  generation_ = generation_.value == INT32_MAX ? Generation(1) : generation_.next();
  protocol_ = members_.empty() ? std::nullopt : std::optional(choose_protocol());
  storing_assignment = false;
  for (auto& [id, member] : members_) set_must_sync(member, false);
  recompute_subscribed_topics();
}

void Group::set_join_deadline(std::optional<Instant> at) {
  join_deadline_ = at;
  note_deadline(at);
}

void Group::set_sync_deadline(std::optional<Instant> at) {
  sync_deadline_ = at;
  note_deadline(at);
}

void Group::set_session_deadline(Member& member, std::optional<Instant> at) {
  member.session_deadline = at;
  note_deadline(at);
}

void Group::note_deadline(std::optional<Instant> at) {
  if (at && (!wake_up_ || *at < *wake_up_)) wake_up_ = at;
}

void Group::recompute_wake_up() {
  wake_up_.reset();
  note_deadline(join_deadline_);
  note_deadline(sync_deadline_);
  for (const auto& [id, until] : reserved_ids_) note_deadline(until);
  for (const auto& [id, member] : members_) note_deadline(member.session_deadline);
}

StoredGroup Group::stored_form(const std::map<std::string, Buffer>& assignments) const {
  StoredGroup stored;
  stored.protocol_type = protocol_type_.value_or("");
  stored.generation = generation_;
  stored.protocol = protocol_;
  stored.leader = leader_;
  stored.state_since = state_since_;
  for (const auto& [id, member] : members_) {
    const auto assignment = assignments.find(id);
    StoredMember& m = stored.members.emplace_back();
    m.member_id = id;
    m.instance_id = member.instance_id;
    m.client_id = member.client_id;
    m.client_host = member.client_host;
    m.rebalance_timeout = member.rebalance_timeout;
    m.session_timeout = member.session_timeout;
    m.subscription = member.metadata_for(protocol_);
    if (assignment != assignments.end()) m.assignment = assignment->second;
  }
  return stored;
}

void Group::load(const StoredGroup& stored) {
  unload();
  stored_ = true;
  generation_ = stored.generation;
  if (!stored.protocol_type.empty()) protocol_type_ = stored.protocol_type;
  for (const StoredMember& m : stored.members) {
    // No writer does that; of two members with one name the first one counts.
    if (members_.contains(m.member_id) || (m.instance_id && static_members_.contains(*m.instance_id))) continue;
    Member member;
    member.member_id = m.member_id;
    member.instance_id = m.instance_id;
    member.client_id = m.client_id;
    member.client_host = m.client_host;
    member.rebalance_timeout = std::max(m.rebalance_timeout, milliseconds(1));
    member.session_timeout = std::max(m.session_timeout, milliseconds(1));
    // Slices of a whole read would keep it in memory.
    member.protocols.push_back({stored.protocol.value_or(""), Buffer::copy_of(m.subscription.view())});
    member.assignment = Buffer::copy_of(m.assignment.view());
    add(std::move(member), stored.protocol_type);
  }
  if (!members_.empty()) {
    protocol_ = stored.protocol.value_or("");
    if (stored.leader && members_.contains(*stored.leader)) leader_ = stored.leader;
  }
  state_ = members_.empty() ? GroupState::empty : GroupState::stable;
  state_since_ = stored.state_since;
  recompute_subscribed_topics();
}

void Group::unload() {
  state_ = GroupState::empty;
  state_since_.reset();
  generation_ = Generation(0);
  protocol_type_.reset();
  protocol_.reset();
  leader_.reset();
  subscribed_topics_.reset();
  for (const auto& [id, member] : members_) memory_bytes_ -= member.memory_bytes();
  members_.clear();
  static_members_.clear();
  protocol_counts_.clear();
  must_sync_ = 0;
  stored_ = false;
}

bool Group::is_void() const {
  return state_ == GroupState::empty && !is_stored() && reserved_ids_.empty() && offsets.holds_nothing();
}

void Group::count_protocols(const Member& member, int by) {
  for (const Protocol& p : member.protocols) {
    int& count = protocol_counts_[p.name];
    count += by;
    if (count == 0) protocol_counts_.erase(p.name);
  }
}

// Each member votes for the first of its protocols that all support; the leader's preference breaks a tie.
std::string Group::choose_protocol() const {
  const auto common_to_all = [&](const Protocol& p) {
    return protocol_counts_.find(p.name)->second == static_cast<int>(members_.size());
  };
  std::map<std::string_view, int> votes;
  for (const auto& [id, member] : members_) {
    const auto vote = std::find_if(member.protocols.begin(), member.protocols.end(), common_to_all);
    NARU_CHECK(vote != member.protocols.end(), "group {}: no protocol is common to all members", id_);
    ++votes[vote->name];
  }
  std::string_view best;
  for (const Protocol& p : find(*leader_)->protocols)
    if (votes.contains(p.name) && (best.empty() || votes[p.name] > votes[best])) best = p.name;
  return std::string(best);
}

void Group::recompute_subscribed_topics() {
  subscribed_topics_.reset();
  if (protocol_type_ != consumer_protocol_type) return;
  std::set<std::string, std::less<>> topics;
  for (const auto& [id, member] : members_) {
    const auto of_member = subscribed_topics_in(member.metadata_for(protocol_).view());
    if (!of_member) return;
    topics.insert(of_member->begin(), of_member->end());
  }
  subscribed_topics_ = std::move(topics);
}

void Group::check_invariants() const {
  NARU_CHECK(leader_.has_value() == !members_.empty() && (!leader_ || members_.contains(*leader_)), "group {}", id_);
  size_t joining = 0, must_sync = 0, static_members = 0, bytes = 0;
  for (const auto& [id, member] : members_) {
    joining += member.awaiting_join ? 1 : 0;
    must_sync += member.must_sync ? 1 : 0;
    bytes += member.memory_bytes();
    if (!member.instance_id) continue;
    ++static_members;
    const std::string* owner = static_member_id(*member.instance_id);
    NARU_CHECK(owner != nullptr && *owner == id, "group {}: static member {}", id_, id);
  }
  for (const auto& [id, until] : reserved_ids_) bytes += reserved_bytes(id);
  NARU_CHECK(joining == awaiting_join_ && must_sync == must_sync_ && static_members == static_members_.size() &&
                 bytes == memory_bytes_,
             "group {}: joining {}/{} syncing {}/{} static {}/{} bytes {}/{}", id_, joining, awaiting_join_, must_sync,
             must_sync_, static_members, static_members_.size(), bytes, memory_bytes_);
  if (state_ == GroupState::empty) NARU_CHECK(members_.empty(), "group {}", id_);
  if (state_ == GroupState::stable || state_ == GroupState::completing_rebalance)
    NARU_CHECK(!members_.empty() && protocol_, "group {}", id_);
}

}  // namespace broker::group
