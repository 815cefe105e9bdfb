// Replicas of one shard whose directories are being made. A topic is announced as soon as the brokers know it, and what
// clients send next may be faster than a disk: who asks for such a replica waits here for it, instead of being told
// that it is led elsewhere.
//
// Lives on its shard.
#pragma once
#include <map>
#include <memory>

#include "common/model/types.h"
#include "common/shard.h"

namespace broker::partition {

class Creations {
 public:
  explicit Creations(common::Shard& shard) : shard_(shard) {}
  Creations(const Creations&) = delete;
  Creations& operator=(const Creations&) = delete;

  // False: it is being made already.
  [[nodiscard]] bool begin(const common::model::TopicIdPartition& id);
  // Made, or it failed: those who wait go on, in the order in which they came.
  void end(const common::model::TopicIdPartition& id);
  void end_all();

  // Whether to wait(). Also for a moment after end(), until everybody before has gone on (R87).
  [[nodiscard]] bool has(const common::model::TopicIdPartition& id) const {
    return !under_way_.empty() && under_way_.contains(id);
  }
  // Until the end, or `deadline`.
  [[nodiscard]] common::Awaitable<void> wait(common::model::TopicIdPartition id, common::Instant deadline);

 private:
  struct Creation {
    explicit Creation(common::Shard& shard) : ended(shard) {}
    common::Event ended;
    size_t waiting = 0;
  };
  using ById = std::map<common::model::TopicIdPartition, std::shared_ptr<Creation>>;
  ById::iterator end(ById::iterator creation);

  common::Shard& shard_;
  ById under_way_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace broker::partition
