#include "cli/verify/partition_offset.h"

namespace cli::verify {
namespace {

// A leader that librdkafka does not reach makes it ask nobody whether the partition, or the broker, is elsewhere now: it
// tries the address that it has heard once, until its metadata is some minutes old.
void look_where_leaders_are(rd_kafka_t* client, const std::string& topic, int timeout_ms) {
  rd_kafka_topic_t* handle = rd_kafka_topic_new(client, topic.c_str(), nullptr);
  const rd_kafka_metadata_t* raw = nullptr;
  const auto error = rd_kafka_metadata(client, 0, handle, &raw, timeout_ms);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_metadata_destroy(raw);
  rd_kafka_topic_destroy(handle);
}

}  // namespace

// Not by rd_kafka_query_watermark_offsets: before librdkafka 2.3 it passes over its timeout, and waits without end for a
// leader that is not reached (librdkafka's issue 2588). A look for a time sends the same request.
std::optional<int64_t> ask_offset(rd_kafka_t* client, const std::string& topic, int32_t partition, int64_t which,
                                  std::chrono::milliseconds timeout) {
  const auto timeout_ms = static_cast<int>(timeout.count());
  const KafkaPartitions asked(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_t& it = *rd_kafka_topic_partition_list_add(asked.get(), topic.c_str(), partition);
  it.offset = which;
  const auto error = rd_kafka_offsets_for_times(client, asked.get(), timeout_ms);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR && it.err == RD_KAFKA_RESP_ERR_NO_ERROR && it.offset >= 0) return it.offset;
  look_where_leaders_are(client, topic, timeout_ms);
  return std::nullopt;
}

}  // namespace cli::verify
