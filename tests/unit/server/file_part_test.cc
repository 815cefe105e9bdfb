// Answers of which parts lie in files, from a Socket to its peer.
#include <sys/socket.h>

#include <cerrno>
#include <limits>
#include <optional>
#include <string>

#include <catch2/catch.hpp>

#include "common/net/file_part.h"
#include "support/socket_peer.h"

using namespace common::net;
using common::Awaitable;
using common::Shard;
using common::disk::IoFault;
using common::disk::IoResult;
using common::model::Buffer;
using common::model::BufferChain;
using common::model::BytesView;
using common::model::ErrorCode;
using common::model::Result;
using test_support::SocketPeer;

namespace {

// A file of which only the beginning stays in memory.
class Piece final : public common::disk::FilePiece {
 public:
  explicit Piece(std::string bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] BytesView view() const override { return common::model::as_bytes(bytes_); }
  [[nodiscard]] bool is_as_lent(size_t from, size_t length) const override { return from + length <= stays; }
  [[nodiscard]] IoResult<size_t> send(int socket, size_t from, size_t length) const override {
    if (from >= ends) return common::disk::io_failure(IoFault::failed, "shorter than it was");
    const ssize_t n = ::send(socket, bytes_.data() + from, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN ? IoResult<size_t>(size_t{0}) : common::disk::io_failure(IoFault::failed, "send");
    by_itself += static_cast<size_t>(n);
    return static_cast<size_t>(n);
  }

  size_t stays = std::numeric_limits<size_t>::max();
  size_t ends = std::numeric_limits<size_t>::max();
  mutable size_t by_itself = 0;  // bytes that were sent without anybody's looking at them

 private:
  std::string bytes_;
};

std::string text_of(size_t size) {
  std::string text;
  while (text.size() < size) text += std::to_string(text.size()) + " ";
  text.resize(size);
  return text;
}

// "head", the piece's first part.size bytes, "between", ten bytes of it again, "tail".
struct Answer {
  explicit Answer(const FilePart& part) {
    const Buffer whole = buffer_of(part);
    chain.append(Buffer::copy_of("head"));
    chain.append(whole);
    chain.append(Buffer::copy_of("between"));
    chain.append(whole.slice(5, 10));
    chain.append(Buffer::copy_of("tail"));
    const std::string text(whole.text());
    bytes = "head" + text + "between" + text.substr(5, 10) + "tail";
  }
  // What the peer got once all that can be written is.
  std::string send() {
    SocketPeer peer;
    Socket socket = peer.our_socket();
    SocketPeer::shard().spawn("writer", write(socket));
    SocketPeer::turn();
    std::string heard = peer.hear();
    taken = socket.bytes_written();
    return heard;
  }
  Awaitable<void> write(Socket& socket) { outcome = co_await socket.write(chain); }

  BufferChain chain;
  std::string bytes;
  uint64_t taken = 0;
  std::optional<Result<void>> outcome;
};

}  // namespace

TEST_CASE("parts of files go out in their places, unseen") {
  const auto piece = std::make_shared<Piece>(text_of(900'000));
  FilePart part{.piece = piece, .size = 800'000, .read_again = {}};
  Answer answer(part);
  CHECK(answer.send() == answer.bytes);
  CHECK(answer.outcome->has_value());
  CHECK(piece->by_itself == 800'010);
  CHECK(answer.taken == answer.bytes.size());
}

TEST_CASE("a buffer of memory is no part of a file, and one that is stays one where it is copied and cut") {
  const auto piece = std::make_shared<Piece>(text_of(1'000));
  const Buffer whole = buffer_of({.piece = piece, .size = 900, .read_again = {}});
  CHECK(whole.text() == text_of(1'000).substr(0, 900));
  REQUIRE(file_part_of(whole) != nullptr);
  CHECK(file_part_of(whole)->piece == piece);
  CHECK(file_part_of(whole.slice(10, 5)) == file_part_of(whole));
  CHECK(file_part_of(Buffer::copy_of("memory")) == nullptr);
  CHECK(file_part_of(Buffer()) == nullptr);
}

TEST_CASE("what has left memory before its turn is read and checked again, and nothing is sent twice") {
  const std::string text = text_of(800'000);
  const auto piece = std::make_shared<Piece>(text);
  piece->stays = GENERATE(0, 10, 300'000, 799'999);
  int reads = 0;
  FilePart part{.piece = piece, .size = text.size(), .read_again = {}};
  part.read_again = [&](Shard& here) -> Awaitable<Result<BufferChain>> {
    ++reads;
    CHECK(&here == &SocketPeer::shard());
    co_return BufferChain(Buffer::copy_of(text));
  };
  Answer answer(part);
  CHECK(answer.send() == answer.bytes);
  CHECK(answer.outcome->has_value());
  CHECK(piece->by_itself < text.size());
  CHECK(reads >= 1);
  CHECK(answer.taken == answer.bytes.size());
}

TEST_CASE("an answer whose bytes are not to be had any more is not told to be whole") {
  const std::string text = text_of(800'000);
  const auto piece = std::make_shared<Piece>(text);
  FilePart part{.piece = piece, .size = text.size(), .read_again = {}};
  part.read_again = [&](Shard&) -> Awaitable<Result<BufferChain>> {
    co_return common::model::fail(ErrorCode::offset_out_of_range, "deleted");
  };
  SECTION("they cannot be read") {
    piece->stays = 300'000;
  }
  SECTION("others lie there") {
    piece->stays = 300'000;
    part.read_again = [&](Shard&) -> Awaitable<Result<BufferChain>> {
      co_return BufferChain(Buffer::copy_of(text.substr(1)));
    };
  }
  SECTION("the file is shorter than it was") {
    piece->ends = 200'000;
  }
  Answer answer(part);
  const std::string heard = answer.send();
  REQUIRE(answer.outcome);
  CHECK_FALSE(answer.outcome->has_value());
  CHECK(heard.size() < text.size());
  CHECK(answer.bytes.starts_with(heard));
}
