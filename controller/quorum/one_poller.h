// gRPC serves its callbacks from two threads that take turns at waiting for the network: each event wakes one of them,
// and that one, before it looks at the event, wakes the other to wait in its place. Our callbacks only post to a shard,
// so the second thread has nothing to do but to be woken, once for every message of every stream. While somebody holds
// this, one of the two is parked and the other does everything.
//
// One for the whole process, however many hold it. Thread-safe. To be dropped outside of gRPC's callbacks.
#pragma once
#include <memory>

namespace controller::quorum {

class OnePoller {
 public:
  static std::shared_ptr<OnePoller> hold();
  ~OnePoller();
  OnePoller(const OnePoller&) = delete;
  OnePoller& operator=(const OnePoller&) = delete;

  // Returns once the thread is parked.
  void wait_until_parked();

 private:
  OnePoller();
  struct Parked;
  std::shared_ptr<Parked> parked_;
};

}  // namespace controller::quorum
