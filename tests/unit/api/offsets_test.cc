#include "broker/api/last_change.h"
#include "data_fixture.h"
#include "kafka/delete_records.h"
#include "kafka/describe_log_dirs.h"
#include "kafka/fetch.h"
#include "kafka/list_offsets.h"
#include "kafka/offset_for_leader_epoch.h"
#include "kafka/produce.h"

using namespace broker::api;
using namespace broker::api::test;
using kafka::DeleteRecordsRequest;
using kafka::DeleteRecordsResponse;
using kafka::DescribeLogDirsRequest;
using kafka::DescribeLogDirsResponse;
using kafka::ListOffsetsRequest;
using kafka::ListOffsetsResponse;
using kafka::OffsetForLeaderEpochRequest;
using kafka::OffsetForLeaderEpochResponse;
using kafka::ProduceRequest;
using kafka::ProduceResponse;

namespace {

void produce(DataFixture& f, const std::string& topic, int32_t partition, int64_t timestamp) {
  records::BatchBuilder builder;
  records::NewRecord record;
  record.timestamp = records::TimestampMs(timestamp);
  record.value = common::model::as_bytes("value");
  builder.add(record);
  ProduceRequest request;
  request.acks = 1;
  request.timeout_ms = 1000;
  request.topic_data.emplace_back();
  request.topic_data[0].name = topic;
  ProduceRequest::PartitionProduceData data;
  data.index = partition;
  data.records = common::model::BufferChain(builder.build());
  request.topic_data[0].partition_data.push_back(std::move(data));
  const auto response = f.ask<ProduceResponse>(request, 9);
  REQUIRE(response.responses[0].partition_responses[0].error_code == ErrorCode::none);
}

struct Asked {
  int32_t partition = 0;
  int64_t timestamp = -1;
  int32_t epoch = -1;
};

ListOffsetsRequest list(const std::string& topic, const std::vector<Asked>& parts) {
  ListOffsetsRequest request;
  request.replica_id = -1;
  request.topics.emplace_back();
  request.topics[0].name = topic;
  for (const Asked& asked : parts) {
    ListOffsetsRequest::ListOffsetsPartition one;
    one.partition_index = asked.partition;
    one.timestamp = asked.timestamp;
    one.current_leader_epoch = asked.epoch;
    request.topics[0].partitions.push_back(one);
  }
  return request;
}

ListOffsetsResponse::ListOffsetsPartitionResponse only_answer(const ListOffsetsResponse& response) {
  REQUIRE(response.topics.size() == 1);
  REQUIRE(response.topics[0].partitions.size() == 1);
  return response.topics[0].partitions[0];
}

constexpr int64_t start = 1'700'000'000'000;

}  // namespace

TEST_CASE("offsets by time and by name") {
  DataFixture f;
  f.create_topic("t", 2);
  for (const int64_t t : {0, 10, 50, 20}) produce(f, "t", 0, start + t);
  struct Row {
    int64_t asked;
    int64_t offset;
    int64_t timestamp;
    int16_t since;
  };
  const auto row =
      GENERATE(Row{-1, 4, -1, 1}, Row{-2, 0, -1, 1}, Row{-3, 2, start + 50, 7}, Row{-4, 0, -1, 8}, Row{-5, -1, -1, 9},
               Row{-6, -1, -1, 11}, Row{start, 0, start, 1}, Row{start + 1, 1, start + 10, 1},
               Row{start + 11, 2, start + 50, 1}, Row{start + 51, -1, -1, 1}, Row{0, 0, start, 1});
  for (const int16_t version : {int16_t{1}, int16_t{4}, int16_t{7}, int16_t{8}, int16_t{11}}) {
    const auto answer = only_answer(f.ask<ListOffsetsResponse>(list("t", {{0, row.asked}}), version));
    CAPTURE(row.asked, version);
    if (version < row.since) {
      REQUIRE(answer.error_code == ErrorCode::unsupported_version);
      continue;
    }
    REQUIRE(answer.error_code == ErrorCode::none);
    REQUIRE(answer.offset == row.offset);
    REQUIRE(answer.timestamp == row.timestamp);
    if (version >= 4) REQUIRE(answer.leader_epoch == (row.offset >= 0 ? 0 : -1));
  }
}

