#include "controller/quorum/grpc_controller_links.h"

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/support/client_callback.h>

#include "controller/quorum/call_codec.h"
#include "controller/quorum/session_wire.h"
#include "controller/quorum/wire.h"
#include "proto/cluster/controller.grpc.pb.h"

namespace controller::quorum {
namespace {

namespace pb = naru::cluster;
using common::model::ErrorCode;
using common::model::fail;

// Who answers is of another cluster, or another node (R112): the address is as wrong as one at which nobody answers.
bool is_somebody_else(const SessionDown& message) {
  const auto* refused = std::get_if<SessionRefused>(&message);
  return refused != nullptr && (refused->error.code == ErrorCode::inconsistent_cluster_id ||
                                refused->error.code == ErrorCode::invalid_request);
}

// Knows what gRPC still holds, so that the links can wait for it at their end.
class InFlight {
 public:
  using Context = std::shared_ptr<grpc::ClientContext>;
  void begin(const Context& context) {
    const std::lock_guard lock(mutex_);
    open_.insert(context);
  }
  void end(const Context& context) {
    const std::lock_guard lock(mutex_);
    open_.erase(context);
    empty_.notify_all();
  }
  void cancel_and_wait() {
    std::unique_lock lock(mutex_);
    const auto open = open_;
    lock.unlock();  // cancelling may call back
    for (const Context& context : open) context->TryCancel();
    lock.lock();
    empty_.wait(lock, [this] { return open_.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable empty_;
  std::set<Context> open_;
};

// What a stream's owner and its reactor share; the owner may be gone while gRPC still finishes.
struct StreamOwner {  // touched on the shard only
  SessionEvents events;
  bool gone = false;
  bool reached = false;
};

// One session's stream at the broker. gRPC's threads call the On... methods; the controller's shard sends. The hold of
// AddHold keeps OnDone away while the shard may still start writes.
class ClientSession final : public grpc::ClientBidiReactor<pb::SessionRequest, pb::SessionResponse> {
 public:
  ClientSession(common::Shard& shard, pb::Controller::Stub& stub, std::shared_ptr<StreamOwner> owner,
                std::shared_ptr<InFlight> in_flight)
      : shard_(shard), owner_(std::move(owner)), in_flight_(std::move(in_flight)) {
    in_flight_->begin(context_);
    stub.async()->Session(context_.get(), this);
  }

  // From here on OnDone may come, on gRPC's threads, as soon as a read has failed: it lets go of `self`, which it must find.
  void start(std::shared_ptr<ClientSession> self) {
    self_ = std::move(self);
    AddHold();
    StartRead(&incoming_);
    StartCall();
  }

  void send(pb::SessionRequest message) {
    const std::lock_guard lock(mutex_);
    if (released_) return;
    unsent_.push_back(std::move(message));
    if (!writing_) write_next();
  }
  // No write begins after this.
  void end() {
    context_->TryCancel();
    release();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return release();
    auto message = from_proto(incoming_);
    if (!message) {
      context_->TryCancel();
      return release();
    }
    shard_.post([owner = owner_, sequence = incoming_.sequence(), message = std::move(*message)]() mutable {
      owner->reached = true;
      if (owner->gone) return;
      const auto on_message = owner->events.on_message;  // it may end the stream
      on_message(sequence, std::move(message));
    });
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    unsent_.pop_front();
    if (ok && !unsent_.empty() && !released_) write_next();
  }

  void OnDone(const grpc::Status& status) override {
    shard_.post([owner = owner_, why = status.ok() ? std::string("closed by the controller") : status.error_message()] {
      if (std::exchange(owner->gone, true)) return;
      const auto on_closed = owner->events.on_closed;
      on_closed(why);
    });
    in_flight_->end(context_);
    self_.reset();  // the last touch
  }

 private:
  void write_next() {
    writing_ = true;
    StartWrite(&unsent_.front());
  }
  void release() {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(released_, true)) return;
    }
    RemoveHold();
  }

  common::Shard& shard_;
  const std::shared_ptr<StreamOwner> owner_;
  const std::shared_ptr<InFlight> in_flight_;
  const InFlight::Context context_ = std::make_shared<grpc::ClientContext>();
  std::shared_ptr<ClientSession> self_;  // keeps this alive until OnDone, whoever else lets go
  pb::SessionResponse incoming_;

  std::mutex mutex_;
  std::deque<pb::SessionRequest> unsent_;  // the first is being written
  bool writing_ = false;
  bool released_ = false;
};

class GrpcSessionStream final : public SessionStream {
 public:
  GrpcSessionStream(std::shared_ptr<ClientSession> session, std::shared_ptr<StreamOwner> owner)
      : session_(std::move(session)), owner_(std::move(owner)) {}
  ~GrpcSessionStream() override {
    owner_->gone = true;
    session_->end();
  }
  void send(uint64_t sequence, SessionUp message) override { session_->send(to_proto(sequence, message)); }

