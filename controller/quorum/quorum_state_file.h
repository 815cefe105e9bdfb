// Term and vote on disk (R1): a file of two slots, each with a checksum, each written in place and synced.
//
// A save writes the slot that does not hold the newest state, so that a torn write leaves the older one; once it is
// durable and nothing newer waits, the other slot is brought up to it, so that rot in one of them does not bring an
// older vote back.
//
//   slot  := magic:u32 version:u16 sequence:u64 term:i32 has_vote:u8 node:i32 directory:16 bytes
//            committed_floor:i64 starts:u64 crc32c:u32          (big-endian; at 0 and at 4096)
//
// Lives on the controller's shard.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/disk/disk.h"
#include "controller/raft/types.h"

namespace controller::quorum {

struct QuorumState {
  raft::HardState hard_state;
  uint64_t starts = 0;  // of the process on this directory: sessions with peers rise with it (R23)
  friend bool operator==(const QuorumState&, const QuorumState&) = default;
};

class QuorumStateFile {
 public:
  // Waits for the disk. The state is absent if the file is, or if neither slot can be read.
  struct Opened {
    std::unique_ptr<QuorumStateFile> file;
    std::optional<QuorumState> state;
  };
  static common::model::Result<Opened> open(common::disk::Disk& disk, const std::string& directory);

  // Durable when it returns: at start.
  common::model::Result<void> save_now(const QuorumState& state);
  // `done` when durable; only after the previous call's. An error is final (R76).
  void save(const QuorumState& state, std::function<void(common::model::Result<void>)> done);

 private:
  explicit QuorumStateFile(std::shared_ptr<common::disk::File> file)
      : file_(std::move(file)), alive_(std::make_shared<bool>(true)) {}
  common::model::Result<void> write_slot(int slot, const QuorumState& state, uint64_t sequence);
  void write_newest();
  void copy_to_other();

  std::shared_ptr<common::disk::File> file_;
  int newest_slot_ = 1;
  uint64_t sequence_ = 0;  // of the newest slot
  QuorumState state_;      // the newest
  bool is_copying_ = false;
  std::function<void(common::model::Result<void>)> waiting_;  // a save that waits for the copy
  std::shared_ptr<bool> alive_;
};

}  // namespace controller::quorum
