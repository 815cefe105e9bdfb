#include "broker/replication/wire_frames.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "proto/cluster/replication.pb.h"

namespace broker::replication {

using common::model::Buffer;
using common::model::BytesView;
using common::model::ErrorCode;
using common::model::fail;
using common::model::PartitionEpoch;
using common::model::PartitionIndex;
using common::model::Result;
namespace pb = naru::cluster;

namespace {

// LeaderFrame: `header_bytes` is field 1, fixed32: one tag byte and four bytes, little-endian, in front of everything.
constexpr size_t header_bytes_end = 5;
constexpr uint8_t header_bytes_tag = (1 << 3) | 5;
constexpr uint8_t records_tag = (15 << 3) | 2;
constexpr size_t header_bytes_max = 64 << 20;

std::string bytes_of(const Uuid& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

bool read_uuid(const std::string& bytes, Uuid& id) {
  if (bytes.size() != id.bytes.size()) return false;
  std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
  return true;
}

void put(const partition::FetchAsk& ask, pb::FetchAsk& out) {
  out.set_leader_epoch(ask.leader_epoch.value);
  out.set_fetch_offset(ask.fetch_offset.value);
  if (ask.last_epoch) out.set_last_epoch(ask.last_epoch->value);
}

partition::FetchAsk take(const pb::FetchAsk& in) {
  partition::FetchAsk ask{
      .leader_epoch = LeaderEpoch(in.leader_epoch()), .fetch_offset = Offset(in.fetch_offset()), .last_epoch = {}};
  if (in.has_last_epoch()) ask.last_epoch = LeaderEpoch(in.last_epoch());
  return ask;
}

void put(const partition::BatchIdentity& batch, pb::FetchBatch& out) {
  out.set_base_offset(batch.base_offset.value);
  out.set_last_offset(batch.last_offset.value);
  out.set_leader_epoch(batch.leader_epoch.value);
  out.set_checksum(batch.checksum);
}

partition::BatchIdentity take(const pb::FetchBatch& in) {
  return {.base_offset = Offset(in.base_offset()),
          .last_offset = Offset(in.last_offset()),
          .leader_epoch = LeaderEpoch(in.leader_epoch()),
          .checksum = in.checksum()};
}

size_t put_varint(uint64_t value, uint8_t* out) {
  size_t n = 0;
  for (; value >= 0x80; value >>= 7) out[n++] = static_cast<uint8_t>(value | 0x80);
  out[n++] = static_cast<uint8_t>(value);
  return n;
}

// A cursor over the parts of a received message.
class Parts {
 public:
  explicit Parts(const BufferChain& bytes) : parts_(bytes.parts()), left_(bytes.size()) {}

  // false: not that many bytes are left.
  bool copy(size_t count, uint8_t* out) {
    if (count > left_) return false;
    while (count > 0) {
      const size_t n = std::min(count, here());
      std::memcpy(out, parts_[at_].data() + inside_, n);
      out += n;
      count -= n;
      advance(n);
    }
    return true;
  }

  bool varint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      uint8_t byte = 0;
      if (!copy(1, &byte)) return false;
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return true;
    }
    return false;
  }

  // The next bytes by reference.
  bool take(size_t count, BufferChain& out) {
    if (count > left_) return false;
    while (count > 0) {
      const size_t n = std::min(count, here());
      out.append(parts_[at_].slice(inside_, n));
      count -= n;
      advance(n);
    }
    return true;
  }

  [[nodiscard]] bool at_end() const { return left_ == 0; }
  [[nodiscard]] size_t left() const { return left_; }

 private:
  [[nodiscard]] size_t here() const { return parts_[at_].size() - inside_; }
  void advance(size_t n) {
    inside_ += n;
    left_ -= n;
    if (inside_ == parts_[at_].size()) {  // no part is empty
      ++at_;
      inside_ = 0;
    }
  }

