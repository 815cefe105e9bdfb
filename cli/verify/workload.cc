#include "cli/verify/workload.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <deque>
#include <fstream>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/kafka_client.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/verify/history_checker.h"
#include "cli/wait.h"

namespace cli {
namespace {

using verify::Anomaly;
using verify::Failure;
using verify::GapMeter;
using verify::HistoryChecker;
using verify::Value;
using verify::Verdict;
using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

// What all threads report to. Thread-safe; also written to a file, one line an event, for reading afterwards.
class History {
 public:
  explicit History(const std::string& file) {
    if (!file.empty()) file_.open(file, std::ios::trunc);
  }
  void expect(int32_t partition) {
    const std::lock_guard lock(mutex_);
    gaps_.expect(partition, now_ns());
    last_ack_.try_emplace(partition, now_ns());
    since_point_.try_emplace(partition, 0);
  }
  void point() {
    const std::lock_guard lock(mutex_);
    for (auto& [partition, count] : since_point_) count = 0;
  }
  void sent(int32_t partition, Value value) {
    const std::lock_guard lock(mutex_);
    checker_.sent(partition, value);
    ++sent_;
    if (file_) file_ << "sent " << partition << ' ' << value << ' ' << now_ns() << '\n';
  }
  void acknowledged(int32_t partition, Value value, int64_t offset) {
    const std::lock_guard lock(mutex_);
    const int64_t now = now_ns();
    checker_.acknowledged(partition, value, offset);
    gaps_.acknowledged(partition, now);
    last_ack_[partition] = now;
    ++since_point_[partition];
    ++acknowledged_;
    if (file_) file_ << "acknowledged " << partition << ' ' << value << ' ' << offset << ' ' << now << '\n';
  }
  void failed(int32_t partition, Value value, Failure failure, const char* why) {
    const std::lock_guard lock(mutex_);
    checker_.failed(partition, value, failure);
    if (file_) file_ << "failed " << partition << ' ' << value << ' ' << why << ' ' << now_ns() << '\n';
  }
  void assigned(int32_t consumer, int32_t partition) {
    const std::lock_guard lock(mutex_);
    checker_.assigned(consumer, partition);
    if (file_) file_ << "assigned " << consumer << ' ' << partition << ' ' << now_ns() << '\n';
  }
  void polled(int32_t consumer, int32_t partition, int64_t offset, Value value) {
    const std::lock_guard lock(mutex_);
    checker_.polled(consumer, partition, offset, value);
    int64_t& next = polled_to_[partition];
    next = std::max(next, offset + 1);
    ++polled_;
    if (file_)
      file_ << "polled " << consumer << ' ' << partition << ' ' << offset << ' ' << value << ' ' << now_ns() << '\n';
  }
  void final_read(int32_t partition, int64_t offset, Value value) {
    const std::lock_guard lock(mutex_);
    checker_.final_read(partition, offset, value);
    if (file_) file_ << "found " << partition << ' ' << offset << ' ' << value << '\n';
  }
  GapMeter::Gap mark() {
    const std::lock_guard lock(mutex_);
    return gaps_.mark(now_ns());
  }
  Verdict finish(HistoryChecker::Consumers consumers) {
    const std::lock_guard lock(mutex_);
    if (file_) file_.flush();
    return checker_.finish(consumers);
  }
  struct Progress {
    int64_t sent = 0, acknowledged = 0, polled = 0;
    int64_t silent_ns = 0;  // of the partition that has waited longest for an acknowledgement
    int64_t least = 0;      // acknowledgements since the last point, of the partition that had fewest
  };
  Progress progress() {
    const std::lock_guard lock(mutex_);
    Progress p{.sent = sent_, .acknowledged = acknowledged_, .polled = polled_, .silent_ns = 0, .least = 0};
    for (const auto& [partition, count] : since_point_) {
      if (partition == since_point_.begin()->first || count < p.least) p.least = count;
    }
    for (const auto& [partition, at] : last_ack_) p.silent_ns = std::max(p.silent_ns, now_ns() - at);
    return p;
  }
  int64_t polled_to(int32_t partition) {
    const std::lock_guard lock(mutex_);
    return polled_to_[partition];
  }

 private:
  std::mutex mutex_;
  HistoryChecker checker_;
  GapMeter gaps_;
  std::map<int32_t, int64_t> last_ack_;
  std::map<int32_t, int64_t> since_point_;
  std::map<int32_t, int64_t> polled_to_;
  int64_t sent_ = 0, acknowledged_ = 0, polled_ = 0;
  std::ofstream file_;
};

Value value_of(const rd_kafka_message_t& message) {
  const std::string_view text(static_cast<const char*>(message.payload), message.payload == nullptr ? 0 : message.len);
  Value value = -2;  // no number of ours: whatever holds it is a phantom
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Errors with which the brokers say that nothing was written.
bool is_definite(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      return true;
    default:
      return false;
  }
}

class Workload {
 public:
  explicit Workload(const WorkloadCommand& command) : command_(command), history_(command.history) {}
  Exit run();

