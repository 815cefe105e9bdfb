// What is written can be read, what is not ours is refused.
#include <catch2/catch.hpp>

#include "controller/quorum/call_codec.h"
#include "controller/quorum/metadata_codec.h"
#include "controller/quorum/session_wire.h"
#include "proto/cluster/metadata.pb.h"

using namespace controller::metadata;
using namespace controller::quorum;
using common::model::ErrorCode;
using common::model::Offset;

namespace {

const TopicId topic = Uuid::from_halves(1, 2);

std::vector<MetadataRecord> every_record() {
  RegisterBrokerRecord broker;
  broker.broker_id = BrokerId{1};
  broker.epoch = BrokerEpoch{5};
  broker.incarnation_id = Uuid::from_halves(3, 3);
  broker.directories = {Uuid::from_halves(4, 4), Uuid::from_halves(4, 5)};
  broker.listeners = {{"PLAINTEXT", "h", 9092, SecurityProtocol::plaintext}, {"SSL", "h", 9093, SecurityProtocol::ssl}};
  broker.cluster_endpoint = {"::1", 19092};
  broker.rack = "";
  broker.features = {{"metadata.version", {1, 3}}};
  broker.fenced = false;
  broker.in_controlled_shutdown = true;
  broker.registered_at = LogIndex{5};
  PartitionState state;
  state.replicas = {BrokerId{1}, BrokerId{2}, BrokerId{3}};
  state.isr = {BrokerId{1}};
  state.elr = {BrokerId{2}};
  state.last_known_elr = {BrokerId{3}};
  state.adding = {BrokerId{4}};
  state.removing = {BrokerId{2}};
  state.leader = BrokerId{1};
  state.leader_epoch = LeaderEpoch{7};
  state.partition_epoch = PartitionEpoch{9};
  state.recovery_state = RecoveryState::recovering;
  PartitionChangeRecord change;
  change.topic_id = topic;
  change.partition = PartitionIndex{3};
  change.leader = LeaderChoice{};  // nobody
  change.isr = std::vector<BrokerId>{};
  change.elr = {BrokerId{2}};
  change.last_known_elr = {BrokerId{3}};
  change.replicas = {BrokerId{1}};
  change.adding = {BrokerId{4}};
  change.removing = {BrokerId{2}};
  change.recovery_state = RecoveryState::recovered;
  PartitionChangeRecord small;
  small.topic_id = topic;
  small.leader = LeaderChoice{BrokerId{0}, LeaderReason::slow};
  return {ClusterRecord{Uuid::from_halves(9, 9)},
          FeatureRecord{"metadata.version", 1},
          broker,
          UnregisterBrokerRecord{BrokerId{1}, BrokerEpoch{2}},
          FenceBrokerRecord{BrokerId{1}, BrokerEpoch{2}},
          FenceBrokerRecord{BrokerId{1}, BrokerEpoch{2}, FenceReason::refused},
          FenceBrokerRecord{BrokerId{1}, BrokerEpoch{2}, FenceReason::unregistered},
          UnfenceBrokerRecord{BrokerId{1}, BrokerEpoch{2}},
          BrokerShutdownRecord{BrokerId{1}, BrokerEpoch{2}},
          TopicRecord{topic, "t"},
          RemoveTopicRecord{topic},
          PartitionRecord{topic, PartitionIndex{0}, state},
          change,
          small,
          ConfigRecord{{ResourceType::topic, "t"}, "k", "v"},
          ConfigRecord{{ResourceType::broker, ""}, "k", std::nullopt},
          ProducerIdsRecord{BrokerId{1}, BrokerEpoch{2}, ProducerId{1000}}};
}

template <class T>
T through_the_wire(const T& request) {
  naru::cluster::ControllerCall call;
  call.set_version(call_version);
  put_request(call, request);
  naru::cluster::ControllerCall copy;
  REQUIRE(copy.ParseFromString(call.SerializeAsString()));
  const auto decoded = get_request(copy);
  REQUIRE(decoded);
  return std::get<T>(*decoded);
}
template <class T>
T answer_through_the_wire(const T& answer) {
  naru::cluster::ControllerReply reply;
  put_answer(reply, answer);
  naru::cluster::ControllerReply copy;
  REQUIRE(copy.ParseFromString(reply.SerializeAsString()));
  const auto decoded = get_answer(copy);
  REQUIRE(decoded);
  return std::get<T>(*decoded);
}

}  // namespace

