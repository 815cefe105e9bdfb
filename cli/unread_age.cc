#include "cli/unread_age.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "cli/facts.h"
#include "common/records/batch.h"
#include "common/records/record_reader.h"
#include "kafka/fetch.h"
#include "kafka/metadata.h"

namespace cli {
namespace {

using common::model::ErrorCode;
using common::model::PartitionIndex;
using common::model::TopicPartition;
using std::chrono::milliseconds;

struct Leadership {
  std::map<int32_t, client::Broker> brokers;
  std::map<std::string, common::model::Uuid> ids;
  std::map<TopicPartition, int32_t> of;
};

std::optional<Leadership> look(client::Cluster& cluster, const std::set<Place>& places) {
  kafka::MetadataRequest request;
  request.allow_auto_topic_creation = false;
  std::set<std::string> names;
  for (const Place& place : places) names.insert(place.partition.topic);
  request.topics.emplace();
  for (const std::string& name : names) request.topics->emplace_back().name = name;
  const auto answer = cluster.call<kafka::MetadataResponse>(request);
  if (!answer) return std::nullopt;
  Leadership seen;
  for (const auto& b : answer->brokers) seen.brokers[b.node_id] = {b.node_id, {b.host, static_cast<uint16_t>(b.port)}};
  for (const auto& t : answer->topics) {
    const std::string name = t.name.value_or("");
    seen.ids[name] = t.topic_id;
    for (const auto& p : t.partitions) {
      if (p.leader_id >= 0) seen.of[{name, PartitionIndex(p.partition_index)}] = p.leader_id;
    }
  }
  return seen;
}

// The time of the first record at or after `offset`; absent where the batch cannot be read.
std::optional<int64_t> first_time(const kafka::FetchResponse::PartitionData& data, int64_t offset) {
  if (data.error_code != ErrorCode::none || !data.records) return std::nullopt;
  const common::model::Buffer bytes = data.records->flatten();
  common::records::BatchCursor cursor(bytes.view());
  std::optional<int64_t> found;
  while (!found && !cursor.at_end()) {
    const auto batch = cursor.next();
    if (!batch || !batch->crc_ok()) break;
    if (batch->is_control()) continue;
    const auto read = common::records::for_each_record(*batch, {}, [&](const common::records::Record& record) {
      if (!found && record.offset.value >= offset) found = record.timestamp.value;
    });
    if (!read) break;
  }
  return found;
}

PlaceTimes ask_leader(client::Cluster& cluster, const client::Broker& leader, const Leadership& seen,
                      const std::vector<Place>& places, ReadSize size) {
  kafka::FetchRequest request;
  request.max_wait_ms = 0;
  request.min_bytes = 0;
  request.max_bytes = size.all;
  for (const Place& place : places) {
    if (request.topics.empty() || request.topics.back().topic != place.partition.topic) {
      auto& topic = request.topics.emplace_back();
      topic.topic = place.partition.topic;
      topic.topic_id = seen.ids.at(place.partition.topic);
    }
    auto& asked = request.topics.back().partitions.emplace_back();
    asked.partition = place.partition.partition.value;
    asked.fetch_offset = place.offset;
    asked.partition_max_bytes = size.each;
  }
  PlaceTimes found;
  const auto answer = cluster.call_on<kafka::FetchResponse>(leader, request);
  if (!answer) return found;
  for (const auto& topic : answer->responses) {
    for (const auto& data : topic.partitions) {
      if (data.records) found.bytes += static_cast<int64_t>(data.records->size());
      const auto place = std::ranges::find_if(places, [&](const Place& p) {
        return p.partition.partition.value == data.partition_index &&
               (p.partition.topic == topic.topic || seen.ids.at(p.partition.topic) == topic.topic_id);
      });
      if (place == places.end()) continue;
      if (const auto time = first_time(data, place->offset)) found.times[*place] = *time;
    }
  }
  return found;
}

// What each leader is asked in one round: the first place of each partition.
std::map<int32_t, std::vector<Place>> by_leader(const std::set<Place>& places,
                                                const std::map<TopicPartition, int32_t>& leader_of) {
  std::map<int32_t, std::vector<Place>> all;
  for (const Place& place : places) {
    const auto leader = leader_of.find(place.partition);
    if (leader == leader_of.end()) continue;
    std::vector<Place>& some = all[leader->second];
    if (some.empty() || some.back().partition != place.partition) some.push_back(place);
  }
  return all;
}

std::optional<Place> place_of(const GroupOffset& offset) {
  if (offset.lag().value_or(0) == 0) return std::nullopt;
  return Place{offset.partition, std::max(*offset.committed, offset.start.value_or(0))};
}

}  // namespace

PlaceTimes learn_times(std::set<Place> places, const std::map<TopicPartition, int32_t>& leader_of,
                       const AskLeader& ask) {
  constexpr int64_t answer_bytes = 16 << 20;
  constexpr int32_t each_least = 64 << 10;
  constexpr int32_t each_most = 4 << 20;
  PlaceTimes learnt;
  std::map<int32_t, int32_t> each;
  bool learns = true;
  for (int round = 0; learns && !places.empty(); ++round) {
    learns = false;
    for (const auto& [leader, some] : by_leader(places, leader_of)) {
      const int64_t left = unread_bytes_max - learnt.bytes;
      if (round == unread_rounds_max || left <= 0) {
        learnt.is_whole = false;
        return learnt;
      }
      int32_t& size = each.try_emplace(leader, each_least).first->second;
      const PlaceTimes answer = ask(leader, some, {static_cast<int32_t>(std::min(left, answer_bytes)), size});
      learnt.bytes += answer.bytes;
      // Only what comes first was answered: the batches of the others are larger than their room.
      if (some.size() > 1 && answer.times.size() <= 1) size = std::min(size * 4, each_most);
      for (const auto& [place, time] : answer.times) {
        learns = true;
        places.erase(place);
        learnt.times[place] = time;
      }
    }
  }
  return learnt;
}

bool fetch_unread_since(client::Cluster& cluster, std::vector<GroupFacts>& groups) {
  std::set<Place> places;
  for (const GroupFacts& group : groups) {
    for (const GroupOffset& offset : group.offsets) {
      if (const auto place = place_of(offset)) places.insert(*place);
    }
  }
  const auto seen = places.empty() ? std::nullopt : look(cluster, places);
  if (!seen) return true;
  const auto ask = [&](int32_t leader, const std::vector<Place>& some, ReadSize size) {
    const auto broker = seen->brokers.find(leader);
    return broker == seen->brokers.end() ? PlaceTimes() : ask_leader(cluster, broker->second, *seen, some, size);
  };
  const PlaceTimes learnt = learn_times(std::move(places), seen->of, ask);
  for (GroupFacts& group : groups) {
    for (GroupOffset& offset : group.offsets) {
      const auto place = place_of(offset);
      if (const auto time = place ? learnt.times.find(*place) : learnt.times.end(); time != learnt.times.end())
        offset.unread_since = time->second;
    }
  }
  return learnt.is_whole;
}

std::optional<milliseconds> lag_time(const GroupOffset& offset, SystemTime now) {
  const auto records = offset.lag();
  if (!records) return std::nullopt;
  if (*records == 0) return milliseconds(0);
  if (!offset.unread_since) return std::nullopt;
  const auto now_ms = std::chrono::duration_cast<milliseconds>(now.time_since_epoch());
  return std::max(now_ms - milliseconds(*offset.unread_since), milliseconds(0));
}

std::optional<milliseconds> lag_time(const GroupFacts& group, SystemTime now) {
  std::optional<milliseconds> worst;
  for (const GroupOffset& offset : group.offsets) {
    const auto time = lag_time(offset, now);
    if (time && (!worst || *time > *worst)) worst = time;
  }
  return worst;
}

}  // namespace cli
