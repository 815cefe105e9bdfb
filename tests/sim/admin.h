// What operators do while everything else happens: topics come, are written to, go, and come again under the same name;
// settings change; preferred leaders are asked for.
#pragma once
#include "sim/producer.h"

namespace sim {

class Workload;

class Admin {
 public:
  Admin(Client& client, Workload& workload, History& history, Probes& probes, const Options& options,
        const Running& running)
      : client_(client), workload_(workload), history_(history), probes_(probes), options_(options), running_(running) {}

  static Awaitable<void> run(Admin& self);
  // Makes sure that a topic exists, and tells its id.
  using Settings = std::vector<std::pair<std::string, std::string>>;
  static Awaitable<std::optional<Uuid>> make_topic(Client& client, std::string name, int partitions, int replicas,
                                                   Duration patience, Settings settings = {});

 private:
  Awaitable<void> short_lived_topic();
  Awaitable<void> change_setting();
  Awaitable<void> elect_preferred();

  Client& client_;
  Workload& workload_;
  History& history_;
  Probes& probes_;
  const Options& options_;
  const Running& running_;
  int topics_made_ = 0;
};

}  // namespace sim