TEST_CASE("every kind of metadata record survives its stored form") {
  const auto records = every_record();
  std::set<size_t> kinds;
  for (const auto& r : records) kinds.insert(r.index());
  REQUIRE(kinds.size() == std::variant_size_v<MetadataRecord>);
  const auto decoded = decode_records(encode_records(records).view());
  REQUIRE(decoded);
  REQUIRE(*decoded == records);
}

TEST_CASE("truncated metadata is refused or reads as less, never crashes") {
  const Buffer whole = encode_records(every_record());
  for (size_t n = 0; n < whole.size(); ++n) {
    const auto decoded = decode_records(whole.slice(0, n).view());
    if (decoded) REQUIRE(decoded->size() < every_record().size());
  }
}

TEST_CASE("R18: formats, versions and records that we do not know are refused") {
  naru::cluster::MetadataBatch batch;
  const auto refused = [&] {
    const std::string bytes = batch.SerializeAsString();
    const auto decoded = decode_records(common::model::as_bytes(bytes));
    REQUIRE_FALSE(decoded);
    return decoded.error().code;
  };
  batch.set_format(2);
  CHECK(refused() == ErrorCode::unsupported_version);
  batch.set_format(0);
  CHECK(refused() == ErrorCode::unsupported_version);
  batch.set_format(1);
  auto* record = batch.add_records();
  record->set_version(1);
  CHECK(refused() == ErrorCode::corrupt_message);  // of no kind
  record->mutable_topic()->set_name("t");
  record->mutable_topic()->set_topic_id("short");
  CHECK(refused() == ErrorCode::corrupt_message);
  record->mutable_topic()->set_topic_id(std::string(16, 'x'));
  record->set_version(99);
  CHECK(refused() == ErrorCode::unsupported_version);
}

TEST_CASE("calls about topics and settings survive the wire") {
  CreateTopics create;
  CreateTopics::Topic t;
  t.name = "t";
  t.partition_count = 3;
  t.replication_factor = 2;
  t.configs = {{"a", "b"}, {"c", std::nullopt}};
  t.topic_id = topic;
  t.former_ids = {Uuid::from_halves(8, 1), Uuid::from_halves(8, 2)};
  CreateTopics::Topic manual;
  manual.name = "m";
  manual.assignments = {{PartitionIndex{0}, {BrokerId{1}, BrokerId{2}}}, {PartitionIndex{1}, {}}};
  create.topics = {t, manual};
  create.validate_only = ValidateOnly::yes;
  const CreateTopics created = through_the_wire(create);
  CHECK(created.validate_only == ValidateOnly::yes);
  CHECK(created.topics[0].partition_count == 3);
  CHECK(created.topics[0].replication_factor == int16_t{2});
  CHECK(created.topics[0].configs == t.configs);
  CHECK(created.topics[0].topic_id == topic);
  CHECK(created.topics[0].former_ids == t.former_ids);
  CHECK(created.topics[1].assignments == manual.assignments);
  CHECK_FALSE(created.topics[1].partition_count);

  DeleteTopics remove;
  remove.topics = {{"t", std::nullopt}, {std::nullopt, topic}};
  const DeleteTopics removed = through_the_wire(remove);
  CHECK(removed.topics[0].name == "t");
  CHECK(removed.topics[1].topic_id == topic);
  CHECK_FALSE(removed.keep);  // not the same as none at all
  for (const std::chrono::milliseconds keep : {std::chrono::milliseconds(0), std::chrono::milliseconds(3'600'000)}) {
    remove.keep = keep;
    remove.asked_at = common::model::TimestampMs(1'700'000'000'000);
    CHECK(through_the_wire(remove).keep == keep);
    CHECK(through_the_wire(remove).asked_at == remove.asked_at);
  }

  CreatePartitions grow;
  grow.topics = {{"t", 5, std::vector<std::vector<BrokerId>>{{BrokerId{1}}}}, {"u", 6, std::nullopt}};
  const CreatePartitions grown = through_the_wire(grow);
  CHECK(grown.topics[0].assignments == grow.topics[0].assignments);
  CHECK_FALSE(grown.topics[1].assignments);

  AlterConfigs alter;
  alter.alteration = ConfigAlteration::full;
  alter.resources = {{{ResourceType::topic, "t"},
                      {{"k", ConfigOperation::append, "v"}, {"l", ConfigOperation::remove, std::nullopt}}}};
  const AlterConfigs altered = through_the_wire(alter);
  CHECK(altered.alteration == ConfigAlteration::full);
  CHECK(altered.resources[0].changes[0].operation == ConfigOperation::append);
  CHECK_FALSE(altered.resources[0].changes[1].value);
}

