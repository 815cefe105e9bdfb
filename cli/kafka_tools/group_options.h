// kafka-consumer-groups' words, and what ConsumerGroupCommandOptions refuses about them, in its order and sentences.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cli/kafka_tools/flags.h"
#include "cli/kafka_tools/group_changes.h"

namespace cli::kafka_tools {

struct GroupOptions {
  Target target;
  bool list = false, describe = false, remove = false, reset = false, delete_offsets = false;
  bool all_groups = false, members = false, verbose = false, offsets = false, state = false;
  std::vector<std::string> groups;
  OffsetReset change;
  std::string usage;  // what the tool prints below a refusal

  // The exit code if it is all over already.
  std::optional<Exit> parse(int argc, const char* const* argv);

 private:
  // What is wrong; empty: nothing.
  [[nodiscard]] std::string conflict() const;
  [[nodiscard]] std::string reset_conflict() const;
};

}  // namespace cli::kafka_tools
