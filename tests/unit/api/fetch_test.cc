#include "kafka/fetch.h"
#include "data_fixture.h"
#include "kafka/produce.h"

using namespace broker::api;
using namespace broker::api::test;
using kafka::FetchRequest;
using kafka::FetchResponse;
using kafka::ProduceRequest;
using kafka::ProduceResponse;
using Values = std::vector<std::pair<int64_t, std::string>>;

namespace {

struct From {
  std::string topic;
  int32_t partition = 0;
  int64_t offset = 0;
  int32_t max_bytes = 1 << 20;
};

// Answers at once unless the test asks for more.
FetchRequest fetch_from(const std::vector<From>& parts) {
  FetchRequest request;
  request.max_bytes = 1 << 20;
  for (const From& part : parts) {
    if (request.topics.empty() || request.topics.back().topic != part.topic) {
      request.topics.emplace_back();
      request.topics.back().topic = part.topic;
    }
    FetchRequest::FetchPartition asked;
    asked.partition = part.partition;
    asked.fetch_offset = part.offset;
    asked.partition_max_bytes = part.max_bytes;
    request.topics.back().partitions.push_back(asked);
  }
  return request;
}

FetchRequest::FetchPartition& only_part(FetchRequest& request) {
  return request.topics.at(0).partitions.at(0);
}

const FetchResponse::PartitionData& only_answer(const FetchResponse& response) {
  REQUIRE(response.responses.size() == 1);
  REQUIRE(response.responses[0].partitions.size() == 1);
  return response.responses[0].partitions[0];
}

ProduceRequest produce_to(const std::string& topic, int32_t partition, const std::vector<std::string>& values,
                          int16_t acks = 1) {
  ProduceRequest request;
  request.acks = acks;
  request.timeout_ms = 1000;
  request.topic_data.emplace_back();
  request.topic_data[0].name = topic;
  ProduceRequest::PartitionProduceData data;
  data.index = partition;
  data.records = common::model::BufferChain(batch_of(values));
  request.topic_data[0].partition_data.push_back(std::move(data));
  return request;
}

void produce(DataFixture& f, const std::string& topic, int32_t partition, const std::vector<std::string>& values) {
  const auto response = f.ask<ProduceResponse>(produce_to(topic, partition, values), 9);
  REQUIRE(response.responses[0].partition_responses[0].error_code == ErrorCode::none);
}

size_t size_of(const FetchResponse::PartitionData& data) {
  return data.records->size();
}

}  // namespace

TEST_CASE("fetch gives the records of partitions on both shards") {
  DataFixture f;
  f.create_topic("t", 4);
  for (int32_t p = 0; p < 4; ++p) produce(f, "t", p, {"a" + std::to_string(p), "b"});
  const int16_t version = GENERATE(int16_t{4}, int16_t{5}, int16_t{7}, int16_t{10}, int16_t{11}, int16_t{12});
  const auto response = f.ask<FetchResponse>(fetch_from({{"t", 3}, {"t", 0}, {"t", 1}, {"t", 2, 1}}), version);
  REQUIRE(response.responses.size() == 1);
  REQUIRE(response.responses[0].topic == "t");
  const auto& partitions = response.responses[0].partitions;
  REQUIRE(partitions.size() == 4);
  REQUIRE(partitions[0].partition_index == 3);
  REQUIRE(values_in(*partitions[0].records) == Values{{0, "a3"}, {1, "b"}});
  // Whole batches: the record before the offset comes along, and the client skips it.
  REQUIRE(values_in(*partitions[3].records) == Values{{0, "a2"}, {1, "b"}});
  for (const auto& partition : partitions) {
    REQUIRE(partition.high_watermark == 2);
    REQUIRE(partition.last_stable_offset == 2);
    if (version >= 5) REQUIRE(partition.log_start_offset == 0);
    REQUIRE_FALSE(partition.aborted_transactions.has_value());
  }
}

