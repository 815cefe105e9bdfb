#include "cli/notify_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <string_view>

namespace cli {

NotifySocket::NotifySocket() {
  descriptor_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un own{};
  own.sun_family = AF_UNIX;
  // The kernel finds a free name that is no file.
  socklen_t size = sizeof own;
  if (descriptor_ < 0 || ::bind(descriptor_, reinterpret_cast<sockaddr*>(&own), sizeof own.sun_family) != 0 ||
      ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&own), &size) != 0)
    return;
  address_.assign(own.sun_path, size - offsetof(sockaddr_un, sun_path));
  address_.front() = '@';
}

NotifySocket::~NotifySocket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void NotifySocket::take() {
  std::array<char, 4096> part;
  for (ssize_t got; (got = ::recv(descriptor_, part.data(), part.size(), 0)) > 0;) {
    std::string_view text(part.data(), static_cast<size_t>(got));
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(line.size() + 1, text.size()));
      constexpr std::string_view page = "X_NARU_PAGE_PORT=";
      if (line == "READY=1") ready_ = true;
      if (line.starts_with(page)) std::from_chars(line.data() + page.size(), line.data() + line.size(), page_port_);
    }
  }
}

}  // namespace cli
