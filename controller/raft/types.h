// The words of the consensus core: who votes, what an entry is, and positions in the log. Positions are exclusive ends
// throughout ("the next index"), so nobody adds or subtracts one. Immutable values.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/model/bytes.h"
#include "common/model/result.h"
#include "common/model/types.h"

namespace controller::raft {

using common::model::BrokerId;
using common::model::Buffer;
using common::model::BytesView;
using common::model::DirectoryId;
using common::model::Duration;
using common::model::Instant;
using common::model::LogIndex;
using common::model::Result;
using common::model::Term;
using common::model::Uuid;

// A member of the quorum is a node *on a disk*: after a wipe the node has another directory id and is another member,
// which never votes as its former self (R4).
struct NodeKey {
  BrokerId id;
  DirectoryId directory;
  friend constexpr auto operator<=>(const NodeKey&, const NodeKey&) = default;
};

// Where the other nodes reach a voter. A hint: a newer registration overrides it (R112).
struct Endpoint {
  std::string host;
  uint16_t port = 0;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// Protocol versions that a node speaks; the one in use is `raft_version` (R12: a new voter must support it).
constexpr int16_t raft_version = 1;
struct VersionRange {
  int16_t min = raft_version;
  int16_t max = raft_version;
  friend bool operator==(const VersionRange&, const VersionRange&) = default;
};

struct Voter {
  NodeKey key;
  Endpoint endpoint;
  VersionRange versions;
  friend bool operator==(const Voter&, const Voter&) = default;
};

constexpr size_t voters_max = 5;  // R12; further brokers observe

// Sorted by id, one voter for each id; and the ids that are awaited: their vote went with a disk, and their next
// directory votes again once it has caught up (R4). An id is never both.
class VoterSet {
 public:
  VoterSet() = default;
  explicit VoterSet(std::vector<Voter> voters);

  [[nodiscard]] const std::vector<Voter>& voters() const { return voters_; }
  [[nodiscard]] size_t size() const { return voters_.size(); }
  [[nodiscard]] bool empty() const { return voters_.empty(); }
  [[nodiscard]] size_t majority() const { return voters_.size() / 2 + 1; }
  [[nodiscard]] bool contains(const NodeKey& key) const;
  [[nodiscard]] const Voter* find(BrokerId id) const;
  [[nodiscard]] VoterSet with(Voter voter) const;
  [[nodiscard]] VoterSet without(const NodeKey& key) const;
  [[nodiscard]] VoterSet with_endpoint(const NodeKey& key, Endpoint endpoint) const;

  [[nodiscard]] const std::vector<BrokerId>& awaited() const { return awaited_; }
  [[nodiscard]] bool awaits(BrokerId id) const;
  [[nodiscard]] VoterSet awaiting(BrokerId id) const;
  [[nodiscard]] VoterSet not_awaiting(BrokerId id) const;

  // The payload of `voters` and `bootstrap` entries, and of snapshots. Versioned; decode trusts nothing.
  [[nodiscard]] Buffer encode() const;
  static Result<VoterSet> decode(BytesView bytes);
  friend bool operator==(const VoterSet&, const VoterSet&) = default;

 private:
  std::vector<Voter> voters_;
  std::vector<BrokerId> awaited_;  // sorted
};

enum class EntryKind : uint8_t {
  data = 0,           // one atomic batch of metadata records; opaque to Raft
  leader_change = 1,  // the first entry of every term (R5)
  voters = 2,         // the voter set from this entry on (R12)
  bootstrap = 3,      // index 0 of every log: the first voter set, written by each voter before the first election
};

struct Entry {
  Term term;
  LogIndex index;
  EntryKind kind = EntryKind::data;
  Buffer payload;
  [[nodiscard]] size_t size_bytes() const { return payload.size() + 32; }
};

// A point between two entries, with what lies before it: the term of the last entry and a checksum that runs over all
// entries from the first, so that two logs that agree in (end, last_term) but not in content are found out (R21).
// The empty log is {0, 0, 0}: terms of entries begin at 1.
struct LogPosition {
  LogIndex end;
  Term last_term;
  uint64_t checksum = 0;
  friend bool operator==(const LogPosition&, const LogPosition&) = default;
};

// The running checksum after `entry`.
uint64_t chain_checksum(uint64_t before, const Entry& entry);

// What must survive a crash besides the log (R1).
struct HardState {
  Term term;
  std::optional<NodeKey> voted_for;  // in `term`
  // Entries before it were durable and committed when this was written: a shorter log has lost promises (R21).
  LogIndex committed_floor;
  friend bool operator==(const HardState&, const HardState&) = default;
};

// A snapshot replaces every entry before `position.end` (R14).
struct SnapshotMeta {
  LogPosition position;
  VoterSet voters;  // as of `position`
  uint64_t size_bytes = 0;
  uint32_t state_checksum = 0;  // of the state, by the shell that wrote it; checked where it is installed
  friend bool operator==(const SnapshotMeta&, const SnapshotMeta&) = default;
};
struct Snapshot {
  SnapshotMeta meta;
  Buffer state;  // of the state machine; opaque. The shell maps the file, so that slices cost no memory
};

// What the disk held at start.
struct RestoredState {
  HardState hard_state;
  std::optional<Snapshot> snapshot;
  // Contiguous; begins at `start.end`, which lies at or before the snapshot's end.
  LogPosition start;
  std::vector<Entry> entries;
};

enum class Role : uint8_t { follower, prospective, candidate, leader, resigned, halted };
std::string_view to_string(Role role);
std::string_view to_string(EntryKind kind);

}  // namespace controller::raft

template <>
struct fmt::formatter<controller::raft::NodeKey> : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(const controller::raft::NodeKey& key, Context& ctx) const {
    return fmt::format_to(ctx.out(), "{}", key.id.value);
  }
};
