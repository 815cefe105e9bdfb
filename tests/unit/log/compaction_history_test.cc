// Random histories of a compacted log against a model in memory: appends, truncations, DeleteRecords, retention, runs
// of the cleaner step by step between all of it, and crashes of every kind between and within the steps (R80, R84,
// R107). What must hold after each step and after each start:
//   - a record that is there is one that was appended, at its offset, with its leader epoch; offsets rise
//   - a record that is not there was superseded by a newer one of its key below the highest end that a run was given,
//     or was a tombstone whose delete.retention.ms has passed, or of an aborted transaction
//   - below cleaned_offset() no key has two records
//   - after a crash the log ends where it ended, or at least where a flush had promised
//   - epochs and producers are those of the whole history; a read from anywhere finds the batch that is next
// Seeds are printed; NARU_COMPACTION_SEED=n runs one, NARU_COMPACTION_SEEDS=n that many.
#include <map>
#include <set>

#include "common/model/random.h"
#include "log/compaction_fixture.h"
#include "support/seeds.h"

using namespace log_test;
using common::model::ProducerEpoch;
using common::model::ProducerId;
using common::model::SeededRandom;
using common::records::MarkerType;

namespace {

struct ModelRecord {
  std::string key;
  std::optional<std::string> value;
  int32_t epoch = 0;
  bool is_aborted = false;
  std::optional<int64_t> gone_from;  // a tombstone that a run has met: it may go when a run's clock reaches this
};

struct ModelBatch {
  int64_t last = 0;
  int32_t epoch = 0;
  std::optional<ProducerStamp> producer;
  std::optional<MarkerType> marker;
  bool is_transactional = false;
};

class History {
 public:
  explicit History(uint64_t seed) : random_(seed), f_(draw_config()) {
    f_.disk = std::make_unique<SimulatedDisk>(SimulatedDisk::Options{.seed = seed, .scheduler = {}});
    if (random_.below(2) == 0) f_.cache = std::make_unique<TailCache>(20000);
    keys_ = 2 + random_.below(12);
    retention_ms_ = static_cast<int64_t>(random_.below(6000));
    if (random_.below(2) == 0) map_slots_ = 8 + random_.below(20);
    switch (random_.below(4)) {
      case 0:
        codec_ = Codec::lz4;
        break;
      case 1:
        target_codec_ = Codec::zstd;
        break;
      default:
        break;
    }
  }
  [[nodiscard]] const std::string& trace() const { return trace_; }
  [[nodiscard]] uint64_t runs_finished() const { return runs_finished_; }
  [[nodiscard]] uint64_t crashes_within_runs() const { return crashes_within_runs_; }
  [[nodiscard]] uint64_t records_gone() const { return records_gone_; }

  void run(int steps) {
    f_.open();
    for (int i = 0; i < steps; ++i) {
      step();
      trace_ += fmt::format("  log {}-{} flushed {} cleaned {} segments {}{}{}\n", f_.log->log_start_offset(),
                            f_.log->log_end_offset(), f_.log->flushed_offset(), f_.log->cleaned_offset(),
                            f_.log->segment_count(), run_ ? " run" : "", f_.disk->has_stopped() ? " STOPPED" : "");
      if (f_.disk->has_stopped()) {
        random_.below(2) == 0 ? kill() : crash();
      } else {
        REQUIRE_FALSE(f_.log->failure());
        compare();
      }
    }
    run_.reset();
  }

 private:
  LogConfig draw_config() {
    LogConfig c = CompactionFixture::small_segments();
    c.segment_bytes = 450 + random_.below(1500);
    c.index_interval_bytes = static_cast<uint32_t>(random_.below(400));
    c.file_delete_delay = std::chrono::milliseconds(random_.below(2) * 1000);
    if (random_.below(2) == 0) c.snapshot_bytes = 1 + random_.below(400);
    return c;
  }

  void step() {
    if (random_.below(12) == 0) f_.disk->stop_after(1 + random_.below(30));
    f_.now += static_cast<int64_t>(random_.below(800));
    const uint64_t what = random_.below(100);
    trace_ += fmt::format("step {}", what);
    if (what < 38) return append();
    if (what < 44) return flush();
    if (what < 76) return compact();
    if (what < 78) return drop_run();
    if (what < 80) return truncate();
    if (what < 83) return advance_start();
    if (what < 86) return tick();
    if (what < 90) return run_callbacks();
    if (what < 93) return reopen_cleanly();
    if (what < 96) return kill();
    crash();
  }

