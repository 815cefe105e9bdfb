// What a broker process says of itself to whoever started it, in systemd's way (Type=notify): that it serves clients,
// and where its page is. A port that answers is not enough to know that: somebody else's broker may own it.
// Thread-compatible.
#pragma once
#include <cstdint>
#include <string>

namespace cli {

class NotifySocket {
 public:
  NotifySocket();
  ~NotifySocket();
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  // For the process' NOTIFY_SOCKET; empty: there is no socket to be had, and nothing will come.
  [[nodiscard]] const std::string& address() const { return address_; }
  // Takes what has come.
  void take();
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] uint16_t page_port() const { return page_port_; }  // 0: none

 private:
  int descriptor_ = -1;
  std::string address_;
  bool ready_ = false;
  uint16_t page_port_ = 0;
};

}  // namespace cli
