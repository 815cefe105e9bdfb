// Which records the message browser shows, and on whose thread it looks for them.
#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "broker/http/message_search.h"
#include "common/clock.h"
#include "common/records/batch_builder.h"

using namespace broker::http;
using namespace std::chrono_literals;
using common::model::Buffer;
using common::model::BytesView;
using common::model::Offset;
using common::model::Result;
using common::model::TimestampMs;

namespace {

BytesView bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// A packed batch of records whose keys are these.
void append_batch(std::vector<std::byte>& all, int64_t base, const std::vector<std::string>& keys) {
  common::records::BatchOptions options;
  options.codec = common::records::Codec::gzip;
  options.base_offset = Offset(base);
  common::records::BatchBuilder builder(options);
  const std::string value = "value";
  for (const std::string& key : keys) builder.add({TimestampMs(1), bytes_of(key), bytes_of(value), {}});
  const Buffer batch = builder.build();
  all.insert(all.end(), batch.view().begin(), batch.view().end());
}

struct Looking {
  void begin(const std::vector<std::byte>& batches, WantedMessages wanted, int64_t from = 0) {
    FoundMessages found;
    found.next = Offset(from);
    here->spawn("look", look(this, Buffer::copy_of(batches), std::move(wanted), std::move(found)));
  }
  static common::Awaitable<void> look(Looking* self, Buffer batches, WantedMessages wanted, FoundMessages found) {
    self->answer =
        co_await look_through(*self->here, *self->reader, std::move(batches), std::move(wanted), std::move(found));
  }
  static void run(boost::asio::io_context& io) {
    io.restart();
    io.poll();
  }
  FoundMessages end() {
    for (int turns = 0; !answer && turns < 10; ++turns) {
      run(here_io);
      run(reader_io);
    }
    REQUIRE(answer);
    REQUIRE(*answer);
    return **answer;
  }

  common::SystemClock clock;
  boost::asio::io_context here_io;
  boost::asio::io_context reader_io;
  std::unique_ptr<common::Shard> here = common::make_manual_shard(0, clock, here_io);
  std::unique_ptr<common::Shard> reader = common::make_manual_shard(1, clock, reader_io);
  std::optional<Result<FoundMessages>> answer;
};

std::vector<int64_t> offsets(const FoundMessages& found) {
  std::vector<int64_t> all;
  for (const auto& record : found.records) all.push_back(record["offset"]);
  return all;
}

}  // namespace

TEST_CASE("while records are looked through, the HTTP shard does other things") {
  Looking l;
  std::vector<std::byte> batches;
  append_batch(batches, 0, {"a"});
  l.begin(batches, {.until = l.clock.now() + 1h});
  Looking::run(l.here_io);
  bool is_free = false;
  l.here->post([&] { is_free = true; });
  Looking::run(l.here_io);
  CHECK(is_free);
  CHECK_FALSE(l.answer);
  Looking::run(l.reader_io);
  CHECK_FALSE(l.answer);  // that is the HTTP shard's
  CHECK(offsets(l.end()) == std::vector<int64_t>{0});
}

TEST_CASE("records are chosen by offset, key and count") {
  Looking l;
  std::vector<std::byte> batches;
  append_batch(batches, 10, {"red", "blue", "red"});
  append_batch(batches, 13, {"dark red", "green", "red"});
  SECTION("from where the search goes on") {
    l.begin(batches, {.until = l.clock.now() + 1h}, 12);
    const FoundMessages found = l.end();
    CHECK(offsets(found) == std::vector<int64_t>{12, 13, 14, 15});
    CHECK(found.next == Offset(16));
    CHECK_FALSE(found.full);
  }
  SECTION("by part of the key") {
    l.begin(batches, {.key = "red", .until = l.clock.now() + 1h});
    CHECK(offsets(l.end()) == std::vector<int64_t>{10, 12, 13, 15});
  }
  SECTION("no more than wanted, and it can go on behind them") {
    l.begin(batches, {.key = "red", .count = 3, .until = l.clock.now() + 1h});
    const FoundMessages found = l.end();
    CHECK(offsets(found) == std::vector<int64_t>{10, 12, 13});
    CHECK(found.next == Offset(14));
    CHECK(found.full);
  }
}

TEST_CASE("when the time is over, one batch is looked at and no more: the search moves on all the same") {
  Looking l;
  std::vector<std::byte> batches;
  append_batch(batches, 0, {"a", "b"});
  append_batch(batches, 2, {"c"});
  l.begin(batches, {.until = l.clock.now() - 1h});
  const FoundMessages found = l.end();
  CHECK(offsets(found) == std::vector<int64_t>{0, 1});
  CHECK(found.next == Offset(2));
}

TEST_CASE("a search that is given up looks at nothing more, so that a server that ends need not wait for it") {
  Looking l;
  std::vector<std::byte> batches;
  append_batch(batches, 0, {"a", "b"});
  std::atomic<bool> given_up = false;
  l.begin(batches, {.until = l.clock.now() + 1h, .given_up = &given_up});
  Looking::run(l.here_io);  // it stands before the reader, as it may behind others
  given_up = true;
  const FoundMessages found = l.end();
  CHECK(found.records.empty());
  CHECK(found.next == Offset(0));
}

TEST_CASE("what is no batch is told") {
  Looking l;
  l.begin(std::vector<std::byte>(20, std::byte{7}), {.until = l.clock.now() + 1h});
  for (int turns = 0; !l.answer && turns < 10; ++turns) {
    Looking::run(l.here_io);
    Looking::run(l.reader_io);
  }
  REQUIRE(l.answer);
  CHECK(l.answer->error().code == common::model::ErrorCode::corrupt_message);
}
