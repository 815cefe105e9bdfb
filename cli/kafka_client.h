// librdkafka behind owning types: handles that close themselves, settings that report what is wrong. Used by produce,
// consume and the history checker; nothing else includes rdkafka.h.
// Thread-compatible.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <librdkafka/rdkafka.h>

#include "cli/problem.h"

namespace cli {

struct CloseKafka {
  void operator()(rd_kafka_t* handle) const { rd_kafka_destroy(handle); }
  void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
  void operator()(rd_kafka_topic_partition_list_t* list) const { rd_kafka_topic_partition_list_destroy(list); }
  void operator()(const rd_kafka_metadata_t* metadata) const { rd_kafka_metadata_destroy(metadata); }
};
using KafkaHandle = std::unique_ptr<rd_kafka_t, CloseKafka>;
using KafkaMessage = std::unique_ptr<rd_kafka_message_t, CloseKafka>;
using KafkaPartitions = std::unique_ptr<rd_kafka_topic_partition_list_t, CloseKafka>;
using KafkaMetadata = std::unique_ptr<const rd_kafka_metadata_t, CloseKafka>;

// Settings until a client is made of them; later values for one name win.
class KafkaSettings {
 public:
  KafkaSettings();
  ~KafkaSettings();
  KafkaSettings(const KafkaSettings&) = delete;
  KafkaSettings& operator=(const KafkaSettings&) = delete;

  // The first setting that is refused is reported when the client is made.
  void set(const std::string& name, const std::string& value);
  // "name=value" as given to -X; Java's names that librdkafka spells differently are understood.
  void set_all(const std::vector<std::string>& properties);
  [[nodiscard]] rd_kafka_conf_t* get() const { return conf_; }
  Outcome<KafkaHandle> make(rd_kafka_type_t type) &&;

 private:
  rd_kafka_conf_t* conf_;
  std::string wrong_;
};

// "topic orders: no such topic" and the like, from librdkafka's error.
Problem kafka_problem(std::string_view what, rd_kafka_resp_err_t error, std::string_view more = {});

}  // namespace cli
