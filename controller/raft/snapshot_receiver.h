// A snapshot on its way in from the leader: which, how much of it is stored, whether it is being installed (R15).
// Thread-compatible.
#pragma once
#include <optional>

#include "common/model/mutant.h"
#include "controller/raft/effects.h"

namespace controller::raft {

class SnapshotReceiver {
 public:
  enum class Verdict {
    store,   // the next piece
    again,   // not the piece that is due: ask for `next_offset`
    refuse,  // contradicts itself
    busy,    // complete, being installed
  };
  // A request of term `term`. A new term or another snapshot starts over, and only at its first byte.
  Verdict on_piece(const SnapshotRequest& request, Term term) {
    if (installing_) return Verdict::busy;
    if (request.offset == 0) {
      meta_ = request.meta;
      term_ = term;
      next_offset_ = 0;
    }
    if (!meta_ || ((term != term_ || request.meta != *meta_) && !common::model::mutant<"R15-mixes-two-snapshots">())) {
      abandon();
      return Verdict::again;
    }
    if (request.offset != next_offset_ && !common::model::mutant<"R15-takes-any-piece">()) return Verdict::again;
    const uint64_t left = meta_->size_bytes - next_offset_;
    if (request.bytes.size() > left || (request.bytes.empty() && left > 0)) {
      abandon();
      return Verdict::refuse;
    }
    next_offset_ += request.bytes.size();
    return Verdict::store;
  }
  [[nodiscard]] bool is_complete() const { return meta_ && next_offset_ == meta_->size_bytes; }
  [[nodiscard]] uint64_t next_offset() const { return next_offset_; }

  void begin_install(PersistToken token) { installing_ = token; }
  [[nodiscard]] bool is_installing() const { return installing_.has_value(); }
  [[nodiscard]] bool is_durable_with(PersistToken token) const { return installing_ && *installing_ <= token; }
  // What is being installed; the receiver is idle again.
  SnapshotMeta finish() {
    installing_.reset();
    SnapshotMeta done = *std::exchange(meta_, std::nullopt);
    next_offset_ = 0;
    return done;
  }

 private:
  void abandon() {
    meta_.reset();
    next_offset_ = 0;
  }

  std::optional<SnapshotMeta> meta_;
  Term term_;
  uint64_t next_offset_ = 0;
  std::optional<PersistToken> installing_;
};

}  // namespace controller::raft
