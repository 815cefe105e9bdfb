#include "common/log/tail_cache.h"

#include <algorithm>

#include "common/model/check.h"

namespace common::log {

using model::Buffer;
using model::Offset;

void TailCache::set_budget(size_t bytes) {
  budget_ = bytes;
  shrink();
}

void TailCache::pin(const void* frame, size_t bytes) {
  Frame& f = frames_[frame];
  if (f.users++ == 0) {
    f.bytes = bytes;
    pinned_ += bytes;
  }
}

void TailCache::unpin(const void* frame) {
  const auto it = frames_.find(frame);
  NARU_CHECK(it != frames_.end());
  if (--it->second.users > 0) return;
  pinned_ -= it->second.bytes;
  frames_.erase(it);
}

void TailCache::shrink() {
  while (pinned_ > budget_ && !entries_.empty()) entries_.front().tail->drop_oldest();
}

void CachedTail::add(Batch batch) {
  if (!cache_ || batch.bytes.size() > cache_->budget_ / 4) {
    clear();  // a gap in front of the log end is not allowed
    return;
  }
  size_t frame_bytes = std::max(batch.frame_bytes, batch.bytes.size());
  if (batch.bytes.size() < frame_bytes / 4) {
    batch.bytes = Buffer::copy_of(batch.bytes.view());
    frame_bytes = batch.bytes.size();
  }
  NARU_CHECK(first_ == batches_.size() || batches_.back()->last_offset < batch.base_offset);
  const void* frame = batch.bytes.owner().get();
  cache_->entries_.push_back({this, batch.base_offset, batch.last_offset, std::move(batch.bytes), frame});
  batches_.push_back(std::prev(cache_->entries_.end()));
  cache_->pin(frame, frame_bytes);
  cache_->shrink();
}

void CachedTail::drop_oldest() {
  const auto oldest = batches_[first_++];
  cache_->unpin(oldest->frame);
  cache_->entries_.erase(oldest);
  if (first_ == batches_.size()) {
    batches_ = {};
    first_ = 0;
  } else if (first_ > 32 && first_ * 2 > batches_.size()) {
    batches_.erase(batches_.begin(), batches_.begin() + static_cast<ptrdiff_t>(first_));
    first_ = 0;
  }
}

void CachedTail::clear() {
  while (first_ < batches_.size()) drop_oldest();
}

std::optional<CachedTail::Found> CachedTail::find(Offset from, Offset limit, size_t max_bytes,
                                                  bool at_least_one) const {
  if (first_ == batches_.size() || from < batches_[first_]->base_offset) return std::nullopt;
  auto it = std::lower_bound(batches_.begin() + static_cast<ptrdiff_t>(first_), batches_.end(), from,
                             [](const auto& entry, Offset o) { return entry->last_offset < o; });
  Found found{{}, from};
  for (; it != batches_.end(); ++it) {
    const TailCache::Entry& entry = **it;
    if (entry.last_offset >= limit) break;
    const bool is_first = found.bytes.empty();
    if (found.bytes.size() + entry.bytes.size() > max_bytes && !(is_first && at_least_one)) break;
    found.bytes.append(entry.bytes);
    found.next_offset = entry.last_offset.next();
  }
  return found;
}

}  // namespace common::log
