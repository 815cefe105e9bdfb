// A log on a simulated disk, and batches to put into it.
#pragma once
#include <catch2/catch.hpp>

#include "common/disk/simulated_disk.h"
#include "common/log/log.h"
#include "common/records/batch_builder.h"

namespace log_test {

using namespace common::log;
using common::disk::IoFault;
using common::disk::SimulatedDisk;
using common::model::as_bytes;
using common::model::Buffer;
using common::model::BufferChain;
using common::model::BytesView;
using common::model::ErrorCode;
using common::model::TimestampMs;
using common::records::BatchBuilder;
using common::records::BatchCursor;
using common::records::BatchOptions;
using common::records::BatchView;

inline const std::string directory = "data/orders-0";

struct BatchShape {
  int records = 1;
  size_t value_bytes = 20;
  int64_t timestamp = 1000;
  std::optional<common::records::ProducerStamp> producer;
  char fill = 'x';
};

inline Buffer make_batch(const BatchShape& shape = {}) {
  BatchOptions options;
  options.producer = shape.producer;
  BatchBuilder builder(options);
  const std::string value(shape.value_bytes, shape.fill);
  for (int i = 0; i < shape.records; ++i) {
    builder.add({.timestamp = TimestampMs(shape.timestamp + i), .key = {}, .value = as_bytes(value), .headers = {}});
  }
  return builder.build();
}

// Calls visit(batch) for each batch of a log from the one that holds `from` on, while they lie below `limit`, reading
// so many bytes at a time. Each is whole, and every read comes further.
template <class Visit>
void for_each_batch(Log& log, Offset from, Offset limit, size_t max_bytes, Visit visit) {
  for (Offset next = from; next < limit;) {
    const auto read = log.read_blocking({next, limit, max_bytes});
    INFO((read ? std::string() : read.error().message));
    REQUIRE(read);
    if (read->records.empty()) return;
    const Buffer all = read->records.flatten();
    BatchCursor cursor(all.view());
    while (!cursor.at_end()) {
      const auto batch = cursor.next();
      REQUIRE(batch);
      REQUIRE(batch->crc_ok());
      visit(*batch);
    }
    REQUIRE(read->next_offset > next);
    next = read->next_offset;
  }
}

struct Fixture {
  explicit Fixture(LogConfig c = {}) : config(c) {}

  common::log::Result<void> try_open(OpenHints hints = {}) {
    log.reset();
    LogEnvironment environment;
    environment.disk = disk.get();
    environment.tail_cache = cache.get();
    environment.on_failure = [this](const common::model::Error& error) { failures.push_back(error.message); };
    auto opened = Log::open(environment, directory, config, hints, TimestampMs(now));
    if (!opened) return tl::unexpected(opened.error());
    log = std::move(*opened);
    return {};
  }
  Log& open(OpenHints hints = {}) {
    const auto opened = try_open(hints);
    INFO((opened ? std::string() : opened.error().message));
    REQUIRE(opened);
    return *log;
  }
  // Returns the first offset.
  int64_t append(const BatchShape& shape = {}, int32_t epoch = 0) {
    auto info = log->append_own(make_batch(shape), LeaderEpoch(epoch), TimestampMs(now));
    INFO((info ? std::string() : info.error().message));
    REQUIRE(info);
    return info->first_offset.value;
  }
  void flush() {
    bool done = false;
    log->flush([&](const common::log::Result<Offset>& flushed) { done = flushed.has_value(); });
    disk->run_until_idle();
    REQUIRE(done);
  }
  void close() {
    bool done = false;
    log->close([&](const common::log::Result<void>& result) { done = result.has_value(); });
    disk->run_until_idle();
    REQUIRE(done);
    log.reset();
  }
  OpenHints clean_hints() const { return {PreviousEnd::clean, log->log_end_offset(), {}, log->log_start_offset()}; }

  // All offsets of the batches from `from` on, as "base-last".
  std::string dump(int64_t from, int64_t limit = INT64_MAX) {
    std::string text;
    const Offset upto = std::min(Offset(limit), log->log_end_offset());
    for_each_batch(*log, Offset(from), upto, 1 << 20, [&](const BatchView& batch) {
      text += fmt::format("{}{}-{}", text.empty() ? "" : " ", batch.base_offset(), batch.last_offset());
    });
    return text;
  }
  std::string path(std::string_view name) const { return directory + "/" + std::string(name); }

  LogConfig config;
  std::unique_ptr<SimulatedDisk> disk = std::make_unique<SimulatedDisk>();
  std::unique_ptr<TailCache> cache;
  std::unique_ptr<Log> log;
  std::vector<std::string> failures;
  int64_t now = 5000;
};

}  // namespace log_test
