// Random histories of one log against a model in memory, with crashes of every kind between and within the steps. What
// must hold after each start: the log is a prefix of something that was there (R66, R67,
// R71-R77), at least up to what a flush had promised, with the epochs that belong to it (R79) and the same producers as
// a replay (R84). Seeds are printed; NARU_LOG_SEED=n runs one, NARU_LOG_SEEDS=n that many.

#include "common/model/random.h"
#include "log/log_fixture.h"
#include "support/seeds.h"

using namespace log_test;
using common::model::SeededRandom;

namespace {

struct ModelBatch {
  int64_t base = 0;
  int64_t last = 0;
  int32_t epoch = 0;
  std::string bytes;
  friend bool operator==(const ModelBatch&, const ModelBatch&) = default;
};

struct ModelLog {
  int64_t start = 0;  // what a restart at an offset left behind; batches begin here or later
  std::vector<ModelBatch> batches;
  [[nodiscard]] int64_t end() const { return batches.empty() ? start : batches.back().last + 1; }
};

// A batch of one record of so many bytes takes 512.
constexpr size_t sector_value_bytes = 512 - 61 - 9;

class History {
 public:
  explicit History(uint64_t seed) : random_(seed), f_(draw_config()) {
    f_.disk = std::make_unique<SimulatedDisk>(SimulatedDisk::Options{.seed = seed, .scheduler = {}});
    uniform_ = random_.below(3) == 0;
    if (random_.below(2) == 0) f_.cache = std::make_unique<TailCache>(20000);
  }

  [[nodiscard]] const std::string& trace() const { return trace_; }

  void run(int steps) {
    f_.open();
    for (int i = 0; i < steps; ++i) {
      step();
      trace_ += fmt::format("  log {}-{} flushed {} floor {} older {}{}\n", f_.log->log_start_offset(),
                            f_.log->log_end_offset(), f_.log->flushed_offset(), floor_, older_.size(),
                            f_.disk->has_stopped() ? " STOPPED" : "");
      if (f_.disk->has_stopped()) {
        recover_from_stop();
      } else {
        compare();
      }
    }
  }

 private:
  LogConfig draw_config() {
    LogConfig c;
    c.segment_bytes = 1600 + random_.below(4000);
    c.index_interval_bytes = static_cast<uint32_t>(random_.below(600));
    c.file_delete_delay = std::chrono::milliseconds(random_.below(2) * 1000);
    if (random_.below(3) == 0) c.preallocate_bytes = 1 + random_.below(3000);
    if (random_.below(4) == 0) c.flush_messages = 1 + static_cast<int64_t>(random_.below(10));
    c.writeback_bytes = 1000;
    c.retention_ms.reset();
    if (random_.below(2) == 0) c.snapshot_bytes = 1 + random_.below(1000);
    ticks_often_ = c.snapshot_bytes <= 1000;
    return c;
  }

  void step() {
    // Sometimes the machine stops within one of the next calls.
    if (random_.below(12) == 0) f_.disk->stop_after(1 + random_.below(25));
    f_.now += static_cast<int64_t>(random_.below(2000));
    const uint64_t what = random_.below(100);
    trace_ += fmt::format("step {}", what);
    if (what < 55) {
      what < 45 ? append() : append_as_follower();
      if (ticks_often_ && !f_.disk->has_stopped()) tick();  // which takes snapshots
      return;
    }
    if (what < 65) return flush();
    if (what < 72) return truncate();
    if (what < 75) return advance_start();
    if (what < 77) return retention();
    if (what < 79) return restart_at();
    if (what < 82) return begin_epoch();
    if (what < 85) return tick();
    if (what < 90) return run_callbacks();
    if (what < 93) return reopen_cleanly();
    if (what < 96) return kill();
    crash();
  }

