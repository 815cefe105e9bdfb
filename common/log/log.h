// One partition's log on disk (or the Raft log): segments of record batches, their indexes, leader epochs and producer
// state, in Kafka's directory layout to the byte. What the log promises:
//
// - append writes all of its bytes or none that anyone can see (R77). It never syncs; it survives the death of the
// process.
// - flush tells when everything before it survives the loss of power. One sync serves all who asked meanwhile.
// - after any crash, open() finds a prefix of what was appended, at least up to flushed_offset(), or says that the log
//   is corrupt; it never cuts what was committed or synced (R71, R72).
// - an I/O failure is final (R76): failure() is set, nothing is appended any more, reads go on. A full disk is not: the
//   next append may work (R81).
//
// Thread-compatible: lives on its partition's shard. Callbacks come on the disk's owner thread, which is the same; they
// do not come any more once the log is destroyed.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/disk/disk.h"
#include "common/log/compaction.h"
#include "common/log/epoch_cache.h"
#include "common/log/job_gate.h"
#include "common/log/log_config.h"
#include "common/log/tail_cache.h"
#include "common/logging.h"
#include "common/model/bytes.h"
#include "common/model/result.h"
#include "common/model/types.h"
#include "common/records/producer_state.h"
#include "common/records/validate.h"

namespace common::log {

using model::Buffer;
using model::BufferChain;
using model::Error;
using model::Result;
using model::TimestampMs;
using records::BatchFacts;

struct LogEnvironment {
  disk::Disk* disk = nullptr;
  TailCache* tail_cache = nullptr;  // null: every read goes to the file
  Logger logger;
  // Called once, when an I/O failure has ended this log: take its directory offline (R76).
  std::function<void(const Error&)> on_failure;
  // A read has found damage in what lies here (R72): once, until the log has been emptied. The log goes on as before.
  std::function<void(const Error&)> on_damage;
};

// Both clocks: files age by the first, records by the second.
struct Now {
  model::Instant monotonic;
  TimestampMs wall;
};

struct AppendInfo {
  Offset first_offset;
  Offset last_offset;
  std::optional<TimestampMs> log_append_time;  // set where the topic stamps records itself
  size_t size_bytes = 0;
};

enum class AtLeastOneBatch { no, yes };

struct ReadRequest {
  Offset from;
  Offset limit;  // exclusive: the log end, high watermark or last stable offset
  size_t max_bytes = 1u << 20;
  AtLeastOneBatch at_least_one = AtLeastOneBatch::yes;  // even if it is larger than max_bytes
};

struct ReadResult {
  BufferChain records;   // whole batches; the first may begin before `from`
  Offset next_offset;    // of the first batch not read; `from` if there is nothing
  bool is_cold = false;  // the bytes are not in memory: ask read_cold(). `records` is empty
};
using ReadDone = std::function<void(Result<ReadResult>)>;

struct FoundRecord {
  Offset offset;
  TimestampMs timestamp;
  std::optional<LeaderEpoch> leader_epoch;
};
using FindDone = std::function<void(Result<std::optional<FoundRecord>>)>;

using FlushDone = std::function<void(Result<Offset> flushed_offset)>;
using StepDone = std::function<void(Result<void>)>;

struct SegmentInfo {
  Offset base_offset;
  uint64_t size_bytes = 0;
  TimestampMs largest_timestamp;
};

// What open() had to do.
struct RecoveryReport {
  uint64_t scanned_bytes = 0;
  uint64_t cut_bytes = 0;  // of a torn tail
  size_t rebuilt_indexes = 0;
  bool rebuilt_epochs = false;
};

class Log {
 public:
  class Impl;  // log_impl.h

  // Opens the log in directory `path`, or begins one there (at log_start_offset of the hints, else 0). Waits for the
  // disk: start-up, and creation of partitions. CORRUPT_MESSAGE: damaged below what was synced or committed; nothing
  // was changed (R72). KAFKA_STORAGE_ERROR: the disk failed.
  [[nodiscard]] static Result<std::unique_ptr<Log>> open(LogEnvironment environment, std::string path,
                                                         const LogConfig& config, const OpenHints& hints,
                                                         TimestampMs now);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  [[nodiscard]] const std::string& path() const;
  [[nodiscard]] const LogConfig& config() const;
  void set_config(const LogConfig& config);
  [[nodiscard]] const RecoveryReport& recovery_report() const;

  // log_start_offset() <= log_end_offset(); flushed_offset() <= log_end_offset(), and below the log start only where
  // records were deleted before they had been synced.
  [[nodiscard]] Offset log_start_offset() const;
  [[nodiscard]] Offset log_end_offset() const;
  // Everything below survives the loss of power. Also what the recovery-point checkpoint stores.
  [[nodiscard]] Offset flushed_offset() const;
  [[nodiscard]] uint64_t size_bytes() const;
  // For whoever takes the directory away once the log is destroyed.
  [[nodiscard]] std::shared_ptr<JobGate> job_gate() const;
  [[nodiscard]] size_t segment_count() const;
  [[nodiscard]] std::vector<SegmentInfo> segments() const;
  [[nodiscard]] const std::optional<Error>& failure() const;
  // The last append found the disk full, or this process without a descriptor: the next one may work.
  [[nodiscard]] bool is_disk_full() const;

