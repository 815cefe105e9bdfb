// kafka-console-producer: lines of standard input to records, with ConsoleProducer's flags.
#include <unistd.h>

#include <array>
#include <iostream>

#include <fmt/format.h>

#include "cli/kafka_tools/console_settings.h"
#include "cli/kafka_tools/flags.h"
#include "cli/kafka_tools/tools.h"
#include "cli/output.h"

namespace cli::kafka_tools {
namespace {

struct Options {
  Target target;
  std::string topic, codec, acks, config_file;
  std::vector<std::string> reader_words, producer_words;
  bool compress = false, synchronous = false;
};

std::optional<Exit> parse(Options& o, int argc, const char* const* argv) {
  Flags flags("kafka-console-producer", "This tool helps to read data from standard input and publish it to Kafka.");
  o.target.add_to(flags);
  flags.text("--topic", o.topic, "The topic to produce to.");
  flags.texts("--property,--reader-property", o.reader_words,
              "parse.key, key.separator, parse.headers, headers.delimiter, headers.separator, headers.key.separator, "
              "null.marker, ignore.error");
  flags.texts("--producer-property,--command-property", o.producer_words, "A property of the producer, NAME=VALUE.");
  flags.text("--producer.config", o.config_file, "A file of properties for the producer.");
  flags.text("--compression-codec", o.codec, "none, gzip, snappy, lz4 or zstd.");
  flags.text("--request-required-acks,--producer-acks", o.acks, "0, 1 or -1.");
  flags.toggle("--sync", o.synchronous, "Send one record after the other.");
  for (const char* name :
       {"--batch-size", "--timeout", "--message-send-max-retries", "--retry-backoff-ms", "--request-timeout-ms",
        "--metadata-expiry-ms", "--max-block-ms", "--max-memory-bytes", "--max-partition-memory-bytes",
        "--socket-buffer-size", "--line-reader", "--reader-config"}) {
    flags.ignored(name);
  }
  if (const auto over = flags.parse(argc, argv)) return over;
  if (o.target.brokers.empty()) return fail("Missing required option(s) [bootstrap-server]");
  if (o.topic.empty()) return fail("Missing required argument \"[topic]\"");
  return std::nullopt;
}

struct Record {
  std::optional<std::string> key, value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
};

// LineMessageReader: headers, key and value of a line.
class LineReader {
 public:
  explicit LineReader(const Words& words)
      : parse_key_(is_true(words, "parse.key", false)),
        parse_headers_(is_true(words, "parse.headers", false)),
        ignore_errors_(is_true(words, "ignore.error", false)),
        key_separator_(text_or(words, "key.separator", "\t")),
        headers_delimiter_(text_or(words, "headers.delimiter", "\t")),
        headers_separator_(text_or(words, "headers.separator", ",")),
        header_key_separator_(text_or(words, "headers.key.separator", ":")) {
    if (const auto marker = words.find("null.marker"); marker != words.end()) null_marker_ = marker->second;
  }

  Outcome<Record> read(std::string_view line) {
    ++number_;
    Record record;
    std::string_view rest = line;
    if (parse_headers_) {
      const auto text = take(rest, headers_delimiter_, "headers delimiter", line);
      if (!text) return tl::unexpected(text.error());
      if (*text && **text != null_marker_) {
        if (auto added = add_headers(record, **text, line); !added) return tl::unexpected(added.error());
      }
    }
    if (parse_key_) {
      const auto text = take(rest, key_separator_, "key separator", line);
      if (!text) return tl::unexpected(text.error());
      if (*text) record.key = unless_null(**text);
    }
    record.value = unless_null(rest);
    return record;
  }

 private:
  [[nodiscard]] std::optional<std::string> unless_null(std::string_view text) const {
    return null_marker_ && text == *null_marker_ ? std::nullopt : std::optional<std::string>(text);
  }
  [[nodiscard]] tl::unexpected<Problem> missing(std::string_view what, std::string_view line) const {
    return problem(Exit::refused,
                   fmt::format("org.apache.kafka.common.KafkaException: No {} found on line number {}: '{}'", what,
                               number_, line));
  }
  // What stands before the separator; nothing if there is none and that is no error.
  Outcome<std::optional<std::string_view>> take(std::string_view& rest, const std::string& separator,
                                                std::string_view what, std::string_view line) const {
    const size_t at = rest.find(separator);
    if (at == std::string_view::npos) {
      if (ignore_errors_) return std::optional<std::string_view>();
      return missing(what, line);
    }
    const std::string_view text = rest.substr(0, at);
    rest.remove_prefix(at + separator.size());
    return std::optional(text);
  }
  Outcome<void> add_headers(Record& record, std::string_view text, std::string_view line) const {
    while (!text.empty()) {
      const size_t end = std::min(text.find(headers_separator_), text.size());
      const std::string_view one = text.substr(0, end);
      text.remove_prefix(std::min(end + headers_separator_.size(), text.size()));
      const size_t at = one.find(header_key_separator_);
      if (at == std::string_view::npos) {
        if (ignore_errors_) continue;
        return missing(fmt::format("header key separator in pair '{}'", one), line);
      }
      record.headers.emplace_back(one.substr(0, at), unless_null(one.substr(at + header_key_separator_.size())));
    }
    return {};
  }

