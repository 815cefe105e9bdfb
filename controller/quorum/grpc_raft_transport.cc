#include "controller/quorum/grpc_raft_transport.h"

#include <deque>

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include "common/net/probe.h"
#include "controller/quorum/raft_wire.h"

namespace controller::quorum {

namespace wire = naru::cluster;
using common::Instant;
using common::model::BrokerId;
using common::model::ErrorCode;
using common::model::Result;

// What we say to one peer.
struct GrpcRaftTransport::Link {
  Link(common::Shard& shard, BrokerId id, raft::Endpoint where)
      : peer(id), endpoint(std::move(where)), changed(shard) {}
  const BrokerId peer;
  raft::Endpoint endpoint;
  common::Event changed;  // the stream got through its handshake, or ended; or the link ends
  Outgoing* stream = nullptr;
  bool ready = false;    // the handshake is done
  bool writing = false;  // one write is outstanding
  bool ended = false;    // no longer a peer
  uint64_t sequence = 0;
  std::deque<raft::Message> waiting;
  std::optional<Instant> unanswered_since;
};

// One attempt at a stream. gRPC's threads call the reactions; they only post. The object deletes itself on the shard,
// in the last thing that OnDone posts.
class GrpcRaftTransport::Outgoing final : public grpc::ClientBidiReactor<wire::RaftFrame, wire::RaftFrame> {
 public:
  Outgoing(GrpcRaftTransport& transport, std::shared_ptr<Link> link, wire::Hello hello)
      : transport_(transport), shard_(transport.shard_), link_(std::move(link)) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own: never shared with replication
    arguments.SetInt("naru.purpose.raft", 1);
    arguments.SetMaxReceiveMessageSize(-1);
    const std::string& host = link_->endpoint.host;
    const std::string address = host.find(':') != std::string::npos ? fmt::format("[{}]:{}", host, link_->endpoint.port)
                                                                    : fmt::format("{}:{}", host, link_->endpoint.port);
    channel_ = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    stub_ = wire::Raft::NewStub(channel_);
    outgoing_.set_sequence(0);
    *outgoing_.mutable_hello() = std::move(hello);
    stub_->async()->Exchange(&context_, this);
    AddHold();  // writes start outside of reactions
    StartWrite(&outgoing_);
    StartRead(&incoming_);
    StartCall();
  }

  // On the shard, with no write outstanding.
  void write(wire::RaftFrame frame) {
    outgoing_ = std::move(frame);
    StartWrite(&outgoing_);
  }
  // On the shard; OnDone follows. Idempotent.
  void end() {
    if (std::exchange(ending_, true)) return;
    context_.TryCancel();
    RemoveHold();
  }

 private:
  void OnWriteDone(bool ok) override {
    shard_.post([this, ok] {
      link_->writing = false;
      if (!ok) return end();
      if (link_->stream == this && link_->ready) transport_.pump(*link_);
    });
  }
  void OnReadDone(bool ok) override {
    // Only the handshake's answer is ever read; a second read waits for the end of the stream.
    shard_.post([this, ok, frame = ok ? incoming_ : wire::RaftFrame()] {
      if (!ok) return end();
      on_answer(frame);
    });
    if (ok) StartRead(&incoming_);
  }
  void OnDone(const grpc::Status& status) override {
    shard_.post([this, status] {
      if (link_->stream == this) {
        if (!status.ok() && status.error_code() == grpc::StatusCode::FAILED_PRECONDITION) {
          transport_.log_.warn("broker {} refuses our Raft stream: {}", link_->peer, status.error_message());
        }
        link_->stream = nullptr;
        link_->ready = false;
        link_->writing = false;
        link_->changed.pulse();
      }
      delete this;
    });
  }

  void on_answer(const wire::RaftFrame& frame) {
    if (link_->stream != this || link_->ready || !frame.has_hello()) return end();
    if (frame.hello().from().id() != link_->peer.value) return end();
    if (auto good = transport_.check_hello(frame.hello()); !good) {
      transport_.log_.warn("the answer of broker {} is not acceptable: {}", link_->peer, good.error().message);
      return end();
    }
    link_->ready = true;
    link_->changed.pulse();
    transport_.listener_.on_peer_connected(link_->peer);
    transport_.pump(*link_);
  }

  GrpcRaftTransport& transport_;
  common::Shard& shard_;
  const std::shared_ptr<Link> link_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<wire::Raft::Stub> stub_;
  grpc::ClientContext context_;
  wire::RaftFrame outgoing_;
  wire::RaftFrame incoming_;
  bool ending_ = false;
};

GrpcRaftTransport::GrpcRaftTransport(common::Shard& shard, RaftTransportOptions options,
                                     RaftTransportListener& listener, common::Logger log)
    : shard_(shard),
      options_(options),
      listener_(listener),
      log_(std::move(log)),
      next_session_(options.session_base),
      link_ended_(shard) {}

