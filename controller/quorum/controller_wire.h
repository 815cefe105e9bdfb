// The network of a broker's controller half: probes and links to the other nodes, and the sessions and calls that come
// from them. GrpcControllerWire is the production form, the simulator has its own.
#pragma once
#include <memory>

#include "controller/quorum/controller_links.h"

namespace controller::quorum {

class SessionServer;

class ControllerWire {
 public:
  virtual ~ControllerWire() = default;
  // All of them for `shard`, the controller's; before it has work.
  virtual std::unique_ptr<Prober> make_prober(common::Shard& shard) = 0;
  virtual std::unique_ptr<ControllerLinks> make_links(common::Shard& shard, LinksOptions options) = 0;
  // Other nodes are let in: sessions go to `sessions`, calls to `runtime`. Both outlive the wire's use of them, which
  // ends with close() and the end of the server beneath.
  virtual void serve(common::Shard& shard, ControllerRuntime& runtime, SessionServer& sessions) = 0;
  // Ends sessions and calls and takes no new ones. Any thread.
  virtual void close() = 0;
};

}  // namespace controller::quorum
