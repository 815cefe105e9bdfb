#include "controller/metadata/failure_detector.h"

#include <algorithm>

#include "common/model/mutant.h"

namespace controller::metadata {

using common::model::mutant;

FenceReason reason_of(Evidence evidence) {
  switch (evidence) {
    case Evidence::refused:
      return FenceReason::refused;
    case Evidence::lost_stream:
      return FenceReason::lost_stream;
    case Evidence::silence:
      return FenceReason::silent;
  }
  return FenceReason::unknown;
}

FailureDetector::Session* FailureDetector::watched(BrokerId id, BrokerEpoch epoch) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || !found->second.watched || found->second.epoch != epoch) return nullptr;
  return &found->second;
}

void FailureDetector::watch(const BrokerImage& broker, Standing standing, Instant now) {
  Session& s = sessions_[broker.broker_id];
  // The guard outlives the session of a process that was fenced though it lived.
  const Session before = s;
  s = Session{};
  if (before.fast_fenced_epoch == broker.epoch) {
    s.fast_fenced_at = before.fast_fenced_at;
    s.fast_fenced_epoch = before.fast_fenced_epoch;
    s.pause = before.pause;
  }
  s.epoch = broker.epoch;
  s.endpoint = broker.cluster_endpoint;
  s.watched = true;
  s.heard_at = now;
  s.heard = standing == Standing::alive;
  if (standing == Standing::suspected) {
    s.lost_at = now;
    s.loss_assumed = true;
    s.heard_at = now - std::min(options_.deposed_silence, options_.session_timeout / 2);
  }
  if (standing != Standing::alive && !mutant<"R28-asks-nobody-at-the-start">()) s.next_probe = now;
}

void FailureDetector::unwatch(BrokerId id) {
  const auto found = sessions_.find(id);
  if (found != sessions_.end()) found->second.watched = false;
}

void FailureDetector::on_heartbeat(BrokerId id, BrokerEpoch epoch, Instant now) {
  Session& s = sessions_[id];
  if (s.watched && s.epoch != epoch) return;
  s.epoch = epoch;
  s.heard_at = now;
  s.heard = true;
  s.lost_at.reset();
  s.loss_assumed = false;
  s.refusals = 0;
  s.next_probe.reset();
  s.witnesses.clear();
}

void FailureDetector::on_stream_lost(BrokerId id, BrokerEpoch epoch, Instant now) {
  Session* s = watched(id, epoch);
  if (s == nullptr) return;
  if (!s->lost_at) s->lost_at = now;
  s->loss_assumed = false;
  s->refusals = 0;
  s->next_probe = now;
}

void FailureDetector::on_witness(BrokerId reporter, BrokerId id, BrokerEpoch epoch) {
  if (Session* s = watched(id, epoch); s != nullptr && reporter != id) s->witnesses.insert(reporter);
}

void FailureDetector::on_probe(BrokerId id, BrokerEpoch epoch, ProbeResult result, Instant now) {
  Session* s = watched(id, epoch);
  if (s == nullptr) return;
  s->probing = false;
  if (!s->lost_at && s->heard) return;  // it has spoken meanwhile
  s->accepts = result == ProbeResult::connected;
  s->refusals = result == ProbeResult::refused ? s->refusals + 1 : 0;
  s->next_probe = now + options_.probe_interval * (result == ProbeResult::refused ? 1 : 3);
}

FailureDetector::OwnClock FailureDetector::on_tick(Instant now) {
  const bool paused = now - last_tick_ > options_.own_gap_max;
  last_tick_ = now;
  if (!paused) return OwnClock::trusted;
  for (auto& [id, s] : sessions_) {
    s.heard_at = now;
    s.refusals = 0;
    s.witnesses.clear();
    if (s.lost_at) s.lost_at = now;
    if (s.next_probe) s.next_probe = now;
  }
  return OwnClock::paused;
}

Instant FailureDetector::lost_deadline(const Session& s) const {
  const bool confirmed = static_cast<int>(s.witnesses.size()) >= options_.witnesses_to_halve;
  return *s.lost_at + (confirmed ? options_.lost_stream_timeout / 2 : options_.lost_stream_timeout);
}

std::optional<Evidence> FailureDetector::evidence_against(const Session& s, Instant now) const {
  const bool suspect = s.lost_at || !s.heard;
  if (suspect && s.refusals >= options_.refusals_to_fence) return Evidence::refused;
  if (s.lost_at && now >= lost_deadline(s) && !(s.loss_assumed && s.accepts)) return Evidence::lost_stream;
  if (now - s.heard_at >= options_.session_timeout) return Evidence::silence;
  return std::nullopt;
}

std::vector<Verdict> FailureDetector::verdicts(Instant now, const std::function<bool(BrokerId)>& may_fence_fast) const {
  std::vector<Verdict> found;
  for (const auto& [id, s] : sessions_) {
    if (!s.watched) continue;
    auto evidence = evidence_against(s, now);
    if (!evidence) continue;
    if (*evidence != Evidence::silence) {
      const bool paused = s.fast_fenced_at && now - *s.fast_fenced_at < s.pause;
      if (paused || !may_fence_fast(id)) {
        if (now - s.heard_at < options_.session_timeout) continue;
        evidence = Evidence::silence;
      }
    }
    found.push_back({id, s.epoch, *evidence, now - s.heard_at});
  }
  return found;
}

void FailureDetector::on_fenced(const Verdict& verdict, Instant now) {
  Session& s = sessions_[verdict.broker_id];
  s.watched = false;
  if (verdict.evidence == Evidence::silence) return;
  const bool again = s.fast_fenced_at && now - *s.fast_fenced_at < 4 * s.pause;
  s.pause = again ? std::min(s.pause * 2, options_.fast_fence_pause_max) : options_.fast_fence_pause;
  s.fast_fenced_at = now;
  s.fast_fenced_epoch = verdict.epoch;
}

std::vector<ProbeOrder> FailureDetector::take_probes(Instant now) {
  std::vector<ProbeOrder> orders;
  for (const bool suspected : {true, false}) {
    for (auto& [id, s] : sessions_) {
      if (!s.watched || s.probing || !s.next_probe || *s.next_probe > now || s.lost_at.has_value() != suspected)
        continue;
      s.probing = true;
      s.next_probe.reset();
      orders.push_back({id, s.epoch, s.endpoint});
    }
  }
  return orders;
}

std::optional<Instant> FailureDetector::next_deadline() const {
  std::optional<Instant> next;
  const auto consider = [&next](Instant at) { next = next ? std::min(*next, at) : at; };
  for (const auto& [id, s] : sessions_) {
    if (!s.watched) continue;
    consider(s.heard_at + options_.session_timeout);
    if (s.next_probe && !s.probing) consider(*s.next_probe);
    // A verdict that was held back when it was due waits for ticks, or for silence: nothing is due before.
    if (s.lost_at && lost_deadline(s) > last_tick_) consider(lost_deadline(s));
  }
  return next;
}

std::optional<Instant> FailureDetector::last_heartbeat(BrokerId id) const {
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || !found->second.heard) return std::nullopt;
  return found->second.heard_at;
}

}  // namespace controller::metadata