 private:
  Outcome<void> open();
  Outcome<int32_t> find_partitions();
  Outcome<KafkaHandle> make_consumer(const std::string& group);
  void produce_loop();
  void send_one(int32_t partition, std::string& text);
  void consume_loop(int32_t index);
  void emit(const Json& line);
  void answer_mark();
  // Waits until every sent record has its outcome and the group has read to the end; false: not within the time.
  bool settle();
  Outcome<std::map<int32_t, int64_t>> read_everything();
  Exit conclude();
  static void on_delivery(rd_kafka_t* handle, const rd_kafka_message_t* message, void* self);
  static void on_rebalance(rd_kafka_t* handle, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* partitions,
                           void* self);

  struct Member {
    Workload* workload = nullptr;
    int32_t index = 0;
    KafkaHandle handle;
    std::thread thread;
  };

  const WorkloadCommand& command_;
  History history_;
  KafkaHandle producer_;
  std::vector<std::unique_ptr<Member>> members_;
  std::thread producer_thread_;
  std::atomic<bool> producing_ = true;
  std::atomic<bool> consuming_ = true;
  int32_t partitions_ = 0;
  std::map<int32_t, Value> next_;
};

void Workload::emit(const Json& line) {
  print_out(line.dump() + "\n");
}

void Workload::on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
  auto& me = *static_cast<Workload*>(self);
  const Value value = value_of(*message);
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    me.history_.acknowledged(message->partition, value, message->offset);
  } else {
    me.history_.failed(message->partition, value, is_definite(message->err) ? Failure::definite : Failure::unknown,
                       rd_kafka_err2name(message->err));
  }
}

void Workload::on_rebalance(rd_kafka_t* handle, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* partitions,
                            void* self) {
  const auto& member = *static_cast<Member*>(self);
  if (error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    for (int i = 0; i < partitions->cnt; ++i)
      member.workload->history_.assigned(member.index, partitions->elems[i].partition);
    rd_kafka_assign(handle, partitions);
  } else {
    rd_kafka_assign(handle, nullptr);
  }
}

Outcome<KafkaHandle> Workload::make_consumer(const std::string& group) {
  KafkaSettings settings;
  settings.set("bootstrap.servers", bootstrap_text(command_.shared));
  settings.set("group.id", group);
  settings.set("auto.offset.reset", "earliest");
  settings.set("auto.commit.interval.ms", "1000");
  settings.set_all(command_.properties);
  if (group == "naru-final-read") {
    settings.set("enable.auto.commit", "false");
    settings.set("enable.partition.eof", "true");
    return std::move(settings).make(RD_KAFKA_CONSUMER);
  }
  // Its own callback sees the member through the opaque pointer.
  rd_kafka_conf_set_rebalance_cb(settings.get(), &Workload::on_rebalance);
  rd_kafka_conf_set_opaque(settings.get(), members_.back().get());
  return std::move(settings).make(RD_KAFKA_CONSUMER);
}

// A topic made a moment ago may not yet be known to every broker.
Outcome<int32_t> Workload::find_partitions() {
  const auto until = steady_clock::now() + command_.shared.timeout;
  rd_kafka_topic_t* topic = rd_kafka_topic_new(producer_.get(), command_.topic.c_str(), nullptr);
  Outcome<int32_t> found =
      problem(Exit::refused, fmt::format("no such topic: {}", command_.topic), "make it first: naru topic create");
  while (!found && steady_clock::now() < until) {
    const rd_kafka_metadata_t* raw = nullptr;
    const auto error =
        rd_kafka_metadata(producer_.get(), 0, topic, &raw, static_cast<int>(command_.shared.timeout.count()));
    const KafkaMetadata metadata(raw);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      found = tl::unexpected(kafka_problem("no broker answered", error));
      break;
    }
    if (metadata->topic_cnt == 1 && metadata->topics[0].partition_cnt > 0) {
      found = metadata->topics[0].partition_cnt;
    } else {
      std::this_thread::sleep_for(milliseconds(20));
    }
  }
  rd_kafka_topic_destroy(topic);
  return found;
}

