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
  // The same without waiting; 0: nothing is there now. What is there beyond `into` goes to `beyond`, and counts.
  model::Result<size_t> try_read(std::span<std::byte> into, std::span<std::byte> beyond = {});
  // Everything, or an error. The chain must stay alive until then (the caller's frame holds it).
  Awaitable<model::Result<void>> write(const model::BufferChain& data);

  // The same in two steps, for who wants to go on meanwhile: what the kernel takes of the slices at once (0: nothing
  // now), and the wait for its taking more.
  model::Result<size_t> try_write(std::span<const model::BytesView> slices);
  Awaitable<model::Result<void>> until_writable();

  // Waits for bytes, or for the end of the stream; then up to into.size() of what is there, left unread.
  Awaitable<model::Result<void>> until_readable();
  // Ends pending reads, writes and waits with an error; the connection stays as it is.
  void stop_waiting();
  model::Result<size_t> peek(std::span<std::byte> into);

  // Gives the descriptor away, non-blocking as it is; -1 if it is closed. The socket is of no use afterwards.
  [[nodiscard]] int release();

  // Ends pending reads and writes with an error. Idempotent.
  void close();

  [[nodiscard]] const Address& local() const;
  [[nodiscard]] const Address& peer() const;
  // Bytes that reached the kernel so far: a write that makes no progress is seen by it.
  [[nodiscard]] uint64_t bytes_written() const;

 private:
  struct Impl;
  static Awaitable<model::Result<void>> wait(Impl& impl, int how);
  std::unique_ptr<Impl> impl_;
};

// One attempt to connect. Lives on its shard; dying, or cancel(), ends the attempt with an error.
class Connector {
 public:
  explicit Connector(Shard& shard);
  ~Connector();

  // `host`: an address, or a name, each address of which is tried. Errors: broker_not_available when the last one was
  // refused (nobody listens: the process is gone), throttling_quota_exceeded when none was asked because this process
  // or host has no descriptor, memory or port left (fault 40), network_exception otherwise.
  Awaitable<model::Result<Socket>> connect(std::string host, uint16_t port);
  void cancel();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // the waiting coroutine's as well
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
