#include "sim/records.h"

#include <algorithm>
#include <charconv>

namespace sim {

namespace records = common::records;

namespace {

int64_t value_of(const records::Record& record) {
  if (!record.value) return -1;
  const std::string_view text = common::model::as_text(*record.value);
  int64_t value = -1;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  return end.ec == std::errc() ? value : -1;
}

}  // namespace

std::vector<SeenRecord> records_in(common::model::BytesView batches, int64_t from, std::optional<std::string>& damage) {
  std::vector<SeenRecord> seen;
  records::BatchCursor cursor(batches);
  while (!cursor.at_end()) {
    const auto batch = cursor.next();
    if (!batch) {
      damage = batch.error().message;
      break;
    }
    if (!batch->crc_ok()) {
      damage = "a batch with a bad checksum";
      break;
    }
    if (batch->is_control() || batch->last_offset().value < from) continue;
    const int32_t epoch = batch->leader_epoch().value;
    const auto done = records::for_each_record(*batch, {}, [&](const records::Record& record) {
      if (record.offset.value >= from) seen.push_back({record.offset.value, value_of(record), epoch, record.timestamp.value});
    });
    if (!done) damage = done.error().message;
  }
  return seen;
}

int64_t end_of_batches(common::model::BytesView batches, int64_t from) {
  int64_t end = from;
  records::BatchCursor cursor(batches);
  while (!cursor.at_end()) {
    const auto batch = cursor.next();
    if (!batch || !batch->crc_ok()) break;
    end = std::max(end, batch->next_offset().value);
  }
  return end;
}

}  // namespace sim