TEST_CASE("R33: who may have been replaced does not say where the log ends") {
  DataFixture f;
  f.create_topic("t", 1);
  produce(f, "t", 0, start);
  const auto answer_to = [&](int64_t timestamp) {
    return only_answer(f.ask<ListOffsetsResponse>(list("t", {{0, timestamp}}), 7));
  };
  bool may_be_replaced = true;
  f.context.may_be_replaced = [&] { return may_be_replaced; };
  const int64_t asked = GENERATE(int64_t{-1}, int64_t{-3}, start);
  REQUIRE(answer_to(asked).error_code == ErrorCode::not_leader_or_follower);
  REQUIRE(answer_to(asked).offset == -1);
  REQUIRE(answer_to(-2).error_code == ErrorCode::none);  // where it begins is no promise
  may_be_replaced = false;
  REQUIRE(answer_to(asked).error_code == ErrorCode::none);
}

TEST_CASE("version 0 answers with a list of at most one offset") {
  DataFixture f;
  f.create_topic("t", 1);
  produce(f, "t", 0, start);
  REQUIRE(only_answer(f.ask<ListOffsetsResponse>(list("t", {{0, -1}}), 0)).old_style_offsets ==
          std::vector<int64_t>{1});
  REQUIRE(only_answer(f.ask<ListOffsetsResponse>(list("t", {{0, start + 1}}), 0)).old_style_offsets.empty());
}

TEST_CASE("the latest offset is the committed end, for consumers") {
  DataFixture f;
  const TopicId id = f.create_topic("t", 1);
  produce(f, "t", 0, start);
  f.move_leader(id, 0, 1);  // broker 2 is in the ISR now, and never fetches
  produce(f, "t", 0, start);
  REQUIRE(only_answer(f.ask<ListOffsetsResponse>(list("t", {{0, -1}}), 7)).offset == 1);
  ListOffsetsRequest debugging = list("t", {{0, -1}});
  debugging.replica_id = -2;
  REQUIRE(only_answer(f.ask<ListOffsetsResponse>(debugging, 7)).offset == 2);
}

TEST_CASE("a new leader does not know the committed end yet (KIP-207)") {
  DataFixture f;
  const TopicId id = f.create_topic("t", 1);
  f.move_leader(id, 0, 1);
  produce(f, "t", 0, start);
  f.move_leader(id, 0, 1);  // a new epoch that begins above the high watermark
  REQUIRE(only_answer(f.ask<ListOffsetsResponse>(list("t", {{0, -1}}), 5)).error_code ==
          ErrorCode::offset_not_available);
  REQUIRE(only_answer(f.ask<ListOffsetsResponse>(list("t", {{0, -1}}), 4)).error_code ==
          ErrorCode::leader_not_available);
}