GrpcRaftTransport::~GrpcRaftTransport() {
  NARU_CHECK(running_ == 0, "{} Raft links still run", running_);
}

void GrpcRaftTransport::set_peers(std::map<BrokerId, raft::Endpoint> peers) {
  peers.erase(options_.self.id);
  for (auto it = links_.begin(); it != links_.end();) {
    if (peers.contains(it->first)) {
      it->second->endpoint = peers.at(it->first);  // used at the next attempt
      ++it;
    } else {
      end_link(*it->second);
      it = links_.erase(it);
    }
  }
  if (stopping_) return;
  for (const auto& [peer, endpoint] : peers) {
    if (links_.contains(peer)) continue;
    auto link = std::make_shared<Link>(shard_, peer, endpoint);
    links_.emplace(peer, link);
    ++running_;
    shard_.spawn("raft link", keep_link(this, std::move(link)));
  }
}

void GrpcRaftTransport::end_link(Link& link) {
  link.ended = true;
  if (link.stream != nullptr) link.stream->end();
  link.changed.set();
}

common::Awaitable<void> GrpcRaftTransport::shut_down() {
  stopping_ = true;
  for (const auto& [peer, link] : links_) end_link(*link);
  links_.clear();
  while (running_ > 0) co_await common::until(link_ended_);
}

void GrpcRaftTransport::send(raft::Message message) {
  const auto found = links_.find(message.to.id);
  if (found == links_.end()) return;
  Link& link = *found->second;
  if (!link.ready || link.waiting.size() >= options_.waiting_messages_max) return;  // Raft sends again
  const Instant now = shard_.now();
  if (!link.unanswered_since) link.unanswered_since = now;
  // We speak and hear nothing: perhaps the connection is half open. A new one finds out.
  if (now - *link.unanswered_since > options_.unheard_max) {
    link.unanswered_since.reset();
    link.stream->end();
    return;
  }
  link.waiting.push_back(std::move(message));
  pump(link);
}

void GrpcRaftTransport::pump(Link& link) {
  if (!link.ready || link.writing || link.waiting.empty()) return;
  wire::RaftFrame frame;
  frame.set_sequence(++link.sequence);
  to_wire(link.waiting.front(), *frame.mutable_message());
  link.waiting.pop_front();
  link.writing = true;
  link.stream->write(std::move(frame));
}

common::Awaitable<void> GrpcRaftTransport::keep_link(GrpcRaftTransport* self, std::shared_ptr<Link> link) {
  common::Duration pause = self->options_.retry_min;
  bool was_connected = false;
  while (!link->ended) {
    const common::net::ProbeResult probed = co_await common::net::probe(
        self->shard_, link->endpoint.host, link->endpoint.port, self->shard_.now() + self->options_.probe_timeout);
    if (link->ended) break;
    if (probed != common::net::ProbeResult::connected) {
      if (probed == common::net::ProbeResult::refused && std::exchange(was_connected, false)) {
        self->listener_.on_peer_gone(link->peer);
      }
      co_await common::until(link->changed, self->shard_.now() + pause);
      pause = std::min(pause * 2, self->options_.retry_max);
      continue;
    }
    link->sequence = 0;
    link->waiting.clear();
    link->unanswered_since.reset();
    link->writing = true;  // the handshake
    link->stream = new Outgoing(*self, link, self->hello_to(link->peer, self->next_session_++));
    // Until the handshake is answered there is a deadline; afterwards the stream lives until it ends.
    const Instant deadline = self->shard_.now() + self->options_.unheard_max;
    while (link->stream != nullptr) {
      if (!link->ready && self->shard_.now() >= deadline) link->stream->end();
      co_await common::until(link->changed,
                             link->ready || self->shard_.now() >= deadline ? std::nullopt : std::optional(deadline));
      if (link->ended) {
        // The event stays set from now on: wait for the stream's own end instead.
        link->changed.reset();
        if (link->stream != nullptr) link->stream->end();
      }
      if (link->ready) was_connected = true;
    }
    if (was_connected) pause = self->options_.retry_min;
    if (!was_connected && !link->ended) {
      co_await common::until(link->changed, self->shard_.now() + pause);
      pause = std::min(pause * 2, self->options_.retry_max);
    }
  }
  --self->running_;
  self->link_ended_.pulse();
}

wire::Hello GrpcRaftTransport::hello_to(BrokerId peer, uint64_t session) const {
  wire::Hello hello;
  hello.set_cluster_id(uuid_bytes(options_.cluster_id));
  to_wire(options_.self, *hello.mutable_from());
  hello.set_to_node(peer.value);
  hello.mutable_versions()->set_min(raft::raft_version);
  hello.mutable_versions()->set_max(raft::raft_version);
  hello.set_session(session);
  return hello;
}

