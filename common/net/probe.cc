#include "common/net/probe.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace common::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

struct Attempt {
  explicit Attempt(asio::io_context& io) : socket(io), resolver(io) {}
  tcp::socket socket;
  tcp::resolver resolver;
  bool out_of_time = false;
  void stop() {
    out_of_time = true;
    boost::system::error_code ignored;  // ending what has ended already is no error
    socket.close(ignored);
    resolver.cancel();
  }
};

ProbeResult meaning_of(const boost::system::error_code& error) {
  if (!error) return ProbeResult::connected;
  return error == asio::error::connection_refused ? ProbeResult::refused : ProbeResult::no_answer;
}

}  // namespace

std::string_view to_string(ProbeResult result) {
  switch (result) {
    case ProbeResult::connected: return "connected";
    case ProbeResult::refused: return "refused";
    case ProbeResult::no_answer: return "no answer";
    case ProbeResult::unresolved: return "name not found";
  }
  return "?";
}

Awaitable<ProbeResult> probe(Shard& shard, std::string host, uint16_t port, Instant deadline) {
  auto attempt = std::make_shared<Attempt>(shard.io_context());
  const TimerHandle timer = shard.call_at(deadline, [attempt] { attempt->stop(); });
  std::vector<tcp::endpoint> endpoints;
  boost::system::error_code error;
  if (const auto literal = asio::ip::make_address(host, error); !error) {
    endpoints.emplace_back(literal, port);  // needs no resolver thread
  } else {
    error.clear();
    const auto found = co_await attempt->resolver.async_resolve(host, std::to_string(port),
                                                                asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return attempt->out_of_time ? ProbeResult::no_answer : ProbeResult::unresolved;
    for (const auto& entry : found) endpoints.push_back(entry.endpoint());
  }
  ProbeResult result = ProbeResult::unresolved;
  for (const tcp::endpoint& endpoint : endpoints) {
    if (attempt->out_of_time) co_return ProbeResult::no_answer;
    boost::system::error_code closed;  // closing what never opened is no error
    attempt->socket.close(closed);
    error.clear();
    co_await attempt->socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
    result = meaning_of(error);
    if (result == ProbeResult::connected) co_return result;
  }
  co_return attempt->out_of_time ? ProbeResult::no_answer : result;
}

}  // namespace common::net
