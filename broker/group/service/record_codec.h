// Group records as bytes: Kafka's own schemas (OffsetCommitKey/Value, GroupMetadataKey/Value), so that other tools can
// read __consumer_offsets and we can read theirs. Pure; any thread.
#pragma once
#include <optional>

#include "broker/group/record.h"
#include "common/model/bytes.h"
#include "common/model/result.h"

namespace broker::group {

struct EncodedRecord {
  common::model::Buffer key;
  std::optional<common::model::Buffer> value;  // none: a tombstone
};
// MESSAGE_TOO_LARGE: a name in it is longer than the schema's 32,767 bytes.
[[nodiscard]] common::model::Result<EncodedRecord> encode_record(const GroupRecord& record);

// None: a key of a type that is not ours (newer group protocols), to be skipped as Kafka does. An error: a record that
// ought to be understood and is not, so the partition cannot be loaded (R104).
[[nodiscard]] common::model::Result<std::optional<GroupRecord>> decode_record(
    common::model::BytesView key, std::optional<common::model::BytesView> value);

}  // namespace broker::group
