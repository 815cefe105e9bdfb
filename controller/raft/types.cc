#include "controller/raft/types.h"

#include <algorithm>

namespace controller::raft {
namespace {

using common::model::ErrorCode;
using common::model::fail;

constexpr uint8_t encoding_version = 1;
constexpr uint8_t encoding_version_awaited = 2;  // used only where somebody is awaited

// 64 x 64 -> 128 bit multiplication folded: enough to tell contents apart, which is all that is asked of it.
uint64_t mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product =
      static_cast<unsigned __int128>(a ^ 0x9e3779b97f4a7c15ull) * (b ^ 0xd1b54a32d192ed03ull);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t hash_bytes(uint64_t seed, BytesView bytes) {
  uint64_t state = mix(seed, bytes.size());
  for (size_t at = 0; at < bytes.size(); at += 8) {
    uint64_t word = 0;
    const size_t length = std::min<size_t>(8, bytes.size() - at);
    for (size_t i = 0; i < length; ++i) word |= std::to_integer<uint64_t>(bytes[at + i]) << (8 * i);
    state = mix(state, word);
  }
  return state;
}

class Out {
 public:
  void number(uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) bytes_.push_back(static_cast<std::byte>(value >> (8 * i)));
  }
  void raw(BytesView bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  Buffer take() { return Buffer::own(std::move(bytes_)); }

 private:
  std::vector<std::byte> bytes_;
};

// Once something is missing, every later read fails and `ok` says so.
class In {
 public:
  explicit In(BytesView bytes) : left_(bytes) {}
  uint64_t number(int bytes) {
    uint64_t value = 0;
    for (const std::byte b : raw(static_cast<size_t>(bytes))) value = value << 8 | std::to_integer<uint64_t>(b);
    return value;
  }
  BytesView raw(size_t length) {
    if (length > left_.size()) ok_ = false;
    if (!ok_) return {};
    const BytesView taken = left_.first(length);
    left_ = left_.subspan(length);
    return taken;
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return left_.empty(); }

