#include "common/model/uuid.h"

namespace common::model {
namespace {
constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

uint64_t read_half(const uint8_t* p) {
  uint64_t v = 0;
  for (int i = 0; i < 8; ++i) v = v << 8 | p[i];
  return v;
}
}  // namespace

Uuid Uuid::from_halves(uint64_t high, uint64_t low) {
  Uuid u;
  for (int i = 0; i < 8; ++i) {
    u.bytes[i] = static_cast<uint8_t>(high >> (56 - 8 * i));
    u.bytes[8 + i] = static_cast<uint8_t>(low >> (56 - 8 * i));
  }
  return u;
}

uint64_t Uuid::high() const {
  return read_half(bytes.data());
}
uint64_t Uuid::low() const {
  return read_half(bytes.data() + 8);
}

std::string Uuid::to_string() const {
  std::string out;
  out.reserve(22);
  uint32_t bits = 0;
  int held = 0;
  for (uint8_t b : bytes) {
    bits = bits << 8 | b;
    held += 8;
    while (held >= 6) {
      held -= 6;
      out.push_back(alphabet[bits >> held & 63]);
    }
  }
  out.push_back(alphabet[bits << (6 - held) & 63]);
  return out;
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() != 22) return std::nullopt;
  Uuid u;
  uint32_t bits = 0;
  int held = 0;
  size_t at = 0;
  for (char c : text) {
    const size_t digit = alphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    held += 6;
    if (held >= 8) {
      held -= 8;
      u.bytes[at++] = static_cast<uint8_t>(bits >> held);
    }
  }
  if ((bits & ((1u << held) - 1)) != 0) return std::nullopt;
  return u;
}

Uuid random_uuid(uint64_t random_high, uint64_t random_low) {
  random_high = (random_high & ~0xf000ull) | 0x4000ull;
  random_low = (random_low & ~(3ull << 62)) | (2ull << 62);
  Uuid u = Uuid::from_halves(random_high, random_low);
  // A text that begins with '-' would be taken for an option on a command line.
  if (u.to_string().front() == '-') u.bytes[0] = static_cast<uint8_t>(u.bytes[0] & 0x7f);
  return u;
}

}  // namespace common::model
