// Producers and consumers on three shards, each its own thread, over partitions that live on all of them: requests go
// through dispatch() as frames. Idempotent producers keep five requests in flight over several partitions, so a batch
// that overtakes another is an OUT_OF_ORDER_SEQUENCE_NUMBER; consumers wait by long poll in fetch sessions and must see
// each partition dense and each producer in order. For the thread sanitizer.
#include <atomic>
#include <latch>

#include <catch2/catch.hpp>

#include "broker/api/fetch_session.h"
#include "broker/api/handler.h"
#include "broker/partition/directories.h"
#include "broker/partition/router.h"
#include "common/config/config.h"
#include "common/disk/kernel_disk.h"
#include "common/log/tail_cache.h"
#include "common/records/batch_builder.h"
#include "kafka/fetch.h"
#include "kafka/produce.h"
#include "proto/kafka/runtime/apis.h"
#include "support/temporary_directory.h"

namespace {

using namespace broker::api;
namespace partition = broker::partition;
namespace server = broker::server;
namespace meta = controller::metadata;
namespace records = common::records;
using common::model::BrokerEpoch;
using common::model::LogIndex;
using common::model::PartitionIndex;
using common::model::TopicId;
using common::model::Uuid;
using kafka::FetchRequest;
using kafka::FetchResponse;
using kafka::ProduceRequest;
using kafka::ProduceResponse;

constexpr int shard_count = 3;
constexpr int partition_count = 6;
constexpr int producers_per_shard = 2;
constexpr int consumers_per_shard = 2;
constexpr int requests_per_producer = 150;
constexpr int in_flight_max = 5;
constexpr int producer_count = shard_count * producers_per_shard;

class DefaultSettings final : public partition::TopicSettingsSource {
 public:
  partition::TopicSettings settings_of(const MetadataImage& /*image*/, std::string_view /*topic*/) const override {
    return {};
  }
};

class SilentSender final : public partition::AlterPartitionSender {
 public:
  void send(partition::IsrProposal /*proposal*/, Done /*done*/) override {}
};

// What one shard has.
struct PerShard {
  explicit PerShard(int id, const common::Clock& clock)
      : shard(common::make_thread_shard(id, clock, "stress")), random(static_cast<uint64_t>(id) + 1) {}
  std::unique_ptr<common::Shard> shard;
  std::unique_ptr<common::disk::Disk> disk;
  common::log::TailCache tail_cache{1 << 20};
  SilentSender sender;
  std::unique_ptr<partition::ReplicaManager> manager;
  common::model::SeededRandom random;
  FetchSessionCache sessions{{}, random};
  BrokerContext context;
};

class Cluster {
 public:
  Cluster() {
    common::configure_logging(common::LogLevel::error, common::LogFormat::text);
    for (int i = 0; i < shard_count; ++i) {
      auto& one = *shards_.emplace_back(std::make_unique<PerShard>(i, clock_));
      one.disk = common::disk::make_kernel_disk(
          pool_, [shard = one.shard.get()](std::function<void()> f) { shard->post(std::move(f)); });
    }
    open_directory();
    std::vector<common::Shard*> shards;
    std::vector<partition::ReplicaManager*> managers;
    for (int i = 0; i < shard_count; ++i) {
      make_manager(i);
      shards.push_back(shards_[i]->shard.get());
      managers.push_back(shards_[i]->manager.get());
    }
    router_ = std::make_unique<partition::PartitionRouter>(shards, managers);
    on_shard(0, [&] { directories_->start(shards, managers); });
    for (int i = 0; i < shard_count; ++i) {
      BrokerContext& context = shards_[i]->context;
      context.shard = shards_[i]->shard.get();
      context.node_id = BrokerId(1);
      context.config = &config_;
      context.partitions = router_.get();
      context.fetch_sessions = &shards_[i]->sessions;
    }
    publish();
    wait_for_leaders();
  }
  ~Cluster() {
    for (int i = 0; i < shard_count; ++i) on_shard(i, [&, i] { shards_[i]->manager.reset(); });
    on_shard(0, [&] { directories_.reset(); });
    for (auto& one : shards_) common::stop_shard(*one->shard);
  }

