#include "kafka/produce.h"
#include "data_fixture.h"
#include "kafka/fetch.h"

using namespace broker::api;
using namespace broker::api::test;
using kafka::FetchRequest;
using kafka::FetchResponse;
using kafka::ProduceRequest;
using kafka::ProduceResponse;
using Kind = broker::server::Outcome::Kind;

namespace {

struct To {
  std::string topic;
  int32_t partition = 0;
  std::optional<Buffer> batches;
};

ProduceRequest produce_to(std::vector<To> parts, int16_t acks = -1, int32_t timeout_ms = 5000) {
  ProduceRequest request;
  request.acks = acks;
  request.timeout_ms = timeout_ms;
  for (To& part : parts) {
    if (request.topic_data.empty() || request.topic_data.back().name != part.topic) {
      request.topic_data.emplace_back();
      request.topic_data.back().name = part.topic;
    }
    ProduceRequest::PartitionProduceData data;
    data.index = part.partition;
    if (part.batches) data.records = common::model::BufferChain(*part.batches);
    request.topic_data.back().partition_data.push_back(std::move(data));
  }
  return request;
}

ProduceResponse::PartitionProduceResponse only_answer(const ProduceResponse& response) {
  REQUIRE(response.responses.size() == 1);
  REQUIRE(response.responses[0].partition_responses.size() == 1);
  return response.responses[0].partition_responses[0];
}

records::BatchOptions idempotent(int32_t sequence) {
  records::BatchOptions options;
  options.producer = records::ProducerStamp{records::ProducerId(7), records::ProducerEpoch(0), sequence};
  return options;
}

std::vector<std::pair<int64_t, std::string>> content(DataFixture& f, const std::string& topic, int32_t partition) {
  FetchRequest request;
  request.max_bytes = 1 << 20;
  request.topics.emplace_back();
  request.topics[0].topic = topic;
  FetchRequest::FetchPartition asked;
  asked.partition = partition;
  asked.partition_max_bytes = 1 << 20;
  request.topics[0].partitions.push_back(asked);
  const auto response = f.ask<FetchResponse>(request, 12);
  return values_in(*response.responses.at(0).partitions.at(0).records);
}

}  // namespace

TEST_CASE("produce appends to partitions of both shards and answers in the request's order") {
  DataFixture f;
  f.create_topic("t", 4);
  f.create_topic("u", 1);
  const int16_t version = GENERATE(int16_t{3}, int16_t{7}, int16_t{8}, int16_t{9}, int16_t{12});
  const int16_t acks = GENERATE(int16_t{1}, int16_t{-1});
  const auto response = f.ask<ProduceResponse>(
      produce_to({{"t", 3, batch_of({"a", "b"})}, {"t", 0, batch_of({"c"})}, {"u", 0, batch_of({"d"})}}, acks),
      version);
  REQUIRE(response.responses.size() == 2);
  REQUIRE(response.responses[0].name == "t");
  REQUIRE(response.responses[0].partition_responses[0].index == 3);
  REQUIRE(response.responses[0].partition_responses[1].index == 0);
  REQUIRE(response.responses[1].name == "u");
  for (const auto& topic : response.responses) {
    for (const auto& partition : topic.partition_responses) {
      REQUIRE(partition.error_code == ErrorCode::none);
      REQUIRE(partition.base_offset == 0);
      REQUIRE(partition.log_append_time_ms == -1);
      if (version >= 5) REQUIRE(partition.log_start_offset == 0);
    }
  }
  const auto again = f.ask<ProduceResponse>(produce_to({{"t", 3, batch_of({"e"})}}, acks), version);
  REQUIRE(only_answer(again).base_offset == 2);
  REQUIRE(content(f, "t", 3) == std::vector<std::pair<int64_t, std::string>>{{0, "a"}, {1, "b"}, {2, "e"}});
}

TEST_CASE("produce names topics by id from version 13 on") {
  DataFixture f;
  const TopicId id = f.create_topic("t", 1);
  ProduceRequest request = produce_to({{"", 0, batch_of({"a"})}});
  request.topic_data[0].topic_id = id;
  const auto response = f.ask<ProduceResponse>(request, 13);
  REQUIRE(only_answer(response).error_code == ErrorCode::none);
  REQUIRE(response.responses[0].topic_id == id);
  request.topic_data[0].topic_id = Uuid::from_halves(4, 4);
  REQUIRE(only_answer(f.ask<ProduceResponse>(request, 13)).error_code == ErrorCode::unknown_topic_id);
}