  [[nodiscard]] int64_t end() const { return batches_.empty() ? 0 : batches_.rbegin()->second.last + 1; }

  // -- what producers do --

  void append() {
    for (uint64_t n = 1 + random_.below(4); n > 0 && !f_.disk->has_stopped(); --n) append_one();
  }

  void append_one() {
    if (random_.below(15) == 0) ++epoch_;
    BatchOptions options;
    options.codec = codec_;
    std::optional<MarkerType> marker;
    if (open_transaction_ && random_.below(3) == 0) {
      marker = random_.below(2) == 0 ? MarkerType::commit : MarkerType::abort;
    } else if (random_.below(8) == 0) {
      options.kind = BatchKind::transactional;
      options.producer = ProducerStamp{ProducerId(100), ProducerEpoch(0), transaction_sequence_};
    } else if (random_.below(3) == 0) {
      const auto id = static_cast<int64_t>(random_.below(3));
      options.producer = ProducerStamp{ProducerId(id), ProducerEpoch(0), sequences_[id]};
    }
    std::vector<Keyed> records;
    for (uint64_t i = 1 + random_.below(4); i > 0; --i) {
      const std::string key = fmt::format("k{}", random_.below(keys_));
      std::optional<std::string> value = fmt::format("v{}", ++values_) + std::string(random_.below(60), '.');
      if (random_.below(6) == 0) value.reset();
      records.push_back({key, value});
    }
    const Buffer bytes =
        marker ? common::records::build_end_txn_marker(ProducerId(100), ProducerEpoch(0),
                                                       {.type = *marker, .coordinator_epoch = 1}, TimestampMs(f_.now))
               : keyed_batch(records, f_.now, options);
    const auto done = f_.log->append_own(bytes, LeaderEpoch(epoch_), TimestampMs(f_.now));
    if (!done && !f_.disk->has_stopped()) REQUIRE(done);
    if (!done) maybe_there_ = end();
    remember(records, options, marker);
  }

  void remember(const std::vector<Keyed>& records, const BatchOptions& options, std::optional<MarkerType> marker) {
    const int64_t base = end();
    ModelBatch batch{.last = base, .epoch = epoch_, .producer = options.producer, .marker = marker};
    if (marker) {
      batch.producer = ProducerStamp{ProducerId(100), ProducerEpoch(0), -1};
      for (auto it = records_.lower_bound(*open_transaction_); *marker == MarkerType::abort && it != records_.end();
           ++it) {
        const auto in = std::prev(batches_.upper_bound(it->first));
        if (in->second.is_transactional) it->second.is_aborted = true;
      }
      open_transaction_.reset();
    } else {
      batch.last = base + static_cast<int64_t>(records.size()) - 1;
      batch.is_transactional = options.kind == BatchKind::transactional;
      if (batch.is_transactional && !open_transaction_) open_transaction_ = base;
      const auto count = static_cast<int32_t>(records.size());
      if (batch.is_transactional) {
        transaction_sequence_ += count;
      } else if (options.producer) {
        sequences_[options.producer->id.value] += count;
      }
      for (size_t i = 0; i < records.size(); ++i) {
        const int64_t at = base + static_cast<int64_t>(i);
        records_[at] = {.key = *records[i].key, .value = records[i].value, .epoch = epoch_};
      }
    }
    batches_[base] = batch;
  }

  // -- what the log does --

  void flush() {
    const uint64_t life = life_;
    f_.log->flush([this, life](const common::log::Result<Offset>& flushed) {
      if (flushed && life == life_) floor_ = std::max(floor_, flushed->value);
    });
    if (random_.below(3) != 0) f_.disk->run_until_idle();
  }
  void flush_all() {
    f_.log->flush([this](const common::log::Result<Offset>& flushed) {
      if (flushed) floor_ = std::max(floor_, flushed->value);
    });
    f_.disk->run_until_idle();
  }

