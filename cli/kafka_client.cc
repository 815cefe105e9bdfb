#include "cli/kafka_client.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace cli {

namespace {

// Kafka's Java client knows these; librdkafka has no such thing, or they are set for it anyway.
constexpr std::array java_only = {"key.serializer",      "value.serializer",       "key.deserializer",
                                  "value.deserializer",  "buffer.memory",          "max.block.ms",
                                  "max.poll.records",    "interceptor.classes",    "metric.reporters",
                                  "partitioner.class",   "default.api.timeout.ms", "auto.include.jmx.reporter",
                                  "metrics.num.samples", "exclude.internal.topics"};

}  // namespace

KafkaSettings::KafkaSettings() : conf_(rd_kafka_conf_new()) {
  // Broker connections come and go while a command runs; what matters is told by the records' own outcome.
  rd_kafka_conf_set_log_cb(conf_, [](const rd_kafka_t*, int, const char*, const char*) {});
  set("client.id", "naru");
}

KafkaSettings::~KafkaSettings() {
  if (conf_ != nullptr) rd_kafka_conf_destroy(conf_);
}

void KafkaSettings::set(const std::string& name, const std::string& value) {
  std::array<char, 512> error{};
  if (rd_kafka_conf_set(conf_, name.c_str(), value.c_str(), error.data(), error.size()) != RD_KAFKA_CONF_OK &&
      wrong_.empty()) {
    wrong_ = fmt::format("{}={}: {}", name, value, error.data());
  }
}

void KafkaSettings::set_all(const std::vector<std::string>& properties) {
  for (const std::string& property : properties) {
    const size_t equals = property.find('=');
    if (equals == std::string::npos || equals == 0) {
      if (wrong_.empty()) wrong_ = fmt::format("-X {}: must be name=value", property);
      continue;
    }
    std::string name = property.substr(0, equals);
    if (std::ranges::find(java_only, name) != java_only.end()) continue;
    set(name, property.substr(equals + 1));
  }
}

Outcome<KafkaHandle> KafkaSettings::make(rd_kafka_type_t type) && {
  if (!wrong_.empty()) return problem(Exit::usage, wrong_);
  std::array<char, 512> error{};
  rd_kafka_t* handle = rd_kafka_new(type, conf_, error.data(), error.size());
  if (handle == nullptr) return problem(Exit::usage, error.data());
  conf_ = nullptr;  // now the client's
  return KafkaHandle(handle);
}

Problem kafka_problem(std::string_view what, rd_kafka_resp_err_t error, std::string_view more) {
  Exit exit = Exit::refused;
  std::string next_step;
  switch (error) {
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
      exit = Exit::unreachable;
      next_step = "is it running? `naru health` says what is wrong";
      break;
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
      exit = Exit::usage;
      break;
    default:
      break;
  }
  const std::string detail = more.empty() ? std::string() : fmt::format(" ({})", more);
  return {.exit = exit,
          .message = fmt::format("{}: {}{}", what, rd_kafka_err2str(error), detail),
          .next_step = std::move(next_step)};
}

}  // namespace cli
