#include "common/net/socket.h"

#include <unistd.h>

#include <netinet/tcp.h>

#include <array>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/model/address_text.h"

namespace common::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using model::BufferChain;
using model::ErrorCode;
using model::Result;

namespace {

// A peer that vanished without a word is noticed by the kernel after this long of unacknowledged data.
constexpr unsigned user_timeout_ms = 30'000;
// One writev takes at most IOV_MAX slices; longer chains go in several rounds.
constexpr size_t slices_per_write = 256;
// A long answer goes out in pieces between which the loop turns: others' requests do not wait for all of it to be
// copied.
constexpr size_t bytes_per_write = 256 << 10;

Address address_of(const tcp::endpoint& endpoint) {
  const asio::ip::address a = endpoint.address();
  if (a.is_v6() && a.to_v6().is_v4_mapped()) {
    return {asio::ip::make_address_v4(asio::ip::v4_mapped, a.to_v6()).to_string(), endpoint.port()};
  }
  return {a.to_string(), endpoint.port()};
}

}  // namespace

struct Socket::Impl {
  explicit Impl(asio::io_context& io) : socket(io) {}
  tcp::socket socket;
  Address local;
  Address peer;
  uint64_t written = 0;
};

Socket::Socket(Shard& shard, int descriptor) : impl_(std::make_unique<Impl>(shard.io_context())) {
  boost::system::error_code ignored;  // a socket that died meanwhile shows at its first read
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  const bool v6 =
      ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&name), &length) == 0 && name.ss_family == AF_INET6;
  boost::system::error_code refused;  // the loop can watch no more of them: then it is closed, which shows likewise
  impl_->socket.assign(v6 ? tcp::v6() : tcp::v4(), descriptor, refused);
  if (refused) ::close(descriptor);
  impl_->socket.non_blocking(true, ignored);
  impl_->socket.set_option(tcp::no_delay(true), ignored);
  impl_->socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>(user_timeout_ms),
                           ignored);
  impl_->local = address_of(impl_->socket.local_endpoint(ignored));
  impl_->peer = address_of(impl_->socket.remote_endpoint(ignored));
}
Socket::Socket(Socket&&) noexcept = default;
Socket& Socket::operator=(Socket&&) noexcept = default;
Socket::~Socket() = default;

Awaitable<Result<size_t>> Socket::read_some(std::span<std::byte> into) {
  boost::system::error_code error;
  const size_t n = co_await impl_->socket.async_read_some(asio::buffer(into.data(), into.size()),
                                                          asio::redirect_error(asio::use_awaitable, error));
  if (error == asio::error::eof) co_return model::fail(ErrorCode::network_exception, "closed by peer");
  if (error) co_return model::fail(ErrorCode::network_exception, error.message());
  co_return n;
}

Result<size_t> Socket::try_read(std::span<std::byte> into, std::span<std::byte> beyond) {
  boost::system::error_code error;
  const std::array<asio::mutable_buffer, 2> both{asio::mutable_buffer(into.data(), into.size()),
                                                 asio::mutable_buffer(beyond.data(), beyond.size())};
  const size_t n = beyond.empty() ? impl_->socket.read_some(both.front(), error) : impl_->socket.read_some(both, error);
  if (error == asio::error::would_block || error == asio::error::try_again) return size_t{0};
  if (error == asio::error::eof) return model::fail(ErrorCode::network_exception, "closed by peer");
  if (error) return model::fail(ErrorCode::network_exception, error.message());
  return n;
}

Awaitable<Result<void>> Socket::write(const BufferChain& data) {
  std::vector<asio::const_buffer> slices;
  const std::vector<model::Buffer>& parts = data.parts();
  size_t part = 0;
  size_t offset = 0;  // inside parts[part]
  while (part < parts.size()) {
    slices.clear();
    size_t left = bytes_per_write;
    for (size_t i = part; i < parts.size() && slices.size() < slices_per_write && left > 0; ++i) {
      const size_t skip = i == part ? offset : 0;
      slices.emplace_back(parts[i].data() + skip, std::min(parts[i].size() - skip, left));
      left -= slices.back().size();
    }
    boost::system::error_code error;
    // Most often the kernel takes it at once, and then the loop need not be gone through.
    size_t n = impl_->socket.write_some(slices, error);
    const bool is_full = error == asio::error::would_block || error == asio::error::try_again;
    if (is_full) {
      error.clear();
      n = co_await impl_->socket.async_write_some(slices, asio::redirect_error(asio::use_awaitable, error));
    }
    if (error) co_return model::fail(ErrorCode::network_exception, error.message());
    impl_->written += n;
    while (n > 0) {
      const size_t rest = parts[part].size() - offset;
      if (n < rest) {
        offset += n;
        break;
      }
      n -= rest;
      offset = 0;
      ++part;
    }
    if (!is_full && part < parts.size()) co_await asio::post(impl_->socket.get_executor(), asio::use_awaitable);
  }
  co_return Result<void>{};
}

