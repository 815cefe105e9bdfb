// Where a partition ends, asked of librdkafka's own brokers (rdkafka_mock.h): a leader that is gone keeps nobody waiting,
// and the next question goes to the new one.
#include <chrono>
#include <optional>

#include <catch2/catch.hpp>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "cli/verify/partition_offset.h"

using cli::KafkaHandle;
using cli::KafkaSettings;
using cli::verify::ask_offset;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr const char* topic = "orders";
constexpr milliseconds timeout(1000);

// A client with two brokers of its own; partition 0 is led by broker 1.
struct Cluster {
  KafkaHandle client;
  rd_kafka_mock_cluster_t* brokers;
};

Cluster two_brokers() {
  KafkaSettings settings;
  settings.set("test.mock.num.brokers", "2");
  settings.set("group.id", "onlookers");
  cli::Outcome<KafkaHandle> made = std::move(settings).make(RD_KAFKA_CONSUMER);
  REQUIRE(made);
  rd_kafka_mock_cluster_t* brokers = rd_kafka_handle_mock_cluster(made->get());
  REQUIRE(brokers != nullptr);
  REQUIRE(rd_kafka_mock_topic_create(brokers, topic, 1, 2) == RD_KAFKA_RESP_ERR_NO_ERROR);
  REQUIRE(rd_kafka_mock_partition_set_leader(brokers, topic, 0, 1) == RD_KAFKA_RESP_ERR_NO_ERROR);
  return {std::move(*made), brokers};
}

}  // namespace

TEST_CASE("the begin and the end of a partition are asked of its leader", "[verify]") {
  const Cluster cluster = two_brokers();
  CHECK(ask_offset(cluster.client.get(), topic, 0, RD_KAFKA_OFFSET_END, milliseconds(10'000)) == 0);
  CHECK(ask_offset(cluster.client.get(), topic, 0, RD_KAFKA_OFFSET_BEGINNING, milliseconds(10'000)) == 0);
}

TEST_CASE("a leader that is gone is not waited for, and the next question goes to the new one", "[verify]") {
  const Cluster cluster = two_brokers();
  REQUIRE(ask_offset(cluster.client.get(), topic, 0, RD_KAFKA_OFFSET_END, milliseconds(10'000)) == 0);
  REQUIRE(rd_kafka_mock_broker_set_down(cluster.brokers, 1) == RD_KAFKA_RESP_ERR_NO_ERROR);
  const auto began = steady_clock::now();
  CHECK_FALSE(ask_offset(cluster.client.get(), topic, 0, RD_KAFKA_OFFSET_END, timeout));
  // Its time, that of the look for the leader, and room for a machine with much to do.
  CHECK(steady_clock::now() - began < 20 * timeout);

  REQUIRE(rd_kafka_mock_partition_set_leader(cluster.brokers, topic, 0, 2) == RD_KAFKA_RESP_ERR_NO_ERROR);
  std::optional<int64_t> end;
  for (int i = 0; !end && i < 10; ++i) end = ask_offset(cluster.client.get(), topic, 0, RD_KAFKA_OFFSET_END, timeout);
  CHECK(end == 0);
}