// R87: whatever the number of partitions in each, and on whichever shard they live.
TEST_CASE("pipelined produce requests are appended in their order") {
  DataFixture f;
  f.create_topic("t", 4);
  std::vector<std::shared_ptr<Call>> calls;
  std::array<int32_t, 4> sequences{};
  for (unsigned i = 0; i < 64; ++i) {
    std::vector<To> parts;
    for (int32_t p = 0; p < 4; ++p) {
      if ((i * 7 + 1) >> p & 1) parts.push_back({"t", p, batch_of({std::to_string(i)}, idempotent(sequences[p]++))});
    }
    calls.push_back(f.start(produce_to(std::move(parts)), 9));
  }
  for (const auto& call : calls) {
    for (const auto& topic : f.read<ProduceResponse>(call, 9).responses) {
      for (const auto& partition : topic.partition_responses) REQUIRE(partition.error_code == ErrorCode::none);
    }
  }
  for (int32_t p = 0; p < 4; ++p) {
    int last = -1;
    REQUIRE(content(f, "t", p).size() == static_cast<size_t>(sequences[p]));
    for (const auto& [offset, value] : content(f, "t", p)) {
      REQUIRE(std::stoi(value) > last);
      last = std::stoi(value);
    }
  }
}

TEST_CASE("a repeated idempotent batch gets its first offset again (R85)") {
  DataFixture f;
  f.create_topic("t", 1);
  REQUIRE(only_answer(f.ask<ProduceResponse>(produce_to({{"t", 0, batch_of({"x"})}}), 9)).base_offset == 0);
  for (int i = 0; i < 3; ++i) {
    const auto answer =
        only_answer(f.ask<ProduceResponse>(produce_to({{"t", 0, batch_of({"a", "b"}, idempotent(0))}}), 9));
    REQUIRE(answer.error_code == ErrorCode::none);
    REQUIRE(answer.base_offset == 1);
  }
  const auto gap = only_answer(f.ask<ProduceResponse>(produce_to({{"t", 0, batch_of({"c"}, idempotent(9))}}), 9));
  REQUIRE(gap.error_code == ErrorCode::out_of_order_sequence_number);
  REQUIRE(gap.base_offset == -1);
  REQUIRE(content(f, "t", 0).size() == 3);
}

TEST_CASE("each part of a produce is refused for itself, with Kafka's code") {
  DataFixture f;
  f.create_topic("t", 2);
  f.create_topic("__consumer_offsets", 1);
  std::vector<std::byte> broken(200, std::byte{0});
  records::BatchOptions transactional = idempotent(0);
  transactional.kind = records::BatchKind::transactional;
  Buffer bad_crc = batch_of({"a"});
  const_cast<std::byte*>(bad_crc.data())[bad_crc.size() - 1] ^= std::byte{1};
  const auto response = f.ask<ProduceResponse>(produce_to({
                                                   {"t", 0, batch_of({"fine"})},
                                                   {"t", 7, batch_of({"a"})},
                                                   {"t", 1, std::nullopt},
                                                   {"t", 1, Buffer::own(broken)},
                                                   {"t", 1, bad_crc},
                                                   {"t", 1, batch_of({"a"}, transactional)},
                                                   {"nobody", 0, batch_of({"a"})},
                                                   {"__consumer_offsets", 0, batch_of({"a"})},
                                               }),
                                               9);
  const auto& t = response.responses.at(0).partition_responses;
  REQUIRE(t.at(0).error_code == ErrorCode::none);
  REQUIRE(t.at(1).error_code == ErrorCode::unknown_topic_or_partition);
  REQUIRE(t.at(2).error_code == ErrorCode::invalid_record);
  REQUIRE(t.at(3).error_code == ErrorCode::corrupt_message);
  REQUIRE(t.at(4).error_code == ErrorCode::corrupt_message);
  REQUIRE(t.at(5).error_code == ErrorCode::invalid_txn_state);
  REQUIRE(response.responses.at(1).partition_responses.at(0).error_code == ErrorCode::unknown_topic_or_partition);
  REQUIRE(response.responses.at(2).partition_responses.at(0).error_code == ErrorCode::invalid_topic_exception);
  for (size_t i = 1; i < t.size(); ++i) REQUIRE(t[i].base_offset == -1);
  REQUIRE(content(f, "t", 1).empty());
  const auto admin =
      f.ask<ProduceResponse>(produce_to({{"__consumer_offsets", 0, batch_of({"a"})}}), 9, "__admin_client");
  REQUIRE(only_answer(admin).error_code == ErrorCode::none);
}

