// What a broker process asks of the kernel before anything else, and how it learns that it should end.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "common/logging.h"

namespace common::config {
struct BrokerConfig;
}

namespace broker {

// Raises the soft descriptor limit to the hard one, ignores SIGPIPE (a peer that left is an error value) and SIGXFSZ
// (a file size limit is then an error like a full disk: fault 26). Where no memory is left, and whoever asked for it
// cannot do without, the process says so and ends with exit code 1 (fault 39). Returns how many descriptors there may
// be.
uint64_t prepare_process(const common::Logger& log);

// Who may hold how many descriptors, so that clients cannot take those of the logs and of the other brokers (R111).
struct DescriptorPlan {
  size_t files_per_shard = 0;
  uint32_t clients = 0;
};
[[nodiscard]] DescriptorPlan plan_descriptors(uint64_t limit, int shards);

// CPUs that this process may use: its affinity, and its cgroup's quota rounded up.
[[nodiscard]] int usable_cpus();
// How many shards that many CPUs get: all but one, which is left to the metadata, the disk's threads and the page. With
// three brokers on two CPUs, one shard each took a sixth less CPU a GB produced than two (docs/performance.md). At least
// one.
[[nodiscard]] int default_shards(int cpus);
// `cpu_max` is the content of cgroup 2's cpu.max ("200000 100000", "max 100000"); none: no quota.
[[nodiscard]] std::optional<int> cpu_quota(std::string_view cpu_max);

// The memory bounds of design section 8, smaller where the cgroup's memory.max (its content) is small. What was set
// explicitly stays. Says what it did.
std::optional<std::string> fit_memory(common::config::BrokerConfig& config, std::string_view memory_max);
// A file of this process' cgroup (version 2); empty if there is none.
[[nodiscard]] std::string read_cgroup(std::string_view name);

// Tells the service manager that started this process, if it asked to be told (systemd's Type=notify), what is so now:
// READY=1 once clients are served, STOPPING=1, STATUS=words for people. Does nothing otherwise.
void tell_service_manager(const std::string& state);

// When and why the process should end. The first SIGTERM or SIGINT asks for a controlled shutdown. A SIGINT after that
// ends the process at once with exit code 130: somebody is impatient. A further SIGTERM does not: timeout(1) and others
// send it to the process and then to its group, and mean one request. Thread-safe.
class Lifeline {
 public:
  // Blocks the signals for this thread and those it starts from now on, and begins to listen for them. Once.
  static Lifeline& watch_signals();

  // Somebody cannot go on: the broker ends in order, with exit code 1.
  void give_up(std::string why);
  // Wakes waiters so that they look at their condition again.
  void wake();
  // Waits until `condition` holds (true) or the process should end (false). `condition` runs under no lock of others.
  bool wait(const std::function<bool()>& condition);
  // Until the process should end.
  void wait_for_end();
  // Why somebody gave up, if it was not a signal.
  [[nodiscard]] std::optional<std::string> failure() const;

 private:
  Lifeline() = default;
  void listen();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  std::optional<std::string> failure_;
};

// What is to be said of a start that did not come about, and nothing where it was told to end before it was up. A
// broker that gave up may have been woken by that before its start could tell the reason.
[[nodiscard]] std::optional<std::string> why_not_started(std::string_view message,
                                                         const std::optional<std::string>& failure);

// For a state that must not be lived in any longer (R18): says why and ends the process now, without cleaning up.
[[noreturn]] void end_now(const common::Logger& log, const std::string& why);

}  // namespace broker
