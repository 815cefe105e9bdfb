// DeleteRecords (key 21), versions 0-2: moves the log start of partitions forward, so that everything before is gone.
//
// An offset of -1 means the high watermark. Answered once the live replicas have followed, or with REQUEST_TIMED_OUT.
// A compacted topic keeps its records (POLICY_VIOLATION), internal topics too (INVALID_TOPIC_EXCEPTION).
// New by version: 2 flexible.
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "broker/api/cluster_view.h"
#include "broker/api/handler.h"
#include "broker/api/partition_work.h"
#include "broker/api/table.h"
#include "kafka/delete_records.h"

namespace broker::api {
namespace {

using common::model::Offset;
using kafka::DeleteRecordsRequest;
using kafka::DeleteRecordsResponse;
using partition::Partition;
using Answer = DeleteRecordsResponse::DeleteRecordsPartitionResult;

constexpr int64_t high_watermark = -1;

struct Part {
  int64_t before = 0;
  Answer answer;
};
struct Parts {
  common::Instant deadline;
  std::vector<Part> all;  // in request order
  std::vector<size_t> deletable;
};

ErrorCode check(const RequestContext& ctx, const Target& target, int64_t before) {
  if (target.error != ErrorCode::none) return target.error;
  if (before < high_watermark) return ErrorCode::offset_out_of_range;
  if (is_internal_topic(target.topic->name)) return ErrorCode::invalid_topic_exception;
  const std::optional<std::string> policy = ctx.image().topic_setting(target.topic->name, "cleanup.policy");
  if (policy && policy->find("delete") == std::string::npos && policy->find("compact") != std::string::npos) {
    return ErrorCode::policy_violation;
  }
  return ErrorCode::none;
}

Awaitable<void> delete_one(std::shared_ptr<Parts> parts, size_t index, Result<std::shared_ptr<Partition>> partition) {
  auto& [before, answer] = parts->all[parts->deletable[index]];
  if (!partition) {
    answer.error_code = partition.error().code;
    co_return;
  }
  if ((*partition)->is_compacted_only()) {
    answer.error_code = ErrorCode::policy_violation;
    co_return;
  }
  std::optional<Offset> to;
  if (before != high_watermark) to = Offset(before);
  const Result<Offset> low = co_await (*partition)->delete_records(to, parts->deadline);
  if (low) {
    answer.low_watermark = low->value;
  } else {
    answer.error_code = low.error().code;
  }
}

Awaitable<DeleteRecordsResponse> handle(RequestContext& ctx, DeleteRecordsRequest request) {
  const auto parts = std::make_shared<Parts>();
  parts->deadline = ctx.shard().now() + std::chrono::milliseconds(std::max(0, request.timeout_ms));
  // A partition counts once, as first named. By topic: a name of 32 kB is not compared once for each of its partitions.
  std::map<std::string_view, std::set<int32_t>> named;
  for (DeleteRecordsRequest::DeleteRecordsTopic& topic : request.topics) {
    std::set<int32_t>& of_topic = named[topic.name];
    std::erase_if(topic.partitions,
                  [&](const auto& asked) { return !of_topic.insert(asked.partition_index).second; });
  }
  std::vector<TopicIdPartition> ids;
  for (const DeleteRecordsRequest::DeleteRecordsTopic& topic : request.topics) {
    for (const DeleteRecordsRequest::DeleteRecordsPartition& asked : topic.partitions) {
      const Target target = find_target(ctx.image(), topic.name, asked.partition_index);
      Part part;
      part.before = asked.offset;
      part.answer.partition_index = asked.partition_index;
      part.answer.low_watermark = -1;
      part.answer.error_code = check(ctx, target, asked.offset);
      if (part.answer.error_code == ErrorCode::none) {
        parts->deletable.push_back(parts->all.size());
        ids.push_back(target.id);
      }
      parts->all.push_back(std::move(part));
    }
  }
  const auto work = FanOut::start(ctx.shard(), *ctx.broker().partitions, std::move(ids),
                                  [parts](size_t index, Result<std::shared_ptr<Partition>> partition) {
                                    return delete_one(parts, index, std::move(partition));
                                  });
  ctx.settle_order();
  count_waiting(ctx.broker().metrics, &Waiting::delete_records, 1);
  co_await work->done();
  count_waiting(ctx.broker().metrics, &Waiting::delete_records, -1);

  DeleteRecordsResponse response;
  size_t next = 0;
  for (const DeleteRecordsRequest::DeleteRecordsTopic& topic : request.topics) {
    DeleteRecordsResponse::DeleteRecordsTopicResult out;
    out.name = topic.name;
    for (size_t i = 0; i < topic.partitions.size(); ++i) out.partitions.push_back(parts->all[next++].answer);
    response.topics.push_back(std::move(out));
  }
  co_return response;
}

}  // namespace

const ApiHandler delete_records =
    make_handler<DeleteRecordsRequest, DeleteRecordsResponse, &handle>("DeleteRecords", {.min = 0, .max = 2});

}  // namespace broker::api
