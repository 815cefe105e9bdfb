// gRPC's callbacks come from one thread while OnePoller is held, and still come after it is dropped.
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <catch2/catch.hpp>

#include "controller/quorum/one_poller.h"

using controller::quorum::OnePoller;

namespace {

// Makes calls that fail at once, many at a time, and says which threads brought their ends.
std::set<std::thread::id> threads_of_callbacks(int calls) {
  const auto channel = grpc::CreateCustomChannel("nowhere", nullptr, {});
  grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(channel);
  const grpc::Slice nothing;
  const grpc::ByteBuffer request(&nothing, 1);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<grpc::ByteBuffer> responses(static_cast<size_t>(calls));
  std::mutex mutex;
  std::condition_variable done;
  std::set<std::thread::id> threads;
  int ended = 0;
  for (grpc::ByteBuffer& response : responses) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    stub.UnaryCall(contexts.back().get(), "/nowhere", {}, &request, &response, [&](const grpc::Status& status) {
      const std::lock_guard lock(mutex);
      if (!status.ok()) ++ended;
      threads.insert(std::this_thread::get_id());
      done.notify_all();
    });
  }
  std::unique_lock lock(mutex);
  done.wait(lock, [&] { return ended == calls; });
  return threads;
}

}  // namespace

TEST_CASE("while one poller is held, one thread brings every callback") {
  const std::shared_ptr<OnePoller> held = OnePoller::hold();
  held->wait_until_parked();
  REQUIRE(threads_of_callbacks(2000).size() == 1);
  REQUIRE(threads_of_callbacks(2000).size() == 1);
}

TEST_CASE("many holders park one thread, and the last lets it go") {
  std::shared_ptr<OnePoller> first = OnePoller::hold();
  const std::shared_ptr<OnePoller> second = OnePoller::hold();
  REQUIRE(first == second);
  first->wait_until_parked();
  first.reset();
  REQUIRE(threads_of_callbacks(100).size() == 1);
}

TEST_CASE("a poller that is held and dropped again and again leaves gRPC at work") {
  for (int i = 0; i < 50; ++i) {
    const std::shared_ptr<OnePoller> held = OnePoller::hold();
    if (i % 2 == 0) held->wait_until_parked();
  }
  REQUIRE_FALSE(threads_of_callbacks(100).empty());
}
