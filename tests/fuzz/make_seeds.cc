// make_fuzz_seeds DIRECTORY: writes the seeds of tests/fuzz/corpus. Each shows a fuzz target one well-formed input of a
// kind that it would take long to find by itself: messages of every sort, damage that every file can suffer.
#include <filesystem>
#include <fstream>

#include "broker/group/service/record_codec.h"
#include "broker/replication/grpc_frames.h"
#include "common/records/batch_builder.h"
#include "controller/quorum/call_codec.h"
#include "controller/quorum/metadata_codec.h"
#include "controller/quorum/raft_codec.h"
#include "controller/quorum/raft_files.h"
#include "controller/quorum/session_wire.h"
#include "replication/http2_peer.h"

namespace {

using namespace controller;
using common::model::BrokerEpoch;
using common::model::BrokerId;
using common::model::Buffer;
using common::model::LeaderEpoch;
using common::model::LogIndex;
using common::model::Offset;
using common::model::PartitionEpoch;
using common::model::PartitionIndex;
using common::model::Term;
using common::model::Uuid;

std::filesystem::path top;

void write(const std::string& target, const std::string& name, const std::string& bytes) {
  std::filesystem::create_directories(top / target);
  std::ofstream(top / target / name, std::ios::binary) << bytes;
}
std::string byte(unsigned value) {
  return {static_cast<char>(value)};
}
std::string short_of(size_t value) {
  return byte(value >> 8 & 255) + byte(value & 255);
}
std::string framed(unsigned op, const std::string& bytes) {
  return byte(op) + short_of(bytes.size()) + bytes;
}

// ---- files ----

// Each kind of damage to one file or another, and one to all of them.
void files(const std::string& target, const std::string& name, const std::string& prefix, unsigned file_count) {
  unsigned file = static_cast<unsigned char>(prefix[0]);
  const auto next = [&] { return byte(++file % file_count); };
  const auto save = [&](const std::string& kind, const std::string& damage) {
    write(target, name + "-" + kind, prefix + damage);
  };
  save("cut", byte(1) + next() + short_of(70));
  save("erase", byte(2) + next());
  save("append", byte(3) + next() + byte(12) + std::string(12, '\1'));
  save("rename", byte(4) + next() + byte(0));
  save("replace", byte(5) + next() + byte(3) + "0\n0");
  save("twin", byte(6) + next() + short_of(20));
  std::string all;
  for (unsigned f = 0; f < file_count; ++f) {
    all += byte(0) + byte(f) + short_of(40) + byte(4) + "\x7f\xff\xff\xff" + byte(7) + byte(f);
  }
  save("patch", all);
}

// ---- Raft ----

const raft::NodeKey self{BrokerId(1), Uuid::from_halves(1, 1)};

raft::VoterSet three_voters() {
  std::vector<raft::Voter> voters;
  for (int id = 1; id <= 3; ++id)
    voters.push_back({{BrokerId(id), Uuid::from_halves(1, static_cast<uint64_t>(id))}, {"host", 1}, {}});
  return raft::VoterSet(voters);
}

std::string message(int from, int term, raft::MessageBody body) {
  raft::Message m;
  m.from = {BrokerId(from), Uuid::from_halves(1, static_cast<uint64_t>(from))};
  m.to = {BrokerId(1), {}};
  m.term = Term(term);
  m.body = std::move(body);
  naru::cluster::RaftMessage proto;
  quorum::encode(m, proto);
  return framed(7, proto.SerializeAsString());
}

void raft_messages() {
  const std::string target = "raft_messages_fuzz";
  const std::string pass = byte(0), disk = byte(1), propose = byte(2);
  const raft::LogPosition one{LogIndex(1), Term(1), 0};
  raft::AppendRequest append;
  append.previous = one;
  append.entries = {{Term(2), LogIndex(1), raft::EntryKind::leader_change, {}},
                    {Term(2), LogIndex(2), raft::EntryKind::data, Buffer::copy_of(std::string("records"))}};
  append.committed = LogIndex(2);
  append.round = 1;
  raft::AppendRequest of_voters = append;
  of_voters.entries[1] = {Term(2), LogIndex(2), raft::EntryKind::voters, three_voters().encode()};
  raft::SnapshotRequest snapshot;
  snapshot.meta = {{LogIndex(9), Term(2), 7}, three_voters(), 4, 0};
  snapshot.bytes = Buffer::copy_of(std::string("data"));
  snapshot.round = 1;
  const std::string granted = message(2, 2, raft::VoteResponse{raft::VoteKind::pre_vote, Term(1), true}) +
                              message(2, 2, raft::VoteResponse{raft::VoteKind::vote, Term(2), true});
  write(target, "append", message(2, 2, append) + disk + pass);
  write(target, "voters", message(2, 2, of_voters) + disk + pass);
  write(target, "snapshot", message(2, 2, snapshot) + disk + disk + pass);
  write(target, "vote", message(2, 2, raft::VoteRequest{raft::VoteKind::vote, LogIndex(5), Term(1)}) + disk);
  write(
      target, "lead",
      pass + pass + disk + granted + disk + granted + propose + disk +
          message(2, 2,
                  raft::AppendResponse{raft::AppendOutcome::accepted, LogIndex(2), LogIndex(3), LogIndex(3), one, 1}) +
          message(3, 2,
                  raft::AppendResponse{raft::AppendOutcome::mismatch, LogIndex(0), LogIndex(0), LogIndex(1), one, 1}) +
          pass);
  write(target, "observer", pass + pass + disk + granted + disk + message(3, 2, raft::ObserverHello{one}) + pass);
  write(target, "installed",
        pass + pass + disk + granted + disk + message(3, 2, raft::SnapshotResponse{LogIndex(9), 4, true, 1}));
  write(target, "handover", message(2, 2, append) + disk + message(2, 2, raft::TimeoutNow{}) + disk);
  write(target, "hint", message(2, 2, raft::VotersHint{three_voters()}) + pass);
  write(target, "lost", message(2, 2, raft::StateLostNotice{LogIndex(7)}) + pass);
}

// ---- controller ----

metadata::RegisterBroker registration(int id) {
  metadata::RegisterBroker r;
  r.broker_id = BrokerId(id);
  r.cluster_id = Uuid::from_halves(1, 1);
  r.incarnation_id = Uuid::from_halves(7, static_cast<uint64_t>(id));
  r.directories = {Uuid::from_halves(8, static_cast<uint64_t>(id))};
  r.listeners.push_back(
      {.name = "PLAINTEXT", .host = "host", .port = 9092, .security_protocol = metadata::SecurityProtocol::plaintext});
  r.cluster_endpoint = {.host = "host", .port = 19092};
  r.rack = "rack";
  r.features.emplace("metadata.version", metadata::FeatureRange{1, 1});
  return r;
}

std::string session(const quorum::SessionUp& up) {
  return framed(1, quorum::to_proto(3, up).SerializeAsString());
}
std::string call(const metadata::ControllerRequest& request) {
  naru::cluster::ControllerCall proto;
  proto.set_version(quorum::call_version);
  quorum::put_request(proto, request);
  return framed(2, proto.SerializeAsString());
}

void controller_messages() {
  const std::string target = "controller_messages_fuzz";
  const std::string pass = byte(0);
  metadata::BrokerHeartbeat ready;
  ready.broker_id = BrokerId(1);
  ready.broker_epoch = BrokerEpoch(1);
  ready.metadata_offset = LogIndex(1);
  ready.ready = true;
  metadata::BrokerHeartbeat ends = ready;
  ends.log_ends.push_back({.partition = {Uuid::from_halves(9, 1), PartitionIndex(0)},
                           .leader_epoch = LeaderEpoch(1),
                           .last_epoch = LeaderEpoch(0),
                           .end = Offset(5)});
  ends.trouble.emplace().failed.insert({Uuid::from_halves(9, 1), PartitionIndex(0)});
  const std::string up = session(registration(1)) + session(ready);
  metadata::CreateTopics create;
  create.topics.push_back({.name = "orders",
                           .partition_count = 2,
                           .replication_factor = int16_t{1},
                           .assignments = {},
                           .configs = {{"key", "value"}},
                           .topic_id = Uuid::from_halves(9, 1)});
  const std::string topic = up + call(create);
  metadata::CreateTopics by_hand;
  by_hand.topics.push_back({.name = "hand",
                            .partition_count = {},
                            .replication_factor = {},
                            .assignments = {{PartitionIndex(0), {BrokerId(1)}}},
                            .configs = {},
                            .topic_id = {}});
  metadata::DeleteTopics remove;
  remove.topics.push_back({.name = "orders", .topic_id = {}});
  metadata::CreatePartitions more;
  more.topics.push_back({.name = "orders", .count = 4, .assignments = {}});
  metadata::AlterConfigs alter;
  alter.resources.push_back({.resource = {metadata::ResourceType::topic, "orders"},
                             .changes = {{"keys", metadata::ConfigOperation::append, "x"}}});
  metadata::AlterPartition isr;
  isr.broker_id = BrokerId(1);
  isr.broker_epoch = BrokerEpoch(1);
  isr.partitions.push_back({.topic_id = Uuid::from_halves(9, 1),
                            .partition = PartitionIndex(0),
                            .leader_epoch = LeaderEpoch(0),
                            .partition_epoch = PartitionEpoch(0),
                            .isr = {{BrokerId(1), BrokerEpoch(1)}}});
  metadata::ElectLeaders elect;
  elect.partitions.emplace().push_back({"orders", PartitionIndex(0)});
  write(target, "session", up + session(ends) + pass + pass);
  write(target, "create", topic + pass);
  write(target, "by-hand", up + call(by_hand));
  write(target, "delete", topic + call(remove));
  write(target, "partitions", topic + call(more));
  write(target, "configs", topic + call(alter));
  write(target, "isr", topic + call(isr));
  write(target, "elect", topic + call(elect) + pass + pass + pass);
  write(target, "ids", up + call(metadata::AllocateProducerIds{BrokerId(1), BrokerEpoch(1)}));
  write(target, "unregister", topic + call(metadata::UnregisterBroker{BrokerId(1)}) + call(metadata::DescribeQuorum{}));
  write(target, "answers", framed(3, quorum::to_proto(3, metadata::BrokerHeartbeatAnswer{}).SerializeAsString()));
}

void quorum_files() {
  const std::string files = "quorum_files_fuzz";
  metadata::TopicRecord record{Uuid::from_halves(9, 1), "orders"};
  write(
      files, "records",
      byte(1) + std::string(quorum::encode_records({metadata::ClusterRecord{Uuid::from_halves(1, 1)}, record}).text()));
  write(files, "image", byte(2) + std::string(quorum::encode_snapshot(metadata::MetadataImage{}).text()));
  quorum::QuorumProperties properties;
  properties.key = self;
  properties.state = quorum::FormationState::accepted;
  properties.cluster_id = "cluster";
  properties.first_voters = three_voters();
  write(files, "properties", byte(0) + quorum::encode_properties(properties));
}

// ---- replication ----

std::string bytes_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string all;
  if (!buffer.Dump(&slices).ok()) return all;
  for (const grpc::Slice& slice : slices) all.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return all;
}

