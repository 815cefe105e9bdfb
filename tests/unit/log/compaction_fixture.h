// Keyed batches for a log on a simulated disk, and compaction runs over it.
#pragma once
#include "log/log_fixture.h"

namespace log_test {

using common::records::BatchKind;
using common::records::Codec;
using common::records::ProducerStamp;
using common::records::Record;

struct Keyed {
  std::optional<std::string> key;
  std::optional<std::string> value;
};

inline Buffer keyed_batch(const std::vector<Keyed>& records, int64_t timestamp, BatchOptions options = {}) {
  BatchBuilder builder(options);
  for (const Keyed& r : records) {
    common::records::NewRecord record;
    record.timestamp = TimestampMs(timestamp);
    if (r.key) record.key = as_bytes(*r.key);
    if (r.value) record.value = as_bytes(*r.value);
    builder.add(record);
  }
  return builder.build();
}

struct CompactionFixture : Fixture {
  explicit CompactionFixture(LogConfig c = small_segments()) : Fixture(c) {}

  static LogConfig small_segments() {
    LogConfig c;
    c.segment_bytes = 400;
    c.index_interval_bytes = 100;
    c.retention_ms.reset();
    c.file_delete_delay = std::chrono::milliseconds(0);
    return c;
  }

  int64_t put(const std::vector<Keyed>& records, int32_t epoch = 0, BatchOptions options = {}) {
    const auto info = log->append_own(keyed_batch(records, now, options), LeaderEpoch(epoch), TimestampMs(now));
    REQUIRE(info);
    return info->first_offset.value;
  }
  // Ends the active segment, so that what is in it can be compacted.
  void roll() {
    const auto before = log->segment_count();
    while (log->segment_count() == before) put({{"filler", std::string(150, 'f')}}, epoch_now());
    flush();
  }
  int32_t epoch_now() const { return log->epochs().latest().value_or(LeaderEpoch(0)).value; }

  CompactionRequest request(int64_t end = INT64_MAX) const {
    CompactionRequest r;
    r.first_dirty = log->cleaned_offset();
    r.end = Offset(end);
    r.now = TimestampMs(now);
    r.delete_retention = std::chrono::milliseconds(1000);
    r.step_bytes = 300;
    return r;
  }
  common::log::Result<CompactionReport> compact(CompactionRequest r) {
    auto run = log->compact(std::move(r));
    if (!run) return tl::unexpected(run.error());
    for (;;) {
      std::optional<common::log::Result<CompactionStep>> step;
      (*run)->step([&](common::log::Result<CompactionStep> done) { step = std::move(done); });
      disk->run_until_idle();
      REQUIRE(step);
      if (!*step) return tl::unexpected(step->error());
      if ((*step)->report) return *(*step)->report;
    }
  }
  CompactionReport compact() {
    const auto report = compact(request());
    INFO((report ? std::string() : report.error().message));
    REQUIRE(report);
    return *report;
  }

  // "offset:key=value", batches without records as "[base-last]".
  std::string records_text() const {
    std::string text;
    for_each_batch(*log, log->log_start_offset(), log->log_end_offset(), 1 << 20, [&](const BatchView& batch) {
      if (batch.record_count() == 0) text += fmt::format(" [{}-{}]", batch.base_offset(), batch.last_offset());
      if (batch.is_control()) {
        text += fmt::format(" {}:marker", batch.base_offset());
        return;
      }
      REQUIRE(common::records::for_each_record(batch, {}, [&](const Record& r) {
        if (r.key && common::model::as_text(*r.key) == "filler") return;
        text += fmt::format(" {}:{}={}", r.offset, r.key ? common::model::as_text(*r.key) : "null",
                            r.value ? common::model::as_text(*r.value) : "null");
      }));
    });
    return text.empty() ? text : text.substr(1);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const std::string& p : disk->paths()) all.push_back(p.substr(directory.size() + 1));
    return all;
  }
};

}  // namespace log_test
