// A broker of one node with two shards and real partitions on a simulated disk, for the data handlers. Requests go in
// as frames through dispatch() and answers come out as a client would read them; several may be under way at once.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include "broker/api/fetch_session.h"
#include "broker/api/handler.h"
#include "broker/partition/directories.h"
#include "broker/partition/router.h"
#include "client_frames.h"
#include "common/config/config.h"
#include "common/disk/simulated_disk.h"
#include "common/log/tail_cache.h"
#include "common/logging.h"
#include "common/records/batch_builder.h"

namespace broker::api::test {

namespace meta = controller::metadata;
namespace records = common::records;
using common::model::BrokerEpoch;
using common::model::LogIndex;
using common::model::PartitionIndex;
using common::model::TopicId;
using common::model::Uuid;

class FixedSettings final : public partition::TopicSettingsSource {
 public:
  partition::TopicSettings settings;
  partition::TopicSettings settings_of(const MetadataImage& /*image*/, std::string_view /*topic*/) const override {
    return settings;
  }
};

// A controller that never answers: the ISR stays as the test made it.
class SilentSender final : public partition::AlterPartitionSender {
 public:
  void send(partition::IsrProposal /*proposal*/, Done /*done*/) override {}
};

// The kernel's time, and what a test has skipped of it.
class SkippingClock final : public common::Clock {
 public:
  void skip(common::Duration by) { skipped_ += by; }
  common::Instant now() const override { return kernel_.now() + skipped_; }
  common::model::TimestampMs wall_now() const override { return kernel_.wall_now(); }

 private:
  common::SystemClock kernel_;
  common::Duration skipped_{0};
};

// A request under way.
struct Call {
  Call(common::Shard& shard, const server::ConnectionInfo& info, Buffer frame)
      : in_flight(shard, info, std::move(frame)) {}
  server::InFlight in_flight;
  std::optional<server::Outcome> outcome;
};

class DataFixture {
 public:
  static constexpr int shard_count = 2;
  static constexpr const char* data_directory = "data";  // of the simulated disk

  DataFixture() {
    common::configure_logging(common::LogLevel::error, common::LogFormat::text);
    for (int i = 0; i < shard_count; ++i) shards_.push_back(common::make_manual_shard(i, clock_, io_));
    common::disk::SimulatedDisk::Options disk_options;
    disk_options.scheduler = [this](common::model::Duration, std::function<void()> f) {
      if (disk_hangs) return held_.push_back(std::move(f));
      boost::asio::post(io_, std::move(f));
    };
    disk = std::make_unique<common::disk::SimulatedDisk>(disk_options);
    open_directory();
    for (int i = 0; i < shard_count; ++i) make_manager(i);
    std::vector<common::Shard*> shards;
    std::vector<partition::ReplicaManager*> managers;
    for (int i = 0; i < shard_count; ++i) {
      shards.push_back(shards_[i].get());
      managers.push_back(managers_[i].get());
    }
    router_ = std::make_unique<partition::PartitionRouter>(shards, managers);
    directories_->start(shards, managers);

    config.node_id = BrokerId(1);
    config.log_dirs = {data_directory};
    info_.listener = "PLAINTEXT";
    context.shard = shards_[0].get();
    context.node_id = config.node_id;
    context.config = &config;
    context.partitions = router_.get();
    context.directories = directories_.get();
    context.fetch_sessions = &sessions;
    apply(meta::ClusterRecord{Uuid::from_halves(1, 2)});
    for (int id = 1; id <= 2; ++id) register_broker(id);
    for (int i = 0; i < shard_count; ++i) on_shard(i, [this, i] { managers_[i]->set_broker_epoch(epoch_); });
    publish();
  }
  ~DataFixture() {
    // Whatever still waits ends before what it refers to.
    for (int i = 0; i < shard_count; ++i) on_shard(i, [this, i] { managers_[i].reset(); });
  }