void replication_frames() {
  using namespace broker::replication;
  const std::string target = "replication_frames_fuzz";
  FollowerFrame first;
  first.sequence = 1;
  for (uint32_t slot = 0; slot < 2; ++slot) {
    first.opened.push_back({slot, {Uuid::from_halves(7, 7), PartitionIndex(static_cast<int32_t>(slot))}});
    SlotPosition position{.slot = slot, .answers = 0, .position = {}};
    position.position.ask = {.leader_epoch = LeaderEpoch(1), .fetch_offset = Offset(20), .last_epoch = LeaderEpoch(1)};
    if (slot == 1)
      position.last_batch = broker::partition::BatchIdentity{Offset(10), Offset(19), LeaderEpoch(1), 0xfedcba98};
    first.positions.push_back(position);
  }
  FollowerFrame second;
  second.sequence = 2;
  second.closed = {0};
  LeaderFrame frame;
  frame.sequence = 1;
  SlotAnswer answer;
  answer.number = 1;
  answer.answer.asked = {.leader_epoch = LeaderEpoch(1), .fetch_offset = Offset(0), .last_epoch = LeaderEpoch(1)};
  answer.answer.has_records = true;
  answer.records = common::model::BufferChain(Buffer::copy_of(std::string("records")));
  frame.answers.push_back(answer);
  frame.high_watermarks.push_back(
      {.slot = 0, .leader_epoch = LeaderEpoch(1), .high_watermark = Offset(3), .log_start_offset = Offset(0)});
  const std::string speak = byte(0), append = byte(1) + byte(0), role = byte(1) + byte(3), cold = byte(1) + byte(4);
  const std::string opened = framed(2, bytes_of(encode(first)));
  write(target, "follower", opened + speak + append + speak + role + speak + cold + speak);
  write(target, "closed", opened + speak + framed(2, bytes_of(encode(second))) + cold + speak);
  write(target, "leader", speak + framed(3, bytes_of(encode(frame))) + speak);
  write(target, "hello", framed(2, bytes_of(encode(FollowerHello{}))));
  write(target, "welcome", framed(3, bytes_of(encode(LeaderHello{}))));
}

