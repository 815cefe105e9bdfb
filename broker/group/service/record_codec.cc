#include "broker/group/service/record_codec.h"

#include <algorithm>
#include <utility>

#include "kafka/records/group_metadata_key.h"
#include "kafka/records/group_metadata_value.h"
#include "kafka/records/legacy_offset_commit_key.h"
#include "kafka/records/offset_commit_key.h"
#include "kafka/records/offset_commit_value.h"

namespace broker::group {
namespace {

using common::model::BytesView;
using common::model::ErrorCode;
using common::model::fail;
using common::model::Result;

// Versions that every tool of the last years reads: the newest ones without tagged fields; version 1 of an offset alone
// can carry the time at which it expires.
constexpr int16_t offset_version = 3;
constexpr int16_t offset_version_with_topic_id = 4;
constexpr int16_t offset_version_with_expiry = 1;  // which has no place for the topic's id
constexpr int16_t group_version = 3;

int32_t to_wire(milliseconds time) {
  return static_cast<int32_t>(std::clamp<int64_t>(time.count(), 0, INT32_MAX));
}

Result<Buffer> offset_key(const std::string& group, const TopicPartition& partition) {
  kafka::OffsetCommitKey key;
  key.group = group;
  key.topic = partition.topic;
  key.partition = partition.partition.value;
  return kafka::encode_key(key);
}

Result<Buffer> group_key(const std::string& group) {
  kafka::GroupMetadataKey key;
  key.group = group;
  return kafka::encode_key(key);
}

Result<Buffer> value_of(const StoredOffset& stored) {
  kafka::OffsetCommitValue value;
  value.offset = stored.offset.value;
  value.leader_epoch = stored.leader_epoch ? stored.leader_epoch->value : -1;
  value.metadata = stored.metadata;
  value.commit_timestamp = stored.committed_at.value;
  value.expire_timestamp = stored.expires_at ? stored.expires_at->value : -1;
  value.topic_id = stored.topic_id.value_or(common::model::Uuid());
  const int16_t version = stored.expires_at ? offset_version_with_expiry
                          : stored.topic_id ? offset_version_with_topic_id
                                            : offset_version;
  return kafka::encode_versioned(value, version);
}

Result<Buffer> value_of(const StoredGroup& stored) {
  kafka::GroupMetadataValue value;
  value.protocol_type = stored.protocol_type;
  value.generation = stored.generation.value;
  value.protocol = stored.protocol;
  value.leader = stored.leader;
  value.current_state_timestamp = stored.state_since ? stored.state_since->value : -1;
  for (const StoredMember& m : stored.members) {
    kafka::GroupMetadataValue::MemberMetadata& member = value.members.emplace_back();
    member.member_id = m.member_id;
    member.group_instance_id = m.instance_id;
    member.client_id = m.client_id;
    member.client_host = m.client_host;
    member.rebalance_timeout = to_wire(m.rebalance_timeout);
    member.session_timeout = to_wire(m.session_timeout);
    member.subscription = m.subscription;
    member.assignment = m.assignment;
  }
  return kafka::encode_versioned(value, group_version);
}

// Nothing in a message outlives the call but `bytes` fields, which Buffer `frame` must then own.
Buffer borrowed(BytesView bytes) {
  return Buffer(nullptr, bytes);
}

Result<GroupRecord> decode_offset(std::string group, TopicPartition partition, std::optional<BytesView> bytes) {
  if (!bytes) return GroupRecord(OffsetRemoved{std::move(group), std::move(partition)});
  Result<kafka::OffsetCommitValue> value = kafka::decode_versioned<kafka::OffsetCommitValue>(borrowed(*bytes));
  if (!value) return tl::unexpected(std::move(value.error()));
  StoredOffset stored;
  stored.offset = Offset(value->offset);
  if (value->leader_epoch >= 0) stored.leader_epoch = LeaderEpoch(value->leader_epoch);
  stored.metadata = std::move(value->metadata);
  stored.committed_at = TimestampMs(value->commit_timestamp);
  if (value->expire_timestamp >= 0) stored.expires_at = TimestampMs(value->expire_timestamp);
  if (!value->topic_id.is_zero()) stored.topic_id = value->topic_id;
  return GroupRecord(OffsetStored{std::move(group), std::move(partition), std::move(stored)});
}

Result<GroupRecord> decode_group(std::string group, std::optional<BytesView> bytes) {
  if (!bytes) return GroupRecord(GroupRemoved{std::move(group)});
  const Buffer frame = Buffer::copy_of(*bytes);
  Result<kafka::GroupMetadataValue> value = kafka::decode_versioned<kafka::GroupMetadataValue>(frame);
  if (!value) return tl::unexpected(std::move(value.error()));
  StoredGroup stored;
  stored.protocol_type = std::move(value->protocol_type);
  stored.generation = Generation(value->generation);
  stored.protocol = std::move(value->protocol);
  stored.leader = std::move(value->leader);
  if (value->current_state_timestamp >= 0) stored.state_since = TimestampMs(value->current_state_timestamp);
  for (auto& m : value->members) {
    StoredMember& member = stored.members.emplace_back();
    member.member_id = std::move(m.member_id);
    member.instance_id = std::move(m.group_instance_id);
    member.client_id = std::move(m.client_id);
    member.client_host = std::move(m.client_host);
    member.session_timeout = milliseconds(m.session_timeout);
    // Version 0 has no rebalance timeout: the session's served as one.
    member.rebalance_timeout = milliseconds(m.rebalance_timeout >= 0 ? m.rebalance_timeout : m.session_timeout);
    member.subscription = std::move(m.subscription);
    member.assignment = std::move(m.assignment);
  }
  return GroupRecord(GroupStored{std::move(group), std::move(stored)});
}

}  // namespace

Result<EncodedRecord> encode_record(const GroupRecord& record) {
  EncodedRecord encoded;
  Result<Buffer> key;
  Result<Buffer> value;
  if (const auto* r = std::get_if<OffsetStored>(&record)) {
    key = offset_key(r->group, r->partition);
    value = value_of(r->value);
  } else if (const auto* removed = std::get_if<OffsetRemoved>(&record)) {
    key = offset_key(removed->group, removed->partition);
  } else if (const auto* stored = std::get_if<GroupStored>(&record)) {
    key = group_key(stored->group);
    value = value_of(stored->value);
  } else {
    key = group_key(std::get<GroupRemoved>(record).group);
  }
  if (!key || !value) return fail(ErrorCode::message_too_large, (!key ? key.error() : value.error()).message);
  encoded.key = std::move(*key);
  const bool has_value = std::holds_alternative<OffsetStored>(record) || std::holds_alternative<GroupStored>(record);
  if (has_value) encoded.value = std::move(*value);
  return encoded;
}

Result<std::optional<GroupRecord>> decode_record(BytesView key, std::optional<BytesView> value) {
  const Buffer key_bytes = borrowed(key);
  const Result<int16_t> type = kafka::record_type_of(key_bytes);
  if (!type) return tl::unexpected(type.error());
  Result<GroupRecord> record = fail(ErrorCode::unknown_server_error);
  if (*type == kafka::OffsetCommitKey::record_type) {
    Result<kafka::OffsetCommitKey> k = kafka::decode_key<kafka::OffsetCommitKey>(key_bytes);
    if (!k) return tl::unexpected(std::move(k.error()));
    record = decode_offset(std::move(k->group), {std::move(k->topic), PartitionIndex(k->partition)}, value);
  } else if (*type == kafka::LegacyOffsetCommitKey::record_type) {
    // The same fields under an older number, from before Kafka 0.9.
    Result<kafka::LegacyOffsetCommitKey> k = kafka::decode_key<kafka::LegacyOffsetCommitKey>(key_bytes);
    if (!k) return tl::unexpected(std::move(k.error()));
    record = decode_offset(std::move(k->group), {std::move(k->topic), PartitionIndex(k->partition)}, value);
  } else if (*type == kafka::GroupMetadataKey::record_type) {
    Result<kafka::GroupMetadataKey> k = kafka::decode_key<kafka::GroupMetadataKey>(key_bytes);
    if (!k) return tl::unexpected(std::move(k.error()));
    record = decode_group(std::move(k->group), value);
  } else {
    return std::optional<GroupRecord>();
  }
  if (!record) return tl::unexpected(std::move(record.error()));
  return std::optional<GroupRecord>(std::move(*record));
}

}  // namespace broker::group