  // A topic led by `leader`; both brokers know it, this one (1) holds a replica if it leads.
  TopicId create_topic(const std::string& name, int partitions, int leader = 1) {
    const TopicId id = Uuid::from_halves(99, ++topics_);
    apply(meta::TopicRecord{id, name});
    for (int p = 0; p < partitions; ++p) {
      meta::PartitionState state;
      state.replicas = {BrokerId(leader)};
      state.isr = state.replicas;
      state.leader = BrokerId(leader);
      apply(meta::PartitionRecord{id, PartitionIndex(p), state});
    }
    publish();
    if (leader == 1 && !disk_hangs) {
      for (int p = 0; p < partitions; ++p) {
        const common::model::TopicIdPartition one{id, PartitionIndex(p)};
        bool leads = false;
        while (!leads) {
          on_shard(router_->home_of(one), [&] {
            const auto found = router_->find_here(one);
            leads = found.has_value() && (*found)->is_leader();
          });
        }
      }
    }
    return id;
  }
  // The partition moves to a broker; this one holds no replica any more if it is another.
  void move_leader(const TopicId& id, int partition, int leader) {
    meta::PartitionChangeRecord change;
    change.topic_id = id;
    change.partition = PartitionIndex(partition);
    change.replicas = {BrokerId(1), BrokerId(2)};
    change.isr = {BrokerId(1), BrokerId(2)};
    change.leader = meta::LeaderChoice{BrokerId(leader)};
    apply(change);
    publish();
  }
  void set_config(const std::string& topic, const std::string& key, const std::string& value) {
    apply(meta::ConfigRecord{{meta::ResourceType::topic, topic}, key, value});
    publish();
  }

  template <class Request>
  static std::vector<std::byte> frame_of(const Request& request, int16_t version, const std::string& client) {
    const Buffer flat = request_frame(request, version, client);
    return {flat.view().begin(), flat.view().end()};
  }
  template <class Request>
  std::shared_ptr<Call> start(const Request& request, int16_t version, const std::string& client = "test-client") {
    return start_frame(frame_of(request, version, client));
  }
  std::shared_ptr<Call> start_frame(const std::vector<std::byte>& frame) {
    // Writable memory of its own, as from a socket.
    auto call = std::make_shared<Call>(*shards_[0], info_, Buffer::copy_of(common::model::BytesView(frame)));
    call->in_flight.watch_memory([this] { return is_memory_scarce; });
    if (responses != nullptr) call->in_flight.charge_answer_to(*responses, 0);
    shards_[0]->spawn("request", run(call));
    return call;
  }
  void finish(const std::shared_ptr<Call>& call) {
    run_until([&] { return call->outcome.has_value(); });
  }
  template <class Response>
  Response read(const std::shared_ptr<Call>& call, int16_t version) {
    finish(call);
    return response_in<Response>(*call->outcome, version);
  }
  template <class Response, class Request>
  Response ask(const Request& request, int16_t version, const std::string& client = "test-client") {
    return read<Response>(start(request, version, client), version);
  }

  // Runs the loop, one handler at a time, until `done`.
  void run_until(const std::function<bool()>& done) {
    while (!done()) {
      io_.restart();
      REQUIRE(io_.run_one_for(std::chrono::seconds(10)) == 1);
    }
  }
  // Runs everything that is ready now.
  void settle() {
    io_.restart();
    while (io_.poll_one() > 0) {
    }
  }

  // All that would be done in so much time is done now.
  void skip(common::Duration by) {
    const common::Instant before = clock_.now();
    clock_.skip(by);
    for (const auto& shard : shards_) {
      bool looked = false;
      // Earlier than everything that waits: the kernel's timer, which knows nothing of the leap, looks again.
      const common::TimerHandle look = shard->call_at(before, [&] { looked = true; });
      run_until([&] { return looked; });
    }
    settle();
  }

  common::config::BrokerConfig config;
  BrokerContext context;
  FixedSettings settings;
  std::unique_ptr<common::disk::SimulatedDisk> disk;
  common::model::SeededRandom random{1};
  FetchSessionCache sessions{{}, random};
  server::ResponseBudget* responses = nullptr;  // what answers are charged to, if a test minds
  bool is_memory_scarce = false;                // what requests are told
  bool disk_hangs = false;                      // what it is to do from now on is not done
  partition::PartitionRouter& router() { return *router_; }
  common::Shard& home() { return *shards_[0]; }

