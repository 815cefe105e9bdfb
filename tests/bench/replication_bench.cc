// What replication costs: one leader and two followers in one process, real logs in a temporary directory, real gRPC on
// loopback, acks=all. Prints throughput and CPU seconds per GB produced, by group of threads.
//
//   replication_bench [batch bytes = 131072] [batches in flight = 16] [megabytes = 2000] [partitions = 4]
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <sstream>

#include <grpcpp/impl/codegen/service_type.h>

#include "broker/partition/partition.h"
#include "broker/replication/grpc_fetch_service.h"
#include "broker/replication/grpc_fetch_transport.h"
#include "broker/replication/replication_follower.h"
#include "broker/replication/replication_leader.h"
#include "common/disk/kernel_disk.h"
#include "common/logging.h"
#include "common/records/batch_builder.h"
#include "controller/quorum/grpc_server.h"

using namespace broker::partition;
using namespace broker::replication;
using namespace std::chrono_literals;
using common::model::Buffer;

namespace {

const Uuid cluster = Uuid::from_halves(1, 2);

template <class F>
void ask(common::Shard& shard, F f) {
  std::promise<void> done;
  shard.post([&] {
    f();
    done.set_value();
  });
  done.get_future().get();
}

class NoProposals final : public AlterPartitionSender {
  void send(IsrProposal, Done done) override { done(common::model::fail(ErrorCode::not_controller)); }
};

struct Replicas {
  Replicas(int id, int partitions, common::disk::DiskPool& pool, const std::string& root) : self(id) {
    shard = common::make_thread_shard(id, clock, fmt::format("shard-b{}", id));
    disk = common::disk::make_kernel_disk(pool, [this](std::function<void()> f) { shard->post(std::move(f)); });
    state.self = BrokerId(id);
    state.broker_epoch = BrokerEpoch(id);
    ask(*shard, [&] {
      for (int p = 0; p < partitions; ++p) {
        const std::string path = fmt::format("{}/b{}/t-{}", root, id, p);
        std::filesystem::create_directories(path);
        common::log::LogEnvironment environment;
        environment.disk = disk.get();
        environment.tail_cache = &cache;
        auto log = common::log::Log::open(environment, path, {}, {}, clock.wall_now());
        NARU_CHECK(log.has_value(), "{}", log.error().message);
        PartitionOptions o;
        o.id = {Uuid::from_halves(4, 4), PartitionIndex(p)};
        o.topic = "t";
        o.log = std::move(*log);
        o.settings.min_isr = 2;
        o.settings.produce.max_batch_bytes = 64 << 20;
        o.state = &state;
        o.sender = &proposals;
        all.push_back(std::make_shared<Partition>(*shard, std::move(o)));
      }
    });
  }
  void assign() {
    Assignment a;
    a.leader = BrokerId(1);
    a.leader_epoch = LeaderEpoch(1);
    a.recorded.partition_epoch = PartitionEpoch(0);
    for (int id = 1; id <= 3; ++id) {
      a.recorded.replicas.push_back(BrokerId(id));
      a.recorded.isr.push_back(BrokerId(id));
      a.brokers.push_back({BrokerId(id), BrokerEpoch(id), true});
    }
    ask(*shard, [&] {
      for (const auto& p : all) p->assign(a);
    });
  }

  const int self;
  common::SystemClock clock;
  std::unique_ptr<common::Shard> shard;
  std::unique_ptr<common::disk::Disk> disk;
  common::log::TailCache cache{16 << 20};
  ShardState state;
  NoProposals proposals;
  std::vector<std::shared_ptr<Partition>> all;
};

// User and system seconds of each thread, by its name without digits at the end.
std::map<std::string, double> thread_seconds() {
  std::map<std::string, double> all;
  const double tick = static_cast<double>(sysconf(_SC_CLK_TCK));
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream in(task.path() / "stat");
    std::string text((std::istreambuf_iterator<char>(in)), {});
    const size_t open = text.find('('), close = text.rfind(')');
    std::istringstream rest(text.substr(close + 2));
    std::string field;
    double utime = 0, stime = 0;
    for (int i = 3; i <= 15 && rest >> field; ++i) {
      if (i == 14) utime = std::stod(field);
      if (i == 15) stime = std::stod(field);
    }
    all[text.substr(open + 1, close - open - 1)] += (utime + stime) / tick;
  }
  return all;
}

struct Load {
  std::shared_ptr<Partition> partition;
  size_t batch_bytes;
  std::atomic<int64_t>& left;
  common::SystemClock& clock;
};

// Sends one batch after the other; several of these run for each partition.
common::Awaitable<void> produce_all(Load load, Buffer sample, std::promise<void>& done) {
  while (load.left.fetch_sub(1) > 0) {
    Buffer batch = Buffer::copy_of(sample.view());
    ProduceOptions o;
    o.deadline = load.clock.now() + 30s;
    const ProduceResult r = co_await load.partition->produce(std::move(batch), o);
    NARU_CHECK(r.error == ErrorCode::none, "{}", r.error);
  }
  done.set_value();
}

