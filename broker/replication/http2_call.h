// One gRPC call, spoken by the shard that uses it: HTTP/2 by nghttp2, on a socket of the shard's own loop.
//
// Why it exists: gRPC's runtime reads and writes on threads of its own. Each message of a fetch stream then costs a
// wake-up there, one back to the shard, one for the end of the write, and, with the flow control of gRPC 1.51, a window
// update that wakes both ends once more. That was most of what a small batch cost. What is on the wire is gRPC all the
// same: either end may be its runtime, and tests/unit/replication has every pair talk.
//
// A call has a connection to itself. Messages carry gRPC's five-byte prefix when they are given and none when they are
// delivered. Lives on its shard, shared by its own coroutines until the connection is closed.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/model/bytes.h"
#include "common/model/limits.h"
#include "common/net/socket.h"
#include "common/shard.h"

struct nghttp2_session;

namespace broker::replication {

using common::model::Buffer;
using common::model::BufferChain;

// A first setting of a connection that HTTP/2 leaves undefined, so that peers of another kind ignore it: by it the
// listener knows, before anything is read, that a call for a shard follows (peer_listener.h).
inline constexpr uint16_t shard_setting = 0x6e72;

// gRPC's status codes, as far as we say them.
enum class CallStatus { ok = 0, failed_precondition = 9, unimplemented = 12 };

struct CallEnd {
  std::optional<int> status;  // what the server said; none: the connection broke
  std::string why;
};

class Http2Call : public std::enable_shared_from_this<Http2Call> {
 public:
  // From the event loop, never inside a call of the other side's.
  class Events {
   public:
    virtual ~Events() = default;
    virtual void on_message(Buffer message) = 0;
    virtual void on_drained() = 0;  // after is_drained() was no
    virtual void on_end(const CallEnd& end) = 0;  // the last one
  };
  struct Options {
    std::string path = "/naru.cluster.Replication/Fetch";
    // Above a message with the largest batch in it (R109): what a leader has acknowledged, a follower takes.
    size_t message_bytes_max = common::model::batch_bytes_limit + (size_t{28} << 20);
  };

  // `events` may die after close() only.
  static std::shared_ptr<Http2Call> client(common::Shard& shard, common::net::Socket socket, Events& events,
                                           const std::string& authority, uint32_t wanted_shard, Options options);
  static std::shared_ptr<Http2Call> server(common::Shard& shard, common::net::Socket socket, Events& events,
                                           Options options);
  ~Http2Call();
  Http2Call(const Http2Call&) = delete;
  Http2Call& operator=(const Http2Call&) = delete;

  // Everything given has reached the kernel. If not, on_drained comes once it has.
  [[nodiscard]] bool is_drained();
  // Only when drained.
  void send(BufferChain message);
  // The server's last word, after what was sent. No events come any more; the connection ends by itself.
  void finish(CallStatus status, const std::string& why);
  // No events come any more.
  void close();

 private:
  struct Callbacks;
  struct SessionDeleter {
    void operator()(nghttp2_session* session) const;
  };

  Http2Call(common::Shard& shard, common::net::Socket socket, Events& events, bool is_server, Options options);
  void start(const std::string& authority, uint32_t wanted_shard);
  static common::Awaitable<void> read(std::shared_ptr<Http2Call> self);
  static common::Awaitable<void> wait_to_write(std::shared_ptr<Http2Call> self);
  void on_bytes(common::model::BytesView bytes);
  void flush();
  bool gather();
  void deliver();
  void tell_if_drained();
  void end(const CallEnd& end);
  void respond();

  // Called by nghttp2.
  void on_data(common::model::BytesView bytes);
  void on_header(std::string_view name, std::string_view value);
  void on_request();
  [[nodiscard]] int64_t offer(size_t most, uint32_t* flags);
  void take_out(common::model::BytesView frame_head, size_t count);

  common::Shard& shard_;
  common::net::Socket socket_;
  Events* events_;  // null: nobody listens any more
  const bool is_server_;
  const Options options_;
  std::unique_ptr<nghttp2_session, SessionDeleter> session_;
  int32_t stream_ = 0;  // 0: none yet

  // What goes out: the message under way, and the bytes that the kernel has not taken yet.
  BufferChain outgoing_;
  size_t outgoing_part_ = 0;
  size_t outgoing_inside_ = 0;
  size_t outgoing_left_ = 0;
  std::optional<std::pair<CallStatus, std::string>> last_word_;
  bool has_responded_ = false;
  bool is_refused_ = false;  // the call was for something else: what it says is not for us
  std::vector<Buffer> wire_;
  bool is_blocked_ = false;
  bool is_wanted_ = false;  // somebody waits for on_drained
  bool is_reading_ = false;

  // What comes in.
  std::byte prefix_[5] = {};
  size_t prefix_filled_ = 0;
  std::shared_ptr<std::byte[]> message_;
  size_t message_bytes_ = 0;
  size_t message_filled_ = 0;
  std::vector<Buffer> arrived_;
  std::string path_;
  std::optional<int> status_;
  std::string status_message_;
  std::string problem_;  // why the other side is to be left
  bool stream_is_over_ = false;
  bool is_closed_ = false;
  common::TimerHandle lingering_;  // after the last word
};

}  // namespace broker::replication
