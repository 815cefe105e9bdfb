#include "sim/sightings.h"

#include "controller/quorum/metadata_codec.h"

namespace sim {

namespace raft = controller::raft;
namespace metadata = controller::metadata;

// ---- what they say ----

void Sightings::on_raft_sent(const raft::Message& message) {
  std::visit([this](const auto& body) { saw(body); }, message.body);
}

void Sightings::saw(const raft::VoteRequest& m) {
  if (m.kind == raft::VoteKind::transfer) probes_.hit(Probe::stood_for_a_transfer);
}
void Sightings::saw(const raft::VoteResponse& m) {
  if (!m.granted) probes_.hit(m.kind == raft::VoteKind::pre_vote ? Probe::pre_vote_refused : Probe::vote_refused);
}
void Sightings::saw(const raft::AppendResponse& m) {
  if (m.outcome == raft::AppendOutcome::mismatch) probes_.hit(Probe::metadata_log_mismatch);
  if (m.outcome == raft::AppendOutcome::old_term) probes_.hit(Probe::message_of_an_old_term);
}
void Sightings::saw(const raft::SnapshotRequest& m) {
  if (m.offset > 0) probes_.hit(Probe::snapshot_in_pieces);
}
void Sightings::saw(const raft::TimeoutNow&) {
  probes_.hit(Probe::told_to_stand);
}
void Sightings::saw(const raft::ObserverHello&) {
  probes_.hit(Probe::observer_asked);
}
void Sightings::saw(const raft::VotersHint&) {
  probes_.hit(Probe::observer_sent_on);
}
void Sightings::saw(const raft::StateLostNotice&) {
  probes_.hit(Probe::told_of_lost_state);
}

// ---- what they agree on ----

void Sightings::on_committed(std::span<const raft::Entry> entries) {
  for (const raft::Entry& entry : entries) {
    if (entry.index.value < next_) continue;  // of another node's log already
    next_ = entry.index.value + 1;
    if (entry.kind != raft::EntryKind::data) continue;
    const auto records = controller::quorum::decode_records(entry.payload.view());
    if (!records) continue;  // whoever takes it complains
    size_t fenced = 0;
    for (const metadata::MetadataRecord& record : *records) {
      if (std::holds_alternative<metadata::FenceBrokerRecord>(record)) ++fenced;
      std::visit([this](const auto& r) { saw(r); }, record);
    }
    if (fenced > 1) probes_.hit(Probe::fenced_together);
  }
}

void Sightings::saw(const metadata::FenceBrokerRecord& r) {
  switch (r.reason) {
    case metadata::FenceReason::refused:
      return probes_.hit(Probe::fenced_as_refusing);
    case metadata::FenceReason::lost_stream:
      return probes_.hit(Probe::fenced_as_unreachable);
    case metadata::FenceReason::silent:
      return probes_.hit(Probe::fenced_as_silent);
    case metadata::FenceReason::replaced:
      return probes_.hit(Probe::fenced_as_replaced);
    case metadata::FenceReason::own_wish:
      return probes_.hit(Probe::fenced_at_own_wish);
    case metadata::FenceReason::stalled:
      return probes_.hit(Probe::fenced_as_stalled);
    case metadata::FenceReason::shut_down:
      return probes_.hit(Probe::fenced_as_shut_down);
    case metadata::FenceReason::unregistered:
    case metadata::FenceReason::unknown:
      return;
  }
}
void Sightings::saw(const metadata::BrokerShutdownRecord&) {
  probes_.hit(Probe::shutdown_began);
}
void Sightings::saw(const metadata::PartitionChangeRecord& r) {
  if (r.isr && r.isr->empty()) probes_.hit(Probe::isr_empty);
  if (r.last_known_elr && !r.last_known_elr->empty()) probes_.hit(Probe::claim_lost);
  if (r.leader && r.leader->reason == metadata::LeaderReason::slow) probes_.hit(Probe::slow_leader_relieved);
  if (r.adding && !r.adding->empty()) probes_.hit(Probe::reassignment_began);
  if (!r.recovery_state) return;
  probes_.hit(*r.recovery_state == metadata::RecoveryState::recovering ? Probe::elected_with_possible_loss
                                                                      : Probe::recovered_from_possible_loss);
}
void Sightings::saw(const metadata::ConfigRecord& r) {
  probes_.hit(r.value ? Probe::setting_changed : Probe::setting_taken_away);
}
void Sightings::saw(const metadata::ProducerIdsRecord&) {
  probes_.hit(Probe::producer_ids_given);
}

// ---- how they stand ----

void Sightings::sweep(Cluster& cluster) {
  for (const auto& node : cluster.nodes()) {
    if (!node->is_serving()) continue;
    if (node->core().controller().isolated()) probes_.hit(Probe::broker_isolated);
    if (!node->core().controller().in_service()) probes_.hit(Probe::out_of_service);
    if (node->has_failed_directory()) probes_.hit(Probe::directory_failed);
    node->for_each_partition([this](const auto& partition) {
      if (partition->is_offline()) probes_.hit(Probe::partition_offline);
    });
  }
}

}  // namespace sim
