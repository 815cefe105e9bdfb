// The inside of Log, shared by the files log*.cc of this folder and by nobody else.
//
// Two kinds of work on disk. *On the shard*: write, truncate and open of the active segment; reads that hit the page
// cache; and one exception to R78: a truncation that drops whole segments renames them at once, because a later append
// must never meet them again after a crash. *Jobs*: everything else that touches names, one after the other in the
// order asked for.
#pragma once
#include <array>
#include <deque>
#include <functional>
#include <utility>

#include "common/log/batch_scan.h"
#include "common/log/compaction.h"
#include "common/log/log.h"
#include "common/log/segment.h"

namespace common::log {

using disk::IoError;
using disk::IoFault;
using disk::IoResult;

// One read of one segment: may be carried out on another thread.
struct ReadPlan {
  ReadRequest request;
  std::shared_ptr<disk::File> file;
  Offset base;
  Offset end;  // of the segment; the next one begins there
  uint64_t size_bytes = 0;
  bool may_have_gaps = false;
  EpochCache epochs;                       // of what lies between request.from and end
  std::optional<uint64_t> exact_position;  // where the batch with request.from begins
  std::optional<OffsetEntry> hint;         // an index entry at or before it
  IndexReader<OffsetEntry> index;          // to be asked if there is no hint; file null: begin at the start
  bool goes_on_from_medium = false;        // what came before it was read on the pool
};
struct ReadOutcome {
  ReadResult result;
  std::optional<uint64_t> end_position;  // of what was read
};
// None: would wait.
[[nodiscard]] Result<std::optional<ReadOutcome>> carry_out(const ReadPlan& plan, Waiting waiting);

class Log::Impl {
 public:
  Impl(LogEnvironment e, std::string d, const LogConfig& c)
      : environment(std::move(e)),
        disk(*environment.disk),
        directory(std::move(d)),
        config(c),
        tail(environment.tail_cache) {}
  ~Impl() {
    alive.reset();  // from here on nothing of what was asked for comes back
    if (compacting && compacting->on_log_gone) std::exchange(compacting->on_log_gone, nullptr)();
  }

  // -- log_recovery.cc --
  Result<void> recover(const OpenHints& hints, TimestampMs now);

  // -- log_append.cc --
  struct Append {
    std::span<const model::BytesView> parts;
    std::span<const BatchFacts> facts;  // final offsets; positions within `parts` as one
    TimestampMs now;
  };
  Result<void> append_run(const Append& append);
  Result<void> refuse_change() const;
  Result<void> refuse_append();
  [[nodiscard]] bool must_roll(const Append& append) const;
  [[nodiscard]] milliseconds roll_age(const Segment& segment) const;
  IoResult<void> roll(Offset base, TimestampMs now);
  IoResult<void> replace_empty_file();
  IoResult<void> write_out(Segment& segment, std::span<const model::BytesView> parts, size_t bytes);
  IoResult<void> undo_write();
  void reserve_space(Segment& segment, size_t bytes);
  void seal(Segment& segment);
  IoResult<void> cut_reserve(Segment& segment);
  void write_indexes(Segment& segment, bool all);
  IoResult<void> note_gaps();
  IoResult<std::unique_ptr<Segment>> make_segment(Offset base, TimestampMs now,
                                                  disk::OpenMode mode = disk::OpenMode::create_if_missing);
  void save_snapshot(disk::Durability durability);
  void save_snapshot_if_due();
  [[nodiscard]] std::vector<std::string> drop_spare_snapshots();
  void on_snapshots_stay(const std::vector<std::string>& names, const IoError& error, const char* what);
  void sync_indexes(Offset base);

  // -- log_read.cc --
  Result<ReadResult> read(const ReadRequest& request, Waiting waiting);
  Result<ReadResult> look(const ReadRequest& request, Waiting waiting);  // failures have no consequences
  void read_cold(const ReadRequest& request, ReadDone done);
  model::Unexpected unread(const Error& error);
  void read_any(const ReadRequest& request, ReadDone done);
  [[nodiscard]] Result<bool> check_readable(const ReadRequest& request) const;  // false: nothing there yet
  [[nodiscard]] Segment* segment_for(Offset offset);
  [[nodiscard]] Result<ReadPlan> plan(const ReadRequest& request, Segment& segment, Waiting waiting);
  void remember_position(Offset next_offset, const Segment& segment, uint64_t position, bool is_from_medium);

