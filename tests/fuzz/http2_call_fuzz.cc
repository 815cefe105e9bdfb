// Whatever a peer says on the socket of a fetch stream (HTTP/2, header compression, gRPC's prefixes, frames of ours) is
// understood or ends the call, at either end of it: nothing from a socket may end the process (R109, R112), no event
// comes after the last one, no more comes out than went in, and nothing of a call is left when its peer has hung up.
//
//   input = end:u8 then { op:u8 ... }...
//     end    bit 0: we are the follower    bit 1: the peer begins as it should
//            bits 2, 3: what is done with a message: nothing, an answer, close, finish
//            15 in the upper half: the rest are a connection's first bytes
//     op  0  length:u16 bytes                                 as they are
//         1  type:u8 flags:u8 stream:u8 length:u16 bytes      a frame with a head that is right
//         2  flags:u8 count:u8 { name:u8 length:u8 value }... headers, spelled out
//         3  length:u16 bytes                                 a message of gRPC's in a frame
//         4  parts:u8                                         we send as many parts, if that is our turn
//         5                                                   the peer reads what there is
#include <array>
#include <string>

#include "broker/peer_listener.h"
#include "broker/replication/http2_call.h"
#include "broker/replication/wire_frames.h"
#include "common/model/check.h"
#include "fuzz/input.h"
#include "replication/http2_peer.h"

namespace {

using namespace broker::replication;
using common::model::as_text;
using common::model::BytesView;
using test_support::SocketPeer;
using test_support::http2_frame;

constexpr size_t message_bytes_max = 3000;  // within what a fuzzer writes

enum class Reaction { none, answer, close, finish };

// What our end of the call does with what it hears.
class Owner final : public Http2Call::Events {
 public:
  Owner(bool is_follower, Reaction reaction) : is_follower_(is_follower), reaction_(reaction) {}

  void on_message(Buffer message) override {
    NARU_CHECK(listens_, "a message after the last event");
    NARU_CHECK(message.size() <= message_bytes_max, "a message of {} bytes", message.size());
    ++messages_;
    bytes_ += message.size();
    if (is_follower_) {
      (void)decode_from_leader(message);
    } else {
      (void)decode_from_follower(message);
    }
    if (reaction_ == Reaction::answer) send(1);
    if (reaction_ == Reaction::close) close();
    if (reaction_ == Reaction::finish && !is_follower_) {
      listens_ = false;
      call_->finish(CallStatus::failed_precondition, "not\n% here");
    }
  }
  void on_drained() override { NARU_CHECK(listens_, "room to write after the last event"); }
  void on_end(const CallEnd& /*end*/) override {
    NARU_CHECK(listens_, "a second end");
    listens_ = false;
  }

  // As frames are sent: when all before has gone, and by the leader only to who has asked.
  void send(size_t parts) {
    if (!listens_ || (!is_follower_ && messages_ == 0) || !call_->is_drained()) return;
    BufferChain message(Buffer::copy_of(std::string(5, '\0')));
    for (size_t i = 0; i < parts; ++i) message.append(Buffer::copy_of(std::string(4096, 'x')));
    call_->send(std::move(message));
  }
  void close() {
    listens_ = false;
    call_->close();
  }

  void set_call(std::shared_ptr<Http2Call> call) { call_ = std::move(call); }
  [[nodiscard]] std::weak_ptr<Http2Call> let_go() {
    std::weak_ptr<Http2Call> watched = call_;
    call_.reset();
    return watched;
  }
  [[nodiscard]] bool listens() const { return listens_; }
  [[nodiscard]] size_t messages() const { return messages_; }
  [[nodiscard]] size_t bytes() const { return bytes_; }

