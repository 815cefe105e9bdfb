// naru consume: records to standard output, of whole topics or as a member of a group.
#include <unistd.h>

#include <set>

#include <fmt/format.h>

#include "cli/kafka_client.h"
#include "cli/output.h"
#include "cli/record_text.h"
#include "cli/session.h"
#include "cli/wait.h"
#include "common/model/types.h"

namespace cli {
namespace {

using common::model::PartitionIndex;
using common::model::TopicPartition;

constexpr std::string_view shape = R"(one object a line:
{"topic": "text", "partition": 0, "offset": 0, "timestamp": milliseconds, "key": "text" or null, "value": "text" or null,
 "headers": [{"name": "text", "value": "text" or null}], "binary": true where bytes are no UTF-8 (replaced)}
)";

class Consuming {
 public:
  explicit Consuming(const ConsumeCommand& command) : command_(command) {}
  Exit run();

 private:
  Outcome<void> open(const StartPosition& from);
  Outcome<void> assign(const StartPosition& from);
  Outcome<void> add_partitions(const std::string& topic, int timeout_ms);
  Outcome<void> seek_by_time(int64_t timestamp, int timeout_ms);
  Outcome<void> subscribe();
  // False: stop.
  bool take(const rd_kafka_message_t& message);
  void flush();
  [[nodiscard]] bool all_at_end() const;

  const ConsumeCommand& command_;
  OutputPattern pattern_;
  KafkaHandle consumer_;
  KafkaPartitions assigned_;
  std::set<TopicPartition> at_end_;
  std::string out_;
  int64_t count_ = 0;
  std::optional<Problem> failure_;
  bool reader_gone_ = false;
};

Outcome<void> Consuming::open(const StartPosition& from) {
  KafkaSettings settings;
  settings.set("bootstrap.servers", bootstrap_text(command_.shared));
  settings.set("enable.partition.eof", "true");
  settings.set("group.id", command_.group.empty() ? "naru-consume" : command_.group);
  settings.set("enable.auto.commit", command_.group.empty() ? "false" : "true");
  settings.set("auto.offset.reset", from.kind == StartPosition::Kind::end ? "latest" : "earliest");
  settings.set("fetch.wait.max.ms", "100");
  settings.set_all(command_.properties);
  Outcome<KafkaHandle> made = std::move(settings).make(RD_KAFKA_CONSUMER);
  if (!made) return tl::unexpected(std::move(made.error()));
  consumer_ = std::move(*made);
  rd_kafka_poll_set_consumer(consumer_.get());
  return command_.group.empty() ? assign(from) : subscribe();
}

Outcome<void> Consuming::subscribe() {
  const KafkaPartitions topics(rd_kafka_topic_partition_list_new(static_cast<int>(command_.topics.size())));
  for (const std::string& topic : command_.topics)
    rd_kafka_topic_partition_list_add(topics.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  const rd_kafka_resp_err_t error = rd_kafka_subscribe(consumer_.get(), topics.get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return tl::unexpected(kafka_problem("cannot join the group", error));
  return {};
}

Outcome<void> Consuming::add_partitions(const std::string& topic, int timeout_ms) {
  rd_kafka_topic_t* handle = rd_kafka_topic_new(consumer_.get(), topic.c_str(), nullptr);
  const rd_kafka_metadata_t* raw = nullptr;
  const rd_kafka_resp_err_t error = rd_kafka_metadata(consumer_.get(), 0, handle, &raw, timeout_ms);
  rd_kafka_topic_destroy(handle);
  const KafkaMetadata metadata(raw);
  const std::string what = fmt::format("cannot consume {}", topic);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return problem(Exit::unreachable,
                   fmt::format("no broker answered: {} ({})", bootstrap_text(command_.shared), rd_kafka_err2str(error)),
                   "is it running? `naru dev` starts one; -b names another address");
  }
  for (int t = 0; t < metadata->topic_cnt; ++t) {
    const rd_kafka_metadata_topic_t& found = metadata->topics[t];
    if (found.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
      return problem(Exit::refused, fmt::format("no such topic: {}", topic), "`naru topic list` shows what there is");
    }
    if (found.err != RD_KAFKA_RESP_ERR_NO_ERROR) return tl::unexpected(kafka_problem(what, found.err));
    for (int p = 0; p < found.partition_cnt; ++p) {
      if (command_.partition >= 0 && found.partitions[p].id != command_.partition) continue;
      rd_kafka_topic_partition_list_add(assigned_.get(), topic.c_str(), found.partitions[p].id);
    }
  }
  return {};
}

Outcome<void> Consuming::seek_by_time(int64_t timestamp, int timeout_ms) {
  for (int i = 0; i < assigned_->cnt; ++i) assigned_->elems[i].offset = timestamp;
  const rd_kafka_resp_err_t error = rd_kafka_offsets_for_times(consumer_.get(), assigned_.get(), timeout_ms);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return tl::unexpected(kafka_problem("cannot look the time up", error));
  return {};
}

Outcome<void> Consuming::assign(const StartPosition& from) {
  const int timeout_ms = static_cast<int>(command_.shared.timeout.count());
  assigned_.reset(rd_kafka_topic_partition_list_new(1));
  for (const std::string& topic : command_.topics) {
    if (Outcome<void> added = add_partitions(topic, timeout_ms); !added) return added;
  }
  if (assigned_->cnt == 0)
    return problem(Exit::refused, fmt::format("partition {}: there is none of that number", command_.partition));
  if (from.kind == StartPosition::Kind::time) {
    if (Outcome<void> done = seek_by_time(from.number, timeout_ms); !done) return done;
  } else {
    const int64_t offset = from.kind == StartPosition::Kind::start  ? RD_KAFKA_OFFSET_BEGINNING
                           : from.kind == StartPosition::Kind::end  ? RD_KAFKA_OFFSET_END
                           : from.kind == StartPosition::Kind::tail ? RD_KAFKA_OFFSET_TAIL(from.number)
                                                                    : from.number;
    for (int i = 0; i < assigned_->cnt; ++i) assigned_->elems[i].offset = offset;
  }
  const rd_kafka_resp_err_t error = rd_kafka_assign(consumer_.get(), assigned_.get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return tl::unexpected(kafka_problem("cannot consume", error));
  return {};
}

bool Consuming::all_at_end() const {
  if (assigned_) return at_end_.size() >= static_cast<size_t>(assigned_->cnt);
  rd_kafka_topic_partition_list_t* raw = nullptr;
  if (rd_kafka_assignment(consumer_.get(), &raw) != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
  const KafkaPartitions current(raw);
  for (int i = 0; i < current->cnt; ++i) {
    if (!at_end_.contains({current->elems[i].topic, PartitionIndex(current->elems[i].partition)})) return false;
  }
  return current->cnt > 0;
}

void Consuming::flush() {
  if (!out_.empty() && !print_out(out_)) reader_gone_ = true;
  out_.clear();
}

RecordText text_of(const rd_kafka_message_t& message) {
  RecordText record;
  record.topic = rd_kafka_topic_name(message.rkt);
  record.partition = message.partition;
  record.offset = message.offset;
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  record.timestamp = rd_kafka_message_timestamp(&message, &type);
  if (message.key != nullptr) record.key = std::string_view(static_cast<const char*>(message.key), message.key_len);
  if (message.payload != nullptr)
    record.value = std::string_view(static_cast<const char*>(message.payload), message.len);
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
      record.headers.emplace_back(name, value == nullptr
                                            ? std::nullopt
                                            : std::optional(std::string_view(static_cast<const char*>(value), size)));
    }
  }
  return record;
}

bool Consuming::take(const rd_kafka_message_t& message) {
  const auto partition = [&] {
    return TopicPartition{rd_kafka_topic_name(message.rkt), PartitionIndex(message.partition)};
  };
  if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    at_end_.insert(partition());
    flush();
    return !(command_.exit_at_end && all_at_end());
  }
  if (message.err == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED || message.err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
      message.err == RD_KAFKA_RESP_ERR__TRANSPORT || message.err == RD_KAFKA_RESP_ERR__RESOLVE) {
    return true;  // librdkafka goes on trying
  }
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    failure_ = kafka_problem("cannot consume", message.err, rd_kafka_message_errstr(&message));
    return false;
  }
  if (command_.exit_at_end && !at_end_.empty()) at_end_.erase(partition());
  const RecordText record = text_of(message);
  if (command_.shared.format == Format::json) {
    out_ += record_json(record);
  } else {
    pattern_.append(out_, record);
  }
  if (out_.size() > 65536) flush();
  ++count_;
  return (command_.count == 0 || count_ < command_.count) && !reader_gone_;
}

