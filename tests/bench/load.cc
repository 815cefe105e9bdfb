// naru-load: a light load generator on librdkafka, so that the client is not what is measured. It knows nothing of Naru
// and runs against any Kafka-compatible cluster; scripts/figures reads the JSON lines it prints.
//
//   naru-load produce --bootstrap B --topic T --megabytes 1000 --record-bytes 1024 [--acks all] [--producers 1] ...
//             with --rate 1000 --seconds 10 instead of --megabytes: so many records a second, spread evenly
//   naru-load consume --bootstrap B --topic T       everything that is there, to the end of each partition
//   naru-load steady  --bootstrap B --topic T --partitions 2 --rate 500     librdkafka's defaults; see steady.h
//   naru-load first   --bootstrap B --topic T       waits for a broker to listen, then for the first acknowledged write
#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <librdkafka/rdkafkacpp.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "first.h"
#include "steady.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string bootstrap = "localhost:9092";
  std::string topic = "bench";
  double megabytes = 100;
  size_t record_bytes = 1024;
  std::string acks = "all";
  std::string codec = "none";
  int producers = 1;
  int batch_bytes = 16384;
  int linger_ms = 0;
  int partitions = 1;
  double rate = 500;  // records a second of `steady`; of `produce` only if it is given
  std::optional<double> produce_rate;
  double seconds = 10;
  uint64_t skip = 0;
  bool idempotent = false;  // librdkafka 2.0.2's broker threads spin while five batches are in flight: that measures the client
};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::unique_ptr<RdKafka::Conf> configuration(const std::map<std::string, std::string>& values) {
  std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
  for (const auto& [key, value] : values) {
    std::string error;
    if (conf->set(key, value, error) != RdKafka::Conf::CONF_OK) {
      std::fprintf(stderr, "naru-load: %s\n", error.c_str());
      std::exit(2);
    }
  }
  return conf;
}

// Counts acknowledgements and their latency; one per producer, called from that producer's poll().
class Reports final : public RdKafka::DeliveryReportCb {
 public:
  explicit Reports(uint64_t skip) : skip_(skip) {}

  void dr_cb(RdKafka::Message& message) override {
    if (message.err() != RdKafka::ERR_NO_ERROR) {
      ++failed;
      return;
    }
    // What connecting costs is not what a write costs.
    if (acked++ < skip_) return;
    latencies_us.push_back(static_cast<uint32_t>(std::min<int64_t>(message.latency(), UINT32_MAX)));
  }
  uint64_t acked = 0;
  uint64_t failed = 0;
  uint64_t untimed = 0;  // of those acknowledged: the first, for connecting
  std::vector<uint32_t> latencies_us;

 private:
  uint64_t skip_;
};

// Says when the next record is due, so that a rate is kept over the whole run: what was late is caught up.
class Pace {
 public:
  explicit Pace(std::optional<double> records_per_s) : records_per_s_(records_per_s) {}

  void wait(uint64_t record, RdKafka::Producer& producer) const {
    if (!records_per_s_) return;
    const std::chrono::duration<double> offset(static_cast<double>(record) / *records_per_s_);
    const auto due = begin_ + std::chrono::duration_cast<Clock::duration>(offset);
    while (Clock::now() < due) producer.poll(1);
  }

 private:
  std::optional<double> records_per_s_;
  Clock::time_point begin_ = Clock::now();
};

std::map<std::string, std::string> producer_settings(const Options& o) {
  return {{"bootstrap.servers", o.bootstrap},
          {"acks", o.acks},
          {"compression.codec", o.codec},
          {"enable.idempotence", o.idempotent && o.acks == "all" ? "true" : "false"},
          {"batch.size", std::to_string(o.batch_bytes)},
          {"linger.ms", std::to_string(o.linger_ms)},
          // Larger than a record with what surrounds it, and than any batch.
          {"message.max.bytes", std::to_string(std::max<size_t>(1'000'000, o.record_bytes + 65536))},
          {"queue.buffering.max.messages", "1000000"},
          {"queue.buffering.max.kbytes", "65536"}};
}

// Records that are half random letters, half one letter, so that codecs have something to do. The random half differs
// from record to record, beyond what a codec's window remembers.
class Payload {
 public:
  explicit Payload(size_t bytes) : random_(bytes / 2), letters_(random_ + (4 << 20)), body_(bytes, 'x') {
    uint32_t state = 12345;
    for (char& letter : letters_) {
      state = state * 1664525 + 1013904223;
      letter = static_cast<char>('a' + (state >> 24) % 26);
    }
  }

  std::string& next() {
    std::copy_n(letters_.begin() + static_cast<std::ptrdiff_t>(at_), random_, body_.begin());
    at_ = (at_ + random_) % (letters_.size() - random_);
    return body_;
  }

 private:
  size_t random_;
  std::vector<char> letters_;
  std::string body_;
  size_t at_ = 0;
};

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "naru-load: %s\n", why.c_str());
  std::exit(1);
}

