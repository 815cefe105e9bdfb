// How far one group has read: its committed offsets, and what is on its way (writes not committed yet, offsets of
// transactions that have not ended). Thread-compatible.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/group/record.h"

namespace broker::group {

enum class TransactionEnd : uint8_t { committed, aborted };

class OffsetTable {
 public:
  // ---- Committed records, in log order ----
  void put(const TopicPartition& partition, StoredOffset value);
  void erase(const TopicPartition& partition);
  // Offsets of a transaction count once it is committed; a plain commit that came after them in the log wins (R97).
  void put_in_transaction(ProducerId producer, const TopicPartition& partition, StoredOffset value);
  void end_transaction(ProducerId producer, TransactionEnd end);

  [[nodiscard]] const StoredOffset* find(const TopicPartition& partition) const;
  // In the order of topic and partition.
  [[nodiscard]] std::vector<TopicPartition> partitions() const;
  [[nodiscard]] bool is_in_transaction(const TopicPartition& partition) const;

  // ---- Writes that are not committed ----
  void on_write_planned(const TopicPartition& partition) { ++on_the_way_[partition]; }
  void on_write_done(const TopicPartition& partition);
  [[nodiscard]] bool is_on_the_way(const TopicPartition& partition) const { return on_the_way_.contains(partition); }

  // Every partition that a removal of the group must name: committed, on the way or in a transaction.
  [[nodiscard]] std::vector<TopicPartition> all_partitions() const;
  // Those of one topic; looks at no other.
  [[nodiscard]] std::vector<TopicPartition> partitions_of(std::string_view topic) const;
  [[nodiscard]] bool holds_nothing() const {
    return committed_.empty() && on_the_way_.empty() && in_transaction_.empty();
  }

  // Calls f(topic, partition, value) for each committed offset.
  template <class F>
  void for_each(F&& f) const {
    for (const auto& [topic, partitions] : committed_)
      for (const auto& [index, entry] : partitions) f(topic, index, entry.value);
  }

 private:
  struct Entry {
    StoredOffset value;
    uint64_t order = 0;  // of its record in the log
  };
  void put(const TopicPartition& partition, Entry entry);

  std::map<std::string, std::map<PartitionIndex, Entry>, std::less<>> committed_;
  std::map<TopicPartition, int> on_the_way_;
  std::map<ProducerId, std::map<TopicPartition, Entry>> in_transaction_;
  uint64_t last_order_ = 0;
};

}  // namespace broker::group