  [[nodiscard]] const EpochCache& epochs() const;
  // A leader begins `epoch` at the log end, before it appends (R55). In memory at once, on disk soon.
  void begin_epoch(LeaderEpoch epoch);
  // When the epoch file holds what the cache holds now.
  void when_epochs_persisted(StepDone done);

  // Somebody who knows more than the log does has found that what it says cannot be: as if a read had found it.
  void note_damage(const std::string& why);

  // For check() before append_as_leader, describe(), first_unstable_offset(), on_high_watermark(). The log itself feeds
  // it.
  [[nodiscard]] records::ProducerStateTable& producers();
  [[nodiscard]] const records::ProducerStateTable& producers() const;

  // `batches` are validated (their facts given), their memory writable and not shared yet: offsets, epoch and, if the
  // topic says so, time are stamped in place. `frame_bytes`: how much memory `batches` keeps alive, if more than its
  // own. RECORD_LIST_TOO_LARGE if they do not fit one segment; KAFKA_STORAGE_ERROR: nothing was appended.
  // `now`, here and below: what segments and producers age from (BelievedClock::to_record). `stamp`: what the topic
  // stamps, if not that.
  [[nodiscard]] Result<AppendInfo> append_as_leader(const Buffer& batches, std::span<const BatchFacts> facts,
                                                    LeaderEpoch epoch, TimestampMs now, size_t frame_bytes = 0,
                                                    std::optional<TimestampMs> stamp = std::nullopt);
  // The same for one's own batches (coordinators, Raft: one entry is one batch): takes the facts from the headers.
  [[nodiscard]] Result<AppendInfo> append_own(const Buffer& batches, LeaderEpoch epoch, TimestampMs now);
  // `batches` as the leader stores them: checked (R64; `request_epoch`: leader epoch of the fetch that brought them),
  // then written as they are. CORRUPT_MESSAGE: nothing was appended, fetch again.
  [[nodiscard]] Result<AppendInfo> append_as_follower(const BufferChain& batches, LeaderEpoch request_epoch,
                                                      TimestampMs now);

  // OFFSET_OUT_OF_RANGE outside [log start, log end]; nothing at or past `limit` is returned. CORRUPT_MESSAGE: the
  // bytes at rest are damaged: repair this replica from another.
  [[nodiscard]] Result<ReadResult> read(const ReadRequest& request);
  // Waits for the medium on the disk's pool.
  void read_cold(const ReadRequest& request, ReadDone done);
  // read(), then read_cold() if need be. `done` may be called before this returns.
  void read_any(const ReadRequest& request, ReadDone done);
  // Waits on this thread: start-up and tools, which draw their own conclusions from what cannot be read.
  [[nodiscard]] Result<ReadResult> read_blocking(const ReadRequest& request);

  // The first record from the log start on, before `limit`, whose timestamp is at least `at`. `done` may be called
  // before this returns.
  void find_timestamp(TimestampMs at, Offset limit, FindDone done);
  // The first of the records with the largest timestamp (KIP-734).
  void find_largest_timestamp(Offset limit, FindDone done);

  // See the class comment. The offset handed to `done` is flushed_offset(); it is below what was asked for only if the
  // log was truncated meanwhile.
  void flush(FlushDone done);

  // Cuts every batch that reaches past `offset`, cleans epochs and producer state, and returns the new log end (R66).
  // Visible at once; survives the death of the process at once and the loss of power after the next flush.
  // Below the log start is a bug.
  [[nodiscard]] Result<Offset> truncate_to(Offset offset);
  // Empties the log, which goes on at `offset`: one durable step, old log or new one after a crash (R67). Until `done`,
  // appends and truncations are refused and reads find nothing.
  void truncate_fully_and_start_at(Offset offset, StepDone done);
  // Nothing below `offset` can be read any more; whole segments below it go. At most the log end; the caller minds the
  // high watermark (R82). Going back is ignored.
  void advance_log_start(Offset offset);
  // Deletes segments by retention.ms and retention.bytes, never at or above the high watermark (R82). Returns how many.
  // `now.wall` is BelievedClock::to_compare.
  size_t apply_retention(const Now& now, Offset high_watermark);
  // Compaction, see compaction.h. The facts are those of all segments but the active one.
  [[nodiscard]] std::vector<SegmentFacts> segment_facts();
  // Everything below was compacted once: the newest record of each key there is known to be the only one.
  [[nodiscard]] Offset cleaned_offset() const;
  // One run at a time. OPERATION_NOT_ATTEMPTED: there is nothing to do, or the log is busy.
  [[nodiscard]] Result<std::unique_ptr<Compaction>> compact(CompactionRequest request);

  // Every second or so: removes files whose delay has passed, syncs by flush.ms.
  void tick(const Now& now);

  // Writes what the next start needs (indexes, producer snapshot) and flushes; afterwards only the destructor may be
  // called.
  void close(StepDone done);
  // The same without callbacks, for tools and tests.
  [[nodiscard]] Result<void> close_blocking();

 private:
  explicit Log(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace common::log
