// Four shards of one broker, each with its replicas, on real threads and a real disk: clients on every shard write to
// and read from partitions of every shard while topics come and go. It finds nothing by itself; the thread sanitizer
// does. What it checks is that each client reads back what it wrote, in order.
#include <catch2/catch.hpp>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "broker/partition/directories.h"
#include "broker/partition/replica_manager.h"
#include "broker/partition/router.h"
#include "common/disk/kernel_disk.h"
#include "common/log/log_directory.h"
#include "common/log/tail_cache.h"
#include "common/records/batch_builder.h"
#include "common/shard.h"
#include "controller/metadata/image.h"

namespace {

using namespace broker::partition;
using namespace controller::metadata;
using common::Awaitable;
using common::Shard;
using common::model::Buffer;
using common::model::SeededRandom;

constexpr int shard_count = 4;
constexpr int topic_count = 3;
constexpr int partitions_per_topic = 6;
constexpr int rounds = 300;
const BrokerId self{1};
const BrokerEpoch epoch{1};

// Counts down from several threads; the main thread waits.
class Countdown {
 public:
  explicit Countdown(int count) : left_(count) {}
  void done() {
    const std::lock_guard lock(mutex_);
    --left_;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::minutes(4), [&] { return left_ == 0; }));
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int left_;
};

// Runs `f` on the shard and waits for it.
void run_on(Shard& shard, std::function<void()> f) {
  Countdown countdown(1);
  shard.post([&] {
    f();
    countdown.done();
  });
  countdown.wait();
}

class NoProposals final : public AlterPartitionSender {
 public:
  void send(IsrProposal, Done done) override { done(common::model::fail(ErrorCode::not_controller)); }
};

class PlainSettings final : public TopicSettingsSource {
 public:
  [[nodiscard]] TopicSettings settings_of(const MetadataImage&, std::string_view) const override {
    TopicSettings settings;
    settings.log.segment_bytes = 64 * 1024;  // many rolls
    settings.log.file_delete_delay = std::chrono::milliseconds(0);
    return settings;
  }
};

TopicId topic_id(uint64_t number) {
  return TopicId::from_halves(7, number);
}

std::vector<MetadataRecord> creation_of(uint64_t number) {
  std::vector<MetadataRecord> records;
  records.emplace_back(TopicRecord{.topic_id = topic_id(number), .name = "t" + std::to_string(number)});
  for (int p = 0; p < partitions_per_topic; ++p) {
    PartitionState state;
    state.replicas = {self};
    state.isr = {self};
    state.leader = self;
    records.emplace_back(PartitionRecord{.topic_id = topic_id(number), .partition = PartitionIndex(p), .state = state});
  }
  return records;
}

// One broker's shards, disks and managers, put together and taken apart as the broker does it.
class Broker {
 public:
  explicit Broker(const std::string& directory) : pool_({}) {
    for (int i = 0; i < shard_count; ++i) {
      shards_.push_back(common::make_thread_shard(i, clock_, "stress" + std::to_string(i)));
      Shard& shard = *shards_.back();
      disks_.push_back(
          common::disk::make_kernel_disk(pool_, [&shard](std::function<void()> f) { shard.post(std::move(f)); }));
      caches_.push_back(std::make_unique<common::log::TailCache>(256 * 1024));
    }
    run_on(*shards_[0], [&] {
      auto opened = common::log::LogDirectory::open(*disks_[0], directory);
      REQUIRE(opened);
      REQUIRE((*opened)->give_identity({.cluster_id = "stress", .node_id = self, .directory_id = topic_id(99)}));
      std::vector<std::unique_ptr<common::log::LogDirectory>> all;
      all.push_back(std::move(*opened));
      directories_ = std::make_unique<Directories>(DirectoriesOptions{.home = shards_[0].get(),
                                                                      .disk = disks_[0].get(),
                                                                      .random = &random_,
                                                                      .logger = common::Logger("stress"),
                                                                      .low_space_bytes = 0},
                                                   std::move(all));
    });
    std::vector<ReplicaManager*> managers;
    std::vector<Shard*> shards;
    for (int i = 0; i < shard_count; ++i) {
      const auto at = static_cast<size_t>(i);
      run_on(*shards_[at], [&] {
        managers_.push_back(
            std::make_unique<ReplicaManager>(ReplicaManagerOptions{.shard = shards_[at].get(),
                                                                   .shard_index = i,
                                                                   .shard_count = shard_count,
                                                                   .self = self,
                                                                   .disk = disks_[at].get(),
                                                                   .tail_cache = caches_[at].get(),
                                                                   .directories = directories_.get(),
                                                                   .settings = &settings_,
                                                                   .sender = &sender_,
                                                                   .logger = common::Logger("stress"),
                                                                   .tick_interval = std::chrono::milliseconds(5)}));
        REQUIRE(managers_.back()->open_logs({}));
      });
      managers.push_back(managers_.back().get());
      shards.push_back(shards_[at].get());
    }
    router_ = std::make_unique<PartitionRouter>(shards, managers);
    run_on(*shards_[0], [&] {
      REQUIRE(directories_->begin_run());
      directories_->start(shards, managers);
    });
    for (size_t i = 0; i < managers_.size(); ++i) {
      run_on(*shards_[i], [&] {
        managers_[i]->start();
        managers_[i]->set_broker_epoch(epoch);
      });
    }
    RegisterBrokerRecord registration;
    registration.broker_id = self;
    registration.epoch = epoch;
    publish({registration});
    publish({UnfenceBrokerRecord{.broker_id = self, .epoch = epoch}});
  }

