// Batches: what a leader checks before it appends, and what a follower does.
#include "common/records/validate.h"

#include "common/model/random.h"
#include "micro.h"

namespace micro {

using common::model::Buffer;
using common::model::LeaderEpoch;
using common::model::Offset;
using common::model::TimestampMs;
using namespace common::records;  // NOLINT: what is measured

Buffer batch_of(int records, Codec codec) {
  BatchOptions options;
  options.codec = codec;
  BatchBuilder builder(options);
  common::model::SeededRandom random(7);
  for (int i = 0; i < records; ++i) {
    std::string value(1000, 'v');
    for (size_t at = 0; at < value.size(); at += 2) value[at] = static_cast<char>(random.below(256));
    builder.add(
        {.timestamp = TimestampMs(1000 + i), .key = {}, .value = common::model::as_bytes(value), .headers = {}});
  }
  return builder.build();
}

namespace {

Step validation_of(Buffer batch) {
  return [batch = std::move(batch)] {
    const auto facts = validate_produced(batch.view(), {}, TimestampMs(2000));
    NARU_CHECK(facts.has_value() && facts->size() == 1);
    keep(facts);
  };
}

}  // namespace

void add_records(Cases& all) {
  all.push_back({"validate a produced batch of 16 KiB", 50, [] { return validation_of(batch_of(16)); }});
  all.push_back({"validate 16 KiB, lz4", 20, [] { return validation_of(batch_of(16, Codec::lz4)); }});
  all.push_back({"validate 16 KiB, zstd", 20, [] { return validation_of(batch_of(16, Codec::zstd)); }});
  all.push_back({"validate 128 KiB", 10, [] { return validation_of(batch_of(128)); }});
  all.push_back({"validate a replicated batch of 16 KiB", 50, []() -> Step {
                   Buffer batch = batch_of(16);
                   assign_offsets(batch, {.first_offset = Offset(0), .leader_epoch = LeaderEpoch(0), .log_append_time = {}});
                   return [batch = std::move(batch)] {
                     const ReplicatedLimits limits{
                         .log_end_offset = Offset(0), .request_epoch = LeaderEpoch(0), .last_epoch = {}};
                     const auto facts = validate_replicated(batch.view(), limits);
                     NARU_CHECK(facts.has_value() && facts->size() == 1);
                     keep(facts);
                   };
                 }});
}

}  // namespace micro
