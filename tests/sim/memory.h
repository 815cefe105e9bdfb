// What the requests of one shard hold of a broker's memory, counted as broker/server counts it (R109): when nothing is
// in flight, nothing is held.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "broker/server/memory_budget.h"
#include "broker/server/response_budget.h"
#include "common/config/config.h"

namespace sim {

class ServedConnection;

struct ShardMemory {
  ShardMemory(common::Shard& shard, const common::config::BrokerConfig& config, size_t shards)
      : requests(shard, static_cast<uint64_t>(config.request_memory_bytes) / shards),
        responses(shard, static_cast<uint64_t>(config.response_memory_bytes) / shards) {}

  broker::server::MemoryBudget requests;
  broker::server::ResponseBudget responses;
  size_t in_flight = 0;        // requests that live
  uint64_t largest_frame = 0;  // one may go beyond the limit
  std::vector<std::weak_ptr<ServedConnection>> connections;

  // What is wrong with it, in words; empty: nothing.
  [[nodiscard]] std::string complaint() const;
  // The process has ended: what waits on its connections lets go while the loops still stand.
  void let_go();
};

// One that lives. Dies after what it holds.
class InFlightCount {
 public:
  explicit InFlightCount(std::shared_ptr<ShardMemory> memory) : memory_(std::move(memory)) { ++memory_->in_flight; }
  ~InFlightCount() { --memory_->in_flight; }
  InFlightCount(const InFlightCount&) = delete;
  InFlightCount& operator=(const InFlightCount&) = delete;

 private:
  std::shared_ptr<ShardMemory> memory_;
};

}  // namespace sim
