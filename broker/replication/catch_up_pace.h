// How fast replicas that are not in sync are fed. One that joins, or comes back, would take all that disk, network and
// processor give, and clients would wait behind it. So it gets what they do not miss: the pace grows while their writes
// take no longer than without it, and falls when they do. Replicas in sync are not paced.
//
// There are writes of two kinds, each with a measure of its own, for they differ by more than what feeding does to
// either: those that wait for other replicas (from append to commit), and those that the leader answers alone, with
// acks=1 or because it is the only replica in sync, as where one broker becomes three (from request to append). If one
// kind minds, that counts. Of readers, who wait for writers, nothing is measured.
// What an answered write waits for most is its turn, before anybody knows of it: beside such writes counts how late the
// shard gets to what is due (on_turn), too, which whoever owns a timer tells while is_feeding().
//
// What "without it" means is measured: once in a while feeding rests for a moment, and those moments are the measure.
// Where something is written and too little to tell, the pace stops growing early. It never falls below what the shard
// appends by half again, or a replica would never arrive.
//
// Pure; thread-compatible, one for each shard.
#pragma once
#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "broker/partition/partition_traffic.h"
#include "common/model/types.h"

namespace broker::replication {

using common::model::Duration;
using common::model::Instant;

struct CatchUpPaceOptions {
  double rate_first = 16 << 20;  // bytes a second
  double rate_least = 1 << 20;
  double rate_most = 4e9;
  double burst = 2 << 20;           // bytes that go at once after a while without
  size_t turn_bytes = 256 << 10;    // of one answer: what an in-sync replica may have to wait behind
  size_t matters_bytes = 64 << 10;  // less than that in a window disturbs nobody
  Duration window = std::chrono::milliseconds(100);
  int windows_between_rests = 20;
  size_t samples_least = 10;      // fewer say nothing
  double rate_untold = 64 << 20;  // the most while something is written, and nothing is said of it
  double slower = 1.25;           // than without catching up: more than that is too fast
  // Writes that wait for nobody take some ten microseconds, and now and then twice that: no client notices.
  Duration unnoticed = std::chrono::microseconds(250);
  Duration turn_unnoticed = std::chrono::microseconds(500);
  size_t turns_least = 3;  // the later they come, the fewer they are
};

class CatchUpPace final : public partition::PartitionTraffic {
 public:
  explicit CatchUpPace(CatchUpPaceOptions options = {})
      : options_(options), rate_(options.rate_first), tokens_(options.burst) {}

  // What clients notice.
  void on_committed(Duration waited, Instant now) override;
  void on_answered(Duration took, Instant now) override;
  void on_appended(size_t bytes, Instant now) override;
  // Something that was due on the shard had its turn so late.
  void on_turn(Duration late, Instant now);
  // Something was sent lately, or feeding rests: turns are of interest.
  [[nodiscard]] bool is_feeding() const { return sent_ > 0 || was_fed_ || resting_; }

  // Whether a replica that is behind may be sent something now.
  [[nodiscard]] bool may_send(Instant now);
  void on_sent(size_t bytes, Instant now);
  // They were counted as sent, and there was less to send.
  void give_back(size_t bytes);
  // When may_send will be true, if nothing is sent meanwhile.
  [[nodiscard]] Instant ready_at() const;

  [[nodiscard]] size_t turn_bytes() const { return options_.turn_bytes; }
  [[nodiscard]] double rate() const { return rate_; }
  [[nodiscard]] bool is_resting() const { return resting_; }

 private:
  void advance(Instant now);
  void end_window(Instant now);

  // Writes of one kind (or turns), and what they say of a window. What is said later here outweighs what is said
  // before.
  enum class Word { nothing, fine, unmeasured, slow };
  struct Writes {
    size_t least = 0;  // samples; fewer say nothing
    Duration unnoticed{};
    std::vector<Duration> samples;      // of this window
    std::optional<double> undisturbed;  // nanoseconds that the slow ones take without catching up
  };
  [[nodiscard]] std::optional<Duration> take_slow(Writes& writes) const;
  [[nodiscard]] Word hear(Writes& writes, bool fed) const;
  void judge(bool fed);

  const CatchUpPaceOptions options_;
  double rate_;
  double tokens_;
  std::optional<Instant> counted_at_;
  std::optional<Instant> window_end_;
  Writes committed_{.least = options_.samples_least, .samples = {}, .undisturbed = {}};
  Writes answered_{.least = options_.samples_least, .unnoticed = options_.unnoticed, .samples = {}, .undisturbed = {}};
  Writes turns_{.least = options_.turns_least, .unnoticed = options_.turn_unnoticed, .samples = {}, .undisturbed = {}};
  size_t appended_ = 0;     // in this window
  double append_rate_ = 0;  // bytes a second
  size_t sent_ = 0;         // in this window
  bool was_fed_ = false;    // in the one before: its effects may last
  bool resting_ = false;
  int windows_rested_ = 0;
  int windows_fed_ = 0;  // since the last rest
};

}  // namespace broker::replication
