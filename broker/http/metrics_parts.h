// The families of /metrics that speak of single partitions, of the cluster, of groups, disks and the process. Pure.
#pragma once
#include <cstddef>
#include <vector>

#include "broker/http/metrics.h"

namespace broker::http {

struct IsrStanding {
  size_t in_sync = 0;
  size_t replicas = 0;
  size_t min_isr = 1;  // as far as the replication factor allows
};
[[nodiscard]] IsrStanding standing_of(const BrokerSample& sample, const ReplicaSample& replica);

void write_process(MetricsText& out, const MetricsInput& in);
// How many were left out.
[[nodiscard]] size_t write_partitions(MetricsText& out, const MetricsInput& in, const BrokerSample& sample);
void write_controller(MetricsText& out, const MetricsInput& in, const BrokerSample& sample);
void write_software(MetricsText& out, const BrokerSample& sample);
void write_cleaner(MetricsText& out, const BrokerSample& sample);
void write_volumes(MetricsText& out, const BrokerSample& sample);
[[nodiscard]] size_t write_groups(MetricsText& out, const BrokerSample& sample, const std::vector<GroupLag>* lags,
                                  size_t partitions_max);

}  // namespace broker::http
