#include "sim/wires.h"

namespace sim {

using common::net::ProbeResult;
using replication::BreakKind;
using replication::Broken;

namespace {

// A stream takes another frame while no more than this waits for a blocked direction.
constexpr size_t held_max = 4;

// One stream, as both ends share it. Each end is used in its own process only.
struct FetchStream : std::enable_shared_from_this<FetchStream> {
  WireSite site;  // the follower's
  std::shared_ptr<Pipe> pipe;
  replication::FollowerHello hello;

  SimShard* follower_shard = nullptr;
  replication::ToLeaderEvents* to_leader = nullptr;  // null: the follower let go
  bool follower_writing = true;                      // the hello is on its way

  SimShard* leader_shard = nullptr;
  replication::ToFollowerEvents* to_follower = nullptr;
  bool leader_writing = false;

  void break_follower(Broken broken) {
    if (auto* events = std::exchange(to_leader, nullptr)) on_shard(*follower_shard, [&] { events->on_broken(broken); });
  }
  void break_leader(const Broken& broken) {
    if (auto* events = std::exchange(to_follower, nullptr)) on_shard(*leader_shard, [&] { events->on_broken(broken); });
  }

  // Written out: as soon as the network takes it.
  void follower_written() {
    follower_shard->post([self = shared_from_this()] { self->try_follower_writable(); });
  }
  void try_follower_writable() {
    if (to_leader == nullptr || !pipe) return;
    if (pipe->held(Pipe::opener) > held_max) return wait_for_room(Pipe::opener);
    follower_writing = false;
    to_leader->on_writable();
  }
  void leader_written() {
    leader_shard->post([self = shared_from_this()] { self->try_leader_writable(); });
  }
  void try_leader_writable() {
    if (to_follower == nullptr) return;
    if (pipe->held(Pipe::acceptor) > held_max) return wait_for_room(Pipe::acceptor);
    leader_writing = false;
    to_follower->on_writable();
  }
  void wait_for_room(Pipe::Side side) {
    Process* const process = pipe->process(side);
    if (process == nullptr) return;
    pipe->network().world().after(std::chrono::milliseconds(20), process, [self = shared_from_this(), side] {
      SimShard& shard = side == Pipe::opener ? *self->follower_shard : *self->leader_shard;
      on_shard(shard, [&] { side == Pipe::opener ? self->try_follower_writable() : self->try_leader_writable(); });
    });
  }
};

class ToFollower final : public replication::ConnectionToFollower {
 public:
  explicit ToFollower(std::shared_ptr<FetchStream> stream) : stream_(std::move(stream)) {}
  ~ToFollower() override {
    stream_->to_follower = nullptr;
    stream_->pipe->close(Pipe::acceptor);
  }
  [[nodiscard]] bool can_write() override { return !stream_->leader_writing; }
  void write(replication::LeaderFrame frame) override {
    send(stream_->site.repeat_chance, [frame = std::make_shared<replication::LeaderFrame>(std::move(frame))](
                                          FetchStream& s) { s.to_leader->on_frame(*frame); });
  }
  void accept(const replication::LeaderHello& hello) override {
    send(0, [hello](FetchStream& s) { s.to_leader->on_connected(hello); });
  }
  void reject(const replication::LeaderHello& hello, const std::string& why) override {
    stream_->leader_writing = true;
    stream_->pipe->send(Pipe::acceptor, [s = stream_, hello, why] {
      if (s->to_leader == nullptr) return;
      on_shard(*s->follower_shard, [&] { s->to_leader->on_connected(hello); });
      s->break_follower({BreakKind::rejected, why});
    });
  }

