// Reading for a socket: batches that need not be looked at, as they were checked when they were appended here and have
// not left memory since (disk::File::lend). Where they end is found by the index, or by their headers.
#include <algorithm>

#include "common/log/log_impl.h"

namespace common::log {

using model::Buffer;
using records::BatchView;

namespace {

// To send less than so much by itself, or to look at the header of a batch that is smaller, takes longer than to copy
// the bytes.
constexpr size_t least_lent = 64 << 10;
constexpr size_t least_batch = 8 << 10;

// Reads nothing but headers, and of what is in memory alone.
class Headers {
 public:
  explicit Headers(const ReadPlan& plan)
      : plan_(plan), window_(*plan.file, plan.size_bytes, records::batch_header_size, Waiting::never) {}
  // None: it is not there, or no header of a batch of this place.
  std::optional<BatchAt> at(uint64_t position) {
    const auto bytes = window_.at(position, records::batch_header_size);
    if (!bytes) return std::nullopt;
    const auto batch = BatchView::parse_header(*bytes);
    if (!batch || batch->size_bytes() > plan_.size_bytes - position || batch->last_offset() >= plan_.end ||
        plan_.epochs.contradiction(batch->last_offset(), batch->leader_epoch()))
      return std::nullopt;
    return BatchAt{position,
                   batch->size_bytes(),
                   batch->base_offset(),
                   batch->last_offset(),
                   batch->largest_timestamp(),
                   batch->leader_epoch()};
  }

 private:
  const ReadPlan& plan_;
  FileWindow window_;
};

// Of the batches from a place on.
struct Extent {
  size_t bytes = 0;
  Offset next_offset;
};

// The last entry of a batch that begins at or before `position`. None: there is none, or the index is not in memory.
std::optional<OffsetEntry> entry_up_to(IndexFile<OffsetEntry>& index, disk::Disk& disk, const std::string& path,
                                       uint64_t position) {
  const std::vector<OffsetEntry>& pending = index.pending();
  if (!pending.empty() && pending.front().position <= position) {
    const auto after = std::upper_bound(pending.begin(), pending.end(), position,
                                        [](uint64_t p, const OffsetEntry& e) { return p < e.position; });
    return *std::prev(after);
  }
  const IndexReader<OffsetEntry> reader = index.reader(disk, path);
  if (!reader.file) return std::nullopt;
  std::optional<OffsetEntry> found;
  for (size_t low = 0, high = reader.count; low < high;) {
    const size_t middle = low + (high - low) / 2;
    const auto entry = reader.at(middle, Waiting::never);
    if (!entry) return std::nullopt;
    if (entry->position <= position) {
      found = *entry;
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return found;
}

// What comes before the batch that an entry names. The index may lie, and its batch and the first one bear it out
// (R74).
std::optional<Extent> extent_by_index(const ReadPlan& plan, Headers& headers, const BatchAt& first,
                                      const OffsetEntry& entry) {
  if (entry.position < first.position + least_lent) return std::nullopt;
  const auto behind = headers.at(entry.position);
  if (!behind || behind->last_offset != plan.base + entry.relative_offset) return std::nullopt;
  if (behind->base_offset <= first.last_offset || behind->base_offset > plan.request.limit) return std::nullopt;
  return Extent{static_cast<size_t>(entry.position - first.position), behind->base_offset};
}

// None: they are small, or something is odd.
std::optional<Extent> extent_by_headers(const ReadPlan& plan, Headers& headers, BatchAt batch, size_t length) {
  Extent extent{0, plan.request.from};
  const uint64_t begin = batch.position;
  for (size_t count = 1; batch.end() - begin <= length && batch.last_offset < plan.request.limit; ++count) {
    extent = {static_cast<size_t>(batch.end() - begin), batch.last_offset.next()};
    if (count % 8 == 0 && extent.bytes / count < least_batch) return std::nullopt;
    if (batch.end() == plan.size_bytes) break;
    const auto next = headers.at(batch.end());
    if (!next) return std::nullopt;
    const bool is_next = next->base_offset == extent.next_offset;
    if (!is_next && (!plan.may_have_gaps || next->base_offset < extent.next_offset)) return std::nullopt;
    batch = *next;
  }
  return extent;
}

}  // namespace

// None: it is not to be had or not worth it, or something is odd, which a reading of all of it then names.
std::optional<ReadOutcome> Log::Impl::lend(const ReadPlan& plan, Segment& segment) {
  if (!plan.exact_position || *plan.exact_position >= plan.size_bytes) return std::nullopt;
  const uint64_t position = *plan.exact_position;
  const uint64_t rest = plan.size_bytes - position;
  const auto length = static_cast<size_t>(std::min<uint64_t>(rest, plan.request.max_bytes));
  if (length < least_lent) return std::nullopt;
  std::shared_ptr<const disk::FilePiece> piece = plan.file->lend(position, length);
  if (!piece) return std::nullopt;
  Headers headers(plan);
  const auto first = headers.at(position);
  if (!first || first->last_offset < plan.request.from) return std::nullopt;
  if (first->base_offset > plan.request.from && !plan.may_have_gaps) return std::nullopt;
  std::optional<Extent> extent;
  if (length < rest) {
    const auto entry =
        entry_up_to(segment.offsets, disk, path(segment.base, offset_index_suffix), position + length);
    if (entry) extent = extent_by_index(plan, headers, *first, *entry);
  }
  if (!extent) extent = extent_by_headers(plan, headers, *first, length);
  if (!extent || extent->bytes < least_lent) return std::nullopt;
  Buffer records(piece, piece->view().first(extent->bytes));
  return ReadOutcome{{std::move(records), extent->next_offset, false, std::move(piece)}, position + extent->bytes};
}

}  // namespace common::log