  Buffer draw_batch() {
    BatchShape shape;
    shape.records = 1 + static_cast<int>(random_.below(4));
    shape.value_bytes = random_.below(10) == 0 ? 300 + random_.below(60) : random_.below(60);
    shape.timestamp = f_.now - static_cast<int64_t>(random_.below(100));
    shape.fill = static_cast<char>('a' + random_.below(26));
    // Batches that end where blocks end: old and new ones could be taken for one log (see Log::Impl::cuts).
    if (uniform_) {
      shape.records = 1;
      shape.value_bytes = sector_value_bytes;
    }
    if (random_.below(2) == 0) {
      const int64_t id = static_cast<int64_t>(random_.below(3));
      shape.producer =
          common::records::ProducerStamp{common::model::ProducerId(id), common::model::ProducerEpoch(0), sequence_};
      sequence_ += shape.records;
    }
    return make_batch(shape);
  }

  // A truncation found a write of the epoch file under way: nothing is appended before the file tells of the cut. None:
  // the machine stopped before that.
  template <class AppendBatches>
  auto once_noted(AppendBatches append) -> std::optional<decltype(append())> {
    auto done = append();
    if (done || f_.disk->has_stopped() || f_.log->failure()) return done;
    f_.disk->run_until_idle();
    if (f_.disk->has_stopped()) return std::nullopt;
    return append();
  }

  void remember(const BytesView bytes) { append_batches(bytes, model_.batches); }

  void append() {
    const Buffer bytes = draw_batch();
    const auto done = once_noted([&] { return f_.log->append_own(bytes, LeaderEpoch(epoch_), TimestampMs(f_.now)); });
    if (!done) return;
    if (f_.disk->has_stopped()) attempted_ = model_;  // it may be there or not
    if (*done || f_.disk->has_stopped()) remember(bytes.view());
    if (!f_.disk->has_stopped()) REQUIRE(*done);
  }

  void append_as_follower() {
    std::vector<std::byte> all;
    int64_t next = model_.end();
    const uint64_t count = 1 + random_.below(12);
    for (uint64_t i = 0; i < count; ++i) {
      const Buffer one = draw_batch();
      if (random_.below(6) == 0) ++epoch_;
      next = common::records::assign_offsets(one, {Offset(next), LeaderEpoch(epoch_), {}}).value;
      all.insert(all.end(), one.view().begin(), one.view().end());
    }
    const Buffer bytes = Buffer::own(std::move(all));
    BufferChain chain;
    for (size_t at = 0; at < bytes.size();) {
      const size_t n = std::min<size_t>(1 + random_.below(700), bytes.size() - at);
      chain.append(bytes.slice(at, n));
      at += n;
    }
    const auto done =
        once_noted([&] { return f_.log->append_as_follower(chain, LeaderEpoch(epoch_), TimestampMs(f_.now)); });
    if (!done) return;
    if (f_.disk->has_stopped()) attempted_ = model_;
    if (*done || f_.disk->has_stopped()) remember(bytes.view());
    if (!f_.disk->has_stopped()) REQUIRE(*done);
  }

  // The callback says what survives from then on.
  void flush() {
    const uint64_t life = life_;
    f_.log->flush([this, life, truncations = truncations_](const common::log::Result<Offset>& flushed) {
      if (!flushed || life != life_) return;
      floor_ = std::max(floor_, flushed->value);
      if (truncations == truncations_) older_.clear();  // cuts made before are durable too
    });
    if (random_.below(3) != 0) f_.disk->run_until_idle();
  }

  void truncate() {
    const int64_t low = f_.log->log_start_offset().value;
    if (f_.log->log_end_offset().value < low) return;
    const int64_t to = low + static_cast<int64_t>(random_.below(static_cast<uint64_t>(model_.end() - low) + 1));
    older_.push_back(model_);
    ++truncations_;
    floor_ = std::min(floor_, to);
    auto end = f_.log->truncate_to(Offset(to));
    while (!model_.batches.empty() && model_.batches.back().last >= to) {
      floor_ = std::min(floor_, model_.batches.back().base);
      model_.batches.pop_back();
    }
    checkpointed_ = std::min(checkpointed_, floor_);
    if (f_.disk->has_stopped()) {
      if (model_.end() < low) older_.push_back({low, {}});
      return;
    }
    REQUIRE(end);
    ++epoch_;  // whatever comes now comes from a later leader
    if (model_.end() < low) model_ = {low, {}};
    REQUIRE(end->value == model_.end());
  }

