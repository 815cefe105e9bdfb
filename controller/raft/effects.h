// What a Node wants done after an event. The shell carries it out in this order:
//   1. `persist`: hand to storage in order; later tell Node::on_durable(token), which covers every earlier token.
//   2. `messages`: send now. Whatever must wait for the disk is not in here yet: the Node keeps it back until
//      on_durable (R1, R2), so that no shell can get the order wrong.
//   3. `load_snapshot`, then `committed`, then `notices`: for the state machine and the operator.
// Immutable values.
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "controller/raft/messages.h"

namespace controller::raft {

using PersistToken = uint64_t;

struct SaveHardState {
  HardState state;
};
// Entries at the end of the log.
struct AppendEntries {
  std::vector<Entry> entries;
};
// Drops the entries from `position.end` on.
struct TruncateLog {
  LogPosition position;
};
// A piece of the leader's snapshot; offset 0 begins a new file.
struct StoreSnapshotPiece {
  SnapshotMeta meta;
  uint64_t offset = 0;
  Buffer bytes;
};
// All pieces are stored: check, sync and rename the file, then empty the log at `meta.position`. Durable when both are,
// and the shell then gives the snapshot to Node::on_snapshot_installed before on_durable.
struct InstallSnapshot {
  SnapshotMeta meta;
};
// A durable snapshot covers everything before `start`: the log may drop it (R14).
struct DropPrefix {
  LogIndex start;
};
using PersistOperation =
    std::variant<SaveHardState, AppendEntries, TruncateLog, StoreSnapshotPiece, InstallSnapshot, DropPrefix>;
struct Persist {
  PersistToken token = 0;
  PersistOperation operation;
};

struct RoleChanged {
  Role role = Role::follower;
  Term term;
  std::optional<BrokerId> leader;
};
// This node leads `term` and everything up to its own log end at election has been delivered as committed (R16).
struct LeadershipGained {
  Term term;
  LogIndex start;  // of the leader-change entry
};
// Follows every LeadershipGained of the term, and every election won: held answers fail, proposals in flight are
// unknown.
struct LeadershipLost {
  Term term;
};
struct VotersChanged {
  VoterSet voters;
};
// An observer was told of voters that its own log does not know yet: their addresses are needed.
struct VotersHinted {
  VoterSet voters;
};
struct ReadReady {
  uint64_t id = 0;
  LogIndex index;  // a state machine that has applied everything before it may answer
};
struct ReadFailed {
  uint64_t id = 0;
};
enum class TransferOutcome : uint8_t { handed_over, gave_up };
struct TransferEnded {
  TransferOutcome outcome = TransferOutcome::gave_up;
};
// The log or vote on this disk cannot be trusted (R20, R21): the node has halted and must rejoin as another member.
struct StateLost {
  std::string reason;
};
using Notice = std::variant<RoleChanged, LeadershipGained, LeadershipLost, VotersChanged, VotersHinted, ReadReady,
                            ReadFailed, TransferEnded, StateLost>;

struct Effects {
  std::vector<Persist> persist;
  std::vector<Message> messages;
  std::optional<Snapshot> load_snapshot;  // replaces the whole state, before `committed` is applied (R15)
  std::vector<Entry> committed;           // each entry once, in order, never beyond what is durable here
  std::vector<Notice> notices;            // in order of happening
  std::vector<std::string> log;           // state changes worth a line
};

}  // namespace controller::raft