  BrokerContext& context(int shard) { return shards_[shard]->context; }

 private:
  void on_shard(int shard, const std::function<void()>& f) {
    std::latch done(1);
    shards_[shard]->shard->post([&] {
      f();
      done.count_down();
    });
    done.wait();
  }
  void open_directory() {
    auto directory = common::log::LogDirectory::open(*shards_[0]->disk, data_.path());
    REQUIRE(directory.has_value());
    REQUIRE((*directory)->give_identity({"cluster", BrokerId(1), Uuid::from_halves(5, 5)}).has_value());
    partition::DirectoriesOptions options;
    options.home = shards_[0]->shard.get();
    options.disk = shards_[0]->disk.get();
    options.random = &random_;
    options.low_space_bytes = 0;
    std::vector<std::unique_ptr<common::log::LogDirectory>> all;
    all.push_back(std::move(*directory));
    directories_ = std::make_unique<partition::Directories>(std::move(options), std::move(all));
    REQUIRE(directories_->begin_run().has_value());
  }
  void make_manager(int i) {
    partition::ReplicaManagerOptions options;
    options.shard = shards_[i]->shard.get();
    options.shard_index = i;
    options.shard_count = shard_count;
    options.self = BrokerId(1);
    options.disk = shards_[i]->disk.get();
    options.tail_cache = &shards_[i]->tail_cache;
    options.directories = directories_.get();
    options.settings = &settings_;
    options.sender = &shards_[i]->sender;
    shards_[i]->manager = std::make_unique<partition::ReplicaManager>(std::move(options));
  }
  // One broker, one topic.
  void publish() {
    meta::RegisterBrokerRecord broker;
    broker.broker_id = BrokerId(1);
    broker.epoch = BrokerEpoch(1);
    apply(meta::ClusterRecord{Uuid::from_halves(1, 2)});
    apply(broker);
    apply(meta::UnfenceBrokerRecord{BrokerId(1), BrokerEpoch(1)});
    apply(meta::TopicRecord{topic_, "t"});
    for (int p = 0; p < partition_count; ++p) {
      meta::PartitionState state;
      state.replicas = {BrokerId(1)};
      state.isr = state.replicas;
      state.leader = BrokerId(1);
      apply(meta::PartitionRecord{topic_, PartitionIndex(p), state});
    }
    const auto image = std::make_shared<const MetadataImage>(editor_.image());
    const auto delta = std::make_shared<const meta::ImageDelta>(meta::difference(MetadataImage{}, *image));
    for (int i = 0; i < shard_count; ++i) {
      on_shard(i, [&, i] {
        shards_[i]->context.image = image;
        shards_[i]->manager->set_broker_epoch(BrokerEpoch(1));
        shards_[i]->manager->on_image(image, delta);
      });
    }
  }
  void wait_for_leaders() {
    for (int p = 0; p < partition_count; ++p) {
      const common::model::TopicIdPartition id{topic_, PartitionIndex(p)};
      bool leads = false;
      while (!leads) {
        on_shard(router_->home_of(id), [&] {
          const auto found = router_->find_here(id);
          leads = found.has_value() && (*found)->is_leader();
        });
      }
    }
  }
  void apply(const meta::MetadataRecord& record) {
    const auto done = editor_.apply(record, LogIndex(index_));
    REQUIRE(done.has_value());
    editor_.set_offset(LogIndex(index_++));
  }

  common::SystemClock clock_;
  test_support::TemporaryDirectory data_{"stress"};
  common::disk::DiskPool pool_{{}};
  DefaultSettings settings_;
  common::model::SeededRandom random_{99};
  common::config::BrokerConfig config_;
  std::vector<std::unique_ptr<PerShard>> shards_;
  std::unique_ptr<partition::Directories> directories_;
  std::unique_ptr<partition::PartitionRouter> router_;
  meta::ImageEditor editor_{MetadataImage{}};
  int64_t index_ = 0;
  const TopicId topic_ = Uuid::from_halves(99, 1);
};

// How the work ends, and what went wrong; any thread.
struct Outcome {
  std::atomic<int> failures{0};
  std::array<std::atomic<int64_t>, partition_count> sent{};  // records
  std::atomic<int> producers_left{producer_count};
  std::latch done{shard_count * (producers_per_shard + consumers_per_shard)};

