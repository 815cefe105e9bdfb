#include "cli/verify/replica_reader.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "cli/session.h"
#include "common/records/batch.h"

namespace cli::verify {
namespace {

using common::model::ErrorCode;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int32_t debugging_replica_id = -2;
constexpr auto look_time = milliseconds(1000);

// FNV-1a, 64 bits: of what a reader gets of a record.
class Hash {
 public:
  void add(common::model::BytesView bytes) {
    for (const std::byte b : bytes) mix(static_cast<uint8_t>(b));
  }
  void add_number(int64_t number) {
    for (int i = 0; i < 8; ++i) mix(static_cast<uint8_t>(number >> (8 * i)));
  }
  void add(const std::optional<common::model::BytesView>& bytes) {
    add_number(bytes ? static_cast<int64_t>(bytes->size()) : -1);
    if (bytes) add(*bytes);
  }
  [[nodiscard]] uint64_t value() const { return value_; }

 private:
  void mix(uint8_t byte) { value_ = (value_ ^ byte) * 0x100000001b3ULL; }
  uint64_t value_ = 0xcbf29ce484222325ULL;
};

uint64_t hash_of(const common::records::Record& record) {
  Hash hash;
  hash.add_number(record.timestamp.value);
  hash.add(record.key);
  hash.add(record.value);
  for (const common::records::RecordHeader& header : record.headers()) {
    hash.add(common::model::as_bytes(header.name));
    hash.add(header.value);
  }
  return hash.value();
}

}  // namespace

ReplicaReader::ReplicaReader(const Shared& shared, std::string topic) : topic_(std::move(topic)) {
  auto parsed = client::parse_bootstrap(bootstrap_text(shared));
  if (parsed) bootstrap_ = std::move(*parsed);
  // Until metadata tells better: the addresses that were given, under numbers that no broker has.
  for (size_t i = 0; i < bootstrap_.size(); ++i) {
    const auto id = -1 - static_cast<int32_t>(i);
    brokers_[id] = {.id = id, .address = bootstrap_[i]};
  }
}

Outcome<client::Connection*> ReplicaReader::connection_to(const client::Broker& broker, client::Deadline until) {
  std::unique_ptr<client::Connection>& connection = connections_[broker.id];
  if (!connection || connection->broken()) {
    auto opened = client::Connection::open(broker.address, until);
    if (!opened) return tl::unexpected(std::move(opened.error()));
    connection = std::move(*opened);
  }
  return connection.get();
}

Outcome<kafka::MetadataResponse> ReplicaReader::ask(client::Connection& connection, client::Deadline until) const {
  kafka::MetadataRequest request;
  request.topics.emplace().emplace_back().name = topic_;
  request.allow_auto_topic_creation = false;
  return connection.call<kafka::MetadataResponse>(request, until);
}

void ReplicaReader::look_at_leaders(Recorder& recorder) {
  std::map<int32_t, client::Broker> known;
  for (const auto& [id, broker] : brokers_) {
    const auto until = steady_clock::now() + look_time;
    const auto connection = connection_to(broker, until);
    if (!connection) continue;
    const auto answer = ask(**connection, until);
    if (!answer) continue;
    for (const auto& b : answer->brokers)
      known[b.node_id] = {.id = b.node_id, .address = {.host = b.host, .port = static_cast<uint16_t>(b.port)}};
    for (const auto& topic : answer->topics) {
      if (topic.error_code != ErrorCode::none) continue;
      for (const auto& partition : topic.partitions)
        recorder.leader_seen(partition.partition_index, partition.leader_id, partition.leader_epoch);
    }
  }
  if (known.empty()) return;
  // A broker that is down may be back: it stays, unless a later answer names another address.
  std::erase_if(brokers_, [](const auto& entry) { return entry.first < 0; });
  for (auto& [id, broker] : known) brokers_[id] = broker;
}

Outcome<std::vector<ReplicaReader::Partition>> ReplicaReader::find(client::Deadline until) {
  client::Cluster cluster(bootstrap_, std::chrono::duration_cast<milliseconds>(until - steady_clock::now()));
  kafka::MetadataRequest request;
  request.topics.emplace().emplace_back().name = topic_;
  request.allow_auto_topic_creation = false;
  const auto answer = cluster.call_until<kafka::MetadataResponse>(request, until);
  if (!answer) return tl::unexpected(answer.error());
  brokers_.clear();
  for (const auto& b : answer->brokers)
    brokers_[b.node_id] = {.id = b.node_id, .address = {.host = b.host, .port = static_cast<uint16_t>(b.port)}};
  std::vector<Partition> partitions;
  for (const auto& topic : answer->topics) {
    if (topic.error_code != ErrorCode::none) return tl::unexpected(refused("cannot find the topic", topic.error_code));
    topic_id_ = topic.topic_id;
    for (const auto& p : topic.partitions)
      partitions.push_back({.index = p.partition_index, .leader = p.leader_id, .replicas = p.replica_nodes});
  }
  std::ranges::sort(partitions, {}, &Partition::index);
  return partitions;
}

Outcome<kafka::FetchResponse::PartitionData> ReplicaReader::fetch(client::Connection& connection, int32_t partition,
                                                                  int64_t offset, client::Deadline until) const {
  constexpr int32_t bytes_max = 4 << 20;
  kafka::FetchRequest request;
  constexpr int16_t replica_state_version = 15;
  const auto version = connection.version_of(kafka::FetchRequest::api_key, kafka::FetchRequest::min_version,
                                             kafka::FetchRequest::max_version);
  (version.value_or(0) >= replica_state_version ? request.replica_state.replica_id : request.replica_id) =
      debugging_replica_id;
  request.max_wait_ms = 100;
  request.min_bytes = 1;
  request.max_bytes = bytes_max;
  kafka::FetchRequest::FetchTopic& topic = request.topics.emplace_back();
  topic.topic = topic_;
  topic.topic_id = topic_id_;
  kafka::FetchRequest::FetchPartition& asked = topic.partitions.emplace_back();
  asked.partition = partition;
  asked.fetch_offset = offset;
  asked.partition_max_bytes = bytes_max;
  auto answer = connection.call<kafka::FetchResponse>(request, until);
  if (!answer) return tl::unexpected(std::move(answer.error()));
  if (answer->error_code != ErrorCode::none) return tl::unexpected(refused("fetch", answer->error_code));
  if (answer->responses.empty() || answer->responses.front().partitions.empty())
    return problem(Exit::refused, "the fetch was answered without the partition");
  return std::move(answer->responses.front().partitions.front());
}

Outcome<int64_t> ReplicaReader::record(Recorder& recorder, int32_t partition, int32_t replica, int64_t from,
                                       const kafka::FetchResponse::PartitionData& data) {
  int64_t next = from;
  if (!data.records) return next;
  const auto bad = [](std::string_view what) { return problem(Exit::refused, std::string(what)); };
  const common::model::Buffer bytes = data.records->flatten();
  common::records::BatchCursor cursor(bytes.view());
  while (!cursor.at_end()) {
    const auto batch = cursor.next();
    if (!batch) break;  // the last one may be cut off by the limit
    if (!batch->crc_ok()) {
      // Other bytes than anybody wrote: whatever the other replicas hold, this is not it.
      recorder.copied(partition, replica, batch->base_offset().value, batch->crc(), batch->leader_epoch().value);
    } else if (!batch->is_control()) {
      const auto read = common::records::for_each_record(*batch, {}, [&](const common::records::Record& record) {
        if (record.offset.value >= from)
          recorder.copied(partition, replica, record.offset.value, hash_of(record), batch->leader_epoch().value);
      });
      if (!read) return bad(fmt::format("a batch that cannot be read at offset {}: {}", next, read.error().message));
    }
    next = std::max(next, batch->next_offset().value);
  }
  return next;
}

Outcome<int64_t> ReplicaReader::copy(Recorder& recorder, const Partition& partition, int32_t replica,
                                     int64_t wanted_end, client::Deadline until) {
  const auto broker = brokers_.find(replica);
  if (broker == brokers_.end()) return problem(Exit::unreachable, "its broker is not there");
  int64_t next = 0;
  int64_t log_start = 0;
  for (;;) {
    const auto connection = connection_to(broker->second, until);
    if (!connection) return tl::unexpected(connection.error());
    const auto data = fetch(**connection, partition.index, next, until);
    if (!data) return tl::unexpected(data.error());
    if (data->error_code == ErrorCode::offset_out_of_range && next < data->log_start_offset) {
      next = data->log_start_offset;
      continue;
    }
    if (data->error_code != ErrorCode::none) return tl::unexpected(refused("fetch", data->error_code));
    log_start = std::max<int64_t>(data->log_start_offset, 0);
    const auto after = record(recorder, partition.index, replica, next, *data);
    if (!after) return tl::unexpected(after.error());
    const bool has_moved = *after > next;
    next = *after;
    // A follower learns the high watermark with its next fetch; it is given the time for that.
    const bool is_at_end = next >= data->high_watermark && data->high_watermark >= wanted_end;
    if (is_at_end || (!has_moved && steady_clock::now() > until - look_time)) {
      recorder.copy_ended(partition.index, replica, log_start, std::min(next, data->high_watermark));
      return next;
    }
  }
}

std::vector<std::string> ReplicaReader::copy_all(Recorder& recorder, milliseconds patience) {
  std::vector<std::string> notes;
  const auto until = steady_clock::now() + patience;
  const auto partitions = find(until);
  if (!partitions) return {"replicas were not compared: " + partitions.error().message};
  std::map<int32_t, std::string> unreachable;
  for (const Partition& partition : *partitions) {
    std::vector<int32_t> order = partition.replicas;
    // The leader first: it says how far the others should be.
    std::ranges::partition(order, [&](int32_t replica) { return replica == partition.leader; });
    int64_t end = 0;
    for (const int32_t replica : order) {
      if (unreachable.contains(replica)) continue;
      const auto copied =
          copy(recorder, partition, replica, end, std::min(until, steady_clock::now() + milliseconds(10'000)));
      if (copied) {
        end = std::max(end, *copied);
      } else if (copied.error().exit == Exit::unreachable) {
        unreachable[replica] = copied.error().message;  // it would not answer for the next partition either
      } else {
        notes.push_back(fmt::format("replica {} of partition {} was not compared: {}", replica, partition.index,
                                    copied.error().message));
      }
    }
  }
  for (const auto& [replica, why] : unreachable)
    notes.push_back(fmt::format("the replicas on broker {} were not compared, or not all: {}", replica, why));
  return notes;
}

}  // namespace cli::verify
