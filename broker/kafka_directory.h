// Data directories that Apache Kafka itself has written. Partition directories and meta.properties look alike on both
// sides, but the metadata log does not: a broker that took such a directory for its own would look for the cluster
// named in it, which no broker of ours can be of, for ever.
#pragma once
#include "common/config/config.h"
#include "common/disk/disk.h"
#include "common/model/result.h"

namespace broker {

// INVALID_CONFIG, with the property, what it is and what to do, if Kafka's marks lie in a directory of log.dirs or
// metadata.log.dir; nothing is written. Directories of ours, new ones, and those that are not there are none of its
// business. Waits for the disk.
[[nodiscard]] common::model::Result<void> refuse_directories_of_kafka(common::disk::Disk& disk,
                                                                      const common::config::BrokerConfig& config);

}  // namespace broker
