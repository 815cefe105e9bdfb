// Produce (key 0), announced 0-13, served 3-13: appends one batch to each of several partitions.
//
// acks 0: no response at all; if anything failed, the connection is closed, so that the client notices. acks 1:
// answered when the leader has appended. acks -1: when every in-sync replica has it. Anything else:
// INVALID_REQUIRED_ACKS. All parts are appended in the order of a connection's requests (R87), then wait together for
// their replicas, and do not hold back other clients' requests meanwhile (R109); the batches stay slices of the
// request's frame.
//
// New by version: 3 batch format 2, transactional id; 4 KAFKA_STORAGE_ERROR (before: NOT_LEADER_OR_FOLLOWER); 5 log
// start offset in the answer; 7 zstd; 8 record errors; 9 flexible; 10 leader hints (KIP-951); 13 topic ids.
// 0-2 are announced because librdkafka up to 2.11.0 takes a larger minimum for "no compression", and are answered with
// UNSUPPORTED_VERSION. Left out: transactional batches (INVALID_TXN_STATE; there is no transaction coordinator).
#include "broker/api/cluster_view.h"
#include "broker/api/handler.h"
#include "broker/api/leader_hints.h"
#include "broker/api/partition_work.h"
#include "broker/api/table.h"
#include "common/model/mutant.h"
#include "common/records/batch.h"
#include "kafka/produce.h"

