// What the clients of a run saw, and the black-box checker over it (cli/verify). Every value is unique in its partition.
#pragma once
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "cli/verify/history_checker.h"
#include "sim/client.h"

namespace sim {

using cli::verify::Value;

// Of one partition whose records have keys and are compacted: records may be missing, but for each key there must be
// the newest one that was acknowledged, or a later one.
class KeyedHistory {
 public:
  explicit KeyedHistory(int keys) : keys_(keys) {}
  void sent(Value value) { last_sent_ = std::max(last_sent_, value); }
  void acknowledged(Value value, int64_t offset);
  void seen(Value value, int64_t offset);
  void final_read(Value value, int64_t offset);
  // What lies far back: the cleaner may have taken it long ago.
  void forget_old();
  [[nodiscard]] std::string finish() const;

 private:
  void wrong(std::string text);
  void check_neighbours(std::map<int64_t, Value>::const_iterator here);

  const int keys_;
  Value last_sent_ = 0;                    // one producer, rising values
  std::map<int64_t, Value> held_;          // what was ever said to be at an offset
  std::map<Value, int64_t> offsets_;       // of each value
  std::map<Value, int64_t> acknowledged_;  // by key: the newest
  std::map<Value, int64_t> read_;          // by key: the newest of the final read
  std::string wrong_;                      // the first contradiction
};

class History {
 public:
  // Of this topic's producers, before anything else is told of it; else the strictest.
  void promise(const Uuid& topic, cli::verify::Promise promise) { promises_[topic] = promise; }
  // Its records have keys, so many, and it is compacted. Before anything else is told of it.
  void keyed(const Place& place, int keys) { keyed_.emplace(place, KeyedHistory(keys)); }
  void sent(const Place& place, Value value);
  void acknowledged(const Place& place, Value value, int64_t offset);
  void failed(const Place& place, Value value, cli::verify::Failure failure);
  // `consumer` begins with this partition.
  void assigned(int32_t consumer, const Place& place);
  void polled(int32_t consumer, const Place& place, int64_t offset, Value value);
  // Where a partition ends, as its leader says. A call whose answer does not count ends too.
  int64_t end_asked(const Place& place);
  void end_answered(const Place& place, int64_t call, int64_t offset);
  void end_unknown(const Place& place, int64_t call);
  // Retention has taken what is below; nothing more is kept of it.
  void log_start(const Place& place, int64_t offset);
  void final_read(const Place& place, int64_t offset, Value value);
  // All partitions of its topic are: only then can anything be said to be lost.
  void will_be_read_to_end(const Place& place) { read_to_end_.insert(place.topic); }
  // The topic is about to be deleted: nothing that is told of it from now on counts.
  void dropped(const Place& place);

  [[nodiscard]] uint64_t acknowledged_count() const { return acknowledged_; }
  // What was wrong, in words; empty: nothing.
  [[nodiscard]] std::string finish();

  std::function<void(const Place&, int64_t offset)> on_acknowledged;  // with acks=all

 private:
  cli::verify::HistoryChecker* checker_of(const Place& place);
  KeyedHistory* keyed_of(const Place& place);

  std::map<Uuid, std::unique_ptr<cli::verify::HistoryChecker>> checkers_;  // by topic
  std::map<Place, KeyedHistory> keyed_;
  std::set<Uuid> dropped_;
  std::set<Uuid> read_to_end_;
  std::map<Uuid, cli::verify::Promise> promises_;
  int64_t calls_ = 0;
  uint64_t acknowledged_ = 0;
};

}  // namespace sim
