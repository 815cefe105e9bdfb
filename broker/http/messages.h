// The message browser: a few records of one partition from an offset or a time on, filtered by key. Bounded in bytes
// read, records looked at and time; answers where to go on. Reads whichever replica this broker has, up to what is
// committed.
//
// Runs on the HTTP shard; reads on the partition's, and looks through what was read on a thread for that.
#pragma once
#include "broker/http/message.h"
#include "broker/http/message_search.h"
#include "broker/http/parts.h"
#include "controller/metadata/image.h"

namespace broker::http {

struct MessageQuery {
  std::string topic;
  int32_t partition = 0;
  std::optional<int64_t> from_offset;
  std::optional<int64_t> from_time;  // milliseconds
  bool newest = false;               // the last `count` offsets
  std::string key;                   // part of the key
  size_t count = 50;
};
// An error: what is wrong with the parameters, in words.
[[nodiscard]] common::model::Result<MessageQuery> query_from(const Request& request);

// `reader` does what takes long; it has a shard.
[[nodiscard]] common::Awaitable<Response> browse(const ProcessParts& process, const BrokerParts& parts,
                                                 MessageReader& reader, controller::metadata::ImagePtr image,
                                                 MessageQuery query);

}  // namespace broker::http
