#include "broker/replication/grpc_frames.h"

#include <memory>
#include <vector>

namespace broker::replication {

using common::model::Buffer;
using common::model::BytesView;
using common::model::ErrorCode;
using common::model::fail;
using common::model::Result;

namespace {

constexpr size_t prefix_bytes = 5;  // gRPC writes its own

// Keeps the buffer's owner alive for as long as gRPC holds the slice.
grpc::Slice slice_of(const Buffer& buffer) {
  auto* held = new Buffer(buffer);
  return {const_cast<std::byte*>(buffer.data()), buffer.size(), [](void* b) { delete static_cast<Buffer*>(b); }, held};
}

grpc::ByteBuffer byte_buffer_of(const BufferChain& message) {
  std::vector<grpc::Slice> slices;
  slices.reserve(message.parts().size());
  for (const Buffer& part : message.parts()) {
    slices.push_back(slice_of(slices.empty() ? part.slice(prefix_bytes) : part));
  }
  return {slices.data(), slices.size()};
}

Result<BufferChain> chain_of(const grpc::ByteBuffer& bytes) {
  std::vector<grpc::Slice> slices;
  if (!const_cast<grpc::ByteBuffer&>(bytes).Dump(&slices).ok())
    return fail(ErrorCode::invalid_request, "an unreadable frame");
  BufferChain chain;
  for (grpc::Slice& slice : slices) {
    auto held = std::make_shared<const grpc::Slice>(std::move(slice));
    const BytesView view(reinterpret_cast<const std::byte*>(held->begin()), held->size());
    chain.append(Buffer(std::move(held), view));
  }
  return chain;
}

}  // namespace

grpc::ByteBuffer encode(const FollowerHello& hello) {
  return byte_buffer_of(encode_message(hello));
}
grpc::ByteBuffer encode(const FollowerFrame& frame) {
  return byte_buffer_of(encode_message(frame));
}
grpc::ByteBuffer encode(const LeaderHello& hello) {
  return byte_buffer_of(encode_message(hello));
}
grpc::ByteBuffer encode(const LeaderFrame& frame) {
  return byte_buffer_of(encode_message(frame));
}

Result<FromFollower> decode_from_follower(const grpc::ByteBuffer& bytes) {
  Result<BufferChain> chain = chain_of(bytes);
  if (!chain) return tl::unexpected(std::move(chain.error()));
  return decode_from_follower(*chain);
}

Result<FromLeader> decode_from_leader(const grpc::ByteBuffer& bytes) {
  Result<BufferChain> chain = chain_of(bytes);
  if (!chain) return tl::unexpected(std::move(chain.error()));
  return decode_from_leader(*chain);
}

}  // namespace broker::replication
