#include "sim/wires.h"

namespace sim {

using common::net::ProbeResult;
namespace raft = controller::raft;

namespace {

template <class T>
struct Waiting {
  explicit Waiting(common::Shard& shard) : done(shard) {}
  T value{};
  common::Event done;
};

}  // namespace

// The opener's end. Kept alive by its events until it has ended.
class SimRaftWire::Stream final : public quorum::RaftWireStream, public std::enable_shared_from_this<Stream> {
 public:
  Stream(WireSite site, SimShard& shard, Callbacks callbacks, std::shared_ptr<Overheard> overheard)
      : site_(std::move(site)), shard_(shard), callbacks_(std::move(callbacks)), overheard_(std::move(overheard)) {}

  void begin(Host to, const quorum::RaftHello& hello) {
    session_ = hello.session;
    auto self = shared_from_this();
    site_.network->connect(
        site_.host, site_.process, to,
        [self, hello, to](const std::shared_ptr<Pipe>& pipe) {
          const auto there = self->site_.services(to);
          if (!there || there->raft == nullptr) return pipe->close(Pipe::acceptor);
          on_shard(*there->controller_shard, [&] { there->raft->accept(pipe, hello, self); });
        },
        [self](ProbeResult result, std::shared_ptr<Pipe> pipe) {
          if (!pipe) return self->end(std::string(common::net::to_string(result)));
          if (self->ended_) return pipe->close(Pipe::opener);
          self->pipe_ = std::move(pipe);
          self->pipe_->on_closed(Pipe::opener, [self] { self->end("closed by the peer"); });
        });
  }
  void accepted(const raft::NodeKey& peer, uint64_t heard, SimShard& there,
                std::function<void(uint64_t, const raft::Message&)> sink) {
    there_ = &there;
    sink_ = std::move(sink);
    if (ended_) return;
    on_shard(shard_, [&] {
      if (callbacks_.on_open) callbacks_.on_open(peer, heard);
    });
  }

  void send(const raft::Message& message) override {
    if (ended_ || !pipe_ || !sink_) return;
    if (*overheard_) (*overheard_)(message);
    if (sequence_ == acknowledged_) unacknowledged_since_ = site_.network->world().now();
    const uint64_t sequence = ++sequence_;
    // Named anew: what captures a reference to a constant holds a constant, which cannot be moved.
    send_perhaps_twice(*pipe_, Pipe::opener, site_.repeat_chance,
                       [self = shared_from_this(), sequence, message = message] { self->deliver(sequence, message); });
  }
  void close() override {
    if (pipe_) pipe_->close(Pipe::opener);
    site_.network->world().at(site_.network->world().now(), site_.process.get(),
                              [self = shared_from_this()] { self->end("closed"); });
  }
  [[nodiscard]] common::Duration silence() const override {
    if (sequence_ == acknowledged_) return common::Duration(0);
    return site_.network->world().now() - unacknowledged_since_;
  }

 private:
  // In the peer's process. Its word that the message came is not an event of its own: it is there as soon as the way
  // back is open.
  void deliver(uint64_t sequence, const raft::Message& message) {
    on_shard(*there_, [&] { sink_(sequence, message); });
    if (!pipe_ || !pipe_->can_reach(Pipe::acceptor)) return;
    acknowledged_ = std::max(acknowledged_, sequence);
    unacknowledged_since_ = site_.network->world().now();
  }
  void end(const std::string& why) {
    if (std::exchange(ended_, true)) return;
    on_shard(shard_, [&] {
      if (callbacks_.on_end) callbacks_.on_end(why);
    });
    callbacks_ = {};
    if (pipe_) pipe_->close(Pipe::opener);
  }

