// Fetch (key 1), versions 4-18: records from several partitions, as they are stored.
//
// Waits until min_bytes are there, an error must be told, max_wait_ms (at most five minutes) are over, or the client
// has gone or asks nothing more. Answers whole batches, at least one even if it is larger than the limits (KIP-74), up
// to the high watermark, or with isolation level 1 up to the last stable offset with the list of aborted transactions.
// Partitions are read shard by shard, in the order in which the request first names a partition of each shard.
//
// New by version: 5 log start offset; 6 KAFKA_STORAGE_ERROR (before: NOT_LEADER_OR_FOLLOWER); 7 fetch sessions
// (KIP-227), an error for the whole answer; 9 leader-epoch fencing; 11 rack id; 12 flexible, divergence by last fetched
// epoch; 13 topic ids; 15 replica state; 16 leader hints (KIP-951).
// Replica id -2 reads any replica, a follower up to its own high watermark: for tests and debugging. Left out:
// preferred read replicas (11), fetches of Kafka brokers (replica id >= 0: INVALID_REQUEST; our brokers replicate over
// gRPC), 17 and 18 (fields of such fetches, ignored).
#include <algorithm>
#include <functional>
#include <iterator>

#include "broker/api/fetch_mentions.h"
#include "broker/api/fetch_plan.h"
#include "broker/api/fetch_session.h"
#include "broker/api/handler.h"
#include "broker/api/leader_hints.h"
#include "broker/api/long_names.h"
#include "broker/api/partition_work.h"
#include "broker/api/table.h"
#include "common/config/config.h"
#include "common/model/mutant.h"
#include "kafka/fetch.h"

