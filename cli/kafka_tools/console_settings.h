// What the two console tools share: settings for librdkafka from Kafka's flags, files and NAME=VALUE words.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "cli/kafka_client.h"

namespace cli::kafka_tools {

using Words = std::map<std::string, std::string>;

// "a=b" words of --reader-property and the like; later ones win. An escape in a value (\t, \n) is what it stands for.
Outcome<Words> parse_words(const std::vector<std::string>& words);

// Settings of a file of properties and of NAME=VALUE words.
Outcome<void> add_settings(KafkaSettings& settings, const std::string& file, const std::vector<std::string>& words);

bool is_true(const Words& words, const std::string& name, bool otherwise);
std::string text_or(const Words& words, const std::string& name, const std::string& otherwise);

}  // namespace cli::kafka_tools
