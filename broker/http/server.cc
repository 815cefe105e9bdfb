#include "broker/http/server.h"

#include <unistd.h>

#include <array>
#include <future>

#include <nlohmann/json.hpp>

namespace broker::http {

using common::Awaitable;
using common::model::Buffer;
using common::model::BufferChain;
using common::model::Result;

Response refuse(int status, const std::string& why) {
  Response response;
  response.status = status;
  response.body = nlohmann::json{{"error", why}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  return response;
}

class Server::Connection final : public StreamWriter {
 public:
  Connection(common::Shard& shard, int descriptor, const ServerLimits& limits)
      : shard_(shard), limits_(limits), socket_(shard, descriptor), reader_(limits.message) {}

  // None: the client is gone, or took too long.
  Awaitable<std::optional<Request>> read() {
    waits_since_ = shard_.now();
    const auto timer = deadline(limits_.request_time_max);
    RequestReader::State state = reader_.put({});
    while (state == RequestReader::State::needs_more) {
      std::array<std::byte, 4096> bytes;
      const Result<size_t> n = co_await socket_.read_some(bytes);
      if (!n || closed_) co_return std::nullopt;
      state = reader_.put(std::span(bytes).first(*n));
    }
    if (state == RequestReader::State::refused) {
      Request none;
      co_await write(encode_response(refuse(reader_.refusal(), "not an acceptable request"), none));
      co_return std::nullopt;
    }
    waits_since_.reset();
    co_return reader_.take();
  }
  // Since when it has waited for a request or the rest of one; none: one is answered, or nothing more comes of it.
  [[nodiscard]] std::optional<common::Instant> waits_since() const {
    return closed_ ? std::nullopt : waits_since_;
  }
  Awaitable<bool> write(std::string text) override {
    constexpr size_t piece = 256 << 10;  // the deadline is for each of them
    const Buffer all = Buffer::copy_of(std::as_bytes(std::span(text)));
    std::string().swap(text);  // an assignment would keep the memory, as long as a slow client takes to read
    for (size_t at = 0; at < all.size() && !closed_; at += piece) {
      const auto timer = deadline(limits_.write_stall_max);
      const BufferChain chain(all.slice(at, std::min(piece, all.size() - at)));
      const Result<void> written = co_await socket_.write(chain);
      if (!written) closed_ = true;
    }
    co_return !closed_;
  }
  [[nodiscard]] bool is_open() const override { return !closed_; }
  void close() {
    closed_ = true;
    socket_.close();
  }

 private:
  common::TimerHandle deadline(common::Duration in) {
    return shard_.call_at(shard_.now() + in, [this] { close(); });
  }

  common::Shard& shard_;
  const ServerLimits& limits_;
  common::net::Socket socket_;
  RequestReader reader_;
  bool closed_ = false;
  std::optional<common::Instant> waits_since_;
};

Server::Server(common::Shard& shard, ServerLimits limits, Handler handler, common::Logger log)
    : shard_(shard), limits_(limits), handler_(std::move(handler)), log_(std::move(log)) {}

Server::~Server() {
  stop();
}

Result<void> Server::listen(const std::string& host, uint16_t port) {
  auto acceptor = common::net::Acceptor::listen(shard_, host, port, {.backlog = 64});
  if (!acceptor) return tl::unexpected(acceptor.error());
  acceptor_ = std::move(*acceptor);
  return {};
}

void Server::start() {
  accepting_ = true;
  shard_.spawn("http accept", accept_loop(this));
}

Awaitable<void> Server::accept_loop(Server* server) {
  while (!server->stopping_) {
    const common::net::Acceptor::Accepted accepted = co_await server->acceptor_->accept();
    if (accepted.failure == common::net::AcceptFailure::closed) break;
    if (accepted.failure != common::net::AcceptFailure::none) {
      // Out of descriptors: they are records' first (R111); somebody will close one.
      co_await common::sleep_until(server->shard_, server->shard_.now() + std::chrono::milliseconds(200));
      continue;
    }
    const bool is_full = server->connections_.size() >= server->limits_.connections_max;
    if (server->stopping_ || (is_full && !server->make_room())) {
      ::close(accepted.descriptor);
      continue;
    }
    auto connection = std::make_shared<Connection>(server->shard_, accepted.descriptor, server->limits_);
    server->connections_.insert(connection);
    server->shard_.spawn("http connection", serve(server, connection));
  }
  server->accepting_ = false;
  server->check_ended();
}

bool Server::make_room() {
  std::shared_ptr<Connection> longest;
  for (const auto& connection : connections_) {
    if (!connection->waits_since()) continue;
    if (!longest || *connection->waits_since() < *longest->waits_since()) longest = connection;
  }
  if (longest) longest->close();
  return longest != nullptr;
}

Awaitable<Response> Server::answer(std::shared_ptr<const Request> request) {
  if (request->path.empty()) co_return refuse(400, "not an acceptable path");
  if (request->method != "GET" && request->method != "HEAD") {
    Response response = refuse(405, "this server is read-only");
    response.headers.emplace_back("Allow", "GET, HEAD");
    co_return response;
  }
  co_return co_await handler_(std::move(request));
}

Awaitable<void> Server::serve(Server* server, std::shared_ptr<Connection> connection) {
  while (connection->is_open()) {
    std::optional<Request> read = co_await connection->read();
    if (!read) break;
    const auto request = std::make_shared<const Request>(std::move(*read));
    Response response = co_await server->answer(request);
    if (response.stream && server->streams_ >= server->limits_.streams_max) {
      response = refuse(503, "too many streams are open");
    }
    std::string text = encode_response(response, *request);
    std::string().swap(response.body);  // it is in there
    const bool streams = response.stream && request->method != "HEAD";
    if (streams) ++server->streams_;  // before its head is written: others who ask meanwhile are told of it
    const bool is_written = co_await connection->write(std::move(text));
    if (is_written && streams) co_await response.stream(*connection);
    if (streams) --server->streams_;
    if (!is_written || streams || !request->keep_alive) break;
  }
  connection->close();
  server->connections_.erase(connection);
  server->check_ended();
}

void Server::check_ended() {
  if (!stopping_ || accepting_ || !connections_.empty()) return;
  if (auto ended = std::exchange(on_ended_, nullptr)) ended();
}

void Server::stop() {
  if (!acceptor_) return;
  std::promise<void> ended;
  shard_.post([&] {
    stopping_ = true;
    on_ended_ = [&ended] { ended.set_value(); };
    acceptor_->close();
    const auto all = connections_;
    for (const auto& connection : all) connection->close();
    if (wake_streams_) wake_streams_();
    check_ended();
  });
  ended.get_future().wait();
  // The coroutine that ended last still stands on the shard.
  std::promise<void> left;
  shard_.post([&] {
    acceptor_.reset();
    left.set_value();
  });
  left.get_future().wait();
}

}  // namespace broker::http