  // -- log_find.cc --
  void find_timestamp(TimestampMs at, Offset limit, FindDone done);
  void find_largest_timestamp(Offset limit, FindDone done);
  void find_from(Offset start, TimestampMs at, Offset limit, FindDone done);
  void start_for_timestamp(Segment& segment, TimestampMs at, std::function<void(Result<Offset>)> done);
  struct Largest {
    Offset segment;
    TimestampMs timestamp;       // negative: none
    std::optional<Offset> from;  // where a search for it may begin; none: ask the time index
  };
  void find_largest_of(const std::vector<Largest>& all, Offset end, FindDone done);

  // -- log_flush.cc --
  void flush(FlushDone done);
  [[nodiscard]] bool must_sync_epochs() const;
  void start_flush();
  void on_flush_step(const IoResult<void>& result);
  void change_epochs(Changed changed);
  void persist_epochs(disk::Durability durability);
  void set_failed(const IoError& error);
  void set_damaged(const Error& error);
  void note(const IoError& error, const char* what);  // fails the log unless it may pass (disk full, no descriptors)
  void run_job(std::function<IoResult<void>()> job, disk::Done<void> done);
  void start_job();
  void close(StepDone done);
  Result<void> close_blocking();
  IoResult<void> prepare_close();

  // -- log_truncate.cc --
  Result<Offset> truncate_to(Offset offset);
  Result<void> cut_batches(Offset offset);
  void cut_epochs(Changed changed);
  IoResult<void> begin_at_log_start();
  IoResult<void> rename_to_deleted(Offset base);
  enum class Cut { done, impossible };
  IoResult<Cut> cut_last_segment(Offset offset);
  IoResult<uint64_t> cut_indexes(Segment& segment, Offset offset);
  IoResult<std::optional<Offset>> cut_segment(Segment& segment, Offset offset);
  void truncate_fully_and_start_at(Offset offset, StepDone done);
  void end_without_restart(const IoError& error, const StepDone& done);
  void begin_anew(Offset offset, std::unique_ptr<Segment> first);
  void advance_log_start(Offset offset);
  size_t apply_retention(const Now& now, Offset high_watermark);
  void remove_oldest(size_t count);
  void remove_below_start();
  void remove_files(std::vector<std::unique_ptr<Segment>> segments);
  void remove_names(std::vector<std::string> names);
  void remove_for_good(std::vector<std::string> names);
  void tick(const Now& now);
  void reload_producers(Offset end);
  [[nodiscard]] Result<records::ProducerStateTable> read_producers();

  // -- log_age.cc --
  [[nodiscard]] bool is_age_known(size_t segment);
  void find_ages(size_t first);

  // -- log_compact.cc --
  [[nodiscard]] std::vector<SegmentFacts> segment_facts();
  Result<std::unique_ptr<Compaction>> compact(CompactionRequest request);
  void replace_segments(size_t first, size_t count, std::unique_ptr<Segment> with, disk::Done<void> done);
  void on_replaced(Offset base, size_t count, std::unique_ptr<Segment> with, const std::vector<Offset>& bases);

  [[nodiscard]] Segment& active() { return *segments.back(); }
  [[nodiscard]] const Segment& active() const { return *segments.back(); }
  [[nodiscard]] Offset end_of(size_t segment) const {
    return segment + 1 < segments.size() ? segments[segment + 1]->base : log_end;
  }
  [[nodiscard]] std::string path(Offset base, std::string_view suffix) const {
    return file_path(directory, base, suffix);
  }
  [[nodiscard]] std::string path(std::string_view name) const { return directory + "/" + std::string(name); }
  [[nodiscard]] uint64_t size_bytes() const;
  void check_invariants() const;

  LogEnvironment environment;
  disk::Disk& disk;
  const std::string directory;
  LogConfig config;
  RecoveryReport report;

  // Invariants: at least one segment; bases strictly increase; log_start <= flushed <= log_end, log_start and log_end
  // within the segments; only the last segment is appended to.
  std::vector<std::unique_ptr<Segment>> segments;
  Offset log_start;
  Offset flushed;
  Offset log_end;
  EpochCache epochs;
  records::ProducerStateTable producers;
  bool owes_producers = false;  // a truncation could not read them again: nothing is appended, nor saved of them (R84)
  bool is_finding_ages = false;
  struct Snapshot {
    Offset offset;
    uint64_t write = 0;  // the write that is under way, or failed; 0: the file is good
  };
  std::vector<Snapshot> snapshots;  // ascending
  uint64_t snapshot_writes = 0;
  uint64_t snapshot_writes_ended = 0;
  uint64_t appended_since_snapshot = 0;  // bytes
  CachedTail tail;

