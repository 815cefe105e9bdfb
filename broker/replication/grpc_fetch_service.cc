#include "broker/replication/grpc_fetch_service.h"

#include <mutex>
#include <utility>

#include <grpcpp/grpcpp.h>

#include "broker/replication/grpc_frames.h"
#include "broker/replication/write_turn.h"
#include "proto/cluster/replication.grpc.pb.h"

namespace broker::replication {
namespace {

using common::model::Result;
using Raw = grpc::ByteBuffer;

// One call. Lives until gRPC says OnDone; the shard's handle shares it, so that a late event finds something.
class Call final : public grpc::ServerBidiReactor<Raw, Raw>, public std::enable_shared_from_this<Call> {
 public:
  explicit Call(const std::vector<ShardAcceptor>& acceptors) : acceptors_(acceptors) {}

  void begin() {
    self_ = shared_from_this();
    StartRead(&incoming_);
  }

  // --- gRPC's threads ---
  void OnReadDone(bool ok) override {
    if (!ok) return report({BreakKind::ended, "closed by the follower"});
    Result<FromFollower> decoded = decode_from_follower(incoming_);
    incoming_.Clear();
    if (!decoded) return refuse(decoded.error().message);
    if (auto* hello = std::get_if<FollowerHello>(&*decoded)) {
      if (std::exchange(greeted_, true)) return refuse("a second hello");
      greet(std::move(*hello));
    } else {
      if (!greeted_) return refuse("a frame before the hello");
      post([self = self_, frame = std::make_shared<FollowerFrame>(std::get<FollowerFrame>(std::move(*decoded)))] {
        if (self->events_ != nullptr) self->events_->on_frame(std::move(*frame));
      });
    }
    const std::lock_guard lock(mutex_);
    if (!finished_) StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return report({BreakKind::ended, "write failed"});
    outgoing_.Clear();
    if (!turn_.end()) return;
    post([self = self_] {
      if (self->events_ != nullptr) self->events_->on_writable();
    });
  }

  // Also when the server stops: then the shard may be gone, and the call must end all the same.
  void OnCancel() override {
    report({BreakKind::ended, "cancelled"});
    finish(grpc::Status::CANCELLED);
  }

  void OnDone() override { self_.reset(); }

  // --- the shard ---
  [[nodiscard]] bool can_write() { return turn_.is_free(); }
  void write(Raw bytes) {
    turn_.begin();
    outgoing_ = std::move(bytes);
    const std::lock_guard lock(mutex_);
    if (!finished_) StartWrite(&outgoing_);
  }
  void set_events(ToFollowerEvents* events) { events_ = events; }
  void let_go() {
    events_ = nullptr;
    finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "ended by the leader"));
    const std::lock_guard lock(mutex_);
    shard_ = nullptr;
  }
  void reject(Raw bytes, const std::string& why) {
    turn_.begin();
    outgoing_ = std::move(bytes);
    const std::lock_guard lock(mutex_);
    if (std::exchange(finished_, true)) return;
    StartWriteAndFinish(&outgoing_, grpc::WriteOptions(), grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, why));
  }
  void finish(const grpc::Status& status) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(finished_, true)) return;
    Finish(status);
  }

 private:
  void greet(FollowerHello hello);

  void refuse(const std::string& why) {
    report({BreakKind::rejected, why});
    finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, why));
  }
  void report(Broken broken) {
    const bool posted = post([self = self_, broken = std::move(broken)] {
      if (auto* events = std::exchange(self->events_, nullptr)) events->on_broken(broken);
      self->finish(grpc::Status::CANCELLED);
    });
    if (!posted) finish(grpc::Status::CANCELLED);
  }
  bool post(std::function<void()> f) {
    const std::lock_guard lock(mutex_);
    if (shard_ == nullptr) return false;
    shard_->post(std::move(f));
    return true;
  }

  const std::vector<ShardAcceptor>& acceptors_;
  std::shared_ptr<Call> self_;
  Raw incoming_;
  bool greeted_ = false;  // of the reads, which come one after the other
  // Of the shard.
  ToFollowerEvents* events_ = nullptr;
  WriteTurn turn_;
  Raw outgoing_;  // of whose turn it is
  std::mutex mutex_;
  bool finished_ = false;           // then nothing may be started any more
  common::Shard* shard_ = nullptr;  // null: no hello yet, or the shard has let go of us and may be gone
};

class Connection final : public ConnectionToFollower {
 public:
  explicit Connection(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  ~Connection() override { call_->let_go(); }
  bool can_write() override { return call_->can_write(); }
  void write(LeaderFrame frame) override { call_->write(encode(frame)); }
  void accept(const LeaderHello& hello) override { call_->write(encode(hello)); }
  void reject(const LeaderHello& hello, const std::string& why) override { call_->reject(encode(hello), why); }

 private:
  std::shared_ptr<Call> call_;
};

void Call::greet(FollowerHello hello) {
  const auto wanted = static_cast<size_t>(hello.leader_shard);
  const ShardAcceptor& target = acceptors_[hello.leader_shard >= 0 && wanted < acceptors_.size() ? wanted : 0];
  {
    const std::lock_guard lock(mutex_);
    shard_ = target.shard;
  }
  post([self = self_, acceptor = target.acceptor, hello = std::move(hello)] {
    // A break that was reported before this ran has nobody to tell: the next write fails.
    ToFollowerEvents* events = acceptor->on_follower(hello, std::make_unique<Connection>(self));
    if (events != nullptr) self->set_events(events);
  });
}

class Service final
    : public naru::cluster::Replication::WithRawCallbackMethod_Fetch<naru::cluster::Replication::Service> {
 public:
  explicit Service(std::vector<ShardAcceptor> acceptors) : acceptors_(std::move(acceptors)) {}

  grpc::ServerBidiReactor<Raw, Raw>* Fetch(grpc::CallbackServerContext* /*context*/) override {
    const auto call = std::make_shared<Call>(acceptors_);
    call->begin();
    return call.get();
  }

 private:
  const std::vector<ShardAcceptor> acceptors_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_grpc_fetch_service(std::vector<ShardAcceptor> acceptors) {
  NARU_CHECK(!acceptors.empty());
  return std::make_unique<Service>(std::move(acceptors));
}

}  // namespace broker::replication
