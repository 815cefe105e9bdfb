// Registration and heartbeats as Protobuf and back (proto/cluster/controller.proto).
// Pure functions; decoding trusts nothing.
#pragma once
#include "controller/metadata/requests.h"
#include "proto/cluster/controller.pb.h"

namespace controller::quorum {

constexpr int32_t session_version = 1;

void put_register(naru::cluster::RegisterBroker& to, const metadata::RegisterBroker& r);
[[nodiscard]] common::model::Result<metadata::RegisterBroker> get_register(const naru::cluster::RegisterBroker& m);
void put_registered(naru::cluster::RegisterBrokerAnswer& to, const metadata::RegisterBrokerAnswer& a);
[[nodiscard]] metadata::RegisterBrokerAnswer get_registered(const naru::cluster::RegisterBrokerAnswer& m);

void put_heartbeat(naru::cluster::BrokerHeartbeat& to, const metadata::BrokerHeartbeat& h);
[[nodiscard]] common::model::Result<metadata::BrokerHeartbeat> get_heartbeat(const naru::cluster::BrokerHeartbeat& m);
void put_heartbeat_answer(naru::cluster::BrokerHeartbeatAnswer& to, const metadata::BrokerHeartbeatAnswer& a);
[[nodiscard]] common::model::Result<metadata::BrokerHeartbeatAnswer> get_heartbeat_answer(
    const naru::cluster::BrokerHeartbeatAnswer& m);

}  // namespace controller::quorum