namespace broker::api {
namespace {

using common::model::mutant;
using kafka::ProduceRequest;
using kafka::ProduceResponse;
using partition::Acks;
using partition::Partition;
using partition::ProduceOptions;
using partition::ProduceResult;

constexpr int16_t first_served_version = 3;
constexpr int16_t storage_error_version = 4;
constexpr int16_t zstd_version = 7;
constexpr int16_t leader_hints_version = 10;
constexpr int16_t topic_id_version = 13;
// A request of so many bytes is worth a message from each other shard that they are appended; a smaller one is while
// many wait.
constexpr size_t large_frame_bytes = 16 << 10;

// One partition of the request.
struct Part {
  size_t topic = 0;      // index in topic_data
  size_t partition = 0;  // index in its partition_data
  Target target;
  Buffer batches;
  ProduceResult result;
};

// Shared with the work on other shards: each touches its own part.
struct Parts {
  ProduceOptions options;
  std::vector<Part> all;
  std::vector<size_t> appendable;  // indexes of those that go to a partition
};

std::optional<Acks> acks_from(int16_t number) {
  switch (number) {
    case 0:
      return Acks::none;
    case 1:
      return Acks::leader;
    case -1:
      return Acks::all;
    default:
      return std::nullopt;
  }
}

void refuse(Part& part, ErrorCode error, std::string message = {}) {
  part.result.error = error;
  part.result.message = std::move(message);
}

// What can be said without the partition.
void check(const RequestContext& ctx, std::optional<Acks> acks, Part& part) {
  if (ctx.version() < first_served_version) {
    refuse(part, ErrorCode::unsupported_version);
  } else if (!acks) {
    refuse(part, ErrorCode::invalid_required_acks);
  } else if (part.target.error != ErrorCode::none) {
    refuse(part, part.target.error);
  } else if (is_internal_topic(part.target.topic->name) && ctx.client_id() != "__admin_client") {
    refuse(part, ErrorCode::invalid_topic_exception, "clients may not write to internal topics");
  } else if (const auto batch = common::records::BatchView::parse_header(part.batches.view());
             batch && batch->is_transactional()) {
    refuse(part, ErrorCode::invalid_txn_state, "transactions are not supported");
  }
}

std::shared_ptr<Parts> parts_of(const RequestContext& ctx, ProduceRequest& request) {
  auto parts = std::make_shared<Parts>();
  const std::optional<Acks> acks = acks_from(request.acks);
  parts->options.acks = acks.value_or(Acks::none);
  const common::Instant now = ctx.shard().now();
  if (parts->options.acks != Acks::none) parts->options.asked_at = now;
  parts->options.deadline = now + std::chrono::milliseconds(std::max(0, request.timeout_ms));
  parts->options.frame_bytes = ctx.frame().size();
  parts->options.zstd_refused = ctx.version() < zstd_version;
  for (size_t t = 0; t < request.topic_data.size(); ++t) {
    ProduceRequest::TopicProduceData& topic = request.topic_data[t];
    for (size_t p = 0; p < topic.partition_data.size(); ++p) {
      ProduceRequest::PartitionProduceData& data = topic.partition_data[p];
      Part part;
      part.topic = t;
      part.partition = p;
      part.target = ctx.version() >= topic_id_version ? find_target(ctx.image(), topic.topic_id, data.index)
                                                      : find_target(ctx.image(), topic.name, data.index);
      if (data.records) part.batches = data.records->flatten();
      data.records.reset();  // whoever appends has them, and gives them up with the append
      check(ctx, acks, part);
      if (part.result.error == ErrorCode::none) {
        parts->appendable.push_back(parts->all.size());
      } else {
        part.batches = {};
      }
      parts->all.push_back(std::move(part));
    }
  }
  return parts;
}

Awaitable<void> produce_one(std::shared_ptr<Parts> parts, size_t index, Result<std::shared_ptr<Partition>> partition) {
  Part& part = parts->all[parts->appendable[index]];
  if (!partition) {
    refuse(part, partition.error().code, std::move(partition.error().message));
    co_return;
  }
  part.result = co_await (*partition)->produce(std::move(part.batches), parts->options);
  ++(*partition)->counters().produce_requests;
  if (part.result.error != ErrorCode::none) ++(*partition)->counters().failed_produce_requests;
}

ProduceResponse::PartitionProduceResponse answer(const RequestContext& ctx, int32_t index, Part& part,
                                                 LeaderHints& hints, ProduceResponse& response) {
  ProduceResponse::PartitionProduceResponse out;
  ProduceResult& result = part.result;
  out.index = index;
  const bool is_unknown_to_client =
      result.error == ErrorCode::kafka_storage_error && ctx.version() < storage_error_version;
  out.error_code = is_unknown_to_client ? ErrorCode::not_leader_or_follower : result.error;
  out.base_offset = result.first_offset ? result.first_offset->value : -1;
  if (result.error == ErrorCode::none) {
    if (result.log_append_time) out.log_append_time_ms = result.log_append_time->value;
    out.log_start_offset = result.log_start_offset.value;
    return out;
  }
  if (!result.message.empty()) out.error_message = std::move(result.message);
  for (partition::ProduceRecordError& error : result.record_errors) {
    ProduceResponse::BatchIndexAndErrorMessage one;
    one.batch_index = error.batch_index;
    one.batch_index_error_message = std::move(error.message);
    out.record_errors.push_back(std::move(one));
  }
  if (result.error == ErrorCode::not_leader_or_follower && ctx.version() >= leader_hints_version) {
    hints.add(part.target.id, out.current_leader, response);
  }
  return out;
}

// Bytes that no sound client sends (design: one rate-limited line, fault 51).
bool is_bad_input(ErrorCode error) {
  return error == ErrorCode::corrupt_message || error == ErrorCode::invalid_record ||
         error == ErrorCode::unsupported_compression_type;
}

void log_bad_input(RequestContext& ctx, const Parts& parts) {
  for (const Part& part : parts.all) {
    if (!is_bad_input(part.result.error)) continue;
    const auto grant = ctx.broker().bad_batch_line.ask(ctx.shard().now());
    if (!grant.allowed) return;
    ctx.broker().log.warn("a batch of client '{}' at {} for {}-{} is refused: {} {} ({} such lines left out)",
                          ctx.client_id(), ctx.client_host(), part.target.topic->name, part.target.id.partition,
                          part.result.error, part.result.message, grant.suppressed);
    return;
  }
}

ProduceResponse respond(RequestContext& ctx, const ProduceRequest& request, Parts& parts) {
  ctx.refresh_image();  // leader hints: the newest we know
  ProduceResponse response;
  LeaderHints hints(ctx);
  for (const ProduceRequest::TopicProduceData& topic : request.topic_data) {
    ProduceResponse::TopicProduceResponse out;
    out.name = topic.name;
    out.topic_id = topic.topic_id;
    response.responses.push_back(std::move(out));
  }
  for (Part& part : parts.all) {
    const int32_t index = request.topic_data[part.topic].partition_data[part.partition].index;
    response.responses[part.topic].partition_responses.push_back(answer(ctx, index, part, hints, response));
  }
  return response;
}

// acks=0: silence is success.
void answer_by_silence(RequestContext& ctx, const Parts& parts) {
  for (const Part& part : parts.all) {
    if (part.result.error == ErrorCode::none) continue;
    ctx.close_connection(fmt::format("a produce with acks=0 failed: {}", part.result.error));
    return;
  }
  ctx.send_nothing();
}

Awaitable<ProduceResponse> handle(RequestContext& ctx, ProduceRequest request) {
  const std::shared_ptr<Parts> parts = parts_of(ctx, request);
  std::vector<TopicIdPartition> ids;
  for (const size_t index : parts->appendable) ids.push_back(parts->all[index].target.id);
  const bool holds_others_back = ctx.frame().size() >= large_frame_bytes || ctx.is_memory_scarce();
  const bool must_release =
      request.acks != 0 && request.acks != 1 && holds_others_back && !mutant<"R109-holds-what-waits-for-replicas">();
  const std::shared_ptr<FanOut> appends =
      FanOut::start(ctx.shard(), *ctx.broker().partitions, std::move(ids),
                    [parts](size_t index, Result<std::shared_ptr<Partition>> partition) {
                      return produce_one(parts, index, std::move(partition));
                    },
                    must_release ? FanOut::TellsBegun::yes : FanOut::TellsBegun::no);
  ctx.settle_order();
  const int waits = request.acks == -1 ? 1 : 0;
  count_waiting(ctx.broker().metrics, &Waiting::produce, waits);
  if (must_release) {
    co_await appends->begun();
    ctx.release_frame();
  }
  co_await appends->done();
  count_waiting(ctx.broker().metrics, &Waiting::produce, -waits);
  log_bad_input(ctx, *parts);
  if (request.acks == 0) answer_by_silence(ctx, *parts);
  co_return respond(ctx, request, *parts);
}

}  // namespace

const ApiHandler produce = make_handler<ProduceRequest, ProduceResponse, &handle>("Produce", {.min = 0, .max = 13});

}  // namespace broker::api
