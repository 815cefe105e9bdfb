#include "cli/verify/clients.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <random>

#include <fmt/format.h>

#include "cli/ask_again.h"
#include "cli/client_properties.h"
#include "cli/session.h"
#include "cli/verify/partition_offset.h"
#include "cli/verify/payload.h"
#include "cli/verify/replica_reader.h"

namespace cli::verify {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int32_t the_group = 0;  // as the history numbers it
constexpr auto commit_interval = std::chrono::seconds(1);

// What a verdict is judged by, and what no two members of a group can share.
constexpr std::array<std::string_view, 10> own_settings_of_a_run = {"acks",
                                                                    "request.required.acks",
                                                                    "enable.idempotence",
                                                                    "transactional.id",
                                                                    "isolation.level",
                                                                    "enable.auto.commit",
                                                                    "auto.offset.reset",
                                                                    "partition.assignment.strategy",
                                                                    "group.protocol",
                                                                    "group.instance.id"};

std::string random_run() {
  std::random_device random;
  return fmt::format("{:08x}", random());
}

std::string_view bytes_of(const rd_kafka_message_t& message) {
  return {static_cast<const char*>(message.payload), message.payload == nullptr ? 0 : message.len};
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

// The group's generation as the client knows it, -1 if it does not. librdkafka tells it only within what it serializes
// for transactions: magic, generation, group, member.
int32_t generation_of(rd_kafka_t* consumer) {
  constexpr std::string_view magic = "CGMDv2:";
  rd_kafka_consumer_group_metadata_t* metadata = rd_kafka_consumer_group_metadata(consumer);
  if (metadata == nullptr) return -1;
  void* bytes = nullptr;
  size_t size = 0;
  int32_t generation = -1;
  rd_kafka_error_t* error = rd_kafka_consumer_group_metadata_write(metadata, &bytes, &size);
  if (error == nullptr && size >= magic.size() + sizeof(generation) &&
      std::string_view(static_cast<const char*>(bytes), magic.size()) == magic) {
    std::memcpy(&generation, static_cast<const char*>(bytes) + magic.size(), sizeof(generation));
  }
  if (error != nullptr) rd_kafka_error_destroy(error);
  if (bytes != nullptr) rd_kafka_mem_free(nullptr, bytes);
  rd_kafka_consumer_group_metadata_destroy(metadata);
  return generation;
}

// Commit calls under way, by partition.
using CommitCalls = std::map<int32_t, int64_t>;

// Tells how each of them ended; those of which nothing is said were not acknowledged.
void tell_ended(Recorder& recorder, CommitCalls& calls, rd_kafka_resp_err_t error,
                const rd_kafka_topic_partition_list_t* offsets) {
  for (int i = 0; offsets != nullptr && i < offsets->cnt; ++i) {
    const auto it = calls.find(offsets->elems[i].partition);
    if (it == calls.end()) continue;
    const bool is_acknowledged =
        error == RD_KAFKA_RESP_ERR_NO_ERROR && offsets->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR;
    recorder.commit_ended(it->second, is_acknowledged);
    calls.erase(it);
  }
  for (const auto& [partition, call] : calls) recorder.commit_ended(call, false);
  calls.clear();
}

Promise promise_of(const ClientsOptions& options) {
  return {.acks = options.acks, .idempotent = options.acks == Promise::Acks::all, .read_committed = true};
}

}  // namespace

std::vector<std::string> library_properties(const Shared& shared) {
  Outcome<ClientProperties> given = client_properties(shared);
  if (!given) return {};
  std::erase_if(given->before, [](const std::string& property) {
    const std::string_view name = std::string_view(property).substr(0, property.find('='));
    return std::ranges::find(own_settings_of_a_run, name) != own_settings_of_a_run.end();
  });
  std::vector<std::string> all = all_of(*given);
  // The group of a run is its own.
  std::erase_if(all, [](const std::string& property) { return property.starts_with("group.id="); });
  return all;
}

Promise::Acks acks_from(std::string_view text) {
  if (text == "0") return Promise::Acks::none;
  return text == "1" ? Promise::Acks::leader : Promise::Acks::all;
}

// One producer and its thread.
class Clients::Producer {
 public:
  Producer(Clients& run, int32_t id) : run_(run), id_(id) {}

