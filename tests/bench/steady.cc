#include "steady.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <vector>

#include <librdkafka/rdkafkacpp.h>
#include <nlohmann/json.hpp>

namespace load {
namespace {

using Clock = std::chrono::steady_clock;

// Single-threaded: librdkafka calls back from poll().
class Gaps final : public RdKafka::DeliveryReportCb {
 public:
  explicit Gaps(int partitions) : of_(static_cast<size_t>(partitions)) {}

  void dr_cb(RdKafka::Message& message) override {
    if (message.err() != RdKafka::ERR_NO_ERROR) {
      ++failed_;
      return;
    }
    ++acked_;
    Partition& p = of_[static_cast<size_t>(message.partition())];
    const auto now = Clock::now();
    if (p.acked++ > 0) p.longest = std::max(p.longest, now - p.last);
    p.last = now;
  }

  [[nodiscard]] uint64_t least() const { return std::ranges::min_element(of_, {}, &Partition::acked)->acked; }
  [[nodiscard]] std::vector<uint64_t> counts() const {
    std::vector<uint64_t> all;
    for (const Partition& p : of_) all.push_back(p.acked);
    return all;
  }
  nlohmann::json mark() {
    // A partition that is silent right now counts with what it has been silent for.
    const auto now = Clock::now();
    for (Partition& p : of_) p.longest = std::max(p.longest, now - p.last);
    const auto worst = std::ranges::max_element(of_, {}, &Partition::longest);
    const double ms = std::chrono::duration<double, std::milli>(worst->longest).count();
    const auto partition = worst - of_.begin();
    for (Partition& p : of_) p.longest = {};
    return {{"event", "mark"}, {"gap_ms", ms}, {"partition", partition}, {"acked", acked_}, {"failed", failed_}};
  }
  [[nodiscard]] nlohmann::json end() const { return {{"event", "end"}, {"acked", acked_}, {"failed", failed_}}; }

 private:
  struct Partition {
    uint64_t acked = 0;
    Clock::time_point last;
    Clock::duration longest{};
  };
  std::vector<Partition> of_;
  uint64_t acked_ = 0;
  uint64_t failed_ = 0;
};

// Lines on standard input, without waiting for them.
class Lines {
 public:
  std::optional<std::string> next() {
    pollfd entry{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (!ended_ && buffer_.find('\n') == std::string::npos && ::poll(&entry, 1, 0) > 0) {
      char chunk[4096];
      const ssize_t n = ::read(STDIN_FILENO, chunk, sizeof chunk);
      if (n <= 0) ended_ = true;
      if (n > 0) buffer_.append(chunk, static_cast<size_t>(n));
    }
    const size_t end = buffer_.find('\n');
    if (end == std::string::npos) return std::nullopt;
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    return line;
  }
  [[nodiscard]] bool ended() const { return ended_ && buffer_.find('\n') == std::string::npos; }

 private:
  std::string buffer_;
  bool ended_ = false;
};

void say(const nlohmann::json& event) {
  std::printf("%s\n", event.dump().c_str());
  std::fflush(stdout);
}

class Talk {
 public:
  explicit Talk(Gaps& gaps) : gaps_(gaps) {}

  // false: nobody asks any more.
  bool turn() {
    if (!ready_ && gaps_.least() > 0) {
      ready_ = true;
      say({{"event", "ready"}});
    }
    if (wanted_ && has_flowed()) {
      wanted_.reset();
      say({{"event", "flow"}});
    }
    while (const std::optional<std::string> line = lines_.next()) {
      if (*line == "mark") say(gaps_.mark());
      if (line->starts_with("flow ")) {
        wanted_ = std::stoull(line->substr(5));
        from_ = gaps_.counts();
      }
    }
    return !lines_.ended();
  }

 private:
  [[nodiscard]] bool has_flowed() const {
    const std::vector<uint64_t> now = gaps_.counts();
    for (size_t i = 0; i < now.size(); ++i) {
      if (now[i] < from_[i] + *wanted_) return false;
    }
    return true;
  }

  Gaps& gaps_;
  Lines lines_;
  bool ready_ = false;
  std::optional<uint64_t> wanted_;
  std::vector<uint64_t> from_;
};

}  // namespace

int steady(const Steady& options) {
  Gaps gaps(options.partitions);
  std::string error;
  const std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
  conf->set("bootstrap.servers", options.bootstrap, error);
  conf->set("dr_cb", static_cast<RdKafka::DeliveryReportCb*>(&gaps), error);
  const std::unique_ptr<RdKafka::Producer> producer(RdKafka::Producer::create(conf.get(), error));
  if (!producer) {
    std::fprintf(stderr, "naru-load: %s\n", error.c_str());
    return 1;
  }
  Talk talk(gaps);
  std::string body(100, 'x');
  const auto pause = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / options.rate));
  auto due = Clock::now();
  for (uint64_t i = 0; talk.turn(); ++i) {
    const auto partition = static_cast<int32_t>(i % static_cast<uint64_t>(options.partitions));
    // A full queue (the cluster is away) loses one turn, which nobody counts on.
    producer->produce(options.topic, partition, RdKafka::Producer::RK_MSG_COPY, body.data(), body.size(), nullptr, 0, 0,
                      nullptr);
    due = std::max(due + pause, Clock::now() - std::chrono::milliseconds(100));  // no burst after a stall of our own
    do {
      producer->poll(1);
    } while (Clock::now() < due);
  }
  producer->flush(30'000);
  say(gaps.end());
  return 0;
}

}  // namespace load
