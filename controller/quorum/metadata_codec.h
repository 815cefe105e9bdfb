// Metadata records as stored bytes and back (proto/cluster/metadata.proto). One batch is the payload of one Raft entry;
// a snapshot holds the records that make an image.
//
// Pure functions.
#pragma once
#include <vector>

#include "common/model/bytes.h"
#include "controller/metadata/image.h"

namespace controller::quorum {

using common::model::Buffer;
using common::model::BytesView;
using common::model::Result;

[[nodiscard]] Buffer encode_records(const std::vector<metadata::MetadataRecord>& records);
// A format or record version that is newer than ours, an unknown record, or bytes that do not parse: CORRUPT_MESSAGE or
// UNSUPPORTED_VERSION. For a committed batch that is fatal to the node (R18).
[[nodiscard]] Result<std::vector<metadata::MetadataRecord>> decode_records(BytesView bytes);

[[nodiscard]] Buffer encode_snapshot(const metadata::MetadataImage& image);
[[nodiscard]] Result<metadata::MetadataImage> decode_snapshot(BytesView bytes);

}  // namespace controller::quorum
