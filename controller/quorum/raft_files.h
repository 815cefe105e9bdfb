// The files of the metadata log beside its segments, as bytes: how an entry lies in a record batch, a snapshot in its
// file, and who this node is in quorum.properties. Pure functions.
#pragma once
#include <optional>
#include <string>

#include "common/model/result.h"
#include "common/records/batch.h"
#include "controller/raft/types.h"

namespace controller::quorum {

using common::model::Buffer;
using common::model::BytesView;
using common::model::Result;

// --- entries: one record batch each, leader epoch = term, one record
//   key := version:u8=1 kind:u8 previous_term:i32 checksum_before:u64      value := payload
// The position before the entry makes every suffix of the log readable by itself, and the chain checkable (R21).
Buffer encode_entry(const raft::Entry& entry, const raft::LogPosition& before, common::model::TimestampMs now);
struct StoredEntry {
  raft::Entry entry;
  raft::LogPosition before;
};
Result<StoredEntry> decode_entry(const common::records::BatchView& batch);

// --- snapshots: {end, 20 digits}-{term, 10 digits}.checkpoint
//   file := magic:u32 version:u16 end:i64 last_term:i32 checksum:u64 voters_size:u32 voters state_size:u64
//           state_crc32c:u32 header_crc32c:u32 state
std::string snapshot_file_name(const raft::LogPosition& position);
// End and term of a name; absent for other files.
std::optional<raft::LogPosition> parse_snapshot_file_name(std::string_view name);
Buffer encode_snapshot(const raft::Snapshot& snapshot);
Result<raft::Snapshot> decode_snapshot(const Buffer& file);

// --- quorum.properties: who this node is in which quorum, and how far the first start has come
enum class FormationState {
  empty,     // has a directory id, knows no cluster
  accepted,  // the first voter set is here, but not known to be everywhere
  formed,    // belongs to a cluster
};
struct QuorumProperties {
  raft::NodeKey key;
  FormationState state = FormationState::empty;
  std::string cluster_id;       // accepted, formed
  raft::VoterSet first_voters;  // accepted: to be written as the bootstrap entry; empty on an observer
  friend bool operator==(const QuorumProperties&, const QuorumProperties&) = default;
};
std::string encode_properties(const QuorumProperties& properties);
Result<QuorumProperties> decode_properties(std::string_view text);

// A cluster id as 16 bytes: what it spells, or a hash of any other text.
common::model::Uuid cluster_uuid(const std::string& cluster_id);

}  // namespace controller::quorum
