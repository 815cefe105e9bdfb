// How a container of Kafka's images is told what to do: a mounted server.properties, KAFKA_* variables on top of it,
// and the places where its volumes lie (apache/kafka, confluentinc/cp-kafka, bitnami/kafka). deploy/docker builds such
// an image; `naru health --local` in it asks the broker at the port that these sources name. Reads files and the
// environment; thread-compatible.
#pragma once
#include <string>
#include <vector>

#include "cli/problem.h"
#include "common/config/config_load.h"

namespace cli {

// `variables` are NAME=VALUE words that stand above the environment, as /etc/kafka/docker/run takes them.
Outcome<common::config::ConfigSources> image_sources(const std::vector<std::string>& variables = {});

// Where a client on this machine reaches the broker that these sources configure: "localhost:9092" if nothing else is
// said or the configuration is wrong (the broker's own log says so).
std::string local_address();

}  // namespace cli
