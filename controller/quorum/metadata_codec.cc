#include "controller/quorum/metadata_codec.h"

#include <climits>

#include "controller/quorum/wire.h"

namespace controller::quorum {
namespace {

using namespace metadata;
using common::model::ErrorCode;
using common::model::fail;
using common::model::Unexpected;
namespace pb = naru::cluster;
using wire::bytes_of;
using wire::get_brokers;
using wire::put_brokers;
using wire::Reader;

constexpr uint32_t batch_format = 1;
constexpr uint32_t snapshot_format = 1;

// ---- encoding: one overload for each record ----

void put(pb::MetadataRecord& to, const ClusterRecord& r) {
  to.mutable_cluster()->set_cluster_id(bytes_of(r.cluster_id));
}

void put(pb::MetadataRecord& to, const FeatureRecord& r) {
  to.mutable_feature()->set_name(r.name);
  to.mutable_feature()->set_level(r.level);
}

void put(pb::MetadataRecord& to, const RegisterBrokerRecord& r) {
  pb::RegisterBrokerRecord& m = *to.mutable_register_broker();
  m.set_broker_id(r.broker_id.value);
  m.set_epoch(r.epoch.value);
  m.set_incarnation_id(bytes_of(r.incarnation_id));
  for (const DirectoryId& d : r.directories) m.add_directories(bytes_of(d));
  for (const Listener& l : r.listeners) wire::put_listener(m.add_listeners(), l);
  wire::put_endpoint(m.mutable_cluster_endpoint(), r.cluster_endpoint);
  if (r.rack) m.set_rack(*r.rack);
  wire::put_features(m.mutable_features(), r.features);
  m.set_fenced(r.fenced);
  m.set_in_controlled_shutdown(r.in_controlled_shutdown);
  if (r.registered_at) m.set_registered_at(r.registered_at->value);
}

template <class Record>
void put_epoch(pb::BrokerEpochRecord* to, const Record& r) {
  to->set_broker_id(r.broker_id.value);
  to->set_epoch(r.epoch.value);
}
void put(pb::MetadataRecord& to, const UnregisterBrokerRecord& r) {
  put_epoch(to.mutable_unregister_broker(), r);
}
void put(pb::MetadataRecord& to, const FenceBrokerRecord& r) {
  pb::FenceBrokerRecord& m = *to.mutable_fence_broker();
  m.set_broker_id(r.broker_id.value);
  m.set_epoch(r.epoch.value);
  m.set_reason(static_cast<pb::FenceReason>(r.reason));
}
void put(pb::MetadataRecord& to, const UnfenceBrokerRecord& r) {
  put_epoch(to.mutable_unfence_broker(), r);
}
void put(pb::MetadataRecord& to, const BrokerShutdownRecord& r) {
  put_epoch(to.mutable_broker_shutdown(), r);
}

void put(pb::MetadataRecord& to, const TopicRecord& r) {
  to.mutable_topic()->set_topic_id(bytes_of(r.topic_id));
  to.mutable_topic()->set_name(r.name);
}
void put(pb::MetadataRecord& to, const RemoveTopicRecord& r) {
  to.mutable_remove_topic()->set_topic_id(bytes_of(r.topic_id));
}

void put(pb::MetadataRecord& to, const PartitionRecord& r) {
  pb::PartitionRecord& m = *to.mutable_partition();
  m.set_topic_id(bytes_of(r.topic_id));
  m.set_partition(r.partition.value);
  const PartitionState& s = r.state;
  put_brokers(m.mutable_replicas(), s.replicas);
  put_brokers(m.mutable_isr(), s.isr);
  put_brokers(m.mutable_elr(), s.elr);
  put_brokers(m.mutable_last_known_elr(), s.last_known_elr);
  put_brokers(m.mutable_adding(), s.adding);
  put_brokers(m.mutable_removing(), s.removing);
  if (s.leader) m.set_leader(s.leader->value);
  m.set_leader_epoch(s.leader_epoch.value);
  m.set_partition_epoch(s.partition_epoch.value);
  m.set_recovery_state(static_cast<uint32_t>(s.recovery_state));
}

void put(pb::MetadataRecord& to, const PartitionChangeRecord& r) {
  pb::PartitionChangeRecord& m = *to.mutable_partition_change();
  m.set_topic_id(bytes_of(r.topic_id));
  m.set_partition(r.partition.value);
  if (r.leader) {
    pb::LeaderChoice* choice = m.mutable_leader();
    if (r.leader->broker) choice->set_broker(r.leader->broker->value);
    choice->set_reason(static_cast<pb::LeaderReason>(r.leader->reason));
  }
  if (r.isr) put_brokers(m.mutable_isr()->mutable_brokers(), *r.isr);
  if (r.elr) put_brokers(m.mutable_elr()->mutable_brokers(), *r.elr);
  if (r.last_known_elr) put_brokers(m.mutable_last_known_elr()->mutable_brokers(), *r.last_known_elr);
  if (r.replicas) put_brokers(m.mutable_replicas()->mutable_brokers(), *r.replicas);
  if (r.adding) put_brokers(m.mutable_adding()->mutable_brokers(), *r.adding);
  if (r.removing) put_brokers(m.mutable_removing()->mutable_brokers(), *r.removing);
  if (r.recovery_state) m.set_recovery_state(static_cast<uint32_t>(*r.recovery_state));
}

void put(pb::MetadataRecord& to, const ConfigRecord& r) {
  pb::ConfigRecord& m = *to.mutable_config();
  m.set_resource_type(static_cast<int32_t>(r.resource.type));
  m.set_resource_name(r.resource.name);
  m.set_key(r.key);
  if (r.value) m.set_value(*r.value);
}

void put(pb::MetadataRecord& to, const ProducerIdsRecord& r) {
  pb::ProducerIdsRecord& m = *to.mutable_producer_ids();
  m.set_broker_id(r.broker_id.value);
  m.set_broker_epoch(r.broker_epoch.value);
  m.set_next_producer_id(r.next_producer_id.value);
}

// ---- decoding ----

RegisterBrokerRecord get(const pb::RegisterBrokerRecord& m, Reader& in) {
  RegisterBrokerRecord r;
  r.broker_id = BrokerId{m.broker_id()};
  r.epoch = BrokerEpoch{m.epoch()};
  r.incarnation_id = in.uuid(m.incarnation_id());
  for (const std::string& d : m.directories()) r.directories.push_back(in.uuid(d));
  for (const auto& l : m.listeners()) r.listeners.push_back(wire::get_listener(l, in));
  r.cluster_endpoint = wire::get_endpoint(m.cluster_endpoint(), in);
  if (m.has_rack()) r.rack = m.rack();
  r.features = wire::get_features(m.features(), in);
  r.fenced = m.fenced();
  r.in_controlled_shutdown = m.in_controlled_shutdown();
  if (m.has_registered_at()) r.registered_at = LogIndex{m.registered_at()};
  return r;
}

template <class Record>
Record get_epoch(const pb::BrokerEpochRecord& m) {
  Record r;
  r.broker_id = BrokerId{m.broker_id()};
  r.epoch = BrokerEpoch{m.epoch()};
  return r;
}

static_assert(static_cast<int>(FenceReason::unregistered) == pb::FENCE_REASON_UNREGISTERED, "numbered alike");

FenceBrokerRecord get(const pb::FenceBrokerRecord& m) {
  FenceBrokerRecord r{BrokerId{m.broker_id()}, BrokerEpoch{m.epoch()}};
  // One that a later version gives is none that we could name.
  if (pb::FenceReason_IsValid(m.reason())) r.reason = static_cast<FenceReason>(m.reason());
  return r;
}

PartitionRecord get(const pb::PartitionRecord& m, Reader& in) {
  PartitionRecord r;
  r.topic_id = in.uuid(m.topic_id());
  r.partition = PartitionIndex{m.partition()};
  PartitionState& s = r.state;
  s.replicas = get_brokers(m.replicas());
  s.isr = get_brokers(m.isr());
  s.elr = get_brokers(m.elr());
  s.last_known_elr = get_brokers(m.last_known_elr());
  s.adding = get_brokers(m.adding());
  s.removing = get_brokers(m.removing());
  if (m.has_leader()) s.leader = BrokerId{m.leader()};
  s.leader_epoch = LeaderEpoch{m.leader_epoch()};
  s.partition_epoch = PartitionEpoch{m.partition_epoch()};
  s.recovery_state = in.recovery_state(m.recovery_state());
  return r;
}

PartitionChangeRecord get(const pb::PartitionChangeRecord& m, Reader& in) {
  PartitionChangeRecord r;
  r.topic_id = in.uuid(m.topic_id());
  r.partition = PartitionIndex{m.partition()};
  if (m.has_leader()) {
    r.leader.emplace();
    if (m.leader().has_broker()) r.leader->broker = BrokerId{m.leader().broker()};
    const auto reason = m.leader().reason();
    if (pb::LeaderReason_IsValid(reason)) r.leader->reason = static_cast<LeaderReason>(reason);
  }
  if (m.has_isr()) r.isr = get_brokers(m.isr().brokers());
  if (m.has_elr()) r.elr = get_brokers(m.elr().brokers());
  if (m.has_last_known_elr()) r.last_known_elr = get_brokers(m.last_known_elr().brokers());
  if (m.has_replicas()) r.replicas = get_brokers(m.replicas().brokers());
  if (m.has_adding()) r.adding = get_brokers(m.adding().brokers());
  if (m.has_removing()) r.removing = get_brokers(m.removing().brokers());
  if (m.has_recovery_state()) r.recovery_state = in.recovery_state(m.recovery_state());
  return r;
}

ConfigRecord get(const pb::ConfigRecord& m, Reader& in) {
  ConfigRecord r;
  if (m.resource_type() < INT8_MIN || m.resource_type() > INT8_MAX) in.fail("a resource type beyond 8 bits");
  r.resource = {static_cast<ResourceType>(m.resource_type()), m.resource_name()};
  r.key = m.key();
  if (m.has_value()) r.value = m.value();
  return r;
}

ProducerIdsRecord get(const pb::ProducerIdsRecord& m) {
  ProducerIdsRecord r;
  r.broker_id = BrokerId{m.broker_id()};
  r.broker_epoch = BrokerEpoch{m.broker_epoch()};
  r.next_producer_id = ProducerId{m.next_producer_id()};
  return r;
}

MetadataRecord get(const pb::MetadataRecord& m, Reader& in) {
  switch (m.content_case()) {
    case pb::MetadataRecord::kCluster:
      return ClusterRecord{in.uuid(m.cluster().cluster_id())};
    case pb::MetadataRecord::kFeature:
      return FeatureRecord{m.feature().name(), in.small(m.feature().level())};
    case pb::MetadataRecord::kRegisterBroker:
      return get(m.register_broker(), in);
    case pb::MetadataRecord::kUnregisterBroker:
      return get_epoch<UnregisterBrokerRecord>(m.unregister_broker());
    case pb::MetadataRecord::kFenceBroker:
      return get(m.fence_broker());
    case pb::MetadataRecord::kUnfenceBroker:
      return get_epoch<UnfenceBrokerRecord>(m.unfence_broker());
    case pb::MetadataRecord::kBrokerShutdown:
      return get_epoch<BrokerShutdownRecord>(m.broker_shutdown());
    case pb::MetadataRecord::kTopic:
      return TopicRecord{in.uuid(m.topic().topic_id()), m.topic().name()};
    case pb::MetadataRecord::kRemoveTopic:
      return RemoveTopicRecord{in.uuid(m.remove_topic().topic_id())};
    case pb::MetadataRecord::kPartition:
      return get(m.partition(), in);
    case pb::MetadataRecord::kPartitionChange:
      return get(m.partition_change(), in);
    case pb::MetadataRecord::kConfig:
      return get(m.config(), in);
    case pb::MetadataRecord::kProducerIds:
      return get(m.producer_ids());
    case pb::MetadataRecord::CONTENT_NOT_SET:
      break;
  }
  in.fail("a record of a kind that this version does not know");
  return {};
}

uint32_t version_of(const MetadataRecord& record) {
  return std::visit([](const auto& r) { return std::decay_t<decltype(r)>::version; }, record);
}

template <class Message>
void put_records(Message& message, const std::vector<MetadataRecord>& records) {
  message.mutable_records()->Reserve(static_cast<int>(records.size()));
  for (const MetadataRecord& record : records) {
    pb::MetadataRecord& to = *message.add_records();
    to.set_version(version_of(record));
    std::visit([&](const auto& r) { put(to, r); }, record);
  }
}

template <class Message>
Result<std::vector<MetadataRecord>> get_records(const Message& message, uint32_t format_known) {
  if (message.format() == 0 || message.format() > format_known) {
    return fail(ErrorCode::unsupported_version, fmt::format("metadata format {} is not known", message.format()));
  }
  std::vector<MetadataRecord> records;
  records.reserve(static_cast<size_t>(message.records_size()));
  for (const pb::MetadataRecord& m : message.records()) {
    Reader in;
    MetadataRecord record = get(m, in);
    if (in.failed()) return in.error("metadata record");
    if (m.version() == 0 || m.version() > version_of(record)) {  // skipping what it means would be divergence (R18)
      return fail(ErrorCode::unsupported_version, fmt::format("a metadata record of kind {} has version {}",
                                                              static_cast<int>(m.content_case()), m.version()));
    }
    records.push_back(std::move(record));
  }
  return records;
}

Buffer serialized(const google::protobuf::MessageLite& message) {
  std::vector<std::byte> bytes(message.ByteSizeLong());
  NARU_CHECK(message.SerializeToArray(bytes.data(), static_cast<int>(bytes.size())),
             "metadata could not be serialized");
  return Buffer::own(std::move(bytes));
}

}  // namespace

Buffer encode_records(const std::vector<MetadataRecord>& records) {
  pb::MetadataBatch batch;
  batch.set_format(batch_format);
  put_records(batch, records);
  return serialized(batch);
}

Result<std::vector<MetadataRecord>> decode_records(BytesView bytes) {
  pb::MetadataBatch batch;
  if (bytes.size() > INT_MAX || !batch.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(ErrorCode::corrupt_message, "a metadata batch does not parse");
  }
  return get_records(batch, batch_format);
}

Buffer encode_snapshot(const MetadataImage& image) {
  pb::MetadataSnapshot snapshot;
  snapshot.set_format(snapshot_format);
  snapshot.set_last_index(image.offset() ? image.offset()->value : -1);
  put_records(snapshot, to_records(image));
  return serialized(snapshot);
}

Result<MetadataImage> decode_snapshot(BytesView bytes) {
  pb::MetadataSnapshot snapshot;
  if (bytes.size() > INT_MAX || !snapshot.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(ErrorCode::corrupt_message, "a metadata snapshot does not parse");
  }
  auto records = get_records(snapshot, snapshot_format);
  if (!records) return Unexpected(std::move(records).error());
  if (snapshot.last_index() < 0) return MetadataImage{};
  return image_from_records(*records, LogIndex{snapshot.last_index()});
}

}  // namespace controller::quorum
