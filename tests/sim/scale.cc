#include "sim/scale.h"

#include <sys/resource.h>

#include <cstdio>
#include <functional>

#include <fmt/format.h>

#include "controller/quorum/metadata_codec.h"
#include "sim/admin.h"

namespace sim {

using namespace std::chrono_literals;

namespace {

constexpr int partitions_of_a_topic = 1000;

class NobodyWatches final : public NodeObserver {
 public:
  void on_started(Node&) override {}
  void on_ended(Node&) override {}
  void on_committed(Node&, std::span<const controller::raft::Entry>) override {}
  void on_snapshot(Node&, const common::model::Buffer&, common::model::LogIndex) override {}
  void on_leadership(Node&, common::model::Term) override {}
  void on_high_watermark(Node&, broker::partition::Partition&) override {}
  void on_raft_sent(Node&, const controller::raft::Message&) override {}
};

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double memory_mib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

class Scale {
 public:
  Scale(int brokers, int partitions) : partitions_(partitions), cluster_(options(brokers), nobody_) {}

  bool go() {
    const double began = cpu_seconds();
    cluster_.start_all();
    if (!until("all brokers in service", [this] { return in_service() == static_cast<int>(cluster_.nodes().size()); })) return false;
    const Step creation = measure([this] { create_topics(); }, [this] { return leaders() == partitions_; });
    const Step broker = measure([this] { kill_one(false); }, [this] { return leads(victim_) == 0 && leaders() == partitions_; });
    const Step controller = measure([this] { kill_one(true); }, [this] { return cluster_.active_controller() != nullptr && leads(victim_) == 0 && leaders() == partitions_; });
    if (!fine_) return false;
    const auto image = cluster_.newest_image();
    const double snapshot_mib = static_cast<double>(controller::quorum::encode_snapshot(*image).size()) / (1 << 20);
    std::printf("%8zu %11d %11.2f %10.1f %12.0f %10.1f %12.0f %10.1f %12.0f %10.1f %10.0f\n", cluster_.nodes().size(),
                partitions_, snapshot_mib, creation.cpu, creation.simulated_ms, broker.cpu, broker.simulated_ms,
                controller.cpu, controller.simulated_ms, cpu_seconds() - began, memory_mib());
    std::fflush(stdout);
    return true;
  }

 private:
  struct Step {
    double cpu = 0;
    double simulated_ms = 0;
  };
  static Options options(int brokers) {
    Options o;
    o.brokers = brokers;
    o.voters = 3;
    o.replication_factor = 3;
    o.min_isr = 2;
    o.partitions = 1;
    o.metadata_snapshot_bytes = 64 << 20;
    o.faults = false;
    return o;
  }

  bool until(const char* what, const std::function<bool()>& condition) {
    const Instant limit = cluster_.world().now() + 10min;
    uint64_t events = 0;
    while (events % 512 != 0 || !condition()) {
      ++events;
      if (!cluster_.world().step(limit)) {
        std::fprintf(stderr, "%s: not within ten simulated minutes\n", what);
        return fine_ = false;
      }
    }
    return true;
  }
  Step measure(const std::function<void()>& begin, const std::function<bool()>& condition) {
    if (!fine_) return {};
    const double cpu = cpu_seconds();
    const Instant from = cluster_.world().now();
    begin();
    until("a step", condition);
    return {cpu_seconds() - cpu, std::chrono::duration<double, std::milli>(cluster_.world().now() - from).count()};
  }

  void create_topics() {
    clients_.push_back(std::make_unique<Client>(cluster_, cluster_.add_client_host(), "creator"));
    Client& client = *clients_.back();
    client.shard().spawn("create", create_all(client, partitions_));
    cluster_.world().at(cluster_.world().now(), &client.shard().process(), [] {});
  }
  static Awaitable<void> create_all(Client& client, int partitions) {
    for (int made = 0, topic = 0; made < partitions; ++topic) {
      const int count = std::min(partitions_of_a_topic, partitions - made);
      std::optional<Uuid> id;
      while (!id) id = co_await Admin::make_topic(client, fmt::format("t{}", topic), count, 3, 300s);
      made += count;
    }
  }

  void kill_one(bool controller) {
    Node* active = cluster_.active_controller();
    for (const auto& node : cluster_.nodes()) {
      if (!node->is_running() || (node.get() == active) != controller) continue;
      // It stays down: were it a voter, the controller could not be killed after it and another be elected.
      if (!controller && node->id().value <= cluster_.options().voters) continue;
      victim_ = node->id();
      node->die(Death::killed);
      return;
    }
  }

  int in_service() {
    const auto image = cluster_.newest_image();
    int count = 0;
    if (image) {
      for (const auto& [id, broker] : image->brokers()) count += controller::metadata::is_active(*broker) ? 1 : 0;
    }
    return count;
  }
  int count_partitions(const std::function<bool(const controller::metadata::PartitionImage&)>& which) {
    const auto image = cluster_.newest_image();
    int count = 0;
    if (!image) return 0;
    for (const auto& [id, topic] : image->topics()) {
      for (const auto& [index, state] : topic->partitions) count += which(*state) ? 1 : 0;
    }
    return count;
  }
  int leaders() {
    return count_partitions([](const auto& state) { return state.leader.has_value(); });
  }
  int leads(BrokerId id) {
    return count_partitions([id](const auto& state) { return state.leader == id; });
  }

  const int partitions_;
  NobodyWatches nobody_;
  Cluster cluster_;
  std::vector<std::unique_ptr<Client>> clients_;
  BrokerId victim_{0};
  bool fine_ = true;
};

}  // namespace

int run_scale(const std::string& sizes) {
  std::printf("%8s %11s %11s %23s %23s %23s %10s %10s\n%8s %11s %11s %10s %12s %10s %12s %10s %12s %10s %10s\n", "", "",
              "metadata", "topics made", "a broker killed", "the controller killed", "all", "memory", "brokers", "partitions",
              "MiB", "CPU s", "simulated ms", "CPU s", "simulated ms", "CPU s", "simulated ms", "CPU s", "MiB");
  for (size_t at = 0; at < sizes.size();) {
    const size_t end = std::min(sizes.find(',', at), sizes.size());
    int brokers = 0;
    int partitions = 0;
    if (std::sscanf(sizes.substr(at, end - at).c_str(), "%d:%d", &brokers, &partitions) != 2 || brokers < 4) return 2;
    auto* scale = new Scale(brokers, partitions);  // the process ends soon
    if (!scale->go()) return 1;
    at = end + 1;
  }
  return 0;
}

}  // namespace sim