Exit Consuming::run() {
  Outcome<OutputPattern> pattern = OutputPattern::parse(command_.format.empty() ? "%v\\n" : command_.format);
  if (!pattern) return report(pattern.error());
  pattern_ = std::move(*pattern);
  const auto now =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  const std::string from_text = !command_.from.empty()                            ? command_.from
                                : command_.exit_at_end || !command_.group.empty() ? "start"
                                                                                  : "end";
  const Outcome<StartPosition> from = parse_from(from_text, now.count());
  if (!from) return report(from.error());
  Interruption interruption;
  if (Outcome<void> opened = open(*from); !opened) return report(opened.error());
  bool going = true;
  while (going && interruption.count() == 0) {
    const KafkaMessage message(rd_kafka_consumer_poll(consumer_.get(), out_.empty() ? 200 : 0));
    if (message) {
      going = take(*message);
    } else {
      flush();
      going = !reader_gone_;
    }
  }
  flush();
  rd_kafka_consumer_close(consumer_.get());
  if (failure_) return report(*failure_);
  return interruption.count() > 0 && command_.exit_at_end ? Exit::interrupted : Exit::done;
}

}  // namespace

Exit run(const ConsumeCommand& command) {
  if (command.shared.format == Format::help) return print_out(shape) ? Exit::done : Exit::refused;
  return Consuming(command).run();
}

}  // namespace cli