// Of records of 1 KB.
Buffer batch_of(size_t bytes, common::model::TimestampMs now) {
  common::records::BatchBuilder builder;
  const std::string value(1000, 'v');
  const auto add = [&] {
    builder.add({.timestamp = now, .key = {}, .value = common::model::as_bytes(value), .headers = {}});
  };
  while (builder.size_bytes() + 1100 < bytes) add();
  add();
  return builder.build();
}

void report(double gigabytes, double seconds, const std::map<std::string, double>& before) {
  double total = 0;
  std::map<std::string, double> used;
  for (const auto& [name, cpu] : thread_seconds()) {
    const auto was = before.find(name);
    used[name] = cpu - (was != before.end() ? was->second : 0);
    total += used[name];
  }
  std::printf("%.0f MB/s, %.2f CPU s per GB (", gigabytes * 1e3 / seconds, total / gigabytes);
  for (const auto& [name, cpu] : used) {
    if (cpu > 0.01) std::printf(" %s %.2f", name.c_str(), cpu / gigabytes);
  }
  std::printf(" )\n");
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int i, size_t otherwise) {
    return argc > i ? std::strtoull(argv[i], nullptr, 10) : otherwise;
  };
  const size_t batch_bytes = argument(1, 128 << 10);
  const auto in_flight = static_cast<int>(argument(2, 16));
  const size_t megabytes = argument(3, 2000);
  const auto partitions = static_cast<int>(argument(4, 4));
  common::configure_logging(common::LogLevel::warn, common::LogFormat::text);
  const std::string root = fmt::format("{}/naru-bench-{}", std::filesystem::temp_directory_path().string(), getpid());
  common::disk::DiskPool pool{{}};
  Replicas leader(1, partitions, pool, root), second(2, partitions, pool, root), third(3, partitions, pool, root);

  ReplicationLeaderOptions lo;
  lo.shard = leader.shard.get();
  lo.cluster_id = cluster;
  lo.self = BrokerId(1);
  lo.find = [&](const TopicIdPartition& id) { return leader.all[static_cast<size_t>(id.partition.value)]; };
  ReplicationLeader side(lo);
  ask(*leader.shard, [&] { side.set_broker_epoch(BrokerEpoch(1)); });
  const auto service = make_grpc_fetch_service({{leader.shard.get(), &side}});
  controller::quorum::GrpcServerOptions so;
  so.host = "127.0.0.1";
  controller::quorum::GrpcServer server(so);
  server.add(*service);
  NARU_CHECK(server.start().has_value());
  const auto transport = make_grpc_fetch_transport();
  for (Replicas* r : {&leader, &second, &third}) r->assign();
  std::vector<std::unique_ptr<ReplicationFollower>> followers;
  for (Replicas* r : {&second, &third}) {
    ReplicationFollowerOptions fo;
    fo.shard = r->shard.get();
    fo.cluster_id = cluster;
    fo.self = BrokerId(r->self);
    fo.transport = transport.get();
    fo.endpoint_of = [&](BrokerId) { return Endpoint{"127.0.0.1", server.port()}; };
    followers.push_back(std::make_unique<ReplicationFollower>(fo));
    ask(*r->shard, [&] {
      followers.back()->set_broker_epoch(BrokerEpoch(r->self));
      for (const auto& p : r->all) followers.back()->follow(p->id(), p, BrokerId(1));
    });
  }

  const Buffer sample = batch_of(batch_bytes, leader.clock.wall_now());
  const auto run = [&](int64_t batches) {
    std::atomic<int64_t> left{batches};
    std::vector<std::promise<void>> done(static_cast<size_t>(in_flight));
    for (size_t i = 0; i < done.size(); ++i) {
      const auto& p = leader.all[i % leader.all.size()];
      leader.shard->spawn("load", produce_all({p, batch_bytes, left, leader.clock}, sample, done[i]));
    }
    for (auto& d : done) d.get_future().get();
  };
  run(200);
  const auto before = thread_seconds();
  const auto begin = std::chrono::steady_clock::now();
  const int64_t batches = static_cast<int64_t>((megabytes << 20) / sample.size());
  run(batches);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("batches of %zu bytes, %d in flight, %d partitions: ", sample.size(), in_flight, partitions);
  report(static_cast<double>(batches) * static_cast<double>(sample.size()) / 1e9, seconds, before);
  ask(*second.shard, [&] { followers[0].reset(); });
  ask(*third.shard, [&] { followers[1].reset(); });
  server.stop();
  std::filesystem::remove_all(root);
  std::fflush(stdout);
  std::_Exit(0);
}