 private:
  std::shared_ptr<ClientSession> session_;
  std::shared_ptr<StreamOwner> owner_;
};

// Closes as soon as it can: nobody knows where the controller is.
class NowhereStream final : public SessionStream {
 public:
  explicit NowhereStream(std::shared_ptr<StreamOwner> owner) : owner_(std::move(owner)) {}
  ~NowhereStream() override { owner_->gone = true; }
  void send(uint64_t, SessionUp) override {}

 private:
  std::shared_ptr<StreamOwner> owner_;
};

grpc::ChannelArguments arguments(const std::string& purpose) {
  grpc::ChannelArguments args;
  args.SetString("naru.purpose", purpose);  // keeps this channel's connection apart
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 500);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  args.SetMaxReceiveMessageSize(128 << 20);
  args.SetMaxSendMessageSize(128 << 20);
  return args;
}

}  // namespace

class GrpcControllerLinks::Impl {
 public:
  Impl(common::Shard& shard, LinksOptions options)
      : shard_(shard), options_(std::move(options)), in_flight_(std::make_shared<InFlight>()) {}
  ~Impl() { in_flight_->cancel_and_wait(); }

  std::unique_ptr<SessionStream> open_session(BrokerId controller, SessionEvents events) {
    auto owner = std::make_shared<StreamOwner>();
    owner->events = std::move(events);
    const auto endpoint = choose(controller);
    if (!endpoint) {
      shard_.post([owner, controller] {
        if (std::exchange(owner->gone, true)) return;
        const auto on_closed = owner->events.on_closed;
        on_closed(fmt::format("the address of broker {} is not known", controller));
      });
      return std::make_unique<NowhereStream>(std::move(owner));
    }
    // A fresh channel each time: the old one may be backing off from a process that has just come back, or lie in a
    // connection whose packets were lost for so long that the kernel tries again in minutes. So may that of calls.
    stubs_.erase(name_of(*endpoint));
    const auto stub = pb::Controller::NewStub(channel(*endpoint, fmt::format("controller session {}", ++sessions_)));
    owner->events.on_message = [this, controller, alive = std::weak_ptr(alive_),
                                on_message = std::move(owner->events.on_message)](uint64_t sequence,
                                                                                  SessionDown message) {
      if (is_somebody_else(message) && !alive.expired()) ++failures_[controller];
      on_message(sequence, std::move(message));
    };
    owner->events.on_closed = [this, controller, owner = owner.get(), alive = std::weak_ptr(alive_),
                               on_closed = std::move(owner->events.on_closed)](const std::string& why) {
      if (!owner->reached && !alive.expired()) ++failures_[controller];
      on_closed(why);
    };
    auto session = std::make_shared<ClientSession>(shard_, *stub, owner, in_flight_);
    session->start(session);
    return std::make_unique<GrpcSessionStream>(std::move(session), std::move(owner));
  }