  const std::vector<Buffer>& parts_;
  size_t left_;
  size_t at_ = 0;
  size_t inside_ = 0;
};

Result<FollowerHello> take(const pb::FollowerHello& in) {
  FollowerHello hello;
  hello.version_min = in.version_min();
  hello.version_max = in.version_max();
  if (!read_uuid(in.cluster_id(), hello.cluster_id))
    return fail(ErrorCode::invalid_request, "a hello without a cluster id");
  hello.node_id = BrokerId(in.node_id());
  hello.broker_epoch = BrokerEpoch(in.broker_epoch());
  hello.to_node = BrokerId(in.to_node());
  hello.leader_shard = in.leader_shard();
  hello.leader_shards = in.leader_shards();
  hello.follower_shard = in.follower_shard();
  hello.session = in.session();
  return hello;
}

// gRPC's length-prefixed message: not compressed, and how many bytes follow.
constexpr size_t prefix_bytes = 5;

void put_prefix(std::string& head, size_t message_bytes) {
  for (size_t i = 0; i < 4; ++i) head[1 + i] = static_cast<char>(message_bytes >> (24 - 8 * i));
}

BufferChain finish(const pb::FollowerFrame& message) {
  std::string bytes(prefix_bytes, '\0');
  message.AppendToString(&bytes);
  put_prefix(bytes, bytes.size() - prefix_bytes);
  return Buffer::own(std::move(bytes));
}

BufferChain finish(pb::LeaderFrame& message, const std::vector<SlotAnswer>* answers) {
  size_t records_bytes = 0;
  if (answers != nullptr) {
    for (const SlotAnswer& a : *answers) records_bytes += a.records.size();
  }
  message.set_header_bytes(1);  // a fixed32 takes as many bytes whatever its value, unless it is 0
  message.set_header_bytes(static_cast<uint32_t>(message.ByteSizeLong()));
  std::string head(prefix_bytes, '\0');
  message.AppendToString(&head);
  if (records_bytes > 0) {
    uint8_t tag[11];
    tag[0] = records_tag;
    const size_t n = 1 + put_varint(records_bytes, tag + 1);
    head.append(reinterpret_cast<const char*>(tag), n);
  }
  put_prefix(head, head.size() - prefix_bytes + records_bytes);
  BufferChain chain(Buffer::own(std::move(head)));
  if (records_bytes > 0) {
    for (const SlotAnswer& a : *answers) chain.append(a.records);
  }
  return chain;
}

}  // namespace

BufferChain encode_message(const FollowerHello& hello) {
  pb::FollowerFrame message;
  pb::FollowerHello& out = *message.mutable_hello();
  out.set_version_min(hello.version_min);
  out.set_version_max(hello.version_max);
  out.set_cluster_id(bytes_of(hello.cluster_id));
  out.set_node_id(hello.node_id.value);
  out.set_broker_epoch(hello.broker_epoch.value);
  out.set_to_node(hello.to_node.value);
  out.set_leader_shard(hello.leader_shard);
  out.set_leader_shards(hello.leader_shards);
  out.set_follower_shard(hello.follower_shard);
  out.set_session(hello.session);
  return finish(message);
}

BufferChain encode_message(const FollowerFrame& frame) {
  pb::FollowerFrame message;
  message.set_sequence(frame.sequence);
  for (const OpenSlot& opened : frame.opened) {
    pb::FetchSlot& out = *message.add_opened();
    out.set_slot(opened.slot);
    out.set_topic_id(bytes_of(opened.partition.topic_id));
    out.set_partition(opened.partition.partition.value);
  }
  for (const SlotPosition& said : frame.positions) {
    pb::FetchPosition& out = *message.add_positions();
    out.set_slot(said.slot);
    out.set_answers(said.answers);
    put(said.position.ask, *out.mutable_ask());
    out.set_partition_epoch(said.position.partition_epoch.value);
    out.set_durable_offset(said.position.durable_offset.value);
    out.set_log_start_offset(said.position.log_start_offset.value);
    if (said.last_batch) put(*said.last_batch, *out.mutable_last_batch());
  }
  for (const uint32_t slot : frame.closed) message.add_closed(slot);
  return finish(message);
}

