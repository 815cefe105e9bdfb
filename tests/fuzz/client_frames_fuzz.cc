// Whatever a client sends on its connection is cut into requests within bounds, or ends the connection (R109, R111):
// what comes out is what went in, and answers come in the order of requests (R87). When the connection has ended,
// nothing of it is left, no memory is held, and that was said once.
//
//   input = { op:u8 ... }...
//     0  length:u16 bytes     as they are
//     1  length:u16 bytes     a frame with the right length; its first byte says what the broker does with it
//     2  length:u32           a frame that is only claimed
//     3                       the broker goes on with what waits
//     4                       the client reads what there is
//     5  seconds:u8           they pass
#include <array>
#include <string>

#include "broker/server/connection.h"
#include "common/model/check.h"
#include "fuzz/input.h"
#include "support/socket_peer.h"

namespace {

using namespace broker::server;
using common::model::as_text;
using common::model::BytesView;
using test_support::SocketPeer;

constexpr uint64_t memory_bytes = 2048;
constexpr uint64_t answer_bytes = 1 << 20;

const ConnectionLimits& limits() {
  static const ConnectionLimits some = [] {
    ConnectionLimits l;
    l.frame_bytes_max = 3000;  // within what a fuzzer writes
    l.in_flight_max = 4;
    l.unsent_bytes_max = 1024;
    return l;
  }();
  return some;
}

std::string prefix(uint32_t length) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(length >> shift & 255));
  return out;
}

enum class Deed { answer, settle_and_wait, wait, close, nothing, take_turn, wait_for_news, answer_last, count };

Deed deed_for(BytesView frame) {
  return static_cast<Deed>(std::to_integer<unsigned>(frame[0]) % static_cast<unsigned>(Deed::count));
}

// A broker with one connection, whose other end is the fuzzer's.
class Broker {
 public:
  Broker() {
    connection_->start();
    SocketPeer::turn();
  }
  ~Broker() {
    connection_->close("");
    goes_on_.set();
    SocketPeer::turn();
    NARU_CHECK(is_closed_, "nobody was told of the end");
    const std::weak_ptr<Connection> watched = connection_;
    connection_.reset();
    SocketPeer::turn();
    NARU_CHECK(watched.expired(), "something holds a connection that is over");
    NARU_CHECK(budget_->used() == 0 && responses_->used() == 0, "{} bytes of requests and {} of answers are still held",
               budget_->used(), responses_->used());
  }
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  void hear(std::string_view bytes) {
    is_plain_ = false;
    say(bytes);
  }
  void hear_frame(BytesView content) {
    is_plain_ = is_plain_ && !content.empty() && content.size() <= limits().frame_bytes_max &&
                deed_for(content) == Deed::answer;
    const std::string frame = prefix(static_cast<uint32_t>(content.size())) + std::string(as_text(content));
    say(frame);
    expected_ += frame;
  }
  void go_on() {
    goes_on_.pulse();
    SocketPeer::turn();
  }
  void read() {
    heard_ += peer_.hear();
    NARU_CHECK(!is_plain_ || heard_ == expected_, "{} bytes of answers to {} bytes of requests", heard_.size(),
               expected_.size());
  }
  void pass(std::chrono::seconds time) {
    is_plain_ = false;
    connection_->check_deadlines(SocketPeer::shard().now() + time);
    SocketPeer::turn();
  }

 private:
  void say(std::string_view bytes) {
    said_ += bytes.size();
    if (peer_.say(bytes) < bytes.size()) is_plain_ = false;  // it has ended, or its buffers are full
    NARU_CHECK(budget_->used() <= memory_bytes + limits().frame_bytes_max, "{} bytes of requests are held",
               budget_->used());
  }
  static Awaitable<Outcome> serve(Broker& self, InFlight& request) {
    const Buffer frame = request.frame();
    NARU_CHECK(!frame.empty() && frame.size() <= limits().frame_bytes_max, "a request of {} bytes", frame.size());
    self.taken_ += prefix(0).size() + frame.size();
    NARU_CHECK(self.taken_ <= self.said_, "{} bytes of requests came out of {}", self.taken_, self.said_);
    Outcome outcome{.kind = Outcome::Kind::answer, .response = frame, .is_last = false, .reason = {}};
    switch (deed_for(frame.view())) {
      case Deed::settle_and_wait:
        request.settle_order();
        co_await common::until(self.goes_on_);
        break;
      case Deed::wait:
        co_await common::until(self.goes_on_);
        break;
      case Deed::close:
        co_return Outcome::close("told to");
      case Deed::nothing:
        outcome.kind = Outcome::Kind::nothing;
        outcome.response = {};
        break;
      case Deed::take_turn:
        request.settle_order();
        co_await request.until_turn();
        break;
      case Deed::wait_for_news:
        co_await request.wait_for(self.goes_on_, SocketPeer::shard().now() + std::chrono::hours(1));
        break;
      case Deed::answer_last:
        outcome.is_last = true;
        break;
      default:
        break;
    }
    co_return outcome;
  }

  SocketPeer peer_;
  common::Event goes_on_{SocketPeer::shard()};
  const std::shared_ptr<MemoryBudget> budget_ = std::make_shared<MemoryBudget>(SocketPeer::shard(), memory_bytes);
  const std::shared_ptr<ResponseBudget> responses_ =
      std::make_shared<ResponseBudget>(SocketPeer::shard(), answer_bytes);
  const Dispatch dispatch_ = [this](InFlight& request) { return serve(*this, request); };
  bool is_closed_ = false;
  bool is_plain_ = true;  // only requests so far that are answered at once
  std::string expected_;
  std::string heard_;
  size_t said_ = 0;
  size_t taken_ = 0;
  std::shared_ptr<Connection> connection_ = std::make_shared<Connection>(
      SocketPeer::shard(), peer_.our_socket(), ConnectionInfo{}, limits(), budget_, responses_, dispatch_,
      [this](Connection&, const std::string&) { NARU_CHECK(!std::exchange(is_closed_, true), "a second end"); });
};

void happen(Broker& broker, fuzz::Input& input) {
  switch (input.u8() % 6) {
    case 0:
      return broker.hear(as_text(input.bytes(input.u16())));
    case 1:
      return broker.hear_frame(input.bytes(input.u16()));
    case 2: {
      const uint32_t high = input.u16();
      return broker.hear(prefix(high << 16 | input.u16()));
    }
    case 3:
      return broker.go_on();
    case 4:
      return broker.read();
    default:
      return broker.pass(std::chrono::seconds(input.u8()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  Broker broker;
  while (!input.empty()) happen(broker, input);
  return 0;
}
