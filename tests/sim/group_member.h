// Members of classic consumer groups: they join, share the partitions, read, commit, and leave or vanish; and what must
// hold of a group: a committed offset is never forgotten nor goes back, and in one generation a partition has one owner.
#pragma once
#include <map>
#include <set>
#include <string>

#include "sim/consumer.h"

namespace sim {

// What all members of one group were told.
class GroupHistory {
 public:
  explicit GroupHistory(std::string name) : name_(std::move(name)) {}
  [[nodiscard]] const std::string& name() const { return name_; }

  void joined(int32_t generation, const std::string& member) { members_[generation].insert(member); }
  void owns(int32_t generation, const std::string& member, const Place& place);
  void commit_sent(const Place& place, int64_t offset);
  void commit_acknowledged(const Place& place, int64_t offset);
  // The last acknowledged commit: what a fetch that begins now must at least see.
  [[nodiscard]] int64_t floor(const Place& place) const;
  void fetched(const Place& place, int64_t floor, int64_t offset);
  // Nobody was a member for so long: what it had committed may have expired, or must have (offsets.retention.minutes).
  void was_empty_for(Duration time);

  [[nodiscard]] const std::string& complaint() const { return complaint_; }
  [[nodiscard]] size_t generations() const { return members_.size(); }
  [[nodiscard]] uint64_t commits() const { return commits_; }

 private:
  void complain(std::string what) {
    if (complaint_.empty()) complaint_ = "group " + name_ + ": " + what;
  }
  const std::string name_;
  std::map<int32_t, std::set<std::string>> members_;
  std::map<std::pair<int32_t, Place>, std::string> owners_;
  std::map<Place, int64_t> acknowledged_;
  std::map<Place, int64_t> sent_max_;
  std::set<Place> expired_;
  uint64_t commits_ = 0;
  std::string complaint_;
};

class GroupMember {
 public:
  // A sleeper is alone in its group, and away for hours and days.
  enum class Habit { stays, sleeps };
  GroupMember(Client& client, GroupHistory& group, Probes& probes, const Running& running,
              const std::vector<Place>& places, std::string topic, Habit habit = Habit::stays)
      : client_(client),
        group_(group),
        probes_(probes),
        running_(running),
        places_(places),
        topic_(std::move(topic)),
        habit_(habit) {}

  static Awaitable<void> run(GroupMember& self);
  // Owns its share and heartbeats are answered.
  [[nodiscard]] bool is_stable() const { return stable_ || asleep_; }

 private:
  Awaitable<void> work();
  Awaitable<void> sleep_long();
  Awaitable<bool> find_coordinator();
  Awaitable<bool> join();
  Awaitable<bool> sync();
  Awaitable<bool> fetch_offsets();
  Awaitable<bool> heartbeat();
  Awaitable<void> read();
  Awaitable<bool> commit();
  void on_error(ErrorCode code);

  Client& client_;
  GroupHistory& group_;
  Probes& probes_;
  const Running& running_;
  const std::vector<Place>& places_;
  const std::string topic_;
  const Habit habit_;
  std::optional<Instant> bedtime_;
  bool asleep_ = false;
  std::optional<BrokerId> coordinator_;
  std::optional<BrokerId> last_coordinator_;
  std::string member_id_;
  int32_t generation_ = -1;
  bool leads_ = false;
  std::vector<std::string> members_;
  std::map<Place, int64_t> positions_;  // of what it owns
  std::map<Place, int64_t> committed_;
  bool stable_ = false;
};

}  // namespace sim
