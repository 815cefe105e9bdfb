// How many logs of a broker are compacted at a time (log.cleaner.threads), over all shards, in the order asked for.
// Lives on one shard; all may be called on any, and the turn comes on the shard of whoever asked.
#pragma once
#include <deque>
#include <functional>
#include <utility>

#include "common/shard.h"

namespace broker::cleaner {

class CleanerTurns {
 public:
  CleanerTurns(common::Shard& home, int at_a_time) : home_(home), at_a_time_(at_a_time), free_(at_a_time) {}

  // From now on. Turns that were given end first: for a while fewer than none may be free.
  void set_at_a_time(int count) {
    home_.post([this, count] {
      free_ += count - std::exchange(at_a_time_, count);
      serve();
    });
  }

  void ask(common::Shard& asker, std::function<void()> turn) {
    home_.post([this, &asker, turn = std::move(turn)]() mutable {
      waiting_.push_back({&asker, std::move(turn)});
      serve();
    });
  }
  // Once for each turn that came.
  void give_back() {
    home_.post([this] {
      ++free_;
      serve();
    });
  }

 private:
  struct Waiting {
    common::Shard* asker;
    std::function<void()> turn;
  };
  void serve() {
    for (; free_ > 0 && !waiting_.empty(); --free_) {
      Waiting next = std::move(waiting_.front());
      waiting_.pop_front();
      next.asker->post(std::move(next.turn));
    }
  }

  common::Shard& home_;
  int at_a_time_;
  int free_;
  std::deque<Waiting> waiting_;
};

}  // namespace broker::cleaner
