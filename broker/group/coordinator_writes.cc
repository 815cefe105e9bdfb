// From planned writes to committed state: records count, and requests are answered, when the log has committed them
// (R103). Expiry of offsets is here too, because all it does is write.
#include <algorithm>

#include <fmt/format.h>

#include "broker/group/coordinator.h"
#include "common/model/mutant.h"

namespace broker::group {

using common::model::mutant;

namespace {

// A write is refused where it is larger than a batch of the topic may be: so much of a removal fits wherever a commit
// does.
constexpr size_t removal_bytes_max = size_t{16} * 1024;
constexpr size_t removal_overhead = 42;  // bytes of a record without the names in it

bool is_too_large(ErrorCode error) {
  return error == ErrorCode::message_too_large || error == ErrorCode::record_list_too_large ||
         error == ErrorCode::invalid_fetch_size;
}

// What a client is told when a write failed for a reason that is the log's.
ErrorCode told_as(ErrorCode error) {
  switch (error) {
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::not_enough_replicas:
    case ErrorCode::not_enough_replicas_after_append:
    case ErrorCode::request_timed_out:
      return ErrorCode::coordinator_not_available;
    case ErrorCode::not_leader_or_follower:
    case ErrorCode::fenced_leader_epoch:
    case ErrorCode::unknown_leader_epoch:
    case ErrorCode::kafka_storage_error:
      return ErrorCode::not_coordinator;
    default:
      return is_too_large(error) ? ErrorCode::unknown_server_error : error;
  }
}

}  // namespace

Effects GroupCoordinator::finish(Turn turn) {
  Effects effects{.answers = std::move(turn.answers), .lines = std::move(turn.lines)};
  for (PlannedWrite& planned : turn.writes) {
    last_write_ = last_write_.next();
    for (const GroupRecord& record : planned.records) {
      Group& group = find_or_create(group_of(record));
      if (const auto* stored = std::get_if<OffsetStored>(&record))
        group.offsets.on_write_planned(stored->partition);
      else if (const auto* removed = std::get_if<OffsetRemoved>(&record))
        group.offsets.on_write_planned(removed->partition);
      else
        group.on_write_planned();
    }
    auto records = std::make_shared<const std::vector<GroupRecord>>(std::move(planned.records));
    effects.writes.push_back({last_write_, records});
    pending_.push_back(
        {last_write_, std::move(records), std::move(planned.after), turn.at.now + config_.write_timeout});
  }
  if (mutant<"R103-answers-before-the-commit">()) {
    Turn early{.at = turn.at};
    for (; timed_out_ < pending_.size(); ++timed_out_) finish_write(early, pending_[timed_out_].after, ErrorCode::none);
    for (Answered& answered : early.answers) effects.answers.push_back(std::move(answered));
  }
  return effects;
}

void GroupCoordinator::apply(const GroupRecord& record) {
  Group& group = find_or_create(group_of(record));
  if (const auto* stored = std::get_if<OffsetStored>(&record))
    group.offsets.put(stored->partition, stored->value);
  else if (const auto* removed = std::get_if<OffsetRemoved>(&record))
    group.offsets.erase(removed->partition);
  else
    group.set_stored(std::holds_alternative<GroupStored>(record));
}

void GroupCoordinator::forget_write(const Pending& write) {
  for (const GroupRecord& record : *write.records) {
    Group& group = *find(group_of(record));
    if (const auto* stored = std::get_if<OffsetStored>(&record))
      group.offsets.on_write_done(stored->partition);
    else if (const auto* removed = std::get_if<OffsetRemoved>(&record))
      group.offsets.on_write_done(removed->partition);
    else
      group.on_write_done();
  }
}

Effects GroupCoordinator::on_committed(WriteId id, Moment at) {
  Turn turn{.at = at};
  std::set<std::string> touched;
  while (!pending_.empty() && pending_.front().id <= id) {
    Pending write = std::move(pending_.front());
    pending_.pop_front();
    for (const GroupRecord& record : *write.records) {
      apply(record);
      touched.insert(group_of(record));
    }
    forget_write(write);
    if (timed_out_ > 0)
      --timed_out_;
    else
      finish_write(turn, write.after, ErrorCode::none);
  }
  for (const std::string& group : touched) settle(group);
  return finish(std::move(turn));
}

Effects GroupCoordinator::on_write_failed(WriteId id, ErrorCode error, Moment at) {
  Turn turn{.at = at};
  const auto found = std::find_if(pending_.begin(), pending_.end(), [&](const Pending& w) { return w.id == id; });
  NARU_CHECK(found != pending_.end(), "no write {}", id);
  const bool answered = static_cast<size_t>(found - pending_.begin()) < timed_out_;
  Pending write = std::move(*found);
  pending_.erase(found);
  forget_write(write);
  if (std::holds_alternative<OffsetsForgotten>(write.after) && !is_too_large(error)) {
    collect_unforgotten(write, to_forget_);
    next_removal_ = at.now + config_.removal_retry;
  }
  if (answered)
    --timed_out_;
  else
    finish_write(turn, write.after, error);
  std::set<std::string> touched;
  for (const GroupRecord& record : *write.records) touched.insert(group_of(record));
  for (const std::string& group : touched) settle(group);
  return finish(std::move(turn));
}

void GroupCoordinator::time_out_writes(Turn& turn) {
  for (; timed_out_ < pending_.size() && pending_[timed_out_].deadline <= turn.at.now; ++timed_out_) {
    finish_write(turn, pending_[timed_out_].after, ErrorCode::request_timed_out);
    std::set<std::string> touched;
    for (const GroupRecord& record : *pending_[timed_out_].records) touched.insert(group_of(record));
    for (const std::string& group : touched) settle(group);
  }
}

void GroupCoordinator::finish_write(Turn& turn, AfterWrite& after, ErrorCode outcome) {
  if (auto* waiting = std::get_if<AnswerAfterWrite>(&after)) {
    const bool is_commit = std::holds_alternative<CommitAnswer>(waiting->answer);
    if (outcome == ErrorCode::none && waiting->earlier_parts) outcome = *waiting->earlier_parts;
    if (outcome != ErrorCode::none) {
      fail_answer(waiting->answer,
                  is_commit && is_too_large(outcome) ? ErrorCode::invalid_commit_offset_size : told_as(outcome));
    }
    turn.answer(waiting->token, std::move(waiting->answer));
  } else if (auto* part = std::get_if<EarlierPart>(&after)) {
    if (*part->outcome == ErrorCode::none) *part->outcome = outcome;
  } else if (auto* stored = std::get_if<AssignmentStored>(&after)) {
    membership_.on_assignment_written(turn, *find(stored->group), *stored, told_as(outcome));
  } else if (auto* replaced = std::get_if<StaticMemberReplaced>(&after)) {
    membership_.on_static_member_written(turn, *find(replaced->group), *replaced, told_as(outcome));
  }
}

void GroupCoordinator::plan_removals(Turn& turn, Group& group, std::vector<TopicPartition> partitions,
                                     RemoveGroup remove_group, AfterWrite after) {
  std::vector<GroupRecord> records;
  size_t bytes = 0;
  const size_t portion = std::max<size_t>(config_.records_per_write_max, 2);
  auto after_earlier = [&, failed = std::shared_ptr<ErrorCode>()]() mutable -> AfterWrite {
    if (std::holds_alternative<OffsetsForgotten>(after)) return OffsetsForgotten{};
    auto* waiting = std::get_if<AnswerAfterWrite>(&after);
    if (waiting == nullptr) return NothingAfterWrite{};
    if (!failed) waiting->earlier_parts = failed = std::make_shared<ErrorCode>(ErrorCode::none);
    return EarlierPart{failed};
  };
  for (TopicPartition& partition : partitions) {
    const size_t more = removal_overhead + group.id().size() + partition.topic.size();
    if (!records.empty() && (records.size() + 1 == portion || bytes + more > removal_bytes_max)) {
      turn.write(std::exchange(records, {}), after_earlier());
      bytes = 0;
    }
    bytes += more;
    records.emplace_back(OffsetRemoved{group.id(), std::move(partition)});
  }
  if (remove_group == RemoveGroup::yes) records.emplace_back(GroupRemoved{group.id()});
  if (!records.empty())
    turn.write(std::move(records), std::move(after));
  else
    finish_write(turn, after, ErrorCode::none);
}

std::set<std::string> GroupCoordinator::topics() const {
  std::set<std::string> all;
  for (const auto& [id, group] : groups_)
    group.offsets.for_each([&](const std::string& topic, PartitionIndex, const StoredOffset&) { all.insert(topic); });
  return all;
}

Effects GroupCoordinator::forget_all_but(const std::map<std::string, Uuid>& topics, Moment at) {
  Turn turn{.at = at};
  for (auto& [id, group] : groups_) {
    std::vector<TopicPartition> gone;
    group.offsets.for_each([&](const std::string& topic, PartitionIndex index, const StoredOffset& value) {
      const auto there = topics.find(topic);
      const bool is_it = there != topics.end() && value.topic_id.value_or(there->second) == there->second;
      if (!is_it) gone.push_back({topic, index});
    });
    if (!gone.empty()) plan_removals(turn, group, std::move(gone), RemoveGroup::no, OffsetsForgotten{});
  }
  return finish(std::move(turn));
}

std::set<std::pair<std::string, PartitionIndex>> GroupCoordinator::on_the_way_for_another(
    const std::string& topic, const Uuid& topic_id) const {
  std::set<std::pair<std::string, PartitionIndex>> found;
  for (const Pending& write : pending_) {
    for (const GroupRecord& record : *write.records) {
      const auto* stored = std::get_if<OffsetStored>(&record);
      if (stored == nullptr || stored->partition.topic != topic) continue;
      const std::pair key{stored->group, stored->partition.partition};
      if (stored->value.topic_id.value_or(topic_id) == topic_id)
        found.erase(key);  // the newest one counts
      else
        found.insert(key);
    }
  }
  return found;
}

Effects GroupCoordinator::on_topic_deleted(const std::string& topic, Moment at, std::optional<Uuid> topic_id) {
  Turn turn{.at = at};
  std::set<std::pair<std::string, PartitionIndex>> newer;
  if (topic_id) newer = on_the_way_for_another(topic, *topic_id);
  for (auto& [id, group] : groups_) {
    std::vector<TopicPartition> gone = group.offsets.partitions_of(topic);
    std::erase_if(gone, [&](const TopicPartition& partition) {
      const StoredOffset* value = group.offsets.find(partition);
      if (topic_id && value != nullptr && value->topic_id && value->topic_id != topic_id) return true;
      if (!newer.contains({id, partition.partition})) return false;
      // A removal would come behind that commit in the log. What it replaces goes if it cannot be written.
      if (to_forget_.empty()) next_removal_ = at.now + config_.removal_retry;
      if (value != nullptr) to_forget_.push_back({id, partition, *value});
      return true;
    });
    if (!gone.empty()) plan_removals(turn, group, std::move(gone), RemoveGroup::no, OffsetsForgotten{});
  }
  return finish(std::move(turn));
}

void GroupCoordinator::collect_unforgotten(const Pending& write, std::vector<OffsetStored>& values) const {
  if (!std::holds_alternative<OffsetsForgotten>(write.after)) return;
  for (const GroupRecord& record : *write.records) {
    const auto* removed = std::get_if<OffsetRemoved>(&record);
    const auto group = groups_.find(group_of(record));
    if (removed == nullptr || group == groups_.end()) continue;
    if (const StoredOffset* value = group->second.offsets.find(removed->partition))
      values.push_back({removed->group, removed->partition, *value});
  }
}

std::vector<OffsetStored> GroupCoordinator::unforgotten() const {
  std::vector<OffsetStored> values = to_forget_;
  for (const Pending& write : pending_) collect_unforgotten(write, values);
  return values;
}

Effects GroupCoordinator::forget(std::vector<OffsetStored> values, Moment at) {
  Turn turn{.at = at};
  to_forget_.insert(to_forget_.end(), std::make_move_iterator(values.begin()), std::make_move_iterator(values.end()));
  forget_again(turn);
  return finish(std::move(turn));
}

// What was committed meanwhile is of the next topic of that name, and stays; what is on its way may be.
void GroupCoordinator::forget_again(Turn& turn) {
  std::map<std::string, std::vector<TopicPartition>> gone;
  std::vector<OffsetStored> later;
  for (OffsetStored& one : std::exchange(to_forget_, {})) {
    const Group* group = find(one.group);
    const StoredOffset* value = group != nullptr ? group->offsets.find(one.partition) : nullptr;
    if (value == nullptr || *value != one.value) continue;
    if (group->offsets.is_on_the_way(one.partition))
      later.push_back(std::move(one));
    else
      gone[one.group].push_back(std::move(one.partition));
  }
  to_forget_ = std::move(later);
  next_removal_ = turn.at.now + config_.removal_retry;
  for (auto& [id, partitions] : gone)
    plan_removals(turn, *find(id), std::move(partitions), RemoveGroup::no, OffsetsForgotten{});
}

// R106, KIP-211: offsets of a group that is not reading any more, some time after it stopped.
std::vector<TopicPartition> GroupCoordinator::expired_offsets(const Group& group, TimestampMs wall) const {
  std::vector<TopicPartition> expired;
  const bool is_simple = !group.protocol_type().has_value();
  const bool is_empty = group.state() == GroupState::empty;
  const bool knows_topics = group.state() == GroupState::stable && group.subscribed_topics().has_value();
  if (!is_simple && !is_empty && !knows_topics && !mutant<"R106-expires-while-rebalancing">()) return expired;
  group.offsets.for_each([&](const std::string& topic, PartitionIndex index, const StoredOffset& value) {
    const TopicPartition partition{topic, index};
    if (group.offsets.is_on_the_way(partition) && !mutant<"R106-expires-what-is-being-written">()) return;
    if (group.offsets.is_in_transaction(partition) && !mutant<"R106-expires-during-a-transaction">()) return;
    if (!is_empty && group.is_subscribed_to(topic) && !mutant<"R106-expires-what-is-being-read">()) return;
    TimestampMs since = value.committed_at;
    // A tool may have committed after the last member left.
    if (is_empty && !is_simple && group.state_since() && !mutant<"R106-counts-from-the-commit">())
      since = std::max(since, *group.state_since());
    // Stored times may be anything: nothing is subtracted from them.
    const TimestampMs too_old(wall.value - config_.offsets_retention.count());
    const bool over = value.expires_at ? wall >= *value.expires_at : since <= too_old;
    if (over) expired.push_back(partition);
  });
  return expired;
}

void GroupCoordinator::expire_offsets(Turn& turn) {
  for (auto& [id, group] : groups_) {
    std::vector<TopicPartition> expired = expired_offsets(group, turn.at.believed);
    const bool all = expired.size() == group.offsets.all_partitions().size();
    const bool removable =
        all && group.state() == GroupState::empty && group.is_stored() && group.reserved_ids().empty();
    if (expired.empty() && !removable) continue;
    turn.log(LineLevel::info, fmt::format("group {}: {} offsets expired{}", id, expired.size(),
                                          removable ? ", the group is removed" : ""));
    plan_removals(turn, group, std::move(expired), removable ? RemoveGroup::yes : RemoveGroup::no, NothingAfterWrite{});
  }
}

}  // namespace broker::group
