// One client connection: frames in, responses out, in the order of the requests (R87).
//
// A request is handled as soon as it is read. Before the next one is started, the handler either ends or says that its
// place in the order is settled (produce: appended, now waiting for its replicas), so that five pipelined produce
// requests wait for their replicas together and are still appended and answered in order.
// What a client can hold of us is bounded: frame size, requests in flight, unsent bytes, time for a frame (R109, R111).
// Nothing is read from a connection while too much waits to be taken on it.
//
// Lives on one shard; kept alive by its own coroutines.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "broker/server/client_software.h"
#include "broker/server/memory_budget.h"
#include "broker/server/response_budget.h"
#include "common/logging.h"
#include "common/model/bytes.h"
#include "common/net/socket.h"
#include "common/rate_limit.h"
#include "common/shard.h"

namespace broker::server {

using common::Awaitable;
using common::model::Buffer;
using common::model::BufferChain;

struct ConnectionInfo {
  uint64_t id = 0;
  std::string listener;
  common::net::Address peer;
  common::net::Address local;
  std::shared_ptr<ClientSoftware> software;  // what the client says it is; may be null, and is once it has gone
};

// A request being handled; the handler sees this much of its connection.
class InFlight {
 public:
  InFlight(common::Shard& shard, const ConnectionInfo& connection, Buffer frame)
      : connection_(connection), frame_(std::move(frame)), order_settled_(shard), turn_(shard) {
    turn_.set();
  }

  [[nodiscard]] const ConnectionInfo& connection() const { return connection_; }
  // Without the length prefix. Slices of it keep it alive.
  [[nodiscard]] const Buffer& frame() const { return frame_; }
  // The next request of this connection may start: what this one does to the order of things is done.
  void settle_order() { order_settled_.set(); }
  Awaitable<bool> until_settled() { return common::until(order_settled_); }
  // Whether everything that was asked before on this connection is answered, so that this answer is the next; and the
  // wait for that. What is found out sooner is old by the time the client hears it.
  [[nodiscard]] bool has_turn() const { return turn_.is_set(); }
  Awaitable<bool> until_turn() { return common::until(turn_); }
  // By who keeps the order: others are ahead; none is any more, or the connection has ended.
  void stand_in_line() { turn_.reset(); }
  void give_turn() { turn_.set(); }
  // A long wait for what others do: for `news`, until `deadline`, until nobody would take the answer any more
  // (is_abandoned) or it is to be given now (is_hurried); both set `news` as well. false: no news. One at a time.
  Awaitable<bool> wait_for(common::Event& news, common::Instant deadline);
  [[nodiscard]] bool is_abandoned() const { return is_abandoned_; }
  [[nodiscard]] bool is_hurried() const { return is_hurried_; }
  // By who keeps the connection: the client asks nothing more, and may have gone. It is answered with what there is.
  void hurry() {
    is_hurried_ = true;
    if (awaited_ != nullptr) awaited_->set();
  }
  // By who keeps the connection: it has ended.
  void abandon() {
    is_abandoned_ = true;
    if (awaited_ != nullptr) awaited_->set();
  }
  // What is left of this request waits for other clients (a rebalance): its bytes no longer hold back their requests.
  // frame() is empty from now on.
  void release_frame() {
    frame_ = {};
    if (auto release = std::exchange(on_release_, nullptr)) release();
  }
  // So much of the memory for requests is used that this one should not keep its part while it waits.
  [[nodiscard]] bool is_memory_scarce() const { return is_memory_scarce_ && is_memory_scarce_(); }
  void watch_memory(std::function<bool()> is_scarce) { is_memory_scarce_ = std::move(is_scarce); }

  // The answer counts against `budget` from now on; the connection has taken `taken_bytes` before.
  void charge_answer_to(ResponseBudget& budget, uint64_t taken_bytes) { answer_.emplace(budget, taken_bytes); }
  // How many bytes of records the answer may have, `wanted` at most (R109). Waits while too many answers are in memory.
  Awaitable<uint64_t> reserve_answer(uint64_t wanted) {
    if (!answer_) co_return wanted;
    co_return co_await answer_->reserve(wanted);
  }
  // That many they are; the rest of what was reserved is free for others.
  void answer_holds(uint64_t bytes) {
    if (answer_) answer_->hold(bytes);
  }

 private:
  friend class Connection;
  const ConnectionInfo& connection_;
  Buffer frame_;
  std::optional<ResponseBudget::Charge> answer_;
  std::function<void()> on_release_;
  std::function<bool()> is_memory_scarce_;
  common::Event order_settled_;
  common::Event turn_;
  common::Event* awaited_ = nullptr;  // while wait_for() waits
  bool is_abandoned_ = false;
  bool is_hurried_ = false;
};

struct Outcome {
  enum class Kind { answer, nothing, close };
  Kind kind = Kind::answer;
  BufferChain response;  // without the length prefix
  bool is_last = false;  // the connection is closed once it is written
  std::string reason;    // why it is closed: one rate-limited log line

