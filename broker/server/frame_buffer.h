// The memory of a request that is being read (R109). What a client claims costs nothing until it comes: there is room
// for what has been charged and at most as much again, so that four bytes cannot ask for a hundred megabytes. A request
// of Kafka's default batch has all its room at once; a larger one is moved a few times, unless its connection has shown
// that it sends such.
// No memory is an answer and no exception: it costs a client its connection, not everybody the broker.
// Thread-compatible, lives with its connection.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <utility>

#include "common/model/bytes.h"
#include "common/model/mutant.h"

namespace broker::server {

class FrameBuffer {
 public:
  static constexpr size_t least_room = 20 << 10;
  using Reallocate = void* (*)(void* memory, size_t size);

  explicit FrameBuffer(size_t length, Reallocate reallocate = &FrameBuffer::from_heap)
      : length_(length), reallocate_(reallocate) {}

  // For the first `end` bytes, `length` at most; what is there stays. False: there is no memory.
  [[nodiscard]] bool make_room(size_t end) {
    if (end <= room_) return true;
    size_t wanted = std::min(length_, std::max({end, 2 * room_, least_room}));
    if (common::model::mutant<"R109-allocates-what-is-claimed">()) wanted = length_;
    void* const moved = reallocate_(memory_.get(), wanted);
    if (moved == nullptr) return false;
    [[maybe_unused]] const std::byte* const gone = memory_.release();
    memory_.reset(static_cast<std::byte*>(moved));  // uninitialised on purpose
    room_ = wanted;
    return true;
  }

  [[nodiscard]] std::byte* data() { return memory_.get(); }
  [[nodiscard]] size_t room() const { return room_; }

  // All of it, once it is there.
  [[nodiscard]] common::model::Buffer take() {
    NARU_CHECK(room_ == length_, "{} of {}", room_, length_);
    const common::model::BytesView view(memory_.get(), length_);
    room_ = 0;
    return {std::shared_ptr<const void>(std::move(memory_)), view};
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  static void* from_heap(void* memory, size_t size) { return std::realloc(memory, size); }

  const size_t length_;
  const Reallocate reallocate_;
  std::unique_ptr<std::byte, Free> memory_;
  size_t room_ = 0;
};

}  // namespace broker::server