// A call at either end: its opening, messages of ours, what ends it.
void calls() {
  using namespace broker::replication;
  using namespace test_support;
  const std::string target = "http2_call_fuzz";
  const std::string leader = byte(2), follower = byte(3), answers = byte(2 + 4), closes = byte(2 + 8);
  const std::string finishes = byte(2 + 12), raw = byte(0), first_bytes = byte(240), read = byte(5);
  const auto send = [](unsigned parts) { return byte(4) + byte(parts); };
  const auto whole = [](uint8_t type, uint8_t flags, uint8_t stream, const std::string& content) {
    return byte(1) + byte(type) + byte(flags) + byte(stream) + short_of(content.size()) + content;
  };
  const std::string hello = framed(3, bytes_of(encode(FollowerHello{})));
  const std::string welcome = framed(3, bytes_of(encode(LeaderHello{})));
  constexpr unsigned status_name = 6, message_name = 7;  // their places in the target's table
  const std::string trailers = byte(2) + byte(1) + byte(2) + byte(status_name) + byte(1) + "9" + byte(message_name) +
                               byte(5) + "not%2";
  write(target, "leader", leader + hello + send(2) + hello + read + send(100) + read);
  write(target, "follower", follower + welcome + send(2) + welcome + read + send(100) + read);
  write(target, "answers", answers + hello + hello + read + hello);
  write(target, "closes", closes + hello + hello);
  write(target, "finishes", finishes + hello + read + hello);
  write(target, "trailers", follower + welcome + trailers);
  write(target, "raw", raw + framed(0, follower_opening()) + hello + read);
  write(target, "other-path", raw + framed(0, follower_opening("/other")) + hello + read);
  write(target, "settings",
        leader + hello + whole(4, 0, 0, short_of(4) + short_of(0) + short_of(100)) + send(3) + read);
  write(target, "rules", leader + hello + whole(4, 0, 0, "five?") + hello);
  write(target, "reset", leader + hello + send(100) + whole(3, 0, 1, short_of(0) + short_of(8)) + read);
  write(target, "leaves", leader + hello + whole(data_frame, 1, 1, "") + hello);
  write(target, "pings", follower + welcome + whole(6, 0, 0, "12345678") + whole(7, 0, 0, std::string(8, '\0')) + read);
  write(target, "pushed", follower + whole(5, end_headers, 1, big_endian(2, 4) + http2_header(":path", "/")) + welcome);
  write(target, "continued", raw + framed(0, follower_opening()) + whole(headers_frame, 0, 3, http2_header("x", "y")) +
                                 whole(9, end_headers, 3, http2_header("z", "")));
  write(target, "padded", leader + hello + whole(data_frame, 8, 1, byte(3) + grpc_message("frame") + "..."));
  write(target, "large", leader + whole(data_frame, 0, 1, byte(0) + "\x7f\xff\xff\xff"));
  write(target, "sorted",
        first_bytes + std::string(http2_preface) + http2_frame(settings_frame, 0, 0, "nr" + big_endian(3, 4)));
}