 private:
  const bool is_follower_;
  const Reaction reaction_;
  std::shared_ptr<Http2Call> call_;
  bool listens_ = true;
  size_t messages_ = 0;
  size_t bytes_ = 0;
};

// A call whose other end is the fuzzer's.
class Conversation {
 public:
  Conversation(bool is_follower, bool begins_well, Reaction reaction)
      : owner_(is_follower, reaction), is_well_(begins_well) {
    Http2Call::Options options;
    options.message_bytes_max = message_bytes_max;
    owner_.set_call(is_follower
                        ? Http2Call::client(SocketPeer::shard(), peer_.our_socket(), owner_, "leader:1", 0, options)
                        : Http2Call::server(SocketPeer::shard(), peer_.our_socket(), owner_, options));
    SocketPeer::turn();
    if (begins_well) say(is_follower ? test_support::leader_opening() : test_support::follower_opening());
  }
  ~Conversation() {
    peer_.hang_up();
    NARU_CHECK(!owner_.listens(), "the peer has hung up, and nobody was told");
    const auto call = owner_.let_go();
    SocketPeer::turn();
    NARU_CHECK(call.expired(), "something holds a call that is over");
  }

  void hear(std::string_view bytes) {
    is_well_ = false;
    say(bytes);
  }
  void hear_message(BytesView content) {
    if (content.size() > message_bytes_max) is_well_ = false;
    say(http2_frame(test_support::data_frame, 0, 1, test_support::grpc_message(as_text(content))));
    ++sent_;
    NARU_CHECK(!is_well_ || !owner_.listens() || owner_.messages() == sent_, "{} of {} messages have arrived",
               owner_.messages(), sent_);
  }
  void send(size_t parts) {
    owner_.send(parts);
    SocketPeer::turn();
  }
  void read() { (void)peer_.hear(); }

 private:
  void say(std::string_view bytes) {
    said_ += peer_.say(bytes);
    NARU_CHECK(owner_.bytes() + 5 * owner_.messages() <= said_, "{} bytes were said, {} messages of {} came out", said_,
               owner_.messages(), owner_.bytes());
  }

  SocketPeer peer_;
  Owner owner_;
  bool is_well_;  // only messages so far, as a peer sends them
  size_t said_ = 0;
  size_t sent_ = 0;
};

std::string any_headers(fuzz::Input& input) {
  static constexpr std::array<std::string_view, 12> names = {
      ":method",     ":scheme",      ":path",          ":authority", ":status", "te",
      "grpc-status", "grpc-message", "content-length", "connection", "x",       "user-agent"};
  static constexpr std::array<std::string_view, 6> values = {
      "POST", "http", test_support::fetch_path, "200", "trailers", "9"};
  std::string all;
  for (unsigned left = input.u8() % 16; left > 0; --left) {
    const std::string_view name = names[input.u8() % names.size()];
    const unsigned length = input.u8();
    const std::string_view one_that_belongs = values[length % values.size()];
    all += test_support::http2_header(name, length >= 128 ? one_that_belongs : as_text(input.bytes(length)));
  }
  return all;
}

// What a connection is does not change with what comes later.
void sort(BytesView first_bytes) {
  using What = broker::PeerKind::What;
  broker::PeerKind before;
  for (size_t n = 0; n <= first_bytes.size(); ++n) {
    const broker::PeerKind kind = broker::peer_kind(first_bytes.first(n));
    NARU_CHECK(before.what == What::unknown || (kind.what == before.what && kind.shard == before.shard),
               "{} bytes say something else than {} did", n, n - 1);
    before = kind;
  }
}

void converse(Conversation& call, fuzz::Input& input) {
  switch (input.u8() % 6) {
    case 0:
      return call.hear(as_text(input.bytes(input.u16())));
    case 1: {
      const uint8_t type = input.u8();
      const uint8_t flags = input.u8();
      const uint8_t stream = input.u8();
      return call.hear(http2_frame(type, flags, stream, as_text(input.bytes(input.u16()))));
    }
    case 2: {
      const uint8_t flags = input.u8();
      return call.hear(
          http2_frame(test_support::headers_frame, flags | test_support::end_headers, 1, any_headers(input)));
    }
    case 3:
      return call.hear_message(input.bytes(input.u16()));
    case 4:
      return call.send(input.u8() % 128);
    default:
      return call.read();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  fuzz::Input input(bytes, size);
  const uint8_t end = input.u8();
  if (end >> 4 == 15) {
    sort(input.rest());
    return 0;
  }
  Conversation call((end & 1) != 0, (end & 2) != 0, static_cast<Reaction>(end >> 2 & 3));
  while (!input.empty()) converse(call, input);
  return 0;
}
