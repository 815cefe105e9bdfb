// The group coordinator of one __consumer_offsets partition: who is in which group and who does what work there, and
// how far each group has read.
//
// Why it exists: Kafka clients agree about their work through this object, so its promises (docs/rules.md, R103 to
// R108) must be testable with no socket, log, thread or clock. It is told requests, committed writes and the time; it
// answers with effects. It decides on what it has already decided, tells clients only what is committed, and reads
// offsets from committed records alone (R103). Its state is what a replay of those records gives, plus soft state: who
// is waiting, and when each member was last heard of (R108).
//
//   loading: replay() for each record of the partition, then start(); any failure to read them: never start() (R104)
//   running: handle(), on_committed(), on_write_failed(), on_time() by next_deadline()
//   losing leadership: resign(), then destroy. A coordinator lives for one leader epoch (R105).
//
// Thread-compatible: lives on its partition's shard.
#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "broker/group/config.h"
#include "broker/group/effects.h"
#include "broker/group/group.h"
#include "broker/group/membership.h"
#include "broker/group/offset_table.h"
#include "broker/group/record.h"
#include "broker/group/request.h"

namespace broker::group {

// A group as an onlooker sees it.
struct GroupSurvey {
  std::string group;
  std::string state;  // Kafka's word
  size_t members = 0;
  std::vector<std::pair<TopicPartition, StoredOffset>> offsets;  // by topic and partition
};

enum class RemoveGroup : uint8_t { no, yes };

class GroupCoordinator {
 public:
  explicit GroupCoordinator(GroupConfig config);
  ~GroupCoordinator();
  GroupCoordinator(const GroupCoordinator&) = delete;
  GroupCoordinator& operator=(const GroupCoordinator&) = delete;

  // ---- Loading, in log order ----
  // `in_transaction`: the record's batch is transactional; it counts once replay_end says committed (R97).
  void replay(const GroupRecord& record, std::optional<ProducerId> in_transaction = std::nullopt);
  void replay_end(ProducerId producer, TransactionEnd end);
  // Members found in the log get a whole session from now on (R108).
  Effects start(Moment at);

  // ---- Running ----
  // Each token is answered exactly once, now or later.
  Effects handle(RequestToken token, Request request, Moment at);
  // The log committed every write up to and including `id`, in the order in which they were asked for.
  Effects on_committed(WriteId id, Moment at);
  // `id` is not in the log and never will be. (An outcome that is not known means: resign, load again.)
  Effects on_write_failed(WriteId id, ErrorCode error, Moment at);
  Effects on_time(Moment at);
  // This process stood still until now (stopped, or its machine): what lies in its sockets was not late. Before
  // on_time.
  void on_pause(Moment at);
  [[nodiscard]] std::optional<Instant> next_deadline() const;
  // Those with committed offsets.
  [[nodiscard]] std::set<std::string> topics() const;
  // Of these names only the topics with these ids are there: what was committed for any other goes. For the time in
  // which nobody was told of deletions.
  Effects forget_all_but(const std::map<std::string, Uuid>& topics, Moment at);
  // A topic is gone: so are the offsets committed for it. With `id` not those that are known to be of another topic of
  // that name, which may have been made and read by now.
  Effects on_topic_deleted(const std::string& topic, Moment at, std::optional<Uuid> id = std::nullopt);
  // What on_topic_deleted() and forget_all_but() were to remove and is not known to be removed: for whoever loads the
  // partition anew.
  [[nodiscard]] std::vector<OffsetStored> unforgotten() const;
  // Removes these, where they are the committed ones still.
  Effects forget(std::vector<OffsetStored> values, Moment at);
  // Leadership is lost: everything that waits is answered with `error`.
  Effects resign(ErrorCode error);

  // ---- Looking in (tests, metrics) ----
  // The committed offset of each group and partition.
  [[nodiscard]] std::vector<OffsetStored> committed_offsets() const;
  [[nodiscard]] std::vector<GroupSurvey> survey() const;
  [[nodiscard]] bool has_members() const;  // in any group
  [[nodiscard]] size_t memory_bytes() const { return memory_bytes_; }

 private:
  using Groups = std::map<std::string, Group, std::less<>>;

  // A write on its way to the log, and what becomes of it.
  struct Pending {
    WriteId id;
    std::shared_ptr<const std::vector<GroupRecord>> records;
    AfterWrite after;
    Instant deadline;  // of the answer only; the write stays on its way
  };

  [[nodiscard]] Group* find(std::string_view group);
  Group& find_or_create(const std::string& group);

  void on(Turn& turn, RequestToken token, JoinRequest& request);
  void on(Turn& turn, RequestToken token, SyncRequest& request);
  void on(Turn& turn, RequestToken token, HeartbeatRequest& request);
  void on(Turn& turn, RequestToken token, LeaveRequest& request);
  void on(Turn& turn, RequestToken token, CommitRequest& request);
  void on(Turn& turn, RequestToken token, FetchRequest& request);
  void on(Turn& turn, RequestToken token, DescribeRequest& request);
  void on(Turn& turn, RequestToken token, ListRequest& request);
  void on(Turn& turn, RequestToken token, DeleteRequest& request);
  void on(Turn& turn, RequestToken token, DeleteOffsetsRequest& request);
  // What members may take, if this join would take more.
  [[nodiscard]] std::optional<std::string> memory_exceeded(const Group* group, const JoinRequest& request) const;

  // Gives the planned writes their ids and turns what was collected into effects.
  Effects finish(Turn turn);
  // `bytes`: what all members take now.
  void account(size_t bytes);
  // After any change of a group: its wake-up and memory are booked, and it is dropped if it holds nothing.
  void settle(const std::string& group_id);
  void arm(Group& group);
  void apply(const GroupRecord& record);
  // `outcome` none: committed.
  void finish_write(Turn& turn, AfterWrite& after, ErrorCode outcome);
  void forget_write(const Pending& write);
  void time_out_writes(Turn& turn);
  void expire_offsets(Turn& turn);
  // Whose newest write for a partition of `topic` is known to be for another topic of that name than `topic_id`.
  [[nodiscard]] std::set<std::pair<std::string, PartitionIndex>> on_the_way_for_another(const std::string& topic,
                                                                                        const Uuid& topic_id) const;
  void collect_unforgotten(const Pending& write, std::vector<OffsetStored>& values) const;
  void forget_again(Turn& turn);
  [[nodiscard]] std::vector<TopicPartition> expired_offsets(const Group& group, TimestampMs wall) const;
  // Tombstones in portions; `after` comes with the last. Without anything to write, `after` is done at once.
  void plan_removals(Turn& turn, Group& group, std::vector<TopicPartition> partitions, RemoveGroup remove_group,
                     AfterWrite after);

  // After every event: (1) each group with a deadline has exactly one entry in wake_ups_, at group.armed_at; (2)
  // pending_ is in the order of ids and so of deadlines, and its first timed_out_ ones have had their answers; (3)
  // memory_bytes_ is the sum over the groups.
  const GroupConfig config_;
  const Membership membership_;
  Groups groups_;
  std::set<std::pair<Instant, std::string>> wake_ups_;
  std::deque<Pending> pending_;
  size_t timed_out_ = 0;
  WriteId last_write_{0};
  size_t memory_bytes_ = 0;
  Instant next_expiry_check_;
  std::vector<OffsetStored> to_forget_;  // with next_removal_, because their removals could not be written
  Instant next_removal_;
};

}  // namespace broker::group
