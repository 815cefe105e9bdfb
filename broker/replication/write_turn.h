// Whose turn it is to write on a gRPC stream, which takes one write at a time. The shard begins a write, gRPC's thread
// ends it. The end is worth waking the shard for only if it was refused meanwhile: most writes end before there is
// another frame to send, and a wake-up costs more than the write did.
//
// begin(), is_free(): the shard. end(): gRPC's thread; what it did before is seen by whom is_free() lets in.
#pragma once
#include <atomic>

#include "common/model/check.h"

namespace broker::replication {

class WriteTurn {
 public:
  // false: end() will say that somebody waits.
  [[nodiscard]] bool is_free() {
    State seen = state_.load(std::memory_order_acquire);
    if (seen == State::writing && state_.compare_exchange_strong(seen, State::wanted, std::memory_order_acq_rel))
      return false;
    return seen == State::free;
  }
  void begin() {
    NARU_CHECK(state_.exchange(State::writing, std::memory_order_acq_rel) == State::free,
               "a second write on a fetch stream");
  }
  // true: is_free() said no since begin(), and whoever asked is to be told.
  [[nodiscard]] bool end() { return state_.exchange(State::free, std::memory_order_acq_rel) == State::wanted; }

 private:
  enum class State { free, writing, wanted };
  std::atomic<State> state_{State::free};
};

}  // namespace broker::replication
