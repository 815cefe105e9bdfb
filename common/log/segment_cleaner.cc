#include "common/log/segment_cleaner.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "common/model/mutant.h"
#include "common/records/rewrite.h"

namespace common::log {

using model::mutant;
using records::BatchFacts;
using records::BatchView;
using records::Record;

namespace {

// All old files of a group are open while it is replaced.
constexpr size_t group_max = 64;

tl::unexpected<CleanFault> disk_fault(disk::IoError error) {
  CleanFault fault;
  fault.kind = CleanFault::Kind::disk;
  fault.message = error.message;
  fault.io = std::move(error);
  return tl::unexpected(std::move(fault));
}

tl::unexpected<CleanFault> fault(CleanFault::Kind kind, std::string message) {
  CleanFault fault;
  fault.kind = kind;
  fault.message = std::move(message);
  return tl::unexpected(std::move(fault));
}

}  // namespace

std::vector<size_t> group_segments(const std::vector<SegmentFacts>& segments, const GroupLimits& limits) {
  std::vector<size_t> groups;
  for (size_t first = 0; first < segments.size();) {
    uint64_t bytes = segments[first].size_bytes;
    uint64_t index = segments[first].index_bytes;
    size_t end = first + 1;
    for (; end < std::min(segments.size(), first + group_max); ++end) {
      bytes += segments[end].size_bytes;
      index += segments[end].index_bytes;
      const bool fits = bytes <= std::min<uint64_t>(limits.segment_bytes, INT32_MAX) && index <= limits.index_bytes &&
                        segments[end].end - segments[first].base <= INT32_MAX;
      if (!fits) break;
    }
    groups.push_back(end - first);
    first = end;
  }
  return groups;
}

SegmentCleaner::SegmentCleaner(disk::Disk& disk, std::vector<Source> sources, CompactionRequest request,
                               std::vector<Offset> remembered, const LogConfig& config)
    : disk_(disk),
      sources_(std::move(sources)),
      request_(std::move(request)),
      remembered_(std::move(remembered)),
      config_(config),
      map_end_(sources_.back().end) {
  size_t first = 0;
  while (first + 1 < sources_.size() && sources_[first].end <= request_.first_dirty) ++first;
  rewind(first);
}

void SegmentCleaner::rewind(size_t source) {
  source_ = source;
  position_ = 0;
  window_.reset();
}

// The next batch before the end of `last_source`; none there. The view is good until the next call.
CleanResult<std::optional<BatchView>> SegmentCleaner::next_batch(Want want, size_t last_source) {
  while (position_ >= sources_[source_].size_bytes) {
    if (source_ == last_source) return std::nullopt;
    rewind(source_ + 1);
  }
  const Source& source = sources_[source_];
  // Headers lie far apart: little is read around each.
  const size_t ahead = want == Want::header ? 4096 : request_.step_bytes;
  if (!window_) window_.emplace(*source.file, source.size_bytes, ahead, Waiting::allowed);
  const auto damaged = [&](std::string_view why) {
    return fault(CleanFault::Kind::damaged, fmt::format("{} at byte {}: {}", source.file->path(), position_, why));
  };
  auto head = window_->at(position_, records::batch_header_size);
  if (!head) return disk_fault(head.error());
  auto batch = BatchView::parse_header(*head);
  if (!batch) return damaged(batch.error().message);
  const size_t size = batch->size_bytes();
  if (size > source.size_bytes - position_) return damaged("the segment ends within a batch");
  const bool is_whole = want == Want::whole || batch->is_control();
  if (is_whole) {
    auto bytes = window_->at(position_, size);
    if (!bytes) return disk_fault(bytes.error());
    batch = BatchView::parse(*bytes);
    if (!batch) return damaged(batch.error().message);
    if (!batch->crc_ok()) return damaged("checksum mismatch");
  }
  if (const auto wrong = source.epochs.contradiction(batch->last_offset(), batch->leader_epoch()))
    return damaged(*wrong);
  position_ += size;
  const size_t read = is_whole ? size : std::min<size_t>(size, ahead);
  piece_ += read;
  io_bytes_ += read;
  return *batch;
}

// -- survey --

CleanResult<bool> SegmentCleaner::survey() {
  for (piece_ = 0; piece_ < request_.step_bytes;) {
    auto batch = next_batch(Want::header, sources_.size() - 1);
    if (!batch) return tl::unexpected(batch.error());
    if (!*batch) {
      settle_end();
      size_t first = 0;
      while (first + 1 < sources_.size() && sources_[first].end <= request_.first_dirty) ++first;
      rewind(first);
      map_.emplace(keys_at_most_, request_.map, request_.hash_key);
      return true;
    }
    if ((*batch)->last_offset() < request_.first_dirty) continue;
    auto facts = records::facts_of(**batch, 0);
    if (!facts) return fault(CleanFault::Kind::damaged, facts.error().message);
    if (facts->is_control || facts->is_transactional) note_transaction(*facts);
    if (!facts->is_control) keys_at_most_ += static_cast<uint64_t>(std::max(facts->record_count, 0));
  }
  return false;
}

void SegmentCleaner::note_transaction(const BatchFacts& facts) {
  if (!facts.producer) return;
  if (!facts.is_control) {
    open_.try_emplace(facts.producer->id, facts.base_offset);
    return;
  }
  const auto open = open_.find(facts.producer->id);
  if (!facts.marker || open == open_.end()) return;
  transactions_.emplace(facts.producer->id,
                        Transaction{open->second, facts.base_offset, facts.marker->type == records::MarkerType::abort});
  open_.erase(open);
}

// Only whole transactions: the record of one whose end lies further on is neither the newest of its key nor not.
void SegmentCleaner::settle_end() {
  for (const auto& [producer, first] : open_) map_end_ = std::min(map_end_, first);
  for (bool moved = true; std::exchange(moved, false);) {
    for (const auto& [producer, t] : transactions_) {
      if (t.first >= map_end_ || t.marker < map_end_) continue;
      map_end_ = t.first;
      moved = true;
    }
  }
  map_end_ = std::max(map_end_, request_.first_dirty);
}

bool SegmentCleaner::is_aborted(const BatchView& batch) const {
  if (!batch.is_transactional() || batch.is_control()) return false;
  const auto producer = batch.producer();
  if (!producer) return false;
  const auto [begin, end] = transactions_.equal_range(producer->id);
  return std::any_of(begin, end, [&](const auto& entry) {
    const Transaction& t = entry.second;
    return t.is_aborted && t.first <= batch.base_offset() && batch.base_offset() < t.marker;
  });
}

// -- map --

CleanResult<bool> SegmentCleaner::fill_map() {
  for (piece_ = 0; piece_ < request_.step_bytes;) {
    auto batch = next_batch(Want::whole, sources_.size() - 1);
    if (!batch) return tl::unexpected(batch.error());
    if (!*batch || (*batch)->base_offset() >= map_end_) return true;
    if ((*batch)->last_offset() < request_.first_dirty || (*batch)->is_control() || is_aborted(**batch)) continue;
    if (map_->room() < static_cast<uint64_t>(std::max((*batch)->record_count(), 0))) {
      map_end_ = std::max((*batch)->base_offset(), request_.first_dirty);
      if (map_->size() > 0) return true;
      return fault(CleanFault::Kind::map_too_small,
                   fmt::format("the batch at offset {} has {} records, and log.cleaner.dedupe.buffer.size leaves room "
                               "for {} keys",
                               (*batch)->base_offset(), (*batch)->record_count(), map_->room()));
    }
    if (auto added = add_to_map(**batch); !added) return tl::unexpected(added.error());
  }
  return false;
}

CleanResult<void> SegmentCleaner::add_to_map(const BatchView& batch) {
  const auto walked = records::for_each_record(batch, {}, [&](const Record& record) {
    if (record.key) map_->put(*record.key, record.offset);
  });
  if (!walked) {
    // Its checksum is right: every replica has it so, and none is better.
    return fault(CleanFault::Kind::not_compactable,
                 fmt::format("batch at offset {}: {}", batch.base_offset(), walked.error().message));
  }
  return {};
}

// -- write --

CleanResult<void> SegmentCleaner::begin_group(const Group& group) {
  group_ = group;
  written_ = 0;
  buffer_.clear();
  previous_epoch_ = group.epoch_before;
  rewind(group.first);
  out_ = std::make_unique<Segment>();
  out_->base = sources_[group.first].base;
  out_->forget_batches();
  auto file = disk_.open(group.path, disk::OpenMode::create_if_missing);
  if (!file) return disk_fault(file.error());
  file_ = *file;
  if (auto held = file_->hold_open(); !held) return disk_fault(held.error());
  if (auto emptied = file_->truncate(0); !emptied) return disk_fault(emptied.error());
  return {};
}

CleanResult<bool> SegmentCleaner::write_group() {
  const size_t last_source = group_.first + group_.count - 1;
  for (piece_ = 0; piece_ < request_.step_bytes;) {
    auto batch = next_batch(Want::whole, last_source);
    if (!batch) return tl::unexpected(batch.error());
    if (!*batch) return true;
    bool is_last = position_ == sources_[source_].size_bytes;
    for (size_t i = source_ + 1; i <= last_source; ++i) is_last = is_last && sources_[i].size_bytes == 0;
    if (auto copied = copy(**batch, is_last); !copied) return tl::unexpected(copied.error());
    previous_epoch_ = (*batch)->leader_epoch();
  }
  return false;
}

// Even without records.
bool SegmentCleaner::must_stay(const BatchView& batch, bool is_last) const {
  const bool is_edge = (out_->size_bytes == 0 || is_last) && !mutant<"R71-drops-the-ends-of-compacted-segments">();
  const bool begins_epoch = previous_epoch_ != batch.leader_epoch() && !mutant<"R79-drops-the-starts-of-epochs">();
  const bool is_remembered = std::binary_search(remembered_.begin(), remembered_.end(), batch.last_offset()) &&
                             !mutant<"R84-drops-the-last-batches-of-producers">();
  return is_edge || begins_epoch || is_remembered;
}

bool SegmentCleaner::keeps(const BatchView& batch, const Record& record) const {
  if (!record.key) return false;  // from before the topic was compacted: it can never be superseded (as Kafka)
  const auto newest = map_->find(*record.key);
  if (newest && (*newest > record.offset || mutant<"R107-drops-the-newest">())) return false;
  if (record.value) return true;
  if (mutant<"R107-drops-tombstones-at-once">()) return false;
  const auto horizon = batch.delete_horizon();
  return !horizon || request_.now < *horizon;
}

CleanResult<void> SegmentCleaner::copy(const BatchView& batch, bool is_last) {
  totals_.bytes_before += batch.size_bytes();
  totals_.records_before += static_cast<uint64_t>(std::max(batch.record_count(), 0));
  if (batch.is_control() || batch.base_offset() >= map_end_) return put(batch.bytes());
  const int64_t now = request_.recorded_now.value_or(request_.now).value;
  const int64_t retention = std::min<int64_t>(request_.delete_retention.count(), INT64_MAX - std::max<int64_t>(now, 0));
  records::Rewritten left;
  if (!is_aborted(batch) && batch.record_count() > 0) {
    auto rewritten = records::rewrite(batch, [&](const Record& record) { return keeps(batch, record); },
                                      {.codec = request_.codec,
                                       .compression = request_.compression,
                                       .delete_horizon = TimestampMs(now + retention)});
    if (!rewritten) {
      return fault(CleanFault::Kind::not_compactable,
                   fmt::format("batch at offset {}: {}", batch.base_offset(), rewritten.error().message));
    }
    left = std::move(*rewritten);
  }
  if (left.batch) return put(left.batch->view());
  if (left.kept > 0) return put(batch.bytes());
  if (must_stay(batch, is_last)) return put(records::without_records(batch).view());
  return {};
}

CleanResult<void> SegmentCleaner::put(model::BytesView bytes) {
  const auto batch = BatchView::parse(bytes);
  NARU_CHECK(batch && batch->crc_ok(), "compaction made a bad batch");
  auto facts = records::facts_of(*batch, 0);
  if (!facts) return fault(CleanFault::Kind::damaged, facts.error().message);
  if (out_->size_bytes + bytes.size() > static_cast<uint64_t>(std::numeric_limits<int32_t>::max()))
    return fault(CleanFault::Kind::not_compactable,
                 "a compacted segment would be larger than 2 GiB: its batches compress less than those it is made of");
  out_->note_batch(*facts, out_->size_bytes, config_);
  out_->size_bytes += bytes.size();
  totals_.bytes_after += bytes.size();
  totals_.records_after += static_cast<uint64_t>(facts->record_count);
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  piece_ += bytes.size();
  io_bytes_ += bytes.size();
  if (buffer_.size() >= request_.step_bytes) return write_out();
  return {};
}

CleanResult<void> SegmentCleaner::write_out() {
  if (buffer_.empty()) return {};
  if (auto written = file_->write_at(written_, buffer_); !written) return disk_fault(written.error());
  file_->start_writeback(written_, buffer_.size());
  written_ += buffer_.size();
  buffer_.clear();
  return {};
}

CleanResult<void> SegmentCleaner::finish_group() {
  if (auto written = write_out(); !written) return written;
  out_->finish_times();
  if (!mutant<"R80-swaps-in-what-is-not-synced">()) {
    if (auto synced = file_->sync_now(); !synced) return disk_fault(synced.error());
  }
  file_.reset();
  return {};
}

}  // namespace common::log
