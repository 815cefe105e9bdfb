// What goes wrong in a run, and when: a plan drawn from the seed, each entry on its own, so that entries can be left out
// and the rest stays the same (minimizing).
#pragma once
#include <string>
#include <vector>

#include "sim/options.h"

namespace sim {

// name, one word for the trace
#define SIM_FAULTS(X)                                      \
  X(kill, "kill -9")                                       \
  X(power, "power loss")                                   \
  X(pause, "pause")                                        \
  X(isolate, "isolate from all brokers")                   \
  X(one_way, "one-way cut")                                \
  X(pair, "pair cut")                                      \
  X(split, "split in two")                                 \
  X(bridge, "only through one broker")                     \
  X(flap, "flapping link")                                 \
  X(reset, "connections reset")                            \
  X(delay, "delay")                                        \
  X(slow_disk, "slow disk")                                \
  X(disk_full, "disk full")                                \
  X(write_error, "EIO on write or sync")                   \
  X(rot, "bit rot in a segment")                           \
  X(wall_clock, "wall clock step")                         \
  X(shut_down, "controlled shutdown")                      \
  X(kill_all, "kill -9 of all")                            \
  X(power_all, "power loss of all")                        \
  X(wipe, "disk wiped")                                    \
  X(roll_back, "older disk image restored")                \
  X(clients_cut, "clients cut off")                        \
  X(torn_write, "power loss in the middle of a write")     \
  X(kill_controller, "kill -9 of the active controller")   \
  X(crash_loop, "killed again and again")                  \
  X(voters, "a voter removed and added again")             \
  X(hand_over, "leadership of the quorum handed over")     \
  X(read_error, "EIO on a read")                           \
  X(misdirected, "a write that landed elsewhere")          \
  X(lost_directory, "a partition's directory lost")        \
  X(refusal, "connections reset and refused")              \
  X(rolling_restart, "all brokers restarted in turn")      \
  X(foreign_disk, "started with a copy of another's disk") \
  X(twin, "a copy of its disk started beside it")          \
  X(descriptors, "no descriptor left")                     \
  X(name_error, "EIO on a name or a truncation")

enum class FaultKind : uint8_t {
#define X(name, text) name,
  SIM_FAULTS(X)
#undef X
      count
};
constexpr int fault_kinds = static_cast<int>(FaultKind::count);
static_assert(static_cast<int>(FaultKind::misdirected) <= 32);  // those that Options::fault_kinds has a bit for
[[nodiscard]] std::string_view to_string(FaultKind kind);

struct Fault {
  int number = 0;  // in the whole plan
  Duration at{};   // since the start of the run
  FaultKind kind = FaultKind::kill;
  Duration length{};
  uint64_t a = 0;  // choices, reduced to what there is when it happens
  uint64_t b = 0;
  uint64_t c = 0;
};
[[nodiscard]] std::string describe(const Fault& fault);

[[nodiscard]] std::vector<Fault> plan_faults(const Options& options);

// A long life is looked at so often, with everything healed. Nothing goes wrong in the minutes before and after.
constexpr Duration calm_interval = std::chrono::hours(6);

}  // namespace sim