BufferChain encode_message(const LeaderHello& hello) {
  pb::LeaderFrame message;
  pb::LeaderHello& out = *message.mutable_hello();
  out.set_version(hello.version);
  out.set_cluster_id(bytes_of(hello.cluster_id));
  out.set_node_id(hello.node_id.value);
  out.set_broker_epoch(hello.broker_epoch.value);
  out.set_shards(hello.shards);
  out.set_accepted(hello.accepted);
  return finish(message, nullptr);
}

BufferChain encode_message(const LeaderFrame& frame) {
  pb::LeaderFrame message;
  message.set_sequence(frame.sequence);
  for (const SlotAnswer& a : frame.answers) {
    pb::FetchAnswer& out = *message.add_answers();
    out.set_slot(a.slot);
    out.set_number(a.number);
    put(a.answer.asked, *out.mutable_asked());
    out.set_error(static_cast<int32_t>(a.answer.error));
    if (a.answer.diverging) {
      out.mutable_diverging()->set_epoch(a.answer.diverging->epoch.value);
      out.mutable_diverging()->set_end_offset(a.answer.diverging->end_offset.value);
    }
    out.set_high_watermark(a.answer.high_watermark.value);
    out.set_log_start_offset(a.answer.log_start_offset.value);
    out.set_log_end_offset(a.answer.log_end_offset.value);
    out.set_records_bytes(static_cast<uint32_t>(a.records.size()));
    out.set_counts_synced(a.answer.counts_synced);
    out.set_differs(a.answer.differs);
  }
  for (const SlotHighWatermark& h : frame.high_watermarks) {
    pb::FetchHighWatermark& out = *message.add_high_watermarks();
    out.set_slot(h.slot);
    out.set_leader_epoch(h.leader_epoch.value);
    out.set_high_watermark(h.high_watermark.value);
    out.set_log_start_offset(h.log_start_offset.value);
    out.set_counts_synced(h.counts_synced);
  }
  return finish(message, &frame.answers);
}

Result<FromFollower> decode_from_follower(const BufferChain& bytes) {
  const Buffer flat = bytes.flatten();  // positions are few and small
  pb::FollowerFrame message;
  if (!message.ParseFromArray(flat.data(), static_cast<int>(flat.size()))) {
    return fail(ErrorCode::invalid_request, "not a frame of a follower");
  }
  if (message.has_hello()) {
    Result<FollowerHello> hello = take(message.hello());
    if (!hello) return tl::unexpected(std::move(hello.error()));
    return FromFollower(std::move(*hello));
  }
  FollowerFrame frame;
  frame.sequence = message.sequence();
  frame.opened.reserve(static_cast<size_t>(message.opened_size()));
  for (const pb::FetchSlot& in : message.opened()) {
    OpenSlot opened{.slot = in.slot(), .partition = {.topic_id = {}, .partition = PartitionIndex(in.partition())}};
    if (!read_uuid(in.topic_id(), opened.partition.topic_id))
      return fail(ErrorCode::invalid_request, "a slot without a topic id");
    frame.opened.push_back(opened);
  }
  frame.positions.reserve(static_cast<size_t>(message.positions_size()));
  for (const pb::FetchPosition& in : message.positions()) {
    frame.positions.push_back({.slot = in.slot(),
                               .answers = in.answers(),
                               .position = {.ask = take(in.ask()),
                                            .partition_epoch = PartitionEpoch(in.partition_epoch()),
                                            .durable_offset = Offset(in.durable_offset()),
                                            .log_start_offset = Offset(in.log_start_offset())},
                               .last_batch = {}});
    if (in.has_last_batch()) frame.positions.back().last_batch = take(in.last_batch());
  }
  frame.closed.assign(message.closed().begin(), message.closed().end());
  return FromFollower(std::move(frame));
}

