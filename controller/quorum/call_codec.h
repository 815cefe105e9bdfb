// Forwarded calls as Protobuf and back (proto/cluster/controller.proto). Registration and heartbeats travel in the
// session stream instead (session_codec.h).
//
// Pure functions; decoding trusts nothing.
#pragma once
#include "controller/metadata/requests.h"
#include "proto/cluster/controller.pb.h"

namespace controller::quorum {

constexpr uint32_t call_version = 1;

// What `to` does not carry yet: the request alone.
void put_request(naru::cluster::ControllerCall& to, const metadata::ControllerRequest& request);
[[nodiscard]] common::model::Result<metadata::ControllerRequest> get_request(const naru::cluster::ControllerCall& call);

void put_answer(naru::cluster::ControllerReply& to, const metadata::ControllerAnswer& answer);
[[nodiscard]] common::model::Result<metadata::ControllerAnswer> get_answer(const naru::cluster::ControllerReply& reply);

}  // namespace controller::quorum
