// The other end of what lives on a shard and reads from a socket, without threads: for tests and fuzz targets.
#pragma once
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "common/clock.h"
#include "common/model/check.h"
#include "common/net/socket.h"
#include "common/shard.h"

namespace test_support {

// A shard that runs when it is told to, with a pair of sockets: one of ours, the other the peer's.
class SocketPeer {
 public:
  SocketPeer() {
    NARU_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends_.data()) == 0);
  }
  ~SocketPeer() { hang_up(); }
  SocketPeer(const SocketPeer&) = delete;
  SocketPeer& operator=(const SocketPeer&) = delete;

  static common::Shard& shard() { return *loop().shard; }
  // Until all of what can happen now has happened.
  static void turn() {
    loop().io.restart();
    while (loop().io.poll() > 0) {
    }
  }
  // Once.
  [[nodiscard]] common::net::Socket our_socket() { return {shard(), ends_[1]}; }

  // How much of it was taken: nothing is, by who has closed.
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
