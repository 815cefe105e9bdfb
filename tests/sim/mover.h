// Operators who move partitions while everything else happens: to other brokers, in another order, to yet others before
// that is done, and back. The number of replicas stays, because what a run may lose depends on it.
#pragma once
#include "sim/client.h"
#include "sim/options.h"
#include "sim/producer.h"

namespace sim {

class Mover {
 public:
  Mover(Client& client, const Options& options, const Running& running)
      : client_(client), options_(options), running_(running) {}

  static Awaitable<void> run(Mover& self);

 private:
  Awaitable<void> move_one();
  [[nodiscard]] std::vector<int32_t> some_brokers();

  Client& client_;
  const Options& options_;
  const Running& running_;
};

}  // namespace sim