  void begin_run() {
    auto request = f_.request();
    // Of what is committed, no more than the last stable offset.
    const auto unstable = f_.log->producers().first_unstable_offset();
    f_.log->producers().on_high_watermark(f_.log->log_end_offset());
    const int64_t stable = unstable ? std::min(unstable->value, end()) : end();
    request.end = Offset(stable - static_cast<int64_t>(random_.below(5)) * static_cast<int64_t>(random_.below(8)));
    request.delete_retention = std::chrono::milliseconds(retention_ms_);
    request.codec = target_codec_;
    request.step_bytes = 100 + random_.below(900);
    if (map_slots_ > 0) request.map.bytes = map_slots_ * 24;
    request.hash_key = {random_.next(), random_.next()};
    auto run = f_.log->compact(request);
    if (!run) {
      REQUIRE(run.error().code == ErrorCode::operation_not_attempted);
      return;
    }
    run_ = std::move(*run);
    run_now_ = f_.now;
    given_end_ = std::max(given_end_, request.end.value);
    for (auto& [offset, record] : records_) {
      if (offset >= request.end.value) break;
      if (!record.value && !record.gone_from) record.gone_from = f_.now + retention_ms_;
    }
  }

  void compact() {
    if (!run_) begin_run();
    const bool to_the_end = random_.below(3) == 0;
    for (uint64_t n = to_the_end ? 1000 : 1 + random_.below(12); run_ && n > 0 && !is_stepping_; --n) {
      is_stepping_ = true;
      run_->step([this, life = life_, which = run_.get()](common::log::Result<CompactionStep> step) {
        if (life != life_ || run_.get() != which) return;
        is_stepping_ = false;
        if (!step) {
          trace_ += fmt::format(" ({})", step.error().message);
          if (!f_.disk->has_stopped()) REQUIRE(step.error().code == ErrorCode::operation_not_attempted);
          finished_.push_back(std::move(run_));
        } else if (step->report) {
          ++runs_finished_;
          REQUIRE(step->report->cleaned_to == f_.log->cleaned_offset());
          finished_.push_back(std::move(run_));
        }
      });
      if (to_the_end) f_.disk->run_until_idle();
      for (uint64_t k = random_.below(6); k > 0; --k) f_.disk->run_one();
      finished_.clear();
    }
  }

  void drop_run() {
    run_.reset();
    is_stepping_ = false;
  }

  // Only what is not committed, as with clean elections, or all of it is lost for good: then everything may be cut.
  void truncate() {
    f_.disk->run_until_idle();
    finished_.clear();
    if (f_.disk->has_stopped()) return;
    f_.disk->stop_after(uint64_t{1} << 60);  // not within this; history_test.cc has that
    int64_t low = std::max(f_.log->log_start_offset().value, given_end_);
    // Not the batch that the log starts within: nothing would be left to tell where it ends.
    const auto first = batches_.upper_bound(f_.log->log_start_offset().value);
    if (first != batches_.begin()) low = std::max(low, std::prev(first)->second.last + 1);
    if (end() <= low) return;
    const int64_t to = low + static_cast<int64_t>(random_.below(static_cast<uint64_t>(end() - low) + 1));
    floor_ = std::min(floor_, f_.log->log_start_offset().value);
    const auto done = f_.log->truncate_to(Offset(to));
    int64_t cut = end();
    while (!batches_.empty() && batches_.rbegin()->second.last >= to) {
      cut = batches_.rbegin()->first;
      batches_.erase(cut);
    }
    records_.erase(records_.lower_bound(cut), records_.end());
    reset_transaction();
    REQUIRE(done);
    REQUIRE(done->value == end());
    flush_all();
    ++epoch_;
  }

  // The producers begin again where the log stands.
  void reset_transaction() {
    open_transaction_.reset();
    sequences_.clear();
    transaction_sequence_ = 0;
    for (const auto& [base, batch] : batches_) {
      if (batch.marker) open_transaction_.reset();
      if (batch.is_transactional && !open_transaction_) open_transaction_ = base;
      if (!batch.producer || batch.marker) continue;
      const auto next = batch.producer->base_sequence + static_cast<int32_t>(batch.last - base) + 1;
      (batch.is_transactional ? transaction_sequence_ : sequences_[batch.producer->id.value]) = next;
    }
    for (auto& [offset, record] : records_) {
      const auto in = std::prev(batches_.upper_bound(offset));
      if (open_transaction_ && offset >= *open_transaction_ && in->second.is_transactional) record.is_aborted = false;
    }
  }

