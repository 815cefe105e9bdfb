#include "broker/http/messages.h"

#include <charconv>

#include <fmt/format.h>

#include "broker/http/cluster_json.h"
#include "broker/http/server.h"
#include "broker/partition/router.h"
#include "common/records/batch.h"
#include "common/records/compression.h"

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
constexpr size_t value_bytes_max = 4096;  // of a key or a value that is shown
constexpr size_t headers_max = 50;        // of a record that are shown
constexpr size_t header_bytes_max = 256;  // of a header's name or value that is shown
constexpr size_t answer_bytes_max = 1 << 20;  // of keys, values and headers in one answer, and one record more
constexpr size_t record_bytes_max = 64 << 20;  // of a record that is looked at
constexpr size_t read_bytes = 256 << 10;  // one read
constexpr size_t reads_max = 32;          // of one answer, filters included
constexpr std::chrono::seconds time_max{2};

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_text(std::string_view bytes) {
  // Control characters other than tab and line ends say that it is none; what is no UTF-8 is found out by dump().
  for (const char c : bytes) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20 && c != '\t' && c != '\n' && c != '\r') return false;
  }
  try {
    (void)json(std::string(bytes)).dump();
    return true;
  } catch (const json::exception&) {
    return false;
  }
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<unsigned char>(c));
  return out;
}

// {"text"} or {"hex"}, with the size and whether it was cut.
json shown(const std::optional<common::model::BytesView>& bytes, size_t bytes_max) {
  if (!bytes) return json();
  std::string_view all(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  std::string_view part = all.substr(0, bytes_max);
  json out{{"size", all.size()}};
  if (part.size() < all.size()) {
    out["cut"] = true;
    while (!part.empty() && (static_cast<unsigned char>(part.back()) & 0xc0) == 0x80)
      part.remove_suffix(1);  // not within a character
    if (!part.empty() && static_cast<unsigned char>(part.back()) >= 0xc0) part.remove_suffix(1);
  }
  if (is_text(part)) {
    out["text"] = part;
  } else {
    out["hex"] = hex(part);
  }
  return out;
}

struct Found {
  json records = json::array();
  size_t bytes = 0;
  Offset next;
  bool full = false;
};

bool key_matches(const common::records::Record& record, const std::string& wanted) {
  if (wanted.empty()) return true;
  if (!record.key) return false;
  return std::string_view(reinterpret_cast<const char*>(record.key->data()), record.key->size()).find(wanted) !=
         std::string_view::npos;
}

json record_json(const common::records::Record& record) {
  json one{{"offset", record.offset.value},
           {"time", record.timestamp.value},
           {"key", shown(record.key, value_bytes_max)},
           {"value", shown(record.value, value_bytes_max)}};
  size_t headers = 0;
  for (const common::records::RecordHeader& header : record.headers()) {
    if (++headers > headers_max) continue;
    json h = shown(header.value, header_bytes_max);
    one["headers"].push_back({{"name", std::string(header.name.substr(0, header_bytes_max))}, {"value", std::move(h)}});
  }
  if (headers > headers_max) one["header_count"] = headers;
  return one;
}

// At least what record_json() makes of it.
size_t shown_bytes(const common::records::Record& record) {
  const auto at_most = [](const std::optional<common::model::BytesView>& bytes) {
    return bytes ? std::min(bytes->size(), value_bytes_max) : size_t{0};
  };
  size_t headers = 0;
  for ([[maybe_unused]] const auto& header : record.headers())
    if (++headers == headers_max) break;
  return at_most(record.key) + at_most(record.value) + headers * 2 * header_bytes_max;
}

Result<void> take(common::model::BytesView bytes, const MessageQuery& query, Found& found) {
  while (!found.full && !bytes.empty()) {
    auto batch = common::records::BatchView::parse(bytes);
    if (!batch) return tl::unexpected(batch.error());
    bytes = bytes.subspan(batch->size_bytes());
    const Offset end = batch->next_offset();
    if (!batch->is_control()) {
      auto visited = common::records::for_each_record(
          *batch, common::records::DecompressLimits{.max_record_bytes = record_bytes_max}, [&](const common::records::Record& record) {
            if (record.offset < found.next) return common::records::Visit::go_on;
            if (key_matches(record, query.key)) {
              found.records.push_back(record_json(record));
              found.bytes += shown_bytes(record);
            }
            found.next = record.offset.next();
            found.full = found.records.size() >= query.count || found.bytes >= answer_bytes_max;
            return found.full ? common::records::Visit::stop : common::records::Visit::go_on;
          });
      if (!visited) return visited;
    }
    if (!found.full) found.next = std::max(found.next, end);
  }
  return {};
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
    const auto value = number(text);
    if (!value || *value < 0 || *value > INT32_MAX) return invalid("partition must be a number");
    query.partition = static_cast<int32_t>(*value);
  }
  if (const auto text = request.parameter("count"); !text.empty()) {
    const auto value = number(text);
    if (!value || *value < 1 || *value > static_cast<int64_t>(count_max))
      return invalid(fmt::format("count must be from 1 to {}", count_max));
    query.count = static_cast<size_t>(*value);
  }
  if (const auto text = request.parameter("time"); !text.empty()) {
    query.from_time = number(text);
    if (!query.from_time) return invalid("time must be milliseconds since 1970");
  }
  const auto from = request.parameter("from");
  query.newest = from == "end";
  if (!from.empty() && from != "start" && from != "end") {
    query.from_offset = number(from);
    if (!query.from_offset || *query.from_offset < 0) return invalid("from must be start, end or an offset");
  }
  return query;
}

Awaitable<Response> browse(const ProcessParts& process, const BrokerParts& parts, controller::metadata::ImagePtr image,
                           MessageQuery query) {
  const auto* topic = image->topic_by_name(query.topic);
  if (topic == nullptr) co_return refuse(404, "there is no such topic");
  const TopicIdPartition id{topic->id, common::model::PartitionIndex(query.partition)};
  const common::Instant deadline = process.here->now() + time_max;
  const Result<Bounds> bounds = co_await begin(process, parts, id, query);
  if (!bounds) co_return refuse_for(bounds.error());
  Found found;
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
    const common::model::Buffer bytes = read->records.flatten();
    if (auto taken = take(bytes.view(), query, found); !taken) co_return refuse_for(taken.error());
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
