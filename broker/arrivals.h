// Clients that ask again and again where the brokers are and never say anything else: they cannot reach the addresses
// that they are told. Their own logs are far away, so the broker says it once for each of them, in words.
//
// A client counts by its host and client id. One on this machine reaches whatever it is told, and is not watched; one
// that asks now and then (a tool that lists topics) is not a case of it. Some ask once and then try what they were told
// for ever (kafka-clients before 4.0): where this is the only broker, their silence on a connection that stands says
// the same, unless they have nothing to do, as where others of their host come. What is decided is a function of what
// was told and when; thread-safe, for all shards' connections.
#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"

namespace broker {

class Arrivals {
 public:
  struct Stranger {
    int times = 0;
    common::model::Duration within{0};
  };
  struct Silent {
    std::string host;
    std::string client_id;
    common::model::Duration since{0};
  };
  // Something that lives as long as a connection; empty: of one whose silence says nothing.
  using Connection = std::weak_ptr<const void>;

  // Whether anybody has asked and not arrived yet: if not, requests of those who arrived long ago cost nothing.
  [[nodiscard]] bool watching() const { return watched_.load(std::memory_order_relaxed) > 0; }
  // A client asked for the addresses. Set the one time that it is to be named.
  std::optional<Stranger> asked(std::string_view host, std::string_view client_id, common::model::Instant now,
                                Connection connection = {});
  // It said something that only a client says that came where it was told to; and shows that its host can, unless by
  // the connection that it asked by.
  void arrived(std::string_view host, std::string_view client_id, const Connection& by = {});
  // Those who asked a while ago, on a connection that still stands, of whom nothing else was ever heard, and from whose
  // host nobody came: each once. Looks once a second at most, however often it is called.
  std::vector<Silent> silent(common::model::Instant now);

 private:
  using Client = std::pair<std::string, std::string>;
  struct Asking {
    common::model::Instant first;
    int times = 0;
    Connection connection;  // the last one
  };
  void forget(common::model::Instant now);

  std::atomic<size_t> watched_ = 0;  // asking_.size(), without the lock
  std::mutex mutex_;
  std::map<Client, Asking> asking_;
  // With when that was, or when somebody was last heard of; forgotten some time later, if there are many.
  std::map<Client, common::model::Instant> named_;
  std::map<Client, common::model::Instant> come_;                     // arrived once: their silence is rest
  std::map<std::string, common::model::Instant, std::less<>> hosts_;  // from where others arrived: so is silence there
  common::model::Instant looked_;
  common::model::Instant asked_at_;  // last, by anybody
  common::model::Instant made_room_at_;
};

}  // namespace broker
