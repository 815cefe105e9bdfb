// naru produce: records from standard input, acknowledged before the command ends.
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>

#include <fmt/format.h>

#include "cli/client_properties.h"
#include "cli/kafka_client.h"
#include "cli/output.h"
#include "cli/record_text.h"
#include "cli/session.h"
#include "cli/wait.h"

namespace cli {
namespace {

class Producing {
 public:
  explicit Producing(const ProduceCommand& command) : command_(command) {}
  Exit run();

 private:
  struct CloseTopic {
    void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
  };

  [[nodiscard]] Outcome<void> check_headers() const;
  Outcome<void> open();
  // False once nothing more shall be read.
  bool read_some(std::string& buffer, Interruption& interruption);
  void send_records(std::string& buffer, const InputPattern& pattern, bool at_end);
  void send(const InputPattern::Record& record);
  rd_kafka_resp_err_t enqueue(const std::optional<std::string>& key, const std::string& value,
                              rd_kafka_headers_t* headers);
  void progress();
  Exit conclude(bool interrupted);
  static void on_delivery(rd_kafka_t* handle, const rd_kafka_message_t* message, void* self);

  const ProduceCommand& command_;
  KafkaHandle producer_;
  std::unique_ptr<rd_kafka_topic_t, CloseTopic> topic_;
  int64_t sent_ = 0;
  int64_t acknowledged_ = 0;
  int64_t timestamp_ = 0;  // of every record; 0: now
  std::map<rd_kafka_resp_err_t, int64_t> failures_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point told_ = began_;
  bool input_ended_ = false;
  int read_error_ = 0;  // what ended the input instead
};

void Producing::on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
  auto& me = *static_cast<Producing*>(self);
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    ++me.acknowledged_;
  } else {
    ++me.failures_[message->err];
  }
}

Outcome<void> Producing::open() {
  const Outcome<ClientProperties> properties = client_properties(command_.shared);
  if (!properties) return tl::unexpected(properties.error());
  KafkaSettings settings;
  settings.set_all(properties->before);
  settings.set("message.timeout.ms", std::to_string(command_.shared.timeout.count()));
  settings.set("acks", command_.acks);
  if (command_.acks == "all" || command_.acks == "-1") settings.set("enable.idempotence", "true");
  settings.set("linger.ms", "5");
  settings.set("message.max.bytes", "104857600");  // how large a record may be is the topic's to say
  settings.set("partitioner", "murmur2_random");  // as the Java client: keys land where other clients put them
  if (!command_.codec.empty()) settings.set("compression.codec", command_.codec);
  settings.set_all(properties->after);
  rd_kafka_conf_set_opaque(settings.get(), this);
  rd_kafka_conf_set_dr_msg_cb(settings.get(), &Producing::on_delivery);
  Outcome<KafkaHandle> made = std::move(settings).make(RD_KAFKA_PRODUCER);
  if (!made) return tl::unexpected(std::move(made.error()));
  producer_ = std::move(*made);
  // Named before its thread has connected and waits for a second: else the first record waits with it.
  topic_.reset(rd_kafka_topic_new(producer_.get(), command_.topic.c_str(), nullptr));
  return {};
}

Outcome<void> Producing::check_headers() const {
  for (const std::string& header : command_.headers) {
    if (header.find('=') == std::string::npos)
      return problem(Exit::usage, fmt::format("-H {}: must be name=value", header));
  }
  return {};
}

bool Producing::read_some(std::string& buffer, Interruption& interruption) {
  std::array<pollfd, 2> entries{pollfd{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                                pollfd{.fd = interruption.descriptor(), .events = POLLIN, .revents = 0}};
  const int ready = ::poll(entries.data(), entries.size(), 100);
  rd_kafka_poll(producer_.get(), 0);
  progress();
  if (ready <= 0 || entries[0].revents == 0) return interruption.count() == 0;
  std::array<char, 65536> chunk;
  const ssize_t got = ::read(STDIN_FILENO, chunk.data(), chunk.size());
  if (got < 0) {
    if (errno == EINTR || errno == EAGAIN) return interruption.count() == 0;
    read_error_ = errno;
    return false;
  }
  if (got == 0) {
    input_ended_ = true;
    return false;
  }
  buffer.append(chunk.data(), static_cast<size_t>(got));
  return interruption.count() == 0;
}

void Producing::send_records(std::string& buffer, const InputPattern& pattern, bool at_end) {
  std::string_view rest = buffer;
  while (const std::optional<InputPattern::Record> record = pattern.take(rest, at_end)) send(*record);
  buffer.erase(0, buffer.size() - rest.size());
}

// On success the headers belong to librdkafka.
rd_kafka_resp_err_t Producing::enqueue(const std::optional<std::string>& key, const std::string& value,
                                       rd_kafka_headers_t* headers) {
  std::array<rd_kafka_vu_t, 7> parts{};
  parts[0].vtype = RD_KAFKA_VTYPE_TOPIC;
  parts[0].u.cstr = command_.topic.c_str();
  parts[1].vtype = RD_KAFKA_VTYPE_PARTITION;
  parts[1].u.i32 = command_.partition >= 0 ? command_.partition : RD_KAFKA_PARTITION_UA;
  parts[2].vtype = RD_KAFKA_VTYPE_KEY;
  parts[2].u.mem = {.ptr = key ? const_cast<char*>(key->data()) : nullptr, .size = key ? key->size() : 0};
  parts[3].vtype = RD_KAFKA_VTYPE_VALUE;
  parts[3].u.mem = {.ptr = const_cast<char*>(value.data()), .size = value.size()};
  parts[4].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  parts[4].u.i = RD_KAFKA_MSG_F_COPY;
  parts[5].vtype = RD_KAFKA_VTYPE_HEADERS;
  parts[5].u.headers = headers;
  parts[6].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
  parts[6].u.i64 = timestamp_;  // 0: now
  rd_kafka_error_t* error = rd_kafka_produceva(producer_.get(), parts.data(), parts.size());
  const rd_kafka_resp_err_t code = error == nullptr ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(error);
  if (error != nullptr) rd_kafka_error_destroy(error);
  return code;
}

void Producing::send(const InputPattern::Record& record) {
  const std::optional<std::string> key = record.key         ? record.key
                                         : command_.has_key ? std::optional(command_.key)
                                                            : std::nullopt;
  for (;;) {
    rd_kafka_headers_t* headers = rd_kafka_headers_new(command_.headers.size());
    for (const std::string& header : command_.headers) {
      const size_t equals = header.find('=');
      rd_kafka_header_add(headers, header.data(), static_cast<ssize_t>(equals), header.data() + equals + 1,
                          static_cast<ssize_t>(header.size() - equals - 1));
    }
    const rd_kafka_resp_err_t error = enqueue(key, *record.value, headers);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_headers_destroy(headers);
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      rd_kafka_poll(producer_.get(), 100);
      progress();
      continue;
    }
    ++sent_;
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) ++failures_[error];
    return;
  }
}

