#include "broker/group/offset_table.h"

#include <algorithm>
#include <limits>
#include <set>

#include "common/model/mutant.h"

namespace broker::group {

using common::model::mutant;

void OffsetTable::put(const TopicPartition& partition, Entry entry) {
  Entry& slot = committed_[partition.topic][partition.partition];
  if (entry.order > slot.order || mutant<"R107-the-last-one-read-wins">()) slot = std::move(entry);
}

void OffsetTable::put(const TopicPartition& partition, StoredOffset value) {
  put(partition, Entry{std::move(value), ++last_order_});
}

void OffsetTable::erase(const TopicPartition& partition) {
  if (const auto topic = committed_.find(partition.topic); topic != committed_.end()) {
    topic->second.erase(partition.partition);
    if (topic->second.empty()) committed_.erase(topic);
  }
  // What a transaction wrote before the tombstone is gone too.
  for (auto it = in_transaction_.begin(); it != in_transaction_.end();) {
    it->second.erase(partition);
    it = it->second.empty() ? in_transaction_.erase(it) : std::next(it);
  }
}

void OffsetTable::put_in_transaction(ProducerId producer, const TopicPartition& partition, StoredOffset value) {
  in_transaction_[producer].insert_or_assign(partition, Entry{std::move(value), ++last_order_});
}

void OffsetTable::end_transaction(ProducerId producer, TransactionEnd end) {
  const auto found = in_transaction_.find(producer);
  if (found == in_transaction_.end()) return;
  if (end == TransactionEnd::committed)
    for (auto& [partition, entry] : found->second) put(partition, std::move(entry));
  in_transaction_.erase(found);
}

const StoredOffset* OffsetTable::find(const TopicPartition& partition) const {
  const auto topic = committed_.find(partition.topic);
  if (topic == committed_.end()) return nullptr;
  const auto entry = topic->second.find(partition.partition);
  return entry == topic->second.end() ? nullptr : &entry->second.value;
}

std::vector<TopicPartition> OffsetTable::partitions() const {
  std::vector<TopicPartition> all;
  for_each([&](const std::string& topic, PartitionIndex index, const StoredOffset&) { all.push_back({topic, index}); });
  return all;
}

bool OffsetTable::is_in_transaction(const TopicPartition& partition) const {
  return std::any_of(in_transaction_.begin(), in_transaction_.end(),
                     [&](const auto& producer) { return producer.second.contains(partition); });
}

void OffsetTable::on_write_done(const TopicPartition& partition) {
  const auto found = on_the_way_.find(partition);
  NARU_CHECK(found != on_the_way_.end(), "{} was not on the way", partition);
  if (--found->second == 0) on_the_way_.erase(found);
}

std::vector<TopicPartition> OffsetTable::all_partitions() const {
  const std::vector<TopicPartition> committed = partitions();
  std::set<TopicPartition> all(committed.begin(), committed.end());
  for (const auto& [partition, count] : on_the_way_) all.insert(partition);
  for (const auto& [producer, entries] : in_transaction_)
    for (const auto& [partition, entry] : entries) all.insert(partition);
  return {all.begin(), all.end()};
}

std::vector<TopicPartition> OffsetTable::partitions_of(std::string_view topic) const {
  std::set<PartitionIndex> indexes;
  if (const auto found = committed_.find(topic); found != committed_.end())
    for (const auto& [index, entry] : found->second) indexes.insert(index);
  const TopicPartition least{std::string(topic), PartitionIndex(std::numeric_limits<int32_t>::min())};
  const auto collect = [&](const auto& by_partition) {
    for (auto it = by_partition.lower_bound(least); it != by_partition.end() && it->first.topic == topic; ++it)
      indexes.insert(it->first.partition);
  };
  collect(on_the_way_);
  for (const auto& [producer, entries] : in_transaction_) collect(entries);
  std::vector<TopicPartition> all;
  for (const PartitionIndex index : indexes) all.push_back({least.topic, index});
  return all;
}

}  // namespace broker::group
