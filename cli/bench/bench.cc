// naru bench produce|consume|e2e: how fast this cluster is from where one sits, by librdkafka as applications use it.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>

#include <fmt/format.h>

#include "cli/bench/figures.h"
#include "cli/client_properties.h"
#include "cli/facts.h"
#include "cli/kafka_client.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/verify/topic.h"
#include "cli/wait.h"

namespace cli {
namespace {

using bench::Figures;
using common::model::ErrorCode;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int poll_ms = 100;

microseconds since(steady_clock::time_point begin) {
  return std::chrono::duration_cast<microseconds>(steady_clock::now() - begin);
}
double seconds_since(steady_clock::time_point begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

// How far it has come: from the first second on where somebody looks, a line every ten seconds in a pipe.
class Progress {
 public:
  Progress(const BenchCommand& command, std::string_view verb) : command_(command), verb_(verb) {}

  void tell(uint64_t done, steady_clock::time_point begun) {
    const auto now = steady_clock::now();
    const bool terminal = is_terminal(STDERR_FILENO);
    const auto since_last = now - std::max(told_, begun);
    const bool is_due = terminal ? now - begun >= std::chrono::seconds(1) && since_last >= milliseconds(200)
                                 : since_last >= std::chrono::seconds(10);
    if (command_.shared.quiet || !is_due) return;
    told_ = now;
    const double rate = static_cast<double>(done) / seconds_since(begun);
    const double left = static_cast<double>(std::max<int64_t>(0, command_.count - static_cast<int64_t>(done))) / rate;
    const std::string time_left = done == 0 ? "?" : duration_text(milliseconds(static_cast<int64_t>(left * 1000)));
    fmt::print(stderr, "{}{} of {} {}, {:.0f}/s, {} left{}", terminal ? "\r\x1b[K" : "", done, command_.count, verb_,
               rate, time_left, terminal ? "" : "\n");
  }
  // What follows does not stand behind it.
  void end() const {
    if (told_ != steady_clock::time_point{} && is_terminal(STDERR_FILENO)) fmt::print(stderr, "\r\x1b[K");
  }

 private:
  const BenchCommand& command_;
  const std::string_view verb_;
  steady_clock::time_point told_;
};

// Bytes that do not compress, of which every record takes another part.
class Values {
 public:
  explicit Values(size_t size) : size_(size), bytes_(size + variety) {
    std::mt19937_64 random(1);
    for (char& byte : bytes_) byte = static_cast<char>(random());
  }
  [[nodiscard]] std::string_view at(uint64_t i) const { return {bytes_.data() + i % variety, size_}; }

 private:
  static constexpr size_t variety = 4096;
  size_t size_;
  std::vector<char> bytes_;
};

class Sender {
 public:
  explicit Sender(const BenchCommand& command, std::string topic)
      : command_(command),
        topic_(std::move(topic)),
        values_(static_cast<size_t>(command.size)),
        progress_(command, "acknowledged") {}

  Outcome<void> open(std::string_view linger_ms) {
    const Outcome<ClientProperties> properties = client_properties(command_.shared);
    if (!properties) return tl::unexpected(properties.error());
    KafkaSettings settings;
    settings.set_all(properties->before);
    settings.set("acks", command_.acks);
    if (command_.acks == "all" || command_.acks == "-1") settings.set("enable.idempotence", "true");
    settings.set("linger.ms", std::string(linger_ms));
    // What is queued waits for its turn, which is no failure.
    constexpr milliseconds least(60'000);
    settings.set("message.timeout.ms", std::to_string(std::max(least, command_.shared.timeout).count()));
    if (!command_.codec.empty()) settings.set("compression.codec", command_.codec);
    settings.set_all(properties->after);
    rd_kafka_conf_set_opaque(settings.get(), this);
    rd_kafka_conf_set_dr_msg_cb(settings.get(), &Sender::on_delivery);
    Outcome<KafkaHandle> made = std::move(settings).make(RD_KAFKA_PRODUCER);
    if (!made) return tl::unexpected(std::move(made.error()));
    handle_ = std::move(*made);
    return {};
  }

  // As many as asked for, at the rate asked for; what is under way in the end is waited for.
  void run(Interruption& interruption) {
    begun_ = steady_clock::now();
    for (int64_t i = 0; i < command_.count && !is_interrupted_; ++i) {
      if (command_.rate > 0) wait_until_due(i, interruption);
      while (!send(static_cast<uint64_t>(i), RD_KAFKA_PARTITION_UA) && !is_interrupted_) {
        rd_kafka_poll(handle_.get(), poll_ms);
        look(interruption);
      }
      rd_kafka_poll(handle_.get(), 0);
      look(interruption);
    }
    while (rd_kafka_outq_len(handle_.get()) > 0 && interruption.count() < 2) {
      rd_kafka_flush(handle_.get(), poll_ms);
      look(interruption);
    }
    if (rd_kafka_outq_len(handle_.get()) > 0)
      rd_kafka_purge(handle_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    figures_.seconds = seconds_since(begun_);
    progress_.end();
  }

  // False: the queue is full.
  bool send(uint64_t i, int32_t partition) {
    const std::string_view value = values_.at(i);
    std::array<rd_kafka_vu_t, 5> parts{};
    parts[0].vtype = RD_KAFKA_VTYPE_TOPIC;
    parts[0].u.cstr = topic_.c_str();
    parts[1].vtype = RD_KAFKA_VTYPE_VALUE;
    parts[1].u.mem.ptr = const_cast<char*>(value.data());
    parts[1].u.mem.size = value.size();
    parts[2].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    parts[2].u.i = RD_KAFKA_MSG_F_COPY;
    parts[3].vtype = RD_KAFKA_VTYPE_OPAQUE;
    parts[3].u.ptr = reinterpret_cast<void*>(static_cast<intptr_t>(since(begun_).count()));
    parts[4].vtype = RD_KAFKA_VTYPE_PARTITION;
    parts[4].u.i32 = partition;
    rd_kafka_error_t* error = rd_kafka_produceva(handle_.get(), parts.data(), parts.size());
    if (error == nullptr) return true;
    const rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) return false;
    fail(code);
    return true;
  }
  void poll() { rd_kafka_poll(handle_.get(), 0); }

  [[nodiscard]] Figures figures() const {
    Figures all = figures_;
    all.latency = latencies_.quantiles();
    return all;
  }
  [[nodiscard]] rd_kafka_resp_err_t last_error() const { return last_error_; }

 private:
  static void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
    auto& me = *static_cast<Sender*>(self);
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) return me.fail(message->err);
    ++me.figures_.records;
    me.figures_.bytes += message->len;
    const microseconds sent(reinterpret_cast<intptr_t>(message->_private));
    me.latencies_.add(since(me.begun_) - sent);
  }
  void fail(rd_kafka_resp_err_t error) {
    ++figures_.failed;
    last_error_ = error;
  }
  void wait_until_due(int64_t i, Interruption& interruption) {
    const auto due = begun_ + microseconds(i * 1'000'000 / command_.rate);
    while (steady_clock::now() < due && !is_interrupted_) {
      const auto left = std::chrono::duration_cast<milliseconds>(due - steady_clock::now());
      rd_kafka_poll(handle_.get(), static_cast<int>(std::clamp<int64_t>(left.count(), 0, poll_ms)));
      look(interruption);
    }
  }
  // Now and then: it asks the kernel, and there may be a million records a second.
  void look(Interruption& interruption) {
    const auto now = steady_clock::now();
    if (now - looked_ < milliseconds(200)) return;
    looked_ = now;
    is_interrupted_ = interruption.wait(milliseconds(0));
    progress_.tell(figures_.records, begun_);
  }

  const BenchCommand& command_;
  const std::string topic_;
  const Values values_;
  KafkaHandle handle_;
  steady_clock::time_point begun_ = steady_clock::now();
  steady_clock::time_point looked_;
  Progress progress_;
  bool is_interrupted_ = false;
  Figures figures_;
  bench::Latencies latencies_;
  rd_kafka_resp_err_t last_error_ = RD_KAFKA_RESP_ERR_NO_ERROR;
};

// Reads partitions 0 to `partitions` - 1 of a topic.
class Receiver {
 public:
  Outcome<void> open(const BenchCommand& command, const std::string& topic, int partitions, int64_t from) {
    const Outcome<ClientProperties> properties = client_properties(command.shared);
    if (!properties) return tl::unexpected(properties.error());
    KafkaSettings settings;
    settings.set_all(properties->before);
    settings.set("group.id", "naru-bench");
    settings.set("enable.auto.commit", "false");
    settings.set("enable.partition.eof", "true");
    settings.set("auto.offset.reset", "earliest");
    settings.set_all(properties->after);
    Outcome<KafkaHandle> made = std::move(settings).make(RD_KAFKA_CONSUMER);
    if (!made) return tl::unexpected(std::move(made.error()));
    handle_ = std::move(*made);
    rd_kafka_poll_set_consumer(handle_.get());
    const KafkaPartitions assigned(rd_kafka_topic_partition_list_new(partitions));
    for (int p = 0; p < partitions; ++p)
      rd_kafka_topic_partition_list_add(assigned.get(), topic.c_str(), p)->offset = from;
    const rd_kafka_resp_err_t error = rd_kafka_assign(handle_.get(), assigned.get());
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return tl::unexpected(kafka_problem("cannot consume", error));
    partitions_ = partitions;
    return {};
  }