  std::optional<Error> failure;
  bool is_damaged = false;
  bool is_disk_full = false;
  bool is_emptying = false;
  bool is_closed = false;
  // +1 whenever what lay at an offset may have changed: a read that began before is void (KAFKA-18723).
  uint64_t generation = 0;

  // How often the active file was cut (truncation, undone append), and up to which cut nothing of what was there can come
  // back. Before that, new batches go to another file: after a loss of power, blocks of the old content beside blocks of
  // the new could make a log that looks whole and that no replica ever had.
  uint64_t cuts = 0;
  bool owes_cut =
      false;  // the active file may be longer than it should be, and there was no descriptor to cut it (R77)
  uint64_t durable_cuts = 0;

  // Where sequential readers will go on, so that they skip the index.
  struct Position {
    Offset next_offset;
    Offset segment_base;
    uint64_t position = 0;
    bool is_from_medium = false;  // read on the pool up to here
  };
  std::array<std::optional<Position>, 4> positions;
  size_t next_position = 0;

  // Compaction.
  struct CompactionHold {
    Offset end;  // what it looks at ends here
    bool is_void = false;
    std::function<void()> on_log_gone;  // set while an answer of the log is waited for
  };
  std::shared_ptr<CompactionHold> compacting;  // null: none
  std::weak_ptr<void> last_cleaner;            // a job of the last one may still run
  // Files are being replaced up to this offset: until that is done nothing below goes or is cut.
  std::optional<Offset> replacing;
  Offset cleaned_to;
  // The checksum of a batch does not cover its offset. So where no batch can be missing, a gap is damage; where one
  // can, a file says so before the first one is.
  bool has_gaps = false;

  // Flushing.
  std::vector<FlushDone> flush_waiting;  // for the next flush
  std::vector<FlushDone> flush_served;   // by the one that runs
  size_t flush_steps_left = 0;
  Offset flush_target;
  uint64_t flush_cuts = 0;
  std::optional<IoError> flush_error;
  bool names_dirty = false;  // created or renamed a segment since the directory was synced
  int64_t unflushed_records = 0;
  std::optional<model::Instant> unflushed_since;

  // The epoch file.
  uint64_t epochs_version = 0;
  size_t epoch_writes = 0;      // queued or under way; nobody else may write the file meanwhile
  uint64_t epochs_saved = 0;    // in the kernel
  uint64_t epochs_cut = 0;      // by the last truncation; nothing is appended before that is saved
  uint64_t epochs_durable = 0;  // on the medium
  std::vector<std::pair<uint64_t, StepDone>> epochs_waiting;

  struct PendingJob {
    std::function<IoResult<void>()> job;
    disk::Done<void> done;
  };
  std::deque<PendingJob> jobs;
  bool is_job_running = false;
  const std::shared_ptr<JobGate> gate = std::make_shared<JobGate>();

  struct Removal {
    std::vector<std::string> paths;
    std::optional<model::Instant> due;
  };
  std::vector<Removal> removals;
  std::vector<std::vector<std::string>> not_removed;

  std::shared_ptr<bool> alive = std::make_shared<bool>(true);  // null: the log is being destroyed

  // `f` unless the log is gone by then.
  template <class F>
  auto guarded(F f) {
    return [weak = std::weak_ptr<bool>(alive), f = std::move(f)](auto&&... args) {
      if (!weak.expired()) f(std::forward<decltype(args)>(args)...);
    };
  }
};

// Of files; those that are not there any more are no failure.
[[nodiscard]] IoResult<void> remove_all(disk::Disk& disk, const std::vector<std::string>& names);
// Carries out the rest of truncate_fully_and_start_at: removes everything and leaves one empty segment at `offset`.
[[nodiscard]] IoResult<void> finish_restart(disk::Disk& disk, const std::string& directory, Offset offset);
[[nodiscard]] std::string encode_restart(Offset offset);
[[nodiscard]] std::optional<Offset> decode_restart(std::string_view file);

}  // namespace common::log
