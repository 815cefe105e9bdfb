#include "sim/onlooker.h"

#include "kafka/list_offsets.h"

namespace sim {

using namespace std::chrono_literals;

Awaitable<void> Onlooker::run(Onlooker& self) {
  while (self.running_.others) {
    co_await self.client_.sleep(self.client_.random().between(100ms, 2s) * (self.running_.long_lived ? 60 : 1));
    co_await self.ask(self.places_[self.client_.random().below(self.places_.size())]);
  }
}

std::optional<std::pair<BrokerId, int32_t>> Onlooker::truth(const Place& place) const {
  const auto& image = cluster_.committed_image();
  const auto* state = image ? image->partition(place.topic, common::model::PartitionIndex(place.partition)) : nullptr;
  if (state == nullptr || !state->leader) return std::nullopt;
  return std::pair(*state->leader, state->leader_epoch.value);
}

Awaitable<void> Onlooker::ask(Place place) {
  constexpr int64_t latest = -1;
  const auto before = truth(place);
  const auto leader = client_.leader_of(place);
  if (!leader || !before || before->first != *leader) {
    co_await client_.look_again();
    co_return;
  }
  kafka::ListOffsetsRequest request;
  request.replica_id = -1;
  kafka::ListOffsetsRequest::ListOffsetsTopic topic;
  topic.name = topic_;
  kafka::ListOffsetsRequest::ListOffsetsPartition partition;
  partition.partition_index = place.partition;
  partition.timestamp = latest;
  partition.current_leader_epoch = before->second;  // not the answer of an earlier leadership of the same broker (KIP-320)
  topic.partitions.push_back(partition);
  request.topics.push_back(std::move(topic));
  const int64_t call = history_.end_asked(place);
  const auto answer = co_await client_.ask<kafka::ListOffsetsResponse>(*leader, std::move(request), 7, 4s);
  const bool is_good = answer && answer->topics.size() == 1 && answer->topics[0].partitions.size() == 1 &&
                       answer->topics[0].partitions[0].error_code == ErrorCode::none;
  if (!is_good || truth(place) != before) {
    history_.end_unknown(place, call);
    if (!is_good) co_await client_.look_again();
    co_return;
  }
  history_.end_answered(place, call, answer->topics[0].partitions[0].offset);
}

}  // namespace sim