  // The value's size; none: nothing came, or a partition has ended.
  std::optional<size_t> receive(int timeout_ms) {
    const KafkaMessage message(rd_kafka_consumer_poll(handle_.get(), timeout_ms));
    if (!message) return std::nullopt;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) at_end_.insert(message->partition);
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) return std::nullopt;
    return message->len;
  }
  [[nodiscard]] bool is_at_end() const { return static_cast<int>(at_end_.size()) >= partitions_; }

 private:
  KafkaHandle handle_;
  std::set<int32_t> at_end_;
  int partitions_ = 0;
};

struct BenchTopic {
  std::string name;
  int partitions = 0;
};

class Bench {
 public:
  explicit Bench(const BenchCommand& command) : command_(command) {}

  Exit run() {
    auto cluster = open_cluster(command_.shared, Properties::are_for_the_library_too);
    if (!cluster) return report(cluster.error());
    const bool is_own = command_.topic.empty();
    const Outcome<BenchTopic> topic = is_own ? make_topic(*cluster) : find_topic(*cluster);
    const Exit exit = !topic                                         ? report(topic.error())
                      : command_.mode == BenchCommand::Mode::produce ? produce(*topic)
                      : command_.mode == BenchCommand::Mode::consume ? consume(*topic)
                                                                     : end_to_end(*topic);
    if (is_own && !own_name_.empty()) verify::delete_topic(*cluster, own_name_);
    return exit;
  }