Result<FromLeader> decode_from_leader(const BufferChain& bytes) {
  const auto bad = [](const char* what) { return fail(ErrorCode::invalid_request, what); };
  Parts parts(bytes);
  uint8_t prefix[header_bytes_end];
  if (!parts.copy(sizeof prefix, prefix) || prefix[0] != header_bytes_tag)
    return bad("not a frame of a leader");
  uint32_t header_bytes = 0;
  for (size_t i = 0; i < 4; ++i) header_bytes |= static_cast<uint32_t>(prefix[1 + i]) << (8 * i);
  if (header_bytes < header_bytes_end || header_bytes > header_bytes_max ||
      header_bytes - header_bytes_end > parts.left())  // before anything of that size is allocated (R109)
    return bad("a frame with an impossible header size");
  std::string header(header_bytes - header_bytes_end, '\0');
  pb::LeaderFrame message;
  if (!parts.copy(header.size(), reinterpret_cast<uint8_t*>(header.data())) || !message.ParseFromString(header)) {
    return bad("a frame with a broken header");
  }
  if (message.has_hello()) {
    const pb::LeaderHello& in = message.hello();
    LeaderHello hello;
    hello.version = in.version();
    if (!read_uuid(in.cluster_id(), hello.cluster_id)) return bad("a hello without a cluster id");
    hello.node_id = BrokerId(in.node_id());
    hello.broker_epoch = BrokerEpoch(in.broker_epoch());
    hello.shards = in.shards();
    hello.accepted = in.accepted();
    return FromLeader(hello);
  }
  uint64_t records_bytes = 0;
  if (!parts.at_end()) {
    uint8_t tag = 0;
    if (!parts.copy(1, &tag) || tag != records_tag || !parts.varint(records_bytes) ||
        records_bytes != parts.left()) {
      return bad("a frame whose records do not follow its header");
    }
  }
  LeaderFrame frame;
  frame.sequence = message.sequence();
  frame.answers.reserve(static_cast<size_t>(message.answers_size()));
  for (const pb::FetchAnswer& in : message.answers()) {
    SlotAnswer a{.slot = in.slot(), .number = in.number(), .answer = {}, .records = {}};
    a.answer.asked = take(in.asked());
    a.answer.error = common::model::error_code_from(static_cast<int16_t>(in.error()));
    if (in.has_diverging()) {
      a.answer.diverging = partition::EpochEnd{.epoch = LeaderEpoch(in.diverging().epoch()),
                                               .end_offset = Offset(in.diverging().end_offset())};
    }
    a.answer.high_watermark = Offset(in.high_watermark());
    a.answer.log_start_offset = Offset(in.log_start_offset());
    a.answer.log_end_offset = Offset(in.log_end_offset());
    if (!parts.take(in.records_bytes(), a.records)) return bad("a frame with fewer records than it says");
    a.answer.has_records = !a.records.empty();
    a.answer.counts_synced = in.counts_synced();
    a.answer.differs = in.differs();
    frame.answers.push_back(std::move(a));
  }
  if (!parts.at_end()) return bad("a frame with more records than it says");
  frame.high_watermarks.reserve(static_cast<size_t>(message.high_watermarks_size()));
  for (const pb::FetchHighWatermark& in : message.high_watermarks()) {
    frame.high_watermarks.push_back({.slot = in.slot(),
                                     .leader_epoch = LeaderEpoch(in.leader_epoch()),
                                     .high_watermark = Offset(in.high_watermark()),
                                     .log_start_offset = Offset(in.log_start_offset()),
                                     .counts_synced = in.counts_synced()});
  }
  return FromLeader(std::move(frame));
}

}  // namespace broker::replication
