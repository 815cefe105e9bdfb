// DescribeLogDirs (key 35), versions 0-5: what lies in each data directory (log.dirs) of this broker, and how large.
//
// Without a topic list: all replicas. Listed ones that do not live here are left out, as Kafka does. A directory that
// has failed or does not answer is KAFKA_STORAGE_ERROR.
// New by version: 2 flexible; 3 top-level error; 4 size of the volume; 5 cordoned directories.
// Left out: moves between directories (no future replicas) and cordoning.
// Naru's own: who asks for it by a tag (naru status) is told this broker's traffic, how long it is up, its version, its
// clock, which directories refuse produces for want of space, what it last saw change in the cluster, and for how long it
// has seen others down, in tags too; nobody else hears of them, and Kafka passes over the question.
// Replicas of deleted topics that are kept (naru topic delete) are listed to them only: no other tool knows the topic.
#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>

#include "broker/api/handler.h"
#include "broker/api/last_change.h"
#include "broker/api/long_names.h"
#include "broker/api/partition_work.h"
#include "broker/api/table.h"
#include "broker/partition/directories.h"
#include "common/config/config.h"
#include "kafka/describe_log_dirs.h"

namespace broker::api {
namespace {

using kafka::DescribeLogDirsRequest;
using kafka::DescribeLogDirsResponse;
using partition::PartitionDescription;
using partition::ReplicaManager;
using Directory = DescribeLogDirsResponse::DescribeLogDirsResult;

// Which partitions are asked for, by topic; none: all.
using Wanted = std::optional<std::map<std::string, std::set<int32_t>>>;

Wanted wanted_by(const DescribeLogDirsRequest& request) {
  if (!request.topics) return std::nullopt;
  Wanted wanted(std::in_place);
  for (const DescribeLogDirsRequest::DescribableLogDirTopic& topic : *request.topics) {
    if (is_too_long_for_a_topic(topic.topic)) continue;
    (*wanted)[topic.topic].insert(topic.partitions.begin(), topic.partitions.end());
  }
  return wanted;
}

bool is_wanted(const Wanted& wanted, const PartitionDescription& one) {
  if (!wanted) return true;
  const auto of_topic = wanted->find(one.topic);
  return of_topic != wanted->end() && of_topic->second.contains(one.partition.value);
}

Awaitable<std::vector<PartitionDescription>> describe_shard(const ReplicaManager& manager) {
  std::vector<PartitionDescription> all;
  manager.for_each(
      [&](const std::shared_ptr<partition::Partition>& partition) { all.push_back(partition->describe()); });
  co_return all;
}

// Name order, so that the answer is stable.
using Replicas = std::map<std::string, std::map<std::string, std::map<int32_t, PartitionDescription>>>;

Awaitable<Replicas> find_replicas(RequestContext& ctx, const Wanted& wanted, bool with_kept) {
  const partition::PartitionRouter& router = *ctx.broker().partitions;
  Replicas replicas;  // directory, topic, partition
  for (int shard = 0; shard < router.shard_count(); ++shard) {
    std::vector<PartitionDescription> found =
        co_await common::on(ctx.shard(), router.shard(shard), [&] { return describe_shard(router.manager(shard)); });
    for (PartitionDescription& one : found) {
      if (!is_wanted(wanted, one)) continue;
      if (!with_kept && ctx.image().is_kept(one.topic_id)) continue;
      auto& topic = replicas[one.directory][one.topic];
      topic.emplace(one.partition.value, std::move(one));
    }
  }
  co_return replicas;
}

void describe_replicas(Directory& directory, const std::map<std::string, std::map<int32_t, PartitionDescription>>& topics) {
  for (const auto& [name, partitions] : topics) {
    DescribeLogDirsResponse::DescribeLogDirsTopic topic;
    topic.name = name;
    for (const auto& [index, replica] : partitions) {
      DescribeLogDirsResponse::DescribeLogDirsPartition out;
      out.partition_index = index;
      out.partition_size = replica.size_bytes;
      out.offset_lag = std::max<int64_t>(0, replica.high_watermark - replica.log_end_offset);  // as Kafka's
      topic.partitions.push_back(out);
    }
    directory.topics.push_back(std::move(topic));
  }
}

struct ShardTraffic {
  std::optional<partition::ByteRates::PerSecond> per_second;
  common::model::Instant since;
};

Awaitable<ShardTraffic> traffic_of(const ReplicaManager& manager) {
  co_return ShardTraffic{manager.byte_rates().per_second(), manager.since()};
}

Awaitable<void> add_traffic(RequestContext& ctx, DescribeLogDirsResponse& response) {
  const partition::PartitionRouter& router = *ctx.broker().partitions;
  std::optional<partition::ByteRates::PerSecond> sum(std::in_place);  // none unless all shards know
  common::model::Instant since = ctx.shard().now();
  for (int shard = 0; shard < router.shard_count(); ++shard) {
    const ShardTraffic one =
        co_await common::on(ctx.shard(), router.shard(shard), [&] { return traffic_of(router.manager(shard)); });
    since = std::min(since, one.since);
    if (!one.per_second) sum.reset();
    if (!sum) continue;
    sum->in += one.per_second->in;
    sum->out += one.per_second->out;
  }
  response.up_ms = std::chrono::duration_cast<std::chrono::milliseconds>(ctx.shard().now() - since).count();
  if (!sum) co_return;
  response.bytes_in_per_second = static_cast<int64_t>(sum->in);
  response.bytes_out_per_second = static_cast<int64_t>(sum->out);
}

int64_t ms_since(common::model::Instant then, common::model::Instant now) {
  const common::model::Duration ago = std::max(common::model::Duration::zero(), now - then);
  return std::chrono::duration_cast<std::chrono::milliseconds>(ago).count();
}

void add_last_change(const RequestContext& ctx, DescribeLogDirsResponse& response) {
  if (ctx.broker().last_change == nullptr) return;
  for (const auto& [broker, since] : ctx.broker().last_change->down())
    response.down.push_back({.broker_id = broker.value, .down_ms = ms_since(since, ctx.shard().now())});
  std::optional<LastChange::Told> told = ctx.broker().last_change->told();
  if (!told) return;
  response.last_change = std::move(told->text);
  response.last_change_reason = std::move(told->reason);
  response.last_change_ms = ms_since(told->at, ctx.shard().now());
}

Awaitable<DescribeLogDirsResponse> handle(RequestContext& ctx, DescribeLogDirsRequest request) {
  const Wanted wanted = wanted_by(request);
  const Replicas replicas = co_await find_replicas(ctx, wanted, request.traffic);
  // The file system is asked where nothing waits for it (R78).
  partition::Directories& directories = *ctx.broker().directories;
  const common::Instant deadline = ctx.shard().now() + ctx.config().request_timeout;
  const std::vector<partition::Volume> volumes =
      co_await common::on(ctx.shard(), directories.home(), [&] { return directories.volumes(deadline); });
  DescribeLogDirsResponse response;
  for (const partition::Volume& volume : volumes) {
    Directory directory;
    directory.log_dir = volume.path;
    if (volume.is_offline) directory.error_code = ErrorCode::kafka_storage_error;
    directory.low_on_space = request.traffic && volume.is_low;
    if (volume.space) {
      directory.total_bytes = static_cast<int64_t>(volume.space->total_bytes);
      directory.usable_bytes = static_cast<int64_t>(volume.space->free_bytes);
    }
    if (const auto here = replicas.find(volume.path); here != replicas.end() && !volume.is_offline) {
      describe_replicas(directory, here->second);
    }
    response.results.push_back(std::move(directory));
  }
  if (request.traffic) {
    co_await add_traffic(ctx, response);
    add_last_change(ctx, response);
    response.version = NARU_VERSION;
    response.wall_time_ms = ctx.shard().clock().wall_now().value;
  }
  co_return response;
}

}  // namespace

const ApiHandler describe_log_dirs =
    make_handler<DescribeLogDirsRequest, DescribeLogDirsResponse, &handle>("DescribeLogDirs", {.min = 0, .max = 5});

}  // namespace broker::api