TEST_CASE("ListOffsets refuses partition by partition") {
  DataFixture f;
  f.create_topic("t", 2);
  f.create_topic("elsewhere", 1, 2);
  const auto response = f.ask<ListOffsetsResponse>(list("t", {{0, -1}, {1, -1, 5}, {7, -1}}), 7);
  const auto& t = response.topics.at(0).partitions;
  REQUIRE(t.at(0).error_code == ErrorCode::none);
  REQUIRE(t.at(1).error_code == ErrorCode::unknown_leader_epoch);
  REQUIRE(t.at(2).error_code == ErrorCode::unknown_topic_or_partition);
  // A lookup by time may read from the disk: none for what is named again, also by another mention of its topic (R109).
  ListOffsetsRequest again = list("t", {{0, start}, {1, -1}, {1, -2}});
  again.topics.push_back(list("t", {{0, -1}}).topics.at(0));
  const auto answers = f.ask<ListOffsetsResponse>(again, 7);
  REQUIRE(answers.topics.at(0).partitions.size() == 3);
  REQUIRE(answers.topics.at(1).partitions.size() == 1);
  for (const auto& topic : answers.topics) {
    for (const auto& answer : topic.partitions) {
      REQUIRE(answer.error_code == ErrorCode::invalid_request);
      REQUIRE(answer.offset == -1);
    }
  }
  REQUIRE(only_answer(f.ask<ListOffsetsResponse>(list("t", {{1, -9}}), 7)).error_code ==
          ErrorCode::unsupported_version);
  REQUIRE(only_answer(f.ask<ListOffsetsResponse>(list("elsewhere", {{0, -1}}), 7)).error_code ==
          ErrorCode::not_leader_or_follower);
  REQUIRE(only_answer(f.ask<ListOffsetsResponse>(list("nobody", {{0, -1}}), 7)).error_code ==
          ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("where a leader epoch ends (R60)") {
  DataFixture f;
  const TopicId id = f.create_topic("t", 1);
  produce(f, "t", 0, start);
  produce(f, "t", 0, start);
  f.move_leader(id, 0, 1);  // epoch 1 begins at 2
  produce(f, "t", 0, start);
  const auto ask = [&](int32_t epoch, int32_t current = -1, int32_t partition = 0) {
    OffsetForLeaderEpochRequest request;
    request.topics.emplace_back();
    request.topics[0].topic = "t";
    OffsetForLeaderEpochRequest::OffsetForLeaderPartition one;
    one.partition = partition;
    one.leader_epoch = epoch;
    one.current_leader_epoch = current;
    request.topics[0].partitions.push_back(one);
    const int16_t version = GENERATE(int16_t{2}, int16_t{3}, int16_t{4});
    return f.ask<OffsetForLeaderEpochResponse>(request, version).topics.at(0).partitions.at(0);
  };
  REQUIRE(ask(-1).end_offset == -1);
  REQUIRE(ask(-1).leader_epoch == -1);
  REQUIRE(ask(0).end_offset == 2);
  REQUIRE(ask(0).leader_epoch == 0);
  REQUIRE(ask(1).end_offset == 3);
  REQUIRE(ask(0, 0).error_code == ErrorCode::fenced_leader_epoch);
  REQUIRE(ask(0, 1).error_code == ErrorCode::none);
  REQUIRE(ask(0, 2).error_code == ErrorCode::unknown_leader_epoch);
  REQUIRE(ask(0, -1, 3).error_code == ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("records are deleted up to an offset, or up to the high watermark") {
  DataFixture f;
  f.create_topic("t", 1);
  f.create_topic("compacted", 1);
  f.set_config("compacted", "cleanup.policy", "compact");
  f.create_topic("__consumer_offsets", 1);
  for (int i = 0; i < 5; ++i) produce(f, "t", 0, start);
  const auto ask = [&](const std::string& topic, int64_t before, const std::string& client = "test-client") {
    DeleteRecordsRequest request;
    request.timeout_ms = 1000;
    request.topics.emplace_back();
    request.topics[0].name = topic;
    DeleteRecordsRequest::DeleteRecordsPartition one;
    one.offset = before;
    request.topics[0].partitions.push_back(one);
    return f.ask<DeleteRecordsResponse>(request, 2, client).topics.at(0).partitions.at(0);
  };
  REQUIRE(ask("t", 2).low_watermark == 2);
  REQUIRE(only_answer(f.ask<ListOffsetsResponse>(list("t", {{0, -2}}), 7)).offset == 2);
  REQUIRE(ask("t", 6).error_code == ErrorCode::offset_out_of_range);
  REQUIRE(ask("t", -2).error_code == ErrorCode::offset_out_of_range);
  REQUIRE(ask("t", 6).low_watermark == -1);
  REQUIRE(ask("t", -1).low_watermark == 5);
  REQUIRE(ask("compacted", -1).error_code == ErrorCode::policy_violation);
  f.settings.settings.cleaning.emplace();  // by the broker's own log.cleanup.policy
  f.settings.settings.log.delete_old_segments = false;
  f.create_topic("compacted-by-default", 1);
  REQUIRE(ask("compacted-by-default", -1).error_code == ErrorCode::policy_violation);
  REQUIRE(ask("__consumer_offsets", -1).error_code == ErrorCode::invalid_topic_exception);
  // Kafka's own tools may write there, and not delete.
  REQUIRE(ask("__consumer_offsets", -1, "__admin_client").error_code == ErrorCode::invalid_topic_exception);
  REQUIRE(ask("nobody", -1).error_code == ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("a partition that a deletion of records names again counts once, as first named (R109)") {
  DataFixture f;
  f.create_topic("t", 1);
  for (int i = 0; i < 5; ++i) produce(f, "t", 0, start + i);
  DeleteRecordsRequest request;
  request.timeout_ms = 1000;
  for (const int64_t before : {2, 4, 99}) {
    DeleteRecordsRequest::DeleteRecordsTopic& topic = request.topics.emplace_back();
    topic.name = "t";
    topic.partitions.resize(before == 2 ? 2 : 1);
    for (auto& partition : topic.partitions) partition.offset = before;
  }
  const auto answer = f.ask<DeleteRecordsResponse>(request, 2);
  REQUIRE(answer.topics.size() == 3);
  REQUIRE(answer.topics[0].partitions.size() == 1);
  CHECK(answer.topics[0].partitions[0].low_watermark == 2);
  CHECK(answer.topics[1].partitions.empty());
  CHECK(answer.topics[2].partitions.empty());
  CHECK(only_answer(f.ask<ListOffsetsResponse>(list("t", {{0, -2}}), 7)).offset == 2);
}

TEST_CASE("log directories list the replicas of all shards") {
  DataFixture f;
  f.create_topic("t", 3);
  f.create_topic("elsewhere", 1, 2);
  produce(f, "t", 1, start);
  DescribeLogDirsRequest all;
  all.topics.reset();
  const auto response = f.ask<DescribeLogDirsResponse>(all, 4);
  REQUIRE(response.results.size() == 1);
  const auto& directory = response.results[0];
  REQUIRE(directory.log_dir == DataFixture::data_directory);
  REQUIRE(directory.error_code == ErrorCode::none);
  REQUIRE(directory.total_bytes > 0);
  REQUIRE(directory.topics.size() == 1);
  REQUIRE(directory.topics[0].partitions.size() == 3);
  REQUIRE(directory.topics[0].partitions[0].partition_size == 0);
  REQUIRE(directory.topics[0].partitions[1].partition_size > 60);
  REQUIRE(directory.topics[0].partitions[1].offset_lag == 0);

  DescribeLogDirsRequest named_twice;
  named_twice.topics.emplace();
  named_twice.topics->push_back({"t", {2, 0}});
  named_twice.topics->push_back({"t", {0, 7}});
  named_twice.topics->push_back({"u", {1}});
  const auto listed = f.ask<DescribeLogDirsResponse>(named_twice, 4);
  REQUIRE(listed.results.at(0).topics.size() == 1);
  REQUIRE(listed.results[0].topics[0].partitions.size() == 2);
  REQUIRE(listed.results[0].topics[0].partitions[1].partition_index == 2);

  REQUIRE(response.up_ms == -1);  // nobody asked
  REQUIRE(response.wall_time_ms == -1);

  DescribeLogDirsRequest with_traffic;
  with_traffic.topics.reset();
  with_traffic.traffic = true;
  const auto busy = f.ask<DescribeLogDirsResponse>(with_traffic, 4);
  REQUIRE(busy.up_ms >= 0);
  REQUIRE(busy.wall_time_ms >= 0);
  REQUIRE_FALSE(busy.results[0].low_on_space);
  REQUIRE_FALSE(busy.version.empty());
  REQUIRE(busy.bytes_in_per_second == -1);                               // not looked at often enough yet
  REQUIRE(busy.last_change_ms == -1);                                    // nothing has changed yet
  REQUIRE(f.ask<DescribeLogDirsResponse>(with_traffic, 1).up_ms == -1);  // no tags
  LastChange last_change;
  last_change.tell({"t-0: leader 2 -> 1", "broker 2 is fenced", f.context.shard->now()});
  f.context.last_change = &last_change;
  const auto changed = f.ask<DescribeLogDirsResponse>(with_traffic, 4);
  REQUIRE(changed.last_change == "t-0: leader 2 -> 1");
  REQUIRE(changed.last_change_reason == "broker 2 is fenced");
  REQUIRE(changed.last_change_ms >= 0);
  REQUIRE(f.ask<DescribeLogDirsResponse>(all, 4).last_change.empty());  // nobody asked
  f.context.last_change = nullptr;

  DescribeLogDirsRequest some;
  some.topics.emplace();
  some.topics->emplace_back();
  some.topics->at(0).topic = "t";
  some.topics->at(0).partitions = {2, 9};
  const auto filtered = f.ask<DescribeLogDirsResponse>(some, 1);
  REQUIRE(filtered.results[0].topics.at(0).partitions.size() == 1);
  REQUIRE(filtered.results[0].topics.at(0).partitions[0].partition_index == 2);

  // Deleted and kept: it takes its space still, which only Naru's own tools know how to free.
  f.set_config("t", std::string(meta::kept_key), "7000+60000");
  REQUIRE(f.ask<DescribeLogDirsResponse>(all, 4).results.at(0).topics.empty());
  REQUIRE(f.ask<DescribeLogDirsResponse>(some, 1).results.at(0).topics.empty());
  REQUIRE(f.ask<DescribeLogDirsResponse>(with_traffic, 4).results.at(0).topics.size() == 1);
}

TEST_CASE("a leader whose last records are on their way to the followers does not lag") {
  DataFixture f;
  const TopicId id = f.create_topic("t", 1);
  produce(f, "t", 0, start);
  f.move_leader(id, 0, 1);  // broker 2 is in the ISR now, and never fetches
  for (int i = 0; i < 3; ++i) produce(f, "t", 0, start);
  kafka::FetchRequest fetch;
  fetch.topics.emplace_back();
  fetch.topics[0].topic = "t";
  fetch.topics[0].partitions.emplace_back();
  REQUIRE(f.ask<kafka::FetchResponse>(fetch, 12).responses.at(0).partitions.at(0).high_watermark == 1);
  DescribeLogDirsRequest all;
  all.topics.reset();
  const auto response = f.ask<DescribeLogDirsResponse>(all, 4);
  const auto& replica = response.results.at(0).topics.at(0).partitions.at(0);
  REQUIRE(replica.partition_size > 4 * 60);
  REQUIRE(replica.offset_lag == 0);
}
