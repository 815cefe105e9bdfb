#include "controller/quorum/session_wire.h"

#include "controller/quorum/session_codec.h"
#include "controller/quorum/wire.h"

namespace controller::quorum {

namespace pb = naru::cluster;
using common::model::error_code_from;
using common::model::ErrorCode;
using common::model::fail;
using common::model::Unexpected;
using wire::bytes_of;

namespace {

void put(pb::SessionRequest& to, const SessionHello& m) {
  pb::SessionHello& h = *to.mutable_hello();
  h.set_cluster_id(bytes_of(m.cluster_id));
  h.set_broker_id(m.broker_id.value);
  h.set_incarnation_id(bytes_of(m.incarnation_id));
  h.set_to_node(m.to_node.value);
  h.set_version_min(m.version_min);
  h.set_version_max(m.version_max);
}
void put(pb::SessionRequest& to, const metadata::RegisterBroker& m) {
  put_register(*to.mutable_register_broker(), m);
}
void put(pb::SessionRequest& to, const metadata::BrokerHeartbeat& m) {
  put_heartbeat(*to.mutable_heartbeat(), m);
}
void put(pb::SessionRequest& to, const Witness& m) {
  to.mutable_witness()->set_broker_id(m.broker_id.value);
  to.mutable_witness()->set_broker_epoch(m.broker_epoch.value);
}

void put(pb::SessionResponse& to, const SessionWelcome& m) {
  to.mutable_welcome()->set_version(m.version);
  to.mutable_welcome()->set_session_timeout_ms(m.session_timeout.count());
}
void put(pb::SessionResponse& to, const SessionRefused& m) {
  to.mutable_refused()->mutable_error()->set_code(static_cast<int32_t>(m.error.code));
  to.mutable_refused()->mutable_error()->set_message(m.error.message);
}
void put(pb::SessionResponse& to, const metadata::RegisterBrokerAnswer& m) {
  put_registered(*to.mutable_registered(), m);
}
void put(pb::SessionResponse& to, const metadata::BrokerHeartbeatAnswer& m) {
  put_heartbeat_answer(*to.mutable_heartbeat(), m);
}

template <class T>
Result<SessionUp> up(Result<T> decoded) {
  if (!decoded) return Unexpected(std::move(decoded).error());
  return SessionUp(std::move(*decoded));
}

}  // namespace

pb::SessionRequest to_proto(uint64_t sequence, const SessionUp& message) {
  pb::SessionRequest to;
  to.set_sequence(sequence);
  std::visit([&](const auto& m) { put(to, m); }, message);
  return to;
}

Result<SessionUp> from_proto(const pb::SessionRequest& m) {
  switch (m.content_case()) {
    case pb::SessionRequest::kHello: {
      wire::Reader in;
      SessionHello hello;
      hello.cluster_id = in.uuid(m.hello().cluster_id());
      hello.broker_id = BrokerId{m.hello().broker_id()};
      hello.incarnation_id = in.uuid(m.hello().incarnation_id());
      hello.to_node = BrokerId{m.hello().to_node()};
      hello.version_min = m.hello().version_min();
      hello.version_max = m.hello().version_max();
      if (in.failed()) return in.error("session hello");
      return SessionUp(hello);
    }
    case pb::SessionRequest::kRegisterBroker:
      return up(get_register(m.register_broker()));
    case pb::SessionRequest::kHeartbeat:
      return up(get_heartbeat(m.heartbeat()));
    case pb::SessionRequest::kWitness:
      return SessionUp(Witness{BrokerId{m.witness().broker_id()}, BrokerEpoch{m.witness().broker_epoch()}});
    case pb::SessionRequest::CONTENT_NOT_SET:
      break;
  }
  return fail(ErrorCode::invalid_request, "a session message of a kind that this version does not know");
}

pb::SessionResponse to_proto(uint64_t sequence, const SessionDown& message) {
  pb::SessionResponse to;
  to.set_sequence(sequence);
  std::visit([&](const auto& m) { put(to, m); }, message);
  return to;
}

Result<SessionDown> from_proto(const pb::SessionResponse& m) {
  switch (m.content_case()) {
    case pb::SessionResponse::kWelcome:
      return SessionDown(SessionWelcome{
          m.welcome().version(), std::chrono::milliseconds(std::max<int64_t>(m.welcome().session_timeout_ms(), 0))});
    case pb::SessionResponse::kRefused:
      return SessionDown(SessionRefused{
          {error_code_from(static_cast<int16_t>(m.refused().error().code())), m.refused().error().message()}});
    case pb::SessionResponse::kRegistered:
      return SessionDown(get_registered(m.registered()));
    case pb::SessionResponse::kHeartbeat: {
      auto answer = get_heartbeat_answer(m.heartbeat());
      if (!answer) return Unexpected(std::move(answer).error());
      return SessionDown(std::move(*answer));
    }
    case pb::SessionResponse::CONTENT_NOT_SET:
      break;
  }
  return fail(ErrorCode::invalid_request, "a session message of a kind that this version does not know");
}

}  // namespace controller::quorum