TEST_CASE("calls about replicas, leaders and voters survive the wire") {
  AlterPartition isr;
  isr.broker_id = BrokerId{1};
  isr.broker_epoch = BrokerEpoch{2};
  AlterPartition::Partition p;
  p.topic_id = topic;
  p.partition = PartitionIndex{3};
  p.leader_epoch = LeaderEpoch{4};
  p.partition_epoch = PartitionEpoch{5};
  p.isr = {{BrokerId{1}, std::nullopt}, {BrokerId{2}, BrokerEpoch{8}}};
  p.recovery_state = RecoveryState::recovering;
  isr.partitions = {p};
  const AlterPartition changed_isr = through_the_wire(isr);
  CHECK(changed_isr.partitions[0].isr == p.isr);
  CHECK(changed_isr.partitions[0].partition_epoch == p.partition_epoch);
  CHECK(changed_isr.partitions[0].recovery_state == RecoveryState::recovering);

  ElectLeaders elect;
  CHECK_FALSE(through_the_wire(elect).partitions);
  elect.type = ElectionType::unclean;
  elect.partitions = {{"t", PartitionIndex{1}}};
  CHECK(through_the_wire(elect).partitions == elect.partitions);

  AlterPartitionReassignments moves;
  moves.factor_change = FactorChange::refused;
  moves.partitions = {{{"t", PartitionIndex{1}}, std::vector{BrokerId{3}, BrokerId{1}}},
                      {{"t", PartitionIndex{2}}, std::nullopt}};
  const AlterPartitionReassignments moved = through_the_wire(moves);
  CHECK(moved.factor_change == FactorChange::refused);
  REQUIRE(moved.partitions.size() == 2);
  CHECK(moved.partitions[0].partition == moves.partitions[0].partition);
  CHECK(moved.partitions[0].replicas == moves.partitions[0].replicas);
  CHECK_FALSE(moved.partitions[1].replicas);

  AddRaftVoter add{BrokerId{4}, topic, ClusterEndpoint{"h", 9093}};
  CHECK(through_the_wire(add).broker_id == add.broker_id);
  CHECK(through_the_wire(add).directory_id == add.directory_id);
  CHECK(through_the_wire(add).endpoint == add.endpoint);
  add.endpoint.reset();
  CHECK_FALSE(through_the_wire(add).endpoint);
  const RemoveRaftVoter out = through_the_wire(RemoveRaftVoter{BrokerId{4}, topic});
  CHECK(out.broker_id == BrokerId{4});
  CHECK(out.directory_id == topic);
}

