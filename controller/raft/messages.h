// What Raft nodes say to each other. Plain values; the shell turns them into Protobuf. Every message names its sender
// as (node, directory) and the sender's term; nothing here may leave before what it promises is durable, which the Node
// sees to by itself (effects.h). Immutable values.
#pragma once
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "controller/raft/types.h"

namespace controller::raft {

enum class VoteKind : uint8_t {
  pre_vote,  // "would you elect me?": raises nobody's term (R7)
  vote,
  transfer,  // the old leader asked for it, so the lease of a live leader does not stand against it (R10)
};
struct VoteRequest {
  VoteKind kind = VoteKind::pre_vote;
  LogIndex log_end;  // of the candidate, with the term of its last entry (R6)
  Term last_term;
};
struct VoteResponse {
  VoteKind kind = VoteKind::pre_vote;
  Term asked_in;  // term of the request
  bool granted = false;
};

// Entries, or a heartbeat when there are none. `previous` is the point where they begin.
struct AppendRequest {
  LogPosition previous;
  std::vector<Entry> entries;
  LogIndex committed;  // exclusive
  uint64_t round = 0;  // echoed; proves contact after it was sent (R8, R17)
};
enum class AppendOutcome : uint8_t {
  accepted,
  mismatch,  // no such `previous` here; `hint` says where to try next
  old_term,  // the sender's term is over (R9)
};
struct AppendResponse {
  AppendOutcome outcome = AppendOutcome::accepted;
  LogIndex matched;  // entries before it equal the leader's *and are durable* here (R2)
  LogIndex held;     // entries before it equal the leader's, durable or not: where to go on sending
  LogIndex log_end;  // of whatever this node has; below what it acknowledged before means lost state (R21)
  LogPosition hint;  // of a mismatch: own end of the largest term that is not above the leader's
  uint64_t round = 0;
};

// One piece of a snapshot, with what the whole is (R15).
struct SnapshotRequest {
  SnapshotMeta meta;
  uint64_t offset = 0;
  Buffer bytes;
  uint64_t round = 0;
};
struct SnapshotResponse {
  LogIndex snapshot_end;
  uint64_t next_offset = 0;  // what to send next; ignored when installed
  bool installed = false;    // durable, and the log begins there
  uint64_t round = 0;
};

// The leader hands over: stand at once (R10).
struct TimeoutNow {};

// A node that is not a voter asks to be fed. Anyone may receive it; the leader begins to send.
struct ObserverHello {
  LogPosition log;
};

// Answer of a node that does not lead: whom to ask instead, and where they are. The voters that an observer was
// configured with may all be gone.
struct VotersHint {
  VoterSet voters;
};

// The leader remembers that this node had acknowledged more than it now has: it no longer counts, and must come back
// under a new directory id (R21).
struct StateLostNotice {
  LogIndex acknowledged;
};

using MessageBody = std::variant<VoteRequest, VoteResponse, AppendRequest, AppendResponse, SnapshotRequest,
                                 SnapshotResponse, TimeoutNow, ObserverHello, VotersHint, StateLostNotice>;

struct Message {
  NodeKey from;
  NodeKey to;  // a zero directory means "whichever"
  Term term;
  MessageBody body;
};

// One line for transcripts and debug logs.
std::string describe(const Message& message);

}  // namespace controller::raft
