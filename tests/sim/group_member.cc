#include "sim/group_member.h"

#include "kafka/fetch.h"
#include "kafka/find_coordinator.h"
#include "kafka/heartbeat.h"
#include "kafka/join_group.h"
#include "kafka/leave_group.h"
#include "kafka/offset_commit.h"
#include "kafka/offset_fetch.h"
#include "kafka/sync_group.h"
#include "sim/records.h"

namespace sim {

using namespace std::chrono_literals;

namespace {

Buffer subscription_to(const std::string& topic) {
  kafka::Writer writer;
  writer.i16(0);
  writer.i32(1);
  writer.string(topic, false);
  writer.i32(-1);
  return writer.finish()->flatten();
}

// The assignment is the members' own affair: a list of partitions.
Buffer encode_share(const std::vector<int32_t>& partitions) {
  kafka::Writer writer;
  writer.i32(static_cast<int32_t>(partitions.size()));
  for (const int32_t p : partitions) writer.i32(p);
  return writer.finish()->flatten();
}
std::vector<int32_t> decode_share(const Buffer& bytes) {
  kafka::Reader reader(bytes);
  std::vector<int32_t> partitions;
  if (bytes.empty()) return partitions;
  const int32_t count = reader.i32();
  for (int32_t i = 0; i < count; ++i) partitions.push_back(reader.i32());
  return partitions;
}

}  // namespace

// ---- what must hold ----

void GroupHistory::owns(int32_t generation, const std::string& member, const Place& place) {
  const auto [found, is_new] = owners_.try_emplace({generation, place}, member);
  if (!is_new && found->second != member) {
    complain(fmt::format("partition {} belongs to {} and to {} in generation {}", place.partition, found->second, member,
                         generation));
  }
}

void GroupHistory::was_empty_for(Duration time) {
  constexpr Duration retention = 7 * 24h;
  // A clock may have been a day off when it was written down, and members are missed after a while.
  constexpr Duration doubt = 25h;
  if (time < retention - doubt) return;
  if (time > retention + doubt) {
    for (const auto& [place, offset] : acknowledged_) expired_.insert(place);
  }
  acknowledged_.clear();
  // The group itself may have gone with them, and then begins with its first generation once more.
  members_.clear();
  owners_.clear();
}

void GroupHistory::commit_sent(const Place& place, int64_t offset) {
  expired_.erase(place);
  int64_t& max = sent_max_[place];
  max = std::max(max, offset);
}

void GroupHistory::commit_acknowledged(const Place& place, int64_t offset) {
  ++commits_;
  // An answer may come after that of a later commit.
  int64_t& acknowledged = acknowledged_.try_emplace(place, offset).first->second;
  acknowledged = std::max(acknowledged, offset);
}

int64_t GroupHistory::floor(const Place& place) const {
  const auto found = acknowledged_.find(place);
  return found == acknowledged_.end() ? -1 : found->second;
}

void GroupHistory::fetched(const Place& place, int64_t floor, int64_t offset) {
  if (offset < floor) {
    complain(
        fmt::format("partition {}: offset {} was fetched, {} had been acknowledged", place.partition, offset, floor));
  }
  if (expired_.erase(place) > 0 && offset >= 0) {
    complain(fmt::format("partition {}: offset {} was fetched, which should have expired", place.partition, offset));
  }
  const auto sent = sent_max_.find(place);
  if (offset > (sent == sent_max_.end() ? -1 : sent->second)) {
    complain(fmt::format("partition {}: offset {} was fetched and never committed", place.partition, offset));
  }
}

// ---- a member ----

Awaitable<void> GroupMember::run(GroupMember& self) {
  while (self.running_.others) {
    self.stable_ = false;
    if (!self.coordinator_ && !co_await self.find_coordinator()) {
      co_await self.client_.sleep(200ms);
      continue;
    }
    if (!co_await self.join() || !co_await self.sync() || !co_await self.fetch_offsets()) {
      co_await self.client_.sleep(self.client_.random().between(50ms, 300ms));
      continue;
    }
    co_await self.work();
  }
}

Awaitable<void> GroupMember::work() {
  constexpr int beats_of_a_look = 10;  // in a long life
  for (int beat = 0; running_.others && co_await heartbeat(); ++beat) {
    stable_ = true;
    if (!running_.long_lived || beat % beats_of_a_look == 0) {
      co_await read();
      if (!co_await commit()) co_return;
      if (habit_ == Habit::sleeps && !running_.calm) co_await sleep_long();
      if (!stable_) co_return;
    }
    co_await client_.sleep(running_.long_lived ? Duration(3s) : client_.random().between(500ms, 1500ms));
  }
}

// Without a word, as programs end.
Awaitable<void> GroupMember::sleep_long() {
  Rng& random = client_.random();
  if (!bedtime_) bedtime_ = client_.now() + random.between(2min, 30min);
  if (client_.now() < *bedtime_) co_return;
  bedtime_.reset();
  const Duration times[] = {3h, 24h, 5 * 24h, 7 * 24h, 9 * 24h};
  const Duration time = times[random.below(5)];
  stable_ = false;
  asleep_ = true;
  member_id_.clear();
  co_await client_.sleep(time);
  asleep_ = false;
  group_.was_empty_for(time);
}

void GroupMember::on_error(ErrorCode code) {
  if (code == ErrorCode::not_coordinator || code == ErrorCode::coordinator_not_available) coordinator_.reset();
  if (code == ErrorCode::unknown_member_id) member_id_.clear();
}

Awaitable<bool> GroupMember::find_coordinator() {
  kafka::FindCoordinatorRequest request;
  request.coordinator_keys = {group_.name()};
  const auto answer = co_await client_.ask<kafka::FindCoordinatorResponse>(client_.any_broker(), std::move(request), 4, 5s);
  if (!answer || answer->coordinators.size() != 1 || answer->coordinators[0].error_code != ErrorCode::none) co_return false;
  coordinator_ = BrokerId(answer->coordinators[0].node_id);
  co_return true;
}

Awaitable<bool> GroupMember::join() {
  kafka::JoinGroupRequest request;
  request.group_id = group_.name();
  request.session_timeout_ms = running_.long_lived ? 45'000 : 6000;
  request.rebalance_timeout_ms = 8000;
  request.member_id = member_id_;
  request.protocol_type = "consumer";
  request.protocols.push_back({"range", subscription_to(topic_)});
  const auto answer = co_await client_.ask<kafka::JoinGroupResponse>(*coordinator_, std::move(request), 7, 12s);
  if (!answer) {
    coordinator_.reset();
    co_return false;
  }
  if (answer->error_code == ErrorCode::member_id_required) member_id_ = answer->member_id;
  if (answer->error_code != ErrorCode::none) {
    on_error(answer->error_code);
    co_return false;
  }
  member_id_ = answer->member_id;
  if (answer->generation_id != generation_) probes_.hit(Probe::group_rebalanced);
  generation_ = answer->generation_id;
  leads_ = answer->leader == member_id_;
  members_.clear();
  for (const auto& member : answer->members) members_.push_back(member.member_id);
  group_.joined(generation_, member_id_);
  co_return true;
}

Awaitable<bool> GroupMember::sync() {
  kafka::SyncGroupRequest request;
  request.group_id = group_.name();
  request.generation_id = generation_;
  request.member_id = member_id_;
  request.protocol_type = "consumer";
  request.protocol_name = "range";
  if (leads_) {
    for (size_t m = 0; m < members_.size(); ++m) {
      std::vector<int32_t> share;
      for (size_t p = m; p < places_.size(); p += members_.size()) share.push_back(places_[p].partition);
      request.assignments.push_back({members_[m], encode_share(share)});
    }
  }
  const auto answer = co_await client_.ask<kafka::SyncGroupResponse>(*coordinator_, std::move(request), 5, 12s);
  if (!answer) coordinator_.reset();
  if (!answer || answer->error_code != ErrorCode::none) {
    if (answer) on_error(answer->error_code);
    co_return false;
  }
  positions_.clear();
  committed_.clear();
  for (const int32_t partition : decode_share(answer->assignment)) {
    const Place place{places_.front().topic, partition};
    group_.owns(generation_, member_id_, place);
    positions_[place] = 0;
  }
  co_return true;
}

Awaitable<bool> GroupMember::fetch_offsets() {
  if (positions_.empty()) co_return true;
  kafka::OffsetFetchRequest request;
  kafka::OffsetFetchRequest::OffsetFetchRequestGroup group;
  group.group_id = group_.name();
  kafka::OffsetFetchRequest::OffsetFetchRequestTopics topic;
  topic.name = topic_;
  std::map<Place, int64_t> floors;
  for (const auto& [place, position] : positions_) {
    topic.partition_indexes.push_back(place.partition);
    floors[place] = group_.floor(place);
  }
  group.topics->push_back(std::move(topic));
  request.groups.push_back(std::move(group));
  request.require_stable = true;
  const auto answer = co_await client_.ask<kafka::OffsetFetchResponse>(*coordinator_, std::move(request), 8, 8s);
  if (!answer) coordinator_.reset();
  if (!answer || answer->groups.size() != 1) co_return false;
  if (answer->groups[0].error_code != ErrorCode::none) {
    on_error(answer->groups[0].error_code);
    co_return false;
  }
  for (const auto& t : answer->groups[0].topics) {
    for (const auto& p : t.partitions) {
      if (p.error_code != ErrorCode::none) co_return false;
      const Place place{places_.front().topic, p.partition_index};
      group_.fetched(place, floors[place], p.committed_offset);
      positions_[place] = committed_[place] = std::max<int64_t>(p.committed_offset, 0);
    }
  }
  if (last_coordinator_ && last_coordinator_ != coordinator_) probes_.hit(Probe::offset_read_after_failover);
  last_coordinator_ = coordinator_;
  co_return true;
}

Awaitable<bool> GroupMember::heartbeat() {
  kafka::HeartbeatRequest request;
  request.group_id = group_.name();
  request.generation_id = generation_;
  request.member_id = member_id_;
  const auto answer = co_await client_.ask<kafka::HeartbeatResponse>(*coordinator_, std::move(request), 4, 4s);
  if (!answer) coordinator_.reset();
  if (answer) on_error(answer->error_code);
  co_return answer && answer->error_code == ErrorCode::none;
}

Awaitable<void> GroupMember::read() {
  for (auto& [place, position] : positions_) {
    const auto leader = client_.leader_of(place);
    if (!leader) {
      co_await client_.refresh();
      continue;
    }
    const auto answer = co_await fetch_once(client_, *leader, place, position, position);
    if (!answer) {
      co_await client_.refresh();
      continue;
    }
    for (const SeenRecord& record : *answer) position = record.offset + 1;
  }
}

Awaitable<bool> GroupMember::commit() {
  kafka::OffsetCommitRequest request;
  request.group_id = group_.name();
  request.generation_id_or_member_epoch = generation_;
  request.member_id = member_id_;
  kafka::OffsetCommitRequest::OffsetCommitRequestTopic topic;
  topic.name = topic_;
  for (const auto& [place, position] : positions_) {
    if (position <= committed_[place]) continue;
    kafka::OffsetCommitRequest::OffsetCommitRequestPartition partition;
    partition.partition_index = place.partition;
    partition.committed_offset = position;
    topic.partitions.push_back(partition);
    group_.commit_sent(place, position);
  }
  if (topic.partitions.empty()) co_return true;
  const auto asked = topic.partitions;
  request.topics.push_back(std::move(topic));
  const auto answer = co_await client_.ask<kafka::OffsetCommitResponse>(*coordinator_, std::move(request), 8, 8s);
  if (!answer) coordinator_.reset();
  if (!answer || answer->topics.size() != 1) co_return false;
  bool fine = true;
  for (const auto& p : answer->topics[0].partitions) {
    on_error(p.error_code);
    if (p.error_code != ErrorCode::none) {
      fine = false;
      continue;
    }
    const Place place{places_.front().topic, p.partition_index};
    for (const auto& sent : asked) {
      if (sent.partition_index != p.partition_index) continue;
      group_.commit_acknowledged(place, sent.committed_offset);
      committed_[place] = sent.committed_offset;
      probes_.hit(Probe::offset_committed);
    }
  }
  co_return fine;
}

}  // namespace sim
