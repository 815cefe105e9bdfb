// Requests that hold together well enough to reach their handlers (Produce, Fetch, ListOffsets, OffsetForLeaderEpoch,
// DeleteRecords, DescribeLogDirs), over real partitions on a simulated disk: whatever they say, they are answered,
// refused or wait (R109, R110; faults 47, 50, 51), what is in the log reads back whole, and the next client is served.
//
//   input = { frame:u8 count:u8 { position:u16 value:u8 }... }...     bit 7 of frame: cut where the last position was
//                                                                    bit 6: after it, all that waits runs out of time
#define CATCH_CONFIG_PREFIX_ALL  // the fixture is that of unit tests: what it requires is checked here
#include "common/model/check.h"
#define REQUIRE(...) NARU_CHECK((__VA_ARGS__))
#define FAIL(...) NARU_CHECK(false, "{}", __VA_ARGS__)
#include "fuzz/damaged_frame.h"
#include "unit/api/data_frames.h"

namespace {

using namespace broker::api::test;
using common::model::ErrorCode;

constexpr size_t requests_max = 6;

void serve_somebody_else(DataFixture& broker, const TopicId& topic) {
  kafka::ProduceRequest produce = produce_request("other", topic, records::Codec::none);
  produce.topic_data[0].partition_data.resize(1);
  const auto produced = broker.ask<kafka::ProduceResponse>(produce, 9);
  NARU_CHECK(produced.responses[0].partition_responses[0].error_code == ErrorCode::none);
  kafka::FetchRequest fetch = fetch_request("other", topic);
  fetch.session_epoch = -1;
  fetch.topics[0].partitions.resize(1);
  const auto fetched = broker.ask<kafka::FetchResponse>(fetch, 12);
  NARU_CHECK(values_in(*fetched.responses[0].partitions[0].records).size() == 3);
}

void read_back(DataFixture& broker) {
  kafka::FetchRequest all = fetch_request("t", {});
  all.session_epoch = -1;
  all.max_bytes = 1 << 20;
  for (auto& one : all.topics[0].partitions) one.partition_max_bytes = 1 << 20;
  all.forgotten_topics_data.clear();
  const auto rest = broker.ask<kafka::FetchResponse>(all, 11);
  for (const auto& partition : rest.responses[0].partitions) {
    // Its records may have been deleted.
    NARU_CHECK(partition.error_code == ErrorCode::none || partition.error_code == ErrorCode::offset_out_of_range);
    if (partition.error_code == ErrorCode::none) (void)values_in(*partition.records);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  DataFixture broker;
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  const TopicId id = broker.create_topic("t", 3);
  const TopicId other = broker.create_topic("other", 1);
  static const std::vector<Frame> good = good_frames(id);  // a topic's id is the same in every run
  fuzz::Input input(data, size);
  for (size_t i = 0; i < requests_max && !input.empty(); ++i) {
    constexpr unsigned cut = 0x80;
    constexpr unsigned late = 0x40;
    const unsigned which = input.u8();
    const auto is_cut = (which & cut) != 0 ? fuzz::Cut::where_the_last_position_was : fuzz::Cut::no;
    (void)broker.start_frame(fuzz::damaged_frame(good[which % late % good.size()], is_cut, input));
    broker.settle();
    if ((which & late) != 0) broker.skip(std::chrono::seconds(1));
  }
  serve_somebody_else(broker, other);
  read_back(broker);
  return 0;
}