void Producing::progress() {
  const auto now = std::chrono::steady_clock::now();
  const bool terminal = is_terminal(STDERR_FILENO);
  if (command_.shared.quiet || is_terminal(STDIN_FILENO) ||
      now - told_ < (terminal ? std::chrono::seconds(1) : std::chrono::seconds(10)))
    return;
  told_ = now;
  const double seconds = std::chrono::duration<double>(now - began_).count();
  fmt::print(stderr, "{}{} sent, {} acknowledged, {:.0f}/s{}", terminal ? "\r" : "", sent_, acknowledged_,
             static_cast<double>(acknowledged_) / seconds, terminal ? " " : "\n");
}

Exit Producing::conclude(bool interrupted) {
  if (told_ != began_ && is_terminal(STDERR_FILENO)) fmt::print(stderr, "\n");
  int64_t failed = 0;
  Exit exit = Exit::done;
  if (read_error_ != 0) {
    exit = report({.exit = Exit::refused,
                   .message = fmt::format("cannot read standard input: {}", std::strerror(read_error_)),
                   .next_step = {}});
  }
  for (const auto& [error, count] : failures_) {
    failed += count;
    exit =
        report(kafka_problem(fmt::format("{} of {} records not written to {}", count, sent_, command_.topic), error));
  }
  if (failed == 0 && !command_.shared.quiet && sent_ != 1)
    fmt::print(stderr, "{} records acknowledged (acks={})\n", acknowledged_, command_.acks);
  if (failed > 0 && acknowledged_ > 0) return Exit::partly;
  return interrupted && exit == Exit::done ? Exit::interrupted : exit;
}

Exit Producing::run() {
  const Outcome<InputPattern> pattern = InputPattern::parse(command_.format.empty() ? "%v\\n" : command_.format);
  if (!pattern) return report(pattern.error());
  if (!command_.timestamp.empty()) {
    const int64_t now =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    const Outcome<StartPosition> time = parse_from(command_.timestamp, now);
    if (!time || time->kind != StartPosition::Kind::time) {
      return report({.exit = Exit::usage,
                     .message = fmt::format("--timestamp {}: must be a time such as 2h or @2026-11-23T12:00:00Z",
                                            command_.timestamp),
                     .next_step = {}});
    }
    timestamp_ = time->number;
  }
  if (Outcome<void> right = check_headers(); !right) return report(right.error());
  if (Outcome<void> there = look_for_brokers(command_.shared); !there) return report(there.error());
  if (Outcome<void> opened = open(); !opened) return report(opened.error());
  if (is_terminal(STDIN_FILENO) && !command_.shared.quiet) fmt::print(stderr, "one record a line; Ctrl-D ends\n");
  Interruption interruption;
  std::string buffer;
  while (read_some(buffer, interruption)) send_records(buffer, *pattern, false);
  send_records(buffer, *pattern, input_ended_);
  // All that was accepted is either acknowledged or reported; a second Ctrl-C leaves without waiting.
  while (rd_kafka_outq_len(producer_.get()) > 0 && interruption.count() < 2) {
    rd_kafka_flush(producer_.get(), 100);
    progress();
  }
  if (rd_kafka_outq_len(producer_.get()) > 0)
    rd_kafka_purge(producer_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  return conclude(interruption.count() > 0);
}

}  // namespace

Exit run(const ProduceCommand& command) {
  return Producing(command).run();
}

}  // namespace cli
