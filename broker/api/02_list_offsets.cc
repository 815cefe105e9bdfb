// ListOffsets (key 2), versions 0-11: which offset does a timestamp stand for?
//
// Special timestamps: -1 log end as consumers see it (high watermark, or last stable offset by isolation level), -2 log
// start, -3 the record with the largest timestamp (v7), -4 the oldest record on local disk (v8; the log start), -5 and
// -6 the last tiered and the first untiered record (v9, v11; nothing is tiered: -1).
// New by version: 1 one offset and its timestamp instead of a list; 2 isolation level; 4 leader-epoch fencing;
// 5 OFFSET_NOT_AVAILABLE (KIP-207; LEADER_NOT_AVAILABLE before); 6 flexible; 10 timeout.
// Version 0 answers with one offset at most, whatever number is asked for. Left out: the timeout, for nothing here
// waits for remote storage.
#include <map>
#include <string_view>

#include "broker/api/handler.h"
#include "broker/api/partition_work.h"
#include "broker/api/table.h"
#include "kafka/list_offsets.h"

namespace broker::api {
namespace {

using common::model::LeaderEpoch;
using common::model::TimestampMs;
using kafka::ListOffsetsRequest;
using kafka::ListOffsetsResponse;
using partition::Isolation;
using partition::LocateOptions;
using partition::OffsetAndTimestamp;
using partition::Partition;
using partition::SpecialTime;
using Asked = ListOffsetsRequest::ListOffsetsPartition;
using Answer = ListOffsetsResponse::ListOffsetsPartitionResponse;

constexpr int64_t latest = -1;
constexpr int64_t earliest = -2;
constexpr int64_t max_timestamp = -3;
constexpr int64_t earliest_local = -4;
constexpr int64_t latest_tiered = -5;
constexpr int64_t earliest_pending_upload = -6;
constexpr int32_t consumer_replica_id = -1;
constexpr int32_t debugging_replica_id = -2;

struct Part {
  const Asked* asked = nullptr;
  bool is_led_here = false;  // as the metadata has it
  Answer answer;
};
struct Parts {
  ListOffsetsRequest request;
  int16_t version = 0;
  std::vector<Part> all;  // in request order
  std::vector<size_t> askable;
};

// The version that brought a special timestamp.
int16_t since(int64_t timestamp) {
  switch (timestamp) {
    case max_timestamp:
      return 7;
    case earliest_local:
      return 8;
    case latest_tiered:
      return 9;
    case earliest_pending_upload:
      return 11;
    default:
      return 0;
  }
}

LocateOptions options_for(const ListOffsetsRequest& request, const Asked& asked) {
  LocateOptions options;
  if (asked.timestamp == latest) {
    options.at = SpecialTime::latest;
  } else if (asked.timestamp == earliest || asked.timestamp == earliest_local) {
    options.at = SpecialTime::earliest;
  } else if (asked.timestamp == max_timestamp) {
    options.at = SpecialTime::max_timestamp;
  } else {
    options.at = TimestampMs(asked.timestamp);
  }
  if (request.replica_id == consumer_replica_id) {
    options.isolation = request.isolation_level == 1 ? Isolation::read_committed : Isolation::read_uncommitted;
  }
  options.leader_only = request.replica_id != debugging_replica_id;
  if (asked.current_leader_epoch >= 0) options.current_leader_epoch = LeaderEpoch(asked.current_leader_epoch);
  return options;
}

void refuse(Answer& answer, ErrorCode error, int16_t version) {
  constexpr int16_t offset_not_available_version = 5;
  if (error == ErrorCode::offset_not_available && version < offset_not_available_version) {
    error = ErrorCode::leader_not_available;
  }
  answer.error_code = error;
}

void fill(Answer& answer, const OffsetAndTimestamp& found, int16_t version) {
  if (!found.offset) return;  // -1 everywhere: no such record
  if (version == 0) {
    answer.old_style_offsets.push_back(found.offset->value);
    return;
  }
  answer.offset = found.offset->value;
  if (found.timestamp) answer.timestamp = found.timestamp->value;
  constexpr int16_t leader_epoch_version = 4;
  if (found.leader_epoch && version >= leader_epoch_version) answer.leader_epoch = found.leader_epoch->value;
}

Awaitable<void> locate_one(std::shared_ptr<Parts> parts, size_t index, Result<std::shared_ptr<Partition>> partition) {
  Part& part = parts->all[parts->askable[index]];
  if (!partition) {
    refuse(part.answer, partition.error().code, parts->version);
    co_return;
  }
  const Result<OffsetAndTimestamp> found = co_await (*partition)->locate(options_for(parts->request, *part.asked));
  if (found) {
    fill(part.answer, *found, parts->version);
  } else {
    refuse(part.answer, found.error().code, parts->version);
  }
}

// R33: where the log ends is news, and who leads by now may have more: the answer would go back.
void send_away_from_the_end(const RequestContext& ctx, Parts& parts) {
  const auto& may_be_replaced = ctx.broker().may_be_replaced;
  if (parts.request.replica_id == debugging_replica_id || !may_be_replaced || !may_be_replaced()) return;
  for (Part& part : parts.all) {
    const bool is_of_the_start = part.asked->timestamp == earliest || part.asked->timestamp == earliest_local;
    if (!part.is_led_here || is_of_the_start || part.answer.error_code != ErrorCode::none) continue;
    part.answer = {};
    part.answer.partition_index = part.asked->partition_index;
    refuse(part.answer, ErrorCode::not_leader_or_follower, parts.version);
  }
}

// How often each partition is named; a topic may be named again, too.
using Mentions = std::map<std::string_view, std::map<int32_t, size_t>>;

Mentions mentions_in(const ListOffsetsRequest& request) {
  Mentions mentions;
  for (const ListOffsetsRequest::ListOffsetsTopic& topic : request.topics) {
    std::map<int32_t, size_t>& of_topic = mentions[topic.name];
    for (const Asked& asked : topic.partitions) ++of_topic[asked.partition_index];
  }
  return mentions;
}

Awaitable<ListOffsetsResponse> handle(RequestContext& ctx, ListOffsetsRequest request) {
  const auto parts = std::make_shared<Parts>();
  parts->request = std::move(request);
  parts->version = ctx.version();
  std::vector<TopicIdPartition> ids;
  const Mentions mentions = mentions_in(parts->request);
  for (const ListOffsetsRequest::ListOffsetsTopic& topic : parts->request.topics) {
    const std::map<int32_t, size_t>& of_topic = mentions.at(topic.name);
    for (const Asked& asked : topic.partitions) {
      Part part;
      part.asked = &asked;
      part.answer.partition_index = asked.partition_index;
      const Target target = find_target(ctx.image(), topic.name, asked.partition_index);
      if (of_topic.at(asked.partition_index) > 1) {
        part.answer.error_code = ErrorCode::invalid_request;
      } else if (since(asked.timestamp) > ctx.version() || asked.timestamp < earliest_pending_upload) {
        part.answer.error_code = ErrorCode::unsupported_version;
      } else if (target.error != ErrorCode::none) {
        part.answer.error_code = target.error;
      } else if (asked.timestamp != latest_tiered && asked.timestamp != earliest_pending_upload) {
        const auto* partition = ctx.image().partition(target.id.topic_id, target.id.partition);
        part.is_led_here = partition != nullptr && partition->leader == ctx.node_id();
        parts->askable.push_back(parts->all.size());
        ids.push_back(target.id);
      }
      parts->all.push_back(std::move(part));
    }
  }
  const auto work = FanOut::start(ctx.shard(), *ctx.broker().partitions, std::move(ids),
                                  [parts](size_t index, Result<std::shared_ptr<Partition>> partition) {
                                    return locate_one(parts, index, std::move(partition));
                                  });
  co_await work->done();
  send_away_from_the_end(ctx, *parts);

  ListOffsetsResponse response;
  size_t next = 0;
  for (const ListOffsetsRequest::ListOffsetsTopic& topic : parts->request.topics) {
    ListOffsetsResponse::ListOffsetsTopicResponse out;
    out.name = topic.name;
    for (size_t i = 0; i < topic.partitions.size(); ++i) out.partitions.push_back(std::move(parts->all[next++].answer));
    response.topics.push_back(std::move(out));
  }
  co_return response;
}

}  // namespace

const ApiHandler list_offsets =
    make_handler<ListOffsetsRequest, ListOffsetsResponse, &handle>("ListOffsets", {.min = 0, .max = 11});

}  // namespace broker::api