  void advance_start() {
    const int64_t low = f_.log->log_start_offset().value;
    const int64_t span = std::max<int64_t>(1, (end() - low) / 3);
    f_.log->advance_log_start(Offset(low + static_cast<int64_t>(random_.below(static_cast<uint64_t>(span)))));
  }

  void tick() { f_.log->tick({common::model::Instant(std::chrono::milliseconds(f_.now)), TimestampMs(f_.now)}); }
  void run_callbacks() {
    for (uint64_t i = random_.below(8); i > 0; --i) f_.disk->run_one();
    finished_.clear();
  }

  // -- the end of processes --

  void reopen_cleanly() {
    bool done = false;
    f_.log->close([&](const common::log::Result<void>& result) { done = result.has_value(); });
    f_.disk->run_until_idle();
    finished_.clear();
    if (!done) {
      REQUIRE(f_.disk->has_stopped());
      return;
    }
    floor_ = end();
    OpenHints hints = f_.clean_hints();
    if (random_.below(4) != 0) hints.cleaned_to = f_.log->cleaned_offset();
    end_life();
    f_.disk->kill();
    if (random_.below(2) == 0) f_.disk->crash(SimulatedDisk::Unsynced::lost);
    f_.open(hints);
    REQUIRE(f_.log->log_end_offset().value == end());
    compare();
  }

  void kill() {
    reopen_after(PreviousEnd::process_crash, [this] { f_.disk->kill(); });
  }
  void crash() {
    const auto how = static_cast<SimulatedDisk::Unsynced>(random_.below(3));
    const size_t block = random_.below(2) == 0 ? 512 : 64;
    reopen_after(PreviousEnd::unknown, [=, this] { f_.disk->crash(how, block); });
  }

  void end_life() {
    ++life_;
    is_stepping_ = false;
    finished_.clear();
    if (random_.below(2) == 0) run_.reset();
    f_.log.reset();
    run_.reset();
  }

  template <class F>
  void reopen_after(PreviousEnd how, F stop) {
    OpenHints hints;
    hints.previous_end = how;
    const int64_t point = std::min(floor_, f_.log->flushed_offset().value);
    if (random_.below(4) != 0)
      hints.recovery_point = Offset(static_cast<int64_t>(random_.below(static_cast<uint64_t>(point) + 1)));
    if (random_.below(2) == 0) hints.high_watermark = hints.recovery_point;
    if (random_.below(2) == 0) hints.log_start_offset = f_.log->log_start_offset();
    if (random_.below(2) == 0) hints.cleaned_to = f_.log->cleaned_offset();
    const bool nothing_lost = how == PreviousEnd::process_crash && !maybe_there_;
    if (run_) ++crashes_within_runs_;
    end_life();
    stop();
    if (how == PreviousEnd::process_crash) REQUIRE(f_.disk->sync_file_system("data"));
    for (int tries = static_cast<int>(random_.below(3)); tries > 0; --tries) {
      f_.disk->stop_after(1 + random_.below(8));
      (void)f_.try_open(hints);
      f_.log.reset();
      if (how == PreviousEnd::process_crash) {
        f_.disk->kill();
        REQUIRE(f_.disk->sync_file_system("data"));
      } else {
        f_.disk->crash(static_cast<SimulatedDisk::Unsynced>(random_.below(3)));
      }
    }
    f_.open(hints);
    adopt(nothing_lost);
  }

  // The log may have lost its unsynced end; whole batches of it.
  void adopt(bool nothing_lost) {
    const int64_t found = f_.log->log_end_offset().value;
    INFO(fmt::format("ends at {}, model at {}, floor {}", found, end(), floor_));
    REQUIRE(found <= end());
    REQUIRE(found >= std::max(floor_, f_.log->log_start_offset().value));
    if (nothing_lost) REQUIRE(found == end());
    while (!batches_.empty() && batches_.rbegin()->first >= found) batches_.erase(batches_.rbegin()->first);
    REQUIRE((batches_.empty() || end() == found));
    records_.erase(records_.lower_bound(found), records_.end());
    reset_transaction();
    maybe_there_.reset();
    floor_ = found;
    ++epoch_;
    compare();
  }

