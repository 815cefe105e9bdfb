#include "controller/quorum/one_poller.h"

#include <condition_variable>
#include <mutex>

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

namespace controller::quorum {

using Raw = grpc::ByteBuffer;

// A call that fails at once, because its channel leads nowhere; whoever brings its end stays in it.
struct OnePoller::Parked {
  std::shared_ptr<grpc::Channel> channel =
      grpc::CreateCustomChannel("nowhere", nullptr, {});  // no credentials: each call on it fails at once
  grpc::TemplatedGenericStub<Raw, Raw> stub{channel};
  grpc::ClientContext context;
  grpc::Slice nothing;
  Raw request{&nothing, 1};  // a buffer without a slice is no message
  Raw response;

  std::mutex mutex;
  std::condition_variable changed;
  bool is_parked = false;
  bool is_released = false;
  bool has_left = false;

  void park() {
    std::unique_lock lock(mutex);
    is_parked = true;
    changed.notify_all();
    changed.wait(lock, [this] { return is_released; });
    has_left = true;
    changed.notify_all();
  }
};

std::shared_ptr<OnePoller> OnePoller::hold() {
  static std::mutex mutex;
  static std::weak_ptr<OnePoller> current;
  const std::lock_guard lock(mutex);
  std::shared_ptr<OnePoller> held = current.lock();
  if (!held) {
    held.reset(new OnePoller());
    current = held;
  }
  return held;
}

OnePoller::OnePoller() : parked_(std::make_shared<Parked>()) {
  parked_->stub.UnaryCall(&parked_->context, "/nowhere", {}, &parked_->request, &parked_->response,
                          [parked = parked_.get()](const grpc::Status&) { parked->park(); });
}

// The channel goes last, on this thread: it may be what keeps gRPC's threads, and they do not end themselves.
OnePoller::~OnePoller() {
  std::unique_lock lock(parked_->mutex);
  parked_->is_released = true;
  parked_->changed.notify_all();
  parked_->changed.wait(lock, [this] { return parked_->has_left; });
}

void OnePoller::wait_until_parked() {
  std::unique_lock lock(parked_->mutex);
  parked_->changed.wait(lock, [this] { return parked_->is_parked; });
}

}  // namespace controller::quorum
