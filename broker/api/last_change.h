// What the metadata log last told of leaders, replicas in sync, brokers and the controller, and since when brokers are
// down, for who asks what has happened (naru status). Known where the log is retold in words: without HTTP nothing is
// ever told.
//
// Thread-safe: told on the HTTP shard, asked for on the shards of clients.
#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "common/model/types.h"

namespace broker::api {

class LastChange {
 public:
  struct Told {
    std::string text;
    std::string reason;  // may be empty
    common::model::Instant at;
  };

  void tell(Told told) {
    const std::scoped_lock lock(mutex_);
    told_ = std::move(told);
  }
  // None since this process started.
  [[nodiscard]] std::optional<Told> told() const {
    const std::scoped_lock lock(mutex_);
    return told_;
  }

  // A broker is fenced, or in service. Only the first counts: one that registers anew is fenced still.
  void tell_of(common::model::BrokerId broker, bool is_down, common::model::Instant now) {
    const std::scoped_lock lock(mutex_);
    if (is_down) {
      down_.try_emplace(broker, now);
    } else {
      down_.erase(broker);
    }
  }
  void forget(common::model::BrokerId broker) {
    const std::scoped_lock lock(mutex_);
    down_.erase(broker);
  }
  // Since when; those that were down when this process started are not in it.
  [[nodiscard]] std::map<common::model::BrokerId, common::model::Instant> down() const {
    const std::scoped_lock lock(mutex_);
    return down_;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<Told> told_;                                        // under mutex_
  std::map<common::model::BrokerId, common::model::Instant> down_;  // likewise
};

}  // namespace broker::api