  WireSite site_;
  SimShard& shard_;
  Callbacks callbacks_;
  std::shared_ptr<Overheard> overheard_;
  std::shared_ptr<Pipe> pipe_;
  SimShard* there_ = nullptr;
  std::function<void(uint64_t, const raft::Message&)> sink_;
  uint64_t session_ = 0;
  bool ended_ = false;
  uint64_t sequence_ = 0;
  uint64_t acknowledged_ = 0;
  common::Instant unacknowledged_since_{};
};

common::Awaitable<ProbeResult> SimRaftWire::probe(raft::Endpoint endpoint, common::Instant deadline) {
  const Host to = site_.resolve(endpoint.host);
  if (to < 0) co_return ProbeResult::unresolved;
  const auto waiting = std::make_shared<Waiting<ProbeResult>>(shard_);
  site_.network->probe(site_.host, site_.process, to, deadline - shard_.now(), [waiting](ProbeResult result) {
    waiting->value = result;
    waiting->done.set();
  });
  co_await common::until(waiting->done);
  co_return waiting->value;
}

common::Awaitable<std::optional<quorum::PeerAnswer>> SimRaftWire::identify(raft::Endpoint endpoint,
                                                                           common::Duration timeout) {
  const Host to = site_.resolve(endpoint.host);
  if (to < 0) co_return std::nullopt;
  common::Shard& shard = shard_;
  const auto waiting = std::make_shared<Waiting<std::optional<quorum::PeerAnswer>>>(shard);
  site_.network->connect(
      site_.host, site_.process, to,
      [services = site_.services, to, waiting, endpoint](const std::shared_ptr<Pipe>& pipe) {
        const auto there = services(to);
        if (!there || there->raft == nullptr || !there->raft->answer_) return pipe->close(Pipe::acceptor);
        quorum::PeerAnswer answer = *there->raft->answer_;
        answer.endpoint = endpoint;
        pipe->send(Pipe::acceptor, [waiting, answer, pipe] {
          waiting->value = answer;
          waiting->done.set();
          pipe->close(Pipe::opener);
        });
      },
      [waiting](ProbeResult, const std::shared_ptr<Pipe>& pipe) {
        if (!pipe) return waiting->done.set();
        pipe->on_closed(Pipe::opener, [waiting] { waiting->done.set(); });
      });
  co_await common::until(waiting->done, shard.now() + timeout);
  co_return waiting->value;
}

std::shared_ptr<quorum::RaftWireStream> SimRaftWire::connect(const raft::Endpoint& endpoint,
                                                             const quorum::RaftHello& hello,
                                                             quorum::RaftWireStream::Callbacks callbacks) {
  auto stream = std::make_shared<Stream>(site_, shard_, std::move(callbacks), overheard_);
  const Host to = site_.resolve(endpoint.host);
  if (to >= 0) {
    stream->begin(to, hello);
  } else {
    stream->close();
  }
  return stream;
}

// In this wire's process, on its shard: another node opened a stream to us.
void SimRaftWire::accept(const std::shared_ptr<Pipe>& pipe, const quorum::RaftHello& hello,
                         const std::shared_ptr<Stream>& stream) {
  if (!identity_ || !quorum::refuse_hello(*identity_, hello).empty()) return pipe->close(Pipe::acceptor);
  inbound_.push_back(pipe);
  const uint64_t heard = sink_.on_hello ? sink_.on_hello(hello.from, hello.endpoint) : 0;
  // The wire is used in this process's own events only.
  pipe->send(Pipe::acceptor,
             [stream, peer = identity_->self, heard, session = hello.session, wire = this, here = &shard_] {
               stream->accepted(peer, heard, *here, [wire, session](uint64_t sequence, const raft::Message& message) {
                 if (wire->sink_.on_message) wire->sink_.on_message(session, sequence, message);
               });
             });
}

void SimRaftWire::open(const quorum::TransportIdentity& identity, quorum::InboundSink sink) {
  identity_ = identity;
  sink_ = std::move(sink);
}

void SimRaftWire::close() {
  identity_.reset();
  sink_ = {};
  for (const auto& weak : std::exchange(inbound_, {})) {
    if (const auto pipe = weak.lock()) pipe->close(Pipe::acceptor);
  }
}

}  // namespace sim