  // -- what must hold --

  void compare() {
    const int64_t start = f_.log->log_start_offset().value;
    REQUIRE(f_.log->log_end_offset().value == end());
    std::map<int64_t, std::string> found;
    std::vector<std::pair<int64_t, int64_t>> ranges;
    read_all(found, ranges);
    check_missing(found, start);
    check_clean_part(found);
    check_epochs(start);
    check_producers();
    if (!ranges.empty()) {
      const int64_t from = start + static_cast<int64_t>(random_.below(static_cast<uint64_t>(end() - start)));
      const auto next = std::find_if(ranges.begin(), ranges.end(), [&](const auto& r) { return r.second >= from; });
      const auto read = f_.log->read({Offset(from), Offset(end()), 1, AtLeastOneBatch::yes});
      REQUIRE(read);
      REQUIRE(next != ranges.end());
      REQUIRE(BatchView::parse(read->records.flatten().view())->base_offset().value == next->first);
    }
  }

  void read_all(std::map<int64_t, std::string>& found, std::vector<std::pair<int64_t, int64_t>>& ranges) {
    int64_t previous = -1;
    for (Offset next = f_.log->log_start_offset(); next < f_.log->log_end_offset();) {
      const auto read = f_.log->read_blocking({next, f_.log->log_end_offset(), 1000});
      INFO((read ? std::string() : read.error().message));
      REQUIRE(read);
      REQUIRE(read->next_offset > next);
      const Buffer all = read->records.flatten();
      BatchCursor cursor(all.view());
      while (!cursor.at_end()) {
        const auto batch = cursor.next();
        REQUIRE((batch && batch->crc_ok()));
        const auto was = batches_.find(batch->base_offset().value);
        INFO(fmt::format("batch {}-{}", batch->base_offset(), batch->last_offset()));
        REQUIRE(was != batches_.end());
        REQUIRE(was->second.last == batch->last_offset().value);
        REQUIRE(was->second.epoch == batch->leader_epoch().value);
        REQUIRE(batch->is_control() == was->second.marker.has_value());
        ranges.emplace_back(batch->base_offset().value, batch->last_offset().value);
        if (batch->is_control()) continue;
        REQUIRE(common::records::for_each_record(*batch, {}, [&](const Record& r) {
          const auto known = records_.find(r.offset.value);
          REQUIRE(known != records_.end());
          REQUIRE(r.offset.value > previous);
          previous = r.offset.value;
          REQUIRE(common::model::as_text(*r.key) == known->second.key);
          REQUIRE(r.value.has_value() == known->second.value.has_value());
          if (r.value) REQUIRE(common::model::as_text(*r.value) == *known->second.value);
          found.emplace(r.offset.value, known->second.key);
        }));
      }
      next = read->next_offset;
    }
  }

  void check_missing(const std::map<int64_t, std::string>& found, int64_t start) {
    std::set<std::string> newer;
    for (auto it = records_.rbegin(); it != records_.rend(); ++it) {
      const auto& [offset, record] = *it;
      if (offset < start) break;
      if (!found.contains(offset)) {
        ++records_gone_;
        INFO(fmt::format("offset {} ({}) is gone; runs were given {} at most", offset, record.key, given_end_));
        REQUIRE(offset < given_end_);
        const bool is_expired = !record.value && record.gone_from && *record.gone_from <= run_now_;
        REQUIRE((newer.contains(record.key) || record.is_aborted || is_expired));
      }
      if (offset < given_end_ && !record.is_aborted) newer.insert(record.key);
    }
  }

