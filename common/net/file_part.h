// A part of an answer that lies in a file: for everybody a Buffer like any other, for a Socket something that it sends
// out of the page cache (sendfile) without looking at it. Thread-safe as Buffer is.
#pragma once
#include <functional>
#include <memory>

#include "common/disk/disk.h"
#include "common/model/bytes.h"
#include "common/model/result.h"
#include "common/shard.h"

namespace common::net {

struct FilePart {
  std::shared_ptr<const disk::FilePiece> piece;
  size_t size = 0;  // so much of it, from its beginning
  // The same bytes, read and checked, for when they have left memory before their turn comes; on the caller's shard.
  std::function<Awaitable<model::Result<model::BufferChain>>(Shard& here)> read_again;
};

[[nodiscard]] model::Buffer buffer_of(FilePart part);
// Null: the buffer, or what it is a slice of, lies in memory of its own.
[[nodiscard]] const FilePart* file_part_of(const model::Buffer& buffer);

}  // namespace common::net
