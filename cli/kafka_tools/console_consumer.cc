// kafka-console-consumer: records to standard output, with ConsoleConsumer's flags and its default formatter's lines.
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <random>

#include <fmt/format.h>

#include "cli/consumed_offsets.h"
#include "cli/kafka_tools/console_settings.h"
#include "cli/kafka_tools/flags.h"
#include "cli/kafka_tools/tools.h"
#include "cli/output.h"
#include "cli/wait.h"

namespace cli::kafka_tools {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct Options {
  Target target;
  std::string topic, include, group, offset, isolation, config_file;
  std::optional<int64_t> partition, max_messages, timeout_ms;
  bool from_beginning = false, skip_errors = false;
  std::vector<std::string> formatter_words, consumer_words;
};

std::optional<Exit> parse(Options& o, int argc, const char* const* argv) {
  Flags flags("kafka-console-consumer",
              "This tool helps to read data from Kafka topics and outputs it to standard output.");
  o.target.add_to(flags);
  flags.text("--topic", o.topic, "The topic to consume.");
  flags.text("--include,--whitelist", o.include, "A regular expression for the topics.");
  flags.number("--partition", o.partition, "The partition to consume.");
  flags.text("--offset", o.offset, "Where to start in that partition: a number, earliest or latest.");
  flags.toggle("--from-beginning", o.from_beginning, "Start with the earliest record if the group has no offset.");
  flags.number("--max-messages", o.max_messages, "So many records at most.");
  flags.number("--timeout-ms", o.timeout_ms, "End if no record comes for so long.");
  flags.text("--group", o.group, "The consumer group.");
  flags.texts("--property,--formatter-property", o.formatter_words,
              "print.key, print.value, print.timestamp, print.partition, print.offset, print.headers, key.separator, "
              "line.separator, headers.separator, null.literal");
  flags.texts("--consumer-property,--command-property", o.consumer_words, "A property of the consumer, NAME=VALUE.");
  flags.text("--consumer.config", o.config_file, "A file of properties for the consumer.");
  flags.text("--isolation-level", o.isolation, "read_committed or read_uncommitted.");
  flags.toggle("--skip-message-on-error", o.skip_errors, "Go on after an error.");
  for (const char* name : {"--formatter", "--formatter-config", "--key-deserializer", "--value-deserializer"})
    flags.ignored(name);
  if (const auto over = flags.parse(argc, argv)) return over;
  if (o.target.brokers.empty()) return fail("Missing required option(s) [bootstrap-server]");
  if (o.topic.empty() == o.include.empty()) return fail("Exactly one of --include/--topic is required.");
  if (!o.offset.empty() && !o.partition) return fail("The partition is required when offset is specified.");
  if (o.partition && o.topic.empty()) return fail("The topic is required when partition is specified.");
  if (o.from_beginning && !o.offset.empty())
    return fail("Options from-beginning and offset cannot be specified together.");
  if (o.partition && !o.group.empty()) return fail("Options group and partition cannot be specified together.");
  return std::nullopt;
}

// DefaultMessageFormatter.
class Formatter {
 public:
  explicit Formatter(const Words& words)
      : timestamp_(is_true(words, "print.timestamp", false)),
        key_(is_true(words, "print.key", false)),
        value_(is_true(words, "print.value", true)),
        partition_(is_true(words, "print.partition", false)),
        offset_(is_true(words, "print.offset", false)),
        headers_(is_true(words, "print.headers", false)),
        separator_(text_or(words, "key.separator", "\t")),
        line_end_(text_or(words, "line.separator", "\n")),
        headers_separator_(text_or(words, "headers.separator", ",")),
        null_(text_or(words, "null.literal", "null")) {}

  void append(std::string& out, const rd_kafka_message_t& message) const {
    std::string line;
    const auto part = [&](std::string_view text) {
      if (!line.empty()) line += separator_;
      line += text;
    };
    if (timestamp_) part(time_of(message));
    if (partition_) part(fmt::format("Partition:{}", message.partition));
    if (offset_) part(fmt::format("Offset:{}", message.offset));
    if (headers_) part(headers_of(message));
    if (key_) part(bytes_of(message.key, message.key_len));
    if (value_) {
      if (timestamp_ || partition_ || offset_ || headers_ || key_) line += separator_;
      line += bytes_of(message.payload, message.len);
    }
    out += line;
    out += line_end_;
  }