TEST_CASE("fetch names topics by id from version 13 on") {
  DataFixture f;
  const TopicId id = f.create_topic("t", 1);
  produce(f, "t", 0, {"a"});
  FetchRequest request = fetch_from({{"", 0}});
  request.topics[0].topic_id = id;
  const int16_t version = GENERATE(int16_t{13}, int16_t{15}, int16_t{18});
  const auto response = f.ask<FetchResponse>(request, version);
  REQUIRE(response.responses[0].topic_id == id);
  REQUIRE(values_in(*only_answer(response).records) == Values{{0, "a"}});
  request.topics[0].topic_id = Uuid::from_halves(8, 8);
  const auto unknown = f.ask<FetchResponse>(request, version);
  REQUIRE(only_answer(unknown).error_code == ErrorCode::unknown_topic_id);
  REQUIRE(only_answer(unknown).high_watermark == -1);
}

TEST_CASE("a fetch waits for records, on whichever shard they come") {
  RequestMetrics metrics;
  DataFixture f;
  f.context.metrics = &metrics;
  f.create_topic("t", 2);
  FetchRequest request = fetch_from({{"t", 0}, {"t", 1}});
  request.max_wait_ms = 60'000;
  request.min_bytes = 1;
  const int32_t written = GENERATE(0, 1);
  const auto waiting = f.start(request, 12);
  f.settle();
  REQUIRE_FALSE(waiting->outcome.has_value());
  REQUIRE(metrics.waiting().fetch == 1);
  produce(f, "t", written, {"news"});
  const auto response = f.read<FetchResponse>(waiting, 12);
  REQUIRE(metrics.waiting().fetch == 0);
  REQUIRE(values_in(*response.responses[0].partitions[written].records) == Values{{0, "news"}});
  REQUIRE(size_of(response.responses[0].partitions[1 - written]) == 0);
}

TEST_CASE("a fetch waits no longer than its connection lasts (R111)") {
  RequestMetrics metrics;
  DataFixture f;
  f.context.metrics = &metrics;
  f.create_topic("t", 1);
  if (GENERATE(false, true)) produce(f, "t", 0, {"less than it waits for"});
  FetchRequest request = fetch_from({{"t", 0}});
  request.session_epoch = 0;  // with a session, if it were answered
  request.max_wait_ms = 60'000;
  request.min_bytes = 1000;
  const auto waiting = f.start(request, 12);
  f.settle();
  REQUIRE_FALSE(waiting->outcome.has_value());
  REQUIRE(metrics.waiting().fetch == 1);
  waiting->in_flight.abandon();
  f.settle();
  REQUIRE(waiting->outcome.has_value());
  REQUIRE(waiting->outcome->kind == broker::server::Outcome::Kind::nothing);
  REQUIRE(metrics.waiting().fetch == 0);
  REQUIRE(f.sessions.session_count() == 0);
}

TEST_CASE("a fetch of a client that asks nothing more answers with what there is (R111)") {
  DataFixture f;
  f.create_topic("t", 1);
  const bool is_there = GENERATE(false, true);
  if (is_there) produce(f, "t", 0, {"less than it waits for"});
  FetchRequest request = fetch_from({{"t", 0}});
  request.max_wait_ms = 60'000;
  request.min_bytes = 1000;
  const auto waiting = f.start(request, 12);
  f.settle();
  REQUIRE_FALSE(waiting->outcome.has_value());
  waiting->in_flight.hurry();
  const auto response = f.read<FetchResponse>(waiting, 12);
  const auto values = values_in(*response.responses[0].partitions[0].records);
  REQUIRE(values == (is_there ? Values{{0, "less than it waits for"}} : Values{}));
}

TEST_CASE("a fetch that waits does not hold back other clients' requests (R109)") {
  DataFixture f;
  f.create_topic("t", 1);
  const size_t named = GENERATE(size_t{1}, size_t{4000});  // read once, but the frame is large
  FetchRequest request = fetch_from(std::vector<From>(named, From{.topic = "t"}));
  request.max_wait_ms = 60'000;
  request.min_bytes = 1;
  const auto waiting = f.start(request, 12);
  f.settle();
  REQUIRE_FALSE(waiting->outcome.has_value());
  REQUIRE(waiting->in_flight.frame().empty() == (named == 1));
  if (named > 1) {
    f.is_memory_scarce = true;  // a large one may wait only while there is enough
    const auto at_once = f.start(request, 12);
    f.settle();
    REQUIRE(at_once->outcome.has_value());
    const auto response = f.read<FetchResponse>(at_once, 12);
    const auto& answers = response.responses.at(0).partitions;
    REQUIRE(answers.size() == 1);
    REQUIRE(answers[0].error_code == ErrorCode::none);
    REQUIRE(size_of(answers[0]) == 0);
    f.is_memory_scarce = false;
  }
  produce(f, "t", 0, {"a"});
  f.finish(waiting);
}

