// What a broker says to `naru dev`, as broker::tell_service_manager sends it.
#include <catch2/catch.hpp>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <string_view>

#include "cli/notify_socket.h"

namespace {

void say(const cli::NotifySocket& to, std::string_view text) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(to.address().starts_with('@'));
  to.address().copy(address.sun_path, sizeof address.sun_path);
  address.sun_path[0] = '\0';
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + to.address().size());
  CHECK(::sendto(socket, text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&address), size) ==
        static_cast<ssize_t>(text.size()));
  ::close(socket);
}

}  // namespace

TEST_CASE("a process is ready once it says so itself, and tells where its page is") {
  cli::NotifySocket one;
  cli::NotifySocket other;
  one.take();
  CHECK_FALSE(one.ready());
  say(one, "STATUS=recovers its logs, not READY=1");
  one.take();
  CHECK_FALSE(one.ready());
  say(one, "READY=1\nSTATUS=serves clients\nX_NARU_PAGE_PORT=9648");
  say(one, "STOPPING=1");
  one.take();
  other.take();
  CHECK(one.ready());
  CHECK(one.page_port() == 9648);
  CHECK_FALSE(other.ready());
}