  void fail(const std::string& what) {
    if (failures.fetch_add(1) == 0) fmt::print(stderr, "{}\n", what);
  }
};

// Sends a request through dispatch() and reads its answer. The request must stay in order with those before it, so the
// first part of it runs before this suspends.
template <class Response, class Request>
Awaitable<std::optional<Response>> ask(BrokerContext& context, Request request, int16_t version, Outcome& outcome) {
  kafka::Writer writer;
  writer.i16(Request::api_key);
  writer.i16(version);
  writer.i32(1);
  writer.string("stress", false);
  if (kafka::request_header_version(Request::api_key, version) == 2) writer.uvarint(0);
  kafka::encode(writer, request, version);
  auto frame = writer.finish();
  server::ConnectionInfo info;
  server::InFlight in_flight(*context.shard, info, Buffer::copy_of(frame->flatten().view()));
  server::Outcome answer = co_await dispatch(context, in_flight);
  if (answer.kind != server::Outcome::Kind::answer) {
    outcome.fail("closed: " + answer.reason);
    co_return std::nullopt;
  }
  kafka::Reader reader(answer.response.flatten());
  (void)reader.i32();
  if (kafka::response_header_version(Response::api_key, version) == 1) reader.skip_tags();
  Result<Response> response = kafka::decode<Response>(reader, version);
  if (!response) {
    outcome.fail(response.error().message);
    co_return std::nullopt;
  }
  co_return std::move(*response);
}

struct Producer {
  Producer(int number, common::Shard& shard) : id(number), random(static_cast<uint64_t>(number) + 1), changed(shard) {}
  int id;
  common::model::SeededRandom random;
  std::array<int32_t, partition_count> sequences{};
  int in_flight = 0;
  common::Event changed;
};

Buffer numbered_batch(const Producer& producer, int32_t sequence) {
  records::BatchOptions options;
  options.producer = records::ProducerStamp{records::ProducerId(producer.id), records::ProducerEpoch(0), sequence};
  records::BatchBuilder builder(options);
  records::NewRecord record;
  record.timestamp = common::SystemClock().wall_now();
  const std::string text = fmt::format("{} {}", producer.id, sequence);
  record.value = common::model::as_bytes(text);
  builder.add(record);
  return builder.build();
}

Awaitable<void> send_one(BrokerContext& context, std::shared_ptr<Producer> producer, ProduceRequest request,
                         Outcome& outcome) {
  const auto response = co_await ask<ProduceResponse>(context, std::move(request), 9, outcome);
  if (response) {
    for (const auto& part : response->responses.at(0).partition_responses) {
      if (part.error_code != ErrorCode::none) {
        outcome.fail(fmt::format("produce to {}: {}", part.index, part.error_code));
      }
    }
  }
  --producer->in_flight;
  producer->changed.pulse();
}

Awaitable<void> run_producer(BrokerContext& context, int number, Outcome& outcome) {
  const auto producer = std::make_shared<Producer>(number, *context.shard);
  for (int i = 0; i < requests_per_producer; ++i) {
    ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 30'000;
    request.topic_data.emplace_back();
    request.topic_data[0].name = "t";
    const auto parts = 1 + producer->random.below(partition_count);  // often two on one shard
    const auto first = producer->random.below(partition_count);
    for (uint64_t n = 0; n < parts; ++n) {
      const auto p = static_cast<int32_t>((first + n) % partition_count);
      ProduceRequest::PartitionProduceData data;
      data.index = p;
      data.records = common::model::BufferChain(numbered_batch(*producer, producer->sequences[p]++));
      request.topic_data[0].partition_data.push_back(std::move(data));
      outcome.sent[p].fetch_add(1);
    }
    ++producer->in_flight;
    context.shard->spawn("send", send_one(context, producer, std::move(request), outcome));
    while (producer->in_flight >= in_flight_max) co_await common::until(producer->changed);
  }
  while (producer->in_flight > 0) co_await common::until(producer->changed);
  outcome.producers_left.fetch_sub(1);
  outcome.done.count_down();
}

// Where a consumer is.
struct Progress {
  std::array<int64_t, partition_count> positions{};
  std::array<std::array<int64_t, producer_count>, partition_count> next{};  // sequence by partition and producer

