// Asks where partitions end (ListOffsets, latest), again and again: no answer may be below what an earlier one said, or
// below what was acknowledged or answered before it was asked. Reads are not leased, so an answer counts only if the
// broker that gave it led, by the committed metadata, from the question to the answer.
#pragma once
#include "sim/history.h"
#include "sim/producer.h"

namespace sim {

class Onlooker {
 public:
  Onlooker(Client& client, Cluster& cluster, History& history, const Running& running, std::vector<Place> places,
           std::string topic)
      : client_(client),
        cluster_(cluster),
        history_(history),
        running_(running),
        places_(std::move(places)),
        topic_(std::move(topic)) {}

  static Awaitable<void> run(Onlooker& self);

 private:
  Awaitable<void> ask(Place place);
  // Who leads by the newest metadata that anybody ever had, and since which epoch.
  [[nodiscard]] std::optional<std::pair<BrokerId, int32_t>> truth(const Place& place) const;

  Client& client_;
  Cluster& cluster_;
  History& history_;
  const Running& running_;
  const std::vector<Place> places_;  // all of one topic
  const std::string topic_;
};

}  // namespace sim
