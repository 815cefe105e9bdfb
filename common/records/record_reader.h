// Reads the records of a batch one by one, through the decompressor if there is one, in bounded memory. Internal to
// common/records: others use for_each_record and validate_produced. Belongs to one thread, for one pass.
#pragma once
#include <memory>
#include <optional>

#include "common/records/batch.h"

namespace common::records {

// What validation needs of a record; key and value are skipped, not gathered.
struct RecordShape {
  int64_t timestamp_delta = 0;
  int32_t offset_delta = 0;
  bool has_key = false;
};

class RecordReader {
 public:
  RecordReader(const BatchView& batch, Codec codec, const DecompressLimits& limits);

  // INVALID_RECORD for bytes that are not a record, CORRUPT_MESSAGE and MESSAGE_TOO_LARGE from the decompressor;
  // MESSAGE_TOO_LARGE for a record above the limit. The reader is of no use after an error.
  [[nodiscard]] Result<RecordShape> next_shape();
  // The views are good until the next call.
  [[nodiscard]] Result<Record> next_record();
  // Whether everything was read.
  [[nodiscard]] Result<bool> at_end();

 private:
  std::optional<RecordShape> shape_in_window();
  Result<size_t> open_record();  // returns its length
  Result<void> refill(size_t wanted);
  Result<int64_t> read_varlong();
  Result<int32_t> read_length();
  Result<void> skip(size_t n);
  Result<BytesView> take(size_t n);
  Result<RecordShape> read_head();
  Result<int32_t> read_header_count();
  Result<Record> parse_whole(BytesView bytes);

  const BatchView batch_;
  const size_t max_record_bytes_;
  std::unique_ptr<Decompressor> source_;  // none: `window_` is the whole input
  std::unique_ptr<std::byte[]> room_;
  size_t capacity_ = 0;
  BytesView window_;  // read ahead, not yet consumed
  size_t left_ = 0;   // of the record being read
  std::vector<RecordHeader> headers_;
};

}  // namespace common::records
