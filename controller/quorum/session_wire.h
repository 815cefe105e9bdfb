// Session messages between their typed and their Protobuf form, for both ends of the gRPC stream.
// Pure functions; decoding trusts nothing.
#pragma once
#include "controller/quorum/controller_links.h"
#include "proto/cluster/controller.pb.h"

namespace controller::quorum {

[[nodiscard]] naru::cluster::SessionRequest to_proto(uint64_t sequence, const SessionUp& message);
[[nodiscard]] Result<SessionUp> from_proto(const naru::cluster::SessionRequest& message);
[[nodiscard]] naru::cluster::SessionResponse to_proto(uint64_t sequence, const SessionDown& message);
[[nodiscard]] Result<SessionDown> from_proto(const naru::cluster::SessionResponse& message);

}  // namespace controller::quorum