 private:
  Outcome<BenchTopic> make_topic(client::Cluster& cluster) {
    std::random_device random;
    const std::string name = fmt::format("naru-bench-{:08x}", random());
    const int partitions = command_.mode == BenchCommand::Mode::e2e ? 1 : command_.partitions;
    if (auto created = verify::create_topic(cluster, name, partitions, command_.replicas); !created)
      return tl::unexpected(created.error());
    own_name_ = name;
    if (auto led = verify::wait_led(cluster, name); !led) return tl::unexpected(led.error());
    return BenchTopic{name, partitions};
  }
  Outcome<BenchTopic> find_topic(client::Cluster& cluster) const {
    const auto topics = fetch_topics(cluster, std::vector<std::string>{command_.topic});
    if (!topics) return tl::unexpected(topics.error());
    if (topics->empty() || topics->front().error != ErrorCode::none) {
      return problem(Exit::refused, fmt::format("no such topic: {}", command_.topic),
                     "without a name, bench makes a topic of its own and deletes it");
    }
    return BenchTopic{command_.topic, static_cast<int>(topics->front().partitions.size())};
  }

  // A topic of bench's own is gone by the time that somebody reads this.
  [[nodiscard]] Problem too_late(std::string_view what) const {
    return {.exit = Exit::unreachable,
            .message = fmt::format("{} within {} (--timeout)", what, duration_text(command_.shared.timeout)),
            .next_step = command_.topic.empty() ? std::string("`naru health` says what is wrong with the cluster")
                                                : fmt::format("`naru why consume {}` says why", command_.topic)};
  }

  Exit conclude(std::string_view verb, const Figures& figures, rd_kafka_resp_err_t error, bool interrupted) const {
    print_out(command_.shared.format == Format::json ? json_of(figures) : text_of(verb, figures));
    if (figures.failed > 0) {
      const Exit exit = report(kafka_problem(fmt::format("{} records failed", figures.failed), error));
      return figures.records > 0 ? Exit::partly : exit;
    }
    return interrupted ? Exit::interrupted : Exit::done;
  }

