#include "sim/consumer.h"

#include "kafka/fetch.h"

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

const kafka::FetchResponse::PartitionData* only_partition(const std::optional<kafka::FetchResponse>& answer) {
  if (!answer || answer->error_code != ErrorCode::none || answer->responses.size() != 1 ||
      answer->responses[0].partitions.size() != 1) {
    return nullptr;
  }
  return &answer->responses[0].partitions[0];
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
  const auto answer =
      co_await client_.ask<kafka::FetchResponse>(*leader, fetch_request(place_, position_, 2000), 13, 6s);
  const auto* partition = only_partition(answer);
  if (partition == nullptr || partition->error_code != ErrorCode::none) {
    if (partition != nullptr && partition->error_code == ErrorCode::offset_out_of_range && complaint_.empty()) {
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

Awaitable<std::optional<std::vector<SeenRecord>>> fetch_once(Client& client, BrokerId leader, Place place, int64_t from) {
  const auto answer = co_await client.ask<kafka::FetchResponse>(leader, fetch_request(place, from, 0), 13, 4s);
  const auto* partition = only_partition(answer);
  if (partition == nullptr || partition->error_code != ErrorCode::none) co_return std::nullopt;
  if (!partition->records) co_return std::vector<SeenRecord>();
  std::optional<std::string> damage;
  const Buffer bytes = partition->records->flatten();
  co_return records_in(bytes.view(), from, damage);
}

Awaitable<std::optional<std::vector<FinalRecord>>> read_all(Client& client, Place place, Duration patience) {
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
    if (partition == nullptr || partition->error_code != ErrorCode::none) {
      co_await client.look_again();
      continue;
    }
    std::optional<std::string> damage;
    if (partition->records) {
      const Buffer bytes = partition->records->flatten();
      for (const SeenRecord& record : records_in(bytes.view(), position, damage)) {
        all.push_back({record.offset, record.value});
        position = record.offset + 1;
      }
      position = end_of_batches(bytes.view(), position);
    }
    if (position >= partition->high_watermark) co_return all;
  }
  co_return std::nullopt;
}

}  // namespace sim
