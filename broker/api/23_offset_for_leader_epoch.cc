// OffsetForLeaderEpoch (key 23), versions 0-4: where does a leader epoch end in this log? Consumers ask after a leader
// change, to notice that the log they read was cut (KIP-320).
//
// Answers the largest epoch that is known and not above the one asked for, with the offset where the next one begins;
// -1 and -1 where nothing is known (R60).
// New by version: 1 the answer names the epoch; 2 leader-epoch fencing; 3 replica id; 4 flexible.
#include "broker/api/handler.h"
#include "broker/api/partition_work.h"
#include "broker/api/table.h"
#include "kafka/offset_for_leader_epoch.h"

namespace broker::api {
namespace {

using common::model::LeaderEpoch;
using kafka::OffsetForLeaderEpochRequest;
using kafka::OffsetForLeaderEpochResponse;
using partition::EpochEnd;
using partition::Partition;
using Asked = OffsetForLeaderEpochRequest::OffsetForLeaderPartition;
using Answer = OffsetForLeaderEpochResponse::EpochEndOffset;

struct Part {
  Asked asked;
  Answer answer;
};
struct Parts {
  std::vector<Part> all;  // in request order
  std::vector<size_t> askable;
};

Awaitable<void> find_one(std::shared_ptr<Parts> parts, size_t index, Result<std::shared_ptr<Partition>> partition) {
  auto& [asked, answer] = parts->all[parts->askable[index]];
  if (!partition) {
    answer.error_code = partition.error().code;
    co_return;
  }
  std::optional<LeaderEpoch> current;
  if (asked.current_leader_epoch >= 0) current = LeaderEpoch(asked.current_leader_epoch);
  const Result<std::optional<EpochEnd>> end = (*partition)->epoch_end(current, LeaderEpoch(asked.leader_epoch));
  if (!end) {
    answer.error_code = end.error().code;
  } else if (*end) {
    answer.leader_epoch = (*end)->epoch.value;
    answer.end_offset = (*end)->end_offset.value;
  }
}

Awaitable<OffsetForLeaderEpochResponse> handle(RequestContext& ctx, OffsetForLeaderEpochRequest request) {
  const auto parts = std::make_shared<Parts>();
  std::vector<TopicIdPartition> ids;
  for (const OffsetForLeaderEpochRequest::OffsetForLeaderTopic& topic : request.topics) {
    for (const Asked& asked : topic.partitions) {
      Part part;
      part.asked = asked;
      part.answer.partition = asked.partition;
      const Target target = find_target(ctx.image(), topic.topic, asked.partition);
      part.answer.error_code = target.error;
      if (target.error == ErrorCode::none) {
        parts->askable.push_back(parts->all.size());
        ids.push_back(target.id);
      }
      parts->all.push_back(std::move(part));
    }
  }
  const auto work = FanOut::start(ctx.shard(), *ctx.broker().partitions, std::move(ids),
                                  [parts](size_t index, Result<std::shared_ptr<Partition>> partition) {
                                    return find_one(parts, index, std::move(partition));
                                  });
  co_await work->done();

  OffsetForLeaderEpochResponse response;
  size_t next = 0;
  for (const OffsetForLeaderEpochRequest::OffsetForLeaderTopic& topic : request.topics) {
    OffsetForLeaderEpochResponse::OffsetForLeaderTopicResult out;
    out.topic = topic.topic;
    for (size_t i = 0; i < topic.partitions.size(); ++i) out.partitions.push_back(parts->all[next++].answer);
    response.topics.push_back(std::move(out));
  }
  co_return response;
}

}  // namespace

const ApiHandler offset_for_leader_epoch =
    make_handler<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, &handle>("OffsetForLeaderEpoch",
                                                                                     {.min = 0, .max = 4});

}  // namespace broker::api
