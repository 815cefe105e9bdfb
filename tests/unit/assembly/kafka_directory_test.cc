// A data directory of Apache Kafka is refused in words and left as it is; ours, and new ones, are not looked at twice.
#include "broker/kafka_directory.h"

#include <catch2/catch.hpp>

#include "common/disk/simulated_disk.h"

using common::config::BrokerConfig;
using common::disk::SimulatedDisk;

namespace {

constexpr const char* identity =
    "#\n#\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\ndirectory.id=AAAAAAAAAAEAAAAAAAAAAg\nnode.id=1\nversion=1\n";

void write(SimulatedDisk& disk, const std::string& folder, const std::string& name, std::string_view content) {
  REQUIRE(disk.create_directories(folder));
  REQUIRE(disk.replace_file(folder + "/" + name, std::as_bytes(std::span(content)), common::disk::Durability::kernel));
}

BrokerConfig config_of(const std::string& data, const std::string& metadata = "") {
  BrokerConfig config;
  config.log_dirs = {"new", data};
  config.metadata_log_dir = metadata.empty() ? "new" : metadata;
  return config;
}

std::string refusal(SimulatedDisk& disk, const BrokerConfig& config) {
  const auto result = broker::refuse_directories_of_kafka(disk, config);
  if (!result) CHECK(result.error().code == common::model::ErrorCode::invalid_config);
  return result ? "" : result.error().message;
}

}  // namespace

TEST_CASE("a directory that Kafka has formatted or used is refused with its property") {
  const auto [folder, name, content] = GENERATE(table<std::string, std::string, std::string>({
      {"data/__cluster_metadata-0", "quorum-state", R"({"leaderId":1,"leaderEpoch":3,"votedId":-1,"data_version":1})"},
      {"data/__cluster_metadata-0", "00000000000000000000-0000000000.checkpoint", "records"},
      {"data", "bootstrap.checkpoint", "records"},
  }));
  SimulatedDisk disk;
  write(disk, "data", "meta.properties", identity);
  write(disk, folder, name, content);
  const std::string said = refusal(disk, config_of("data"));
  CHECK(said.starts_with("log.dirs=data: a data directory of Apache Kafka"));
  CHECK(said.find(folder + "/" + name) != std::string::npos);
  CHECK(said.find("empty directory") != std::string::npos);
  CHECK(refusal(disk, config_of("other", "data")).starts_with("metadata.log.dir=data: "));
  BrokerConfig singular = config_of("data");
  singular.given["log.dir"] = "data";
  CHECK(refusal(disk, singular).starts_with("log.dir=data: "));
  CHECK(disk.content("data/meta.properties").text() == identity);
}

TEST_CASE("a directory of ours, an empty one and none at all are no directory of Kafka") {
  SimulatedDisk disk;
  CHECK(refusal(disk, config_of("data")).empty());
  REQUIRE(disk.create_directories("data"));
  CHECK(refusal(disk, config_of("data")).empty());
  write(disk, "data", "meta.properties", identity);
  write(disk, "data/orders-0", "00000000000000000000.log", "");
  CHECK(refusal(disk, config_of("data")).empty());
  write(disk, "data/__cluster_metadata-0", "quorum.properties", "node.id=1\n");
  write(disk, "data/__cluster_metadata-0", "quorum-state", "NQST");
  write(disk, "data/__cluster_metadata-0", "00000000000000000000.log", "");
  write(disk, "data/__cluster_metadata-0", "00000000000000000120-0000000002.checkpoint", "");
  CHECK(refusal(disk, config_of("data", "data")).empty());
}
