// The port of the other brokers: what the first bytes of a connection say, and that they reach whom they are meant for.
#include <string>

#include <catch2/catch.hpp>

#include "broker/peer_listener.h"

using broker::peer_kind;
using broker::PeerKind;
using common::model::as_bytes;

namespace {

const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
// SETTINGS of one entry: nine bytes of head, then 0x6e72 = shard.
std::string with_shard(char shard) {
  return preface + std::string("\0\0\6\4\0\0\0\0\0", 9) + std::string("\x6e\x72\0\0\0", 5) + shard;
}

}  // namespace

TEST_CASE("the first setting of a connection names the shard that serves it") {
  const PeerKind kind = peer_kind(as_bytes(with_shard(3)));
  REQUIRE(kind.what == PeerKind::What::shard);
  REQUIRE(kind.shard == 3);
  REQUIRE(peer_kind(as_bytes(with_shard(3) + "more")).what == PeerKind::What::shard);
}

TEST_CASE("whatever is cut short is waited for, and nothing else is") {
  const std::string whole = with_shard(1);
  for (size_t n = 0; n < whole.size(); ++n) {
    CAPTURE(n);
    REQUIRE(peer_kind(as_bytes(whole).first(n)).what == PeerKind::What::unknown);
  }
}

TEST_CASE("connections without that setting are for gRPC's runtime, and so is what is no HTTP/2") {
  const std::string empty_settings = preface + std::string("\0\0\0\4\0\0\0\0\0", 9);
  const std::string other_setting = preface + std::string("\0\0\6\4\0\0\0\0\0\0\4\0\0\0\1", 15);
  for (const std::string& bytes : {empty_settings, other_setting, std::string("GET / HTTP/1.1\r\n"),
                                   std::string("\0\0\0\x10\0\x12", 6), std::string("PRI *!")}) {
    CAPTURE(bytes);
    REQUIRE(peer_kind(as_bytes(bytes)).what == PeerKind::What::runtime);
  }
}