  bool parse_key_, parse_headers_, ignore_errors_;
  std::string key_separator_, headers_delimiter_, headers_separator_, header_key_separator_;
  std::optional<std::string> null_marker_;
  int64_t number_ = 0;
};

class Producer {
 public:
  explicit Producer(const Options& o) : o_(o) {}

  Outcome<void> open() {
    KafkaSettings settings;
    settings.set("bootstrap.servers", o_.target.brokers);
    settings.set("client.id", "console-producer");
    settings.set("partitioner", "murmur2_random");
    if (o_.compress || !o_.codec.empty()) settings.set("compression.codec", o_.codec.empty() ? "gzip" : o_.codec);
    settings.set("acks", o_.acks.empty() ? "-1" : o_.acks);
    if (o_.acks.empty() || o_.acks == "-1" || o_.acks == "all") settings.set("enable.idempotence", "true");
    const std::string& file = o_.config_file.empty() ? o_.target.config_file : o_.config_file;
    if (auto added = add_settings(settings, file, o_.producer_words); !added) return added;
    rd_kafka_conf_set_opaque(settings.get(), this);
    rd_kafka_conf_set_dr_msg_cb(settings.get(), &on_delivery);
    Outcome<KafkaHandle> made = std::move(settings).make(RD_KAFKA_PRODUCER);
    if (!made) return tl::unexpected(std::move(made.error()));
    handle_ = std::move(*made);
    return {};
  }

  void send(const Record& record) {
    rd_kafka_resp_err_t error = enqueue(record);
    while (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      rd_kafka_poll(handle_.get(), 100);
      error = enqueue(record);
    }
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) said_failed(error);
    rd_kafka_poll(handle_.get(), 0);
    if (o_.synchronous) flush();
  }

  void flush() {
    while (rd_kafka_outq_len(handle_.get()) > 0) rd_kafka_flush(handle_.get(), 100);
  }

 private:
  static void on_delivery(rd_kafka_t* /*handle*/, const rd_kafka_message_t* message, void* self) {
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) static_cast<Producer*>(self)->said_failed(message->err);
  }
  // As Kafka's ErrorLoggingCallback: it is logged, and the tool goes on.
  void said_failed(rd_kafka_resp_err_t error) const {
    fmt::print(stderr, "ERROR Error when sending message to topic {}: {}\n", o_.topic, rd_kafka_err2str(error));
  }
  rd_kafka_resp_err_t enqueue(const Record& record) {
    rd_kafka_headers_t* headers = rd_kafka_headers_new(record.headers.size());
    for (const auto& [name, value] : record.headers) {
      rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value ? value->data() : nullptr,
                          value ? static_cast<ssize_t>(value->size()) : 0);
    }
    const auto view = [](const std::optional<std::string>& text) {
      return std::pair<void*, size_t>(text ? const_cast<char*>(text->data()) : nullptr, text ? text->size() : 0);
    };
    const auto [key, key_size] = view(record.key);
    const auto [value, value_size] = view(record.value);
    std::array<rd_kafka_vu_t, 5> parts{};
    parts[0].vtype = RD_KAFKA_VTYPE_TOPIC;
    parts[0].u.cstr = o_.topic.c_str();
    parts[1].vtype = RD_KAFKA_VTYPE_KEY;
    parts[1].u.mem = {.ptr = key, .size = key_size};
    parts[2].vtype = RD_KAFKA_VTYPE_VALUE;
    parts[2].u.mem = {.ptr = value, .size = value_size};
    parts[3].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    parts[3].u.i = RD_KAFKA_MSG_F_COPY;
    parts[4].vtype = RD_KAFKA_VTYPE_HEADERS;
    parts[4].u.headers = headers;
    rd_kafka_error_t* failed = rd_kafka_produceva(handle_.get(), parts.data(), parts.size());
    const rd_kafka_resp_err_t error = failed == nullptr ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(failed);
    if (failed != nullptr) rd_kafka_error_destroy(failed);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_headers_destroy(headers);  // otherwise librdkafka's
    return error;
  }

  const Options& o_;
  KafkaHandle handle_;
};

}  // namespace

Exit console_producer(int argc, const char* const* argv) {
  Options o;
  if (const auto over = parse(o, argc, argv)) return *over;
  const auto words = parse_words(o.reader_words);
  if (!words) return fail(words.error());
  LineReader reader(*words);
  Producer producer(o);
  if (auto opened = producer.open(); !opened) return fail(opened.error());
  const bool at_terminal = is_terminal(STDIN_FILENO) && is_terminal(STDOUT_FILENO);
  Exit exit = Exit::done;
  std::string line;
  for (;;) {
    if (at_terminal) print_out(">");
    if (!std::getline(std::cin, line)) break;
    if (line.ends_with('\r')) line.pop_back();
    const auto record = reader.read(line);
    if (!record) {
      exit = fail(record.error());
      break;
    }
    producer.send(*record);
  }
  producer.flush();
  return exit;
}

}  // namespace cli::kafka_tools