// ---- clients ----

// Each of what a broker does with a request, one behind the other, and what it does not take.
void client_frames() {
  const std::string target = "client_frames_fuzz";
  const std::string go_on = byte(3), read = byte(4), minute = byte(5) + byte(60);
  const auto request = [](unsigned deed, size_t size = 9) { return framed(1, byte(deed) + std::string(size, 'x')); };
  write(target, "answers", request(0) + request(0, 700) + read + request(0) + request(8) + read);
  write(target, "settled", request(1) + request(1) + request(0) + go_on + read);
  write(target, "waits", request(2) + request(0) + go_on + read);
  write(target, "closes", request(0) + request(3) + request(0) + read);
  write(target, "nothing", request(4) + request(0) + read);
  write(target, "turns", request(1) + request(5) + request(5) + go_on + read);
  write(target, "news", request(6) + minute + go_on + read);
  write(target, "last", request(7) + request(0) + read);
  write(target, "crowd", request(1) + request(1) + request(1) + request(1) + request(1) + request(0) + go_on + read);
  write(target, "unread", request(0, 900) + request(0, 900) + request(0, 900) + minute);
  write(target, "memory", request(2, 900) + request(0, 900) + request(0, 900) + go_on + read);
  write(target, "claimed", byte(2) + short_of(0) + short_of(2000) + framed(0, "some of it") + minute + read);
  write(target, "half", framed(0, std::string(2, '\0')) + framed(0, std::string("\0\3abc", 5)) + read);
  write(target, "huge", request(0) + byte(2) + short_of(0x7fff) + short_of(0xffff) + read);
  write(target, "empty", request(0) + byte(2) + short_of(0) + short_of(0) + read);
}

// ---- requests ----

