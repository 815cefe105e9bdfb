// One node of the metadata quorum: Raft as a plain object. It is told what happened and when, and answers with what to
// do (effects.h). It decides; the driver in controller/quorum does.
//
// Rules: correctness R1-R23, cited where they are enforced. Parts, each owning its fields: LogView (the log in memory),
// Membership (voter sets by position), Ballot (one election's votes), Timers (deadlines), Durability (what the disk has
// and what waits for it), Leadership (what only a leader knows), SnapshotReceiver (an install in progress).
//
// Thread-compatible: lives on the controller's thread. Every event carries `now` of one monotonic clock (R22).
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "common/model/random.h"
#include "controller/raft/config.h"
#include "controller/raft/effects.h"
#include "controller/raft/status.h"

namespace controller::raft {

struct Proposed {
  LogIndex index;
  Term term;
  Effects effects;
};

// What becomes of the id of a voter that is removed.
enum class Afterwards : uint8_t {
  stays_out,
  returns,  // its disk is lost: the id is awaited, under another directory
};

class Node {
 public:
  // A missing or unreadable hard state beside a log is the storage's business: it must not get here (R4).
  Node(Config config, RestoredState restored, common::model::Random& random, Instant now);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // What the constructor found to do: load the snapshot, or report lost state. Once, before any event.
  [[nodiscard]] Effects start(Instant now);

  // --- events from the network
  [[nodiscard]] Effects on_message(const Message& message, Instant now);
  // A new ordered stream to `peer` stands; messages sent on an older one may be lost.
  [[nodiscard]] Effects on_peer_connected(BrokerId peer, Instant now);
  // The stream to `peer` broke and its address refuses connections: the process is gone (evidence, not proof).
  [[nodiscard]] Effects on_peer_gone(BrokerId peer, Instant now);
  // `peer` remembers a later life of this directory than the disk does: what was promised in it is forgotten (R21).
  [[nodiscard]] Effects on_older_image(BrokerId peer, Instant now);

  // --- events from the disk
  [[nodiscard]] Effects on_durable(PersistToken token, Instant now);
  // As RaftStorage::Events::on_hard_state_durable.
  [[nodiscard]] Effects on_hard_state_durable(PersistToken token, Instant now);
  // Answers InstallSnapshot; before on_durable of its token.
  void on_snapshot_installed(Snapshot snapshot);
  // The state machine's snapshot of everything before `end` is durable. `end` was delivered as committed (R14).
  [[nodiscard]] Effects on_snapshot_made(Snapshot snapshot, Instant now);
  // Storage refused an operation for good: this node stops voting, acknowledging and leading.
  [[nodiscard]] Effects halt(std::string reason, Instant now);

  // --- time
  [[nodiscard]] Effects on_tick(Instant now);
  // When on_tick wants to be called next; may move with every event.
  [[nodiscard]] Instant next_deadline() const;

  // --- wishes of the leader's state machine; NOT_CONTROLLER elsewhere
  [[nodiscard]] Result<Proposed> propose(Buffer payload, Instant now);
  // ReadReady or ReadFailed with `id` follows (R17).
  [[nodiscard]] Result<Effects> read_index(uint64_t id, Instant now);
  [[nodiscard]] Result<Proposed> add_voter(Voter voter, Instant now);
  // One that is only awaited is awaited no more.
  [[nodiscard]] Result<Proposed> remove_voter(const NodeKey& voter, Instant now,
                                              Afterwards afterwards = Afterwards::stays_out);
  // It is reached at another address from now on (R112).
  [[nodiscard]] Result<Proposed> update_voter(const NodeKey& voter, Endpoint endpoint, Instant now);
  // To `target`, or to the voter that lags least. TransferEnded follows (R10).
  [[nodiscard]] Result<Effects> transfer_leadership(std::optional<BrokerId> target, Instant now);

  // Leads no longer, without a successor; nothing to a node that does not lead.
  [[nodiscard]] Effects resign(std::string_view why, Instant now);

  // --- state
  [[nodiscard]] Role role() const;
  [[nodiscard]] Term term() const;
  [[nodiscard]] std::optional<BrokerId> leader() const;
  [[nodiscard]] LogIndex committed() const;  // as this node knows it
  [[nodiscard]] LogIndex delivered() const;  // handed to the state machine: committed and durable here
  [[nodiscard]] LogIndex durable_end() const;
  [[nodiscard]] LogPosition log_end() const;
  // The position at `end`, for the metadata of a snapshot; `end` lies between log start and delivered().
  [[nodiscard]] SnapshotMeta snapshot_meta_at(LogIndex end) const;
  [[nodiscard]] const VoterSet& voters() const;
  [[nodiscard]] const NodeKey& self() const;
  // Of a leader: it takes no proposals while leadership is handed over, nor beyond so many bytes that wait.
  [[nodiscard]] bool is_handing_over() const;
  [[nodiscard]] size_t uncommitted_bytes() const;
  [[nodiscard]] QuorumStatus status() const;
  // It leads, and as far as it can know nobody else does yet; a leader that stood still does not know (R33).
  [[nodiscard]] bool is_confirmed(Instant now) const;
  // Entries still in memory, for tests and tools.
  [[nodiscard]] std::vector<Entry> entries_from(LogIndex from) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace controller::raft