TEST_CASE("answers survive the wire") {
  CreateTopicsAnswer created;
  created.topics = {{"t", {ErrorCode::policy_violation, "no"}, topic, 3, 2}};
  CHECK(answer_through_the_wire(created).topics[0].error.message == "no");
  CHECK(answer_through_the_wire(created).topics[0].topic_id == topic);
  AlterPartitionReassignmentsAnswer moved;
  CHECK(answer_through_the_wire(moved).partitions.empty());
  moved.partitions = {{{"t", PartitionIndex{1}}, {ErrorCode::invalid_replica_assignment, "no"}}};
  CHECK(answer_through_the_wire(moved).partitions[0].error.message == "no");
  const Refused refused = answer_through_the_wire(Refused{{ErrorCode::not_controller, "x"}, true});
  CHECK(refused.may_have_happened);
  CHECK(refused.error.code == ErrorCode::not_controller);
  AlterPartitionAnswer isr;
  AlterPartitionAnswer::Partition p;
  p.topic_id = topic;
  p.isr = {BrokerId{1}};
  isr.partitions = {p};
  CHECK(answer_through_the_wire(isr).partitions[0].isr == p.isr);
  CHECK_FALSE(answer_through_the_wire(isr).partitions[0].leader);
  DescribeQuorumAnswer quorum;
  quorum.leader = BrokerId{2};
  DescribeQuorumAnswer::Replica replica;
  replica.broker_id = BrokerId{2};
  replica.log_end = LogIndex{5};
  quorum.voters = {replica};
  quorum.nodes = {{BrokerId{2}, {"h", 1}}};
  CHECK(answer_through_the_wire(quorum).voters[0].log_end == LogIndex{5});
  CHECK_FALSE(answer_through_the_wire(quorum).voters[0].last_fetch);
  const auto added = answer_through_the_wire(AddRaftVoterAnswer{{ErrorCode::duplicate_voter, "it is"}, true});
  CHECK(added.error.message == "it is");
  CHECK(added.is_voter);
  const auto removed = answer_through_the_wire(RemoveRaftVoterAnswer{{ErrorCode::voter_not_found, "no"}});
  CHECK(removed.error.code == ErrorCode::voter_not_found);
}

TEST_CASE("session messages survive the wire") {
  BrokerHeartbeat beat;
  beat.broker_id = BrokerId{1};
  beat.broker_epoch = BrokerEpoch{2};
  beat.metadata_offset = LogIndex{3};
  beat.ready = true;
  beat.progress.sync_stalled = std::chrono::milliseconds(17);
  beat.progress.write_time = std::chrono::milliseconds(0);
  beat.log_ends = {{{topic, PartitionIndex{1}}, LeaderEpoch{2}, std::nullopt, Offset{9}, true}};
  beat.trouble.emplace();
  const Uuid other = Uuid::from_halves(9, 9);
  beat.trouble->failed = {{topic, PartitionIndex{1}}, {topic, PartitionIndex{3}}, {other, PartitionIndex{0}}};
  beat.trouble->low_on_space = {{other, PartitionIndex{7}}};
  beat.trouble->damaged = {{topic, PartitionIndex{2}}};
  naru::cluster::SessionRequest request = to_proto(8, SessionUp(beat));
  CHECK(request.sequence() == 8);
  const auto up = from_proto(request);
  REQUIRE(up);
  const auto& copy = std::get<BrokerHeartbeat>(*up);
  CHECK(copy.metadata_offset == beat.metadata_offset);
  CHECK(copy.progress.sync_stalled == beat.progress.sync_stalled);
  CHECK(copy.progress.write_time == std::chrono::milliseconds(0));
  CHECK_FALSE(copy.progress.sync_time.has_value());  // not known is not the same as none at all
  beat.progress.sync_time = std::chrono::milliseconds(450);
  const auto slower = from_proto(to_proto(8, SessionUp(beat)));
  CHECK(std::get<BrokerHeartbeat>(*slower).progress.sync_time == beat.progress.sync_time);
  CHECK(copy.log_ends == beat.log_ends);
  CHECK(copy.trouble == beat.trouble);
  beat.trouble.reset();  // as said before
  CHECK_FALSE(std::get<BrokerHeartbeat>(*from_proto(to_proto(9, SessionUp(beat)))).trouble.has_value());

  BrokerHeartbeatAnswer answer;
  answer.fenced = false;
  answer.metadata_offset = LogIndex{77};
  answer.log_end_queries = {{{topic, PartitionIndex{1}}, LeaderEpoch{2}, LogIndex{4}}};
  const auto down = from_proto(to_proto(9, SessionDown(answer)));
  REQUIRE(down);
  CHECK(std::get<BrokerHeartbeatAnswer>(*down).log_end_queries == answer.log_end_queries);
  CHECK_FALSE(std::get<BrokerHeartbeatAnswer>(*down).fenced);
  CHECK(std::get<BrokerHeartbeatAnswer>(*down).metadata_offset == answer.metadata_offset);
  CHECK_FALSE(from_proto(naru::cluster::SessionRequest()));
}