// One after the other, as they are and damaged: with another byte, cut, and with time behind them.
void data_requests() {
  const std::string target = "data_requests_fuzz";
  for (unsigned which = 0; which < 24; which += 6) {
    const std::string patch = byte(1) + short_of(30 + which) + byte(0xff);
    write(target, fmt::format("frame-{}", which),
          byte(which) + byte(0) + byte(which) + patch + byte(0x80 + which) + patch + byte(0x40 + which) + byte(0));
  }
}

// Three in a row of those that belong together, one of them damaged or cut.
void admin_requests() {
  const std::string target = "admin_requests_fuzz";
  for (unsigned which = 0; which < 60; which += 3) {
    const std::string patch = byte(1) + short_of(20 + which) + byte(0xff);
    write(target, fmt::format("frame-{}", which),
          byte(which) + byte(0) + byte(which + 1) + patch + byte(which + 2) + byte(0) + byte(0x80 + which) + patch);
  }
}

// ---- text ----

void requests_by_http() {
  const std::string target = "http_requests_fuzz";
  write(target, "target", byte(0) + "/api/v1/topics/a%2Fb?from=10&key=x+y&flag");
  write(target, "two",
        byte(7) + "GET /metrics HTTP/1.1\r\nHost: here:9644\r\nLast-Event-ID: 42\r\nAccept-Encoding: gzip\r\n\r\n" +
            "HEAD /livez HTTP/1.0\r\n\r\n");
  write(target, "chunks",
        byte(3) + "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n");
  write(target, "garbage", byte(40) + "\x16\x03\x01 hello\r\n\r\n");
}

void text_files() {
  const std::string target = "text_files_fuzz";
  write(target, "properties",
        byte(0) + "# a broker\nnode.id=1\nprocess.roles=broker,controller\n" +
            "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ncontroller.listener.names=CONTROLLER\n" +
            "controller.quorum.voters=1@a:9093\nlog.dirs=data\nlog.retention.ms = 1000\nbroker\\u002erack: a\\\n b\n");
  write(target, "topic",
        byte(0) + "cleanup.policy=compact\nmin.insync.replicas=2\nsegment.bytes=1048576\nretention.ms=-1\n");
  write(target, "history",
        byte(1) + "naru-history 1\npromise acks=all\n@ 1200\nsent 0 2:17\nack 0 2:17 40\npoll 1 0 40 2:17\n" +
            "final 0 40 2:17\ncomplete polled\n");
  write(target, "record", byte(2) + "naru run 2:17   ");
}

// ---- records ----

void stored_records() {
  common::records::BatchBuilder builder(common::records::BatchOptions{});
  builder.add({.timestamp = common::model::TimestampMs(1000),
               .key = common::model::as_bytes("key"),
               .value = common::model::as_bytes("value"),
               .headers = {}});
  write("records_fuzz", "batch", byte(15) + std::string(builder.build().text()));
  write("records_fuzz", "patched", byte(10) + short_of(30) + byte(1));

  const auto record = [](const broker::group::GroupRecord& r) {
    const auto encoded = broker::group::encode_record(r);
    if (!encoded) return std::string();
    const std::string value = encoded->value ? std::string(encoded->value->text()) : "";
    return byte(encoded->key.size()) + std::string(encoded->key.text()) + byte(encoded->value ? value.size() : 255) +
           value;
  };
  broker::group::OffsetStored offset;
  offset.group = "group";
  offset.partition = {"orders", PartitionIndex(0)};
  broker::group::GroupStored group;
  group.group = "group";
  write("group_records_fuzz", "offset", record(offset));
  write("group_records_fuzz", "group", record(group) + record(offset));
  const std::string subscription = short_of(3) + short_of(0) + short_of(2) + short_of(6) + "orders" + short_of(0);
  write("group_records_fuzz", "subscription", byte(0) + byte(subscription.size()) + subscription);
  for (unsigned which = 0; which < 40; which += 8)
    write("kafka_decode_fuzz", fmt::format("message-{}", which),
          short_of(which) + byte(0) + byte(1) + short_of(4) + byte(7));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  top = argv[1];
  for (unsigned base = 0; base < 4; ++base)
    files("log_recovery_fuzz", fmt::format("base-{}", base), byte(base) + byte(base), 20);
  for (unsigned kind = 6; kind < 8; ++kind) files("quorum_files_fuzz", fmt::format("base-{}", kind % 2), byte(kind), 5);
  raft_messages();
  controller_messages();
  quorum_files();
  replication_frames();
  calls();
  client_frames();
  data_requests();
  admin_requests();
  requests_by_http();
  text_files();
  stored_records();
  return 0;
}