Result<size_t> Socket::try_write(std::span<const model::BytesView> slices) {
  std::vector<asio::const_buffer> taken;
  taken.reserve(std::min(slices.size(), slices_per_write));
  for (const model::BytesView& slice : slices.first(std::min(slices.size(), slices_per_write)))
    taken.emplace_back(slice.data(), slice.size());
  boost::system::error_code error;
  const size_t n = impl_->socket.write_some(taken, error);
  if (error == asio::error::would_block || error == asio::error::try_again) return size_t{0};
  if (error) return model::fail(ErrorCode::network_exception, error.message());
  impl_->written += n;
  return n;
}

Awaitable<Result<void>> Socket::until_writable() {
  return wait(*impl_, tcp::socket::wait_write);
}

Awaitable<Result<void>> Socket::until_readable() {
  return wait(*impl_, tcp::socket::wait_read);
}

Awaitable<Result<void>> Socket::wait(Impl& impl, int how) {
  boost::system::error_code error;
  co_await impl.socket.async_wait(static_cast<tcp::socket::wait_type>(how),
                                  asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return model::fail(ErrorCode::network_exception, error.message());
  co_return Result<void>{};
}

void Socket::stop_waiting() {
  boost::system::error_code ignored;  // nothing to cancel is no error
  impl_->socket.cancel(ignored);
}

Result<size_t> Socket::peek(std::span<std::byte> into) {
  boost::system::error_code error;
  const size_t n = impl_->socket.receive(asio::buffer(into.data(), into.size()), tcp::socket::message_peek, error);
  if (error == asio::error::would_block || error == asio::error::try_again) return size_t{0};
  if (error) return model::fail(ErrorCode::network_exception, error.message());
  return n;
}

int Socket::release() {
  boost::system::error_code error;
  const int descriptor = impl_->socket.is_open() ? impl_->socket.release(error) : -1;
  return error ? -1 : descriptor;
}

void Socket::close() {
  boost::system::error_code ignored;  // closing what is closed already is no error
  impl_->socket.close(ignored);
}

const Address& Socket::local() const {
  return impl_->local;
}
const Address& Socket::peer() const {
  return impl_->peer;
}
uint64_t Socket::bytes_written() const {
  return impl_->written;
}

namespace {

// What this process or its host lacks for a connection: nothing has been asked of the other end.
bool is_lack(const boost::system::error_code& error) {
  using namespace boost::system;
  return error == errc::too_many_files_open || error == errc::too_many_files_open_in_system ||
         error == errc::no_buffer_space || error == errc::not_enough_memory;
}

// Also a kind of address that is not to be had here, as where IPv6 is switched off.
bool is_ours(const boost::system::error_code& error) {
  return is_lack(error) || error == boost::system::errc::address_not_available;
}

ErrorCode code_of(const boost::system::error_code& error) {
  if (error == asio::error::connection_refused) return ErrorCode::broker_not_available;
  return is_ours(error) ? ErrorCode::throttling_quota_exceeded : ErrorCode::network_exception;
}

}  // namespace

struct Connector::Impl {
  explicit Impl(Shard& on) : shard(on), resolver(on.io_context()), socket(on.io_context()) {}
  Shard& shard;
  tcp::resolver resolver;
  tcp::socket socket;
  bool is_cancelled = false;
};

Connector::Connector(Shard& shard) : impl_(std::make_shared<Impl>(shard)) {}

Connector::~Connector() {
  cancel();
}

void Connector::cancel() {
  impl_->is_cancelled = true;
  boost::system::error_code ignored;  // closing what is closed already is no error
  impl_->resolver.cancel();
  impl_->socket.close(ignored);
}

Awaitable<Result<Socket>> Connector::connect(std::string host, uint16_t port) {
  const std::shared_ptr<Impl> impl = impl_;
  boost::system::error_code error;
  std::vector<tcp::endpoint> candidates;
  if (const asio::ip::address numeric = asio::ip::make_address(host, error); !error) {
    candidates.emplace_back(numeric, port);
  } else {
    error.clear();
    const auto found = co_await impl->resolver.async_resolve(host, std::to_string(port),
                                                             asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return model::fail(code_of(error), fmt::format("{}: {}", host, error.message()));
    for (const auto& entry : found) candidates.push_back(entry.endpoint());
  }
  error = asio::error::host_not_found;
  boost::system::error_code told;  // by the last candidate that was asked
  for (const tcp::endpoint& candidate : candidates) {
    if (impl->is_cancelled) co_return model::fail(ErrorCode::network_exception, "given up");
    boost::system::error_code closed;  // closing a socket that never opened is no error
    impl->socket.close(closed);
    co_await impl->socket.async_connect(candidate, asio::redirect_error(asio::use_awaitable, error));
    if (!error) break;
    if (is_lack(error)) break;  // the others have not been asked: that one refused says nothing of them
    if (!is_ours(error)) told = error;
  }
  if (error && told && !is_lack(error)) error = told;
  if (error) co_return model::fail(code_of(error), error.message());
  const int descriptor = impl->socket.release(error);
  if (error) co_return model::fail(ErrorCode::network_exception, error.message());
  co_return Socket(impl->shard, descriptor);
}

struct Acceptor::Impl {
  explicit Impl(asio::io_context& io) : acceptor(io) {}
  tcp::acceptor acceptor;
  uint16_t port = 0;
};

Acceptor::Acceptor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Acceptor::~Acceptor() = default;

Result<std::unique_ptr<Acceptor>> Acceptor::listen(Shard& shard, const std::string& host, uint16_t port,
                                                   const ListenOptions& options) {
  const auto refuse = [&](const std::string& why) {
    return model::fail(
        ErrorCode::invalid_config,
        fmt::format("cannot listen on {}: {}", common::model::address_text(host.empty() ? "*" : host, port), why));
  };
  boost::system::error_code error;
  const bool any = host.empty() || host == "0.0.0.0" || host == "::" || host == "[::]";
  std::vector<tcp::endpoint> candidates;
  if (any) {
    candidates = {tcp::endpoint(tcp::v6(), port), tcp::endpoint(tcp::v4(), port)};
  } else {
    tcp::resolver resolver(shard.io_context());
    for (const auto& entry : resolver.resolve(host, std::to_string(port), error))
      candidates.push_back(entry.endpoint());
    if (error || candidates.empty()) return refuse(fmt::format("the name does not resolve ({})", error.message()));
  }
  auto impl = std::make_unique<Impl>(shard.io_context());
  for (const tcp::endpoint& endpoint : candidates) {
    boost::system::error_code closed;  // closing an acceptor that never opened is no error
    impl->acceptor.close(closed);
    error.clear();
    impl->acceptor.open(endpoint.protocol(), error);
    if (!error) impl->acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && any && endpoint.protocol() == tcp::v6()) impl->acceptor.set_option(asio::ip::v6_only(false), error);
    if (!error) impl->acceptor.bind(endpoint, error);
    // Accepted sockets take the buffers over.
    if (!error && options.receive_buffer)
      impl->acceptor.set_option(asio::socket_base::receive_buffer_size(*options.receive_buffer), error);
    if (!error && options.send_buffer)
      impl->acceptor.set_option(asio::socket_base::send_buffer_size(*options.send_buffer), error);
    if (!error) impl->acceptor.listen(options.backlog, error);
    if (!error) break;
    if (error == asio::error::address_in_use) break;  // trying IPv4 after IPv6 would bind half of it
  }
  if (error) return refuse(error.message());
  impl->port = impl->acceptor.local_endpoint(error).port();
  return std::unique_ptr<Acceptor>(new Acceptor(std::move(impl)));
}

Awaitable<Acceptor::Accepted> Acceptor::accept() {
  Accepted result;
  boost::system::error_code error;
  tcp::endpoint peer;
  tcp::socket socket(impl_->acceptor.get_executor());
  co_await impl_->acceptor.async_accept(socket, peer, asio::redirect_error(asio::use_awaitable, error));
  if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) {
    result.failure = AcceptFailure::closed;
    co_return result;
  }
  if (error) {
    // Out of descriptors or buffers; a connection that was reset before we took it looks the same and costs one pause.
    result.failure = AcceptFailure::descriptors_exhausted;
    co_return result;
  }
  result.peer = address_of(peer);
  result.descriptor = socket.release(error);
  if (error) result.failure = AcceptFailure::descriptors_exhausted;
  co_return result;
}

void Acceptor::close() {
  boost::system::error_code ignored;  // closing what is closed already is no error
  impl_->acceptor.close(ignored);
}

uint16_t Acceptor::port() const {
  return impl_->port;
}

}  // namespace common::net
