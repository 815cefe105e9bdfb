// Whatever lies in a data directory (segments, indexes, producer snapshots, epochs, checkpoints, markers), a start
// either refuses it with an error or gives a log that works: nothing at rest may end the process (R71 to R74), and a
// log that was opened, used and closed without finding damage opens again.
//
//   input = base:u8 hints:u8 damage...    (damaged_files.h)
#include <map>

#include "common/log/log.h"
#include "common/log/log_directory.h"
#include "common/records/batch_builder.h"
#include "fuzz/damaged_files.h"

namespace {

using namespace common::log;
using common::model::LeaderEpoch;
using common::model::PartitionIndex;
using common::model::Uuid;
using fuzz::SimulatedDisk;
namespace records = common::records;

constexpr TimestampMs now(1'000'000);
const TopicPartition partition{"orders", PartitionIndex(0)};

LogConfig config_of(unsigned base) {
  LogConfig config;
  config.segment_bytes = 600;
  config.index_interval_bytes = 100;
  config.segment_index_bytes = 240;
  config.file_delete_delay = std::chrono::milliseconds(0);
  config.retention_ms.reset();
  if (base == 2) {  // as Raft's log
    config.preallocate_bytes = 1024;
    config.keep_producer_state = false;
  }
  config.allow_offset_gaps = base == 1;
  return config;
}

common::model::Buffer batch_of(int number) {
  records::BatchOptions options;
  const auto sequence = static_cast<int32_t>(number / 2 * 2);
  options.producer =
      records::ProducerStamp{common::model::ProducerId(7 + number % 2), common::model::ProducerEpoch(1), sequence};
  records::BatchBuilder builder(options);
  const std::string key = "key" + std::to_string(number % 3);
  for (int i = 0; i < 2; ++i) {
    builder.add({.timestamp = TimestampMs(1000 + 10 * number + i),
                 .key = common::model::as_bytes(key),
                 .value = common::model::as_bytes("a value"),
                 .headers = {}});
  }
  return builder.build();
}

// A log under use. Everything may fail; nothing may end the process.
struct Opened {
  std::unique_ptr<LogDirectory> directory;
  std::unique_ptr<Log> log;
  std::shared_ptr<bool> is_damaged = std::make_shared<bool>(false);  // and has said so (R72)
};

Result<Opened> open(SimulatedDisk& disk, const LogConfig& config) {
  auto directory = LogDirectory::open(disk, "data");
  if (!directory) return tl::unexpected(directory.error());
  Opened opened;
  LogEnvironment environment;
  environment.disk = &disk;
  environment.on_damage = [damaged = opened.is_damaged](const auto&) { *damaged = true; };
  auto log =
      Log::open(environment, (*directory)->partition_path(partition), config, (*directory)->hints_for(partition), now);
  if (!log) return tl::unexpected(log.error());
  if (auto begun = (*directory)->begin_run(); !begun) return tl::unexpected(begun.error());
  opened.directory = std::move(*directory);
  opened.log = std::move(*log);
  return opened;
}

Result<void> close(SimulatedDisk& disk, Opened opened) {
  const std::map<CheckpointKind, Offset> offsets = {{CheckpointKind::recovery_point, opened.log->log_end_offset()},
                                                    {CheckpointKind::high_watermark, opened.log->log_end_offset()},
                                                    {CheckpointKind::log_start, opened.log->log_start_offset()},
                                                    {CheckpointKind::cleaner, opened.log->cleaned_offset()}};
  std::optional<Result<void>> done;
  opened.log->close([&](Result<void> result) { done = std::move(result); });
  disk.run_until_idle();
  NARU_CHECK(done.has_value(), "closing never ends");
  if (!*done) return *done;
  for (const auto& [kind, offset] : offsets) {
    if (auto stored = opened.directory->store_checkpoint_blocking(kind, {{partition, offset}}); !stored) return stored;
  }
  return opened.directory->end_run();
}

void compact(SimulatedDisk& disk, Log& log) {
  CompactionRequest request;
  request.first_dirty = log.cleaned_offset();
  request.end = log.log_end_offset();
  request.now = now;
  auto run = log.compact(std::move(request));
  bool is_over = !run;
  while (!is_over) {
    bool stepped = false;
    (*run)->step([&](const Result<CompactionStep>& step) {
      stepped = true;
      is_over = !step || step->report;
    });
    disk.run_until_idle();
    NARU_CHECK(stepped, "a step of a compaction never ends");
  }
}

void read_all(Log& log) {
  for (Offset next = log.log_start_offset(); next < log.log_end_offset();) {
    const auto read = log.read_blocking({next, log.log_end_offset(), 200});
    if (!read || read->records.empty()) break;
    NARU_CHECK(read->next_offset > next, "a read at {} leads to {}", next, read->next_offset);
    next = read->next_offset;
  }
  for (const int64_t at : {int64_t{0}, int64_t{1045}, INT64_MAX})
    log.find_timestamp(TimestampMs(at), log.log_end_offset(), [](const auto&) {});
  log.find_largest_timestamp(log.log_end_offset(), [](const auto&) {});
}

void use(SimulatedDisk& disk, Log& log) {
  read_all(log);
  disk.run_until_idle();
  const LeaderEpoch epoch = log.epochs().latest().value_or(LeaderEpoch(0));
  for (int i = 0; i < 8; ++i) (void)log.append_own(batch_of(i), epoch, now);
  log.flush([](const auto&) {});
  disk.run_until_idle();
  (void)log.apply_retention({common::model::Instant(std::chrono::hours(1)), now}, log.log_end_offset());
  compact(disk, log);
  const Offset middle(log.log_start_offset().value + (log.log_end_offset().value - log.log_start_offset().value) / 2);
  (void)log.truncate_to(middle);
  log.advance_log_start(std::min(middle, log.log_end_offset()));
  log.tick({common::model::Instant(std::chrono::hours(2)), now});
  disk.run_until_idle();
  (void)log.append_own(batch_of(9), epoch, now);
  read_all(log);
  disk.run_until_idle();
}

// Closed cleanly, killed, or without power; compacted or not; with files that were reserved ahead.
std::unique_ptr<SimulatedDisk> make_base(unsigned base) {
  auto disk = std::make_unique<SimulatedDisk>();
  auto directory = LogDirectory::open(*disk, "data");
  NARU_CHECK(directory && (*directory)->give_identity({"cluster", BrokerId(1), Uuid::from_halves(5, 5)}));
  NARU_CHECK((*directory)->create_partition(partition, Uuid::from_halves(9, 9)));
  directory->reset();
  auto opened = open(*disk, config_of(base));
  NARU_CHECK(opened.has_value());
  for (int i = 0; i < 14; ++i) NARU_CHECK(opened->log->append_own(batch_of(i), LeaderEpoch(i / 5), now));
  opened->log->flush([](const auto&) {});
  disk->run_until_idle();
  if (base == 1) compact(*disk, *opened->log);
  if (base == 3) {
    NARU_CHECK(opened->log->append_own(batch_of(14), LeaderEpoch(2), now));
    disk->kill();
    return disk;
  }
  NARU_CHECK(close(*disk, std::move(*opened)));
  return disk;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool quiet = (common::configure_logging(common::LogLevel::off, common::LogFormat::text), true);
  static const std::array<std::unique_ptr<SimulatedDisk>, 4> bases = {make_base(0), make_base(1), make_base(2),
                                                                      make_base(3)};
  (void)quiet;
  fuzz::Input input(data, size);
  const unsigned base = input.u8() % bases.size();
  const auto disk = bases[base]->clone();
  const LogConfig config = config_of(base);
  if (input.u8() % 2 == 1) disk->crash(SimulatedDisk::Unsynced::torn);
  fuzz::damage(*disk, input);
  auto opened = open(*disk, config);
  if (!opened) return 0;
  use(*disk, *opened->log);
  const std::shared_ptr<bool> is_damaged = opened->is_damaged;
  if (!close(*disk, std::move(*opened)) || *is_damaged) return 0;
  const auto again = open(*disk, config);
  NARU_CHECK(again.has_value(), "a log that was closed does not open: {}", again.error().message);
  return 0;
}