 private:
  [[nodiscard]] std::string_view bytes_of(const void* bytes, size_t size) const {
    return bytes == nullptr ? std::string_view(null_) : std::string_view(static_cast<const char*>(bytes), size);
  }
  static std::string time_of(const rd_kafka_message_t& message) {
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    const int64_t time = rd_kafka_message_timestamp(&message, &type);
    if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE) return "NO_TIMESTAMP";
    return fmt::format("{}:{}", type == RD_KAFKA_TIMESTAMP_CREATE_TIME ? "CreateTime" : "LogAppendTime", time);
  }
  [[nodiscard]] std::string headers_of(const rd_kafka_message_t& message) const {
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return "NO_HEADERS";
    std::string text;
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
      text += fmt::format("{}{}:{}", i == 0 ? "" : headers_separator_, name, bytes_of(value, size));
    }
    return text.empty() ? "NO_HEADERS" : text;
  }

  bool timestamp_, key_, value_, partition_, offset_, headers_;
  std::string separator_, line_end_, headers_separator_, null_;
};

class Consumer {
 public:
  Consumer(const Options& o, Formatter formatter) : o_(o), formatter_(std::move(formatter)) {}
  Exit run();

 private:
  Outcome<void> open();
  Outcome<void> subscribe();
  Outcome<void> assign();
  // Waits until the topic is there: asking for it creates it where brokers do that.
  Outcome<std::vector<int32_t>> partitions(Interruption& interruption);
  // false: that was the last one.
  bool take(const rd_kafka_message_t& message);
  void flush();

  const Options& o_;
  Formatter formatter_;
  KafkaHandle handle_;
  std::string out_;
  int64_t count_ = 0;
  ConsumedOffsets consumed_;
  bool cannot_write_ = false;
  std::optional<Problem> failure_;
};