  // Answers before it that are ready are written first.
  static Outcome close(std::string why) {
    return {.kind = Kind::close, .response = {}, .is_last = true, .reason = std::move(why)};
  }
};

// Turns a frame into an outcome. `in_flight` stays alive until the coroutine ends.
using Dispatch = std::function<Awaitable<Outcome>(InFlight& in_flight)>;

struct ConnectionLimits {
  uint32_t frame_bytes_max = 100 * 1024 * 1024;  // socket.request.max.bytes
  uint32_t in_flight_max = 16;
  uint64_t unsent_bytes_max = 1024 * 1024;             // no further request is read beyond it
  std::chrono::milliseconds frame_time_max{30'000};    // from a frame's first byte to its last
  std::chrono::milliseconds write_stall_max{30'000};   // a client that never reads is closed
  std::chrono::milliseconds short_stall_max{5'000};    // the same while others wait for the memory that it holds
  std::chrono::milliseconds idle_max{10 * 60 * 1000};  // connections.max.idle.ms
  std::chrono::milliseconds unheard_max{2'000};        // while a request waits; then it is asked who is still there
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(common::Shard& shard, common::net::Socket socket, ConnectionInfo info, const ConnectionLimits& limits,
             std::shared_ptr<MemoryBudget> budget, std::shared_ptr<ResponseBudget> responses, const Dispatch& dispatch,
             std::function<void(Connection&, const std::string& why)> on_closed);

  void start();
  // Idempotent. `why` empty: the peer left, nothing to log.
  void close(const std::string& why);
  // Closes itself if it overstayed a limit. Called once a second for all connections: no timer of its own.
  void check_deadlines(common::Instant now);
  [[nodiscard]] const ConnectionInfo& info() const { return info_; }

 private:
  struct Slot {
    Slot(common::Shard& shard, const ConnectionInfo& info, MemoryBudget::Charge held, Buffer frame)
        : charge(std::move(held)), request(shard, info, std::move(frame)) {
      request.on_release_ = [this] { charge.reset(); };
      request.watch_memory([this] { return charge && charge->is_scarce(); });
    }
    std::optional<MemoryBudget::Charge> charge;  // none: released early
    InFlight request;
    std::optional<Outcome> outcome;
  };

  static Awaitable<void> read_requests(std::shared_ptr<Connection> self);
  static Awaitable<void> handle(std::shared_ptr<Connection> self, std::shared_ptr<Slot> slot);
  static Awaitable<void> write_responses(std::shared_ptr<Connection> self);
  Awaitable<std::shared_ptr<Slot>> read_frame();
  [[nodiscard]] std::vector<std::shared_ptr<Slot>> ready_answers() const;
  void end_by(Slot& slot, Outcome outcome);
  [[nodiscard]] bool may_read_on() const;
  [[nodiscard]] bool is_turn_over() const;
  [[nodiscard]] bool has_peer_gone();
  void end_requests();
  void hurry_requests();
  Awaitable<bool> fill(std::byte* into, size_t size);

  common::Shard& shard_;
  common::net::Socket socket_;
  ConnectionInfo info_;
  const ConnectionLimits& limits_;
  // Shared: a request that still waits when its shard ends gives back what it holds after the server has gone.
  const std::shared_ptr<MemoryBudget> budget_;
  const std::shared_ptr<ResponseBudget> responses_;
  const Dispatch& dispatch_;
  std::function<void(Connection&, const std::string&)> on_closed_;

  std::deque<std::shared_ptr<Slot>> in_flight_;  // in request order; the front is answered next
  uint64_t unsent_bytes_ = 0;
  common::Event outcome_ready_;  // the writer waits
  common::Event room_;           // the reader waits
  bool closed_ = false;
  std::optional<std::string> ends_with_;  // why a handler closes it, which it is once what is ready is written
  bool has_ended_ = false;                // nothing more is read: closed once everything is answered
  common::Instant last_activity_;
  std::optional<common::Instant> frame_began_;
  std::optional<common::Instant> write_began_;  // of the write under way, moved on by progress
  uint64_t write_progress_ = 0;
  // Bytes read ahead of the frame being cut: several small requests come in with one read.
  std::vector<std::byte> ahead_;
  size_t ahead_begin_ = 0;
  size_t ahead_end_ = 0;
  size_t proven_bytes_ = 0;  // the largest frame that came in full, within bounds
  // What has been begun since the loop was last gone through.
  struct Turn {
    size_t requests = 0;
    size_t bytes = 0;
  };
  Turn turn_;
};

}  // namespace broker::server
