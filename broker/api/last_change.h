// What the metadata log last told of leaders, replicas in sync, brokers and the controller, for who asks what has
// happened (naru status). Known where the log is retold in words: without HTTP nothing is ever told.
//
// Thread-safe: told on the HTTP shard, asked for on the shards of clients.
#pragma once
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

 private:
  mutable std::mutex mutex_;
  std::optional<Told> told_;  // under mutex_
};

}  // namespace broker::api