 private:
  BytesView left_;
  bool ok_ = true;
};

}  // namespace

VoterSet::VoterSet(std::vector<Voter> voters) : voters_(std::move(voters)) {
  std::sort(voters_.begin(), voters_.end(), [](const Voter& a, const Voter& b) { return a.key.id < b.key.id; });
  for (size_t i = 1; i < voters_.size(); ++i)
    NARU_CHECK(voters_[i - 1].key.id < voters_[i].key.id, "voter {} twice", voters_[i].key.id);
}

bool VoterSet::contains(const NodeKey& key) const {
  const Voter* voter = find(key.id);
  return voter != nullptr && voter->key == key;
}

const Voter* VoterSet::find(BrokerId id) const {
  const auto found = std::find_if(voters_.begin(), voters_.end(), [&](const Voter& v) { return v.key.id == id; });
  return found == voters_.end() ? nullptr : &*found;
}

VoterSet VoterSet::with(Voter voter) const {
  std::vector<Voter> all = voters_;
  VoterSet set = not_awaiting(voter.key.id);
  all.push_back(std::move(voter));
  set.voters_ = VoterSet(std::move(all)).voters_;
  return set;
}

VoterSet VoterSet::without(const NodeKey& key) const {
  VoterSet set = *this;
  std::erase_if(set.voters_, [&](const Voter& v) { return v.key == key; });
  return set;
}

VoterSet VoterSet::with_endpoint(const NodeKey& key, Endpoint endpoint) const {
  VoterSet set = *this;
  for (Voter& v : set.voters_)
    if (v.key == key) v.endpoint = std::move(endpoint);
  return set;
}

bool VoterSet::awaits(BrokerId id) const {
  return std::binary_search(awaited_.begin(), awaited_.end(), id);
}

VoterSet VoterSet::awaiting(BrokerId id) const {
  NARU_CHECK(find(id) == nullptr, "voter {} is awaited", id);
  VoterSet set = not_awaiting(id);
  set.awaited_.insert(std::lower_bound(set.awaited_.begin(), set.awaited_.end(), id), id);
  return set;
}

VoterSet VoterSet::not_awaiting(BrokerId id) const {
  VoterSet set = *this;
  std::erase(set.awaited_, id);
  return set;
}

// voter-set := version:u8 count:u8 voter* awaited?       awaited, in version 2 := count:u8 id:i32*
// voter     := id:i32 directory:16 bytes port:u16 min:i16 max:i16 host-length:u16 host     (all big-endian)
Buffer VoterSet::encode() const {
  Out out;
  out.number(awaited_.empty() ? encoding_version : encoding_version_awaited, 1);
  out.number(voters_.size(), 1);
  for (const Voter& v : voters_) {
    out.number(static_cast<uint32_t>(v.key.id.value), 4);
    out.raw(std::as_bytes(std::span(v.key.directory.bytes)));
    out.number(v.endpoint.port, 2);
    out.number(static_cast<uint16_t>(v.versions.min), 2);
    out.number(static_cast<uint16_t>(v.versions.max), 2);
    out.number(v.endpoint.host.size(), 2);
    out.raw(common::model::as_bytes(v.endpoint.host));
  }
  if (awaited_.empty()) return out.take();
  out.number(awaited_.size(), 1);
  for (const BrokerId id : awaited_) out.number(static_cast<uint32_t>(id.value), 4);
  return out.take();
}

Result<VoterSet> VoterSet::decode(BytesView bytes) {
  In in(bytes);
  const uint64_t version = in.number(1);
  if (version != encoding_version && version != encoding_version_awaited)
    return fail(ErrorCode::corrupt_message, "voter set of an unknown version");
  const size_t count = in.number(1);
  std::vector<Voter> voters;
  for (size_t i = 0; i < count && in.ok(); ++i) {
    Voter v;
    v.key.id = BrokerId(static_cast<int32_t>(in.number(4)));
    const BytesView directory = in.raw(16);
    if (in.ok())
      std::transform(directory.begin(), directory.end(), v.key.directory.bytes.begin(), std::to_integer<uint8_t>);
    v.endpoint.port = static_cast<uint16_t>(in.number(2));
    v.versions.min = static_cast<int16_t>(in.number(2));
    v.versions.max = static_cast<int16_t>(in.number(2));
    v.endpoint.host = common::model::as_text(in.raw(in.number(2)));
    if (v.key.id < BrokerId(0) || (!voters.empty() && voters.back().key.id >= v.key.id))
      return fail(ErrorCode::corrupt_message, "voters out of order");
    voters.push_back(std::move(v));
  }
  VoterSet set(std::move(voters));
  const size_t awaited = version == encoding_version_awaited ? in.number(1) : 0;
  for (size_t i = 0; i < awaited && in.ok(); ++i) {
    const BrokerId id(static_cast<int32_t>(in.number(4)));
    if (id < BrokerId(0) || set.find(id) != nullptr || (!set.awaited_.empty() && set.awaited_.back() >= id))
      return fail(ErrorCode::corrupt_message, "awaited voters out of order");
    set.awaited_.push_back(id);
  }
  const bool is_canonical = (version == encoding_version_awaited) == !set.awaited_.empty();
  if (!in.ok() || !in.at_end() || !is_canonical)
    return fail(ErrorCode::corrupt_message, "voter set cut short or too long");
  return set;
}

uint64_t chain_checksum(uint64_t before, const Entry& entry) {
  uint64_t state = mix(before, static_cast<uint64_t>(entry.index.value));
  state = mix(state, static_cast<uint64_t>(entry.term.value) << 8 | static_cast<uint64_t>(entry.kind));
  return hash_bytes(state, entry.payload.view());
}

std::string_view to_string(Role role) {
  switch (role) {
    case Role::follower:
      return "follower";
    case Role::prospective:
      return "prospective";
    case Role::candidate:
      return "candidate";
    case Role::leader:
      return "leader";
    case Role::resigned:
      return "resigned";
    case Role::halted:
      return "halted";
  }
  return "?";
}

std::string_view to_string(EntryKind kind) {
  switch (kind) {
    case EntryKind::data:
      return "data";
    case EntryKind::leader_change:
      return "leader-change";
    case EntryKind::voters:
      return "voters";
    case EntryKind::bootstrap:
      return "bootstrap";
  }
  return "?";
}

}  // namespace controller::raft
