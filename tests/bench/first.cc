#include "first.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

#include <librdkafka/rdkafkacpp.h>
#include <nlohmann/json.hpp>

namespace load {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_now() {
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

// IPv4 address and port.
std::optional<sockaddr_in> address_of(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::stoi(text.substr(colon + 1))));
  if (::inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1) return std::nullopt;
  return address;
}

bool listens(const sockaddr_in& address) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return connected;
}

class FirstReport final : public RdKafka::DeliveryReportCb {
 public:
  void dr_cb(RdKafka::Message& message) override {
    done = true;
    error = message.err();
  }
  bool done = false;
  RdKafka::ErrorCode error = RdKafka::ERR_NO_ERROR;
};

}  // namespace

int first_write(const std::string& bootstrap, const std::string& topic) {
  std::vector<sockaddr_in> addresses;
  std::istringstream words(bootstrap);
  for (std::string word; std::getline(words, word, ',');) {
    const auto address = address_of(word);
    if (!address) {
      std::fprintf(stderr, "naru-load: %s: an IPv4 address and a port are needed\n", word.c_str());
      return 2;
    }
    addresses.push_back(*address);
  }
  // The client comes when every broker listens: librdkafka looks again a second after the first address it draws has
  // refused it, and would measure that second.
  for (const sockaddr_in& address : addresses) {
    while (!listens(address)) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // between two looks
  }
  const double listening = seconds_now();

  FirstReport report;
  std::string error;
  const std::unique_ptr<RdKafka::Conf> conf(RdKafka::Conf::create(RdKafka::Conf::CONF_GLOBAL));
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"bootstrap.servers", bootstrap},
                                                        {"acks", "all"},
                                                        {"linger.ms", "0"},
                                                        {"reconnect.backoff.ms", "5"},
                                                        {"reconnect.backoff.max.ms", "5"},
                                                        {"retry.backoff.ms", "5"},
                                                        {"retry.backoff.max.ms", "5"},
                                                        {"topic.metadata.refresh.fast.interval.ms", "5"}}) {
    if (conf->set(key, value, error) == RdKafka::Conf::CONF_INVALID)
      std::fprintf(stderr, "naru-load: %s\n", error.c_str());
  }
  conf->set("dr_cb", static_cast<RdKafka::DeliveryReportCb*>(&report), error);
  const std::unique_ptr<RdKafka::Producer> producer(RdKafka::Producer::create(conf.get(), error));
  if (!producer) {
    std::fprintf(stderr, "naru-load: %s\n", error.c_str());
    return 1;
  }
  std::string body = "first";
  producer->produce(topic, RdKafka::Topic::PARTITION_UA, RdKafka::Producer::RK_MSG_COPY, body.data(), body.size(),
                    nullptr, 0, 0, nullptr);
  while (!report.done) producer->poll(1000);
  const double acknowledged = seconds_now();
  if (report.error != RdKafka::ERR_NO_ERROR) {
    std::fprintf(stderr, "naru-load: %s\n", RdKafka::err2str(report.error).c_str());
    return 1;
  }
  std::printf("%s\n", nlohmann::json{{"listening", listening}, {"acknowledged", acknowledged}}.dump().c_str());
  return 0;
}

}  // namespace load
