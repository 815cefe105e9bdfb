// What partitions count as they work: plain numbers of one shard, read by whoever gathers metrics by posting there.
//
// Lives on the shard of its partitions.
#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "broker/partition/recent_mean.h"
#include "common/histogram.h"

namespace broker::partition {

// By topic under Kafka's names (BrokerTopicMetrics).
struct PartitionCounters {
  uint64_t messages_in = 0;
  uint64_t bytes_in = 0;   // appended as leader, by clients and coordinators
  uint64_t bytes_out = 0;  // to consumers
  uint64_t bytes_rejected = 0;
  uint64_t produce_requests = 0;
  uint64_t failed_produce_requests = 0;
  uint64_t fetch_requests = 0;
  uint64_t failed_fetch_requests = 0;
  uint64_t replication_bytes_in = 0;   // appended as follower
  uint64_t replication_bytes_out = 0;  // read by followers
  // Of these two, what a reassignment caused: it adds the replica that appended or read.
  uint64_t reassignment_bytes_in = 0;
  uint64_t reassignment_bytes_out = 0;
  uint64_t isr_shrinks = 0;
  uint64_t isr_expands = 0;
  uint64_t failed_isr_updates = 0;  // proposals that the controller refused
  // Batches that were refused for what is in them (common/records/validate.h).
  uint64_t bad_checksums = 0;
  uint64_t bad_formats = 0;
  uint64_t missing_keys = 0;
  uint64_t bad_orders = 0;

  void add(const PartitionCounters& o) {
    messages_in += o.messages_in;
    bytes_in += o.bytes_in;
    bytes_out += o.bytes_out;
    bytes_rejected += o.bytes_rejected;
    produce_requests += o.produce_requests;
    failed_produce_requests += o.failed_produce_requests;
    fetch_requests += o.fetch_requests;
    failed_fetch_requests += o.failed_fetch_requests;
    replication_bytes_in += o.replication_bytes_in;
    replication_bytes_out += o.replication_bytes_out;
    reassignment_bytes_in += o.reassignment_bytes_in;
    reassignment_bytes_out += o.reassignment_bytes_out;
    isr_shrinks += o.isr_shrinks;
    isr_expands += o.isr_expands;
    failed_isr_updates += o.failed_isr_updates;
    bad_checksums += o.bad_checksums;
    bad_formats += o.bad_formats;
    missing_keys += o.missing_keys;
    bad_orders += o.bad_orders;
  }
};

// Of a shard's partitions together.
struct ShardPartitionMetrics {
  common::Histogram commit_latency;  // from the append to the high watermark, of what acks=all waited for
  common::Histogram sync_latency;    // of syncs that acknowledgements waited for
  common::Histogram failover;        // from the loss of the old leader to leading here
  // What the heartbeat tells of ("gray failure"): appends, as leader and as follower, and those syncs.
  RecentMean writes;
  RecentMean syncs;
  uint64_t unclean_recoveries = 0;   // leaderships begun after an unclean election
  // What partitions counted that have left this shard; by topic until it is deleted, so that counters never fall.
  std::map<std::string, PartitionCounters> retired;
  PartitionCounters retired_in_all;
};

}  // namespace broker::partition