  void advance_start() {
    const int64_t low = f_.log->log_start_offset().value;
    const int64_t to = low + static_cast<int64_t>(random_.below(static_cast<uint64_t>(model_.end() - low) + 1));
    f_.log->advance_log_start(Offset(to));
  }

  void retention() {
    f_.config.retention_bytes = random_.below(20000);
    f_.log->set_config(f_.config);
    const auto hw = Offset(static_cast<int64_t>(random_.below(static_cast<uint64_t>(model_.end()) + 1)));
    f_.log->apply_retention({common::model::Instant(std::chrono::milliseconds(f_.now)), TimestampMs(f_.now)}, hw);
    f_.config.retention_bytes.reset();
    f_.log->set_config(f_.config);
    REQUIRE((f_.log->log_start_offset() <= std::max(hw, f_.log->log_start_offset())));
  }

  void restart_at() {
    const int64_t to = model_.end() + static_cast<int64_t>(random_.below(50));
    older_.push_back(model_);
    older_.push_back({to, {}});
    ++truncations_;
    floor_ = 0;
    checkpointed_ = 0;
    bool done = false;
    f_.log->truncate_fully_and_start_at(Offset(to),
                                        [&](const common::log::Result<void>& result) { done = result.has_value(); });
    REQUIRE((f_.disk->has_stopped() ||
             f_.log->read({Offset(to), Offset(to)}).error().code == ErrorCode::offset_not_available));
    f_.disk->run_until_idle();
    if (!done) {
      REQUIRE(f_.disk->has_stopped());
      return;
    }
    older_.clear();
    model_ = {to, {}};
    floor_ = to;
    checkpointed_ = to;
    ++epoch_;
  }

  void begin_epoch() { f_.log->begin_epoch(LeaderEpoch(++epoch_)); }
  void tick() { f_.log->tick({common::model::Instant(std::chrono::milliseconds(f_.now)), TimestampMs(f_.now)}); }
  void run_callbacks() {
    for (uint64_t i = random_.below(5); i > 0; --i) f_.disk->run_one();
  }

  void reopen_cleanly() {
    bool done = false;
    f_.log->close([&](const common::log::Result<void>& result) { done = result.has_value(); });
    f_.disk->run_until_idle();
    if (!done) {
      REQUIRE(f_.disk->has_stopped());
      return;
    }
    older_.clear();
    floor_ = model_.end();
    const OpenHints hints = f_.clean_hints();
    ++life_;
    f_.log.reset();
    f_.disk->kill();
    if (random_.below(2) == 0) f_.disk->crash(SimulatedDisk::Unsynced::lost);
    f_.open(hints);
    REQUIRE(f_.log->log_end_offset().value == model_.end());
    epochs_known_ = true;
    compare();
  }

  void kill() {
    reopen_after(PreviousEnd::process_crash, [this] { f_.disk->kill(); });
  }

  void crash() {
    const auto how = static_cast<SimulatedDisk::Unsynced>(random_.below(3));
    const size_t block = random_.below(2) == 0 ? 512 : 4096;
    reopen_after(PreviousEnd::unknown, [=, this] { f_.disk->crash(how, block); });
  }

  void recover_from_stop() {
    if (random_.below(2) == 0) {
      kill();
    } else {
      crash();
    }
  }

  template <class F>
  void reopen_after(PreviousEnd end, F stop) {
    OpenHints hints;
    hints.previous_end = end;
    // A checkpoint is older than what it speaks of.
    if (random_.below(2) == 0)
      checkpointed_ = std::max(checkpointed_, std::min(floor_, f_.log->flushed_offset().value));
    if (random_.below(4) != 0) hints.recovery_point = Offset(std::min(checkpointed_, floor_));
    if (random_.below(2) == 0) hints.high_watermark = Offset(std::min(checkpointed_, floor_));
    if (random_.below(2) == 0) hints.log_start_offset = f_.log->log_start_offset();
    const bool stopped_within = f_.disk->has_stopped();
    ++life_;
    f_.log.reset();
    stop();
    if (end == PreviousEnd::process_crash) REQUIRE(f_.disk->sync_file_system("data"));
    // Recovery itself may be cut short, and is repeated then.
    for (int tries = static_cast<int>(random_.below(3)); tries > 0; --tries) {
      f_.disk->stop_after(1 + random_.below(8));
      (void)f_.try_open(hints);
      f_.log.reset();
      if (end == PreviousEnd::process_crash) {
        f_.disk->kill();
        REQUIRE(f_.disk->sync_file_system("data"));
      } else {
        f_.disk->crash(static_cast<SimulatedDisk::Unsynced>(random_.below(3)));
      }
    }
    f_.open(hints);
    adopt(end == PreviousEnd::process_crash && !stopped_within && older_.empty());
  }

