// The network between machines: every direction of every pair has its own delay and may be blocked; connections carry
// messages in order, break, are refused or go half-open, as TCP's do.
//
// A blocked direction holds what is sent, as TCP's retransmission does, and delivers it when it opens again. A process
// that is killed leaves connections that its kernel closes; a machine without power leaves half-open ones, which say so
// only when somebody sends after it is back.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "common/net/probe.h"
#include "sim/process.h"

namespace sim {

// A machine on the network. Brokers are their node id; clients come after them.
using Host = int;

class Network;

// One connection; side 0 opened it. Callbacks run as events of the process they are for.
class Pipe : public std::enable_shared_from_this<Pipe> {
 public:
  enum Side { opener = 0, acceptor = 1 };
  Pipe(Network& network, Host from, std::shared_ptr<Process> opener_process, Host to);

  // In order. Dropped silently once this side has closed or the connection broke.
  void send(Side from, std::function<void()> deliver);
  // What was sent still arrives; then the other side's on_closed.
  void close(Side from);
  // A reset: both sides are told, what was on its way is lost.
  void reset();
  void on_closed(Side side, std::function<void()> f) { ends_[side].closed_callback = std::move(f); }
  [[nodiscard]] bool is_open(Side side) const { return !ends_[side].closed; }
  // How much this side has sent that waits for a blocked direction.
  [[nodiscard]] size_t held(Side from) const { return ends_[from].held.size(); }
  [[nodiscard]] bool can_reach(Side from) const;
  [[nodiscard]] Network& network() const { return network_; }
  [[nodiscard]] Process* process(Side side) const { return ends_[side].process.get(); }

 private:
  friend class Network;
  struct End {
    Host host = 0;
    std::shared_ptr<Process> process;
    std::function<void()> closed_callback;
    bool closed = false;       // this side will hear nothing more
    bool silent_death = false; // its machine lost power: nobody says so
    Instant last_delivery{};
    std::deque<std::function<void()>> held;
  };
  void deliver(Side to, std::function<void()> f);
  void tell_closed(Side side);
  void flush(Side from);

  Network& network_;
  End ends_[2];
};

struct NetworkOptions {
  Duration delay_min = std::chrono::microseconds(50);
  Duration delay_max = std::chrono::microseconds(500);
  double slow_chance = 0;  // of a message that takes up to `slow_max`
  Duration slow_max = std::chrono::milliseconds(50);
  Duration connect_timeout = std::chrono::milliseconds(1000);
};

class Network {
 public:
  Network(World& world, NetworkOptions options);

  // Who accepts on a machine now: null while no process listens.
  struct Machine {
    bool has_power = true;
    std::shared_ptr<Process> listener;
  };
  [[nodiscard]] Machine& machine(Host host) { return machines_[host]; }

  using Accept = std::function<void(std::shared_ptr<Pipe>)>;
  using Connected = std::function<void(common::net::ProbeResult, std::shared_ptr<Pipe>)>;
  // `accept` runs in the listening process there, `connected` in `from_process` afterwards or when it failed.
  void connect(Host from, std::shared_ptr<Process> from_process, Host to, Accept accept, Connected connected);
  // A plain connect, closed at once. `done` runs in `from_process`, at `timeout` at the latest.
  void probe(Host from, std::shared_ptr<Process> from_process, Host to, Duration timeout,
             std::function<void(common::net::ProbeResult)> done);

  // --- faults
  void block(Host from, Host to);
  void unblock(Host from, Host to);
  void heal();  // every direction, and delays as configured
  [[nodiscard]] bool is_blocked(Host from, Host to) const { return blocked_.contains({from, to}); }
  void set_extra_delay(Host from, Host to, Duration extra);
  // `to` answers whatever would open a connection from `from` with a RST, as a firewall does, however alive it is.
  void refuse(Host from, Host to) { ++refused_[{from, to}]; }
  void accept_again(Host from, Host to);
  // Resets every connection between the two (either may be -1: any).
  int reset(Host a, Host b);
  // The process's kernel closes its connections; without power nothing is said.
  void process_ended(const Process* process, bool has_power);

  [[nodiscard]] World& world() const { return world_; }
  [[nodiscard]] Rng& random() { return random_; }
  [[nodiscard]] Duration delay(Host from, Host to);
  [[nodiscard]] uint64_t messages() const { return messages_; }

 private:
  friend class Pipe;
  void open_or_close(Host from, Host to);
  [[nodiscard]] common::net::ProbeResult answer_to_syn(Host from, Host to);
  void prune();

  World& world_;
  const NetworkOptions options_;
  Rng random_;
  std::map<Host, Machine> machines_;
  std::map<std::pair<Host, Host>, int> blocked_;  // how many faults block it
  std::map<std::pair<Host, Host>, int> refused_;  // likewise
  std::map<std::pair<Host, Host>, Duration> extra_;
  std::vector<std::weak_ptr<Pipe>> pipes_;
  size_t prune_at_ = 64;
  uint64_t messages_ = 0;
};

}  // namespace sim
