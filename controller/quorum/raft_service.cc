#include "controller/quorum/raft_service.h"

#include <map>
#include <optional>

#include "common/rate_limit.h"
#include "controller/quorum/raft_codec.h"
#include "controller/quorum/raft_stream.h"

namespace controller::quorum {

namespace pb = naru::cluster;
using common::model::Result;
using pb::RaftFrame;

namespace {

RaftHello plain(const pb::Hello& hello, const raft::NodeKey& from) {
  return {hello.cluster_id(),
          from,
          common::model::BrokerId(hello.to_node()),
          {static_cast<int16_t>(hello.versions().min()), static_cast<int16_t>(hello.versions().max())},
          hello.session(),
          {hello.endpoint().host(), static_cast<uint16_t>(hello.endpoint().port())}};
}

pb::FormationState state_on_wire(FormationState state) {
  switch (state) {
    case FormationState::empty:
      return pb::FORMATION_EMPTY;
    case FormationState::accepted:
      return pb::FORMATION_ACCEPTED;
    case FormationState::formed:
      return pb::FORMATION_FORMED;
  }
  return pb::FORMATION_STARTING;
}

pb::IdentifyResponse encode_answer(const PeerAnswer& own) {
  pb::IdentifyResponse answer;
  encode(own.key, *answer.mutable_key());
  answer.mutable_endpoint()->set_host(own.endpoint.host);
  answer.mutable_endpoint()->set_port(own.endpoint.port);
  answer.mutable_versions()->set_min(own.versions.min);
  answer.mutable_versions()->set_max(own.versions.max);
  answer.set_state(state_on_wire(own.state));
  answer.set_cluster_id(own.cluster_id);
  if (!own.voters.empty()) answer.set_voters(std::string(own.voters.encode().text()));
  return answer;
}

std::optional<PeerAnswer> decode_answer(const pb::IdentifyResponse& in, const raft::Endpoint& asked) {
  const auto key = decode(in.key());
  auto voters = in.voters().empty() ? Result<raft::VoterSet>(raft::VoterSet())
                                    : raft::VoterSet::decode(common::model::as_bytes(in.voters()));
  if (!key || !voters || key->directory.is_zero()) return std::nullopt;
  PeerAnswer answer;
  answer.key = *key;
  answer.endpoint = asked;
  answer.versions = {static_cast<int16_t>(in.versions().min()), static_cast<int16_t>(in.versions().max())};
  answer.is_ready = in.state() != pb::FORMATION_STARTING;
  answer.state = in.state() == pb::FORMATION_FORMED     ? FormationState::formed
                 : in.state() == pb::FORMATION_ACCEPTED ? FormationState::accepted
                                                        : FormationState::empty;
  answer.cluster_id = in.cluster_id();
  answer.voters = *std::move(voters);
  return answer;
}

// One question to one peer; stays alive until gRPC has answered.
struct Question {
  explicit Question(common::Shard& shard) : answered(shard) {}
  std::unique_ptr<pb::Raft::Stub> stub;
  grpc::ClientContext context;
  pb::IdentifyRequest request;
  pb::IdentifyResponse response;
  grpc::Status status;
  common::Event answered;
};

// Who speaks on a stream. Nobody notices the death of a machine, so one that has long said nothing counts for nothing.
struct Guest {
  explicit Guest(const raft::NodeKey& node, raft::Endpoint reached, common::Instant now)
      : key(node), endpoint(std::move(reached)), heard_at(now) {}
  const raft::NodeKey key;
  const raft::Endpoint endpoint;
  common::Instant heard_at;
};
constexpr std::chrono::seconds guest_silence_max{5};
constexpr std::chrono::seconds refusal_lines_apart{10};
constexpr size_t refusal_lines_max = 64;

}  // namespace

// A mutex and its data: the border between gRPC's threads and the shard.
struct RaftService::Shared {
  explicit Shared(common::Shard& home, common::Logger log) : shard(home), logger(std::move(log)) {}

  common::Shard& shard;
  common::Logger logger;

  std::mutex mutex;
  std::optional<TransportIdentity> identity;  // while open
  pb::IdentifyResponse answer;
  // Streams that have been accepted and not ended, by node.
  std::multimap<common::model::BrokerId, std::shared_ptr<Guest>> guests;
  std::map<int32_t, common::RateLimit> refusal_lines;  // by node, as it calls itself

  // The shard only.
  InboundSink sink;

