#include "controller/quorum/raft_stream.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include "controller/quorum/raft_codec.h"

namespace controller::quorum {

namespace pb = naru::cluster;

namespace {

constexpr size_t queued_bytes_max = 32 << 20;
constexpr int message_bytes_max = 128 << 20;

}  // namespace

std::shared_ptr<grpc::Channel> make_raft_channel(const raft::Endpoint& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, message_bytes_max);
  arguments.SetInt(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, message_bytes_max);
  const bool is_v6 = endpoint.host.find(':') != std::string::npos;
  const std::string host = is_v6 ? "[" + endpoint.host + "]" : endpoint.host;
  return grpc::CreateCustomChannel(fmt::format("{}:{}", host, endpoint.port), grpc::InsecureChannelCredentials(),
                                   arguments);
}

RaftStream::RaftStream(common::Shard& shard, Callbacks callbacks) : shard_(shard), callbacks_(std::move(callbacks)) {}

std::shared_ptr<RaftStream> RaftStream::open(common::Shard& shard, const raft::Endpoint& endpoint,
                                             const RaftHello& greeting, Callbacks callbacks) {
  auto stream = std::make_shared<RaftStream>(shard, std::move(callbacks));
  stream->self_ = stream;
  stream->channel_ = make_raft_channel(endpoint);
  stream->stub_ = pb::Raft::NewStub(stream->channel_);
  pb::RaftFrame frame;
  pb::Hello& hello = *frame.mutable_hello();
  hello.set_cluster_id(greeting.cluster_id);
  encode(greeting.from, *hello.mutable_from());
  hello.set_to_node(greeting.to.value);
  hello.mutable_versions()->set_min(greeting.versions.min);
  hello.mutable_versions()->set_max(greeting.versions.max);
  hello.set_session(greeting.session);
  hello.mutable_endpoint()->set_host(greeting.endpoint.host);
  hello.mutable_endpoint()->set_port(greeting.endpoint.port);
  stream->stub_->async()->Exchange(&stream->context_, stream.get());
  stream->AddHold();  // sends come from the shard, outside of gRPC's callbacks
  stream->StartRead(&stream->incoming_);
  {
    std::lock_guard lock(stream->mutex_);
    stream->enqueue(std::move(frame));
  }
  stream->StartCall();
  return stream;
}

void RaftStream::enqueue(pb::RaftFrame frame) {
  queued_bytes_ += frame.ByteSizeLong();
  queue_.push_back(std::move(frame));
  if (queue_.size() == 1) StartWrite(&queue_.front());
}

void RaftStream::send(const raft::Message& message) {
  pb::RaftFrame frame;
  encode(message, *frame.mutable_message());
  std::lock_guard lock(mutex_);
  if (ended_ || queued_bytes_ > queued_bytes_max) return;
  if (sequence_ == acknowledged_) unacknowledged_since_ = std::chrono::steady_clock::now();
  frame.set_sequence(++sequence_);
  enqueue(std::move(frame));
}

common::Duration RaftStream::silence() const {
  std::lock_guard lock(mutex_);
  if (sequence_ == acknowledged_) return {};
  return std::chrono::steady_clock::now() - unacknowledged_since_;
}

void RaftStream::OnReadDone(bool ok) {
  if (!ok) return let_go();
  if (incoming_.has_hello()) {
    if (auto peer = decode(incoming_.hello().from())) {
      shard_.post([self = shared_from_this(), peer = *peer, heard = incoming_.hello().session()] {
        if (self->callbacks_.on_open) self->callbacks_.on_open(peer, heard);
      });
    }
  } else {
    std::lock_guard lock(mutex_);
    acknowledged_ = std::max(acknowledged_, std::min(incoming_.sequence(), sequence_));
    unacknowledged_since_ = std::chrono::steady_clock::now();
  }
  std::lock_guard lock(mutex_);
  if (!ended_) StartRead(&incoming_);
}

void RaftStream::OnWriteDone(bool ok) {
  if (!ok) return let_go();
  std::lock_guard lock(mutex_);
  queued_bytes_ -= std::min(queued_bytes_, queue_.front().ByteSizeLong());
  queue_.pop_front();
  if (!queue_.empty() && !ended_) StartWrite(&queue_.front());
}

void RaftStream::let_go() {
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(ended_, true)) return;
  }
  context_.TryCancel();
  RemoveHold();
}

void RaftStream::close() {
  let_go();
}

void RaftStream::OnDone(const grpc::Status& status) {
  const auto last = std::move(self_);
  shard_.post([last, why = status.ok() ? std::string("closed by the peer") : status.error_message()] {
    if (last->callbacks_.on_end) last->callbacks_.on_end(why);
    last->callbacks_ = {};
  });
}

}  // namespace controller::quorum
