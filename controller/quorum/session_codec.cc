#include "controller/quorum/session_codec.h"

#include <algorithm>

#include "controller/quorum/wire.h"

namespace controller::quorum {
namespace {

using namespace metadata;
using common::model::error_code_from;
using common::model::Offset;
using common::model::Result;
namespace pb = naru::cluster;
using wire::bytes_of;
using wire::Reader;

uint32_t ms(std::chrono::milliseconds duration) {
  return static_cast<uint32_t>(std::clamp<int64_t>(duration.count(), 0, UINT32_MAX));
}

using Replicas = std::set<TopicIdPartition>;
using RepeatedReplicas = google::protobuf::RepeatedPtrField<pb::TopicReplicas>;

void put_replicas(RepeatedReplicas& to, const Replicas& replicas) {
  const TopicIdPartition* before = nullptr;
  for (const TopicIdPartition& r : replicas) {  // sorted: those of one topic follow each other
    if (before == nullptr || before->topic_id != r.topic_id) to.Add()->set_topic_id(bytes_of(r.topic_id));
    to.Mutable(to.size() - 1)->add_partitions(r.partition.value);
    before = &r;
  }
}

Replicas get_replicas(const RepeatedReplicas& from, Reader& in) {
  Replicas replicas;
  for (const pb::TopicReplicas& topic : from) {
    const Uuid id = in.uuid(topic.topic_id());
    for (const int32_t partition : topic.partitions()) replicas.insert({id, PartitionIndex{partition}});
  }
  return replicas;
}

}  // namespace

void put_register(pb::RegisterBroker& to, const RegisterBroker& r) {
  to.set_broker_id(r.broker_id.value);
  to.set_cluster_id(bytes_of(r.cluster_id));
  to.set_incarnation_id(bytes_of(r.incarnation_id));
  for (const DirectoryId& d : r.directories) to.add_directories(bytes_of(d));
  for (const Listener& l : r.listeners) wire::put_listener(to.add_listeners(), l);
  wire::put_endpoint(to.mutable_cluster_endpoint(), r.cluster_endpoint);
  if (r.rack) to.set_rack(*r.rack);
  wire::put_features(to.mutable_features(), r.features);
  if (r.previous_broker_epoch) to.set_previous_broker_epoch(r.previous_broker_epoch->value);
}

Result<RegisterBroker> get_register(const pb::RegisterBroker& m) {
  Reader in;
  RegisterBroker r;
  r.broker_id = BrokerId{m.broker_id()};
  r.cluster_id = in.uuid(m.cluster_id());
  r.incarnation_id = in.uuid(m.incarnation_id());
  for (const std::string& d : m.directories()) r.directories.push_back(in.uuid(d));
  for (const auto& l : m.listeners()) r.listeners.push_back(wire::get_listener(l, in));
  r.cluster_endpoint = wire::get_endpoint(m.cluster_endpoint(), in);
  if (m.has_rack()) r.rack = m.rack();
  r.features = wire::get_features(m.features(), in);
  if (m.has_previous_broker_epoch()) r.previous_broker_epoch = BrokerEpoch{m.previous_broker_epoch()};
  if (in.failed()) return in.error("registration");
  return r;
}

void put_registered(pb::RegisterBrokerAnswer& to, const RegisterBrokerAnswer& a) {
  to.mutable_error()->set_code(static_cast<int32_t>(a.error.code));
  to.mutable_error()->set_message(a.error.message);
  to.set_broker_epoch(a.broker_epoch.value);
}

RegisterBrokerAnswer get_registered(const pb::RegisterBrokerAnswer& m) {
  return {{error_code_from(static_cast<int16_t>(m.error().code())), m.error().message()},
          BrokerEpoch{m.broker_epoch()}};
}

void put_heartbeat(pb::BrokerHeartbeat& to, const BrokerHeartbeat& h) {
  to.set_broker_id(h.broker_id.value);
  to.set_broker_epoch(h.broker_epoch.value);
  if (h.metadata_offset) to.set_metadata_offset(h.metadata_offset->value);
  to.set_ready(h.ready);
  to.set_want_fence(h.want_fence);
  to.set_want_shutdown(h.want_shutdown);
  to.set_append_stalled_ms(ms(h.progress.append_stalled));
  to.set_sync_stalled_ms(ms(h.progress.sync_stalled));
  to.set_network_stalled_ms(ms(h.progress.network_stalled));
  to.set_apply_stalled_ms(ms(h.progress.apply_stalled));
  if (h.progress.write_time) to.set_write_time_ms(ms(*h.progress.write_time));
  if (h.progress.sync_time) to.set_sync_time_ms(ms(*h.progress.sync_time));
  for (const LogEnd& e : h.log_ends) {
    pb::LogEnd& m = *to.add_log_ends();
    m.set_topic_id(bytes_of(e.partition.topic_id));
    m.set_partition(e.partition.partition.value);
    m.set_leader_epoch(e.leader_epoch.value);
    if (e.last_epoch) m.set_last_epoch(e.last_epoch->value);
    m.set_end(e.end.value);
    m.set_never_in_sync(e.never_in_sync);
  }
  if (h.trouble) {
    put_replicas(*to.mutable_trouble()->mutable_failed(), h.trouble->failed);
    put_replicas(*to.mutable_trouble()->mutable_low_on_space(), h.trouble->low_on_space);
    put_replicas(*to.mutable_trouble()->mutable_damaged(), h.trouble->damaged);
  }
}

Result<BrokerHeartbeat> get_heartbeat(const pb::BrokerHeartbeat& m) {
  Reader in;
  BrokerHeartbeat h;
  h.broker_id = BrokerId{m.broker_id()};
  h.broker_epoch = BrokerEpoch{m.broker_epoch()};
  if (m.has_metadata_offset()) h.metadata_offset = LogIndex{m.metadata_offset()};
  h.ready = m.ready();
  h.want_fence = m.want_fence();
  h.want_shutdown = m.want_shutdown();
  h.progress.append_stalled = std::chrono::milliseconds(m.append_stalled_ms());
  h.progress.sync_stalled = std::chrono::milliseconds(m.sync_stalled_ms());
  h.progress.network_stalled = std::chrono::milliseconds(m.network_stalled_ms());
  h.progress.apply_stalled = std::chrono::milliseconds(m.apply_stalled_ms());
  if (m.has_write_time_ms()) h.progress.write_time = std::chrono::milliseconds(m.write_time_ms());
  if (m.has_sync_time_ms()) h.progress.sync_time = std::chrono::milliseconds(m.sync_time_ms());
  for (const auto& from : m.log_ends()) {
    LogEnd e;
    e.partition = {in.uuid(from.topic_id()), PartitionIndex{from.partition()}};
    e.leader_epoch = LeaderEpoch{from.leader_epoch()};
    if (from.has_last_epoch()) e.last_epoch = LeaderEpoch{from.last_epoch()};
    e.end = Offset{from.end()};
    e.never_in_sync = from.never_in_sync();
    h.log_ends.push_back(e);
  }
  if (m.has_trouble()) {
    h.trouble = ReplicaTrouble{.failed = get_replicas(m.trouble().failed(), in),
                               .low_on_space = get_replicas(m.trouble().low_on_space(), in),
                               .damaged = get_replicas(m.trouble().damaged(), in)};
  }
  if (in.failed()) return in.error("heartbeat");
  return h;
}

void put_heartbeat_answer(pb::BrokerHeartbeatAnswer& to, const BrokerHeartbeatAnswer& a) {
  to.set_error(static_cast<int32_t>(a.error));
  to.set_caught_up(a.caught_up);
  to.set_fenced(a.fenced);
  to.set_may_shut_down(a.may_shut_down);
  if (a.metadata_offset) to.set_metadata_offset(a.metadata_offset->value);
  for (const LogEndQuery& q : a.log_end_queries) {
    pb::LogEndQuery& m = *to.add_log_end_queries();
    m.set_topic_id(bytes_of(q.partition.topic_id));
    m.set_partition(q.partition.partition.value);
    m.set_leader_epoch(q.leader_epoch.value);
    m.set_metadata_offset(q.metadata_offset.value);
  }
}

Result<BrokerHeartbeatAnswer> get_heartbeat_answer(const pb::BrokerHeartbeatAnswer& m) {
  Reader in;
  BrokerHeartbeatAnswer a;
  a.error = error_code_from(static_cast<int16_t>(m.error()));
  a.caught_up = m.caught_up();
  a.fenced = m.fenced();
  a.may_shut_down = m.may_shut_down();
  if (m.has_metadata_offset()) a.metadata_offset = LogIndex{m.metadata_offset()};
  for (const auto& from : m.log_end_queries()) {
    LogEndQuery q;
    q.partition = {in.uuid(from.topic_id()), PartitionIndex{from.partition()}};
    q.leader_epoch = LeaderEpoch{from.leader_epoch()};
    q.metadata_offset = LogIndex{from.metadata_offset()};
    a.log_end_queries.push_back(q);
  }
  if (in.failed()) return in.error("heartbeat answer");
  return a;
}

}  // namespace controller::quorum
