// What a partition on a real file system hands out for sockets, and its reading again for one that was slow.
#include <stdlib.h>

#include <filesystem>
#include <thread>

#include "common/disk/kernel_disk.h"
#include "common/net/file_part.h"
#include "partition/partition_fixture.h"

using namespace sim;
using common::model::Result;

namespace {

// One replica, alone in its ISR; a connection's shard beside that of the partition, both run by the test's thread.
struct OnRealFiles {
  OnRealFiles() {
    common::configure_logging(common::LogLevel::off, common::LogFormat::text);
    std::string name = (std::filesystem::temp_directory_path() / "naru-lent-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root = name;
    disk = common::disk::make_kernel_disk(pool, [this](std::function<void()> f) { home.post(std::move(f)); });
    state.self = BrokerId(1);
    state.broker_epoch = epoch_of(state.self);
    PartitionOptions p;
    p.id = {common::model::TopicId::from_halves(3, 3), PartitionIndex(0)};
    p.topic = "orders";
    p.directory = root;
    common::log::LogEnvironment environment;
    environment.disk = disk.get();
    auto log = common::log::Log::open(environment, root + "/orders-0", {}, {}, TimestampMs(1000));
    REQUIRE(log.has_value());
    p.log = std::move(*log);
    p.state = &state;
    p.sender = &proposals;
    partition = std::make_shared<Partition>(home, std::move(p));
    on_home([&] { partition->assign(Fixture::assignment(1, 1, {1}, 0, {1})); });
  }
  ~OnRealFiles() {
    if (partition) end();
    disk.reset();
    std::filesystem::remove_all(root);
  }

  void on_home(std::function<void()> f) {
    home.post(std::move(f));
    home.run();
  }
  void end() {
    on_home([&] {
      partition->release_log(ErrorCode::not_leader_or_follower).reset();
      partition.reset();
    });
  }
  template <class F>
  auto answer_of(SimShard& shard, F f) {
    using T = typename std::invoke_result_t<F>::value_type;
    const auto answer = std::make_shared<Fixture::Answer<T>>();
    shard.post([&] { shard.spawn("test", Fixture::keep<T>(f(), answer)); });
    while (!answer->value) {
      home.run();
      connection.run();
      std::this_thread::yield();
    }
    return std::move(*answer->value);
  }
  void produce(size_t value_bytes) {
    common::records::BatchBuilder builder;
    const std::string value(value_bytes, 'v');
    builder.add({.timestamp = TimestampMs(1000), .key = {}, .value = as_bytes(value), .headers = {}});
    ProduceOptions o;
    o.deadline = clock.now() + 10s;
    const auto produced = answer_of(home, [&] { return partition->produce(builder.build(), o); });
    REQUIRE(produced.error == ErrorCode::none);
  }
  common::model::BufferChain read(int64_t from, size_t max_bytes, bool to_a_socket) {
    ReadOptions o;
    o.from = Offset(from);
    o.max_bytes = max_bytes;
    o.to_a_socket = to_a_socket;
    auto result = answer_of(home, [&] { return partition->read(o); });
    REQUIRE(result);
    return std::move(result->records);
  }

  std::string root;
  common::disk::DiskPool pool{{}};
  SimClock clock;
  SimShard home{0, clock};
  SimShard connection{1, clock};
  std::unique_ptr<common::disk::Disk> disk;
  ShardState state;
  HeldProposals proposals;
  std::shared_ptr<Partition> partition;
};

}  // namespace

TEST_CASE("what a partition lends to a socket is what it would have read, also when it has to be read again") {
  OnRealFiles f;
  for (int i = 0; i < 40; ++i) f.produce(16'000);
  const common::model::BufferChain first = f.read(0, 40'000, true);  // two batches; now it is known where the third lies
  REQUIRE(first.size() > 32'000);
  REQUIRE(first.size() <= 40'000);
  const common::model::BufferChain lent = f.read(2, 300'000, true);
  const common::model::BufferChain copied = f.read(2, 300'000, false);
  CHECK(lent.size() > 280'000);
  CHECK(lent.flatten().text() == copied.flatten().text());
  REQUIRE(copied.parts().size() == 1);
  CHECK(common::net::file_part_of(copied.parts().front()) == nullptr);
  REQUIRE(lent.parts().size() == 1);
  const common::net::FilePart* const part = common::net::file_part_of(lent.parts().front());
  if (part == nullptr) {  // a kernel that does not tell what lies in memory: nobody lends anything
    const auto file = *f.disk->open(f.root + "/any", common::disk::OpenMode::create_if_missing);
    REQUIRE(file->write_at(0, as_bytes("any")));
    CHECK(file->lend(0, 3) == nullptr);
    return;
  }
  CHECK(part->size == lent.size());

  const auto again = f.answer_of(f.connection, [&] { return part->read_again(f.connection); });
  REQUIRE(again);
  CHECK(again->flatten().text() == copied.flatten().text());
  // From now on something may have come from the medium.
  const common::model::BufferChain later = f.read(2, 300'000, true);
  REQUIRE(later.parts().size() == 1);
  CHECK(common::net::file_part_of(later.parts().front()) == nullptr);
  CHECK(later.flatten().text() == copied.flatten().text());

  f.end();
  const auto gone = f.answer_of(f.connection, [&] { return part->read_again(f.connection); });
  REQUIRE_FALSE(gone);
  CHECK(gone.error().code == ErrorCode::not_leader_or_follower);
}