TEST_CASE("acks other than 0, 1 and -1 are refused; versions below 3 too") {
  DataFixture f;
  f.create_topic("t", 1);
  REQUIRE(only_answer(f.ask<ProduceResponse>(produce_to({{"t", 0, batch_of({"a"})}}, 2), 9)).error_code ==
          ErrorCode::invalid_required_acks);
  REQUIRE(only_answer(f.ask<ProduceResponse>(produce_to({{"t", 0, batch_of({"a"})}}, 1), 2)).error_code ==
          ErrorCode::unsupported_version);
  REQUIRE(content(f, "t", 0).empty());
}

TEST_CASE("internal topics are written by their coordinators, not by clients; Kafka's own tools may") {
  DataFixture f;
  const std::string topic = GENERATE("__consumer_offsets", "__transaction_state");
  f.create_topic(topic, 1);
  f.create_topic("t", 1);
  const ProduceRequest request = produce_to({{topic, 0, batch_of({"a"})}, {"t", 0, batch_of({"b"})}});
  const auto refused = f.ask<ProduceResponse>(request, 9);
  REQUIRE(refused.responses.at(0).partition_responses.at(0).error_code == ErrorCode::invalid_topic_exception);
  REQUIRE(refused.responses.at(1).partition_responses.at(0).error_code == ErrorCode::none);
  REQUIRE(content(f, topic, 0).empty());
  const auto taken = f.ask<ProduceResponse>(request, 9, "__admin_client");
  REQUIRE(taken.responses.at(0).partition_responses.at(0).error_code == ErrorCode::none);
}

TEST_CASE("zstd needs version 7") {
  DataFixture f;
  f.create_topic("t", 1);
  records::BatchOptions zstd;
  zstd.codec = records::Codec::zstd;
  REQUIRE(only_answer(f.ask<ProduceResponse>(produce_to({{"t", 0, batch_of({"a"}, zstd)}}), 6)).error_code ==
          ErrorCode::unsupported_compression_type);
  REQUIRE(only_answer(f.ask<ProduceResponse>(produce_to({{"t", 0, batch_of({"a"}, zstd)}}), 7)).error_code ==
          ErrorCode::none);
}

TEST_CASE("record errors name the records, from version 8 on (KIP-467)") {
  DataFixture f;
  f.settings.settings.produce.timestamp_after_max_ms = -1'000'000;  // everything is from the future
  f.create_topic("t", 1);
  const auto answer = only_answer(f.ask<ProduceResponse>(produce_to({{"t", 0, batch_of({"a", "b"})}}), 8));
  REQUIRE(answer.error_code == ErrorCode::invalid_timestamp);
  REQUIRE(answer.record_errors.size() == 2);
  REQUIRE(answer.record_errors[1].batch_index == 1);
  REQUIRE(answer.error_message.has_value());
  REQUIRE(only_answer(f.ask<ProduceResponse>(produce_to({{"t", 0, batch_of({"a"})}}), 7)).error_code ==
          ErrorCode::invalid_timestamp);
}

TEST_CASE("acks=0 has no answer, and an error closes the connection") {
  RequestMetrics metrics;
  DataFixture f;
  f.context.metrics = &metrics;
  f.create_topic("t", 2);
  const auto good = f.start(produce_to({{"t", 0, batch_of({"a"})}, {"t", 1, batch_of({"b"})}}, 0), 9);
  f.finish(good);
  REQUIRE(good->outcome->kind == Kind::nothing);
  REQUIRE(content(f, "t", 1).size() == 1);
  const auto bad = f.start(produce_to({{"t", 0, batch_of({"a"})}, {"nobody", 1, batch_of({"b"})}}, 0), 9);
  f.finish(bad);
  REQUIRE(bad->outcome->kind == Kind::close);
  REQUIRE_FALSE(bad->outcome->reason.empty());
  const ApiMetrics& counted = metrics.by_key()[ProduceRequest::api_key];
  REQUIRE(counted.time.count() == 2);
  REQUIRE(counted.errors.size() == 1);
  REQUIRE(counted.closed == 1);
  REQUIRE(counted.faulty == 0);  // it is not taken from those without an error twice
}

