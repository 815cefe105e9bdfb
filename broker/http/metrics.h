// /metrics: what a broker counts, in Prometheus' text format under the names that existing dashboards ask for: those of
// Kafka's JMX beans as its usual exporter spells them, those of kafka_exporter for offsets and lag, and our own naru_*.
//
// A partition is exported by its leader where the value is the partition's (offsets, ISR), by each replica where it is
// the replica's (size, log end); a topic's partition count by the leader of partition 0, cluster-wide counts by the
// active controller, a group by its coordinator. So sums over brokers are right. Series for single topics, partitions
// and groups have a limit (naru.metrics.partitions.max); how many were left out is a series too.
//
// MetricsPage lives on the HTTP shard; render() is pure but for what it remembers of the last look (idle time, recent
// quantiles).
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/http/gather.h"
#include "broker/http/metrics_text.h"

namespace broker::http {

// Of the process, as the kernel tells.
struct ProcessSample {
  double cpu_seconds = 0;
  double resident_bytes = 0;
  double virtual_bytes = 0;
  double open_descriptors = 0;
  double max_descriptors = 0;
  double start_time_seconds = 0;  // since 1970
  double uptime_seconds = 0;
  double disk_read_bytes = 0;  // that reached or left a disk, not the page cache
  double disk_write_bytes = 0;
};
[[nodiscard]] ProcessSample sample_process();

struct ConnectionSample {
  uint64_t accepted = 0;
  uint64_t refused = 0;
  struct OfListener {
    std::string name;
    uint64_t open = 0;
    uint64_t accepted = 0;
  };
  std::vector<OfListener> listeners;
};

struct MetricsInput {
  int32_t node_id = 0;
  int broker_state = 0;  // Kafka's numbers
  std::string version;
  ProcessSample process;
  ConnectionSample connections;
  const BrokerSample* broker = nullptr;  // null before the broker serves
  const std::vector<GroupLag>* lags = nullptr;
  size_t partitions_max = 1000;
  uint64_t controllers_seen = 0;  // elected since this process started
  uint64_t sessions_lost = 0;     // of brokers that were gone or silent, likewise
};

// How much a counter grows in a second, between two looks that are a second apart at least: two scrapers side by side
// still see a sensible window.
class Pace {
 public:
  [[nodiscard]] double of(double count, common::Instant now);

 private:
  std::optional<common::Instant> at_;
  double before_ = 0;
  double per_second_ = 0;
};

class MetricsPage {
 public:
  [[nodiscard]] std::string render(const MetricsInput& in);

 private:
  struct Totals;
  void broker_totals(MetricsText& out, const Totals& totals, common::Instant now);
  void requests(MetricsText& out, const BrokerSample& sample);
  void idle(MetricsText& out, const BrokerSample& sample);
  void paces(MetricsText& out, const MetricsInput& in, const BrokerSample& sample);
  void quorum(MetricsText& out, const BrokerSample& sample);
  void controller_queue(MetricsText& out, const BrokerSample& sample);
  // The part of `all` that was counted in the last minute or two.
  [[nodiscard]] common::Histogram recent(const std::string& name, const common::Histogram& all, common::Instant now);

  struct Window {
    common::Histogram older, newer;
    common::Instant newer_at{};
  };
  std::map<std::string, Window> windows_;
  // Of threads, by the CPU time that they have used: the share of the time between two looks in which they had nothing
  // to do.
  class IdleShare {
   public:
    [[nodiscard]] double of(const std::vector<common::Duration>& cpu, common::Instant now);

   private:
    std::vector<common::Duration> before_;
    common::Instant at_{};
    double share_ = 1;
  };
  IdleShare shards_idle_, controller_idle_;
  std::map<std::string, Pace> connections_;  // of each listener
  Pace appended_;
};

}  // namespace broker::http
