// Well-formed requests of the data APIs, for those who damage them (faults 47, 51).
#pragma once
#include <string>
#include <vector>

#include "data_fixture.h"
#include "kafka/delete_records.h"
#include "kafka/describe_log_dirs.h"
#include "kafka/fetch.h"
#include "kafka/list_offsets.h"
#include "kafka/offset_for_leader_epoch.h"
#include "kafka/produce.h"

namespace broker::api::test {

using Frame = std::vector<std::byte>;

template <class Request>
void add_versions(std::vector<Frame>& frames, const Request& request, std::vector<int16_t> versions) {
  for (const int16_t version : versions) frames.push_back(DataFixture::frame_of(request, version, "c"));
}

inline kafka::ProduceRequest produce_request(const std::string& topic, const TopicId& id, records::Codec codec) {
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

inline kafka::FetchRequest fetch_request(const std::string& topic, const TopicId& id) {
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
inline std::vector<Frame> good_frames(const TopicId& id) {
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

}  // namespace broker::api::test