  // Any thread. Why it may not come in, or nothing: then it is among the guests until leave(). An id belongs to one
  // process; one that comes back has its old directory, or its old stream has ended with it.
  std::string enter(const std::shared_ptr<Guest>& guest) {
    std::lock_guard lock(mutex);
    const auto [begin, end] = guests.equal_range(guest->key.id);
    for (auto other = begin; other != end; ++other) {
      const Guest& there = *other->second;
      if (there.key.directory == guest->key.directory || guest->heard_at - there.heard_at > guest_silence_max) continue;
      return fmt::format("node.id {} is in use by another process, at {}:{}, which has another metadata.log.dir",
                         guest->key.id, there.endpoint.host, there.endpoint.port);
    }
    guests.emplace(guest->key.id, guest);
    return {};
  }
  void heard(Guest& guest) {
    const common::Instant now = shard.clock().now();
    std::lock_guard lock(mutex);
    guest.heard_at = now;
  }
  void leave(const Guest& guest) {
    std::lock_guard lock(mutex);
    std::erase_if(guests, [&](const auto& one) { return one.second.get() == &guest; });
  }
  // A node that cannot be let in tries again several times a second.
  void say_refused(int32_t node, const std::string& peer, const std::string& why) {
    common::RateLimit::Grant grant;
    {
      std::lock_guard lock(mutex);
      if (refusal_lines.size() >= refusal_lines_max) refusal_lines.clear();
      grant = refusal_lines.try_emplace(node, refusal_lines_apart).first->second.ask(shard.clock().now());
    }
    if (grant.allowed)
      logger.warn("refused a Raft stream from node {} at {}: {} ({} such lines left out)", node, peer, why,
                  grant.suppressed);
  }
};

namespace {

using Shared = RaftService::Shared;

class InboundStream final : public grpc::ServerBidiReactor<RaftFrame, RaftFrame>,
                            public std::enable_shared_from_this<InboundStream> {
 public:
  static InboundStream* begin(std::shared_ptr<Shared> shared, std::string peer) {
    auto stream = std::make_shared<InboundStream>(std::move(shared), std::move(peer));
    stream->self_ = stream;  // until OnDone
    stream->StartRead(&stream->incoming_);
    return stream.get();
  }
  InboundStream(std::shared_ptr<Shared> shared, std::string peer)
      : shared_(std::move(shared)), peer_(std::move(peer)) {}

  void OnReadDone(bool ok) override {
    if (!ok) return finish(grpc::Status::OK);
    if (!greeted_) return greet();
    shared_->heard(*guest_);
    if (!incoming_.has_message()) return finish({grpc::StatusCode::INVALID_ARGUMENT, "a frame without a message"});
    auto message = decode(incoming_.message());
    if (!message) return finish({grpc::StatusCode::INVALID_ARGUMENT, message.error().message});
    if (message->from != from_) return finish({grpc::StatusCode::INVALID_ARGUMENT, "a message of another sender"});
    shared_->shard.post([self = shared_from_this(), sequence = incoming_.sequence(), message = *std::move(message)] {
      if (self->shared_->sink.on_message) self->shared_->sink.on_message(self->session_, sequence, message);
      self->read_on(sequence);
    });
  }

  void OnWriteDone(bool) override {
    std::lock_guard lock(mutex_);
    writing_ = false;
    acknowledge();
  }
  void OnCancel() override { finish(grpc::Status::CANCELLED); }
  void OnDone() override {
    if (guest_) shared_->leave(*guest_);
    auto last = std::move(self_);  // may destroy this
  }

 private:
  void greet() {
    std::optional<TransportIdentity> identity;
    {
      std::lock_guard lock(shared_->mutex);
      identity = shared_->identity;
    }
    if (!identity) return finish({grpc::StatusCode::UNAVAILABLE, "this node is starting"});
    const pb::Hello& hello = incoming_.hello();
    const auto from = decode(hello.from());
    const raft::Endpoint endpoint{hello.endpoint().host(), static_cast<uint16_t>(hello.endpoint().port())};
    std::string refusal = !incoming_.has_hello() ? std::string("the first frame is not a hello")
                          : !from                ? std::string("it does not say who it is")
                                                 : refuse_hello(*identity, plain(hello, *from));
    if (refusal.empty()) {
      auto guest = std::make_shared<Guest>(*from, endpoint, shared_->shard.clock().now());
      refusal = shared_->enter(guest);
      if (refusal.empty()) guest_ = std::move(guest);
    }
    if (!refusal.empty()) {
      shared_->say_refused(hello.from().id(), peer_, refusal);
      return finish({grpc::StatusCode::FAILED_PRECONDITION, refusal});
    }
    greeted_ = true;
    session_ = hello.session();
    from_ = *from;
    shared_->shard.post([self = shared_from_this(), endpoint, identity = *std::move(identity)] {
      const auto& on_hello = self->shared_->sink.on_hello;
      self->answer_hello(identity, on_hello ? on_hello(self->from_, endpoint) : 0);
      self->read_on(0);
    });
  }

  // Before anything of this session is read: it may be the one that was heard (R21).
  void answer_hello(const TransportIdentity& identity, uint64_t heard) {
    std::lock_guard lock(mutex_);
    if (finished_) return;
    pb::Hello& answer = *outgoing_.mutable_hello();
    answer.set_cluster_id(identity.cluster_id);
    encode(identity.self, *answer.mutable_from());
    answer.set_to_node(from_.id.value);
    answer.mutable_versions()->set_min(raft::raft_version);
    answer.mutable_versions()->set_max(raft::raft_version);
    answer.set_session(heard);
    writing_ = true;
    StartWrite(&outgoing_);
  }

  void read_on(uint64_t sequence) {
    std::lock_guard lock(mutex_);
    if (finished_) return;
    taken_ = std::max(taken_, sequence);
    acknowledge();
    StartRead(&incoming_);
  }

  // Under the lock. One write at a time covers all that was taken meanwhile, and always the last of it: between two
  // followers nothing may follow, and the sender takes a message that stays unacknowledged for a dead link.
  void acknowledge() {
    if (finished_ || writing_ || taken_ == acknowledged_) return;
    acknowledged_ = taken_;
    outgoing_.Clear();
    outgoing_.set_sequence(taken_);
    writing_ = true;
    StartWrite(&outgoing_);
  }

  void finish(const grpc::Status& status) {
    std::lock_guard lock(mutex_);
    if (finished_) return;
    finished_ = true;
    Finish(status);
  }

  std::shared_ptr<Shared> shared_;
  const std::string peer_;
  std::shared_ptr<InboundStream> self_;
  RaftFrame incoming_;  // belongs to the read under way

  // Set by greet(), then constant.
  bool greeted_ = false;
  uint64_t session_ = 0;
  raft::NodeKey from_;
  std::shared_ptr<Guest> guest_;

  std::mutex mutex_;
  bool finished_ = false;
  bool writing_ = false;  // outgoing_ belongs to the write under way
  RaftFrame outgoing_;
  uint64_t taken_ = 0;         // the last message that the shard was given
  uint64_t acknowledged_ = 0;  // the last that the sender was, or is being, told of
};

}  // namespace

RaftService::RaftService(common::Shard& shard, common::Logger logger)
    : shard_(shard), shared_(std::make_shared<Shared>(shard, std::move(logger))) {}
RaftService::~RaftService() = default;

void RaftService::open(const TransportIdentity& identity, InboundSink sink) {
  NARU_CHECK(shard_.is_current());
  shared_->sink = std::move(sink);
  std::lock_guard lock(shared_->mutex);
  shared_->identity = identity;
}

// Also by the driver's destructor, once the shard has stopped.
void RaftService::close() {
  shared_->sink = {};
  std::lock_guard lock(shared_->mutex);
  shared_->identity.reset();
}

void RaftService::set_answer(const PeerAnswer& own) {
  pb::IdentifyResponse answer = encode_answer(own);
  std::lock_guard lock(shared_->mutex);
  shared_->answer = std::move(answer);
}

common::Awaitable<common::net::ProbeResult> RaftService::probe(raft::Endpoint endpoint, common::Instant deadline) {
  return common::net::probe(shard_, endpoint.host, endpoint.port, deadline);
}

std::shared_ptr<RaftWireStream> RaftService::connect(const raft::Endpoint& endpoint, const RaftHello& hello,
                                                     RaftWireStream::Callbacks callbacks) {
  return RaftStream::open(shard_, endpoint, hello, std::move(callbacks));
}

common::Awaitable<std::optional<PeerAnswer>> RaftService::identify(raft::Endpoint endpoint, common::Duration timeout) {
  common::Shard& shard = shard_;
  const auto reached = co_await common::net::probe(shard, endpoint.host, endpoint.port, shard.now() + timeout);
  if (reached != common::net::ProbeResult::connected) co_return std::nullopt;
  const auto question = std::make_shared<Question>(shard);
  question->stub = pb::Raft::NewStub(make_raft_channel(endpoint));
  question->context.set_deadline(std::chrono::system_clock::now() +
                                 std::chrono::duration_cast<std::chrono::milliseconds>(timeout));
  question->stub->async()->Identify(&question->context, &question->request, &question->response,
                                    [question, &shard](grpc::Status status) {
                                      shard.post([question, status = std::move(status)] {
                                        question->status = status;
                                        question->answered.set();
                                      });
                                    });
  co_await common::until(question->answered);
  if (!question->status.ok()) co_return std::nullopt;
  co_return decode_answer(question->response, endpoint);
}

grpc::ServerBidiReactor<RaftFrame, RaftFrame>* RaftService::Exchange(grpc::CallbackServerContext* context) {
  return InboundStream::begin(shared_, context->peer());
}

grpc::ServerUnaryReactor* RaftService::Identify(grpc::CallbackServerContext* context, const pb::IdentifyRequest*,
                                                pb::IdentifyResponse* response) {
  {
    std::lock_guard lock(shared_->mutex);
    *response = shared_->answer;
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace controller::quorum
