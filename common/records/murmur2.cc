#include <cstring>

#include "common/model/check.h"
#include "common/records/batch.h"

namespace common::records {

uint32_t murmur2(BytesView key) {
  constexpr uint32_t m = 0x5bd1e995;
  constexpr int r = 24;
  uint32_t h = 0x9747b28cu ^ static_cast<uint32_t>(key.size());
  while (key.size() >= 4) {
    uint32_t k;
    std::memcpy(&k, key.data(), 4);  // little-endian, as the reference
    k *= m;
    k ^= k >> r;
    k *= m;
    h = (h * m) ^ k;
    key = key.subspan(4);
  }
  if (!key.empty()) {
    for (size_t i = 0; i < key.size(); ++i) h ^= static_cast<uint32_t>(key[i]) << (8 * i);
    h *= m;
  }
  h ^= h >> 13;
  h *= m;
  h ^= h >> 15;
  return h;
}

model::PartitionIndex partition_for_key(BytesView key, int32_t partition_count) {
  NARU_CHECK(partition_count > 0, "{} partitions", partition_count);
  return model::PartitionIndex(static_cast<int32_t>(murmur2(key) & 0x7fffffff) % partition_count);
}

}  // namespace common::records
