// For one partition that this broker follows in one leader epoch: what to ask the leader for, and what to do with its
// answer: append, cut the log, start over at the leader's log start, or wait. Truncation is by leader epoch and never
// by high watermark (KIP-101, KIP-279, KIP-595; R59-R67).
//
// Why it exists: each past loss of a committed record in such systems was a wrong decision in here, so it is arithmetic
// that a scenario file can walk through. The log itself is only looked at through LogView.
//
// Thread-compatible: lives on its partition's shard.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "common/model/error_code.h"
#include "common/model/types.h"

namespace broker::partition {

// Where an epoch ends: the largest known epoch at or below the one asked for, and the start of the one after it (R60).
struct EpochEnd {
  common::model::LeaderEpoch epoch;
  common::model::Offset end_offset;
  friend bool operator==(const EpochEnd&, const EpochEnd&) = default;
};

// What reconciliation needs to know of a log, now.
class LogView {
 public:
  virtual ~LogView() = default;
  [[nodiscard]] virtual common::model::Offset log_start_offset() const = 0;
  [[nodiscard]] virtual common::model::Offset log_end_offset() const = 0;
  [[nodiscard]] virtual std::optional<common::model::LeaderEpoch> latest_epoch() const = 0;
  // R60 over our own epoch cache; none if we know no epoch at or below `epoch`.
  [[nodiscard]] virtual std::optional<EpochEnd> end_offset_for(common::model::LeaderEpoch epoch) const = 0;
};

// The leader's half (R61, KIP-595): none if a log up to `fetch_offset` whose last record is of `last_epoch` is a prefix
// of the leader's; else where the leader's log parted from it.
[[nodiscard]] std::optional<EpochEnd> find_divergence(const LogView& leader, common::model::LeaderEpoch last_epoch,
                                                      common::model::Offset fetch_offset);

// R61: what a fetch says. The leader finds a divergence from fetch_offset and last_epoch alone.
struct FetchAsk {
  common::model::LeaderEpoch leader_epoch;
  common::model::Offset fetch_offset;
  std::optional<common::model::LeaderEpoch> last_epoch;
  friend bool operator==(const FetchAsk&, const FetchAsk&) = default;
};

// The leader's answer, without the records.
struct LeaderAnswer {
  FetchAsk asked;  // echoed by the stream: R63 compares it with what we would ask now
  common::model::ErrorCode error = common::model::ErrorCode::none;
  std::optional<EpochEnd> diverging;
  common::model::Offset high_watermark;
  common::model::Offset log_start_offset;
  common::model::Offset log_end_offset;
  bool has_records = false;
  bool counts_synced = false;  // the leader waits for syncs, whatever our own settings say
  bool differs = false;        // our last batch is not the leader's, though epochs and offsets agree (R59)
};

// What to do. After any of them but Wait, ask again from where the log then stands.
struct Ignore {
  std::string_view why;
};  // not an answer to what we would ask now (R63)
struct Append {};  // the records, then advance_to()
struct TruncateTo {
  common::model::Offset offset;
};  // also at or past the log end: it cleans the epoch cache (R66)
struct RestartAt {
  common::model::Offset offset;
};  // drop everything, begin there (R67)
struct AwaitMetadata {
  common::model::ErrorCode code;
};  // one of us is behind: the next record of the partition decides
struct Backoff {
  common::model::ErrorCode code;
};  // this partition alone waits, the stream goes on (R69)
using FollowerAction = std::variant<Ignore, Append, TruncateTo, RestartAt, AwaitMetadata, Backoff>;

class FollowerReconciler {
 public:
  FollowerReconciler(common::model::LeaderEpoch leader_epoch, common::model::Offset high_watermark)
      : leader_epoch_(leader_epoch), high_watermark_(high_watermark) {}

  [[nodiscard]] FetchAsk ask(const LogView& log) const;
  [[nodiscard]] FollowerAction on_answer(const LeaderAnswer& answer, const LogView& log) const;

  // R65: min(leader's, own log end), never taken from a diverging answer (R62). It may lie below what an earlier leader
  // told us; within an epoch it does not go back. Returns whether it moved.
  bool advance_to(common::model::Offset leader_high_watermark, const LogView& log);
  // The log was cut or restarted: the high watermark cannot lie outside it (R66).
  void on_log_replaced(const LogView& log);

  [[nodiscard]] common::model::Offset high_watermark() const { return high_watermark_; }
  [[nodiscard]] common::model::LeaderEpoch leader_epoch() const { return leader_epoch_; }

 private:
  [[nodiscard]] FollowerAction on_diverging(const EpochEnd& leader, const LogView& log) const;

  common::model::LeaderEpoch leader_epoch_;
  common::model::Offset high_watermark_;
};

}  // namespace broker::partition