void produce_record(const Options& o, RdKafka::Producer& producer, int32_t partition, std::string& body) {
  for (;;) {
    const RdKafka::ErrorCode sent = producer.produce(o.topic, partition, RdKafka::Producer::RK_MSG_COPY, body.data(),
                                                     body.size(), nullptr, 0, 0, nullptr);
    if (sent == RdKafka::ERR_NO_ERROR) return;
    if (sent != RdKafka::ERR__QUEUE_FULL) give_up(RdKafka::err2str(sent));
    producer.poll(10);
  }
}

int32_t partitions_of(RdKafka::Producer& producer, const std::string& topic) {
  std::string error;
  const std::unique_ptr<RdKafka::Topic> handle(RdKafka::Topic::create(&producer, topic, nullptr, error));
  RdKafka::Metadata* raw = nullptr;
  if (!handle || producer.metadata(false, handle.get(), &raw, 30'000) != RdKafka::ERR_NO_ERROR)
    give_up("no metadata of " + topic + ": " + error);
  const std::unique_ptr<RdKafka::Metadata> metadata(raw);
  return metadata->topics()->empty() ? 0 : static_cast<int32_t>(metadata->topics()->front()->partitions()->size());
}

// librdkafka connects to a leader up to a second after it is first needed. A record for each partition brings that to
// its end before anything is timed. Says how many records that were.
uint64_t connect(const Options& o, RdKafka::Producer& producer, Payload& payload, uint64_t records) {
  const uint64_t first = std::min<uint64_t>(records, static_cast<uint64_t>(partitions_of(producer, o.topic)));
  for (uint64_t i = 0; i < first; ++i) produce_record(o, producer, static_cast<int32_t>(i), payload.next());
  producer.flush(60'000);
  return first;
}

void produce_one(const Options& o, uint64_t records, Reports& reports, std::barrier<>& connected) {
  auto conf = configuration(producer_settings(o));
  std::string error;
  conf->set("dr_cb", static_cast<RdKafka::DeliveryReportCb*>(&reports), error);
  std::unique_ptr<RdKafka::Producer> producer(RdKafka::Producer::create(conf.get(), error));
  if (!producer) give_up(error);
  Payload payload(o.record_bytes);
  reports.untimed = connect(o, *producer, payload, records);
  reports.latencies_us.clear();
  connected.arrive_and_wait();
  const Pace pace(o.produce_rate ? std::optional(*o.produce_rate / o.producers) : std::nullopt);
  for (uint64_t i = reports.untimed; i < records; ++i) {
    pace.wait(i - reports.untimed, *producer);
    produce_record(o, *producer, RdKafka::Topic::PARTITION_UA, payload.next());
    if (i % 64 == 0) producer->poll(0);
  }
  producer->flush(60'000);
}

nlohmann::json summary(std::vector<Reports>& all, double seconds, size_t record_bytes) {
  uint64_t acked = 0;
  uint64_t failed = 0;
  uint64_t untimed = 0;
  std::vector<uint32_t> latencies;
  for (Reports& r : all) {
    acked += r.acked;
    failed += r.failed;
    untimed += r.untimed;
    latencies.insert(latencies.end(), r.latencies_us.begin(), r.latencies_us.end());
  }
  std::sort(latencies.begin(), latencies.end());
  const auto percentile = [&](double p) {
    return latencies.empty() ? 0.0
                             : latencies[static_cast<size_t>(p * static_cast<double>(latencies.size() - 1))] / 1000.0;
  };
  return {{"acked", acked},
          {"failed", failed},
          {"latencies", latencies.size()},
          {"seconds", seconds},
          {"records_per_s", static_cast<double>(acked - std::min(acked, untimed)) / seconds},
          {"mb_per_s", static_cast<double>((acked - std::min(acked, untimed)) * record_bytes) / 1e6 / seconds},
          {"p50_ms", percentile(0.5)},
          {"p99_ms", percentile(0.99)},
          {"p999_ms", percentile(0.999)}};
}

int produce(const Options& o) {
  const double wanted =
      o.produce_rate ? *o.produce_rate * o.seconds : o.megabytes * 1e6 / static_cast<double>(o.record_bytes);
  const auto total = static_cast<uint64_t>(wanted);
  std::vector<Reports> reports(static_cast<size_t>(o.producers), Reports(o.skip));
  std::barrier<> connected(static_cast<std::ptrdiff_t>(reports.size()) + 1);
  std::vector<std::thread> threads;
  for (Reports& r : reports) threads.emplace_back([&] { produce_one(o, total / reports.size(), r, connected); });
  connected.arrive_and_wait();
  std::fprintf(stderr, "naru-load: connected\n");  // what is to go on beside the writes may begin
  const auto begin = Clock::now();
  for (std::thread& t : threads) t.join();
  const nlohmann::json result = summary(reports, seconds_since(begin), o.record_bytes);
  std::printf("%s\n", result.dump().c_str());
  return result["failed"] == 0 ? 0 : 1;
}

// Every partition of the topic from its beginning, without a group.
bool assign_all(RdKafka::KafkaConsumer& consumer, const std::string& topic, size_t& partitions) {
  std::string error;
  const std::unique_ptr<RdKafka::Topic> handle(RdKafka::Topic::create(&consumer, topic, nullptr, error));
  RdKafka::Metadata* raw = nullptr;
  if (!handle || consumer.metadata(false, handle.get(), &raw, 30'000) != RdKafka::ERR_NO_ERROR) return false;
  const std::unique_ptr<RdKafka::Metadata> metadata(raw);
  std::vector<RdKafka::TopicPartition*> assigned;
  for (const auto* t : *metadata->topics()) {
    for (const auto* p : *t->partitions())
      assigned.push_back(RdKafka::TopicPartition::create(topic, p->id(), RdKafka::Topic::OFFSET_BEGINNING));
  }
  partitions = assigned.size();
  const bool done = consumer.assign(assigned) == RdKafka::ERR_NO_ERROR && partitions > 0;
  RdKafka::TopicPartition::destroy(assigned);
  return done;
}

// Reads what is there, to the end of each partition: a topic holds a round number of records, not of megabytes.
int consume(const Options& o) {
  const auto conf = configuration({{"bootstrap.servers", o.bootstrap},
                                   {"group.id", "naru-load"},
                                   {"enable.auto.commit", "false"},
                                   {"enable.partition.eof", "true"},
                                   {"queued.min.messages", "1000000"}});
  std::string error;
  const std::unique_ptr<RdKafka::KafkaConsumer> consumer(RdKafka::KafkaConsumer::create(conf.get(), error));
  size_t partitions = 0;
  if (!consumer || !assign_all(*consumer, o.topic, partitions)) {
    std::fprintf(stderr, "naru-load: cannot consume %s: %s\n", o.topic.c_str(), error.c_str());
    return 1;
  }
  uint64_t bytes = 0;
  uint64_t records = 0;
  Clock::time_point begin{};
  for (std::set<int32_t> at_end; at_end.size() < partitions;) {
    const std::unique_ptr<RdKafka::Message> message(consumer->consume(30'000));
    if (message->err() == RdKafka::ERR__PARTITION_EOF) at_end.insert(message->partition());
    if (message->err() == RdKafka::ERR__TIMED_OUT) {
      std::fprintf(stderr, "naru-load: nothing came for 30 s; %zu of %zu partitions read to their ends, %llu records\n",
                   at_end.size(), partitions, static_cast<unsigned long long>(records));
      return 1;
    }
    if (message->err() != RdKafka::ERR_NO_ERROR) continue;
    if (records++ == 0) begin = Clock::now();
    bytes += message->len();
  }
  const double seconds = seconds_since(begin);
  consumer->close();
  const nlohmann::json result = {{"records", records},
                                 {"seconds", seconds},
                                 {"records_per_s", static_cast<double>(records) / seconds},
                                 {"mb_per_s", static_cast<double>(bytes) / 1e6 / seconds}};
  std::printf("%s\n", result.dump().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app("A light load generator for Kafka-compatible clusters");
  app.require_subcommand(1);
  const auto common = [&o](CLI::App* sub) {
    sub->add_option("--bootstrap", o.bootstrap, "host:port,...");
    sub->add_option("--topic", o.topic);
    return sub;
  };
  const auto producing = [&](CLI::App* sub) {
    common(sub);
    sub->add_option("--megabytes", o.megabytes);
    sub->add_option("--record-bytes", o.record_bytes);
    sub->add_option("--acks", o.acks);
    sub->add_option("--codec", o.codec);
    sub->add_option("--producers", o.producers);
    sub->add_option("--batch-bytes", o.batch_bytes);
    sub->add_option("--linger-ms", o.linger_ms);
    sub->add_option("--rate", o.produce_rate, "records a second of all producers, instead of as fast as possible");
    sub->add_option("--seconds", o.seconds, "how long, with --rate");
    sub->add_flag("--idempotent", o.idempotent, "with enable.idempotence, five batches in flight at most");
    sub->add_option("--skip", o.skip, "so many first records of each producer are left out of the latencies");
    return sub;
  };
  CLI::App* produce_command = producing(app.add_subcommand("produce", "produce so many megabytes"));
  CLI::App* consume_command = common(app.add_subcommand("consume", "consume the whole topic"));
  CLI::App* steady_command =
      common(app.add_subcommand("steady", "produce steadily; answers to lines on standard input"));
  steady_command->add_option("--partitions", o.partitions);
  steady_command->add_option("--rate", o.rate, "records a second, all partitions in turn");
  CLI::App* first_command = common(app.add_subcommand("first", "when is the first write acknowledged?"));
  CLI11_PARSE(app, argc, argv);
  if (produce_command->parsed()) return produce(o);
  if (consume_command->parsed()) return consume(o);
  if (steady_command->parsed()) return load::steady({o.bootstrap, o.topic, o.partitions, o.rate});
  return first_command->parsed() ? load::first_write(o.bootstrap, o.topic) : 2;
}