TEST_CASE("who is not the leader says who is, from version 10 on (KIP-951)") {
  DataFixture f;
  f.create_topic("t", 2, 2);
  const auto old = f.ask<ProduceResponse>(produce_to({{"t", 0, batch_of({"a"})}}), 9);
  REQUIRE(only_answer(old).error_code == ErrorCode::not_leader_or_follower);
  REQUIRE(only_answer(old).current_leader.leader_id == -1);

  const auto response = f.ask<ProduceResponse>(produce_to({{"t", 0, batch_of({"a"})}, {"t", 1, batch_of({"a"})}}), 10);
  for (const auto& partition : response.responses[0].partition_responses) {
    REQUIRE(partition.error_code == ErrorCode::not_leader_or_follower);
    REQUIRE(partition.current_leader.leader_id == 2);
    REQUIRE(partition.current_leader.leader_epoch == 0);
  }
  REQUIRE(response.node_endpoints.size() == 1);
  REQUIRE(response.node_endpoints[0].node_id == 2);
  REQUIRE(response.node_endpoints[0].host == "10.0.0.2");
  REQUIRE(response.node_endpoints[0].port == 9093);
  REQUIRE(response.node_endpoints[0].rack == "rack2");

  // R33: who refuses because it may have been replaced does not send its clients back to itself.
  f.context.node_id = BrokerId(2);
  f.context.may_be_replaced = [] { return true; };
  const auto doubtful = f.ask<ProduceResponse>(produce_to({{"t", 0, batch_of({"a"})}}), 10);
  REQUIRE(only_answer(doubtful).error_code == ErrorCode::not_leader_or_follower);
  REQUIRE(only_answer(doubtful).current_leader.leader_id == -1);
  REQUIRE(doubtful.node_endpoints.empty());
}

TEST_CASE("acks=all waits for the replicas until the timeout; acks=1 does not") {
  DataFixture f;
  const TopicId id = f.create_topic("t", 1);
  f.move_leader(id, 0, 1);  // broker 2 is in the ISR now, and never fetches
  const auto all = only_answer(f.ask<ProduceResponse>(produce_to({{"t", 0, batch_of({"a"})}}, -1, 20), 9));
  REQUIRE(all.error_code == ErrorCode::request_timed_out);
  REQUIRE(all.base_offset == -1);
  const auto one = only_answer(f.ask<ProduceResponse>(produce_to({{"t", 0, batch_of({"b"})}}, 1, 20), 9));
  REQUIRE(one.error_code == ErrorCode::none);
  REQUIRE(one.base_offset == 1);
  REQUIRE(content(f, "t", 0).empty());  // nothing is committed
}