  void take(const FetchResponse::PartitionData& data, Outcome& outcome) {
    const Buffer flat = data.records->flatten();
    const auto batches = records::batches_in(flat.view());
    if (data.error_code != ErrorCode::none || !batches) {
      outcome.fail(fmt::format("fetch of {}: {}", data.partition_index, data.error_code));
      return;
    }
    const auto p = static_cast<size_t>(data.partition_index);
    for (const records::BatchView& batch : *batches) {
      const auto producer = batch.producer();
      if (batch.base_offset().value != positions[p] || !batch.crc_ok() || !producer ||
          producer->base_sequence != next[p][static_cast<size_t>(producer->id.value)]++) {
        outcome.fail(fmt::format("partition {}: unexpected batch at {}", p, batch.base_offset()));
      }
      positions[p] = batch.next_offset().value;
    }
  }
  [[nodiscard]] bool has_all(const Outcome& outcome) const {
    if (outcome.producers_left.load() > 0) return false;
    for (size_t p = 0; p < partition_count; ++p) {
      if (positions[p] < outcome.sent[p].load()) return false;
    }
    return true;
  }
};

Awaitable<void> run_consumer(BrokerContext& context, Outcome& outcome) {
  Progress progress;
  int32_t session_id = 0;
  int32_t session_epoch = 0;
  std::array<int64_t, partition_count> told{};
  told.fill(-1);
  while (!progress.has_all(outcome) && outcome.failures.load() == 0) {
    FetchRequest request;
    request.max_wait_ms = 50;
    request.min_bytes = 1;
    request.max_bytes = 4096;
    request.session_id = session_id;
    request.session_epoch = session_epoch;
    request.topics.emplace_back();
    request.topics[0].topic = "t";
    for (int32_t p = 0; p < partition_count; ++p) {
      if (told[p] == progress.positions[p]) continue;
      told[p] = progress.positions[p];
      FetchRequest::FetchPartition one;
      one.partition = p;
      one.fetch_offset = progress.positions[p];
      one.partition_max_bytes = 1024;
      request.topics[0].partitions.push_back(one);
    }
    if (request.topics[0].partitions.empty()) request.topics.clear();
    const auto response = co_await ask<FetchResponse>(context, std::move(request), 12, outcome);
    if (!response || response->error_code != ErrorCode::none || response->session_id == 0) {
      outcome.fail("a fetch session was lost");
      break;
    }
    session_id = response->session_id;
    session_epoch = fetch_epoch_after(session_epoch);
    for (const auto& topic : response->responses) {
      for (const auto& data : topic.partitions) progress.take(data, outcome);
    }
  }
  outcome.done.count_down();
}

}  // namespace

TEST_CASE("producers and consumers on all shards: nothing lost, doubled or out of order") {
  Cluster cluster;
  Outcome outcome;
  for (int shard = 0; shard < shard_count; ++shard) {
    BrokerContext& context = cluster.context(shard);
    for (int i = 0; i < producers_per_shard; ++i) {
      context.shard->spawn("producer", run_producer(context, shard * producers_per_shard + i, outcome));
    }
    for (int i = 0; i < consumers_per_shard; ++i) context.shard->spawn("consumer", run_consumer(context, outcome));
  }
  outcome.done.wait();
  REQUIRE(outcome.failures.load() == 0);
  REQUIRE(outcome.producers_left.load() == 0);
}