  void call(BrokerId controller, const ControllerRequest& request, const RequestOrigin& origin, Instant deadline,
            std::function<void(Result<Reply>)> done) {
    const auto endpoint = choose(controller);
    if (!endpoint) {
      return shard_.post([done = std::move(done)] {
        Reply reply;  // never sent
        reply.answer = metadata::Refused{{ErrorCode::not_controller, "the controller's address is not known"}, false};
        done(std::move(reply));
      });
    }
    auto call = std::make_shared<UnaryCall>();
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - shard_.now());
    call->request.set_version(call_version);
    call->request.set_cluster_id(wire::bytes_of(options_.cluster_id()));
    call->request.set_from_node(options_.self.value);
    call->request.set_principal(origin.principal);
    call->request.set_client_host(origin.client_host);
    call->request.set_timeout_ms(static_cast<uint32_t>(std::max<int64_t>(0, left.count())));
    put_request(call->request, request);
    call->context->set_deadline(std::chrono::system_clock::now() + left + std::chrono::milliseconds(100));
    call->stub = stub_for(*endpoint);
    in_flight_->begin(call->context);
    call->stub->async()->Call(call->context.get(), &call->request, &call->reply,
                              [this, controller, call, in_flight = in_flight_, done = std::move(done), &shard = shard_,
                               alive = std::weak_ptr(alive_)](const grpc::Status& status) mutable {
                                shard.post([this, controller, call, status, done = std::move(done), alive] {
                                  if (!status.ok() && !alive.expired()) {
                                    ++failures_[controller];
                                    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) forget(call->stub);
                                  }
                                  done(result_of(*call, status));
                                });
                                in_flight->end(call->context);
                              });
  }

 private:
  struct UnaryCall {
    pb::ControllerCall request;
    pb::ControllerReply reply;
    InFlight::Context context = std::make_shared<grpc::ClientContext>();
    std::shared_ptr<pb::Controller::Stub> stub;
  };

  // The best address, or the next one after each failure to reach it.
  std::optional<metadata::ClusterEndpoint> choose(BrokerId controller) {
    const auto candidates = options_.endpoints(controller);
    if (candidates.empty()) return std::nullopt;
    return candidates[failures_[controller] % candidates.size()];
  }

  static Result<Reply> result_of(const UnaryCall& call, const grpc::Status& status) {
    if (!status.ok()) return fail(ErrorCode::network_exception, status.error_message());
    auto answer = get_answer(call.reply);
    if (!answer) return common::model::Unexpected(std::move(answer).error());
    Reply reply;
    reply.answer = std::move(*answer);
    if (call.reply.has_committed_at()) reply.committed_at = LogIndex{call.reply.committed_at()};
    return reply;
  }

  static std::shared_ptr<grpc::Channel> channel(const metadata::ClusterEndpoint& endpoint, const std::string& purpose) {
    const bool is_v6 = endpoint.host.find(':') != std::string::npos;
    const std::string target = fmt::format("{}:{}", is_v6 ? "[" + endpoint.host + "]" : endpoint.host, endpoint.port);
    return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments(purpose));
  }

  std::shared_ptr<pb::Controller::Stub> stub_for(const metadata::ClusterEndpoint& endpoint) {
    // Of all addresses that brokers have had while they were controllers: who is asked is kept by its question.
    constexpr size_t stubs_max = 16;
    if (stubs_.size() >= stubs_max && !stubs_.contains(name_of(endpoint))) stubs_.clear();
    auto& stub = stubs_[name_of(endpoint)];
    // Channels of the same purpose would share their connection.
    if (!stub) stub = pb::Controller::NewStub(channel(endpoint, fmt::format("controller calls {}", ++call_channels_)));
    return stub;
  }
  void forget(const std::shared_ptr<pb::Controller::Stub>& stub) {
    std::erase_if(stubs_, [&](const auto& entry) { return entry.second == stub; });
  }
  static std::string name_of(const metadata::ClusterEndpoint& endpoint) {
    return fmt::format("{}:{}", endpoint.host, endpoint.port);
  }

  common::Shard& shard_;
  const LinksOptions options_;
  std::map<std::string, std::shared_ptr<pb::Controller::Stub>> stubs_;
  std::shared_ptr<InFlight> in_flight_;
  std::map<BrokerId, size_t> failures_;
  uint64_t sessions_ = 0;
  uint64_t call_channels_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

GrpcControllerLinks::GrpcControllerLinks(common::Shard& shard, LinksOptions options)
    : impl_(std::make_unique<Impl>(shard, std::move(options))) {}
GrpcControllerLinks::~GrpcControllerLinks() = default;

std::unique_ptr<SessionStream> GrpcControllerLinks::open_session(BrokerId controller, SessionEvents events) {
  return impl_->open_session(controller, std::move(events));
}

void GrpcControllerLinks::call(BrokerId controller, const ControllerRequest& request, const RequestOrigin& origin,
                               Instant deadline, std::function<void(Result<Reply>)> done) {
  impl_->call(controller, request, origin, deadline, std::move(done));
}

}  // namespace controller::quorum
