// The hot APIs on the wire: a request decoded as a broker does, an answer encoded.
#include "kafka/fetch.h"
#include "kafka/heartbeat.h"
#include "kafka/metadata.h"
#include "kafka/offset_commit.h"
#include "kafka/produce.h"
#include "micro.h"

namespace micro {

using common::model::Buffer;
using common::model::BufferChain;
using common::model::Uuid;

namespace {

template <class Request, class Response>
Step codec(const Request& request, int16_t version, Response response) {
  const auto frame = kafka::encode(request, version);
  NARU_CHECK(frame.has_value());
  return [bytes = frame->flatten(), version, response = std::move(response)] {
    const auto decoded = kafka::decode<Request>(bytes, version);
    NARU_CHECK(decoded.has_value());
    keep(decoded);
    const auto encoded = kafka::encode(response, version);
    NARU_CHECK(encoded.has_value());
    keep(encoded);
  };
}

Step produce() {
  kafka::ProduceRequest request;
  request.acks = -1;
  request.timeout_ms = 30'000;
  request.topic_data.emplace_back().name = "orders";
  kafka::ProduceResponse response;
  response.responses.emplace_back().name = "orders";
  for (int32_t p = 0; p < 3; ++p) {
    request.topic_data[0].partition_data.push_back({.index = p, .records = BufferChain(batch_of(16))});
    auto& answer = response.responses[0].partition_responses.emplace_back();
    answer.index = p;
    answer.base_offset = 1'000'000;
  }
  return codec(request, 11, std::move(response));
}

Step fetch() {
  kafka::FetchRequest request;
  request.topics.emplace_back().topic_id = Uuid::from_halves(1, 2);
  kafka::FetchResponse response;
  response.responses.emplace_back().topic_id = Uuid::from_halves(1, 2);
  const Buffer batch = batch_of(16);
  for (int32_t p = 0; p < 20; ++p) {
    auto& asked = request.topics[0].partitions.emplace_back();
    asked.partition = p;
    asked.partition_max_bytes = 1 << 20;
    auto& answer = response.responses[0].partitions.emplace_back();
    answer.partition_index = p;
    answer.records = BufferChain(batch);
  }
  return codec(request, 16, std::move(response));
}

Step metadata() {
  kafka::MetadataRequest request;
  kafka::MetadataResponse response;
  for (int32_t b = 1; b <= 3; ++b)
    response.brokers.push_back({.node_id = b, .host = "broker.example", .port = 9092, .rack = {}});
  request.topics.emplace();
  for (uint64_t t = 0; t < 10; ++t) {
    const std::string name = "topic-" + std::to_string(t);
    request.topics->push_back({.topic_id = {}, .name = name});
    auto& topic = response.topics.emplace_back();
    topic.name = name;
    topic.topic_id = Uuid::from_halves(1, t);
    for (int32_t p = 0; p < 10; ++p) {
      auto& partition = topic.partitions.emplace_back();
      partition.partition_index = p;
      partition.leader_id = 1;
      partition.replica_nodes = partition.isr_nodes = {1, 2, 3};
    }
  }
  return codec(request, 12, std::move(response));
}

Step offset_commit() {
  kafka::OffsetCommitRequest request;
  request.group_id = "billing";
  request.generation_id_or_member_epoch = 7;
  request.member_id = "consumer-1-c8b2a4e0-0000-0000-0000-000000000001";
  request.topics.emplace_back().name = "orders";
  kafka::OffsetCommitResponse response;
  response.topics.emplace_back().name = "orders";
  for (int32_t p = 0; p < 20; ++p) {
    auto& asked = request.topics[0].partitions.emplace_back();
    asked.partition_index = p;
    asked.committed_offset = 1'000'000 + p;
    response.topics[0].partitions.emplace_back().partition_index = p;
  }
  return codec(request, 9, std::move(response));
}

Step heartbeat() {
  kafka::HeartbeatRequest request;
  request.group_id = "billing";
  request.generation_id = 7;
  request.member_id = "consumer-1-c8b2a4e0-0000-0000-0000-000000000001";
  return codec(request, 4, kafka::HeartbeatResponse{});
}

}  // namespace

void add_codecs(Cases& all) {
  all.push_back({"codec of Produce, 3 partitions", 200, produce});
  all.push_back({"codec of Fetch, 20 partitions", 100, fetch});
  all.push_back({"codec of Metadata, 10 topics of 10 partitions", 50, metadata});
  all.push_back({"codec of OffsetCommit, 20 partitions", 100, offset_commit});
  all.push_back({"codec of Heartbeat", 500, heartbeat});
}

}  // namespace micro
