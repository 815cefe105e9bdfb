#include "broker/replication/http2_fetch.h"

#include <utility>

#include <fmt/format.h>

#include "broker/replication/http2_call.h"
#include "broker/replication/wire_frames.h"

namespace broker::replication {
namespace {

using common::Awaitable;
using common::model::ErrorCode;
using common::model::Result;
using common::net::Connector;
using common::net::Socket;
using namespace std::chrono_literals;

constexpr auto hello_time_max = 10s;

// Whom nobody has asked is not known to be away: a broker out of descriptors would call healthy leaders dead (fault
// 40).
BreakKind kind_of(ErrorCode not_connected) {
  switch (not_connected) {
    case ErrorCode::broker_not_available:
      return BreakKind::refused;
    case ErrorCode::throttling_quota_exceeded:
      return BreakKind::rejected;
    default:
      return BreakKind::unreachable;
  }
}

// --- the follower's end ---

class LeaderCall final : public ConnectionToLeader, public Http2Call::Events {
 public:
  LeaderCall(common::Shard& shard, ToLeaderEvents& events) : shard_(shard), connector_(shard), events_(events) {}
  ~LeaderCall() override {
    connector_.cancel();
    if (call_) call_->close();
  }

  // Resumes after our death only to find that out.
  static Awaitable<void> connect(LeaderCall& self, std::weak_ptr<bool> alive, Endpoint leader, FollowerHello hello) {
    if (alive.expired()) co_return;
    Result<Socket> socket = co_await self.connector_.connect(leader.host, leader.port);
    if (alive.expired()) co_return;
    if (!socket) {
      self.events_.on_broken({kind_of(socket.error().code), socket.error().message});
      co_return;
    }
    const bool is_v6 = leader.host.find(':') != std::string::npos;
    self.call_ = Http2Call::client(
        self.shard_, std::move(*socket), self,
        is_v6 ? fmt::format("[{}]:{}", leader.host, leader.port) : fmt::format("{}:{}", leader.host, leader.port),
        static_cast<uint32_t>(hello.leader_shard), {});
    self.call_->send(encode_message(hello));
  }
  [[nodiscard]] std::weak_ptr<bool> alive() const { return alive_; }

  bool can_write() override { return call_ && call_->is_drained(); }
  void write(FollowerFrame frame) override { call_->send(encode_message(frame)); }

  void on_message(Buffer message) override {
    Result<FromLeader> decoded = decode_from_leader(message);
    if (!decoded) {
      call_->close();
      return events_.on_broken({BreakKind::ended, decoded.error().message});
    }
    was_connected_ = true;
    if (const auto* hello = std::get_if<LeaderHello>(&*decoded)) return events_.on_connected(*hello);
    events_.on_frame(std::get<LeaderFrame>(std::move(*decoded)));
  }
  void on_drained() override { events_.on_writable(); }
  void on_end(const CallEnd& end) override {
    const bool rejected = end.status == static_cast<int>(CallStatus::failed_precondition);
    const BreakKind kind =
        rejected ? BreakKind::rejected : (was_connected_ ? BreakKind::ended : BreakKind::unreachable);
    events_.on_broken({kind, end.why});
  }

 private:
  common::Shard& shard_;
  Connector connector_;
  ToLeaderEvents& events_;
  std::shared_ptr<Http2Call> call_;  // null: connecting
  bool was_connected_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

class Http2FetchTransport final : public FetchTransport {
 public:
  std::unique_ptr<ConnectionToLeader> connect(common::Shard& shard, const Endpoint& leader, const FollowerHello& hello,
                                              ToLeaderEvents& events) override {
    auto call = std::make_unique<LeaderCall>(shard, events);
    shard.spawn("fetch stream connect", LeaderCall::connect(*call, call->alive(), leader, hello));
    return call;
  }
};

// --- the leader's end ---

// A follower's connection until its owner lets go of it, or it breaks. Kept alive by the Connection that the acceptor
// has, before that by the timer that waits for the hello.
class FollowerCall final : public Http2Call::Events, public std::enable_shared_from_this<FollowerCall> {
 public:
  FollowerCall(common::Shard& shard, FollowerAcceptor& acceptor) : shard_(shard), acceptor_(acceptor) {}
  ~FollowerCall() override {
    if (!is_finished_) call_->close();
  }

  void begin(Socket socket) {
    call_ = Http2Call::server(shard_, std::move(socket), *this, {});
    patience_ = shard_.call_at(shard_.now() + hello_time_max, [self = shared_from_this()] { self->call_->close(); });
  }

  void on_message(Buffer message) override;
  void on_drained() override {
    if (events_ != nullptr) events_->on_writable();
  }
  void on_end(const CallEnd& end) override { report({BreakKind::ended, end.why}); }

  void let_go() { events_ = nullptr; }
  void finish(CallStatus status, const std::string& why) {
    is_finished_ = true;
    call_->finish(status, why);
  }
  Http2Call& call() { return *call_; }

 private:
  void greet(const FollowerHello& hello);
  void refuse(const std::string& why) {
    call_->close();
    report({BreakKind::rejected, why});
  }
  void report(const Broken& broken) {
    const auto self = shared_from_this();  // the last reference may be the timer's
    patience_.cancel();
    if (auto* events = std::exchange(events_, nullptr)) events->on_broken(broken);
  }

  common::Shard& shard_;
  FollowerAcceptor& acceptor_;
  std::shared_ptr<Http2Call> call_;
  ToFollowerEvents* events_ = nullptr;
  bool greeted_ = false;
  bool is_finished_ = false;  // the connection ends by itself
  common::TimerHandle patience_;
};

class Connection final : public ConnectionToFollower {
 public:
  explicit Connection(std::shared_ptr<FollowerCall> call) : call_(std::move(call)) {}
  ~Connection() override { call_->let_go(); }
  bool can_write() override { return call_->call().is_drained(); }
  void write(LeaderFrame frame) override { call_->call().send(encode_message(frame)); }
  void accept(const LeaderHello& hello) override { call_->call().send(encode_message(hello)); }
  void reject(const LeaderHello& hello, const std::string& why) override {
    call_->call().send(encode_message(hello));
    call_->finish(CallStatus::failed_precondition, why);
  }

 private:
  std::shared_ptr<FollowerCall> call_;
};

void FollowerCall::on_message(Buffer message) {
  Result<FromFollower> decoded = decode_from_follower(message);
  if (!decoded) return refuse(decoded.error().message);
  if (const auto* hello = std::get_if<FollowerHello>(&*decoded)) {
    if (std::exchange(greeted_, true)) return refuse("a second hello");
    return greet(*hello);
  }
  if (!greeted_) return refuse("a frame before the hello");
  if (events_ != nullptr) events_->on_frame(std::get<FollowerFrame>(std::move(*decoded)));
}

void FollowerCall::greet(const FollowerHello& hello) {
  const auto self = shared_from_this();
  patience_.cancel();
  events_ = acceptor_.on_follower(hello, std::make_unique<Connection>(self));
}

}  // namespace

std::unique_ptr<FetchTransport> make_http2_fetch_transport() {
  return std::make_unique<Http2FetchTransport>();
}

void serve_follower(common::Shard& shard, Socket socket, FollowerAcceptor& acceptor) {
  std::make_shared<FollowerCall>(shard, acceptor)->begin(std::move(socket));
}

}  // namespace broker::replication
