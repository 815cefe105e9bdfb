#include "common/model/check.h"
#include "common/records/batch.h"
#include "common/records/big_endian.h"
#include "common/records/crc32c.h"
#include "common/records/layout.h"
#include "common/records/max_timestamp.h"

namespace common::records {

Offset assign_offsets(const Buffer& batches, const AssignOptions& options) {
  Offset next = options.first_offset;
  BatchCursor cursor(batches.view());
  while (!cursor.at_end()) {
    const size_t at = cursor.position();
    const Result<BatchView> batch = cursor.next();
    NARU_CHECK(batch.has_value(), "assigning offsets to a batch that was not validated");
    const int32_t last_delta = batch->last_offset_delta();
    NARU_CHECK(last_delta >= 0, "last offset delta {}", last_delta);

    // The one place that writes into a Buffer: the contract says that nobody else reads it yet.
    std::byte* const bytes = const_cast<std::byte*>(batches.data()) + at;
    store_be<int64_t>(bytes + layout::base_offset, next.value);
    store_be<int32_t>(bytes + layout::leader_epoch, options.leader_epoch.value);
    if (options.log_append_time) {
      store_be<int16_t>(bytes + layout::attributes,
                        static_cast<int16_t>(batch->attributes() | layout::log_append_time_bit));
      store_be<int64_t>(bytes + layout::max_timestamp, options.log_append_time->value);
      store_be<uint32_t>(bytes + layout::crc, crc32c(batch->bytes().subspan(layout::attributes)));
    }
    next += int64_t{last_delta} + 1;
  }
  return next;
}

void correct_max_timestamp(const Buffer& batch, TimestampMs max_timestamp) {
  const Result<BatchView> view = BatchView::parse(batch.view());
  NARU_CHECK(view.has_value(), "the timestamp of a batch that was not validated");
  if (view->max_timestamp() == max_timestamp) return;
  std::byte* const bytes = const_cast<std::byte*>(batch.data());
  store_be<int64_t>(bytes + layout::max_timestamp, max_timestamp.value);
  store_be<uint32_t>(bytes + layout::crc, crc32c(view->bytes().subspan(layout::attributes)));
}

}  // namespace common::records
