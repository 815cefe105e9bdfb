#include "controller/quorum/grpc_controller_service.h"

#include <deque>
#include <map>
#include <mutex>
#include <utility>

#include <grpcpp/support/server_callback.h>

#include "controller/quorum/call_codec.h"
#include "controller/quorum/session_wire.h"
#include "controller/quorum/wire.h"
#include "proto/cluster/controller.grpc.pb.h"

namespace controller::quorum {
namespace {

namespace pb = naru::cluster;

// More answers than this waiting for one broker's connection: it does not read.
constexpr size_t unsent_max = 1000;

// One session's stream. gRPC's threads call the On... methods, the controller's shard send() and close(); `mutex_`
// guards what both touch. gRPC allows one write at a time and one Finish, after it.
class SessionReactor final : public grpc::ServerBidiReactor<pb::SessionRequest, pb::SessionResponse> {
 public:
  SessionReactor(common::Shard& shard, SessionServer& sessions, grpc::CallbackServerContext& context)
      : shard_(shard), sessions_(sessions), context_(context) {
    port_ = std::make_shared<Port>(*this);
    shard_.post([this, port = port_] { session_ = sessions_.open(port); });
    StartRead(&incoming_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return finish();
    auto message = from_proto(incoming_);
    if (!message) return finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, message.error().message));
    shard_.post([this, port = port_, sequence = incoming_.sequence(), message = std::move(*message)]() mutable {
      sessions_.on_message(session_, sequence, std::move(message));
    });
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) unsent_.clear();
    if (!unsent_.empty()) unsent_.pop_front();
    if (!unsent_.empty()) return write_next();
    if (wants_finish_) finish_locked(grpc::Status::OK);
  }

  void OnCancel() override { finish(); }

  // Posted, so that it comes after everything that this stream has posted before.
  void OnDone() override {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    shard_.post([this, port = port_] {
      port->forget();
      sessions_.on_closed(session_);
      delete this;
    });
  }

 private:
  class Port final : public SessionPort {
   public:
    explicit Port(SessionReactor& reactor) : reactor_(&reactor) {}
    void send(uint64_t sequence, SessionDown message) override {
      if (reactor_ != nullptr) reactor_->send(to_proto(sequence, message));
    }
    void close() override {
      if (reactor_ != nullptr) reactor_->finish_when_written();
    }
    void forget() { reactor_ = nullptr; }

   private:
    SessionReactor* reactor_;  // shard only
  };

  void send(pb::SessionResponse message) {
    const std::lock_guard lock(mutex_);
    if (finished_ || done_) return;
    unsent_.push_back(std::move(message));
    if (unsent_.size() > unsent_max) return context_.TryCancel();  // it does not read
    if (!writing_) write_next();
  }

  void write_next() {
    writing_ = true;
    StartWrite(&unsent_.front());
  }

  void finish_when_written() {
    const std::lock_guard lock(mutex_);
    wants_finish_ = true;
    if (!writing_ && unsent_.empty()) finish_locked(grpc::Status::OK);
  }

  // The stream is over: what is unsent does not matter any more. A write under way comes to its end first.
  void finish(grpc::Status status = grpc::Status::OK) {
    const std::lock_guard lock(mutex_);
    if (!writing_) return finish_locked(std::move(status));
    while (unsent_.size() > 1) unsent_.pop_back();
    wants_finish_ = true;
    context_.TryCancel();
  }
  void finish_locked(grpc::Status status) {
    if (std::exchange(finished_, true)) return;
    Finish(std::move(status));
  }

  common::Shard& shard_;
  SessionServer& sessions_;
  grpc::CallbackServerContext& context_;
  std::shared_ptr<Port> port_;
  SessionServer::Session session_ = 0;  // shard only
  pb::SessionRequest incoming_;

  std::mutex mutex_;
  std::deque<pb::SessionResponse> unsent_;  // the first is being written
  bool writing_ = false;
  bool wants_finish_ = false;
  bool finished_ = false;
  bool done_ = false;
};

}  // namespace

class GrpcControllerService::Impl final : public pb::Controller::CallbackService {
 public:
  Impl(common::Shard& shard, ControllerRuntime& runtime, SessionServer& sessions)
      : shard_(shard), runtime_(runtime), sessions_(sessions) {}

  grpc::ServerBidiReactor<pb::SessionRequest, pb::SessionResponse>* Session(
      grpc::CallbackServerContext* context) override {
    return new SessionReactor(shard_, sessions_, *context);
  }

  grpc::ServerUnaryReactor* Call(grpc::CallbackServerContext* context, const pb::ControllerCall* call,
                                 pb::ControllerReply* reply) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    auto request = get_request(*call);
    if (!request) {
      reactor->Finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, request.error().message));
      return reactor;
    }
    const auto timeout = std::chrono::milliseconds(call->timeout_ms());
    shard_.post([this, reactor, reply, timeout, cluster = call->cluster_id(), request = std::move(*request)] {
      const auto& ours = runtime_.image()->cluster_id();
      if (!ours.is_zero() && cluster != wire::bytes_of(ours)) {
        return reactor->Finish(grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "another cluster"));
      }
      if (closed_) return reactor->Finish(closing());
      const uint64_t id = ++calls_;
      open_calls_.emplace(id, reactor);
      runtime_.handle(request, shard_.now() + timeout,
                      [this, alive = std::weak_ptr(alive_), id, reply](const Reply& answer) {
                        if (alive.expired()) return;
                        const auto open = open_calls_.extract(id);
                        if (open.empty()) return;
                        put_answer(*reply, answer.answer);
                        if (answer.committed_at) reply->set_committed_at(answer.committed_at->value);
                        open.mapped()->Finish(grpc::Status::OK);
                      });
    });
    return reactor;
  }

  void close() {
    shard_.post([this, alive = std::weak_ptr(alive_)] {
      if (alive.expired()) return;
      closed_ = true;
      sessions_.close_all();
      for (auto& [id, reactor] : std::exchange(open_calls_, {})) reactor->Finish(closing());
    });
  }

 private:
  static grpc::Status closing() { return {grpc::StatusCode::UNAVAILABLE, "this broker is stopping"}; }

  common::Shard& shard_;
  ControllerRuntime& runtime_;
  SessionServer& sessions_;
  // Touched on the shard only.
  std::map<uint64_t, grpc::ServerUnaryReactor*> open_calls_;
  uint64_t calls_ = 0;
  bool closed_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

GrpcControllerService::GrpcControllerService(common::Shard& shard, ControllerRuntime& runtime, SessionServer& sessions)
    : impl_(std::make_unique<Impl>(shard, runtime, sessions)) {}
GrpcControllerService::~GrpcControllerService() = default;

grpc::Service& GrpcControllerService::service() {
  return *impl_;
}
void GrpcControllerService::close() {
  impl_->close();
}

}  // namespace controller::quorum