Outcome<void> Workload::open() {
  KafkaSettings settings;
  settings.set("bootstrap.servers", bootstrap_text(command_.shared));
  settings.set("enable.idempotence", "true");
  settings.set("acks", "all");
  settings.set("linger.ms", "0");
  settings.set_all(command_.properties);
  rd_kafka_conf_set_opaque(settings.get(), this);
  rd_kafka_conf_set_dr_msg_cb(settings.get(), &Workload::on_delivery);
  Outcome<KafkaHandle> made = std::move(settings).make(RD_KAFKA_PRODUCER);
  if (!made) return tl::unexpected(std::move(made.error()));
  producer_ = std::move(*made);

  Outcome<int32_t> partitions = find_partitions();
  if (!partitions) return tl::unexpected(std::move(partitions.error()));
  partitions_ = *partitions;

  for (int i = 0; i < command_.consumers; ++i) {
    members_.push_back(std::make_unique<Member>());
    members_.back()->workload = this;
    members_.back()->index = i;
    Outcome<KafkaHandle> consumer = make_consumer(command_.group);
    if (!consumer) return tl::unexpected(std::move(consumer.error()));
    members_.back()->handle = std::move(*consumer);
    rd_kafka_t* handle = members_.back()->handle.get();
    rd_kafka_poll_set_consumer(handle);
    const KafkaPartitions topics(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(topics.get(), command_.topic.c_str(), RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(handle, topics.get());
  }
  return {};
}

void Workload::send_one(int32_t partition, std::string& text) {
  const Value value = next_[partition]++;
  text = std::to_string(value);
  text.resize(std::max(text.size(), static_cast<size_t>(command_.size)), ' ');
  history_.sent(partition, value);
  std::array<rd_kafka_vu_t, 4> parts{};
  parts[0].vtype = RD_KAFKA_VTYPE_TOPIC;
  parts[0].u.cstr = command_.topic.c_str();
  parts[1].vtype = RD_KAFKA_VTYPE_PARTITION;
  parts[1].u.i32 = partition;
  parts[2].vtype = RD_KAFKA_VTYPE_VALUE;
  parts[2].u.mem = {.ptr = text.data(), .size = text.size()};
  parts[3].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  parts[3].u.i = RD_KAFKA_MSG_F_COPY;
  rd_kafka_error_t* error = rd_kafka_produceva(producer_.get(), parts.data(), parts.size());
  if (error == nullptr) return;
  // Not even queued: the brokers have not seen it.
  history_.failed(partition, value, Failure::definite, rd_kafka_error_name(error));
  rd_kafka_error_destroy(error);
}

void Workload::produce_loop() {
  const auto pause = std::chrono::nanoseconds(1'000'000'000 / std::max(command_.rate, 1));
  auto due = steady_clock::now();
  std::string text;
  for (int32_t p = 0; p < partitions_; ++p) history_.expect(p);
  while (producing_) {
    for (int32_t p = 0; p < partitions_; ++p) send_one(p, text);
    due += pause;
    for (auto left = due - steady_clock::now(); left.count() > 0 && producing_; left = due - steady_clock::now()) {
      rd_kafka_poll(producer_.get(),
                    static_cast<int>(std::clamp<int64_t>(std::chrono::ceil<milliseconds>(left).count(), 0, 100)));
    }
    rd_kafka_poll(producer_.get(), 0);
  }
  while (rd_kafka_outq_len(producer_.get()) > 0 && consuming_) rd_kafka_poll(producer_.get(), 50);
}

void Workload::consume_loop(int32_t index) {
  rd_kafka_t* consumer = members_[static_cast<size_t>(index)]->handle.get();
  while (consuming_) {
    const KafkaMessage message(rd_kafka_consumer_poll(consumer, 100));
    if (message && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      history_.polled(index, message->partition, message->offset, value_of(*message));
    }
  }
  rd_kafka_consumer_close(consumer);
}

void Workload::answer_mark() {
  const GapMeter::Gap gap = history_.mark();
  const History::Progress p = history_.progress();
  emit({{"event", "mark"},
        {"gap_ms", static_cast<double>(gap.longest) / 1e6},
        {"partition", gap.partition},
        {"sent", p.sent},
        {"acknowledged", p.acknowledged}});
}

Outcome<std::map<int32_t, int64_t>> Workload::read_everything() {
  Outcome<KafkaHandle> made = make_consumer("naru-final-read");
  if (!made) return tl::unexpected(std::move(made.error()));
  rd_kafka_t* consumer = made->get();
  rd_kafka_poll_set_consumer(consumer);
  const KafkaPartitions all(rd_kafka_topic_partition_list_new(partitions_));
  for (int32_t p = 0; p < partitions_; ++p) {
    rd_kafka_topic_partition_list_add(all.get(), command_.topic.c_str(), p)->offset = RD_KAFKA_OFFSET_BEGINNING;
  }
  rd_kafka_assign(consumer, all.get());
  std::map<int32_t, int64_t> ends;
  const auto until = steady_clock::now() + milliseconds(command_.settle_ms);
  while (ends.size() < static_cast<size_t>(partitions_) && steady_clock::now() < until) {
    const KafkaMessage message(rd_kafka_consumer_poll(consumer, 100));
    if (!message) continue;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) ends[message->partition] = message->offset;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
      history_.final_read(message->partition, message->offset, value_of(*message));
  }
  rd_kafka_consumer_close(consumer);
  if (ends.size() < static_cast<size_t>(partitions_))
    return problem(Exit::unreachable, "the final read did not reach the end of every partition");
  return ends;
}

bool Workload::settle() {
  producing_ = false;
  const auto until = steady_clock::now() + milliseconds(command_.settle_ms);
  while (rd_kafka_outq_len(producer_.get()) > 0) {
    if (steady_clock::now() > until) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

Exit Workload::conclude() {
  const bool settled = settle();
  const Outcome<std::map<int32_t, int64_t>> ends = read_everything();
  bool read_to_end = ends.has_value();
  if (ends) {
    const auto until = steady_clock::now() + milliseconds(command_.settle_ms);
    for (const auto& [partition, end] : *ends) {
      while (history_.polled_to(partition) < end && steady_clock::now() < until)
        std::this_thread::sleep_for(milliseconds(5));
      read_to_end = read_to_end && history_.polled_to(partition) >= end;
    }
  }
  consuming_ = false;
  producer_thread_.join();
  for (const auto& member : members_) member->thread.join();
  const bool with_consumers = !members_.empty();
  const Verdict verdict =
      history_.finish(with_consumers ? HistoryChecker::Consumers::read_to_end : HistoryChecker::Consumers::none);
  Json anomalies = Json::object();
  for (int a = 0; a < verify::anomaly_count; ++a) {
    anomalies[std::string(to_string(static_cast<Anomaly>(a)))] = verdict.count(static_cast<Anomaly>(a));
  }
  const bool complete = settled && ends.has_value() && (read_to_end || !with_consumers);
  std::string incomplete;
  if (!settled) incomplete = "some records have neither been acknowledged nor given up";
  if (!ends) incomplete = ends.error().message;
  if (ends && with_consumers && !read_to_end) incomplete = "the consumer group did not reach the end";
  emit({{"event", "verdict"},
        {"clean", verdict.clean()},
        {"complete", complete},
        {"incomplete", incomplete},
        {"sent", verdict.sent},
        {"acknowledged", verdict.acknowledged},
        {"failed", verdict.failed},
        {"unknown", verdict.unknown},
        {"polled", verdict.polled},
        {"found", verdict.found},
        {"anomalies", std::move(anomalies)},
        {"examples", verdict.examples}});
  return verdict.clean() && complete ? Exit::done : Exit::unhealthy;
}

Exit Workload::run() {
  if (Outcome<void> opened = open(); !opened) return report(opened.error());
  Interruption interruption;
  producer_thread_ = std::thread([this] { produce_loop(); });
  for (const auto& member : members_) {
    member->thread = std::thread([this, index = member->index] { consume_loop(index); });
  }
  emit({{"event", "ready"}, {"partitions", partitions_}});
  std::string input;
  auto told = steady_clock::now();
  for (;;) {
    std::array<pollfd, 2> entries{pollfd{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                                  pollfd{.fd = interruption.descriptor(), .events = POLLIN, .revents = 0}};
    ::poll(entries.data(), entries.size(), 50);
    if (interruption.count() > 0) return conclude();
    if (entries[0].revents != 0) {
      std::array<char, 256> chunk;
      const ssize_t got = ::read(STDIN_FILENO, chunk.data(), chunk.size());
      if (got <= 0) return conclude();
      input.append(chunk.data(), static_cast<size_t>(got));
      for (size_t end = input.find('\n'); end != std::string::npos; end = input.find('\n')) {
        const std::string word = input.substr(0, end);
        input.erase(0, end + 1);
        if (word == "mark") answer_mark();
        if (word == "point") {
          history_.point();
          emit({{"event", "point"}});
        }
        if (word == "stop") return conclude();
      }
    }
    if (steady_clock::now() - told >= milliseconds(100)) {
      told = steady_clock::now();
      const History::Progress p = history_.progress();
      emit({{"event", "progress"},
            {"sent", p.sent},
            {"acknowledged", p.acknowledged},
            {"polled", p.polled},
            {"silent_ms", static_cast<double>(p.silent_ns) / 1e6},
            {"least", p.least}});
    }
  }
}

}  // namespace

Exit run(const WorkloadCommand& command) {
  return Workload(command).run();
}

}  // namespace cli