namespace broker::api {
namespace {

using common::model::LeaderEpoch;
using common::model::mutant;
using common::model::Offset;
using kafka::FetchRequest;
using kafka::FetchResponse;
using partition::FetchWaiter;
using partition::Isolation;
using partition::Partition;
using partition::ReadOptions;
using partition::ReadResult;
using std::chrono::milliseconds;
using PartitionData = FetchResponse::PartitionData;

constexpr int16_t storage_error_version = 6;
constexpr int16_t whole_error_version = 7;
constexpr int16_t topic_id_version = 13;
constexpr int16_t leader_hints_version = 16;
constexpr int32_t debugging_replica_id = -2;
// A client whose host vanished without a word is not noticed before its answer is written, and no client waits longer
// for one.
constexpr std::chrono::milliseconds wait_max = std::chrono::minutes(5);

// To copy and check so much takes a shard's turn or more: its others come first before the next partition is read.
constexpr size_t large_read_bytes = 256 << 10;

// One partition of the plan.
struct Part {
  Target target;
  ErrorCode error = ErrorCode::none;
  ReadResult read;
  Offset watch_from;  // records from here on would be news
};

// One fetch, shared with its work on other shards; only one shard at a time touches it.
struct Fetch {
  FetchPlan plan;
  Isolation isolation = Isolation::read_uncommitted;
  bool is_debugging = false;
  FetchBounds bounds;                                       // what the client asks for
  std::vector<Part> parts;                                  // by target of the plan
  std::vector<std::pair<int, std::vector<size_t>>> visits;  // shard, its parts
  std::optional<common::Instant> patient_until;  // with partitions that are being made, from the first of them on
};

int32_t replica_id_of(const RequestContext& ctx, const FetchRequest& request) {
  constexpr int16_t replica_state_version = 15;
  return ctx.version() >= replica_state_version ? request.replica_state.replica_id : request.replica_id;
}

std::optional<LeaderEpoch> epoch_from(int32_t number) {
  if (number < 0) return std::nullopt;
  return LeaderEpoch(number);
}

FetchAsk ask_from(const RequestContext& ctx, FetchRequest& request) {
  FetchAsk ask;
  ask.session_id = request.session_id;
  ask.session_epoch = request.session_epoch;
  ask.naming = ctx.version() >= topic_id_version ? FetchTopicNaming::by_id : FetchTopicNaming::by_name;
  for (FetchRequest::FetchTopic& topic : request.topics) {
    FetchTopicKey key;
    key.name = std::move(topic.topic);
    key.id = topic.topic_id;
    const auto shared = std::make_shared<const FetchTopicKey>(std::move(key));
    for (const FetchRequest::FetchPartition& partition : topic.partitions) {
      FetchTarget target;
      target.topic = shared;
      target.partition = partition.partition;
      target.fetch_offset = partition.fetch_offset;
      target.max_bytes = partition.partition_max_bytes;
      target.current_leader_epoch = epoch_from(partition.current_leader_epoch);
      target.last_fetched_epoch = epoch_from(partition.last_fetched_epoch);
      ask.targets.push_back(std::move(target));
    }
  }
  keep_each_partition_once(ask.targets);
  for (FetchRequest::ForgottenTopic& topic : request.forgotten_topics_data) {
    if (is_too_long_for_a_topic(topic.topic)) continue;  // no session keeps it
    FetchTopicKey key;
    key.name = std::move(topic.topic);
    key.id = topic.topic_id;
    const auto shared = std::make_shared<const FetchTopicKey>(std::move(key));
    for (const int32_t partition : topic.partitions) ask.forgotten.push_back({shared, partition});
  }
  return ask;
}

// Finds the plan's partitions in the newest image and sorts them by shard.
void resolve(RequestContext& ctx, Fetch& fetch) {
  const partition::PartitionRouter& router = *ctx.broker().partitions;
  fetch.parts.clear();
  fetch.visits.clear();
  for (size_t i = 0; i < fetch.plan.targets.size(); ++i) {
    const FetchTarget& target = fetch.plan.targets[i];
    Part part;
    part.target = fetch.plan.naming == FetchTopicNaming::by_id
                      ? find_target(ctx.image(), target.topic->id, target.partition)
                      : find_target(ctx.image(), target.topic->name, target.partition);
    part.error = part.target.error;
    if (part.error == ErrorCode::none) {
      const int home = router.home_of(part.target.id);
      auto visit = std::ranges::find(fetch.visits, home, &std::pair<int, std::vector<size_t>>::first);
      if (visit == fetch.visits.end()) visit = fetch.visits.insert(visit, {home, {}});
      visit->second.push_back(i);
    }
    fetch.parts.push_back(std::move(part));
  }
}

ReadOptions options_for(const Fetch& fetch, const FetchTarget& target, const FetchBudget& budget) {
  ReadOptions options;
  options.from = Offset(target.fetch_offset);
  options.max_bytes = budget.allowance(target.max_bytes);
  options.at_least_one_batch = budget.at_least_one_batch();
  options.isolation = fetch.isolation;
  options.leader_only = !fetch.is_debugging;
  options.current_leader_epoch = target.current_leader_epoch;
  options.last_fetched_epoch = target.last_fetched_epoch;
  return options;
}

Awaitable<void> read_one(Partition& partition, const Fetch& fetch, size_t index, FetchBudget& budget, Part& part) {
  const FetchTarget& target = fetch.plan.targets[index];
  Result<ReadResult> read = co_await partition.read(options_for(fetch, target, budget));
  ++partition.counters().fetch_requests;
  if (!read) {
    ++partition.counters().failed_fetch_requests;
    part.error = read.error().code;
    budget.must_answer();
    co_return;
  }
  partition.counters().bytes_out += read->records.size();
  part.error = ErrorCode::none;
  part.read = std::move(*read);
  budget.took(part.read.records.size());
  if (part.read.diverging) budget.must_answer();
  // Readable records that did not fit are no news: the limits, not time, hold them back.
  const Offset readable =
      fetch.isolation == Isolation::read_committed ? part.read.last_stable_offset : part.read.high_watermark;
  part.watch_from = std::max(Offset(target.fetch_offset), readable);
}

// What is being made comes last: it holds nothing yet.
std::vector<size_t> made_first(const Fetch& fetch, const partition::PartitionRouter& router,
                               const std::vector<size_t>& indexes) {
  const auto is_made = [&](size_t i) { return !router.is_being_made(fetch.parts[i].target.id); };
  if (std::ranges::all_of(indexes, is_made)) return indexes;
  std::vector<size_t> order;
  std::ranges::copy_if(indexes, std::back_inserter(order), is_made);
  std::ranges::copy_if(indexes, std::back_inserter(order), std::not_fn(is_made));
  return order;
}

// Waited for if there is nothing else to say, and for a while in all: the disk may hang. false: nothing yet.
Awaitable<bool> until_made(Fetch& fetch, const partition::PartitionRouter& router, const TopicIdPartition& id,
                           const FetchBudget& budget) {
  constexpr std::chrono::seconds patience{5};
  if (budget.is_enough()) co_return false;
  const common::Instant now = router.shard(router.home_of(id)).now();
  if (!fetch.patient_until) fetch.patient_until = now + patience;
  if (now < *fetch.patient_until) co_await router.until_made(id);
  co_return true;
}

// Reads the parts of one shard, there. If that is not enough, has `waiter` told of news about them.
Awaitable<void> visit(std::shared_ptr<Fetch> fetch, const partition::PartitionRouter& router,
                      const std::vector<size_t>& indexes, FetchBudget& budget, std::shared_ptr<FetchWaiter> waiter) {
  std::vector<std::pair<std::shared_ptr<Partition>, size_t>> read;
  for (const size_t index : made_first(*fetch, router, indexes)) {
    Part& part = fetch->parts[index];
    const TopicIdPartition& id = part.target.id;
    if (router.is_being_made(id) && !co_await until_made(*fetch, router, id, budget)) continue;
    Result<std::shared_ptr<Partition>> partition = router.find_here(part.target.id);
    if (!partition) {
      part.error = partition.error().code;
      budget.must_answer();
      continue;
    }
    co_await read_one(**partition, *fetch, index, budget, part);
    if (part.read.records.size() >= large_read_bytes) co_await common::yield_to(router.shard(router.home_of(id)));
    read.emplace_back(std::move(*partition), index);
  }
  if (!waiter || budget.is_enough()) co_return;
  for (const auto& [partition, index] : read) {
    partition->watch(waiter, fetch->parts[index].watch_from, fetch->isolation);
  }
}

// What this round may read: as much as there is memory for answers (R109). Where that is less than the client asks for,
// half of it is enough to answer: the next batch may just not fit.
Awaitable<FetchBounds> bounds_now(RequestContext& ctx, const Fetch& fetch) {
  FetchBounds bounds = fetch.bounds;
  bounds.max_bytes = co_await ctx.reserve_answer(std::max<uint64_t>(1, bounds.max_bytes));
  if (bounds.max_bytes < fetch.bounds.max_bytes) bounds.min_bytes = std::min(bounds.min_bytes, bounds.max_bytes / 2);
  co_return bounds;
}

// One round over all shards. Returns what it found out.
Awaitable<FetchBudget> read_all(RequestContext& ctx, std::shared_ptr<Fetch> fetch,
                                std::shared_ptr<FetchWaiter> waiter) {
  resolve(ctx, *fetch);
  const partition::PartitionRouter& router = *ctx.broker().partitions;
  FetchBudget budget(co_await bounds_now(ctx, *fetch));
  for (const Part& part : fetch->parts) {
    if (part.error != ErrorCode::none) budget.must_answer();
  }
  for (const auto& [shard, indexes] : fetch->visits) {
    co_await common::on(ctx.shard(), router.shard(shard),
                        [&] { return visit(fetch, router, indexes, budget, waiter); });
  }
  ctx.answer_holds(budget.taken());
  co_return budget;
}

Awaitable<void> read_or_wait(RequestContext& ctx, std::shared_ptr<Fetch> fetch, common::Instant deadline) {
  for (;;) {
    std::shared_ptr<FetchWaiter> waiter;
    // A large request that waits would hold back those of everybody for as long as it likes (R109).
    const bool may_wait = !ctx.is_memory_scarce() || mutant<"R109-holds-what-waits-for-records">();
    if (!fetch->plan.targets.empty() && ctx.shard().now() < deadline && may_wait && !ctx.is_hurried())
      waiter = FetchWaiter::make(ctx.shard());
    const FetchBudget found = co_await read_all(ctx, fetch, waiter);
    if (found.is_enough() || !waiter) co_return;
    if (found.taken() > 0) {  // held by nobody who only waits: read again
      fetch->parts.clear();
      ctx.answer_holds(0);
    }
    count_waiting(ctx.broker().metrics, &Waiting::fetch, 1);
    const bool is_news = co_await ctx.wait_for(waiter->ready(), deadline);
    count_waiting(ctx.broker().metrics, &Waiting::fetch, -1);
    if (ctx.is_abandoned() || (!is_news && found.taken() == 0)) co_return;
    ctx.refresh_image();
  }
}

PartitionData data_from(const RequestContext& ctx, Fetch& fetch, size_t index, LeaderHints& hints,
                        FetchResponse& response) {
  Part& part = fetch.parts[index];
  PartitionData data;
  data.partition_index = fetch.plan.targets[index].partition;
  data.error_code = part.error;
  data.aborted_transactions.reset();
  data.records.emplace();
  if (part.error != ErrorCode::none) {
    if (part.error == ErrorCode::kafka_storage_error && ctx.version() < storage_error_version) {
      data.error_code = ErrorCode::not_leader_or_follower;
    }
    data.high_watermark = -1;
    const bool has_moved =
        part.error == ErrorCode::not_leader_or_follower || part.error == ErrorCode::fenced_leader_epoch;
    if (has_moved && ctx.version() >= leader_hints_version) {
      hints.add(part.target.id, data.current_leader, response);
    }
    return data;
  }
  data.high_watermark = part.read.high_watermark.value;
  data.last_stable_offset = part.read.last_stable_offset.value;
  data.log_start_offset = part.read.log_start_offset.value;
  if (part.read.diverging) {
    data.diverging_epoch.epoch = part.read.diverging->epoch.value;
    data.diverging_epoch.end_offset = part.read.diverging->end_offset.value;
    return data;
  }
  data.records = std::move(part.read.records);
  if (fetch.isolation == Isolation::read_committed) {
    data.aborted_transactions.emplace();
    for (const partition::AbortedTransaction& aborted : part.read.aborted) {
      FetchResponse::AbortedTransaction one;
      one.producer_id = aborted.producer_id;
      one.first_offset = aborted.first_offset.value;
      data.aborted_transactions->push_back(one);
    }
    std::ranges::sort(*data.aborted_transactions, {}, &FetchResponse::AbortedTransaction::first_offset);
  }
  return data;
}

// R33: what was committed is served, but who has read all of it and waits for more may wait in vain: somebody else may
// lead by now.
void send_away_who_waits(const RequestContext& ctx, Fetch& fetch) {
  const auto& may_be_replaced = ctx.broker().may_be_replaced;
  if (fetch.is_debugging || !may_be_replaced || !may_be_replaced()) return;
  for (Part& part : fetch.parts) {
    if (part.error != ErrorCode::none || part.read.diverging || !part.read.records.empty()) continue;
    const auto* partition = ctx.image().partition(part.target.id.topic_id, part.target.id.partition);
    if (partition != nullptr && partition->leader == ctx.node_id()) part.error = ErrorCode::not_leader_or_follower;
  }
}

FetchResponse respond(RequestContext& ctx, Fetch& fetch) {
  send_away_who_waits(ctx, fetch);
  std::vector<FetchFound> found;
  for (const Part& part : fetch.parts) {
    FetchFound one;
    one.must_tell = part.error != ErrorCode::none || part.read.diverging.has_value();
    if (part.error == ErrorCode::none) {
      one.has_records = !part.read.records.empty();
      one.high_watermark = part.read.high_watermark.value;
      one.log_start_offset = part.read.log_start_offset.value;
    }
    found.push_back(one);
  }
  const FetchReply reply = ctx.broker().fetch_sessions->finish(fetch.plan, found, ctx.shard().now());
  FetchResponse response;
  response.error_code = reply.error;
  response.session_id = reply.session_id;
  if (reply.error != ErrorCode::none) return response;
  ctx.refresh_image();  // leader hints: the newest we know
  LeaderHints hints(ctx);
  const FetchTopicKey* last = nullptr;
  for (size_t i = 0; i < fetch.parts.size(); ++i) {
    if (!reply.include[i]) continue;
    const FetchTopicKey& topic = *fetch.plan.targets[i].topic;
    if (last == nullptr || *last != topic) {
      FetchResponse::FetchableTopicResponse out;
      out.topic = topic.name;
      out.topic_id = topic.id;
      response.responses.push_back(std::move(out));
      last = &topic;
    }
    response.responses.back().partitions.push_back(data_from(ctx, fetch, i, hints, response));
  }
  return response;
}

// Nothing was looked at. Before there was an error for the whole answer, each partition tells it.
FetchResponse refused(const RequestContext& ctx, const FetchRequest& request, ErrorCode error) {
  FetchResponse response;
  response.error_code = error;
  if (ctx.version() >= whole_error_version) return response;
  for (const FetchRequest::FetchTopic& topic : request.topics) {
    FetchResponse::FetchableTopicResponse& out = response.responses.emplace_back();
    out.topic = topic.topic;
    for (const FetchRequest::FetchPartition& partition : topic.partitions) {
      PartitionData& data = out.partitions.emplace_back();
      data.partition_index = partition.partition;
      data.error_code = error;
      data.high_watermark = -1;
      data.aborted_transactions.reset();
      data.records.emplace();
    }
  }
  return response;
}

Awaitable<FetchResponse> handle(RequestContext& ctx, FetchRequest request) {
  const int32_t replica_id = replica_id_of(ctx, request);
  if (replica_id >= 0) co_return refused(ctx, request, ErrorCode::invalid_request);
  const auto fetch = std::make_shared<Fetch>();
  fetch->plan = ctx.broker().fetch_sessions->begin(ask_from(ctx, request), ctx.shard().now());
  if (fetch->plan.error != ErrorCode::none) co_return refused(ctx, request, fetch->plan.error);
  fetch->isolation = request.isolation_level == 1 ? Isolation::read_committed : Isolation::read_uncommitted;
  fetch->is_debugging = replica_id == debugging_replica_id;
  const int32_t max_bytes = std::min(request.max_bytes, ctx.config().fetch_max_bytes);
  fetch->bounds.max_bytes = static_cast<size_t>(std::max(0, max_bytes));
  fetch->bounds.min_bytes = static_cast<size_t>(std::clamp(request.min_bytes, 0, std::max(0, max_bytes)));
  const common::Instant deadline =
      ctx.shard().now() + std::clamp(milliseconds(request.max_wait_ms), milliseconds(0), wait_max);
  co_await read_or_wait(ctx, fetch, deadline);
  if (ctx.is_abandoned()) {
    ctx.send_nothing();
    co_return FetchResponse{};
  }
  co_return respond(ctx, *fetch);
}

}  // namespace

const ApiHandler fetch = make_handler<FetchRequest, FetchResponse, &handle>("Fetch", {.min = 4, .max = 18});

}  // namespace broker::api