 private:
  void open_directory() {
    auto directory = common::log::LogDirectory::open(*disk, data_directory);
    if (!directory) FAIL(directory.error().message);
    REQUIRE((*directory)->give_identity({"cluster", BrokerId(1), Uuid::from_halves(5, 5)}).has_value());
    partition::DirectoriesOptions options;
    options.home = shards_[0].get();
    options.disk = disk.get();
    options.random = &random;
    options.low_space_bytes = 0;
    std::vector<std::unique_ptr<common::log::LogDirectory>> all;
    all.push_back(std::move(*directory));
    directories_ = std::make_unique<partition::Directories>(std::move(options), std::move(all));
    REQUIRE(directories_->begin_run().has_value());
  }
  void make_manager(int i) {
    partition::ReplicaManagerOptions options;
    options.shard = shards_[i].get();
    options.shard_index = i;
    options.shard_count = shard_count;
    options.self = BrokerId(1);
    options.disk = disk.get();
    options.tail_cache = &tail_caches_[i];
    options.directories = directories_.get();
    options.settings = &settings;
    options.sender = &sender_;
    managers_.push_back(std::make_unique<partition::ReplicaManager>(std::move(options)));
  }
  void register_broker(int id) {
    meta::RegisterBrokerRecord record;
    record.broker_id = BrokerId(id);
    record.epoch = BrokerEpoch(index_);
    record.incarnation_id = Uuid::from_halves(7, static_cast<uint64_t>(id));
    record.listeners.push_back({.name = "PLAINTEXT",
                                .host = fmt::format("10.0.0.{}", id),
                                .port = static_cast<uint16_t>(9091 + id),
                                .security_protocol = meta::SecurityProtocol::plaintext});
    record.rack = fmt::format("rack{}", id);
    if (id == 1) epoch_ = record.epoch;
    apply(record);
    apply(meta::UnfenceBrokerRecord{BrokerId(id), record.epoch});
  }
  void apply(const meta::MetadataRecord& record) {
    const auto done = editor_.apply(record, LogIndex(index_));
    if (!done) FAIL(done.error().message);
    editor_.set_offset(LogIndex(index_++));
  }
  void publish() {
    auto image = std::make_shared<const MetadataImage>(editor_.image());
    const MetadataImage before = context.image ? *context.image : MetadataImage{};
    auto delta = std::make_shared<const meta::ImageDelta>(meta::difference(before, *image));
    context.image = image;
    for (int i = 0; i < shard_count; ++i) on_shard(i, [&, i] { managers_[i]->on_image(image, delta); });
  }
  void on_shard(int shard, const std::function<void()>& f) {
    bool done = false;
    shards_[shard]->post([&] {
      f();
      done = true;
    });
    run_until([&] { return done; });
  }
  Awaitable<void> run(std::shared_ptr<Call> call) { call->outcome = co_await dispatch(context, call->in_flight); }

  SkippingClock clock_;
  boost::asio::io_context io_;
  std::vector<std::unique_ptr<common::Shard>> shards_;
  std::array<common::log::TailCache, shard_count> tail_caches_{common::log::TailCache(1 << 20),
                                                               common::log::TailCache(1 << 20)};
  SilentSender sender_;
  std::unique_ptr<partition::Directories> directories_;
  std::vector<std::unique_ptr<partition::ReplicaManager>> managers_;
  std::unique_ptr<partition::PartitionRouter> router_;
  server::ConnectionInfo info_;
  std::vector<std::function<void()>> held_;
  meta::ImageEditor editor_{MetadataImage{}};
  int64_t index_ = 0;
  uint64_t topics_ = 0;
  BrokerEpoch epoch_;
};

// A batch as a producer sends it: one record for each value.
inline Buffer batch_of(const std::vector<std::string>& values, records::BatchOptions options = {}) {
  records::BatchBuilder builder(options);
  for (const std::string& value : values) {
    records::NewRecord record;
    record.timestamp = common::SystemClock().wall_now();
    record.key = common::model::as_bytes("key");
    record.value = common::model::as_bytes(value);
    builder.add(record);
  }
  return builder.build();
}

// Offset and value of each record in whole batches.
inline std::vector<std::pair<int64_t, std::string>> values_in(const common::model::BufferChain& bytes) {
  std::vector<std::pair<int64_t, std::string>> all;
  const Buffer flat = bytes.flatten();
  const auto batches = records::batches_in(flat.view());
  REQUIRE(batches.has_value());
  for (const records::BatchView& batch : *batches) {
    REQUIRE(batch.crc_ok());
    REQUIRE(records::for_each_record(batch, {}, [&](const records::Record& record) {
              all.emplace_back(record.offset.value, std::string(common::model::as_text(*record.value)));
            }).has_value());
  }
  return all;
}

}  // namespace broker::api::test
