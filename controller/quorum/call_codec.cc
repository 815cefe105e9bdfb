#include "controller/quorum/call_codec.h"

#include <algorithm>
#include <chrono>

#include "common/model/check.h"
#include "controller/quorum/wire.h"

namespace controller::quorum {
namespace {

using namespace metadata;
using common::model::error_code_from;
using common::model::fail;
using common::model::Result;
using common::model::TimestampMs;
using common::model::TopicPartition;
namespace pb = naru::cluster;
using wire::bytes_of;
using wire::get_brokers;
using wire::put_brokers;
using wire::Reader;

int32_t number(ErrorCode code) {
  return static_cast<int32_t>(code);
}
ErrorCode code_of(int32_t number) {
  return error_code_from(static_cast<int16_t>(number));
}

void put(pb::CallError* to, const Error& error) {
  to->set_code(number(error.code));
  to->set_message(error.message);
}
Error get(const pb::CallError& from) {
  return {code_of(from.code()), from.message()};
}

ValidateOnly validate_only(bool yes) {
  return yes ? ValidateOnly::yes : ValidateOnly::no;
}

// ---- requests ----

void put(pb::ControllerCall& call, const CreateTopics& r) {
  pb::CreateTopics& m = *call.mutable_create_topics();
  m.set_validate_only(r.validate_only == ValidateOnly::yes);
  for (const CreateTopics::Topic& t : r.topics) {
    pb::CreateTopics::Topic& to = *m.add_topics();
    to.set_name(t.name);
    if (t.partition_count) to.set_partition_count(*t.partition_count);
    if (t.replication_factor) to.set_replication_factor(*t.replication_factor);
    for (const auto& [index, replicas] : t.assignments) {
      pb::ReplicaAssignment& a = *to.add_assignments();
      a.set_partition(index.value);
      put_brokers(a.mutable_replicas(), replicas);
    }
    for (const auto& [key, value] : t.configs) {
      pb::Setting& s = *to.add_configs();
      s.set_key(key);
      if (value) s.set_value(*value);
    }
    if (t.topic_id) to.set_topic_id(bytes_of(*t.topic_id));
    for (const TopicId& id : t.former_ids) to.add_former_ids(bytes_of(id));
  }
}
CreateTopics get(const pb::CreateTopics& m, Reader& in) {
  CreateTopics r;
  r.validate_only = validate_only(m.validate_only());
  for (const pb::CreateTopics::Topic& from : m.topics()) {
    CreateTopics::Topic t;
    t.name = from.name();
    if (from.has_partition_count()) t.partition_count = from.partition_count();
    if (from.has_replication_factor()) t.replication_factor = in.small(from.replication_factor());
    for (const auto& a : from.assignments())
      t.assignments.emplace_back(PartitionIndex{a.partition()}, get_brokers(a.replicas()));
    for (const auto& s : from.configs())
      t.configs.emplace_back(s.key(), s.has_value() ? std::optional(s.value()) : std::nullopt);
    if (from.has_topic_id()) t.topic_id = in.uuid(from.topic_id());
    for (const auto& id : from.former_ids()) t.former_ids.push_back(in.uuid(id));
    r.topics.push_back(std::move(t));
  }
  return r;
}

void put(pb::ControllerCall& call, const DeleteTopics& r) {
  pb::DeleteTopics& m = *call.mutable_delete_topics();
  for (const DeleteTopics::Topic& t : r.topics) {
    pb::DeleteTopics::Topic& to = *m.add_topics();
    if (t.name) to.set_name(*t.name);
    if (t.topic_id) to.set_topic_id(bytes_of(*t.topic_id));
  }
  if (r.keep) m.set_keep_ms(r.keep->count());
  m.set_asked_at_ms(r.asked_at.value);
}
DeleteTopics get(const pb::DeleteTopics& m, Reader& in) {
  DeleteTopics r;
  if (m.has_keep_ms()) r.keep = std::chrono::milliseconds(std::max<int64_t>(m.keep_ms(), 0));
  r.asked_at = common::model::TimestampMs(m.asked_at_ms());
  for (const auto& from : m.topics()) {
    DeleteTopics::Topic t;
    if (from.has_name()) t.name = from.name();
    if (from.has_topic_id()) t.topic_id = in.uuid(from.topic_id());
    r.topics.push_back(std::move(t));
  }
  return r;
}

void put(pb::ControllerCall& call, const CreatePartitions& r) {
  pb::CreatePartitions& m = *call.mutable_create_partitions();
  m.set_validate_only(r.validate_only == ValidateOnly::yes);
  for (const CreatePartitions::Topic& t : r.topics) {
    pb::CreatePartitions::Topic& to = *m.add_topics();
    to.set_name(t.name);
    to.set_count(t.count);
    if (!t.assignments) continue;
    auto* assignments = to.mutable_assignments();
    for (const auto& replicas : *t.assignments) put_brokers(assignments->add_replicas()->mutable_brokers(), replicas);
  }
}
CreatePartitions get(const pb::CreatePartitions& m, Reader&) {
  CreatePartitions r;
  r.validate_only = validate_only(m.validate_only());
  for (const auto& from : m.topics()) {
    CreatePartitions::Topic t;
    t.name = from.name();
    t.count = from.count();
    if (from.has_assignments()) {
      t.assignments.emplace();
      for (const auto& list : from.assignments().replicas()) t.assignments->push_back(get_brokers(list.brokers()));
    }
    r.topics.push_back(std::move(t));
  }
  return r;
}

void put(pb::ControllerCall& call, const AlterConfigs& r) {
  pb::AlterConfigs& m = *call.mutable_alter_configs();
  m.set_full(r.alteration == ConfigAlteration::full);
  m.set_validate_only(r.validate_only == ValidateOnly::yes);
  for (const AlterConfigs::Resource& resource : r.resources) {
    pb::AlterConfigs::Resource& to = *m.add_resources();
    to.set_type(static_cast<int32_t>(resource.resource.type));
    to.set_name(resource.resource.name);
    for (const AlterConfigs::Change& change : resource.changes) {
      pb::AlterConfigs::Change& c = *to.add_changes();
      c.set_key(change.key);
      c.set_operation(static_cast<int32_t>(change.operation));
      if (change.value) c.set_value(*change.value);
    }
  }
}
AlterConfigs get(const pb::AlterConfigs& m, Reader& in) {
  AlterConfigs r;
  r.alteration = m.full() ? ConfigAlteration::full : ConfigAlteration::incremental;
  r.validate_only = validate_only(m.validate_only());
  for (const auto& from : m.resources()) {
    AlterConfigs::Resource resource;
    resource.resource = {static_cast<ResourceType>(from.type()), from.name()};
    for (const auto& c : from.changes()) {
      if (c.operation() < 0 || c.operation() > 3) in.fail("an unknown operation on a setting");
      resource.changes.push_back({c.key(), static_cast<ConfigOperation>(c.operation()),
                                  c.has_value() ? std::optional(c.value()) : std::nullopt});
    }
    r.resources.push_back(std::move(resource));
  }
  return r;
}

void put(pb::ControllerCall& call, const AlterPartition& r) {
  pb::AlterPartition& m = *call.mutable_alter_partition();
  m.set_broker_id(r.broker_id.value);
  m.set_broker_epoch(r.broker_epoch.value);
  for (const AlterPartition::Partition& p : r.partitions) {
    pb::AlterPartition::Partition& to = *m.add_partitions();
    to.set_topic_id(bytes_of(p.topic_id));
    to.set_partition(p.partition.value);
    to.set_leader_epoch(p.leader_epoch.value);
    to.set_partition_epoch(p.partition_epoch.value);
    to.set_recovery_state(static_cast<uint32_t>(p.recovery_state));
    for (const AlterPartition::Member& member : p.isr) {
      pb::AlterPartition::Member& i = *to.add_isr();
      i.set_broker_id(member.broker_id.value);
      if (member.broker_epoch) i.set_broker_epoch(member.broker_epoch->value);
    }
  }
}
AlterPartition get(const pb::AlterPartition& m, Reader& in) {
  AlterPartition r;
  r.broker_id = BrokerId{m.broker_id()};
  r.broker_epoch = BrokerEpoch{m.broker_epoch()};
  for (const auto& from : m.partitions()) {
    AlterPartition::Partition p;
    p.topic_id = in.uuid(from.topic_id());
    p.partition = PartitionIndex{from.partition()};
    p.leader_epoch = LeaderEpoch{from.leader_epoch()};
    p.partition_epoch = PartitionEpoch{from.partition_epoch()};
    p.recovery_state = in.recovery_state(from.recovery_state());
    for (const auto& i : from.isr()) {
      p.isr.push_back({BrokerId{i.broker_id()},
                       i.has_broker_epoch() ? std::optional(BrokerEpoch{i.broker_epoch()}) : std::nullopt});
    }
    r.partitions.push_back(std::move(p));
  }
  return r;
}

void put(pb::TopicPartition* to, const TopicPartition& tp) {
  to->set_topic(tp.topic);
  to->set_partition(tp.partition.value);
}
TopicPartition get(const pb::TopicPartition& from) {
  return {from.topic(), PartitionIndex{from.partition()}};
}

void put(pb::ControllerCall& call, const ElectLeaders& r) {
  pb::ElectLeaders& m = *call.mutable_elect_leaders();
  m.set_type(static_cast<int32_t>(r.type));
  if (!r.partitions) return;
  auto* partitions = m.mutable_partitions();
  for (const TopicPartition& tp : *r.partitions) put(partitions->add_partitions(), tp);
}
ElectLeaders get(const pb::ElectLeaders& m, Reader& in) {
  ElectLeaders r;
  if (m.type() < 0 || m.type() > 1) in.fail("an unknown kind of election");
  r.type = static_cast<ElectionType>(m.type());
  if (m.has_partitions()) {
    r.partitions.emplace();
    for (const auto& tp : m.partitions().partitions()) r.partitions->push_back(get(tp));
  }
  return r;
}

void put(pb::ControllerCall& call, const AlterPartitionReassignments& r) {
  pb::AlterPartitionReassignments& m = *call.mutable_alter_partition_reassignments();
  m.set_keep_factor(r.factor_change == FactorChange::refused);
  for (const auto& p : r.partitions) {
    auto& to = *m.add_partitions();
    put(to.mutable_partition(), p.partition);
    if (p.replicas) put_brokers(to.mutable_replicas()->mutable_brokers(), *p.replicas);
  }
}
AlterPartitionReassignments get(const pb::AlterPartitionReassignments& m, Reader&) {
  AlterPartitionReassignments r;
  r.factor_change = m.keep_factor() ? FactorChange::refused : FactorChange::allowed;
  for (const auto& from : m.partitions()) {
    AlterPartitionReassignments::Partition p{get(from.partition()), std::nullopt};
    if (from.has_replicas()) p.replicas = get_brokers(from.replicas().brokers());
    r.partitions.push_back(std::move(p));
  }
  return r;
}

void put(pb::ControllerCall& call, const AllocateProducerIds& r) {
  call.mutable_allocate_producer_ids()->set_broker_id(r.broker_id.value);
  call.mutable_allocate_producer_ids()->set_broker_epoch(r.broker_epoch.value);
}
void put(pb::ControllerCall& call, const UnregisterBroker& r) {
  call.mutable_unregister_broker()->set_broker_id(r.broker_id.value);
}
void put(pb::ControllerCall& call, const DescribeQuorum&) {
  call.mutable_describe_quorum();
}
void put(pb::ControllerCall& call, const AddRaftVoter& r) {
  pb::AddRaftVoter& m = *call.mutable_add_raft_voter();
  m.set_broker_id(r.broker_id.value);
  m.set_directory_id(bytes_of(r.directory_id));
  if (r.endpoint) wire::put_endpoint(m.mutable_endpoint(), *r.endpoint);
}
AddRaftVoter get(const pb::AddRaftVoter& m, Reader& in) {
  AddRaftVoter r{BrokerId{m.broker_id()}, in.uuid(m.directory_id()), std::nullopt};
  if (m.has_endpoint()) r.endpoint = wire::get_endpoint(m.endpoint(), in);
  return r;
}
void put(pb::ControllerCall& call, const RemoveRaftVoter& r) {
  call.mutable_remove_raft_voter()->set_broker_id(r.broker_id.value);
  call.mutable_remove_raft_voter()->set_directory_id(bytes_of(r.directory_id));
}
void put(pb::ControllerCall&, const RegisterBroker&) {
  NARU_CHECK(false, "registrations travel in the session");
}
void put(pb::ControllerCall&, const BrokerHeartbeat&) {
  NARU_CHECK(false, "heartbeats travel in the session");
}

ControllerRequest request_of(const pb::ControllerCall& call, Reader& in) {
  switch (call.request_case()) {
    case pb::ControllerCall::kCreateTopics:
      return get(call.create_topics(), in);
    case pb::ControllerCall::kDeleteTopics:
      return get(call.delete_topics(), in);
    case pb::ControllerCall::kCreatePartitions:
      return get(call.create_partitions(), in);
    case pb::ControllerCall::kAlterConfigs:
      return get(call.alter_configs(), in);
    case pb::ControllerCall::kAlterPartition:
      return get(call.alter_partition(), in);
    case pb::ControllerCall::kElectLeaders:
      return get(call.elect_leaders(), in);
    case pb::ControllerCall::kAlterPartitionReassignments:
      return get(call.alter_partition_reassignments(), in);
    case pb::ControllerCall::kAllocateProducerIds:
      return AllocateProducerIds{BrokerId{call.allocate_producer_ids().broker_id()},
                                 BrokerEpoch{call.allocate_producer_ids().broker_epoch()}};
    case pb::ControllerCall::kUnregisterBroker:
      return UnregisterBroker{BrokerId{call.unregister_broker().broker_id()}};
    case pb::ControllerCall::kDescribeQuorum:
      return DescribeQuorum{};
    case pb::ControllerCall::kAddRaftVoter:
      return get(call.add_raft_voter(), in);
    case pb::ControllerCall::kRemoveRaftVoter:
      return RemoveRaftVoter{BrokerId{call.remove_raft_voter().broker_id()},
                             in.uuid(call.remove_raft_voter().directory_id())};
    case pb::ControllerCall::REQUEST_NOT_SET:
      break;
  }
  in.fail("a call of a kind that this version does not know");
  return {};
}

// ---- answers ----

void put(pb::ControllerReply& reply, const Refused& a) {
  put(reply.mutable_refused()->mutable_error(), a.error);
  reply.mutable_refused()->set_may_have_happened(a.may_have_happened);
}

void put(pb::ControllerReply& reply, const CreateTopicsAnswer& a) {
  pb::CreateTopicsAnswer& m = *reply.mutable_create_topics();
  for (const auto& t : a.topics) {
    auto& to = *m.add_topics();
    to.set_name(t.name);
    put(to.mutable_error(), t.error);
    to.set_topic_id(bytes_of(t.topic_id));
    to.set_partition_count(t.partition_count);
    to.set_replication_factor(t.replication_factor);
  }
}
CreateTopicsAnswer get(const pb::CreateTopicsAnswer& m, Reader& in) {
  CreateTopicsAnswer a;
  for (const auto& from : m.topics()) {
    a.topics.push_back({from.name(), get(from.error()), in.uuid(from.topic_id()), from.partition_count(),
                        in.small(from.replication_factor())});
  }
  return a;
}

void put(pb::ControllerReply& reply, const DeleteTopicsAnswer& a) {
  pb::DeleteTopicsAnswer& m = *reply.mutable_delete_topics();
  for (const auto& t : a.topics) {
    auto& to = *m.add_topics();
    if (t.name) to.set_name(*t.name);
    to.set_topic_id(bytes_of(t.topic_id));
    put(to.mutable_error(), t.error);
  }
}
DeleteTopicsAnswer get(const pb::DeleteTopicsAnswer& m, Reader& in) {
  DeleteTopicsAnswer a;
  for (const auto& from : m.topics()) {
    a.topics.push_back(
        {from.has_name() ? std::optional(from.name()) : std::nullopt, in.uuid(from.topic_id()), get(from.error())});
  }
  return a;
}

void put(pb::ControllerReply& reply, const CreatePartitionsAnswer& a) {
  pb::CreatePartitionsAnswer& m = *reply.mutable_create_partitions();
  for (const auto& t : a.topics) {
    auto& to = *m.add_topics();
    to.set_name(t.name);
    put(to.mutable_error(), t.error);
  }
}
CreatePartitionsAnswer get(const pb::CreatePartitionsAnswer& m, Reader&) {
  CreatePartitionsAnswer a;
  for (const auto& from : m.topics()) a.topics.push_back({from.name(), get(from.error())});
  return a;
}

void put(pb::ControllerReply& reply, const AlterConfigsAnswer& a) {
  pb::AlterConfigsAnswer& m = *reply.mutable_alter_configs();
  for (const auto& r : a.resources) {
    auto& to = *m.add_resources();
    to.set_type(static_cast<int32_t>(r.resource.type));
    to.set_name(r.resource.name);
    put(to.mutable_error(), r.error);
  }
}
AlterConfigsAnswer get(const pb::AlterConfigsAnswer& m, Reader&) {
  AlterConfigsAnswer a;
  for (const auto& from : m.resources()) {
    a.resources.push_back({{static_cast<ResourceType>(from.type()), from.name()}, get(from.error())});
  }
  return a;
}

void put(pb::ControllerReply& reply, const AlterPartitionAnswer& a) {
  pb::AlterPartitionAnswer& m = *reply.mutable_alter_partition();
  m.set_error(number(a.error));
  for (const auto& p : a.partitions) {
    auto& to = *m.add_partitions();
    to.set_topic_id(bytes_of(p.topic_id));
    to.set_partition(p.partition.value);
    to.set_error(number(p.error));
    if (p.leader) to.set_leader(p.leader->value);
    to.set_leader_epoch(p.leader_epoch.value);
    to.set_partition_epoch(p.partition_epoch.value);
    put_brokers(to.mutable_isr(), p.isr);
    to.set_recovery_state(static_cast<uint32_t>(p.recovery_state));
  }
}
AlterPartitionAnswer get(const pb::AlterPartitionAnswer& m, Reader& in) {
  AlterPartitionAnswer a;
  a.error = code_of(m.error());
  for (const auto& from : m.partitions()) {
    AlterPartitionAnswer::Partition p;
    p.topic_id = in.uuid(from.topic_id());
    p.partition = PartitionIndex{from.partition()};
    p.error = code_of(from.error());
    if (from.has_leader()) p.leader = BrokerId{from.leader()};
    p.leader_epoch = LeaderEpoch{from.leader_epoch()};
    p.partition_epoch = PartitionEpoch{from.partition_epoch()};
    p.isr = get_brokers(from.isr());
    p.recovery_state = in.recovery_state(from.recovery_state());
    a.partitions.push_back(std::move(p));
  }
  return a;
}

void put(pb::ControllerReply& reply, const ElectLeadersAnswer& a) {
  pb::ElectLeadersAnswer& m = *reply.mutable_elect_leaders();
  put(m.mutable_error(), a.error);
  for (const auto& p : a.partitions) {
    auto& to = *m.add_partitions();
    put(to.mutable_partition(), p.partition);
    put(to.mutable_error(), p.error);
  }
}
ElectLeadersAnswer get(const pb::ElectLeadersAnswer& m, Reader&) {
  ElectLeadersAnswer a;
  a.error = get(m.error());
  for (const auto& from : m.partitions()) a.partitions.push_back({get(from.partition()), get(from.error())});
  return a;
}

void put(pb::ControllerReply& reply, const AlterPartitionReassignmentsAnswer& a) {
  for (const auto& p : a.partitions) {
    auto& to = *reply.mutable_alter_partition_reassignments()->add_partitions();
    put(to.mutable_partition(), p.partition);
    put(to.mutable_error(), p.error);
  }
  reply.mutable_alter_partition_reassignments();
}
AlterPartitionReassignmentsAnswer get(const pb::AlterPartitionReassignmentsAnswer& m, Reader&) {
  AlterPartitionReassignmentsAnswer a;
  for (const auto& from : m.partitions()) a.partitions.push_back({get(from.partition()), get(from.error())});
  return a;
}

void put(pb::ControllerReply& reply, const AllocateProducerIdsAnswer& a) {
  pb::AllocateProducerIdsAnswer& m = *reply.mutable_allocate_producer_ids();
  m.set_error(number(a.error));
  m.set_first(a.first.value);
  m.set_count(a.count);
}
void put(pb::ControllerReply& reply, const UnregisterBrokerAnswer& a) {
  put(reply.mutable_unregister_broker()->mutable_error(), a.error);
}

void put(pb::DescribeQuorumAnswer::Replica& to, const DescribeQuorumAnswer::Replica& r) {
  to.set_broker_id(r.broker_id.value);
  to.set_directory_id(bytes_of(r.directory_id));
  if (r.log_end) to.set_log_end(r.log_end->value);
  if (r.last_fetch) to.set_last_fetch_ms(r.last_fetch->value);
  if (r.last_caught_up) to.set_last_caught_up_ms(r.last_caught_up->value);
}
DescribeQuorumAnswer::Replica get(const pb::DescribeQuorumAnswer::Replica& from, Reader& in) {
  DescribeQuorumAnswer::Replica r;
  r.broker_id = BrokerId{from.broker_id()};
  r.directory_id = in.uuid(from.directory_id());
  if (from.has_log_end()) r.log_end = LogIndex{from.log_end()};
  if (from.has_last_fetch_ms()) r.last_fetch = TimestampMs{from.last_fetch_ms()};
  if (from.has_last_caught_up_ms()) r.last_caught_up = TimestampMs{from.last_caught_up_ms()};
  return r;
}
void put(pb::ControllerReply& reply, const DescribeQuorumAnswer& a) {
  pb::DescribeQuorumAnswer& m = *reply.mutable_describe_quorum();
  put(m.mutable_error(), a.error);
  if (a.leader) m.set_leader(a.leader->value);
  m.set_term(a.term.value);
  m.set_high_watermark(a.high_watermark.value);
  for (const auto& r : a.voters) put(*m.add_voters(), r);
  for (const auto& r : a.observers) put(*m.add_observers(), r);
  for (const auto& n : a.nodes) {
    auto& to = *m.add_nodes();
    to.set_broker_id(n.broker_id.value);
    wire::put_endpoint(to.mutable_endpoint(), n.endpoint);
  }
}
DescribeQuorumAnswer get(const pb::DescribeQuorumAnswer& m, Reader& in) {
  DescribeQuorumAnswer a;
  a.error = get(m.error());
  if (m.has_leader()) a.leader = BrokerId{m.leader()};
  a.term = common::model::Term{m.term()};
  a.high_watermark = LogIndex{m.high_watermark()};
  for (const auto& r : m.voters()) a.voters.push_back(get(r, in));
  for (const auto& r : m.observers()) a.observers.push_back(get(r, in));
  for (const auto& n : m.nodes()) a.nodes.push_back({BrokerId{n.broker_id()}, wire::get_endpoint(n.endpoint(), in)});
  return a;
}

void put(pb::ControllerReply& reply, const AddRaftVoterAnswer& a) {
  put(reply.mutable_add_raft_voter()->mutable_error(), a.error);
  reply.mutable_add_raft_voter()->set_is_voter(a.is_voter);
}
void put(pb::ControllerReply& reply, const RemoveRaftVoterAnswer& a) {
  put(reply.mutable_remove_raft_voter()->mutable_error(), a.error);
}

void put(pb::ControllerReply&, const RegisterBrokerAnswer&) {
  NARU_CHECK(false, "registrations travel in the session");
}
void put(pb::ControllerReply&, const BrokerHeartbeatAnswer&) {
  NARU_CHECK(false, "heartbeats travel in the session");
}

ControllerAnswer answer_of(const pb::ControllerReply& reply, Reader& in) {
  switch (reply.answer_case()) {
    case pb::ControllerReply::kRefused:
      return Refused{get(reply.refused().error()), reply.refused().may_have_happened()};
    case pb::ControllerReply::kCreateTopics:
      return get(reply.create_topics(), in);
    case pb::ControllerReply::kDeleteTopics:
      return get(reply.delete_topics(), in);
    case pb::ControllerReply::kCreatePartitions:
      return get(reply.create_partitions(), in);
    case pb::ControllerReply::kAlterConfigs:
      return get(reply.alter_configs(), in);
    case pb::ControllerReply::kAlterPartition:
      return get(reply.alter_partition(), in);
    case pb::ControllerReply::kElectLeaders:
      return get(reply.elect_leaders(), in);
    case pb::ControllerReply::kAlterPartitionReassignments:
      return get(reply.alter_partition_reassignments(), in);
    case pb::ControllerReply::kAllocateProducerIds: {
      const auto& m = reply.allocate_producer_ids();
      return AllocateProducerIdsAnswer{code_of(m.error()), ProducerId{m.first()}, m.count()};
    }
    case pb::ControllerReply::kUnregisterBroker:
      return UnregisterBrokerAnswer{get(reply.unregister_broker().error())};
    case pb::ControllerReply::kDescribeQuorum:
      return get(reply.describe_quorum(), in);
    case pb::ControllerReply::kAddRaftVoter:
      return AddRaftVoterAnswer{get(reply.add_raft_voter().error()), reply.add_raft_voter().is_voter()};
    case pb::ControllerReply::kRemoveRaftVoter:
      return RemoveRaftVoterAnswer{get(reply.remove_raft_voter().error())};
    case pb::ControllerReply::ANSWER_NOT_SET:
      break;
  }
  in.fail("an answer of a kind that this version does not know");
  return {};
}

}  // namespace

void put_request(pb::ControllerCall& to, const ControllerRequest& request) {
  std::visit([&](const auto& r) { put(to, r); }, request);
}

Result<ControllerRequest> get_request(const pb::ControllerCall& call) {
  if (call.version() == 0 || call.version() > call_version) {
    return fail(ErrorCode::unsupported_version,
                fmt::format("controller calls of version {} are not known", call.version()));
  }
  Reader in;
  ControllerRequest request = request_of(call, in);
  if (in.failed()) return in.error("controller call");
  return request;
}

void put_answer(pb::ControllerReply& to, const ControllerAnswer& answer) {
  to.set_version(call_version);
  std::visit([&](const auto& a) { put(to, a); }, answer);
}

Result<ControllerAnswer> get_answer(const pb::ControllerReply& reply) {
  Reader in;
  ControllerAnswer answer = answer_of(reply, in);
  if (in.failed()) return in.error("controller answer");
  return answer;
}

}  // namespace controller::quorum
