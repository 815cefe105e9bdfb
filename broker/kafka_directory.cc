#include "broker/kafka_directory.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace broker {
namespace {

constexpr size_t vote_bytes_max = 64u << 10;

bool has_entry(common::disk::Disk& disk, const std::string& directory, std::string_view name) {
  const auto entries = disk.list(directory);
  return entries && std::ranges::find(*entries, name, &common::disk::DirectoryEntry::name) != entries->end();
}

// Kafka's vote is JSON; ours is binary. What a controller of Kafka was formatted with is a snapshot of offset 0 and
// epoch 0, which no log of ours has, or bootstrap.checkpoint, as it was called before (KIP-1170).
std::string mark_of_kafka(common::disk::Disk& disk, const std::string& path) {
  constexpr std::string_view first_snapshot = "00000000000000000000-0000000000.checkpoint";
  constexpr std::string_view bootstrap = "bootstrap.checkpoint";
  const std::string metadata = path + "/__cluster_metadata-0";
  const auto vote = disk.read_file(metadata + "/quorum-state", vote_bytes_max);
  if (vote && vote->text().starts_with('{')) return metadata + "/quorum-state";
  if (has_entry(disk, metadata, first_snapshot)) return fmt::format("{}/{}", metadata, first_snapshot);
  if (has_entry(disk, path, bootstrap)) return fmt::format("{}/{}", path, bootstrap);
  return {};
}

common::model::Result<void> refuse_one(common::disk::Disk& disk, std::string_view property, const std::string& path) {
  const std::string mark = mark_of_kafka(disk, path);
  if (mark.empty()) return {};
  return common::model::fail(
      common::model::ErrorCode::invalid_config,
      fmt::format(
          "{}={}: a data directory of Apache Kafka ({} is Kafka's own). Naru cannot go on with what a Kafka "
          "broker wrote, and leaves it as it is: give this broker an empty directory, and copy the records with "
          "MirrorMaker or another client while the Kafka cluster runs",
          property, path, mark));
}

}  // namespace

common::model::Result<void> refuse_directories_of_kafka(common::disk::Disk& disk,
                                                        const common::config::BrokerConfig& config) {
  const bool singular = !config.given.contains("log.dirs") && config.given.contains("log.dir");
  for (const std::string& path : config.log_dirs) {
    if (auto ours = refuse_one(disk, singular ? "log.dir" : "log.dirs", path); !ours) return ours;
  }
  return refuse_one(disk, "metadata.log.dir", config.metadata_log_dir);
}

}  // namespace broker