  void check_clean_part(const std::map<int64_t, std::string>& found) {
    std::map<std::string, int64_t> keys;
    highest_start_ = std::max(highest_start_, f_.log->log_start_offset().value);
    for (const auto& [offset, key] : found) {
      if (offset >= f_.log->cleaned_offset().value) break;
      if (offset < highest_start_) continue;  // was deleted, and is seen again: no run looked at it
      const auto [first, is_new] = keys.emplace(key, offset);
      INFO(fmt::format("key {} at {} and at {}, both below {}", key, first->second, offset, f_.log->cleaned_offset()));
      REQUIRE(is_new);
      REQUIRE_FALSE(records_.at(offset).is_aborted);
    }
  }

  void check_epochs(int64_t start) {
    std::vector<EpochStart> expected;
    for (const auto& [base, batch] : batches_) {
      if (batch.last < start) continue;
      if (expected.empty() || expected.back().epoch.value != batch.epoch)
        expected.push_back({LeaderEpoch(batch.epoch), Offset(std::max(base, start))});
    }
    const auto list = [](const std::vector<EpochStart>& entries) {
      std::string text;
      for (const EpochStart& e : entries) text += fmt::format(" {}@{}", e.epoch, e.start_offset);
      return text;
    };
    INFO("epochs of the batches" << list(expected) << ", of the log" << list(f_.log->epochs().entries()));
    // One may have begun whose batches were lost.
    auto known = f_.log->epochs().entries();
    if (!known.empty() && known.back().start_offset == f_.log->log_end_offset()) known.pop_back();
    REQUIRE(list(known) == list(expected));
  }

  void check_producers() {
    std::map<int64_t, int32_t> expected;
    const int64_t start = f_.log->log_start_offset().value;
    for (const auto& [base, batch] : batches_) {
      if (base < start || !batch.producer || batch.marker) continue;
      expected[batch.producer->id.value] = batch.producer->base_sequence + static_cast<int32_t>(batch.last - base);
    }
    std::map<int64_t, std::optional<int32_t>> known;
    for (const auto& p : f_.log->producers().describe()) known[p.id.value] = p.last_sequence;
    for (const auto& [id, sequence] : expected) {
      INFO(fmt::format("producer {}: {} by the log, {} by the history", id, known[id].value_or(-1), sequence));
      REQUIRE(known[id] == sequence);
    }
  }

  SeededRandom random_;
  std::string trace_;
  CompactionFixture f_;
  uint64_t keys_ = 4;
  int64_t retention_ms_ = 1000;
  uint64_t map_slots_ = 0;
  Codec codec_ = Codec::none;
  std::optional<Codec> target_codec_;

  std::map<int64_t, ModelRecord> records_;
  std::map<int64_t, ModelBatch> batches_;
  std::optional<int64_t> open_transaction_;
  std::optional<int64_t> maybe_there_;  // an append that a stop cut short
  int64_t floor_ = 0;
  int64_t given_end_ = 0;
  int64_t highest_start_ = 0;
  int64_t run_now_ = 0;  // the latest run's clock
  int32_t epoch_ = 0;
  uint64_t values_ = 0;
  std::map<int64_t, int32_t> sequences_;
  int32_t transaction_sequence_ = 0;
  uint64_t life_ = 0;

  std::unique_ptr<Compaction> run_;
  bool is_stepping_ = false;
  std::vector<std::unique_ptr<Compaction>> finished_;
  uint64_t runs_finished_ = 0;
  uint64_t crashes_within_runs_ = 0;
  uint64_t records_gone_ = 0;
};

}  // namespace

TEST_CASE("random histories of a compacted log lose nothing but what was superseded") {
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  const test_support::Seeds seeds = test_support::seeds_to_run("NARU_COMPACTION_SEED", 150);
  uint64_t runs = 0;
  uint64_t crashes = 0;
  uint64_t gone = 0;
  for (uint64_t seed = seeds.first; seed < seeds.end(); ++seed) {
    History history(seed);
    try {
      history.run(150);
    } catch (...) {
      fmt::print(stderr, "{}rerun with NARU_COMPACTION_SEED={}\n", history.trace(), seed);
      throw;
    }
    runs += history.runs_finished();
    crashes += history.crashes_within_runs();
    gone += history.records_gone();
  }
  // Otherwise the histories would show nothing.
  if (!seeds.is_chosen) {
    CHECK(runs > seeds.count);
    CHECK(crashes > seeds.count / 4);
    CHECK(gone > 0);
  }
}
