#include "broker/replication/grpc_fetch_transport.h"

#include <functional>
#include <mutex>
#include <utility>

#include <fmt/format.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include "broker/replication/grpc_frames.h"
#include "broker/replication/write_turn.h"

namespace broker::replication {
namespace {

using common::model::Result;
using Raw = grpc::ByteBuffer;

constexpr int message_bytes_max = 128 << 20;  // above the largest batch that a topic may allow
constexpr int window_bytes = 8 << 20;
const std::string method = "/naru.cluster.Replication/Fetch";

// One call and its channel. Lives until gRPC says OnDone; the shard's handle shares it.
class Call final : public grpc::ClientBidiReactor<Raw, Raw>, public std::enable_shared_from_this<Call> {
 public:
  Call(common::Shard& shard, ToLeaderEvents& events) : shard_(&shard), events_(&events) {}

  void begin(const Endpoint& leader, const FollowerHello& hello) {
    self_ = shared_from_this();
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    // A window that a stream at full speed does not use up: with gRPC's own, which grows by probing, every second frame
    // brings a window update, and both sides wake for it. What is in flight is bounded by the stream's credit.
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, window_bytes);
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 1 << 20);
    arguments.SetMaxReceiveMessageSize(message_bytes_max);
    arguments.SetMaxSendMessageSize(message_bytes_max);
    const bool is_v6 = leader.host.find(':') != std::string::npos;
    const std::string target =
        is_v6 ? fmt::format("[{}]:{}", leader.host, leader.port) : fmt::format("{}:{}", leader.host, leader.port);
    channel_ = grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
    stub_ = std::make_unique<grpc::TemplatedGenericStub<Raw, Raw>>(channel_);
    stub_->PrepareBidiStreamingCall(&context_, method, {}, this);
    AddHold();  // writes start on the shard, outside of gRPC's reactions
    turn_.begin();
    outgoing_ = encode(hello);
    StartWrite(&outgoing_);
    StartRead(&incoming_);
    StartCall();
  }

  // --- gRPC's threads ---
  void OnReadDone(bool ok) override {
    if (!ok) return end();
    was_connected_ = true;
    Result<FromLeader> decoded = decode_from_leader(incoming_);
    incoming_.Clear();
    if (!decoded) {
      why_ = decoded.error().message;
      context_.TryCancel();
      return end();
    }
    post([self = self_, message = std::make_shared<FromLeader>(std::move(*decoded))] {
      if (self->events_ == nullptr) return;
      if (auto* hello = std::get_if<LeaderHello>(message.get())) return self->events_->on_connected(*hello);
      self->events_->on_frame(std::get<LeaderFrame>(std::move(*message)));
    });
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return;  // the read fails too, and OnDone says why
    outgoing_.Clear();
    if (!turn_.end()) return;
    post([self = self_] {
      if (self->events_ != nullptr) self->events_->on_writable();
    });
  }

  void OnDone(const grpc::Status& status) override {
    Broken broken{BreakKind::ended, why_.empty() ? status.error_message() : why_};
    if (status.error_code() == grpc::StatusCode::FAILED_PRECONDITION) {
      broken.kind = BreakKind::rejected;
    } else if (status.error_message().find("refused") != std::string::npos) {
      broken.kind = BreakKind::refused;
    } else if (status.error_code() == grpc::StatusCode::UNAVAILABLE && !was_connected_) {
      broken.kind = BreakKind::unreachable;
    }
    post([self = self_, broken = std::move(broken)] {
      if (auto* events = std::exchange(self->events_, nullptr)) events->on_broken(broken);
    });
    self_.reset();
  }

  // --- the shard ---
  [[nodiscard]] bool can_write() { return turn_.is_free(); }
  void write(Raw bytes) {
    turn_.begin();
    outgoing_ = std::move(bytes);
    if (!is_released_) StartWrite(&outgoing_);
  }
  void abandon() {
    events_ = nullptr;
    context_.TryCancel();
    release();
    const std::lock_guard lock(mutex_);
    shard_ = nullptr;
  }
  // After this no operation may be started from the shard.
  void release() {
    if (!std::exchange(is_released_, true)) RemoveHold();
  }

 private:
  void end() {
    post([self = self_] { self->release(); });
  }

  void post(std::function<void()> f) {
    const std::lock_guard lock(mutex_);
    if (shard_ != nullptr) shard_->post(std::move(f));
  }

  std::mutex mutex_;
  common::Shard* shard_;  // null: it has let go of us and may be gone
  std::shared_ptr<Call> self_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<grpc::TemplatedGenericStub<Raw, Raw>> stub_;
  grpc::ClientContext context_;
  Raw incoming_;
  std::string why_;
  bool was_connected_ = false;
  // Of the shard.
  ToLeaderEvents* events_;
  WriteTurn turn_;
  bool is_released_ = false;
  Raw outgoing_;  // of whose turn it is
};

class Connection final : public ConnectionToLeader {
 public:
  explicit Connection(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  ~Connection() override { call_->abandon(); }
  bool can_write() override { return call_->can_write(); }
  void write(FollowerFrame frame) override { call_->write(encode(frame)); }

 private:
  std::shared_ptr<Call> call_;
};

class GrpcFetchTransport final : public FetchTransport {
 public:
  std::unique_ptr<ConnectionToLeader> connect(common::Shard& shard, const Endpoint& leader, const FollowerHello& hello,
                                              ToLeaderEvents& events) override {
    auto call = std::make_shared<Call>(shard, events);
    call->begin(leader, hello);
    return std::make_unique<Connection>(std::move(call));
  }
};

}  // namespace

std::unique_ptr<FetchTransport> make_grpc_fetch_transport() {
  return std::make_unique<GrpcFetchTransport>();
}

}  // namespace broker::replication
