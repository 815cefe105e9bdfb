#include "broker/peer_listener.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "broker/replication/http2_call.h"
#include "broker/replication/http2_fetch.h"
#include "common/rate_limit.h"

namespace broker {

using common::Awaitable;
using common::model::BytesView;
using common::model::Result;
using common::net::Acceptor;
using common::net::Socket;
using namespace std::chrono_literals;

namespace {

constexpr auto sort_time_max = 250ms;  // who has said too little by then is the runtime's, which has a patience of its own
constexpr int unsorted_max = 256;  // brokers are few; what waits beyond is in the kernel's queue

// RFC 9113: the client's preface, then a SETTINGS frame: nine bytes of head, six of each setting.
constexpr std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr size_t frame_head_bytes = 9;
constexpr size_t setting_bytes = 6;
constexpr size_t first_bytes = preface.size() + frame_head_bytes + setting_bytes;

uint32_t read_big_endian(BytesView bytes) {
  uint32_t value = 0;
  for (const std::byte b : bytes) value = value << 8 | static_cast<uint8_t>(b);
  return value;
}

}  // namespace

PeerKind peer_kind(BytesView bytes) {
  const std::string_view text = common::model::as_text(bytes);
  const size_t compared = std::min(text.size(), preface.size());
  if (text.substr(0, compared) != preface.substr(0, compared)) return {.what = PeerKind::What::runtime};
  if (bytes.size() < preface.size() + frame_head_bytes) return {};
  const uint32_t length = read_big_endian(bytes.subspan(preface.size(), 3));
  if (length < setting_bytes) return {.what = PeerKind::What::runtime};
  if (bytes.size() < first_bytes) return {};
  const BytesView setting = bytes.subspan(preface.size() + frame_head_bytes, setting_bytes);
  if (read_big_endian(setting.first(2)) != replication::shard_setting) return {.what = PeerKind::What::runtime};
  return {.what = PeerKind::What::shard, .shard = read_big_endian(setting.subspan(2))};
}

PeerListener::PeerListener(common::Shard& home, std::unique_ptr<Acceptor> acceptor, common::Logger log)
    : home_(home), acceptor_(std::move(acceptor)), log_(std::move(log)) {}

Result<std::unique_ptr<PeerListener>> PeerListener::listen(common::Shard& home, const std::string& host, uint16_t port,
                                                           common::Logger log) {
  auto acceptor = Acceptor::listen(home, host, port);
  if (!acceptor) {
    return common::model::fail(acceptor.error().code,
                               fmt::format("{} (for the other brokers)", acceptor.error().message));
  }
  return std::unique_ptr<PeerListener>(new PeerListener(home, std::move(*acceptor), std::move(log)));
}

void PeerListener::start(std::vector<replication::ShardAcceptor> shards, TakeConnection runtime) {
  shards_ = std::move(shards);
  runtime_ = std::move(runtime);
  home_.spawn("accept of other brokers", accept(*this));
}

void PeerListener::stop() {
  is_stopped_ = true;
  acceptor_->close();
}

Awaitable<void> PeerListener::accept(PeerListener& self) {
  common::RateLimit exhausted_line(10s);
  while (!self.is_stopped_) {
    const Acceptor::Accepted accepted = co_await self.acceptor_->accept();
    if (accepted.failure == common::net::AcceptFailure::closed) co_return;
    if (accepted.failure == common::net::AcceptFailure::descriptors_exhausted) {
      if (exhausted_line.ask(self.home_.now()).allowed)
        self.log_.error("cannot take another broker's connection: out of descriptors or buffers; accepting pauses");
      co_await common::sleep_until(self.home_, self.home_.now() + 1s);
      continue;
    }
    if (self.unsorted_ >= unsorted_max) {
      ::close(accepted.descriptor);
      continue;
    }
    self.home_.spawn("sort another broker's connection", sort(self, accepted.descriptor));
  }
}

Awaitable<void> PeerListener::sort(PeerListener& self, int descriptor) {
  ++self.unsorted_;
  Socket socket(self.home_, descriptor);
  PeerKind kind;
  const common::TimerHandle limit = self.home_.call_at(self.home_.now() + sort_time_max, [&] {
    kind.what = PeerKind::What::runtime;
    socket.stop_waiting();
  });
  std::array<std::byte, first_bytes> seen{};
  size_t before = 0;
  while (kind.what == PeerKind::What::unknown && !self.is_stopped_) {
    const bool is_readable = (co_await socket.until_readable()).has_value();
    if (kind.what != PeerKind::What::unknown) break;
    const Result<size_t> n = is_readable ? socket.peek(seen) : size_t{0};
    if (!n || *n == 0) break;  // gone, or nothing after all
    kind = peer_kind(BytesView(seen).first(*n));
    // What is there stays readable, and so says nothing about the rest.
    if (*n == before && kind.what == PeerKind::What::unknown)
      co_await common::sleep_until(self.home_, self.home_.now() + 10ms);
    before = *n;
  }
  --self.unsorted_;
  if (kind.what == PeerKind::What::unknown || self.is_stopped_) co_return;
  if (const int taken = socket.release(); taken >= 0) self.hand_over(kind, taken);
}

void PeerListener::hand_over(const PeerKind& kind, int descriptor) {
  if (kind.what == PeerKind::What::runtime) return runtime_(descriptor);
  // A shard that does not exist: the first one says how many there are.
  const replication::ShardAcceptor& target = shards_[kind.shard < shards_.size() ? kind.shard : 0];
  target.shard->post([target, descriptor] {
    replication::serve_follower(*target.shard, Socket(*target.shard, descriptor), *target.acceptor);
  });
}

}  // namespace broker
