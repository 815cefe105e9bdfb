#include "common/log/key_map.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "common/model/check.h"

namespace common::log {
namespace {

struct SipState {
  uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void take(uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
  uint64_t finish() {
    for (int i = 0; i < 4; ++i) round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

}  // namespace

KeyHash siphash128(const HashKey& key, model::BytesView bytes) {
  SipState s{key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du ^ 0xee, key[0] ^ 0x6c7967656e657261u,
             key[1] ^ 0x7465646279746573u};
  const size_t whole = bytes.size() / 8 * 8;
  for (size_t at = 0; at < whole; at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, 8);
    s.take(word);
  }
  uint64_t last = static_cast<uint64_t>(bytes.size()) << 56;
  for (size_t at = whole; at < bytes.size(); ++at) last |= static_cast<uint64_t>(bytes[at]) << (8 * (at - whole));
  s.take(last);
  KeyHash hash;
  s.v2 ^= 0xee;
  hash.first = s.finish();
  s.v1 ^= 0xdd;
  hash.second = s.finish();
  return hash;
}
static_assert(std::endian::native == std::endian::little, "words are read as they lie");

KeyMap::KeyMap(uint64_t wanted, const Limits& limits, const HashKey& hash_key) : hash_key_(hash_key) {
  const double load = std::clamp(limits.load_factor, 0.1, 0.95);
  const auto enough = static_cast<uint64_t>(static_cast<double>(wanted) / load) + 2;
  const uint64_t slots = std::max<uint64_t>(std::min(enough, limits.bytes / sizeof(Slot)), 2);
  slots_.resize(slots);
  capacity_ =
      std::min<uint64_t>(slots - 1, std::max<uint64_t>(1, static_cast<uint64_t>(static_cast<double>(slots) * load)));
}

size_t KeyMap::slot_of(const KeyHash& hash) const {
  size_t at = hash.first % slots_.size();
  while (slots_[at].offset >= 0 && slots_[at].hash != hash) at = at + 1 == slots_.size() ? 0 : at + 1;
  return at;
}

void KeyMap::put(model::BytesView key, model::Offset offset) {
  const KeyHash hash = siphash128(hash_key_, key);
  Slot& slot = slots_[slot_of(hash)];
  if (slot.offset < 0) {
    NARU_CHECK(size_ < capacity_, "a key map of {} is full", capacity_);
    ++size_;
    slot.hash = hash;
  }
  slot.offset = std::max(slot.offset, offset.value);
}

std::optional<model::Offset> KeyMap::find(model::BytesView key) const {
  const Slot& slot = slots_[slot_of(siphash128(hash_key_, key))];
  if (slot.offset < 0) return std::nullopt;
  return model::Offset(slot.offset);
}

}  // namespace common::log
