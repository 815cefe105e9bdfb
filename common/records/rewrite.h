// What is left of a stored batch when some of its records go (compaction). Offsets, epochs, sequences and the range of
// offsets that the batch covers stay; so do the bytes, as long as nothing has to change. Pure; any thread.
#pragma once
#include <functional>
#include <optional>

#include "common/model/limits.h"
#include "common/records/batch.h"

namespace common::records {

struct RewriteOptions {
  // Codec of batches that have to be written anew; none: the one that the batch has, which is also taken where this one
  // would make a larger batch of it.
  std::optional<Codec> codec;
  CompressOptions compression;
  // For a batch that keeps tombstones and has no delete horizon yet (KIP-534).
  std::optional<TimestampMs> delete_horizon;
  // A batch that would grow beyond this stays as it is, with all of its records.
  size_t batch_bytes_max = model::batch_bytes_limit;
};

struct Rewritten {
  int32_t kept = 0;
  std::optional<Buffer> batch;  // none: nothing is left (kept == 0), or the batch stays as it is
};

using KeepRecord = std::function<bool(const Record&)>;
// `batch` is a data batch whose checksum was checked. INVALID_RECORD and the like: it cannot be read.
[[nodiscard]] Result<Rewritten> rewrite(const BatchView& batch, const KeepRecord& keep, const RewriteOptions& options);

// The same records under another codec (compression.type); nothing else changes. MESSAGE_TOO_LARGE: they take more than
// `uncompressed_max` bytes without one.
[[nodiscard]] Result<Buffer> recompress(const BatchView& batch, Codec codec, const CompressOptions& compression,
                                        size_t uncompressed_max);

// The batch without any record: it still tells its offsets, leader epoch and the producer's sequence.
[[nodiscard]] Buffer without_records(const BatchView& batch);

}  // namespace common::records
