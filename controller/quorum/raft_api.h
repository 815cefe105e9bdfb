// What the controller sees of the metadata quorum: a replicated log it can append to, and a listener that is told what
// was committed. RaftDriver implements it over disk and gRPC, tests and the simulator otherwise.
//
// Everything here happens on the controller's shard: calls and callbacks alike.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "controller/quorum/measures.h"
#include "controller/raft/node.h"

namespace controller::quorum {

using common::model::BrokerId;
using common::model::Buffer;
using common::model::LogIndex;
using common::model::Result;
using common::model::Term;

class RaftListener {
 public:
  virtual ~RaftListener() = default;
  // Replaces the whole state: `state` is what make_snapshot gave somewhere, everything before `end`.
  virtual void on_snapshot(Buffer state, LogIndex end) = 0;
  // In order, each entry once, never one that is not durable here. Entries that are not EntryKind::data carry nothing
  // for the state machine, but their indexes count. A state machine that cannot apply a committed entry must halt
  // (R18).
  virtual void on_committed(std::span<const raft::Entry> entries) = 0;
  // This node leads, and on_committed has delivered everything up to its own log end at election, `start` included
  // (R16).
  virtual void on_leadership_gained(Term term, LogIndex start) = 0;
  // Always after on_leadership_gained. Proposals in flight were failed with NOT_CONTROLLER before this call; revert to
  // the committed state and fail held answers.
  virtual void on_leadership_lost(Term term) = 0;
  // For hints and redirects; not a promise. nullopt: unknown.
  virtual void on_leader_changed(std::optional<BrokerId> leader, Term term) = 0;
  // The state after the last on_committed or on_snapshot. Called now and then, on leader and followers.
  virtual Buffer make_snapshot() = 0;
  // The metadata log is unusable (disk failure, lost state that could not be replaced): the broker must stop.
  virtual void on_halted(const std::string& reason) = 0;
};

// How much more a leader may propose now. Asked before anything is decided, since a decision that the log does not take
// ends its controller.
enum class Room : uint8_t {
  enough,
  scarce,  // half of what may wait for a majority does: not what can come later
  none,    // leadership is being handed over: until it is, or is not after all
};

class Raft {
 public:
  virtual ~Raft() = default;

  // Appends one atomic batch of records. `on_committed` gets its index after RaftListener::on_committed has delivered
  // it, or NOT_CONTROLLER (not the leader; or deposed, and then the batch may still commit), or
  // THROTTLING_QUOTA_EXCEEDED (too much is uncommitted; nothing was appended). Returns the index that the batch will
  // have if it commits under this leader, so that records can be numbered before they commit.
  virtual Result<LogIndex> propose(Buffer payload, std::function<void(Result<LogIndex>)> on_committed) = 0;

  [[nodiscard]] virtual Room room() const { return Room::enough; }

  [[nodiscard]] virtual std::optional<BrokerId> leader() const = 0;
  [[nodiscard]] virtual bool is_leader() const = 0;
  // This node leads, and a majority has said so lately enough that nobody else does yet (R33): not at once after this
  // process stood still.
  [[nodiscard]] virtual bool is_confirmed() const { return is_leader(); }
  [[nodiscard]] virtual Term term() const = 0;
  [[nodiscard]] virtual raft::QuorumStatus describe() const = 0;
  [[nodiscard]] virtual RaftMeasures measures() const { return {}; }

  // Confirms leadership by a majority round; then everything before the given index was committed when it was called
  // (R17).
  virtual void read_index(std::function<void(Result<LogIndex>)> done) = 0;
  // To `target`, or to whoever lags least (R10). Ends with success once this node has stepped down.
  virtual void transfer_leadership(std::optional<BrokerId> target, std::function<void(Result<void>)> done) = 0;
  // Ends this node's leadership at once, whoever comes next; RaftListener::on_leadership_lost follows if it led.
  virtual void resign(std::string_view why) = 0;
  virtual void add_voter(raft::Voter voter, std::function<void(Result<void>)> done) = 0;
  virtual void remove_voter(raft::NodeKey voter, raft::Afterwards afterwards,
                            std::function<void(Result<void>)> done) = 0;
  virtual void update_voter(raft::NodeKey voter, raft::Endpoint endpoint, std::function<void(Result<void>)> done) = 0;
  void remove_voter(raft::NodeKey voter, std::function<void(Result<void>)> done) {
    remove_voter(voter, raft::Afterwards::stays_out, std::move(done));
  }
};

}  // namespace controller::quorum
