#include "broker/server/connection.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "broker/server/frame_buffer.h"
#include "common/model/mutant.h"

namespace broker::server {

using common::model::mutant;

namespace {

constexpr size_t read_ahead_bytes = 512;  // all that an idle connection holds beside its own state
// Frames are charged as they arrive, a step ahead: at first a little, then four times what has come already, so that a
// frame of Kafka's default batch takes two steps, each of which costs a read. Who claims a large frame and sends
// nothing holds no more than the first step. Who has sent a large one before gets as much at once, in one read and
// without moving it, up to a little more than Kafka's largest batch and while memory is not scarce.
constexpr size_t charge_step_min = 4 << 10;
constexpr size_t charge_step_max = 1 << 20;
constexpr size_t proven_bytes_max = 2 << 20;
static_assert(FrameBuffer::least_room == 5 * charge_step_min);  // the first two steps: nothing is moved
// Small answers that are ready together go out together; a large one goes by itself.
constexpr size_t answer_bytes_together = 64 << 10;
// Requests that have come together are begun together, so that what they append goes to each follower as one: until
// others have waited for so much.
constexpr size_t requests_per_turn = 8;
constexpr size_t request_bytes_per_turn = 128 << 10;

uint32_t read_u32(const std::byte* p) {
  uint32_t v = 0;
  for (int i = 0; i < 4; ++i) v = v << 8 | static_cast<uint8_t>(p[i]);
  return v;
}

Buffer length_prefix(size_t length) {
  std::array<std::byte, 4> bytes{};
  for (int i = 0; i < 4; ++i) bytes[i] = static_cast<std::byte>(length >> (24 - 8 * i));
  return Buffer::copy_of(bytes);
}

}  // namespace

Awaitable<bool> InFlight::wait_for(common::Event& news, common::Instant deadline) {
  if (is_abandoned_) co_return false;
  if (is_hurried_) co_return true;
  // Also where the wait ends with its shard.
  struct Awaited {
    explicit Awaited(common::Event*& at, common::Event& event) : place(at) { place = &event; }
    ~Awaited() { place = nullptr; }
    Awaited(const Awaited&) = delete;
    Awaited& operator=(const Awaited&) = delete;
    common::Event*& place;
  };
  const Awaited awaited(awaited_, news);
  const bool is_news = co_await common::until(news, deadline);
  co_return is_news && !is_abandoned_;
}

Connection::Connection(common::Shard& shard, common::net::Socket socket, ConnectionInfo info,
                       const ConnectionLimits& limits, std::shared_ptr<MemoryBudget> budget,
                       std::shared_ptr<ResponseBudget> responses, const Dispatch& dispatch,
                       std::function<void(Connection&, const std::string&)> on_closed)
    : shard_(shard),
      socket_(std::move(socket)),
      info_(std::move(info)),
      limits_(limits),
      budget_(std::move(budget)),
      responses_(std::move(responses)),
      dispatch_(dispatch),
      on_closed_(std::move(on_closed)),
      outcome_ready_(shard),
      room_(shard),
      last_activity_(shard.now()) {}

void Connection::start() {
  shard_.spawn("connection reader", read_requests(shared_from_this()));
  shard_.spawn("connection writer", write_responses(shared_from_this()));
}

void Connection::close(const std::string& why) {
  if (closed_) return;
  closed_ = true;
  socket_.close();
  info_.software.reset();  // requests under way may keep this object for as long as they wait
  outcome_ready_.set();
  room_.set();
  for (const auto& slot : in_flight_) {
    slot->request.settle_order();
    slot->request.give_turn();
    slot->request.abandon();
  }
  in_flight_.clear();  // answers that nobody will take; what is under way keeps its own
  if (auto on_closed = std::exchange(on_closed_, nullptr)) on_closed(*this, why);
}

void Connection::check_deadlines(common::Instant now) {
  if (write_began_ && socket_.bytes_written() != write_progress_) {
    write_progress_ = socket_.bytes_written();
    write_began_ = now;
  }
  const auto stall_max =
      responses_->is_short() ? std::min(limits_.short_stall_max, limits_.write_stall_max) : limits_.write_stall_max;
  if (frame_began_ && now - *frame_began_ > limits_.frame_time_max && !mutant<"R111-waits-for-half-frames">()) {
    close("a request did not arrive in full in time");
  } else if (write_began_ && now - *write_began_ > stall_max && !mutant<"R111-waits-for-who-does-not-read">()) {
    close("the client does not read its responses");
  } else if (in_flight_.empty() && now - last_activity_ > limits_.idle_max &&
             !mutant<"R111-keeps-idle-connections">()) {
    close("");
  } else if (!in_flight_.empty() && !write_began_ && now - last_activity_ > limits_.unheard_max &&
             (has_ended_ || has_peer_gone()) && !mutant<"R111-keeps-who-has-gone">()) {
    if (has_ended_) {
      close("");
    } else if (ahead_begin_ != ahead_end_) {
      hurry_requests();  // what was sent before the end comes first: it is read in its turn, and the end after it
    } else {
      end_requests();
    }
  }
}

// The client has ended its side. That may be all that it ended (shutdown): it is told what it asked, as by Kafka, which
// reads on only once it has answered. Or it has gone: then the answers show it, and nobody waits long for them.
void Connection::end_requests() {
  if (in_flight_.empty()) {
    close("");
    return;
  }
  has_ended_ = true;
  hurry_requests();
}

void Connection::hurry_requests() {
  last_activity_ = shard_.now();
  for (const auto& slot : in_flight_) slot->request.hurry();
}

// Nothing is read behind a request that waits, and so nobody hears the end of the connection.
bool Connection::has_peer_gone() {
  std::byte next{};
  return !socket_.peek(std::span(&next, 1)).has_value();
}

Awaitable<bool> Connection::fill(std::byte* into, size_t size) {
  const size_t held = std::min(size, ahead_end_ - ahead_begin_);
  if (held > 0) std::memcpy(into, ahead_.data() + ahead_begin_, held);
  ahead_begin_ += held;
  size_t filled = held;
  bool is_likely_there = frame_began_.has_value();  // what follows the beginning of a frame came with it, mostly
  while (filled < size && !closed_) {
    const std::span<std::byte> rest(into + filled, size - filled);
    const bool direct = rest.size() >= read_ahead_bytes;
    if (ahead_.empty()) ahead_.resize(read_ahead_bytes);
    common::model::Result<size_t> n = 0;
    // With the end of a frame comes the beginning of the next one, where that is there already.
    if (is_likely_there) n = direct ? socket_.try_read(rest, ahead_) : socket_.try_read(ahead_);
    if (n && *n == 0) {
      n = co_await socket_.read_some(direct ? rest : std::span<std::byte>(ahead_));
      turn_ = {};  // the loop has been gone through, even if the bytes were there
    }
    if (!n) co_return false;
    is_likely_there = false;
    last_activity_ = shard_.now();
    if (!frame_began_) frame_began_ = last_activity_;
    const size_t taken = std::min(*n, rest.size());
    if (!direct) std::memcpy(rest.data(), ahead_.data(), taken);
    filled += taken;
    ahead_begin_ = direct ? 0 : taken;
    ahead_end_ = direct ? *n - taken : *n;
  }
  co_return !closed_;
}

Awaitable<std::shared_ptr<Connection::Slot>> Connection::read_frame() {
  frame_began_.reset();
  std::array<std::byte, 4> prefix{};
  if (!co_await fill(prefix.data(), prefix.size())) {
    end_requests();
    co_return nullptr;
  }
  if (!frame_began_) frame_began_ = shard_.now();
  const uint32_t length = read_u32(prefix.data());
  if ((length == 0 || length > limits_.frame_bytes_max) && !mutant<"R109-takes-any-length">()) {
    close(fmt::format("a request of {} bytes is not acceptable (socket.request.max.bytes={})",
                      static_cast<int32_t>(length), limits_.frame_bytes_max));
    co_return nullptr;
  }
  MemoryBudget::Charge charge(*budget_);
  FrameBuffer memory(length);
  size_t filled = 0;
  while (filled < length) {
    const size_t proven = filled == 0 && !charge.is_scarce() ? proven_bytes_ : 0;
    const size_t arriving = std::clamp(4 * filled, charge_step_min, charge_step_max);
    const size_t step = std::min(std::max(proven, arriving), length - filled);
    const common::Instant began = *std::exchange(frame_began_, std::nullopt);
    const common::Instant asked = shard_.now();
    if (!mutant<"R109-reads-beyond-its-budget">()) co_await charge.grow(step);
    frame_began_ = began + (shard_.now() - asked);  // who waits for memory is not late
    if (!memory.make_room(filled + step)) {
      close(fmt::format("there is no memory for its request of {} bytes", length));
      co_return nullptr;
    }
    if (closed_ || !co_await fill(memory.data() + filled, step)) {
      end_requests();
      co_return nullptr;
    }
    filled += step;
  }
  frame_began_.reset();
  proven_bytes_ = std::max(proven_bytes_, std::min<size_t>(length, proven_bytes_max));
  ++turn_.requests;
  turn_.bytes += length;
  co_return std::make_shared<Slot>(shard_, info_, std::move(charge), memory.take());
}

// While answers wait for memory, who has one waiting is not asked for the next request.
bool Connection::may_read_on() const {
  if (in_flight_.size() >= limits_.in_flight_max) return false;
  if (mutant<"R109-reads-on-while-answers-wait">()) return true;
  return unsent_bytes_ <= limits_.unsent_bytes_max && (unsent_bytes_ == 0 || !responses_->is_short());
}

// Where nothing has been read ahead, the next read goes through the loop anyway.
bool Connection::is_turn_over() const {
  return ahead_begin_ != ahead_end_ && (turn_.requests >= requests_per_turn || turn_.bytes >= request_bytes_per_turn);
}

Awaitable<void> Connection::read_requests(std::shared_ptr<Connection> self) {
  while (!self->closed_) {
    std::shared_ptr<Slot> slot = co_await self->read_frame();
    if (!slot || self->ends_with_) co_return;
    slot->request.charge_answer_to(*self->responses_, self->socket_.bytes_written());
    if (!self->in_flight_.empty()) slot->request.stand_in_line();
    self->in_flight_.push_back(slot);
    self->shard_.spawn("request", handle(self, slot));
    if (!mutant<"R87-handles-requests-side-by-side">()) co_await slot->request.until_settled();
    slot.reset();
    if (self->is_turn_over()) {
      co_await common::yield_to(self->shard_);
      self->turn_ = {};
    }
    while (!self->closed_ && !self->may_read_on()) co_await common::until(self->room_);
  }
}

Awaitable<void> Connection::handle(std::shared_ptr<Connection> self, std::shared_ptr<Slot> slot) {
  Outcome outcome = co_await self->dispatch_(slot->request);
  if (self->closed_) co_return;
  if (outcome.kind == Outcome::Kind::close) {
    self->end_by(*slot, std::move(outcome));
    co_return;
  }
  slot->request.release_frame();  // it is done with: who does not take the answer holds back no requests of others
  self->unsent_bytes_ += outcome.response.size();
  slot->request.answer_holds(outcome.response.size());
  slot->outcome = std::move(outcome);
  slot->request.settle_order();
  self->outcome_ready_.pulse();
}

// Without the answers that are ready already a client would not know what became of requests that were done. What is
// not ready yet is not waited for, nor is the order settled: the next request is not begun.
void Connection::end_by(Slot& slot, Outcome outcome) {
  slot.outcome = std::move(outcome);
  if (!ends_with_) ends_with_ = slot.outcome->reason;
  if (ready_answers().empty()) {
    close(*ends_with_);
  } else {
    outcome_ready_.pulse();
  }
}

// Those from the front on that are ready: one commit often answers several requests of a producer.
std::vector<std::shared_ptr<Connection::Slot>> Connection::ready_answers() const {
  std::vector<std::shared_ptr<Slot>> ready;
  size_t bytes = 0;
  for (const std::shared_ptr<Slot>& slot : in_flight_) {
    if (!slot->outcome || slot->outcome->kind == Outcome::Kind::close) break;
    bytes += slot->outcome->response.size();
    if (!ready.empty() && bytes > answer_bytes_together) break;
    ready.push_back(slot);
    if (slot->outcome->is_last) break;
  }
  return ready;
}

Awaitable<void> Connection::write_responses(std::shared_ptr<Connection> self) {
  while (!self->closed_) {
    const std::vector<std::shared_ptr<Slot>> ready = self->ready_answers();
    if (ready.empty()) {
      if (self->ends_with_) {
        self->close(*self->ends_with_);
        co_return;
      }
      co_await common::until(self->outcome_ready_);
      continue;
    }
    BufferChain framed;
    size_t bytes = 0;
    for (const std::shared_ptr<Slot>& slot : ready) {
      const size_t size = slot->outcome->response.size();
      bytes += size;
      if (slot->outcome->kind != Outcome::Kind::answer) continue;
      framed.append(length_prefix(size));
      framed.append(std::move(slot->outcome->response));
    }
    if (!framed.empty()) {
      self->write_began_ = self->shard_.now();
      const auto written = co_await self->socket_.write(framed);
      self->write_began_.reset();
      if (!written) self->close("");
      const Outcome& last = *ready.back()->outcome;
      if (last.kind == Outcome::Kind::answer && last.is_last) self->close(last.reason);
      if (self->closed_) co_return;
    }
    self->last_activity_ = self->shard_.now();
    self->unsent_bytes_ -= bytes;
    const auto first = self->in_flight_.begin();
    self->in_flight_.erase(first, first + static_cast<std::ptrdiff_t>(ready.size()));
    if (self->has_ended_ && self->in_flight_.empty()) self->close("");
    if (!self->in_flight_.empty()) self->in_flight_.front()->request.give_turn();
    self->room_.pulse();
  }
}

}  // namespace broker::server
