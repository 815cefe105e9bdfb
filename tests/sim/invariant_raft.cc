#include "sim/invariant_raft.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/records/crc32c.h"

namespace sim {

namespace raft = controller::raft;

namespace {

uint64_t identity_of(const raft::Entry& entry) {
  return (static_cast<uint64_t>(entry.term.value) << 40) ^ (static_cast<uint64_t>(entry.kind) << 33) ^
         (static_cast<uint64_t>(entry.payload.size() & 1) << 32) ^ common::records::crc32c(entry.payload.view());
}

}  // namespace

void RaftInvariants::on_leadership(int node, uint64_t life, common::model::Term term) {
  const auto [found, is_new] = leaders_.try_emplace(term, node, life);
  if (!is_new && found->second != std::pair(node, life)) {
    complaints_.broken("one leader a term (R1, R3, R6)",
                       fmt::format("node {} leads term {}, which node {} led", node, term, found->second.first));
  }
  if (leaders_.size() > 1) probes_.hit(Probe::raft_leader_changed);
}

void RaftInvariants::on_committed(int node, std::span<const raft::Entry> entries) {
  for (const raft::Entry& entry : entries) {
    const int64_t index = entry.index.value;
    const auto next = next_.find(node);
    if (next != next_.end() && next->second != index) {
      complaints_.broken("committed entries are delivered once, in order",
                         fmt::format("node {} delivers {} after {}", node, index, next->second - 1));
    }
    next_[node] = index + 1;
    if (static_cast<size_t>(index) >= committed_.size()) committed_.resize(static_cast<size_t>(index) + 1, 0);
    uint64_t& known = committed_[static_cast<size_t>(index)];
    const uint64_t identity = identity_of(entry);
    if (known == 0) {
      known = identity;
      note_voters(entry);
    } else if (known != identity) {
      complaints_.broken("one committed metadata log (R5, R11)",
                         fmt::format("node {} has another entry {} (term {}) than was committed", node, index, entry.term));
    }
  }
}

void RaftInvariants::note_voters(const raft::Entry& entry) {
  if (entry.kind != raft::EntryKind::voters) return;
  const auto voters = raft::VoterSet::decode(entry.payload.view());
  if (!voters) return;  // whoever takes it complains
  probes_.hit(Probe::voters_changed);
  for (const common::model::BrokerId id : awaited_) {
    if (voters->find(id) != nullptr) probes_.hit(Probe::voter_replaced);
  }
  awaited_ = voters->awaited();
}

void RaftInvariants::on_sent(int node, const raft::Message& message) {
  const auto sent = [&](uint64_t round) {
    uint64_t& newest = rounds_[message.term];
    newest = std::max(newest, round);
  };
  const auto answered = [&](uint64_t round) {
    if (round <= rounds_[message.term]) return;
    complaints_.broken("a round is answered once it was sent (R17, R33)",
                       fmt::format("node {} answers round {} of term {}, in which {} were sent", node, round,
                                   message.term, rounds_[message.term]));
  };
  if (const auto* append = std::get_if<raft::AppendRequest>(&message.body)) sent(append->round);
  if (const auto* piece = std::get_if<raft::SnapshotRequest>(&message.body)) sent(piece->round);
  const auto* response = std::get_if<raft::AppendResponse>(&message.body);
  if (response != nullptr && response->outcome != raft::AppendOutcome::old_term) answered(response->round);
  if (const auto* stored = std::get_if<raft::SnapshotResponse>(&message.body)) answered(stored->round);
}

void RaftInvariants::on_snapshot(int node, common::model::LogIndex end) {
  const auto next = next_.find(node);
  if (next != next_.end()) {
    probes_.hit(Probe::raft_snapshot_installed);
    if (end.value < next->second) {
      complaints_.broken("a snapshot never takes a state back (R15)",
                         fmt::format("node {} loads one that ends at {} after delivering {}", node, end, next->second - 1));
    }
  }
  next_[node] = end.value;
}

}  // namespace sim
