// Where the newest record of each key lies, for compaction: 24 bytes a key, whatever its length, in a table of fixed
// size (log.cleaner.dedupe.buffer.size). Keys are told apart by a 128-bit keyed hash (SipHash-2-4): as with Kafka's MD5
// two of them will not meet, and as the hash's key is drawn anew for each table, nobody can make them.
// Thread-compatible.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/model/bytes.h"
#include "common/model/types.h"

namespace common::log {

using HashKey = std::array<uint64_t, 2>;
struct KeyHash {
  uint64_t first = 0;
  uint64_t second = 0;
  friend bool operator==(const KeyHash&, const KeyHash&) = default;
};
[[nodiscard]] KeyHash siphash128(const HashKey& key, model::BytesView bytes);

class KeyMap {
 public:
  struct Limits {
    uint64_t bytes = 128u << 20;
    double load_factor = 0.9;  // log.cleaner.io.buffer.load.factor
  };
  // For `wanted` keys, or as many as the limits allow.
  KeyMap(uint64_t wanted, const Limits& limits, const HashKey& hash_key);

  [[nodiscard]] uint64_t size() const { return size_; }
  [[nodiscard]] uint64_t room() const { return capacity_ - size_; }
  // Needs room. Offsets of one key come in order.
  void put(model::BytesView key, model::Offset offset);
  [[nodiscard]] std::optional<model::Offset> find(model::BytesView key) const;

 private:
  struct Slot {
    KeyHash hash;
    int64_t offset = -1;  // -1: free
  };
  static_assert(sizeof(Slot) == 24);
  [[nodiscard]] size_t slot_of(const KeyHash& hash) const;

  HashKey hash_key_;
  std::vector<Slot> slots_;  // at least one is free, so that a search ends
  uint64_t capacity_ = 0;
  uint64_t size_ = 0;
};

}  // namespace common::log
