// Kafka's tools, each a function with the arguments of main. dispatch.cc knows their names.
#pragma once
#include "cli/commands.h"

namespace cli::kafka_tools {

Exit topics(int argc, const char* const* argv);
Exit console_producer(int argc, const char* const* argv);
Exit console_consumer(int argc, const char* const* argv);
Exit consumer_groups(int argc, const char* const* argv);
Exit configs(int argc, const char* const* argv);
Exit broker_api_versions(int argc, const char* const* argv);
Exit get_offsets(int argc, const char* const* argv);
Exit metadata_quorum(int argc, const char* const* argv);

}  // namespace cli::kafka_tools
