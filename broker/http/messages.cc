#include "broker/http/messages.h"

#include <charconv>

#include <fmt/format.h>

#include "broker/http/cluster_json.h"
#include "broker/http/message_search.h"
#include "broker/http/server.h"
#include "broker/partition/router.h"

namespace broker::http {

using common::Awaitable;
using common::model::ErrorCode;
using common::model::fail;
using common::model::Offset;
using common::model::Result;
using common::model::TopicIdPartition;
using nlohmann::json;
using partition::Partition;

namespace {

constexpr size_t count_max = 200;
constexpr size_t read_bytes = 256 << 10;  // one read
constexpr size_t reads_max = 32;          // of one answer, filters included
constexpr std::chrono::seconds time_max{2};

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Bounds {
  Offset start, end;
  Offset from;
};

Awaitable<Result<Bounds>> begin(const ProcessParts& process, const BrokerParts& parts, TopicIdPartition id,
                                MessageQuery query) {
  auto bounds = co_await parts.router->on_home(*process.here, id, [](Partition& p) {
    return Bounds{.start = p.log_start_offset(), .end = p.high_watermark(), .from = p.log_start_offset()};
  });
  if (!bounds) co_return bounds;
  if (query.newest) bounds->from = Offset(bounds->end.value - static_cast<int64_t>(query.count));
  if (query.from_offset) bounds->from = Offset(*query.from_offset);
  if (query.from_time) {
    partition::LocateOptions options;
    options.at = common::model::TimestampMs(*query.from_time);
    options.isolation = partition::Isolation::read_uncommitted;
    options.leader_only = false;
    auto located =
        co_await parts.router->on_home(*process.here, id, [options](Partition& p) { return p.locate(options); });
    if (!located) co_return tl::unexpected(located.error());
    bounds->from = located->offset.value_or(bounds->end);
  }
  bounds->from = std::clamp(bounds->from, bounds->start, std::max(bounds->start, bounds->end));
  co_return bounds;
}

Response refuse_for(const common::model::Error& error) {
  if (error.code == ErrorCode::unknown_topic_or_partition) return refuse(404, "there is no such partition");
  if (error.code == ErrorCode::not_leader_or_follower)
    return refuse(421, "this broker has no replica of it: ask one that has");
  return refuse(503, fmt::format("{} {}", error.code, error.message));
}

}  // namespace

Result<MessageQuery> query_from(const Request& request) {
  MessageQuery query;
  query.topic = request.parameter("topic");
  query.key = request.parameter("key");
  const auto invalid = [](std::string why) { return fail(ErrorCode::invalid_request, std::move(why)); };
  if (query.topic.empty()) return invalid("topic is missing");
  if (const auto text = request.parameter("partition"); !text.empty()) {
    const auto value = whole_number(text);
    if (!value || *value < 0 || *value > INT32_MAX) return invalid("partition must be a number");
    query.partition = static_cast<int32_t>(*value);
  }
  if (const auto text = request.parameter("count"); !text.empty()) {
    const auto value = whole_number(text);
    if (!value || *value < 1 || *value > static_cast<int64_t>(count_max))
      return invalid(fmt::format("count must be from 1 to {}", count_max));
    query.count = static_cast<size_t>(*value);
  }
  if (const auto text = request.parameter("time"); !text.empty()) {
    query.from_time = whole_number(text);
    if (!query.from_time) return invalid("time must be milliseconds since 1970");
  }
  const auto from = request.parameter("from");
  query.newest = from == "end";
  if (!from.empty() && from != "start" && from != "end") {
    query.from_offset = whole_number(from);
    if (!query.from_offset || *query.from_offset < 0) return invalid("from must be start, end or an offset");
  }
  return query;
}

Awaitable<Response> browse(const ProcessParts& process, const BrokerParts& parts, MessageReader& reader,
                           controller::metadata::ImagePtr image, MessageQuery query) {
  const auto* topic = image->topic_by_name(query.topic);
  if (topic == nullptr) co_return refuse(404, "there is no such topic");
  const TopicIdPartition id{topic->id, common::model::PartitionIndex(query.partition)};
  const common::Instant deadline = process.here->now() + time_max;
  const Result<Bounds> bounds = co_await begin(process, parts, id, query);
  if (!bounds) co_return refuse_for(bounds.error());
  FoundMessages found;
  found.next = bounds->from;
  size_t reads = 0;
  for (; reads < reads_max && !found.full && found.next < bounds->end && process.here->now() < deadline; ++reads) {
    const Offset at = found.next;
    auto read = co_await parts.router->on_home(*process.here, id, [at](Partition& p) {
      partition::ReadOptions options;
      options.from = at;
      options.max_bytes = read_bytes;
      options.leader_only = false;
      return p.read(options);
    });
    if (!read) co_return refuse_for(read.error());
    if (read->records.empty()) break;
    auto looked = co_await look_through(
        *process.here, *reader.shard, read->records.flatten(),
        {.key = query.key, .count = query.count, .until = deadline, .given_up = &reader.given_up}, std::move(found));
    if (!looked) co_return refuse_for(looked.error());
    found = std::move(*looked);
    if (found.next == at) break;
  }
  Response response;
  response.body = dump({{"topic", query.topic},
                        {"partition", query.partition},
                        {"start", bounds->start.value},
                        {"end", bounds->end.value},
                        {"from", bounds->from.value},
                        {"next", found.next.value},
                        {"more", found.next < bounds->end},
                        {"records", std::move(found.records)}});
  co_return response;
}

}  // namespace broker::http