  Exit produce(const BenchTopic& topic) {
    Sender sender(command_, topic.name);
    if (auto opened = sender.open("5"); !opened) return report(opened.error());
    Interruption interruption;
    sender.run(interruption);
    return conclude("produced", sender.figures(), sender.last_error(), interruption.count() > 0);
  }

  // Of an own topic what was written for it before; else what is there.
  Exit consume(const BenchTopic& topic) {
    Interruption interruption;
    if (command_.topic.empty()) {
      Sender sender(command_, topic.name);
      if (auto opened = sender.open("5"); !opened) return report(opened.error());
      sender.run(interruption);
      if (sender.figures().failed > 0)
        return report(kafka_problem("cannot write what is to be read", sender.last_error()));
    }
    Receiver receiver;
    auto begun = steady_clock::now();
    if (auto opened = receiver.open(command_, topic.name, topic.partitions, RD_KAFKA_OFFSET_BEGINNING); !opened)
      return report(opened.error());
    Figures figures;
    Progress progress(command_, "read");
    auto last = begun;
    while (figures.records < static_cast<uint64_t>(command_.count) && !receiver.is_at_end()) {
      const auto size = receiver.receive(poll_ms);
      if (!size && steady_clock::now() - last > command_.shared.timeout)
        return report(too_late("nothing came"));
      if (size) {
        last = steady_clock::now();
        if (figures.records == 0) begun = last;  // connections stand
        ++figures.records;
        figures.bytes += *size;
      }
      constexpr uint64_t now_and_then = 1000;
      if (size && figures.records % now_and_then != 0) continue;
      if (interruption.wait(milliseconds(0))) break;
      progress.tell(figures.records, begun);
    }
    progress.end();
    figures.seconds = std::chrono::duration<double>(last - begun).count();
    return conclude("consumed", figures, RD_KAFKA_RESP_ERR_NO_ERROR, interruption.count() > 0);
  }

  // One at a time, from the call that sends it to the call that gives it.
  Exit end_to_end(const BenchTopic& topic) {
    Sender sender(command_, topic.name);
    if (auto opened = sender.open("0"); !opened) return report(opened.error());
    Receiver receiver;
    if (auto opened = receiver.open(command_, topic.name, 1, RD_KAFKA_OFFSET_END); !opened)
      return report(opened.error());
    Interruption interruption;
    // The end of the partition is told once the reader stands there: what is sent from now on, it sees.
    const auto patience = steady_clock::now() + command_.shared.timeout;
    while (!receiver.is_at_end()) {
      (void)receiver.receive(poll_ms);
      if (interruption.wait(milliseconds(0))) return Exit::interrupted;
      if (steady_clock::now() > patience)
        return report(too_late("the reader did not get ready"));
    }
    Figures figures;
    Progress progress(command_, "back");
    bench::Latencies latencies;
    auto begun = steady_clock::now();
    // The first one waits for connections, which is not what is measured.
    for (int64_t i = -1; i < command_.count && interruption.count() == 0; ++i) {
      const auto sent = steady_clock::now();
      sender.send(static_cast<uint64_t>(i + 1), 0);
      std::optional<size_t> size;
      while (!size && steady_clock::now() - sent < command_.shared.timeout && interruption.count() == 0) {
        size = receiver.receive(poll_ms);
        sender.poll();
        if (!size) interruption.wait(milliseconds(0));
      }
      if (!size && interruption.count() == 0)
        return report(too_late(fmt::format("record {} did not come back", i + 1)));
      if (!size) break;
      if (i < 0) {
        begun = steady_clock::now();
        continue;
      }
      latencies.add(since(sent));
      ++figures.records;
      figures.bytes += *size;
      progress.tell(figures.records, begun);
    }
    progress.end();
    figures.seconds = seconds_since(begun);
    figures.latency = latencies.quantiles();
    return conclude("sent and received", figures, RD_KAFKA_RESP_ERR_NO_ERROR, interruption.count() > 0);
  }

  const BenchCommand& command_;
  std::string own_name_;
};

}  // namespace

Exit run(const BenchCommand& command) {
  if (command.shared.format == Format::help) return print_out(bench::json_shape()) ? Exit::done : Exit::refused;
  return Bench(command).run();
}

}  // namespace cli