Outcome<void> Consumer::open() {
  KafkaSettings settings;
  settings.set("bootstrap.servers", o_.target.brokers);
  settings.set("client.id", "console-consumer");
  settings.set("auto.offset.reset", o_.from_beginning ? "earliest" : "latest");
  settings.set("allow.auto.create.topics", "true");
  // As Kafka: whoever names no group commits nothing.
  settings.set("group.id",
               o_.group.empty() ? fmt::format("console-consumer-{}", std::random_device()() % 100'000) : o_.group);
  if (o_.group.empty()) settings.set("enable.auto.commit", "false");
  settings.set("isolation.level", o_.isolation.empty() ? "read_uncommitted" : o_.isolation);
  settings.set("fetch.wait.max.ms", "100");
  ConsumedOffsets::take_over(settings);
  const std::string& file = o_.config_file.empty() ? o_.target.config_file : o_.config_file;
  if (auto added = add_settings(settings, file, o_.consumer_words); !added) return added;
  Outcome<KafkaHandle> made = std::move(settings).make(RD_KAFKA_CONSUMER);
  if (!made) return tl::unexpected(std::move(made.error()));
  handle_ = std::move(*made);
  rd_kafka_poll_set_consumer(handle_.get());
  return {};
}

Outcome<void> Consumer::subscribe() {
  const KafkaPartitions topics(rd_kafka_topic_partition_list_new(1));
  std::string name = o_.topic;
  if (name.empty()) name = o_.include.starts_with('^') ? o_.include : fmt::format("^({})$", o_.include);
  rd_kafka_topic_partition_list_add(topics.get(), name.c_str(), RD_KAFKA_PARTITION_UA);
  const rd_kafka_resp_err_t error = rd_kafka_subscribe(handle_.get(), topics.get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return tl::unexpected(kafka_problem("cannot consume", error));
  return {};
}

Outcome<std::vector<int32_t>> Consumer::partitions(Interruption& interruption) {
  const auto until = steady_clock::now() + milliseconds(o_.timeout_ms.value_or(30'000));
  std::string last = "no broker answered";
  while (steady_clock::now() < until) {
    rd_kafka_topic_t* topic = rd_kafka_topic_new(handle_.get(), o_.topic.c_str(), nullptr);
    const rd_kafka_metadata_t* raw = nullptr;
    const rd_kafka_resp_err_t error = rd_kafka_metadata(handle_.get(), 0, topic, &raw, 1000);
    rd_kafka_topic_destroy(topic);
    const KafkaMetadata metadata(raw);
    std::vector<int32_t> found;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1) {
      last = rd_kafka_err2str(metadata->topics[0].err);
      for (int p = 0; p < metadata->topics[0].partition_cnt; ++p) found.push_back(metadata->topics[0].partitions[p].id);
    }
    if (!found.empty()) return found;
    if (interruption.wait(milliseconds(100))) break;
  }
  return problem(Exit::unreachable, fmt::format("topic {}: {}", o_.topic, last));
}

// Without a group nobody shares the partitions: no need to wait for a group to form.
Outcome<void> Consumer::assign() {
  Interruption interruption;
  const auto all = partitions(interruption);
  if (!all) return tl::unexpected(all.error());
  int64_t start = o_.from_beginning || o_.offset == "earliest" ? RD_KAFKA_OFFSET_BEGINNING : RD_KAFKA_OFFSET_END;
  if (!o_.offset.empty() && o_.offset != "earliest" && o_.offset != "latest") {
    const auto [end, error] = std::from_chars(o_.offset.data(), o_.offset.data() + o_.offset.size(), start);
    if (error != std::errc() || end != o_.offset.data() + o_.offset.size() || start < 0) {
      return problem(Exit::refused, fmt::format("The provided offset value '{}' is incorrect. Valid values are "
                                                "'earliest', 'latest', or a non-negative long.",
                                                o_.offset));
    }
  }
  const KafkaPartitions list(rd_kafka_topic_partition_list_new(1));
  for (const int32_t p : *all) {
    if (o_.partition && *o_.partition != p) continue;
    rd_kafka_topic_partition_list_add(list.get(), o_.topic.c_str(), p)->offset = start;
  }
  if (list->cnt == 0)
    return problem(Exit::refused, fmt::format("topic {} has no partition {}", o_.topic, o_.partition.value_or(-1)));
  const rd_kafka_resp_err_t error = rd_kafka_assign(handle_.get(), list.get());
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return tl::unexpected(kafka_problem("cannot consume", error));
  return {};
}

void Consumer::flush() {
  if (cannot_write_) return;  // and nothing after it counts as read
  if (out_.empty() || print_out(out_)) {
    consumed_.written(handle_.get());
  } else {
    cannot_write_ = true;
  }
  out_.clear();
}

bool Consumer::take(const rd_kafka_message_t& message) {
  switch (message.err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      break;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
      return true;  // librdkafka goes on trying
    default:
      if (o_.skip_errors) return true;
      failure_ = kafka_problem("Error processing message, terminating consumer process", message.err,
                               rd_kafka_message_errstr(&message));
      return false;
  }
  formatter_.append(out_, message);
  consumed_.add(message);
  if (out_.size() > 65'536) flush();
  ++count_;
  return (!o_.max_messages || *o_.max_messages < 0 || count_ < *o_.max_messages) && !cannot_write_;
}

Exit Consumer::run() {
  if (auto opened = open(); !opened) return fail(opened.error());
  const bool shares = !o_.group.empty() || o_.topic.empty();
  auto begun = shares && !o_.partition ? subscribe() : assign();
  if (begun) {
    Interruption interruption;
    auto last = steady_clock::now();
    for (bool going = true; going && interruption.count() == 0;) {
      const KafkaMessage message(rd_kafka_consumer_poll(handle_.get(), out_.empty() ? 100 : 0));
      if (message) {
        going = take(*message);
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) last = steady_clock::now();
        continue;
      }
      flush();
      going = !cannot_write_;
      if (o_.timeout_ms && *o_.timeout_ms >= 0 && steady_clock::now() - last >= milliseconds(*o_.timeout_ms)) {
        failure_ = Problem{.exit = Exit::done,
                           .message = "ERROR Error processing message, terminating consumer process: timed out",
                           .next_step = {}};
        going = false;
      }
    }
    flush();
  } else if (begun.error().exit != Exit::unreachable) {
    return fail(begun.error());
  } else {
    failure_ = begun.error();
  }
  if (failure_) fmt::print(stderr, "{}\n", failure_->message);
  fmt::print(stderr, "Processed a total of {} messages\n", count_);
  rd_kafka_consumer_close(handle_.get());
  return Exit::done;
}

}  // namespace

Exit console_consumer(int argc, const char* const* argv) {
  Options o;
  if (const auto over = parse(o, argc, argv)) return *over;
  const auto words = parse_words(o.formatter_words);
  if (!words) return fail(words.error());
  return Consumer(o, Formatter(*words)).run();
}

}  // namespace cli::kafka_tools