TEST_CASE("partitions whose directories are being made hold up nothing that is there") {
  DataFixture f;
  f.create_topic("t", 2);
  for (int32_t p = 0; p < 2; ++p) produce(f, "t", p, {"a"});
  f.disk_hangs = true;
  f.create_topic("new", 4);
  FetchRequest request = fetch_from({{"new", 0}, {"new", 1}, {"new", 2}, {"new", 3}, {"t", 0}, {"t", 1}});
  request.max_wait_ms = 60'000;
  request.min_bytes = 1;
  const auto waiting = f.start(request, 12);
  f.settle();
  REQUIRE(waiting->outcome.has_value());
  const auto response = f.read<FetchResponse>(waiting, 12);
  REQUIRE(response.responses.at(0).topic == "new");
  for (const auto& nothing_yet : response.responses[0].partitions) {
    REQUIRE(nothing_yet.error_code == ErrorCode::none);
    REQUIRE(nothing_yet.high_watermark == 0);
    REQUIRE(size_of(nothing_yet) == 0);
  }
  for (const auto& there : response.responses.at(1).partitions) REQUIRE(values_in(*there.records) == Values{{0, "a"}});
}

TEST_CASE("a fetch waits for as many bytes as it asks for") {
  DataFixture f;
  f.create_topic("t", 2);
  produce(f, "t", 0, {"first"});
  FetchRequest request = fetch_from({{"t", 0}, {"t", 1}});
  request.max_wait_ms = 60'000;
  request.min_bytes = 200;  // three batches
  const auto waiting = f.start(request, 12);
  f.settle();
  REQUIRE_FALSE(waiting->outcome.has_value());
  produce(f, "t", 1, {"second"});
  f.settle();
  REQUIRE_FALSE(waiting->outcome.has_value());
  produce(f, "t", 0, {"third"});
  const auto response = f.read<FetchResponse>(waiting, 12);
  REQUIRE(values_in(*response.responses[0].partitions[0].records) == Values{{0, "first"}, {1, "third"}});
  REQUIRE(values_in(*response.responses[0].partitions[1].records) == Values{{0, "second"}});
}

TEST_CASE("after max_wait a fetch answers with what there is") {
  DataFixture f;
  f.create_topic("t", 1);
  produce(f, "t", 0, {"a"});
  FetchRequest request = fetch_from({{"t", 0, 1}});
  request.max_wait_ms = 20;
  request.min_bytes = 1;
  const auto nothing = f.ask<FetchResponse>(request, 12);
  REQUIRE(only_answer(nothing).error_code == ErrorCode::none);
  REQUIRE(size_of(only_answer(nothing)) == 0);
  REQUIRE(only_answer(nothing).high_watermark == 1);
  only_part(request).fetch_offset = 0;
  request.min_bytes = 1'000'000;
  REQUIRE(values_in(*only_answer(f.ask<FetchResponse>(request, 12)).records) == Values{{0, "a"}});
}

TEST_CASE("no fetch waits longer than five minutes (R111)") {
  DataFixture f;
  f.create_topic("t", 1);
  FetchRequest request = fetch_from({{"t", 0}});
  request.min_bytes = 1;
  request.max_wait_ms = INT32_MAX;
  const auto waiting = f.start(request, 12);
  f.settle();
  f.skip(std::chrono::minutes(4));
  REQUIRE_FALSE(waiting->outcome.has_value());
  f.skip(std::chrono::minutes(1));
  REQUIRE(waiting->outcome.has_value());
  const auto response = f.read<FetchResponse>(waiting, 12);
  REQUIRE(only_answer(response).error_code == ErrorCode::none);
  REQUIRE(size_of(only_answer(response)) == 0);
  request.max_wait_ms = GENERATE(0, -1, INT32_MIN);
  const auto at_once = f.start(request, 12);
  f.settle();
  REQUIRE(at_once->outcome.has_value());
}

