// Which of the records that were read the message browser shows, and how: as JSON, cut to what a person can look at.
//
// Why apart from the HTTP shard: what was read is small, what it unpacks to is not. A quarter of a megabyte may stand
// for 256 MiB, which takes a second to go through, and meanwhile /livez would have to wait.
#pragma once
#include <atomic>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "common/model/bytes.h"
#include "common/model/result.h"
#include "common/model/types.h"
#include "common/shard.h"

namespace broker::http {

struct WantedMessages {
  std::string key;  // part of the key; empty: all
  size_t count = 50;
  common::Instant until;                        // no batch is begun after it, but the first
  const std::atomic<bool>* given_up = nullptr;  // once it is set, nothing more is looked at
};

struct FoundMessages {
  nlohmann::json records = nlohmann::json::array();
  size_t bytes = 0;            // of keys, values and headers, about
  common::model::Offset next;  // where the search goes on
  bool full = false;
};

// A thread for it beside the one of `here`. It may be asked for at any time, also when no descriptor or thread is left.
[[nodiscard]] common::model::Result<std::unique_ptr<common::Shard>> make_reader(const common::Shard& here);

// Who looks: one thread, for all searches.
struct MessageReader {
  std::unique_ptr<common::Shard> shard;
  std::atomic<bool> given_up = false;  // the server ends: it waits for every search, and nobody for what they find
};

// Goes on from `found` through whole batches, on `reader`, one look after the other; answers on `here`. Memory is
// bounded by one record, time by `until` and what one batch may unpack to.
[[nodiscard]] common::Awaitable<common::model::Result<FoundMessages>> look_through(common::Shard& here,
                                                                                   common::Shard& reader,
                                                                                   common::model::Buffer batches,
                                                                                   WantedMessages wanted,
                                                                                   FoundMessages found);

}  // namespace broker::http
