// What a partition remembers of each idempotent or transactional producer, to refuse duplicates and gaps over retries,
// leader changes and restarts (R84-R88, KIP-98). A function of the log alone: fed with every appended batch in order,
// by the leader, a follower and recovery alike; saved beside segments in Kafka's producer snapshot format.
//
// Also knows where the oldest undecided transaction begins, which bounds read_committed (LSO, R94).
//
// Thread-compatible: lives with its log, on the partition's shard.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "common/records/validate.h"

namespace common::records {

// A batch that the log already holds.
struct KnownBatch {
  Offset first_offset;
  Offset last_offset;
  TimestampMs timestamp;  // its largest
};

// A transaction whose end marker was appended.
struct CompletedTxn {
  ProducerId producer;
  Offset first_offset;   // of its first record
  Offset marker_offset;  // of its marker
  MarkerType outcome = MarkerType::abort;
};

// For DescribeProducers.
struct ProducerSummary {
  ProducerId id;
  ProducerEpoch epoch;
  std::optional<int32_t> last_sequence;
  TimestampMs last_append_time;
  std::optional<int32_t> coordinator_epoch;
  std::optional<Offset> txn_first_offset;
};

class ProducerStateTable {
 public:
  // How many batches of a producer are remembered: as many as a client may have in flight (R85).
  static constexpr size_t batches_kept = 5;

  // Before a leader appends a client's batch that carries a producer stamp. None: append it. A KnownBatch: do not
  // append, answer with its offsets (for acks=all once they are committed).
  // OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE (a data batch breaks into a transaction).
  [[nodiscard]] Result<std::optional<KnownBatch>> check(const BatchFacts& batch) const;
  [[nodiscard]] bool knows(ProducerId producer) const { return producers_.contains(producer); }
  // Before a leader appends an end marker: a lower producer or coordinator epoch is refused (R92).
  // INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED.
  [[nodiscard]] Result<void> check_marker(const BatchFacts& batch) const;

  // After any batch got its place in the log, whatever its origin; those without a producer stamp are ignored.
  // `append_time` is this replica's clock (at recovery: the segment's modification time): expiry runs on it (R88).
  // Returns the transaction that a marker has ended.
  std::optional<CompletedTxn> on_append(const BatchFacts& batch, Offset base_offset, TimestampMs append_time);

  // Forgets producers without an append for `expiration_ms`, unless in a transaction. Returns how many.
  size_t expire(TimestampMs now, int64_t expiration_ms);

  // The high watermark has moved: transactions whose marker lies below it are decided (R94).
  void on_high_watermark(Offset high_watermark);
  // First record of the oldest transaction that is open or whose marker is not yet below the high watermark. May lie
  // before the log start: take the larger then.
  [[nodiscard]] std::optional<Offset> first_unstable_offset() const;

  // Last offsets of all batches that are remembered, ascending: compaction keeps those batches, so that a replay
  // remembers them too.
  [[nodiscard]] std::vector<Offset> remembered_batches() const;

  void clear();
  [[nodiscard]] size_t size() const { return producers_.size(); }
  [[nodiscard]] size_t places() const { return producers_.bucket_count(); }  // that there is memory for
  [[nodiscard]] std::vector<ProducerSummary> describe() const;

  // Kafka's snapshot file (version 1, CRC-32C), followed by an extension that Kafka skips: the older remembered
  // batches and what else a restart must not forget. A file without the extension, or of Kafka's making, loads as well.
  // Sorted by producer id.
  [[nodiscard]] std::vector<std::byte> encode_snapshot() const;
  // CORRUPT_MESSAGE on a wrong version, checksum or length: rebuild from the log then.
  [[nodiscard]] static Result<ProducerStateTable> decode_snapshot(BytesView file);

 private:
  struct Batch {
    int32_t last_sequence = 0;
    int32_t offset_delta = 0;
    Offset last_offset;
    TimestampMs timestamp;
  };
  struct Producer {
    ProducerEpoch epoch;
    TimestampMs last_append_time;
    std::optional<int32_t> coordinator_epoch;
    std::optional<Offset> txn_first_offset;
    // The newest `batch_count` of the current epoch, oldest first. Empty after a marker began a new epoch.
    std::array<Batch, batches_kept> batches;
    size_t batch_count = 0;
  };

  struct SnapshotReader;  // producer_snapshot.cc

  [[nodiscard]] static bool is_in_sequence(const Producer& producer, const BatchFacts& batch);
  std::optional<CompletedTxn> on_marker(Producer& producer, const BatchFacts& batch, Offset offset);
  static void remember(Producer& producer, const Batch& batch);

  boost::unordered_flat_map<ProducerId, Producer, std::hash<ProducerId>> producers_;
  // Invariant: open_ holds exactly the txn_first_offset of each producer that has one.
  std::map<Offset, ProducerId> open_;
  std::map<Offset, Offset> unreplicated_;  // first offset -> marker offset, marker not yet below the high watermark
};

}  // namespace common::records
