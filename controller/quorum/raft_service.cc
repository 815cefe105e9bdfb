#include "controller/quorum/raft_service.h"

#include <optional>

#include "controller/quorum/raft_codec.h"

namespace controller::quorum {

namespace pb = naru::cluster;
using pb::RaftFrame;

namespace {

// How often a stream says up to where it has received: the caller takes silence for a dead connection.

}  // namespace

// A mutex and its data: the border between gRPC's threads and the shard.
struct RaftService::Shared {
  explicit Shared(common::Shard& home, common::Logger log) : shard(home), logger(std::move(log)) {}

  common::Shard& shard;
  common::Logger logger;

  std::mutex mutex;
  std::optional<TransportIdentity> identity;  // while open
  pb::IdentifyResponse answer;

  // The shard only.
  InboundSink sink;
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
    const std::string refusal =
        incoming_.has_hello() ? refuse_hello(*identity, hello) : std::string("the first frame is not a hello");
    const auto from = decode(hello.from());
    if (!refusal.empty() || !from) {
      shared_->logger.warn("refused a Raft stream from node {} at {}: {}", hello.from().id(), peer_, refusal);
      return finish({grpc::StatusCode::FAILED_PRECONDITION, refusal});
    }
    greeted_ = true;
    session_ = hello.session();
    from_ = *from;
    pb::Hello& answer = *outgoing_.mutable_hello();
    answer.set_cluster_id(identity->cluster_id);
    encode(identity->self, *answer.mutable_from());
    answer.set_to_node(from_.id.value);
    answer.mutable_versions()->set_min(raft::raft_version);
    answer.mutable_versions()->set_max(raft::raft_version);
    {
      std::lock_guard lock(mutex_);
      if (finished_) return;
      writing_ = true;
      StartWrite(&outgoing_);
    }
    raft::Endpoint endpoint{hello.endpoint().host(), static_cast<uint16_t>(hello.endpoint().port())};
    shared_->shard.post([self = shared_from_this(), endpoint = std::move(endpoint)] {
      if (self->shared_->sink.on_hello) self->shared_->sink.on_hello(self->from_, endpoint);
      self->read_on(0);
    });
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

  std::mutex mutex_;
  bool finished_ = false;
  bool writing_ = false;  // outgoing_ belongs to the write under way
  RaftFrame outgoing_;
  uint64_t taken_ = 0;         // the last message that the shard was given
  uint64_t acknowledged_ = 0;  // the last that the sender was, or is being, told of
};

}  // namespace

std::string refuse_hello(const TransportIdentity& self, const pb::Hello& hello) {
  if (hello.cluster_id() != self.cluster_id)
    return fmt::format("it belongs to cluster {}, this node to {}", hello.cluster_id(), self.cluster_id);
  if (hello.to_node() != self.self.id.value)
    return fmt::format("it looks for node {}, this is node {}", hello.to_node(), self.self.id);
  if (hello.from().id() == self.self.id.value) return fmt::format("it calls itself node {} as well", self.self.id);
  if (hello.versions().min() > raft::raft_version || hello.versions().max() < raft::raft_version)
    return fmt::format("it speaks versions {} to {}, this node {}", hello.versions().min(), hello.versions().max(),
                       raft::raft_version);
  return {};
}

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

void RaftService::set_answer(pb::IdentifyResponse answer) {
  std::lock_guard lock(shared_->mutex);
  shared_->answer = std::move(answer);
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
