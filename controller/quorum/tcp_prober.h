// The plain connect behind the failure detector: a gRPC channel backs off and would hide that a process is gone.
// Lives on the controller's shard.
#pragma once
#include "controller/quorum/controller_runtime.h"

namespace controller::quorum {

class TcpProber final : public Prober {
 public:
  explicit TcpProber(common::Shard& shard, common::Duration timeout = std::chrono::milliseconds(100))
      : shard_(shard), timeout_(timeout) {}
  void probe(const metadata::ProbeOrder& order, std::function<void(metadata::ProbeResult)> done) override;

 private:
  common::Shard& shard_;
  const common::Duration timeout_;
};

}  // namespace controller::quorum
