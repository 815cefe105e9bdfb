// The newest batches of all logs of a shard, by reference: followers and consumers that keep up are served from the
// very buffer that the producer's request was read into. The budget counts what the buffers pin: a batch that is a
// small part of its frame is copied out instead. The oldest batch of all logs goes first.
// Thread-compatible: one for each shard, with its share of the budget.
#pragma once
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "common/model/bytes.h"
#include "common/model/types.h"

namespace common::log {

class TailCache {
 public:
  explicit TailCache(size_t budget_bytes) : budget_(budget_bytes) {}
  TailCache(const TailCache&) = delete;
  TailCache& operator=(const TailCache&) = delete;

  [[nodiscard]] size_t budget_bytes() const { return budget_; }
  [[nodiscard]] size_t pinned_bytes() const { return pinned_; }
  void set_budget(size_t bytes);

 private:
  friend class CachedTail;
  struct Frame {
    size_t users = 0;
    size_t bytes = 0;
  };
  struct Entry {
    class CachedTail* tail = nullptr;
    model::Offset base_offset;
    model::Offset last_offset;
    model::Buffer bytes;
    const void* frame = nullptr;
  };
  using Entries = std::list<Entry>;

  void pin(const void* frame, size_t bytes);
  void unpin(const void* frame);
  void shrink();

  size_t budget_;
  size_t pinned_ = 0;
  Entries entries_;  // oldest first, over all logs
  std::unordered_map<const void*, Frame> frames_;
};

// The part of one log: consecutive batches that end at the log end.
class CachedTail {
 public:
  explicit CachedTail(TailCache* cache) : cache_(cache) {}  // null: caches nothing
  ~CachedTail() { clear(); }
  CachedTail(const CachedTail&) = delete;
  CachedTail& operator=(const CachedTail&) = delete;

  struct Batch {
    model::Offset base_offset;
    model::Offset last_offset;
    model::Buffer bytes;
    size_t frame_bytes = 0;  // size of the memory that `bytes` keeps alive; 0: just its own
  };
  void add(Batch batch);
  // The batches from the one that holds `from` on, while they end before `limit` and fit `max_bytes`; the first one in
  // any case if `at_least_one`. None: `from` is not cached.
  struct Found {
    model::BufferChain bytes;
    model::Offset next_offset;
  };
  [[nodiscard]] std::optional<Found> find(model::Offset from, model::Offset limit, size_t max_bytes,
                                          bool at_least_one) const;
  void clear();

 private:
  friend class TailCache;
  void drop_oldest();

  TailCache* cache_;
  std::vector<TailCache::Entries::iterator> batches_;  // from first_ on, in offset order
  size_t first_ = 0;
};

}  // namespace common::log