  std::vector<ModelBatch> stored() {
    std::vector<ModelBatch> found;
    for (Offset next = f_.log->log_start_offset(); next < f_.log->log_end_offset();) {
      const auto read = f_.log->read_blocking({next, f_.log->log_end_offset(), 2000});
      INFO((read ? std::string() : read.error().message));
      REQUIRE(read);
      REQUIRE(read->next_offset > next);
      const Buffer all = read->records.flatten();
      append_batches(all.view(), found);
      next = read->next_offset;
    }
    return found;
  }

  // Also what lies before the log start.
  std::vector<ModelBatch> on_disk() {
    std::vector<ModelBatch> found;
    for (const SegmentInfo& segment : f_.log->segments()) {
      const Buffer file = f_.disk->content(f_.path(fmt::format("{:020}.log", segment.base_offset.value)));
      append_batches(file.view().first(segment.size_bytes), found);
    }
    return found;
  }

  static void append_batches(BytesView bytes, std::vector<ModelBatch>& out) {
    BatchCursor cursor(bytes);
    while (!cursor.at_end()) {
      const auto batch = cursor.next();
      REQUIRE(batch);
      REQUIRE(batch->crc_ok());
      out.push_back({batch->base_offset().value, batch->last_offset().value, batch->leader_epoch().value,
                     std::string(common::model::as_text(batch->bytes()))});
    }
  }

  // `found` begins somewhere in `whole` and follows it from there: the log may have lost its end and its start.
  static bool is_part_of(const std::vector<ModelBatch>& found, int64_t end, const ModelLog& whole) {
    if (end > whole.end()) return false;
    if (found.empty()) {
      const auto begins_there = [&](const ModelBatch& b) { return b.base == end; };
      return end == whole.end() || end == whole.start ||
             std::any_of(whole.batches.begin(), whole.batches.end(), begins_there);
    }
    const auto first = std::find(whole.batches.begin(), whole.batches.end(), found.front());
    return static_cast<size_t>(whole.batches.end() - first) >= found.size() &&
           std::equal(found.begin(), found.end(), first);
  }

  void adopt(bool nothing_lost) {
    const auto found = on_disk();
    const int64_t start = f_.log->log_start_offset().value;
    const int64_t end = f_.log->log_end_offset().value;
    INFO(fmt::format("found {}-{} with {} batches, model ends at {}, floor {}", start, end, found.size(), model_.end(),
                     floor_));
    const ModelLog* match = is_part_of(found, end, model_) ? &model_ : nullptr;
    if (!match && attempted_ && is_part_of(found, end, *attempted_)) match = &*attempted_;
    for (const ModelLog& older : older_) {
      if (!match && is_part_of(found, end, older)) match = &older;
    }
    REQUIRE(match);
    REQUIRE(end >= floor_);
    if (nothing_lost && !attempted_) REQUIRE(end == model_.end());
    // What lies before the log start is kept: without the checkpoint it may be seen again.
    ModelLog kept = *match;
    while (!kept.batches.empty() && kept.batches.back().last >= end) kept.batches.pop_back();
    if (kept.end() != end) kept = {end, {}};
    model_ = std::move(kept);
    older_.clear();
    attempted_.reset();
    floor_ = end;  // recovery synced it
    checkpointed_ = std::min(checkpointed_, floor_);
    ++epoch_;
    compare();
  }

