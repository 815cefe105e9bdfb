// ControllerLinks over gRPC: one channel per node and purpose, distinct from the channels of Raft and of replication,
// so that neither delays the other (equal channel arguments would share one TCP connection).
//
// Lives on the controller's shard; gRPC's threads only post to it.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "controller/quorum/controller_links.h"

namespace controller::quorum {

class GrpcControllerLinks final : public ControllerLinks {
 public:
  GrpcControllerLinks(common::Shard& shard, LinksOptions options);
  // Ends every stream and call and waits for gRPC to let go of them. Not on a gRPC thread.
  ~GrpcControllerLinks() override;

  std::unique_ptr<SessionStream> open_session(BrokerId controller, SessionEvents events) override;
  void call(BrokerId controller, const ControllerRequest& request, const RequestOrigin& origin, Instant deadline,
            std::function<void(Result<Reply>)> done) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace controller::quorum
