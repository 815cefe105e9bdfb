#include "broker/http/gather.h"

#include <algorithm>
#include <ctime>

#include "broker/api/context.h"
#include "broker/group/service/group_service.h"
#include "broker/partition/replica_manager.h"
#include "broker/partition/router.h"
#include "broker/server/server.h"
#include "common/config/config.h"
#include "common/records/batch.h"
#include "controller/quorum/controller_node.h"
#include "controller/quorum/raft_api.h"

namespace broker::http {

using common::Awaitable;
using common::model::Offset;
using common::model::TimestampMs;
using common::model::TopicIdPartition;

namespace {

common::Duration thread_cpu_time() {
  timespec time{};
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) return {};
  return std::chrono::seconds(time.tv_sec) +
         std::chrono::duration_cast<common::Duration>(std::chrono::nanoseconds(time.tv_nsec));
}

// On the shard.
void sample_shard(partition::ReplicaManager& replicas, const api::BrokerContext& context, ShardSample& into) {
  into.replicas.reserve(replicas.size());
  replicas.for_each([&](const std::shared_ptr<partition::Partition>& p) {
    into.replicas.push_back({.facts = p->describe(), .counters = p->counters(), .offline = p->is_offline()});
  });
  into.unusable = replicas.unusable();
  into.partitions = replicas.metrics();
  if (context.metrics != nullptr) {
    into.requests = context.metrics->by_key();
    into.waiting = context.metrics->waiting();
  }
  into.cpu_time = thread_cpu_time();
}

// Of the record at which a group stands: as exact as its batch.
Awaitable<std::optional<TimestampMs>> written_at(const BrokerParts& parts, common::Shard& here, TopicIdPartition id,
                                                 Offset offset) {
  auto read = co_await parts.router->on_home(here, id, [offset](partition::Partition& p) {
    partition::ReadOptions options;
    options.from = offset;
    options.max_bytes = 1;
    options.leader_only = false;
    return p.read(options);
  });
  if (!read || read->records.empty()) co_return std::nullopt;
  const common::model::Buffer bytes = read->records.flatten();
  const auto batch = common::records::BatchView::parse_header(bytes.view());
  if (!batch) co_return std::nullopt;
  co_return batch->base_offset() >= offset ? batch->base_timestamp() : batch->max_timestamp();
}

}  // namespace

Awaitable<BrokerSample> gather(const ProcessParts& process, const BrokerParts& parts) {
  common::Shard& here = *process.here;
  BrokerSample sample;
  sample.shards.resize(parts.replicas.size());
  for (size_t i = 0; i < parts.replicas.size(); ++i) {
    co_await common::hop(*process.shards[i]);
    sample_shard(*parts.replicas[i], *parts.contexts[i], sample.shards[i]);
    if (const cleaner::LogCleaner* cleaner = parts.cleaners[i]) sample.shards[i].cleaner = cleaner->standing();
    sample.shards[i].software = process.clients->software(i).counts();
    if (i == 0) sample.image = parts.contexts[i]->image;
    co_await common::hop(here);
  }
  co_await common::hop(*process.controller_shard);
  sample.quorum = parts.raft->describe();
  sample.raft = parts.raft->measures();
  sample.controller = parts.controller->measures();
  sample.controller_cpu_time = thread_cpu_time();
  co_await common::hop(here);
  constexpr std::chrono::seconds patience{1};
  sample.volumes = co_await common::on(here, parts.directories->home(), [&] {
    return parts.directories->volumes(parts.directories->home().now() + patience);
  });
  sample.groups = co_await parts.groups->survey(here);
  sample.group_load_times = co_await parts.groups->load_times(here);
  sample.taken = here.now();
  sample.wall = here.clock().wall_now();
  co_return sample;
}

std::map<TopicIdPartition, Offset> known_ends(const BrokerSample& sample, common::model::BrokerId self) {
  std::map<TopicIdPartition, Offset> ends;
  for (const ShardSample& shard : sample.shards) {
    for (const ReplicaSample& replica : shard.replicas) {
      const partition::PartitionDescription& facts = replica.facts;
      const auto* state = sample.image->partition(facts.topic_id, facts.partition);
      const bool is_in_sync =
          facts.is_leader || (state != nullptr && std::ranges::find(state->isr, self) != state->isr.end());
      if (is_in_sync && !replica.offline) ends[{facts.topic_id, facts.partition}] = facts.high_watermark;
    }
  }
  return ends;
}

Awaitable<std::vector<GroupLag>> LagMeter::measure(const ProcessParts& process, const BrokerParts& parts,
                                                   const BrokerSample& sample) {
  const std::map<TopicIdPartition, Offset> ends = known_ends(sample, process.config->node_id);
  std::vector<GroupLag> all;
  std::map<Key, Known> still_known;
  size_t lookups = 0;
  for (const group::GroupSurvey& group : sample.groups) {
    for (const auto& [partition, stored] : group.offsets) {
      GroupLag lag{.group = group.group,
                   .partition = partition,
                   .committed = stored.offset,
                   .end = {},
                   .records = {},
                   .seconds = {}};
      const auto* topic = sample.image->topic_by_name(partition.topic);
      const auto end = topic == nullptr ? ends.end() : ends.find({topic->id, partition.partition});
      if (end != ends.end()) {
        lag.end = end->second;
        lag.records = std::max<int64_t>(0, end->second.value - stored.offset.value);
        if (*lag.records == 0) lag.seconds = 0;
      }
      if (lag.records.value_or(0) > 0) {
        const Key key{group.group, end->first};
        std::optional<TimestampMs> written;
        if (const auto found = known_.find(key); found != known_.end() && found->second.offset == stored.offset) {
          written = found->second.written;
        } else if (lookups++ < lookups_max) {
          written = co_await written_at(parts, *process.here, end->first, stored.offset);
        }
        if (written) {
          still_known[key] = {stored.offset, *written};
          lag.seconds = std::max(0.0, static_cast<double>(sample.wall.value - written->value) / 1000);
        }
      }
      all.push_back(std::move(lag));
    }
  }
  known_ = std::move(still_known);
  co_return all;
}

}  // namespace broker::http