TEST_CASE("byte limits hold, but the first batch always comes (KIP-74)") {
  DataFixture f;
  f.create_topic("t", 2);
  for (int32_t p = 0; p < 2; ++p) {
    for (int i = 0; i < 3; ++i) produce(f, "t", p, {std::string(1000, 'x')});
  }
  const size_t one = size_of(only_answer(f.ask<FetchResponse>(fetch_from({{"t", 0, 0, 1}}), 12)));
  REQUIRE(one > 1000);
  REQUIRE(one < 1200);

  SECTION("a partition's limit") {
    const auto response = f.ask<FetchResponse>(
        fetch_from({{"t", 0, 0, static_cast<int32_t>(2 * one + 10)}, {"t", 1, 0, static_cast<int32_t>(one)}}), 12);
    REQUIRE(size_of(response.responses[0].partitions[0]) == 2 * one);
    REQUIRE(size_of(response.responses[0].partitions[1]) == one);
  }
  SECTION("the request's limit") {
    FetchRequest request = fetch_from({{"t", 0}, {"t", 1}});
    request.max_bytes = static_cast<int32_t>(4 * one + 10);
    const auto response = f.ask<FetchResponse>(request, 12);
    REQUIRE(size_of(response.responses[0].partitions[0]) + size_of(response.responses[0].partitions[1]) == 4 * one);
    REQUIRE(size_of(response.responses[0].partitions[0]) == 3 * one);
  }
  SECTION("one batch where every limit is too small, and nothing of the second partition") {
    FetchRequest request = fetch_from({{"t", 0, 0, 10}, {"t", 1, 0, 10}});
    request.max_bytes = 10;
    const auto response = f.ask<FetchResponse>(request, 12);
    REQUIRE(size_of(response.responses[0].partitions[0]) == one);
    REQUIRE(size_of(response.responses[0].partitions[1]) == 0);
    REQUIRE(response.responses[0].partitions[1].error_code == ErrorCode::none);
  }
  SECTION("the broker's limit") {
    f.config.fetch_max_bytes = static_cast<int32_t>(one);
    REQUIRE(size_of(only_answer(f.ask<FetchResponse>(fetch_from({{"t", 0}}), 12))) == one);
  }
}