  void compare() {
    if (f_.log->failure()) return;
    REQUIRE(f_.log->log_end_offset().value == model_.end());
    check_producers();
    auto found = stored();
    const int64_t start = f_.log->log_start_offset().value;
    auto expected = model_.batches;
    std::erase_if(expected, [&](const ModelBatch& b) { return b.last < start; });
    REQUIRE(found == expected);
    // Epochs: those of the batches, and perhaps one that has begun without any.
    std::vector<EpochStart> epochs;
    for (const ModelBatch& b : expected) {
      if (epochs.empty() || epochs.back().epoch.value != b.epoch)
        epochs.push_back({LeaderEpoch(b.epoch), Offset(std::max(b.base, start))});
    }
    auto known = f_.log->epochs().entries();
    if (!known.empty() && known.back().start_offset == f_.log->log_end_offset()) known.pop_back();
    std::erase_if(epochs, [&](const EpochStart& e) { return e.start_offset == f_.log->log_end_offset(); });
    const auto list = [](const std::vector<EpochStart>& entries) {
      std::string text;
      for (const EpochStart& e : entries) text += fmt::format(" {}@{}", e.epoch, e.start_offset);
      return text;
    };
    INFO("epochs of the batches" << list(epochs) << ", of the cache" << list(known));
    REQUIRE(known.size() == epochs.size());
    for (size_t i = 0; i < known.size(); ++i) {
      REQUIRE(known[i].epoch == epochs[i].epoch);
      // An epoch may have begun, without a batch, where a later start of the log or a leader's word put it.
      REQUIRE(known[i].start_offset <= epochs[i].start_offset);
    }
    // A read from anywhere.
    if (model_.end() > start) {
      const int64_t from = start + static_cast<int64_t>(random_.below(static_cast<uint64_t>(model_.end() - start)));
      const auto read = f_.log->read({Offset(from), Offset(model_.end()), 1, AtLeastOneBatch::yes});
      REQUIRE(read);
      const auto batch = BatchView::parse(read->records.flatten().view());
      REQUIRE(batch);
      REQUIRE(batch->base_offset().value <= from);
      REQUIRE(batch->last_offset().value >= from);
    }
  }

  // Sequences of each producer, as a replay of what is there says; earlier batches may be remembered beside.
  void check_producers() {
    common::records::ProducerStateTable replay;
    for (const ModelBatch& b : model_.batches) {
      if (b.base < f_.log->log_start_offset().value) continue;
      const auto batch = BatchView::parse(as_bytes(b.bytes));
      const auto facts = common::records::facts_of(*batch, 0);
      replay.on_append(*facts, batch->base_offset(), TimestampMs(0));
    }
    std::map<int64_t, std::optional<int32_t>> known;
    for (const auto& p : f_.log->producers().describe()) known[p.id.value] = p.last_sequence;
    for (const auto& p : replay.describe()) {
      INFO(fmt::format("producer {}: {} by the log, {} by a replay", p.id, known[p.id.value].value_or(-1),
                       p.last_sequence.value_or(-1)));
      REQUIRE(known[p.id.value] == p.last_sequence);
    }
  }

  SeededRandom random_;
  std::string trace_;
  bool uniform_ = false;
  bool ticks_often_ = false;
  Fixture f_;
  ModelLog model_;
  std::vector<ModelLog> older_;        // before cuts that are not durable yet
  std::optional<ModelLog> attempted_;  // before an append that a stop cut short
  int64_t floor_ = 0;                  // promised by a flush
  int64_t checkpointed_ = 0;
  int32_t epoch_ = 0;
  int32_t sequence_ = 0;
  uint64_t life_ = 0;
  uint64_t truncations_ = 0;
  bool epochs_known_ = true;
};

}  // namespace

TEST_CASE("uniform batches fill a sector") {
  REQUIRE(make_batch({.value_bytes = sector_value_bytes}).size() == 512);
}

TEST_CASE("random histories with crashes leave a prefix of what was there") {
  common::configure_logging(common::LogLevel::off, common::LogFormat::text);
  const test_support::Seeds seeds = test_support::seeds_to_run("NARU_LOG_SEED", 150);
  for (uint64_t seed = seeds.first; seed < seeds.end(); ++seed) {
    History history(seed);
    try {
      history.run(120);
    } catch (...) {
      fmt::print(stderr, "{}rerun with NARU_LOG_SEED={}\n", history.trace(), seed);
      throw;
    }
  }
}
