// Looks at a topic past the clients: which leaders each broker names, and in the end what each replica really holds,
// fetched from its broker with the debugging replica id -2 (a follower answers up to its own high watermark).
// Thread-compatible; waits for brokers.
#pragma once
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/client/cluster.h"
#include "cli/commands.h"
#include "cli/verify/recorder.h"
#include "common/model/uuid.h"
#include "kafka/fetch.h"
#include "kafka/metadata.h"

namespace cli::verify {

class ReplicaReader {
 public:
  ReplicaReader(const Shared& shared, std::string topic);

  // Asks every broker that is known. One that does not answer is passed over.
  void look_at_leaders(Recorder& recorder);
  // Reads all replicas of all partitions. Returns what could not be read, in words.
  std::vector<std::string> copy_all(Recorder& recorder, std::chrono::milliseconds patience);

 private:
  struct Partition {
    int32_t index = 0;
    int32_t leader = -1;
    std::vector<int32_t> replicas;
  };
  Outcome<kafka::MetadataResponse> ask(client::Connection& connection, client::Deadline until) const;
  Outcome<client::Connection*> connection_to(const client::Broker& broker, client::Deadline until);
  Outcome<std::vector<Partition>> find(client::Deadline until);
  // Reads one replica from its log start to the leader's end, or as far as it came when time was over.
  Outcome<int64_t> copy(Recorder& recorder, const Partition& partition, int32_t replica, int64_t wanted_end,
                        client::Deadline until);
  Outcome<kafka::FetchResponse::PartitionData> fetch(client::Connection& connection, int32_t partition, int64_t offset,
                                                     client::Deadline until) const;
  // The offset behind the last record in `data`, all of which are recorded.
  static Outcome<int64_t> record(Recorder& recorder, int32_t partition, int32_t replica, int64_t from,
                                 const kafka::FetchResponse::PartitionData& data);

  const std::string topic_;
  std::vector<common::config::HostPort> bootstrap_;
  std::map<int32_t, client::Broker> brokers_;
  std::map<int32_t, std::unique_ptr<client::Connection>> connections_;
  common::model::Uuid topic_id_;
};

}  // namespace cli::verify