 private:
  void send(double repeat_chance, std::function<void(FetchStream&)> arrive) {
    NARU_CHECK(!stream_->leader_writing, "a second write on a fetch stream");
    stream_->leader_writing = true;
    send_perhaps_twice(*stream_->pipe, Pipe::acceptor, repeat_chance, [s = stream_, arrive = std::move(arrive)] {
      if (s->to_leader != nullptr) on_shard(*s->follower_shard, [&] { arrive(*s); });
    });
    stream_->leader_written();
  }
  std::shared_ptr<FetchStream> stream_;
};

class ToLeader final : public replication::ConnectionToLeader {
 public:
  explicit ToLeader(std::shared_ptr<FetchStream> stream) : stream_(std::move(stream)) {}
  ~ToLeader() override {
    stream_->to_leader = nullptr;
    if (stream_->pipe) stream_->pipe->close(Pipe::opener);
  }
  [[nodiscard]] bool can_write() override { return !stream_->follower_writing; }
  void write(replication::FollowerFrame frame) override {
    NARU_CHECK(!stream_->follower_writing, "a second write on a fetch stream");
    stream_->follower_writing = true;
    send_perhaps_twice(*stream_->pipe, Pipe::opener, stream_->site.repeat_chance,
                       [s = stream_, frame = std::make_shared<replication::FollowerFrame>(std::move(frame))] {
                         if (s->to_follower != nullptr) {
                           on_shard(*s->leader_shard, [&] { s->to_follower->on_frame(*frame); });
                         }
                       });
    stream_->follower_written();
  }

 private:
  std::shared_ptr<FetchStream> stream_;
};

// In the leader's process: a follower's stream has come.
void accept_stream(const std::shared_ptr<FetchStream>& stream, const Services& there) {
  const auto wanted = static_cast<size_t>(stream->hello.leader_shard);
  const size_t shard = stream->hello.leader_shard >= 0 && wanted < there.shards.size() ? wanted : 0;
  stream->leader_shard = there.shards[shard];
  stream->pipe->on_closed(Pipe::acceptor, [stream] { stream->break_leader({BreakKind::ended, "closed by the follower"}); });
  stream->leader_shard->post([stream, acceptor = there.acceptor, shard] {
    replication::FollowerAcceptor* const target = acceptor(shard);
    auto* events = target->on_follower(stream->hello, std::make_unique<ToFollower>(stream));
    if (events == nullptr) return;
    stream->to_follower = events;
    if (!stream->pipe->is_open(Pipe::acceptor)) stream->break_leader({BreakKind::ended, "closed by the follower"});
  });
}

}  // namespace

std::unique_ptr<replication::ConnectionToLeader> SimFetchTransport::connect(common::Shard& shard,
                                                                            const replication::Endpoint& leader,
                                                                            const replication::FollowerHello& hello,
                                                                            replication::ToLeaderEvents& events) {
  auto stream = std::make_shared<FetchStream>();
  stream->site = site_;
  stream->hello = hello;
  stream->follower_shard = static_cast<SimShard*>(&shard);
  stream->to_leader = &events;
  const Host to = site_.resolve(leader.host);
  if (to < 0) {
    shard.post([stream] { stream->break_follower({BreakKind::unreachable, "no such host"}); });
    return std::make_unique<ToLeader>(std::move(stream));
  }
  site_.network->connect(
      site_.host, site_.process, to,
      [stream, to](const std::shared_ptr<Pipe>& pipe) {
        stream->pipe = pipe;
        const auto there = stream->site.services(to);
        if (!there || !there->acceptor || there->shards.empty()) return pipe->close(Pipe::acceptor);
        accept_stream(stream, *there);
      },
      [stream](ProbeResult result, const std::shared_ptr<Pipe>& pipe) {
        if (!pipe) {
          const BreakKind kind = result == ProbeResult::refused ? BreakKind::refused : BreakKind::unreachable;
          return stream->break_follower({kind, std::string(common::net::to_string(result))});
        }
        stream->pipe = pipe;
        if (stream->to_leader == nullptr) return pipe->close(Pipe::opener);
        pipe->on_closed(Pipe::opener, [stream] { stream->break_follower({BreakKind::ended, "closed by the leader"}); });
        stream->follower_written();
      });
  return std::make_unique<ToLeader>(std::move(stream));
}

}  // namespace sim
