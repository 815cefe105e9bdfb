// The group coordinators of one broker: one for each __consumer_offsets partition that it leads, each on its
// partition's home shard. Loads them when leadership is gained, unloads them when it is lost, and carries requests
// there from any shard.
//
// Thread-safe where a method says "any shard"; the rest on the partition's home shard, asserted.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/group/config.h"
#include "broker/group/coordinator.h"
#include "broker/group/request.h"
#include "broker/group/service/coordinator_log.h"
#include "common/logging.h"
#include "common/model/random.h"
#include "common/shard.h"

namespace broker::group {

using common::Awaitable;
using common::model::TopicIdPartition;

inline constexpr std::string_view offsets_topic_name = "__consumer_offsets";

// Java's String.hashCode over UTF-16, made non-negative, modulo the count: clients and tools compute the same.
[[nodiscard]] PartitionIndex coordinator_partition(std::string_view group, int32_t partition_count);

template <class R>
struct AnswerTo;
template <>
struct AnswerTo<JoinRequest> {
  using type = JoinAnswer;
};
template <>
struct AnswerTo<SyncRequest> {
  using type = SyncAnswer;
};
template <>
struct AnswerTo<HeartbeatRequest> {
  using type = HeartbeatAnswer;
};
template <>
struct AnswerTo<LeaveRequest> {
  using type = LeaveAnswer;
};
template <>
struct AnswerTo<CommitRequest> {
  using type = CommitAnswer;
};
template <>
struct AnswerTo<FetchRequest> {
  using type = FetchAnswer;
};
template <>
struct AnswerTo<DescribeRequest> {
  using type = DescribeAnswer;
};
template <>
struct AnswerTo<ListRequest> {
  using type = ListAnswer;
};
template <>
struct AnswerTo<DeleteRequest> {
  using type = DeleteAnswer;
};
template <>
struct AnswerTo<DeleteOffsetsRequest> {
  using type = DeleteOffsetsAnswer;
};

// Of one append of a coordinator, at most; the topic may take less.
inline constexpr size_t append_bytes_max = 1'048'576;

struct GroupServiceOptions {
  std::vector<common::Shard*> shards;
  // Index into `shards` of the shard that a partition of __consumer_offsets lives on.
  std::function<int(const TopicIdPartition&)> home_of;
  GroupConfig config;
  size_t batch_bytes_max = append_bytes_max;
  size_t load_chunk_bytes = 256 << 10;  // of one read while loading; the shard serves others in between
  // How long a request waits for a load before it is told that there is one. Most loads take less.
  common::Duration load_patience = std::chrono::seconds(1);
  common::Logger log;
};

class GroupService {
 public:
  // `random` is used once per shard here, to seed what member ids are made of.
  GroupService(GroupServiceOptions options, common::model::Random& random);
  ~GroupService();

  // ---- Roles (home shard) ----
  // This broker leads `partition` in `epoch`: load it, then serve. An older epoch than the one known is ignored (R105).
  void on_leading(const TopicIdPartition& partition, common::model::LeaderEpoch epoch,
                  std::unique_ptr<CoordinatorLog> log);
  void on_stopped(const TopicIdPartition& partition);

  // ---- Requests (any shard) ----
  // The answer of the coordinator of `partition`, or NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS (for joining and
  // syncing NOT_COORDINATOR then, too), COORDINATOR_NOT_AVAILABLE in the shape of that answer. Comes back on `here`.
  template <class R>
  Awaitable<typename AnswerTo<R>::type> ask(common::Shard& here, TopicIdPartition partition, R request) {
    Request any(std::move(request));
    Answer answer = co_await ask_any(here, partition, std::move(any));
    co_return std::get<typename AnswerTo<R>::type>(std::move(answer));
  }
  // Over all coordinators of this broker. COORDINATOR_LOAD_IN_PROGRESS while one of them is loading.
  Awaitable<ListAnswer> list(common::Shard& here, ListRequest request);
  // Every group that this broker coordinates, with what it has committed. For metrics and pages.
  Awaitable<std::vector<GroupSurvey>> survey(common::Shard& here);
  // How long each coordinator that serves took to load its partition.
  Awaitable<std::vector<common::Duration>> load_times(common::Shard& here);
  // A topic was deleted (any shard; returns at once).
  void on_topic_deleted(std::string topic, std::optional<Uuid> id = std::nullopt);

  // Ends all coordinators: everything that waits is answered, nothing new begins. Any shard; returns at once, the
  // answers go out before anything that is posted to the shards afterwards.
  void stop();

 private:
  class Home;  // the coordinators of one shard
  Awaitable<Answer> ask_any(common::Shard& here, TopicIdPartition partition, Request request);
  Home& home_of(const TopicIdPartition& partition);

  GroupServiceOptions options_;
  std::vector<std::shared_ptr<Home>> homes_;
};

}  // namespace broker::group
