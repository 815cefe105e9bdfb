// Kafka's scripts as other names of this binary: started as kafka-topics.sh, or as a container's /etc/kafka/docker/run,
// it takes Kafka's flags and prints Kafka's lines, so that compose files and runbooks go on working.
#pragma once
#include <optional>
#include <string_view>

#include "cli/commands.h"

namespace cli {

using KafkaTool = Exit (*)(int argc, const char* const* argv);

// By the last part of the path the program was started as, with or without .sh; absent: it is naru itself. One of
// Kafka's that naru does not stand for says so, and which command does its job (instead.h).
std::optional<KafkaTool> kafka_tool_named(std::string_view program);

}  // namespace cli
