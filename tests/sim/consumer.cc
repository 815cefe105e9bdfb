#include "sim/consumer.h"

#include "kafka/fetch.h"
#include "kafka/list_offsets.h"

namespace sim {

using namespace std::chrono_literals;

namespace {

kafka::FetchRequest fetch_request(const Place& place, int64_t position, int32_t max_wait_ms) {
  kafka::FetchRequest request;
  request.max_wait_ms = max_wait_ms;
  request.min_bytes = 1;
  request.max_bytes = 1 << 20;
  kafka::FetchRequest::FetchTopic topic;
  topic.topic_id = place.topic;
  kafka::FetchRequest::FetchPartition partition;
  partition.partition = place.partition;
  partition.fetch_offset = position;
  partition.partition_max_bytes = 256 << 10;
  topic.partitions.push_back(partition);
  request.topics.push_back(std::move(topic));
  return request;
}

int32_t milliseconds_of(Duration d) {
  return static_cast<int32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(d).count());
}

const kafka::FetchResponse::PartitionData* only_partition(const std::optional<kafka::FetchResponse>& answer) {
  if (!answer || answer->error_code != ErrorCode::none || answer->responses.size() != 1 ||
      answer->responses[0].partitions.size() != 1) {
    return nullptr;
  }
  return &answer->responses[0].partitions[0];
}

bool is_out_of_range(const kafka::FetchResponse::PartitionData* partition) {
  return partition != nullptr && partition->error_code == ErrorCode::offset_out_of_range;
}

// Where the log starts, as its leader says. Nothing on any failure.
Awaitable<std::optional<int64_t>> ask_log_start(Client& client, BrokerId leader, Place place) {
  constexpr int64_t earliest = -2;
  kafka::ListOffsetsRequest request;
  request.replica_id = -1;
  kafka::ListOffsetsRequest::ListOffsetsTopic topic;
  for (const auto& [name, id] : client.topics()) {
    if (id == place.topic) topic.name = name;
  }
  kafka::ListOffsetsRequest::ListOffsetsPartition partition;
  partition.partition_index = place.partition;
  partition.timestamp = earliest;
  topic.partitions.push_back(partition);
  request.topics.push_back(std::move(topic));
  const auto answer = co_await client.ask<kafka::ListOffsetsResponse>(leader, std::move(request), 7, 4s);
  const bool is_good = answer && answer->topics.size() == 1 && answer->topics[0].partitions.size() == 1 &&
                       answer->topics[0].partitions[0].error_code == ErrorCode::none;
  if (!is_good) co_return std::nullopt;
  co_return answer->topics[0].partitions[0].offset;
}

}  // namespace

Awaitable<void> Consumer::run(Consumer& self) {
  self.history_.assigned(self.number_, self.place_);
  while (self.running_.others && !self.abandoned_) {
    if (co_await self.poll() == Poll::look_again) co_await self.client_.look_again();
  }
}

Awaitable<Consumer::Poll> Consumer::poll() {
  const auto leader = client_.leader_of(place_);
  if (!leader) co_return Poll::look_again;
  const Duration wait = running_.long_lived ? 20s : 2s;
  const auto answer =
      co_await client_.ask<kafka::FetchResponse>(*leader, fetch_request(place_, position_, milliseconds_of(wait)), 13, wait + 4s);
  const auto* partition = only_partition(answer);
  if (partition == nullptr || partition->error_code != ErrorCode::none) {
    if (is_out_of_range(partition) && running_.long_lived) {
      // Retention; whether it might is what LongLife looks at.
      const auto start = co_await ask_log_start(client_, *leader, place_);
      if (start && position_ < *start) {
        position_ = *start;
        history_.assigned(number_, place_);
        co_return Poll::fine;
      }
      if (!start) co_return Poll::look_again;
    }
    if (is_out_of_range(partition) && complaint_.empty()) {
      // It reads from the beginning and never runs ahead: no such offset may be missing.
      complaint_ = fmt::format("offset {} is out of range at broker {} (log start {})", position_, *leader,
                               partition->log_start_offset);
    }
    co_return Poll::look_again;
  }
  if (!partition->records) co_return Poll::fine;
  std::optional<std::string> damage;
  const Buffer bytes = partition->records->flatten();
  for (const SeenRecord& record : records_in(bytes.view(), position_, damage)) {
    if (record.offset >= partition->high_watermark && complaint_.empty()) {
      complaint_ = fmt::format("broker {} gave offset {} at high watermark {}", *leader, record.offset,
                               partition->high_watermark);
    }
    history_.polled(number_, place_, record.offset, record.value);
    position_ = record.offset + 1;
  }
  position_ = end_of_batches(bytes.view(), position_);
  if (damage && complaint_.empty()) complaint_ = fmt::format("broker {} gave damaged bytes: {}", *leader, *damage);
  co_return Poll::fine;
}

Awaitable<std::optional<std::vector<SeenRecord>>> fetch_once(Client& client, BrokerId leader, Place place, int64_t from,
                                                             int64_t& log_start) {
  const auto answer = co_await client.ask<kafka::FetchResponse>(leader, fetch_request(place, from, 0), 13, 4s);
  const auto* partition = only_partition(answer);
  if (is_out_of_range(partition)) {
    const auto start = co_await ask_log_start(client, leader, place);
    if (!start || *start <= from) co_return std::nullopt;
    log_start = *start;
    co_return std::vector<SeenRecord>();
  }
  if (partition == nullptr || partition->error_code != ErrorCode::none) co_return std::nullopt;
  if (!partition->records) co_return std::vector<SeenRecord>();
  std::optional<std::string> damage;
  const Buffer bytes = partition->records->flatten();
  co_return records_in(bytes.view(), from, damage);
}

Awaitable<std::optional<std::vector<FinalRecord>>> read_all(Client& client, Place place, Duration patience,
                                                            int64_t& log_start) {
  std::vector<FinalRecord> all;
  int64_t position = 0;
  const Instant until = client.now() + patience;
  while (client.now() < until) {
    const auto leader = client.leader_of(place);
    if (!leader) {
      co_await client.look_again();
      continue;
    }
    const auto answer = co_await client.ask<kafka::FetchResponse>(*leader, fetch_request(place, position, 0), 13, 5s);
    const auto* partition = only_partition(answer);
    if (is_out_of_range(partition)) {
      const auto start = co_await ask_log_start(client, *leader, place);
      if (start && *start > position) {
        log_start = position = *start;
        all.clear();
        continue;
      }
    }
    if (partition == nullptr || partition->error_code != ErrorCode::none) {
      co_await client.look_again();
      continue;
    }
    std::optional<std::string> damage;
    if (partition->records) {
      const Buffer bytes = partition->records->flatten();
      for (const SeenRecord& record : records_in(bytes.view(), position, damage)) {
        all.push_back({record.offset, record.value, record.timestamp});
        position = record.offset + 1;
      }
      position = end_of_batches(bytes.view(), position);
    }
    if (position >= partition->high_watermark) co_return all;
  }
  co_return std::nullopt;
}

}  // namespace sim
