#include "sim/producer.h"

#include <algorithm>

#include "common/records/batch_builder.h"
#include "kafka/init_producer_id.h"
#include "kafka/produce.h"

namespace sim {

using namespace std::chrono_literals;
namespace records = common::records;

Producer::Producer(Client& client, History& history, Probes& probes, const Options& options, const Running& running,
                   Place place, Value first_value, int keys)
    : client_(client),
      history_(history),
      probes_(probes),
      options_(options),
      running_(running),
      place_(place),
      next_value_(first_value),
      keys_(keys),
      answered_(client.shard()) {}

Awaitable<bool> Producer::get_id() {
  kafka::InitProducerIdRequest request;
  request.transactional_id.reset();
  const auto answer = co_await client_.ask<kafka::InitProducerIdResponse>(client_.any_broker(), std::move(request), 4, 5s);
  if (!answer || answer->error_code != ErrorCode::none) co_return false;
  producer_id_ = answer->producer_id;
  epoch_ = answer->producer_epoch;
  next_sequence_ = 0;
  co_return true;
}

Awaitable<void> Producer::run(Producer& self) {
  while (!self.abandoned_ && (self.running_.producers || !self.unacknowledged_.empty())) {
    if (self.producer_id_ < 0) {
      if (!co_await self.get_id()) co_await self.client_.sleep(100ms);
      continue;
    }
    const bool again = self.settle();
    if (again) {
      if (self.any_in_flight()) {
        co_await common::until(self.answered_, self.client_.now() + 1s);
        continue;
      }
      co_await self.client_.look_again();
      if (self.producer_id_ >= 0) self.send_from(0);
      continue;
    }
    const bool has_room = static_cast<int>(self.unacknowledged_.size()) < self.options_.pipelined;
    const bool may_send = self.running_.producers && !self.running_.paused && has_room;
    if (self.running_.calm) self.next_batch_at_ = std::min(self.next_batch_at_, self.client_.now() + 2s);
    if (may_send && self.client_.now() >= self.next_batch_at_) {
      self.next_batch_at_ = self.client_.now() + self.pause();
      self.add_batch();
      self.send_from(self.unacknowledged_.size() - 1);
      continue;
    }
    co_await common::until(self.answered_, self.next_look(may_send));
  }
  self.done_ = true;
}

// In a long life bursts of a minute, and quiet minutes, hours, or days: as long as makes brokers forget producers.
Duration Producer::pause() {
  Rng& random = client_.random();
  const Duration thinks = random.between(options_.think_time / 2, options_.think_time * 3 / 2);
  if (!running_.long_lived || running_.calm || client_.now() < burst_ends_) return thinks;
  const Duration quiet = random.chance(0.8)    ? random.between(5min, 60min)
                         : random.chance(0.75) ? random.between(1h, 6h)
                                               : random.between(23h, 30h);
  burst_ends_ = client_.now() + quiet + random.between(5s, 90s);
  return quiet;
}

Instant Producer::next_look(bool may_send) const {
  if (!running_.long_lived) return may_send ? next_batch_at_ : client_.now() + 1s;
  // It may be told to end, or that it is being looked at, in the middle of a quiet hour.
  return may_send ? std::min(next_batch_at_, client_.now() + 30s) : client_.now() + 30s;
}

void Producer::add_batch() {
  auto batch = std::make_shared<Batch>();
  batch->first_sequence = next_sequence_;
  const auto count = 1 + client_.random().below(static_cast<uint64_t>(options_.records_per_batch));
  for (uint64_t i = 0; i < count; ++i) {
    batch->values.push_back(next_value_);
    history_.sent(place_, next_value_);
    ++next_value_;
  }
  next_sequence_ += static_cast<int32_t>(count);
  unacknowledged_.push_back(std::move(batch));
}

void Producer::send_from(size_t index) {
  for (size_t i = index; i < unacknowledged_.size(); ++i) {
    unacknowledged_[i]->in_flight = true;
    client_.shard().spawn("deliver", deliver(*this, unacknowledged_[i]));
  }
}

Buffer Producer::encode(const Batch& batch) const {
  records::BatchOptions options;
  options.producer = records::ProducerStamp{common::model::ProducerId(producer_id_), common::model::ProducerEpoch(epoch_),
                                            batch.first_sequence};
  records::BatchBuilder builder(options);
  const auto wall = client_.shard().clock().wall_now();
  for (const Value value : batch.values) {
    std::string text = std::to_string(value);
    text.resize(std::max<size_t>(text.size(), static_cast<size_t>(options_.record_bytes)), ' ');
    const std::string key = keys_ == 0 ? "" : std::to_string(value % keys_);
    std::optional<common::model::BytesView> key_bytes;
    if (keys_ > 0) key_bytes = common::model::as_bytes(key);
    builder.add({.timestamp = wall, .key = key_bytes, .value = common::model::as_bytes(text), .headers = {}});
  }
  return builder.build();
}

Awaitable<void> Producer::deliver(Producer& self, std::shared_ptr<Batch> batch) {
  ++batch->attempts;
  batch->error.reset();
  batch->lost = false;
  std::optional<kafka::ProduceResponse> answer;
  if (const auto leader = self.client_.leader_of(self.place_)) {
    if (!batch->first_asked) batch->first_asked = leader;
    batch->last_asked = leader;
    kafka::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 3000;
    kafka::ProduceRequest::TopicProduceData topic;
    topic.topic_id = self.place_.topic;
    kafka::ProduceRequest::PartitionProduceData data;
    data.index = self.place_.partition;
    data.records = self.encode(*batch);
    topic.partition_data.push_back(std::move(data));
    request.topic_data.push_back(std::move(topic));
    answer = co_await self.client_.ask<kafka::ProduceResponse>(*leader, std::move(request), 13, 5s);
  }
  batch->in_flight = false;
  if (answer && answer->responses.size() == 1 && answer->responses[0].partition_responses.size() == 1) {
    const auto& partition = answer->responses[0].partition_responses[0];
    batch->error = partition.error_code;
    batch->offset = partition.base_offset;
  } else {
    batch->lost = true;
  }
  self.answered_.pulse();
}

bool Producer::any_in_flight() const {
  return std::any_of(unacknowledged_.begin(), unacknowledged_.end(), [](const auto& b) { return b->in_flight; });
}

bool Producer::settle() {
  while (!unacknowledged_.empty()) {
    const Batch& first = *unacknowledged_.front();
    if (first.in_flight) return false;
    if (first.error == ErrorCode::none) {
      if (first.attempts > 1) probes_.hit(Probe::acknowledged_after_retry);
      if (first.first_asked != first.last_asked) probes_.hit(Probe::acknowledged_by_a_successor);
      note_silence();
      for (size_t i = 0; i < first.values.size(); ++i) {
        history_.acknowledged(place_, first.values[i], first.offset + static_cast<int64_t>(i));
      }
      unacknowledged_.pop_front();
      continue;
    }
    if (first.error) probes_.produce_error(*first.error);
    const bool hopeless = first.error == ErrorCode::out_of_order_sequence_number ||
                          first.error == ErrorCode::unknown_producer_id ||
                          first.error == ErrorCode::invalid_producer_epoch;
    if (hopeless && !any_in_flight()) {
      start_over();
      return false;
    }
    return true;
  }
  return false;
}

// As long as it takes brokers to forget a producer (R88).
void Producer::note_silence() {
  const Instant now = client_.now();
  if (acknowledged_at_ != Instant{} && now - acknowledged_at_ > 24h) probes_.hit(Probe::wrote_after_a_day);
  acknowledged_at_ = now;
}

// The brokers have forgotten this producer and heard a later batch first (whom they do not know may begin anywhere, R86),
// or lost something of it. What is unacknowledged may or may not be there.
void Producer::start_over() {
  probes_.hit(Probe::producer_started_over);
  for (const auto& batch : unacknowledged_) {
    for (const Value value : batch->values) history_.failed(place_, value, cli::verify::Failure::unknown);
  }
  unacknowledged_.clear();
  producer_id_ = -1;
}

std::string Producer::what_is_owed() const {
  const auto leader = client_.leader_of(place_);
  std::string text =
      fmt::format("partition {}: producer {}, {} batches", place_.partition, producer_id_, unacknowledged_.size());
  if (leader) text += fmt::format(" for broker {}", *leader);
  if (unacknowledged_.empty()) return text;
  const Batch& first = *unacknowledged_.front();
  text += fmt::format(", the first from sequence {}, attempt {}", first.first_sequence, first.attempts);
  if (first.in_flight) return text + " under way";
  if (first.error) return text + fmt::format(" answered {}", *first.error);
  return text + " without an answer";
}

}  // namespace sim
