// Requests that were damaged on purpose (faults 47, 51): whatever they say, the broker answers, closes or waits, and
// the next client is served as before. data_requests_fuzz does the same for as long as one likes.
#include "data_frames.h"

using namespace broker::api;
using namespace broker::api::test;
using common::model::SeededRandom;

namespace {

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
