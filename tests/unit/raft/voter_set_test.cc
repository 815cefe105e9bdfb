// Voter sets as bytes: what was written before anybody could be awaited stays as it was, and nothing is taken that two
// nodes could read differently.
#include <catch2/catch.hpp>

#include "raft/sim_node.h"

namespace raft_test {
namespace {

Buffer with_tail(const Buffer& bytes, uint8_t version, const std::vector<uint8_t>& tail) {
  std::vector<std::byte> all(bytes.view().begin(), bytes.view().end());
  all[0] = std::byte{version};
  for (const uint8_t b : tail) all.push_back(std::byte{b});
  return Buffer::own(std::move(all));
}

}  // namespace

TEST_CASE("voter sets survive being written, with and without awaited ids") {
  const VoterSet plain = voters_of({1, 2, 3});
  CHECK(std::to_integer<int>(plain.encode().view()[0]) == 1);
  CHECK(VoterSet::decode(plain.encode().view()).value() == plain);
  const VoterSet awaiting = plain.without(key_of(2, 1)).awaiting(BrokerId(2)).awaiting(BrokerId(7));
  CHECK(std::to_integer<int>(awaiting.encode().view()[0]) == 2);
  CHECK(VoterSet::decode(awaiting.encode().view()).value() == awaiting);
  CHECK(awaiting.awaited() == std::vector{BrokerId(2), BrokerId(7)});
}

TEST_CASE("an id is awaited until it votes or is given up") {
  const VoterSet set = voters_of({1, 3}).awaiting(BrokerId(2));
  CHECK(set.awaits(BrokerId(2)));
  CHECK_FALSE(set.with(voter_of(2, 2)).awaits(BrokerId(2)));
  CHECK(set.with(voter_of(4)).awaits(BrokerId(2)));
  CHECK(set.without(key_of(3, 1)).awaits(BrokerId(2)));
  CHECK(set.with_endpoint(key_of(3, 1), {"h", 1}).awaits(BrokerId(2)));
  CHECK(set.with_endpoint(key_of(3, 1), {"h", 1}).find(BrokerId(3))->endpoint == Endpoint{"h", 1});
  CHECK(set.not_awaiting(BrokerId(2)) == voters_of({1, 3}));
}

TEST_CASE("voter sets that nobody writes are refused") {
  const Buffer plain = voters_of({1, 2}).encode();
  CHECK_FALSE(VoterSet::decode(with_tail(plain, 2, {}).view()));                           // no count
  CHECK_FALSE(VoterSet::decode(with_tail(plain, 2, {0}).view()));                          // version 2 without need
  CHECK_FALSE(VoterSet::decode(with_tail(plain, 2, {1, 0, 0, 0, 2}).view()));              // a voter awaited
  CHECK_FALSE(VoterSet::decode(with_tail(plain, 2, {2, 0, 0, 0, 4, 0, 0, 0, 3}).view()));  // out of order
  CHECK_FALSE(VoterSet::decode(with_tail(plain, 2, {1, 0, 0, 0, 4, 9}).view()));           // too long
  CHECK_FALSE(VoterSet::decode(with_tail(plain, 1, {1, 0, 0, 0, 4}).view()));
  CHECK_FALSE(VoterSet::decode(with_tail(plain, 3, {}).view()));
  CHECK_FALSE(VoterSet::decode(voters_of({-1, 2}).encode().view()));                          // of no node
  CHECK_FALSE(VoterSet::decode(with_tail(plain, 2, {1, 255, 255, 255, 255}).view()));        // likewise awaited
  CHECK(VoterSet::decode(with_tail(plain, 2, {1, 0, 0, 0, 4}).view()).value().awaits(BrokerId(4)));
}

}  // namespace raft_test