TEST_CASE("answers are as large as the memory for answers allows, and wait for it (R109)") {
  DataFixture f;
  f.create_topic("t", 2);
  for (int i = 0; i < 5; ++i) produce(f, "t", 0, {std::string(1000, 'x')});
  const size_t one = size_of(only_answer(f.ask<FetchResponse>(fetch_from({{"t", 0, 0, 1}}), 12)));
  broker::server::ResponseBudget budget(f.home(), 4 * one + 10);  // newcomers: half of it
  f.responses = &budget;
  FetchRequest request = fetch_from({{"t", 0}});

  SECTION("smaller than asked for, and charged until it is gone") {
    request.max_wait_ms = 60'000;
    request.min_bytes = static_cast<int32_t>(3 * one);  // more than it may get
    auto call = f.start(request, 12);
    REQUIRE(size_of(only_answer(f.read<FetchResponse>(call, 12))) == 2 * one);
    REQUIRE(budget.used() == 2 * one);
    call.reset();
    REQUIRE(budget.used() == 0);
  }
  SECTION("later, where others hold it all") {
    auto other = std::make_unique<broker::server::ResponseBudget::Charge>(budget, 0);
    other->hold(2 * one);
    const auto waiting = f.start(request, 12);
    f.settle();
    REQUIRE_FALSE(waiting->outcome.has_value());
    other.reset();
    REQUIRE(size_of(only_answer(f.read<FetchResponse>(waiting, 12))) == 2 * one);
  }
  SECTION("who waits for records holds nothing meanwhile, and gets them all in the end") {
    request = fetch_from({{"t", 1}});
    request.max_bytes = static_cast<int32_t>(2 * one);
    request.max_wait_ms = GENERATE(50, 60'000);
    request.min_bytes = static_cast<int32_t>(2 * one);
    produce(f, "t", 1, {std::string(1000, 'a')});
    const auto waiting = f.start(request, 12);
    if (request.max_wait_ms > 50) {
      f.settle();
      REQUIRE_FALSE(waiting->outcome.has_value());
      REQUIRE(budget.used() == 0);
      produce(f, "t", 1, {std::string(1000, 'b')});
    }
    REQUIRE(size_of(only_answer(f.read<FetchResponse>(waiting, 12))) == (request.max_wait_ms > 50 ? 2 : 1) * one);
  }
}

TEST_CASE("errors are told at once, beside the data of other partitions") {
  DataFixture f;
  f.create_topic("t", 3);
  produce(f, "t", 0, {"a"});
  FetchRequest request = fetch_from({{"t", 0}, {"t", 9}, {"t", 1, 5}, {"t", 2, -7}, {"nobody", 0}});
  request.max_wait_ms = 60'000;
  request.min_bytes = 1'000'000;
  const auto response = f.ask<FetchResponse>(request, 12);
  const auto& t = response.responses.at(0).partitions;
  REQUIRE(values_in(*t.at(0).records) == Values{{0, "a"}});
  REQUIRE(t.at(1).error_code == ErrorCode::unknown_topic_or_partition);
  REQUIRE(t.at(2).error_code == ErrorCode::offset_out_of_range);
  REQUIRE(t.at(3).error_code == ErrorCode::offset_out_of_range);
  REQUIRE(t.at(3).records.has_value());  // empty, not null
  REQUIRE(response.responses.at(1).partitions.at(0).error_code == ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("leader epochs fence readers, and the leader is named from version 16 on") {
  DataFixture f;
  const TopicId id = f.create_topic("t", 1);
  f.move_leader(id, 0, 1);  // epoch 1
  FetchRequest request = fetch_from({{"t", 0}});
  request.topics[0].topic_id = id;
  only_part(request).current_leader_epoch = 2;
  REQUIRE(only_answer(f.ask<FetchResponse>(request, 12)).error_code == ErrorCode::unknown_leader_epoch);
  only_part(request).current_leader_epoch = 0;
  REQUIRE(only_answer(f.ask<FetchResponse>(request, 12)).error_code == ErrorCode::fenced_leader_epoch);
  const auto hinted = f.ask<FetchResponse>(request, 16);
  REQUIRE(only_answer(hinted).error_code == ErrorCode::fenced_leader_epoch);
  REQUIRE(only_answer(hinted).current_leader.leader_id == 1);
  REQUIRE(only_answer(hinted).current_leader.leader_epoch == 1);
  REQUIRE(hinted.node_endpoints.size() == 1);
  REQUIRE(hinted.node_endpoints[0].port == 9092);
}

TEST_CASE("R33: who may have been replaced serves what is committed, and sends those away who wait for more") {
  DataFixture f;
  const TopicId id = f.create_topic("t", 1);
  produce(f, "t", 0, {"a"});
  f.context.may_be_replaced = [] { return true; };
  FetchRequest request = fetch_from({{"", 0}});
  request.topics[0].topic_id = id;
  REQUIRE(values_in(*only_answer(f.ask<FetchResponse>(request, 16)).records) == Values{{0, "a"}});
  only_part(request).fetch_offset = 1;
  const auto at_the_end = f.ask<FetchResponse>(request, 16);
  REQUIRE(only_answer(at_the_end).error_code == ErrorCode::not_leader_or_follower);
  REQUIRE(only_answer(at_the_end).current_leader.leader_id == -1);
  REQUIRE(at_the_end.node_endpoints.empty());

  f.context.may_be_replaced = [] { return false; };
  REQUIRE(only_answer(f.ask<FetchResponse>(request, 16)).error_code == ErrorCode::none);
}

TEST_CASE("a waiting fetch learns of a new leader at once") {
  DataFixture f;
  const TopicId id = f.create_topic("t", 1);
  FetchRequest request = fetch_from({{"", 0}});
  request.topics[0].topic_id = id;
  request.max_wait_ms = 60'000;
  request.min_bytes = 1;
  const auto waiting = f.start(request, 16);
  f.settle();
  f.move_leader(id, 0, 2);
  const auto response = f.read<FetchResponse>(waiting, 16);
  REQUIRE(only_answer(response).error_code == ErrorCode::not_leader_or_follower);
  REQUIRE(only_answer(response).current_leader.leader_id == 2);
  REQUIRE(response.node_endpoints.at(0).host == "10.0.0.2");
}

TEST_CASE("a reader whose log diverged is told where (KIP-595)") {
  DataFixture f;
  f.create_topic("t", 1);
  produce(f, "t", 0, {"a", "b", "c"});
  FetchRequest request = fetch_from({{"t", 0, 10}});
  only_part(request).last_fetched_epoch = 0;
  const auto answer = only_answer(f.ask<FetchResponse>(request, 12));
  REQUIRE(answer.error_code == ErrorCode::none);
  REQUIRE(answer.diverging_epoch.epoch == 0);
  REQUIRE(answer.diverging_epoch.end_offset == 3);
  REQUIRE(size_of(answer) == 0);
}

TEST_CASE("only what is committed is read") {
  DataFixture f;
  const TopicId id = f.create_topic("t", 1);
  produce(f, "t", 0, {"committed"});
  f.move_leader(id, 0, 1);  // broker 2 is in the ISR now, and never fetches
  produce(f, "t", 0, {"not yet"});
  const auto answer = only_answer(f.ask<FetchResponse>(fetch_from({{"t", 0}}), 12));
  REQUIRE(values_in(*answer.records) == Values{{0, "committed"}});
  REQUIRE(answer.high_watermark == 1);
  const auto beyond = only_answer(f.ask<FetchResponse>(fetch_from({{"t", 0, 1}}), 12));
  REQUIRE(beyond.error_code == ErrorCode::none);
  REQUIRE(size_of(beyond) == 0);
}

TEST_CASE("a follower answers only a debugging reader; Kafka brokers are refused") {
  DataFixture f;
  const TopicId id = f.create_topic("t", 1);
  produce(f, "t", 0, {"a"});
  f.move_leader(id, 0, 2);
  FetchRequest request = fetch_from({{"t", 0}});
  REQUIRE(only_answer(f.ask<FetchResponse>(request, 12)).error_code == ErrorCode::not_leader_or_follower);
  request.replica_id = -2;
  REQUIRE(values_in(*only_answer(f.ask<FetchResponse>(request, 12)).records) == Values{{0, "a"}});
  request.replica_id = 2;
  REQUIRE(f.ask<FetchResponse>(request, 12).error_code == ErrorCode::invalid_request);
  // Before version 7 there is no other place for it.
  for (const int16_t version : {4, 6})
    REQUIRE(only_answer(f.ask<FetchResponse>(request, version)).error_code == ErrorCode::invalid_request);
}

TEST_CASE("a failed directory is told in words that the client knows") {
  DataFixture f;
  f.create_topic("t", 1);
  f.context.directories->report_failure(DataFixture::data_directory, {ErrorCode::kafka_storage_error, "gone"});
  f.settle();
  const auto fetched = [&](int16_t version) {
    return only_answer(f.ask<FetchResponse>(fetch_from({{"t", 0}}), version)).error_code;
  };
  REQUIRE(fetched(5) == ErrorCode::not_leader_or_follower);
  REQUIRE(fetched(6) == ErrorCode::kafka_storage_error);
  const auto produced = [&](int16_t version) {
    const auto response = f.ask<ProduceResponse>(produce_to("t", 0, {"a"}), version);
    return response.responses.at(0).partition_responses.at(0).error_code;
  };
  REQUIRE(produced(3) == ErrorCode::not_leader_or_follower);
  REQUIRE(produced(4) == ErrorCode::kafka_storage_error);
}

TEST_CASE("read_committed lists aborted transactions, none so far") {
  DataFixture f;
  f.create_topic("t", 1);
  produce(f, "t", 0, {"a"});
  FetchRequest request = fetch_from({{"t", 0}});
  request.isolation_level = 1;
  const auto answer = only_answer(f.ask<FetchResponse>(request, 12));
  REQUIRE(answer.aborted_transactions.has_value());
  REQUIRE(answer.aborted_transactions->empty());
  REQUIRE(values_in(*answer.records) == Values{{0, "a"}});
}

TEST_CASE("a fetch session tells changes only") {
  DataFixture f;
  f.create_topic("t", 3);
  produce(f, "t", 0, {"a"});
  FetchRequest full = fetch_from({{"t", 0}, {"t", 1}, {"t", 2}});
  full.session_epoch = 0;
  const auto opened = f.ask<FetchResponse>(full, 12);
  REQUIRE(opened.session_id != 0);
  REQUIRE(opened.responses[0].partitions.size() == 3);

  FetchRequest next = fetch_from({{"t", 0, 1}});
  next.session_id = opened.session_id;
  next.session_epoch = 1;
  next.max_wait_ms = 60'000;
  next.min_bytes = 1;
  const auto waiting = f.start(next, 12);
  f.settle();
  produce(f, "t", 2, {"b"});
  const auto changed = f.read<FetchResponse>(waiting, 12);
  REQUIRE(changed.session_id == opened.session_id);
  REQUIRE(only_answer(changed).partition_index == 2);
  REQUIRE(values_in(*only_answer(changed).records) == Values{{0, "b"}});

  FetchRequest quiet;
  quiet.max_bytes = 1 << 20;
  quiet.session_id = opened.session_id;
  quiet.session_epoch = 2;
  quiet.forgotten_topics_data.emplace_back();
  quiet.forgotten_topics_data[0].topic = "t";
  quiet.forgotten_topics_data[0].partitions = {2};
  REQUIRE(f.ask<FetchResponse>(quiet, 12).responses.empty());
  REQUIRE(f.ask<FetchResponse>(quiet, 12).error_code == ErrorCode::invalid_fetch_session_epoch);
  quiet.session_id = 4711;
  REQUIRE(f.ask<FetchResponse>(quiet, 12).error_code == ErrorCode::fetch_session_id_not_found);
}

TEST_CASE("records that are not in memory come from the disk, while others are served") {
  DataFixture f;
  f.create_topic("t", 1);
  produce(f, "t", 0, {"a"});
  for (int i = 0; i < 40; ++i) produce(f, "t", 0, {std::string(100'000, 'x')});  // pushes it out of the tail cache
  f.disk->set_cold("t-0");
  const auto response = f.ask<FetchResponse>(fetch_from({{"t", 0, 0, 10}}), 12);
  REQUIRE(values_in(*only_answer(response).records) == Values{{0, "a"}});
}

TEST_CASE("a partition that a fetch names again is read once, where it was first named and as it was last (R109)") {
  DataFixture f;
  const TopicId id = f.create_topic("t", 2);
  for (const char* value : {"a", "b"}) produce(f, "t", 0, {value});
  const size_t named = GENERATE(size_t{2}, size_t{1000});
  std::vector<From> parts(named, From{.topic = "t"});
  parts.push_back({"t", 1});
  FetchRequest request = fetch_from(parts);
  request.topics.push_back(request.topics[0]);  // the topic again, too
  request.topics.back().partitions.back() = request.topics.back().partitions.front();
  request.topics.back().partitions.back().fetch_offset = 1;
  const int16_t version = GENERATE(int16_t{4}, int16_t{12}, int16_t{13});
  if (version == 13) {
    for (auto& topic : request.topics) topic = {.topic = "", .topic_id = id, .partitions = topic.partitions};
  }
  const auto response = f.ask<FetchResponse>(request, version);
  REQUIRE(response.responses.size() == 1);
  const auto& answers = response.responses[0].partitions;
  REQUIRE(answers.size() == 2);
  REQUIRE(answers[0].partition_index == 0);
  REQUIRE(values_in(*answers[0].records) == Values{{1, "b"}});
  REQUIRE(answers[1].partition_index == 1);
}

TEST_CASE("a fetch without partitions is answered") {
  DataFixture f;
  FetchRequest request = fetch_from({});
  request.max_wait_ms = 60'000;
  request.min_bytes = 1;
  REQUIRE(f.ask<FetchResponse>(request, 12).responses.empty());
}