  ~Broker() {
    Countdown closed(1);
    shards_[0]->spawn("close", close(closed));
    closed.wait();
    for (size_t i = 0; i < managers_.size(); ++i) run_on(*shards_[i], [&] { managers_[i].reset(); });
    run_on(*shards_[0], [&] { directories_.reset(); });
    for (size_t i = 0; i < disks_.size(); ++i) run_on(*shards_[i], [&] { disks_[i].reset(); });
    for (const auto& shard : shards_) common::stop_shard(*shard);
  }

  // The next image, to every shard. Main thread.
  void publish(std::vector<MetadataRecord> records) {
    const LogIndex index(next_index_++);
    auto applied = apply(image_, records, index);
    REQUIRE(applied);
    image_ = applied->image;
    const auto image = std::make_shared<const MetadataImage>(std::move(applied->image));
    const auto delta = std::make_shared<const ImageDelta>(std::move(applied->delta));
    for (size_t i = 0; i < managers_.size(); ++i) {
      shards_[i]->post([this, i, image, delta] { managers_[i]->on_image(image, delta); });
    }
  }

  [[nodiscard]] Shard& shard(int i) const { return *shards_[static_cast<size_t>(i)]; }
  [[nodiscard]] const PartitionRouter& router() const { return *router_; }

 private:
  Awaitable<void> close(Countdown& closed) {
    const auto result = co_await directories_->close();
    NARU_CHECK(result.has_value(), "{}", result.error().message);
    closed.done();
  }

  common::SystemClock clock_;
  common::disk::DiskPool pool_;
  SeededRandom random_{1};
  PlainSettings settings_;
  NoProposals sender_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::unique_ptr<common::disk::Disk>> disks_;
  std::vector<std::unique_ptr<common::log::TailCache>> caches_;
  std::unique_ptr<Directories> directories_;
  std::vector<std::unique_ptr<ReplicaManager>> managers_;
  std::unique_ptr<PartitionRouter> router_;
  MetadataImage image_;
  int64_t next_index_ = 1;
};

Buffer batch_of(int client, int round) {
  common::records::BatchBuilder builder;
  const std::string text = std::to_string(client) + ":" + std::to_string(round) + std::string(500, '.');
  for (int i = 0; i < 4; ++i) {
    builder.add({.timestamp = common::model::TimestampMs(1'700'000'000'000),
                 .key = {},
                 .value = common::model::as_bytes(text),
                 .headers = {}});
  }
  return builder.build();
}

struct Tally {
  std::atomic<int64_t> acknowledged = 0;
  std::atomic<int64_t> refused = 0;
  std::atomic<int64_t> read_back = 0;
};

// Waits until the partition is led here; false after a long time.
Awaitable<bool> until_led(const Broker& broker, Shard& here, TopicIdPartition id) {
  const common::Instant give_up = here.now() + std::chrono::minutes(1);
  while (here.now() < give_up) {
    const auto led = co_await broker.router().on_home(here, id, [](Partition& p) { return p.is_leader(); });
    if (led && *led) co_return true;
    co_await common::sleep_until(here, here.now() + std::chrono::milliseconds(1));
  }
  co_return false;
}

Awaitable<void> one_client(const Broker& broker, Shard& here, int number, Tally& tally, Countdown& finished) {
  const TopicIdPartition id{topic_id(static_cast<uint64_t>(number % topic_count)),
                            PartitionIndex((number / topic_count) % partitions_per_topic)};
  const bool led = co_await until_led(broker, here, id);
  NARU_CHECK(led, "partition {} of client {} was never led", id.partition, number);
  for (int round = 0; round < rounds; ++round) {
    Buffer batch = batch_of(number, round);
    ProduceOptions options;
    options.acks = round % 2 == 0 ? Acks::all : Acks::leader;
    options.deadline = here.now() + std::chrono::minutes(1);
    const auto written = co_await broker.router().on_home(
        here, id, [&batch, options](Partition& p) { return p.produce(std::move(batch), options); });
    if (!written || written->error != ErrorCode::none || !written->first_offset) {
      tally.refused.fetch_add(1);
      continue;
    }
    tally.acknowledged.fetch_add(1);
    ReadOptions reading;
    reading.from = *written->first_offset;
    reading.max_bytes = 1;
    const auto read = co_await broker.router().on_home(here, id, [reading](Partition& p) { return p.read(reading); });
    // The records' buffers were made on this shard, live in the other's cache, and are looked at here again.
    if (read && !read->records.empty()) {
      const Buffer flat = read->records.flatten();
      if (flat.text().find(std::to_string(number) + ":" + std::to_string(round) + ".") != std::string_view::npos)
        tally.read_back.fetch_add(1);
    }
  }
  finished.done();
}

}  // namespace

TEST_CASE("clients of all shards on partitions of all shards, while topics come and go") {
  const std::filesystem::path directory =
      std::filesystem::temp_directory_path() / ("naru-stress-" + std::to_string(getpid()));
  std::filesystem::remove_all(directory);
  constexpr int clients = 3 * partitions_per_topic;
  Tally tally;
  {
    Broker broker(directory.string());
    for (uint64_t t = 0; t < topic_count; ++t) broker.publish(creation_of(t));
    Countdown finished(clients);
    for (int c = 0; c < clients; ++c) {
      Shard& here = broker.shard(c % shard_count);
      here.spawn("client", one_client(broker, here, c, tally, finished));
    }
    // Meanwhile other topics come and go under the same managers.
    for (uint64_t t = 100; t < 120; ++t) {
      broker.publish(creation_of(t));
      broker.publish({RemoveTopicRecord{.topic_id = topic_id(t)}});
    }
    finished.wait();
  }
  CHECK(tally.acknowledged == clients * rounds);
  CHECK(tally.refused == 0);
  CHECK(tally.read_back == clients * rounds);
  std::filesystem::remove_all(directory);
}
