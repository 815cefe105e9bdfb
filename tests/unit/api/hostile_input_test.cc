// Requests that were damaged on purpose (faults 47, 51): whatever they say, the broker answers, closes or waits, and
// the next client is served as before. The decoders alone have their own fuzz target.
#include "data_fixture.h"
#include "kafka/delete_records.h"
#include "kafka/describe_log_dirs.h"
#include "kafka/fetch.h"
#include "kafka/list_offsets.h"
#include "kafka/offset_for_leader_epoch.h"
#include "kafka/produce.h"

using namespace broker::api;
using namespace broker::api::test;
using common::model::SeededRandom;

namespace {

using Frame = std::vector<std::byte>;

template <class Request>
void add_versions(std::vector<Frame>& frames, const Request& request, std::vector<int16_t> versions) {
  for (const int16_t version : versions) frames.push_back(DataFixture::frame_of(request, version, "c"));
}

kafka::ProduceRequest produce_request(const std::string& topic, const TopicId& id, records::Codec codec) {
  records::BatchOptions options;
  options.codec = codec;
  options.producer = records::ProducerStamp{records::ProducerId(1), records::ProducerEpoch(0), 0};
  kafka::ProduceRequest request;
  request.acks = 1;
  request.timeout_ms = 10;
  request.topic_data.emplace_back();
  request.topic_data[0].name = topic;
  request.topic_data[0].topic_id = id;
  for (int32_t p = 0; p < 3; ++p) {
    kafka::ProduceRequest::PartitionProduceData data;
    data.index = p;
    data.records = common::model::BufferChain(batch_of({"one", "two", "three"}, options));
    request.topic_data[0].partition_data.push_back(std::move(data));
  }
  return request;
}

kafka::FetchRequest fetch_request(const std::string& topic, const TopicId& id) {
  kafka::FetchRequest request;
  request.max_bytes = 10'000;
  request.session_epoch = 0;
  request.topics.emplace_back();
  request.topics[0].topic = topic;
  request.topics[0].topic_id = id;
  for (int32_t p = 0; p < 3; ++p) {
    kafka::FetchRequest::FetchPartition one;
    one.partition = p;
    one.partition_max_bytes = 1000;
    request.topics[0].partitions.push_back(one);
  }
  request.forgotten_topics_data.emplace_back();
  request.forgotten_topics_data[0].topic = topic;
  request.forgotten_topics_data[0].topic_id = id;
  request.forgotten_topics_data[0].partitions = {2};
  return request;
}

// Well-formed requests of every data API.
std::vector<Frame> good_frames(const TopicId& id) {
  std::vector<Frame> frames;
  for (const records::Codec codec : {records::Codec::none, records::Codec::gzip, records::Codec::snappy,
                                     records::Codec::lz4, records::Codec::zstd}) {
    kafka::ProduceRequest request = produce_request("t", id, codec);
    add_versions(frames, request, {7, 9});
    request.topic_data[0].name.clear();
    add_versions(frames, request, {13});
  }
  kafka::FetchRequest fetch = fetch_request("t", id);
  add_versions(frames, fetch, {7, 11, 12});
  fetch.topics[0].topic.clear();
  add_versions(frames, fetch, {13, 18});

  kafka::ListOffsetsRequest list;
  list.replica_id = -1;
  list.topics.emplace_back();
  list.topics[0].name = "t";
  list.topics[0].partitions.resize(3);
  add_versions(frames, list, {1, 7, 11});

  kafka::OffsetForLeaderEpochRequest epochs;
  epochs.topics.emplace_back();
  epochs.topics[0].topic = "t";
  epochs.topics[0].partitions.resize(3);
  add_versions(frames, epochs, {3, 4});

  kafka::DeleteRecordsRequest deletion;
  deletion.timeout_ms = 10;
  deletion.topics.emplace_back();
  deletion.topics[0].name = "t";
  deletion.topics[0].partitions.resize(3);
  add_versions(frames, deletion, {1, 2});

  kafka::DescribeLogDirsRequest directories;
  directories.topics->emplace_back();
  directories.topics->at(0).topic = "t";
  directories.topics->at(0).partitions = {0, 1};
  add_versions(frames, directories, {1, 4});
  return frames;
}

// The API key and version stay; anything behind may be changed, cut or repeated.
Frame damaged(const Frame& good, SeededRandom& random) {
  constexpr size_t kept = 8;
  Frame bad = good;
  const auto changes = 1 + random.below(4);
  for (uint64_t i = 0; i < changes; ++i) {
    const size_t at = kept + random.below(bad.size() - kept);
    switch (random.below(4)) {
      case 0:
        bad[at] = static_cast<std::byte>(random.next());
        break;
      case 1:
        bad[at] = std::byte{0xff};
        break;
      case 2:
        bad[at] ^= static_cast<std::byte>(1u << random.below(8));
        break;
      default:
        bad[at] = std::byte{0};
    }
  }
  if (random.below(8) == 0) bad.resize(kept + random.below(bad.size() - kept) + 1);
  return bad;
}

}  // namespace

TEST_CASE("damaged requests harm nobody else") {
  const uint64_t seed = GENERATE(1, 2, 3);
  DataFixture f;
  const TopicId id = f.create_topic("t", 3);
  const TopicId other = f.create_topic("other", 1);
  const std::vector<Frame> good = good_frames(id);
  SeededRandom random(seed);
  CAPTURE(seed);
  for (int round = 0; round < 60; ++round) {
    for (const Frame& frame : good) {
      (void)f.start_frame(damaged(frame, random));
      f.settle();
    }
  }
  // A sound client of another topic, before and behind all that.
  kafka::ProduceRequest produce = produce_request("other", other, records::Codec::none);
  produce.topic_data[0].partition_data.resize(1);
  const auto produced = f.ask<kafka::ProduceResponse>(produce, 9);
  REQUIRE(produced.responses[0].partition_responses[0].error_code == ErrorCode::none);
  kafka::FetchRequest fetch = fetch_request("other", other);
  fetch.session_epoch = -1;
  fetch.topics[0].partitions.resize(1);
  const auto fetched = f.ask<kafka::FetchResponse>(fetch, 12);
  REQUIRE(values_in(*fetched.responses[0].partitions[0].records).size() == 3);
  // And what the damaged requests left in the log reads back whole.
  const auto rest = f.ask<kafka::FetchResponse>(
      [] {
        kafka::FetchRequest all = fetch_request("t", {});
        all.session_epoch = -1;
        all.max_bytes = 1 << 20;
        for (auto& one : all.topics[0].partitions) one.partition_max_bytes = 1 << 20;
        all.forgotten_topics_data.clear();
        return all;
      }(),
      11);
  for (const auto& partition : rest.responses[0].partitions) {
    if (partition.error_code != ErrorCode::none) {
      REQUIRE(partition.error_code == ErrorCode::offset_out_of_range);  // its records were deleted
      continue;
    }
    (void)values_in(*partition.records);
  }
}