  Outcome<void> open() {
    KafkaSettings settings;
    settings.set("bootstrap.servers", bootstrap_text(run_.options_.shared));
    constexpr std::string_view acks[] = {"0", "1", "all"};
    settings.set("enable.idempotence", run_.options_.acks == Promise::Acks::all ? "true" : "false");
    settings.set("acks", std::string(acks[static_cast<size_t>(run_.options_.acks)]));
    settings.set("linger.ms", "0");
    settings.set_all(run_.options_.properties);
    rd_kafka_conf_set_opaque(settings.get(), this);
    rd_kafka_conf_set_dr_msg_cb(settings.get(), &Producer::on_delivery);
    Outcome<KafkaHandle> made = std::move(settings).make(RD_KAFKA_PRODUCER);
    if (!made) return tl::unexpected(std::move(made.error()));
    handle_ = std::move(*made);
    return {};
  }
  void start() {
    next_.assign(static_cast<size_t>(run_.partitions_), 0);
    thread_ = std::thread([this] { loop(); });
  }
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] bool is_idle() const { return rd_kafka_outq_len(handle_.get()) == 0; }
  [[nodiscard]] rd_kafka_t* handle() const { return handle_.get(); }

 private:
  static void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
    Recorder& recorder = static_cast<Producer*>(self)->run_.recorder_;
    const auto value = static_cast<Value>(reinterpret_cast<intptr_t>(message->_private));
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      // Without an offset: the answer was lost with its connection, and a later batch of the same producer was taken,
      // from which librdkafka concludes that this one is there.
      recorder.acknowledged(message->partition, value, message->offset < 0 ? -1 : message->offset);
    } else {
      recorder.failed(message->partition, value, is_definite(message->err) ? Failure::definite : Failure::unknown);
    }
  }
  void send(int32_t partition) {
    const Value value = make_value(id_, next_[static_cast<size_t>(partition)]++);
    std::string text = payload_of(run_.run_, value, static_cast<size_t>(run_.options_.size));
    run_.recorder_.sent(partition, value);
    std::array<rd_kafka_vu_t, 5> parts{};
    parts[0].vtype = RD_KAFKA_VTYPE_TOPIC;
    parts[0].u.cstr = run_.options_.topic.c_str();
    parts[1].vtype = RD_KAFKA_VTYPE_PARTITION;
    parts[1].u.i32 = partition;
    parts[2].vtype = RD_KAFKA_VTYPE_VALUE;
    parts[2].u.mem = {.ptr = text.data(), .size = text.size()};
    parts[3].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    parts[3].u.i = RD_KAFKA_MSG_F_COPY;
    parts[4].vtype = RD_KAFKA_VTYPE_OPAQUE;
    parts[4].u.ptr = reinterpret_cast<void*>(static_cast<intptr_t>(value));
    rd_kafka_error_t* error = rd_kafka_produceva(handle_.get(), parts.data(), parts.size());
    if (error == nullptr) return;
    // Not even queued: the brokers have not seen it.
    run_.recorder_.failed(partition, value, Failure::definite);
    rd_kafka_error_destroy(error);
  }
  // A record into each partition in turn, evenly spaced.
  void loop() {
    const ClientsOptions& options = run_.options_;
    const double per_second = options.total_rate > 0 ? options.total_rate / options.producers
                                                     : std::max(options.rate, 0.001) * run_.partitions_;
    const auto pause = std::chrono::nanoseconds(static_cast<int64_t>(1e9 / per_second));
    auto due = steady_clock::now();
    for (int32_t p = id_ % run_.partitions_; run_.producing_; p = (p + 1) % run_.partitions_) {
      send(p);
      due += pause;
      for (auto left = due - steady_clock::now(); left.count() > 0 && run_.producing_;
           left = due - steady_clock::now()) {
        rd_kafka_poll(handle_.get(),
                      static_cast<int>(std::clamp<int64_t>(std::chrono::ceil<milliseconds>(left).count(), 0, 100)));
      }
      rd_kafka_poll(handle_.get(), 0);
    }
    while (rd_kafka_outq_len(handle_.get()) > 0 && run_.consuming_) rd_kafka_poll(handle_.get(), 50);
  }

  Clients& run_;
  const int32_t id_;
  KafkaHandle handle_;
  std::vector<int64_t> next_;
  std::thread thread_;
};

