#include "sim/kafka_wire.h"

#include <algorithm>

namespace sim {

namespace server = broker::server;

namespace {

constexpr size_t in_flight_max = 16;

}  // namespace

// ---- the broker's end ----

ServedConnection::ServedConnection(SimShard& shard, broker::api::BrokerContext& context,
                                   std::shared_ptr<ShardMemory> memory, std::shared_ptr<Pipe> pipe,
                                   std::function<void(Buffer)> answer)
    : shard_(shard),
      context_(context),
      memory_(std::move(memory)),
      pipe_(std::move(pipe)),
      answer_(std::move(answer)) {}

std::shared_ptr<ServedConnection> ServedConnection::accept(SimShard& shard, broker::api::BrokerContext& context,
                                                           std::shared_ptr<ShardMemory> memory,
                                                           std::shared_ptr<Pipe> pipe, std::string client_host,
                                                           std::function<void(Buffer)> answer) {
  static uint64_t ids = 0;
  auto made = std::make_shared<ServedConnection>(shard, context, std::move(memory), pipe, std::move(answer));
  std::erase_if(made->memory_->connections, [](const auto& weak) { return weak.expired(); });
  made->memory_->connections.push_back(made);
  made->info_.id = ++ids;
  made->info_.listener = "PLAINTEXT";
  made->info_.peer.host = std::move(client_host);
  pipe->on_closed(Pipe::acceptor, [made] { Process::look(made->shard_, [&] { made->close(); }); });
  return made;
}

void ServedConnection::on_frame(Buffer frame) {
  unread_.push_back(std::move(frame));
  if (std::exchange(taking_, true)) return;
  shard_.spawn("connection reader", take(shared_from_this()));
}

common::Awaitable<void> ServedConnection::take(std::shared_ptr<ServedConnection> self) {
  while (!self->closed_ && !self->unread_.empty() && self->in_flight_.size() < in_flight_max) {
    Buffer frame = std::move(self->unread_.front());
    self->unread_.pop_front();
    self->memory_->largest_frame = std::max<uint64_t>(self->memory_->largest_frame, frame.size());
    const auto waits = std::make_unique<InFlightCount>(self->memory_);
    server::MemoryBudget::Charge charge(self->memory_->requests);
    co_await charge.grow(frame.size());
    if (self->closed_) break;
    const auto slot =
        std::make_shared<Slot>(self->shard_, self->info_, self->memory_, std::move(charge), std::move(frame));
    slot->request.charge_answer_to(self->memory_->responses, self->taken_bytes_);
    if (!self->in_flight_.empty()) slot->request.stand_in_line();
    self->in_flight_.push_back(slot);
    self->shard_.spawn("request", handle(self, slot));
    co_await slot->request.until_settled();
  }
  self->taking_ = false;
}

common::Awaitable<void> ServedConnection::handle(std::shared_ptr<ServedConnection> self, std::shared_ptr<Slot> slot) {
  server::Outcome outcome = co_await broker::api::dispatch(self->context_, slot->request);
  if (outcome.kind == server::Outcome::Kind::close) {
    self->close();
    co_return;
  }
  if (self->closed_) co_return;
  slot->request.release_frame();
  slot->request.answer_holds(outcome.response.size());
  slot->outcome = std::move(outcome);
  slot->request.settle_order();
  self->answer_finished();
}

void ServedConnection::answer_finished() {
  while (!closed_ && !in_flight_.empty() && in_flight_.front()->outcome) {
    const server::Outcome& outcome = *in_flight_.front()->outcome;
    if (outcome.kind == server::Outcome::Kind::answer) answer_(outcome.response.flatten());
    taken_bytes_ += outcome.response.size();
    in_flight_.pop_front();
    if (!in_flight_.empty()) in_flight_.front()->request.give_turn();
  }
  if (!closed_ && !unread_.empty() && !std::exchange(taking_, true)) {
    shard_.spawn("connection reader", take(shared_from_this()));
  }
}

void ServedConnection::close() {
  if (std::exchange(closed_, true)) return;
  pipe_->close(Pipe::acceptor);
  for (const auto& slot : in_flight_) {
    slot->request.settle_order();
    slot->request.give_turn();
    slot->request.abandon();
  }
  in_flight_.clear();
  answer_ = nullptr;
}

void ServedConnection::let_go() {
  unread_.clear();
  for (const auto& slot : in_flight_) slot->request.give_turn();  // what waits for it holds its slot
  in_flight_.clear();
}

// ---- the client's end ----

ClientConnection::ClientConnection(Site site, Host to) : site_(std::move(site)), to_(to) {}

void ClientConnection::begin() {
  const auto self = shared_from_this();
  site_.network->connect(
      site_.host, site_.process, to_,
      [self](const std::shared_ptr<Pipe>& pipe) {
        self->served_ = self->site_.serve(self->to_, pipe, [self, pipe](Buffer response) {
          pipe->send(Pipe::acceptor, [self, response = std::move(response)] { self->on_response(response); });
        });
        if (!self->served_) pipe->close(Pipe::acceptor);
      },
      [self](common::net::ProbeResult, const std::shared_ptr<Pipe>& pipe) {
        if (!pipe || self->broken_) {
          if (pipe) pipe->close(Pipe::opener);
          return self->close();
        }
        self->pipe_ = pipe;
        self->stands_ = true;
        pipe->on_closed(Pipe::opener, [self] { self->close(); });
        for (Buffer& frame : std::exchange(self->early_, {})) self->send(std::move(frame));
      });
}

void ClientConnection::send(Buffer frame) {
  pipe_->send(Pipe::opener, [self = shared_from_this(), frame = std::move(frame)] {
    if (self->served_) self->served_->on_frame(frame);
  });
}

void ClientConnection::on_response(Buffer response) {
  if (waiting_.empty()) return;
  const auto first = waiting_.front();
  waiting_.pop_front();
  first->response = std::move(response);
  first->done.set();
}

void ClientConnection::close() {
  if (std::exchange(broken_, true)) return;
  if (pipe_) pipe_->close(Pipe::opener);
  for (const auto& waiting : std::exchange(waiting_, {})) waiting->done.set();
}

common::Awaitable<std::optional<Buffer>> ClientConnection::exchange(Buffer frame, Duration timeout, bool has_answer) {
  const auto self = shared_from_this();
  if (broken_) co_return std::nullopt;
  const auto waiting = std::make_shared<Waiting>(*site_.shard);
  if (has_answer) waiting_.push_back(waiting);
  if (stands_) {
    send(std::move(frame));
  } else {
    early_.push_back(std::move(frame));
  }
  if (!has_answer) co_return std::nullopt;
  const bool came = co_await common::until(waiting->done, site_.shard->now() + timeout);
  // As real clients do: what is late on a connection makes the connection suspect.
  if (!came) close();
  co_return std::move(waiting->response);
}

}  // namespace sim
