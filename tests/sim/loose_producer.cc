#include "sim/loose_producer.h"

#include "common/records/batch_builder.h"
#include "kafka/produce.h"

namespace sim {

using namespace std::chrono_literals;
namespace records = common::records;

namespace {

// Refused before anything was appended.
bool is_definite(ErrorCode code) {
  return code == ErrorCode::not_enough_replicas || code == ErrorCode::unknown_topic_or_partition ||
         code == ErrorCode::unknown_topic_id;
}

}  // namespace

cli::verify::Promise LooseProducer::promise(int16_t acks) {
  using Acks = cli::verify::Promise::Acks;
  return {.acks = acks == 0   ? Acks::none
                  : acks == 1 ? Acks::leader
                              : Acks::all,
          .idempotent = false};
}

Awaitable<void> LooseProducer::run(LooseProducer& self) {
  const int attempts_max = self.acks_ == 0 ? 1 : 5;
  while (self.running_.producers) {
    co_await self.client_.sleep(
        self.client_.random().between(self.options_.think_time / 2, self.options_.think_time * 3 / 2));
    if (self.running_.paused) continue;
    std::vector<Value> values(1 + self.client_.random().below(static_cast<uint64_t>(self.options_.records_per_batch)));
    for (Value& value : values) {
      value = self.next_value_++;
      self.history_.sent(self.place_, value);
    }
    const Buffer batch = self.encode(values);
    bool may_be_there = false;
    Outcome outcome = Outcome::unknown;
    for (int i = 0; i < attempts_max && outcome != Outcome::acknowledged; ++i) {
      if (i > 0) co_await self.client_.look_again();
      outcome = co_await self.send(Buffer::copy_of(batch.view()));
      may_be_there = may_be_there || outcome != Outcome::refused;
    }
    if (outcome == Outcome::acknowledged) {
      self.acknowledge(values);
      continue;
    }
    const auto failure = may_be_there ? cli::verify::Failure::unknown : cli::verify::Failure::definite;
    for (const Value value : values) self.history_.failed(self.place_, value, failure);
  }
  self.done_ = true;
}

Awaitable<LooseProducer::Outcome> LooseProducer::send(Buffer batch) {
  const auto leader = client_.leader_of(place_);
  if (!leader) co_return Outcome::refused;
  kafka::ProduceRequest request;
  request.acks = acks_;
  request.timeout_ms = 3000;
  kafka::ProduceRequest::TopicProduceData topic;
  topic.topic_id = place_.topic;
  kafka::ProduceRequest::PartitionProduceData data;
  data.index = place_.partition;
  data.records = std::move(batch);
  topic.partition_data.push_back(std::move(data));
  request.topic_data.push_back(std::move(topic));
  const auto answer = co_await client_.ask<kafka::ProduceResponse>(*leader, std::move(request), 13, 5s, acks_ != 0);
  if (acks_ == 0) co_return Outcome::unknown;
  if (!answer || answer->responses.size() != 1 || answer->responses[0].partition_responses.size() != 1)
    co_return Outcome::unknown;
  const auto& partition = answer->responses[0].partition_responses[0];
  offset_ = partition.base_offset;
  if (partition.error_code == ErrorCode::none) co_return Outcome::acknowledged;
  probes_.produce_error(partition.error_code);
  co_return is_definite(partition.error_code) ? Outcome::refused : Outcome::unknown;
}

Buffer LooseProducer::encode(const std::vector<Value>& values) const {
  records::BatchBuilder builder(records::BatchOptions{});
  const auto wall = client_.shard().clock().wall_now();
  for (const Value value : values) {
    std::string text = std::to_string(value);
    text.resize(std::max<size_t>(text.size(), static_cast<size_t>(options_.record_bytes)), ' ');
    builder.add({.timestamp = wall, .key = std::nullopt, .value = common::model::as_bytes(text), .headers = {}});
  }
  return builder.build();
}

void LooseProducer::acknowledge(const std::vector<Value>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    history_.acknowledged(place_, values[i], offset_ + static_cast<int64_t>(i));
  }
}

}  // namespace sim