// One member of the group and its thread. It commits what it was given, by calls whose begin and end are recorded.
class Clients::Consumer {
 public:
  Consumer(Clients& run, int32_t id) : run_(run), id_(id) {}
  // The member has left its group. Its handle stays until the command ends: rd_kafka_destroy (librdkafka 2.0) waits
  // without end when a commit was on its way to a coordinator that died.
  ~Consumer() {
    if (commit_queue_ != nullptr) rd_kafka_queue_destroy(commit_queue_);
    static_cast<void>(handle_.release());
  }
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  Outcome<void> open() {
    KafkaSettings settings;
    settings.set("bootstrap.servers", bootstrap_text(run_.options_.shared));
    settings.set("group.id", run_.options_.group);
    settings.set("auto.offset.reset", "earliest");
    settings.set("enable.auto.commit", "false");
    settings.set_all(run_.options_.properties);
    // Its own callback sees the member through the opaque pointer.
    rd_kafka_conf_set_rebalance_cb(settings.get(), &Consumer::on_rebalance);
    rd_kafka_conf_set_opaque(settings.get(), this);
    Outcome<KafkaHandle> made = std::move(settings).make(RD_KAFKA_CONSUMER);
    if (!made) return tl::unexpected(std::move(made.error()));
    handle_ = std::move(*made);
    commit_queue_ = rd_kafka_queue_new(handle_.get());
    run_.recorder_.member(id_, the_group);
    rd_kafka_poll_set_consumer(handle_.get());
    const KafkaPartitions topics(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(topics.get(), run_.options_.topic.c_str(), RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(handle_.get(), topics.get());
    return {};
  }
  void start() {
    thread_ = std::thread([this] { loop(); });
  }
  void join() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  struct Position {
    int64_t next = -1;
    int64_t committed = -1;  // asked for last
  };
  struct Commit {
    Consumer* consumer;
    CommitCalls calls;
  };

  static void on_rebalance(rd_kafka_t* handle, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* partitions,
                           void* opaque) {
    auto& me = *static_cast<Consumer*>(opaque);
    const bool is_assignment = error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    if (!is_assignment) me.commit();
    const int32_t generation = is_assignment ? generation_of(handle) : -1;
    for (int i = 0; i < partitions->cnt; ++i) {
      const int32_t partition = partitions->elems[i].partition;
      if (is_assignment) {
        me.run_.recorder_.assigned(me.id_, partition, generation);
      } else {
        me.run_.recorder_.revoked(me.id_, partition);
      }
    }
    me.positions_.clear();
    rd_kafka_assign(handle, is_assignment ? partitions : nullptr);
  }
  static void on_commit(rd_kafka_t*, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* offsets,
                        void* opaque) {
    const std::unique_ptr<Commit> commit(static_cast<Commit*>(opaque));
    tell_ended(commit->consumer->run_.recorder_, commit->calls, error, offsets);
  }
  // Asks for the commit of what was given since the last; the answer comes to on_commit.
  void commit() {
    const KafkaPartitions offsets(rd_kafka_topic_partition_list_new(static_cast<int>(positions_.size())));
    auto pending = std::make_unique<Commit>(Commit{this, {}});
    for (auto& [partition, position] : positions_) {
      if (position.next == position.committed) continue;
      position.committed = position.next;
      rd_kafka_topic_partition_list_add(offsets.get(), run_.options_.topic.c_str(), partition)->offset = position.next;
      pending->calls[partition] = run_.recorder_.commit_began(the_group, partition, position.next);
    }
    if (offsets->cnt == 0) return;
    Commit* const handed_over = pending.release();
    const auto error =
        rd_kafka_commit_queue(handle_.get(), offsets.get(), commit_queue_, &Consumer::on_commit, handed_over);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) on_commit(handle_.get(), error, offsets.get(), handed_over);
  }
  void loop() {
    auto due = steady_clock::now() + commit_interval;
    while (run_.consuming_) {
      const KafkaMessage message(rd_kafka_consumer_poll(handle_.get(), 100));
      if (message && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) take(*message);
      rd_kafka_queue_poll_callback(commit_queue_, 0);
      if (steady_clock::now() < due) continue;
      due = steady_clock::now() + commit_interval;
      commit();
    }
    commit();
    // The last answers, so that the group's offsets can be compared with them.
    const auto until = steady_clock::now() + std::chrono::seconds(5);
    rd_kafka_consumer_close(handle_.get());
    while (rd_kafka_queue_poll_callback(commit_queue_, 50) > 0 && steady_clock::now() < until) {
    }
  }
  void take(const rd_kafka_message_t& message) {
    positions_[message.partition].next = message.offset + 1;
    const Payload payload = parse_payload(run_.run_, bytes_of(message));
    if (payload.is_ours) run_.recorder_.polled(id_, message.partition, message.offset, payload.value);
  }

  Clients& run_;
  const int32_t id_;
  KafkaHandle handle_;
  rd_kafka_queue_t* commit_queue_ = nullptr;
  std::map<int32_t, Position> positions_;
  std::thread thread_;
};

Clients::Clients(ClientsOptions options)
    : options_(std::move(options)), run_(random_run()), recorder_(promise_of(options_)) {}

Clients::~Clients() {
  producing_ = consuming_ = watching_ = false;
  for (const auto& producer : producers_) producer->join();
  for (const auto& consumer : consumers_) consumer->join();
  for (std::thread& watcher : watchers_) {
    if (watcher.joinable()) watcher.join();
  }
}

// A topic made a moment ago may not yet be known to every broker.
Outcome<int32_t> Clients::find_partitions(rd_kafka_t* client) {
  const auto until = steady_clock::now() + options_.shared.timeout;
  rd_kafka_topic_t* topic = rd_kafka_topic_new(client, options_.topic.c_str(), nullptr);
  Outcome<int32_t> found =
      problem(Exit::refused, fmt::format("no such topic: {}", options_.topic), "make it first: naru topic create");
  while (!found && steady_clock::now() < until) {
    const rd_kafka_metadata_t* raw = nullptr;
    const auto error = rd_kafka_metadata(client, 0, topic, &raw, static_cast<int>(options_.shared.timeout.count()));
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

Outcome<KafkaHandle> Clients::make_reader(const std::string& group) const {
  KafkaSettings settings;
  settings.set("bootstrap.servers", bootstrap_text(options_.shared));
  settings.set("group.id", group);
  settings.set_all(options_.properties);
  settings.set("enable.auto.commit", "false");
  settings.set("enable.partition.eof", "true");
  return std::move(settings).make(RD_KAFKA_CONSUMER);
}

Outcome<void> Clients::open() {
  if (!options_.history.empty()) {
    if (auto opened = recorder_.write_to(options_.history); !opened) return opened;
  }
  for (int i = 0; i < options_.producers; ++i) {
    producers_.push_back(std::make_unique<Producer>(*this, i));
    if (auto opened = producers_.back()->open(); !opened) return opened;
  }
  Outcome<int32_t> partitions = find_partitions(producers_.front()->handle());
  if (!partitions) return tl::unexpected(std::move(partitions.error()));
  partitions_ = *partitions;
  for (KafkaHandle* client : {&ends_client_, &commits_client_}) {
    Outcome<KafkaHandle> made = make_reader(options_.group);
    if (!made) return tl::unexpected(std::move(made.error()));
    *client = std::move(*made);
  }
  if (options_.consumers > 0) {
    if (auto given = give_the_group_offsets(); !given) return given;
  }
  for (int i = 0; i < options_.consumers; ++i) {
    consumers_.push_back(std::make_unique<Consumer>(*this, i));
    if (auto opened = consumers_.back()->open(); !opened) return opened;
  }
  return {};
}

// A group that has just begun asks the leaders where partitions begin. To librdkafka (2.0.2, and newer) an answer that
// comes late, as those of a broker that dies and comes back do, is a reason to ask anew and to read from there, over
// whatever was committed: the brokers would be blamed for it. Who has an offset of its own does not ask.
Outcome<void> Clients::give_the_group_offsets() {
  const auto ask = [&]() -> Outcome<rd_kafka_resp_err_t> { return commit_where_logs_begin(); };
  const auto is_coming = [](rd_kafka_resp_err_t error) {
    // The members that are in it already read from where they are.
    return error != RD_KAFKA_RESP_ERR_NO_ERROR && error != RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID;
  };
  const Outcome<rd_kafka_resp_err_t> last = ask_again_until(steady_clock::now() + options_.settle, ask, is_coming);
  if (!last) return tl::unexpected(last.error());
  if (!is_coming(*last)) return {};
  return tl::unexpected(
      kafka_problem(fmt::format("group {} could not be given the offsets to begin at", options_.group), *last));
}

// In those partitions where the group has no offset; none is left when there is no error.
rd_kafka_resp_err_t Clients::commit_where_logs_begin() {
  rd_kafka_t* client = commits_client_.get();
  const KafkaPartitions told(rd_kafka_topic_partition_list_new(partitions_));
  for (int32_t p = 0; p < partitions_; ++p) {
    rd_kafka_topic_partition_list_add(told.get(), options_.topic.c_str(), p);
  }
  if (const auto error = rd_kafka_committed(client, told.get(), 5000); error != RD_KAFKA_RESP_ERR_NO_ERROR)
    return error;
  const KafkaPartitions starts(rd_kafka_topic_partition_list_new(partitions_));
  for (int i = 0; i < told->cnt; ++i) {
    const rd_kafka_topic_partition_t& group = told->elems[i];
    if (group.err != RD_KAFKA_RESP_ERR_NO_ERROR) return group.err;
    if (group.offset >= 0) continue;
    const auto start = ask_offset(client, options_.topic, group.partition, RD_KAFKA_OFFSET_BEGINNING, milliseconds(5000));
    if (!start) return RD_KAFKA_RESP_ERR__TIMED_OUT;
    rd_kafka_topic_partition_list_add(starts.get(), options_.topic.c_str(), group.partition)->offset = *start;
  }
  if (starts->cnt == 0) return RD_KAFKA_RESP_ERR_NO_ERROR;
  return commit_and_wait(client, starts.get());
}

rd_kafka_resp_err_t Clients::commit_and_wait(rd_kafka_t* client, const rd_kafka_topic_partition_list_t* offsets) {
  struct Answer {
    Recorder& recorder;
    CommitCalls calls;
    rd_kafka_resp_err_t of_a_partition = RD_KAFKA_RESP_ERR_NO_ERROR;
  } answer{recorder_, {}};
  for (int i = 0; i < offsets->cnt; ++i) {
    const rd_kafka_topic_partition_t& to = offsets->elems[i];
    answer.calls[to.partition] = recorder_.commit_began(the_group, to.partition, to.offset);
  }
  const auto on_answer = [](rd_kafka_t*, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* ended, void* to) {
    auto& mine = *static_cast<Answer*>(to);
    for (int i = 0; ended != nullptr && i < ended->cnt; ++i) {
      if (ended->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) mine.of_a_partition = ended->elems[i].err;
    }
    tell_ended(mine.recorder, mine.calls, error, ended);
  };
  // Without a queue it waits, and has told the answer when it returns, unless nothing could even be asked.
  const auto error = rd_kafka_commit_queue(client, offsets, nullptr, on_answer, &answer);
  tell_ended(recorder_, answer.calls, error, nullptr);
  return error != RD_KAFKA_RESP_ERR_NO_ERROR ? error : answer.of_a_partition;
}

void Clients::start() {
  for (int32_t p = 0; p < partitions_; ++p) recorder_.expect(p);
  for (const auto& producer : producers_) producer->start();
  for (const auto& consumer : consumers_) consumer->start();
  watchers_.emplace_back([this] { watch_ends(); });
  watchers_.emplace_back([this] { watch_leaders(); });
  if (!consumers_.empty()) watchers_.emplace_back([this] { watch_commits(); });
}

// Onlookers -----------------------------------------------------------------------------------------------------------

void Clients::watch_ends() {
  for (int32_t p = 0; watching_; p = (p + 1) % partitions_) {
    const int64_t call = recorder_.end_asked(p);
    const auto end = ask_offset(ends_client_.get(), options_.topic, p, RD_KAFKA_OFFSET_END, milliseconds(2000));
    if (end) {
      recorder_.end_told(call, *end);
    } else {
      recorder_.call_failed(call);
    }
    std::this_thread::sleep_for(milliseconds(50));
  }
}

void Clients::ask_commits(rd_kafka_t* client) {
  const KafkaPartitions offsets(rd_kafka_topic_partition_list_new(partitions_));
  std::vector<int64_t> calls;
  for (int32_t p = 0; p < partitions_; ++p) {
    rd_kafka_topic_partition_list_add(offsets.get(), options_.topic.c_str(), p);
    calls.push_back(recorder_.commit_asked(the_group, p));
  }
  const auto error = rd_kafka_committed(client, offsets.get(), 5000);
  for (int i = 0; i < offsets->cnt; ++i) {
    const rd_kafka_topic_partition_t& told = offsets->elems[i];
    const int64_t call = calls[static_cast<size_t>(told.partition)];
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR && told.err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      recorder_.commit_told(call, told.offset < 0 ? -1 : told.offset);
    } else {
      recorder_.call_failed(call);
    }
  }
}

void Clients::watch_commits() {
  while (watching_) {
    ask_commits(commits_client_.get());
    for (int i = 0; i < 10 && watching_; ++i) std::this_thread::sleep_for(milliseconds(50));
  }
}

void Clients::watch_leaders() {
  ReplicaReader reader(options_.shared, options_.topic);
  while (watching_) {
    reader.look_at_leaders(recorder_);
    for (int i = 0; i < 4 && watching_; ++i) std::this_thread::sleep_for(milliseconds(50));
  }
}

// The end -------------------------------------------------------------------------------------------------------------

bool Clients::wait_until(const std::function<bool()>& condition) const {
  const auto until = steady_clock::now() + options_.settle;
  while (!condition()) {
    if (steady_clock::now() > until) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

Outcome<std::vector<int64_t>> Clients::read_everything() {
  Outcome<KafkaHandle> made = make_reader("naru-final-read");
  if (!made) return tl::unexpected(std::move(made.error()));
  rd_kafka_t* consumer = made->get();
  rd_kafka_poll_set_consumer(consumer);
  const KafkaPartitions all(rd_kafka_topic_partition_list_new(partitions_));
  for (int32_t p = 0; p < partitions_; ++p) {
    rd_kafka_topic_partition_list_add(all.get(), options_.topic.c_str(), p)->offset = RD_KAFKA_OFFSET_BEGINNING;
  }
  rd_kafka_assign(consumer, all.get());
  std::vector<int64_t> ends(static_cast<size_t>(partitions_), -1);
  const auto is_done = [&] { return std::ranges::all_of(ends, [](int64_t end) { return end >= 0; }); };
  // As long as records come it may go on; the time to settle is for when they do not.
  auto until = steady_clock::now() + options_.settle;
  while (!is_done() && steady_clock::now() < until) {
    const KafkaMessage message(rd_kafka_consumer_poll(consumer, 100));
    if (!message) continue;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
      ends[static_cast<size_t>(message->partition)] = message->offset;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    until = steady_clock::now() + options_.settle;
    const Payload payload = parse_payload(run_, bytes_of(*message));
    if (payload.is_ours) recorder_.final_read(message->partition, message->offset, payload.value);
  }
  for (int32_t p = 0; p < partitions_; ++p) {
    // What retention took, and what was there before a topic was ours, is not lost.
    std::optional<int64_t> start;
    do {
      start = ask_offset(consumer, options_.topic, p, RD_KAFKA_OFFSET_BEGINNING, milliseconds(5000));
    } while (!start && steady_clock::now() < until);
    if (start.value_or(0) > 0) recorder_.log_start(p, *start);
  }
  rd_kafka_consumer_close(consumer);
  if (!is_done()) return problem(Exit::unreachable, "the final read did not reach the end of every partition");
  return ends;
}

bool Clients::read_by_consumers(const std::vector<int64_t>& ends) {
  return wait_until([&] {
    for (size_t p = 0; p < ends.size(); ++p) {
      if (recorder_.polled_to(static_cast<int32_t>(p)) < recorder_.found_to(static_cast<int32_t>(p))) return false;
    }
    return true;
  });
}

Conclusion Clients::conclude(const Requirements& requirements, const std::function<void(std::string_view)>& step) {
  const auto say = [&](std::string_view what) {
    if (step) step(what);
  };
  Conclusion end;
  recorder_.producing_stopped();
  producing_ = false;
  say("waiting for the last acknowledgements");
  const bool is_settled =
      wait_until([&] { return std::ranges::all_of(producers_, [](const auto& p) { return p->is_idle(); }); });
  say("reading everything once more");
  const Outcome<std::vector<int64_t>> ends = read_everything();
  bool was_polled = ends.has_value();
  if (ends && !consumers_.empty()) {
    say("waiting for the consumers to reach the end");
    was_polled = read_by_consumers(*ends);
  }
  consuming_ = false;
  for (const auto& producer : producers_) producer->join();
  for (const auto& consumer : consumers_) consumer->join();
  if (!consumers_.empty()) ask_commits(commits_client_.get());
  watching_ = false;
  for (std::thread& watcher : watchers_) watcher.join();
  watchers_.clear();
  if (ends) {
    say("comparing the replicas");
    end.notes = ReplicaReader(options_.shared, options_.topic).copy_all(recorder_, options_.settle);
  }
  using Consumers = HistoryChecker::Consumers;
  end.is_complete = is_settled && ends.has_value() && (was_polled || consumers_.empty());
  if (!is_settled) end.incomplete = "some records have neither been acknowledged nor given up";
  if (!ends) end.incomplete = ends.error().message;
  if (ends && !was_polled && !consumers_.empty()) end.incomplete = "the consumer group did not reach the end";
  end.verdict =
      recorder_.finish(consumers_.empty() ? Consumers::none : Consumers::read_to_end, ends.has_value(), requirements);
  return end;
}

}  // namespace cli::verify