Result<void> GrpcRaftTransport::check_hello(const wire::Hello& hello) const {
  const auto refuse = [](std::string why) {
    return common::model::fail(ErrorCode::inconsistent_cluster_id, std::move(why));
  };
  const auto cluster = uuid_from(hello.cluster_id());
  if (!cluster) return tl::unexpected(cluster.error());
  if (*cluster != options_.cluster_id) {
    return refuse(fmt::format("it belongs to cluster {}, this is cluster {}", *cluster, options_.cluster_id));
  }
  if (hello.to_node() != options_.self.id.value) {
    return refuse(fmt::format("it looks for broker {}, this is broker {}", hello.to_node(), options_.self.id));
  }
  if (hello.from().id() == options_.self.id.value) {
    return refuse(fmt::format("another process runs as broker {}", options_.self.id));
  }
  if (hello.versions().min() > raft::raft_version || hello.versions().max() < raft::raft_version) {
    return refuse(fmt::format("it speaks Raft versions {} to {}, this broker {}", hello.versions().min(),
                              hello.versions().max(), raft::raft_version));
  }
  return {};
}

Result<wire::Hello> GrpcRaftTransport::accept(const wire::Hello& hello) {
  if (auto good = check_hello(hello); !good) return tl::unexpected(good.error());
  const BrokerId peer(hello.from().id());
  Heard& heard = heard_[peer];
  if (hello.session() <= heard.session) {
    return common::model::fail(ErrorCode::invalid_fetch_session_epoch, "a newer stream of this broker is known");
  }
  heard = Heard{.session = hello.session(), .sequence = 0, .at = shard_.now()};
  return hello_to(peer, hello.session());
}

Result<void> GrpcRaftTransport::receive(BrokerId peer, uint64_t session, const wire::RaftFrame& frame) {
  Heard& heard = heard_[peer];
  if (session != heard.session) {
    return common::model::fail(ErrorCode::invalid_fetch_session_epoch, "a newer stream has replaced this one");
  }
  if (frame.sequence() <= heard.sequence) return {};  // R23
  heard.sequence = frame.sequence();
  heard.at = shard_.now();
  if (const auto link = links_.find(peer); link != links_.end()) link->second->unanswered_since.reset();
  if (!frame.has_message()) return common::model::fail(ErrorCode::invalid_request, "a frame without a message");
  auto message = from_wire(frame.message());
  if (!message) return tl::unexpected(message.error());
  if (message->from.id != peer) return common::model::fail(ErrorCode::invalid_request, "a message in another's name");
  listener_.on_message(std::move(*message));
  return {};
}

// A stream that a peer opened. Lives until OnDone; everything but the reactions happens on the shard.
class RaftService::Incoming final : public grpc::ServerBidiReactor<wire::RaftFrame, wire::RaftFrame> {
 public:
  explicit Incoming(RaftService& service) : service_(service), shard_(service.shard_) { StartRead(&incoming_); }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) {
      shard_.post([this] { finish(grpc::Status::OK); });
      return;
    }
    shard_.post([this, frame = std::move(incoming_)] { on_frame(frame); });
    incoming_ = wire::RaftFrame();
    StartRead(&incoming_);
  }
  void OnWriteDone(bool) override {}
  void OnDone() override {
    shard_.post([this] { delete this; });
  }

  void on_frame(const wire::RaftFrame& frame) {
    if (finished_) return;
    if (service_.transport_ == nullptr) return refuse("this broker is still starting");
    if (!session_) {
      if (!frame.has_hello()) return refuse("a stream begins with a handshake");
      auto answer = service_.transport_->accept(frame.hello());
      if (!answer) return refuse(answer.error().message);
      peer_ = BrokerId(frame.hello().from().id());
      session_ = frame.hello().session();
      *outgoing_.mutable_hello() = std::move(*answer);
      StartWrite(&outgoing_);
      return;
    }
    if (auto received = service_.transport_->receive(peer_, *session_, frame); !received)
      refuse(received.error().message);
  }
  void refuse(const std::string& why) { finish(grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, why)); }
  void finish(const grpc::Status& status) {
    if (!std::exchange(finished_, true)) Finish(status);
  }

  RaftService& service_;
  common::Shard& shard_;
  wire::RaftFrame incoming_;
  wire::RaftFrame outgoing_;
  BrokerId peer_;
  std::optional<uint64_t> session_;
  bool finished_ = false;
};

grpc::ServerBidiReactor<wire::RaftFrame, wire::RaftFrame>* RaftService::Exchange(grpc::CallbackServerContext*) {
  return new Incoming(*this);
}

grpc::ServerUnaryReactor* RaftService::Identify(grpc::CallbackServerContext* context,
                                                const wire::IdentifyRequest* request,
                                                wire::IdentifyResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  shard_.post([this, reactor, request, response] {
    if (!identify_)
      return reactor->Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "this broker is still starting"));
    identify_(*request, [reactor, response](wire::IdentifyResponse answer) {
      *response = std::move(answer);
      reactor->Finish(grpc::Status::OK);
    });
  });
  return reactor;
}

}  // namespace controller::quorum
