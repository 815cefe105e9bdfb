// The other end of an Http2Call, spelled out byte by byte: for tests and fuzz targets that say what no library would.
#pragma once
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>

#include "common/clock.h"
#include "common/model/check.h"
#include "common/net/socket.h"
#include "common/shard.h"

namespace test_support {

enum FrameType : uint8_t { data_frame = 0, headers_frame = 1, settings_frame = 4 };
inline constexpr uint8_t end_headers = 4;
inline constexpr std::string_view http2_preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
inline constexpr std::string_view fetch_path = "/naru.cluster.Replication/Fetch";

inline std::string big_endian(size_t value, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift & 255));
  return out;
}

inline std::string http2_frame(uint8_t type, uint8_t flags, uint8_t stream, std::string_view content) {
  return big_endian(content.size(), 3) + big_endian(type, 1) + big_endian(flags, 1) + big_endian(stream, 4) +
         std::string(content);
}

// RFC 7541, 6.2.2: a header that is neither indexed nor compressed.
inline std::string http2_header(std::string_view name, std::string_view value) {
  constexpr size_t longest = 126;  // whose length is one byte
  value = value.substr(0, longest);
  return big_endian(0, 1) + big_endian(name.size(), 1) + std::string(name) + big_endian(value.size(), 1) +
         std::string(value);
}

inline std::string grpc_message(std::string_view content) {
  return big_endian(0, 1) + big_endian(content.size(), 4) + std::string(content);
}

// What a follower opens its call with, and what a leader answers first.
inline std::string follower_opening(std::string_view path = fetch_path) {
  return std::string(http2_preface) + http2_frame(settings_frame, 0, 0, "") +
         http2_frame(headers_frame, end_headers, 1,
                     http2_header(":method", "POST") + http2_header(":scheme", "http") + http2_header(":path", path) +
                         http2_header("te", "trailers"));
}
inline std::string leader_opening() {
  return http2_frame(settings_frame, 0, 0, "") +
         http2_frame(headers_frame, end_headers, 1,
                     http2_header(":status", "200") + http2_header("content-type", "application/grpc"));
}

// A shard that runs when it is told to, with a pair of sockets: one of ours, the other the peer's.
class Http2Peer {
 public:
  Http2Peer() {
    NARU_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends_.data()) == 0);
  }
  ~Http2Peer() { hang_up(); }
  Http2Peer(const Http2Peer&) = delete;
  Http2Peer& operator=(const Http2Peer&) = delete;

  static common::Shard& shard() { return *loop().shard; }
  // Until all of what can happen now has happened.
  static void turn() {
    loop().io.restart();
    while (loop().io.poll() > 0) {
    }
  }
  // Once.
  [[nodiscard]] common::net::Socket our_socket() { return {shard(), ends_[1]}; }

  // How much of it was taken: nothing is, by a call that is over.
  size_t say(std::string_view bytes) {
    size_t taken = 0;
    while (taken < bytes.size()) {
      const ssize_t n = ::send(ends_[0], bytes.data() + taken, bytes.size() - taken, MSG_NOSIGNAL);
      if (n <= 0) break;
      taken += static_cast<size_t>(n);
      turn();
    }
    return taken;
  }
  std::string hear() {
    std::string all;
    std::array<char, 4096> some{};
    for (;;) {
      const ssize_t n = ::recv(ends_[0], some.data(), some.size(), 0);
      if (n <= 0) return all;
      all.append(some.data(), static_cast<size_t>(n));
      turn();
    }
  }
  void hang_up() {
    if (ends_[0] >= 0) ::close(std::exchange(ends_[0], -1));
    turn();
  }

 private:
  struct Loop {
    boost::asio::io_context io{1};
    common::SystemClock clock;
    std::unique_ptr<common::Shard> shard = common::make_manual_shard(0, clock, io);
  };
  static Loop& loop() {
    static Loop one;
    return one;
  }
  std::array<int, 2> ends_{-1, -1};
};

}  // namespace test_support
