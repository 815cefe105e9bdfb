// What naru has instead of the tools and flags of Kafka's that it does not stand for: whoever calls one is told which
// command does the job, or that nothing does. Pure.
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace cli::kafka_tools {

struct Instead {
  std::string_view tool;  // kafka-dump-log, without .sh
  std::string_view what;  // a sentence with the command in it
};
// All of Kafka's kafka-* scripts that naru does not stand for.
[[nodiscard]] std::span<const Instead> tools_not_offered();

// Of such a tool and the words it was called with, of which kafka-run-class has the class in the first. Empty: Kafka
// has no tool of that name.
[[nodiscard]] std::string instead_of_tool(std::string_view tool, std::string_view first_word);

// Of a flag ("--zookeeper", or with =value) that `tool` of Kafka's knows and ours does not; empty: none knows it.
[[nodiscard]] std::string_view instead_of_flag(std::string_view tool, std::string_view flag);

// The command of naru that does in its own words what `tool` does: "naru topic".
[[nodiscard]] std::string_view own_words_for(std::string_view tool);

}  // namespace cli::kafka_tools
