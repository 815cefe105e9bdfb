// When a node that does not lead loses patience, and how long it trusts a leader it has heard from.
// Thread-compatible.
#pragma once
#include <algorithm>

#include "common/model/mutant.h"
#include "common/model/random.h"
#include "controller/raft/config.h"

namespace controller::raft {

class Timers {
 public:
  Timers(const Config& config, common::model::Random& random, Instant now)
      : config_(config), random_(random), deadline_(now + jitter(config.evidence_jitter)) {}

  [[nodiscard]] Instant deadline() const { return deadline_; }
  // Whether a leader was heard from recently enough to stand by it (R7).
  [[nodiscard]] bool has_lease(Instant now) const { return lease_until_ && now < *lease_until_; }

  void heard_leader(Instant now) {
    failures_ = 0;
    lease_until_ = now + config_.leader_silence;
    wait_for_leader(now);
  }
  // A whole silence more, without a lease: someone else may be about to win, or there is nothing to hurry for.
  void wait_for_leader(Instant now) {
    deadline_ = now + config_.leader_silence + jitter(config_.leader_silence_jitter);
  }
  void end_lease() { lease_until_.reset(); }
  // Something happened that makes an election likely to succeed: evidence that the leader is gone, or a peer came.
  void hurry(Instant now) {
    failures_ = 0;
    deadline_ = std::min(deadline_, now + jitter(config_.evidence_jitter));
  }
  // An attempt begins; the more have failed, the longer it lasts (R22).
  void begin_attempt(Instant now) {
    const Duration base = std::min<Duration>(config_.election * (1 << std::min(failures_, 10)), config_.election_max);
    deadline_ = now + base + jitter(base / 2);
  }
  void attempt_won() { failures_ = 0; }
  void attempt_failed() { ++failures_; }
  // One attempt's time without standing: a better candidate is at it.
  void stand_aside(Instant now) { deadline_ = now + config_.election + jitter(config_.election / 2); }
  // The clock ran while this process did not.
  void shift(Duration by) {
    deadline_ += by;
    if (lease_until_) *lease_until_ += by;
  }

 private:
  Duration jitter(Duration max) const {
    if (common::model::mutant<"R22-all-wait-equally">()) return max;
    return max.count() == 0 ? max : Duration(static_cast<int64_t>(random_.below(static_cast<uint64_t>(max.count()))));
  }

  const Config& config_;
  common::model::Random& random_;
  Instant deadline_;
  std::optional<Instant> lease_until_;
  int failures_ = 0;  // attempts since a leader was heard
};

}  // namespace controller::raft