TEST_CASE("a produce that waits for replicas does not hold back other clients' requests (R109)") {
  RequestMetrics metrics;
  DataFixture f;
  f.context.metrics = &metrics;
  const TopicId id = f.create_topic("t", 4);
  for (int p = 0; p < 4; ++p) f.move_leader(id, p, 1);  // broker 2 is in the ISR now, and never fetches
  const Buffer large = batch_of({std::string(20'000, 'x')});
  const auto waiting =
      f.start(produce_to({{"t", 0, large}, {"t", 1, large}, {"t", 2, large}, {"t", 3, large}, {"none", 0, large}}, -1,
                         60'000),
              10);
  REQUIRE(waiting->in_flight.frame().size() > 80'000);
  f.settle();
  REQUIRE_FALSE(waiting->outcome.has_value());
  REQUIRE(waiting->in_flight.frame().empty());
  REQUIRE(metrics.waiting().produce == 1);
  for (int p = 0; p < 4; ++p) f.move_leader(id, p, 2);
  const auto response = f.read<ProduceResponse>(waiting, 10);
  REQUIRE(metrics.waiting().produce == 0);
  REQUIRE(response.responses.at(0).partition_responses.at(0).error_code == ErrorCode::not_leader_or_follower);
}

TEST_CASE("a small produce that waits for replicas gives its memory back where that is scarce (R109)") {
  DataFixture f;
  const TopicId id = f.create_topic("t", 4);
  for (int p = 0; p < 4; ++p) f.move_leader(id, p, 1);  // broker 2 is in the ISR now, and never fetches
  const Buffer small = batch_of({"a"});
  f.is_memory_scarce = GENERATE(false, true);
  const auto waiting =
      f.start(produce_to({{"t", 0, small}, {"t", 1, small}, {"t", 2, small}, {"t", 3, small}}, -1, 60'000), 10);
  f.settle();
  REQUIRE_FALSE(waiting->outcome.has_value());
  REQUIRE(waiting->in_flight.frame().empty() == f.is_memory_scarce);
  for (int p = 0; p < 4; ++p) f.move_leader(id, p, 2);
  const auto response = f.read<ProduceResponse>(waiting, 10);
  REQUIRE(response.responses.at(0).partition_responses.at(0).error_code == ErrorCode::not_leader_or_follower);
}

TEST_CASE("a produce that waits is answered when the leader changes") {
  DataFixture f;
  const TopicId id = f.create_topic("t", 1);
  f.move_leader(id, 0, 1);
  const auto waiting = f.start(produce_to({{"t", 0, batch_of({"a"})}}, -1, 60'000), 10);
  f.settle();
  REQUIRE_FALSE(waiting->outcome.has_value());
  f.move_leader(id, 0, 2);
  const auto response = f.read<ProduceResponse>(waiting, 10);
  REQUIRE(only_answer(response).error_code == ErrorCode::not_leader_or_follower);
  REQUIRE(only_answer(response).current_leader.leader_id == 2);
}

TEST_CASE("append time is the broker's where the topic says so") {
  DataFixture f;
  f.settings.settings.produce.timestamp_type = records::TimestampType::log_append_time;
  f.settings.settings.log.log_append_time = true;
  f.create_topic("t", 1);
  const auto answer = only_answer(f.ask<ProduceResponse>(produce_to({{"t", 0, batch_of({"a"})}}), 9));
  REQUIRE(answer.error_code == ErrorCode::none);
  REQUIRE(answer.log_append_time_ms > 1'600'000'000'000);
}

TEST_CASE("batches are stored under the codec that the topic names, whatever the producer's") {
  const auto theirs = GENERATE(records::Codec::none, records::Codec::lz4, records::Codec::zstd, records::Codec::gzip);
  const auto ours = GENERATE(records::Codec::none, records::Codec::lz4, records::Codec::zstd, records::Codec::gzip,
                             records::Codec::snappy);
  CAPTURE(theirs, ours);
  DataFixture f;
  f.settings.settings.stored.codec = ours;
  f.create_topic("t", 1);
  records::BatchOptions options = idempotent(0);
  options.codec = theirs;
  const Buffer sent = batch_of({"a", "b"}, options);
  const auto append = [&] { return only_answer(f.ask<ProduceResponse>(produce_to({{"t", 0, sent}}), 9)); };
  REQUIRE(append().base_offset == 0);
  REQUIRE(append().base_offset == 0);  // R85
  FetchRequest request;
  request.max_bytes = 1 << 20;
  request.topics.emplace_back();
  request.topics[0].topic = "t";
  request.topics[0].partitions.emplace_back();
  request.topics[0].partitions[0].partition_max_bytes = 1 << 20;
  const auto fetched = f.ask<FetchResponse>(request, 12);
  const Buffer stored = fetched.responses.at(0).partitions.at(0).records->flatten();
  const auto batch = records::BatchView::parse(stored.view());
  REQUIRE(batch.has_value());
  REQUIRE(batch->crc_ok());
  REQUIRE(batch->codec() == ours);
  REQUIRE(batch->size_bytes() == stored.size());
  REQUIRE(content(f, "t", 0) == std::vector<std::pair<int64_t, std::string>>{{0, "a"}, {1, "b"}});
}

TEST_CASE("a batch that the topic's codec makes too large is refused") {
  DataFixture f;
  f.settings.settings.stored.codec = records::Codec::none;
  f.settings.settings.produce.max_batch_bytes = 1000;
  f.create_topic("t", 1);
  records::BatchOptions options;
  options.codec = records::Codec::zstd;
  const auto answer =
      only_answer(f.ask<ProduceResponse>(produce_to({{"t", 0, batch_of({std::string(5000, 'x')}, options)}}), 9));
  REQUIRE(answer.error_code == ErrorCode::message_too_large);
}

TEST_CASE("a produce without partitions is answered") {
  DataFixture f;
  REQUIRE(f.ask<ProduceResponse>(produce_to({}), 9).responses.empty());
}
