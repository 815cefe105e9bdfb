// TCP for the shards: the few functions through which the project waits for a socket. Asio's sockets stay behind
// socket.cc, because files that run them cost seconds to compile.
//
// A Socket and an Acceptor live on one shard. One read and one write may be under way at once.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "common/model/bytes.h"
#include "common/model/result.h"
#include "common/shard.h"

namespace common::net {

struct Address {
  std::string host;  // numeric
  uint16_t port = 0;
  friend auto operator<=>(const Address&, const Address&) = default;
};

class Socket {
 public:
  // Takes over a connected descriptor; sets TCP_NODELAY, TCP_USER_TIMEOUT and non-blocking mode.
  Socket(Shard& shard, int descriptor);
  Socket(Socket&&) noexcept;
  Socket& operator=(Socket&&) noexcept;
  ~Socket();

  // At least one byte, or an error; end of file is network_exception with the message "closed by peer".
  Awaitable<model::Result<size_t>> read_some(std::span<std::byte> into);
  // Everything, or an error. The chain must stay alive until then (the caller's frame holds it).
  Awaitable<model::Result<void>> write(const model::BufferChain& data);
  // Ends pending reads and writes with an error. Idempotent.
  void close();

  [[nodiscard]] const Address& local() const;
  [[nodiscard]] const Address& peer() const;
  // Bytes that reached the kernel so far: a write that makes no progress is seen by it.
  [[nodiscard]] uint64_t bytes_written() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

enum class AcceptFailure { none, descriptors_exhausted, closed };

struct ListenOptions {
  int backlog = 1024;  // socket.listen.backlog.size
  // Of the accepted sockets; none: the kernel's business.
  std::optional<int> receive_buffer;
  std::optional<int> send_buffer;
};

class Acceptor {
 public:
  // Binds and listens: host empty, "0.0.0.0" or "::" take both IPv4 and IPv6. Port 0 takes a free one.
  // The error says which address and why ("address already in use").
  static model::Result<std::unique_ptr<Acceptor>> listen(Shard& shard, const std::string& host, uint16_t port,
                                                         const ListenOptions& options = {});
  ~Acceptor();

  struct Accepted {
    int descriptor = -1;  // owned by the receiver; -1 with a failure
    AcceptFailure failure = AcceptFailure::none;
    Address peer;
  };
  Awaitable<Accepted> accept();
  void close();
  [[nodiscard]] uint16_t port() const;

 private:
  struct Impl;
  explicit Acceptor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace common::net
