// naru consume: records to standard output, of whole topics or as a member of a group.
#include <unistd.h>

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "cli/client_properties.h"
#include "cli/consumed_offsets.h"
#include "cli/group_facts.h"
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
  Outcome<void> seek_to(int64_t offset);
  Outcome<void> subscribe();
  // False: stop.
  bool take(const rd_kafka_message_t& message);
  void flush();
  // Those that are still to be read to their end; none while this member of a group has no partition.
  [[nodiscard]] std::optional<std::vector<TopicPartition>> not_at_end() const;
  // With -e nobody waits for ever: why the end is not reached, once nothing has come for --timeout.
  [[nodiscard]] std::optional<Problem> too_silent() const;

  const ConsumeCommand& command_;
  OutputPattern pattern_;
  KafkaHandle consumer_;
  KafkaPartitions assigned_;
  std::set<TopicPartition> at_end_;
  std::string out_;
  int64_t count_ = 0;
  std::optional<Problem> failure_;
  ConsumedOffsets consumed_;
  bool cannot_write_ = false;
  std::chrono::steady_clock::duration silence_{};  // how long it was waited since something came
  bool told_of_silence_ = false;
};

Outcome<void> Consuming::open(const StartPosition& from) {
  const Outcome<ClientProperties> properties = client_properties(command_.shared);
  if (!properties) return tl::unexpected(properties.error());
  KafkaSettings settings;
  settings.set_all(properties->before);
  settings.set("enable.partition.eof", "true");
  settings.set("group.id", command_.group.empty() ? "naru-consume" : command_.group);
  settings.set("enable.auto.commit", command_.group.empty() ? "false" : "true");
  // An offset that is not there is no reason to print all that is.
  const bool by_offset = from.kind == StartPosition::Kind::offset && command_.group.empty();
  settings.set("auto.offset.reset", by_offset                               ? "error"
                                    : from.kind == StartPosition::Kind::end ? "latest"
                                                                            : "earliest");
  settings.set("fetch.wait.max.ms", "100");
  ConsumedOffsets::take_over(settings);
  settings.set_all(properties->after);
  Outcome<KafkaHandle> made = std::move(settings).make(RD_KAFKA_CONSUMER);
  if (!made) return tl::unexpected(std::move(made.error()));
  consumer_ = std::move(*made);
  rd_kafka_poll_set_consumer(consumer_.get());
  if (Outcome<void> there = look_for_brokers(command_.shared); !there) return there;
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

// Each partition at that offset, or where it begins or ends if that is nearer. Beyond the end of all, it is a mistake.
Outcome<void> Consuming::seek_to(int64_t offset) {
  for (int i = 0; i < assigned_->cnt; ++i) assigned_->elems[i].offset = offset;
  if (!speaks_plainly(command_.shared)) return {};
  Outcome<client::Cluster> cluster = open_cluster(command_.shared, Properties::are_for_the_library_too);
  if (!cluster) return tl::unexpected(std::move(cluster.error()));
  std::vector<TopicPartition> partitions;
  for (int i = 0; i < assigned_->cnt; ++i)
    partitions.push_back({assigned_->elems[i].topic, PartitionIndex(assigned_->elems[i].partition)});
  const auto starts = fetch_offsets_at(*cluster, partitions, timestamp_start);
  if (!starts) return tl::unexpected(starts.error());
  const auto ends = fetch_offsets_at(*cluster, partitions, timestamp_end);
  if (!ends) return tl::unexpected(ends.error());
  bool beyond = true;
  std::string ranges;
  for (int i = 0; i < assigned_->cnt; ++i) {
    const TopicPartition& partition = partitions[static_cast<size_t>(i)];
    const auto start = starts->find(partition);
    const auto end = ends->find(partition);
    if (start == starts->end() || end == ends->end()) {
      beyond = false;  // its leader does not answer now: the client sees to it
      continue;
    }
    beyond = beyond && offset > end->second;
    assigned_->elems[i].offset = std::clamp(offset, start->second, end->second);
    if (i < 3) ranges += fmt::format("{}{} holds {} to {}", i == 0 ? "" : ", ", partition, start->second, end->second);
  }
  if (!beyond) return {};
  return problem(
      Exit::refused,
      fmt::format("--from {} is beyond the end: {}{}", offset, ranges, assigned_->cnt > 3 ? ", ..." : ""),
      fmt::format("`naru topic offsets {}` shows where each partition begins and ends", command_.topics.front()));
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
  } else if (from.kind == StartPosition::Kind::offset) {
    if (Outcome<void> done = seek_to(from.number); !done) return done;
  } else {
    const int64_t offset = from.kind == StartPosition::Kind::start ? RD_KAFKA_OFFSET_BEGINNING
                           : from.kind == StartPosition::Kind::end ? RD_KAFKA_OFFSET_END
                                                                   : RD_KAFKA_OFFSET_TAIL(from.number);
    for (int i = 0; i < assigned_->cnt; ++i) assigned_->elems[i].offset = offset;
  }
  const rd_kafka_resp_err_t error = rd_kafka_assign(consumer_.get(), assigned_.get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return tl::unexpected(kafka_problem("cannot consume", error));
  return {};
}

std::optional<std::vector<TopicPartition>> Consuming::not_at_end() const {
  rd_kafka_topic_partition_list_t* raw = nullptr;
  if (rd_kafka_assignment(consumer_.get(), &raw) != RD_KAFKA_RESP_ERR_NO_ERROR) return std::nullopt;
  const KafkaPartitions current(raw);
  if (current->cnt == 0) return std::nullopt;
  std::vector<TopicPartition> open;
  for (int i = 0; i < current->cnt; ++i) {
    TopicPartition partition{current->elems[i].topic, PartitionIndex(current->elems[i].partition)};
    if (!at_end_.contains(partition)) open.push_back(std::move(partition));
  }
  return open;
}

std::optional<Problem> Consuming::too_silent() const {
  if (!command_.exit_at_end || silence_ < command_.shared.timeout) return std::nullopt;
  const std::string waited =
      duration_text(std::chrono::duration_cast<std::chrono::milliseconds>(command_.shared.timeout));
  const auto open = not_at_end();
  if (!open) {
    // A group waits so long for a member that has died before it shares its partitions out anew.
    constexpr std::chrono::seconds session{45};
    if (silence_ < command_.shared.timeout + session) return std::nullopt;
    return Problem{.exit = Exit::unreachable,
                   .message = fmt::format("group {} has given this member no partition", command_.group),
                   .next_step = fmt::format("`naru group describe {}` shows who has them", command_.group)};
  }
  std::string names;
  for (size_t i = 0; i < open->size() && i < 3; ++i) names += fmt::format("{}{}", i == 0 ? "" : ", ", (*open)[i]);
  return Problem{.exit = Exit::unreachable,
                 .message = fmt::format("the end is not reached: nothing has come for {} from {}{}", waited, names,
                                        open->size() > 3 ? fmt::format(" and {} more", open->size() - 3) : ""),
                 .next_step = fmt::format("`naru why consume {}` says why", command_.topics.front())};
}

void Consuming::flush() {
  if (cannot_write_) return;  // and nothing after it counts as read
  if (out_.empty() || print_out(out_)) {
    if (!command_.group.empty()) consumed_.written(consumer_.get());
  } else {
    cannot_write_ = true;
  }
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
    silence_ = {};
    flush();
    if (!command_.exit_at_end || cannot_write_) return !cannot_write_;
    const auto open = not_at_end();
    return !open || !open->empty();
  }
  if (message.err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !std::exchange(told_of_silence_, true) &&
      !command_.shared.quiet)
    fmt::print(stderr, "naru: no broker answers; trying on\n");
  if (message.err == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED || message.err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
      message.err == RD_KAFKA_RESP_ERR__TRANSPORT || message.err == RD_KAFKA_RESP_ERR__RESOLVE) {
    return true;  // librdkafka goes on trying
  }
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    failure_ = kafka_problem("cannot consume", message.err, rd_kafka_message_errstr(&message));
    return false;
  }
  silence_ = {};
  told_of_silence_ = false;
  if (command_.exit_at_end && !at_end_.empty()) at_end_.erase(partition());
  const RecordText record = text_of(message);
  if (command_.shared.format == Format::json) {
    out_ += record_json(record);
  } else {
    pattern_.append(out_, record);
  }
  if (!command_.group.empty()) consumed_.add(message);
  if (out_.size() > 65536) flush();
  ++count_;
  return (command_.count == 0 || count_ < command_.count) && !cannot_write_;
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
    const auto asked = std::chrono::steady_clock::now();
    const KafkaMessage message(rd_kafka_consumer_poll(consumer_.get(), out_.empty() ? 200 : 0));
    silence_ += std::chrono::steady_clock::now() - asked;
    if (message) {
      going = take(*message);
    } else {
      flush();
      going = !cannot_write_;
    }
    if (going && !failure_) {
      failure_ = too_silent();
      going = !failure_;
    }
  }
  flush();
  rd_kafka_consumer_close(consumer_.get());
  if (failure_) return report(*failure_);
  return interruption.count() > 0 ? Exit::interrupted : Exit::done;
}

}  // namespace

Exit run(const ConsumeCommand& command) {
  if (command.shared.format == Format::help) return print_out(shape) ? Exit::done : Exit::refused;
  return Consuming(command).run();
}

}  // namespace cli
