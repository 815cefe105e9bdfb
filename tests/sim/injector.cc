#include "sim/injector.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "common/log/checkpoint_file.h"

namespace sim {

using namespace std::chrono_literals;
using common::disk::IoFault;
using common::disk::SimulatedDisk;

namespace {

constexpr int add_attempts = 20;

}  // namespace

Injector::Injector(Cluster& cluster, Probes& probes) : cluster_(cluster), probes_(probes), atlas_(cluster) {
  images_.resize(cluster.nodes().size());
}

void Injector::schedule(const std::vector<Fault>& plan) {
  for (const Fault& fault : plan) {
    cluster_.world().at(Instant(fault.at), nullptr, [this, fault] {
      if (!healed_) begin(fault);
    });
  }
}

void Injector::begin(const Fault& fault) {
  if (!apply(fault)) return;
  ++fired_[static_cast<size_t>(fault.kind)];
  cluster_.world().note(static_cast<uint64_t>(fault.number));
  if (trace) trace("fault " + describe(fault));
}

uint64_t Injector::fired() const {
  return std::accumulate(fired_.begin(), fired_.end(), uint64_t{0});
}

bool Injector::apply(const Fault& fault) {
  Node& node = *cluster_.nodes()[fault.a % cluster_.nodes().size()];
  if (own_disks_.contains(node.host())) return false;  // what is harmed must be its own
  switch (fault.kind) {
    case FaultKind::kill:
    case FaultKind::power:
    case FaultKind::pause:
    case FaultKind::shut_down:
    case FaultKind::wall_clock:
    case FaultKind::crash_loop:
      return apply_to_process(fault, node);
    case FaultKind::isolate:
    case FaultKind::one_way:
    case FaultKind::pair:
    case FaultKind::split:
    case FaultKind::bridge:
    case FaultKind::flap:
    case FaultKind::reset:
    case FaultKind::delay:
    case FaultKind::clients_cut:
    case FaultKind::refusal:
      return apply_to_network(fault, node);
    case FaultKind::slow_disk:
    case FaultKind::disk_full:
    case FaultKind::write_error:
    case FaultKind::read_error:
    case FaultKind::rot:
    case FaultKind::misdirected:
    case FaultKind::lost_directory:
    case FaultKind::wipe:
    case FaultKind::roll_back:
    case FaultKind::torn_write:
    case FaultKind::descriptors:
    case FaultKind::name_error:
      return apply_to_disk(fault, node);
    case FaultKind::foreign_disk:
      return start_with_disk_of_another(node, fault);
    case FaultKind::twin:
      return start_twin(node, fault);
    case FaultKind::kill_all:
    case FaultKind::power_all:
    case FaultKind::rolling_restart:
      return apply_to_all(fault);
    case FaultKind::kill_controller:
    case FaultKind::voters:
    case FaultKind::hand_over:
      return apply_to_quorum(fault);
    case FaultKind::count:
      break;
  }
  return false;
}

// ---- processes ----

void Injector::after(Duration length, std::function<void()> f) {
  cluster_.world().after(length, nullptr, [this, heals = heals_, f = std::move(f)] {
    if (!healed_ && heals_ == heals) f();
  });
}

void Injector::start(Node& node) {
  if (node.is_running()) return;
  if (may_stop_.erase(node.host()) > 0) atlas_.end_threat(node);  // its disk has forgotten that
  node.start();
}

void Injector::start_later(Node& node, Duration down) {
  after(down, [this, &node, lives = node.lives()] {
    if (node.lives() == lives) start(node);
  });
}

// Not before it has ended; whoever does not end in time is killed, as a supervisor would.
void Injector::start_after_leaving(Node& node, Duration later, int patience) {
  after(later, [this, &node, patience, lives = node.lives()] {
    if (node.lives() != lives) return;
    if (node.is_running() && patience > 0) return start_after_leaving(node, 1s, patience - 1);
    if (node.is_running()) {
      node.die(Death::killed);
    } else {
      probes_.hit(Probe::clean_restart);
    }
    start(node);
  });
}

bool Injector::kill(Node& node, Duration down) {
  if (!node.is_running()) return false;
  node.die(Death::killed);
  start_later(node, down);
  return true;
}

bool Injector::lose_power(Node& node, Duration down, uint64_t how) {
  if (!node.is_running()) return false;
  auto unsynced = how % 4 == 0   ? SimulatedDisk::Unsynced::kept
                  : how % 4 == 1 ? SimulatedDisk::Unsynced::lost
                                 : SimulatedDisk::Unsynced::torn;
  if (unsynced != SimulatedDisk::Unsynced::kept && !atlas_.may_lose_unsynced(node)) {
    unsynced = SimulatedDisk::Unsynced::kept;
  }
  probes_.hit(unsynced == SimulatedDisk::Unsynced::kept   ? Probe::crash_kept
              : unsynced == SimulatedDisk::Unsynced::lost ? Probe::crash_lost
                                                          : Probe::crash_torn);
  node.die(Death::power_lost, unsynced);
  start_later(node, down);
  return true;
}

bool Injector::apply_to_process(const Fault& fault, Node& node) {
  if (!node.is_running()) return false;
  switch (fault.kind) {
    case FaultKind::kill:
      return kill(node, fault.length);
    case FaultKind::power:
      return lose_power(node, fault.length, fault.b);
    case FaultKind::pause:
      if (node.is_paused()) return false;
      node.pause();
      after(fault.length, [&node, lives = node.lives()] {
        if (node.lives() == lives) node.resume();
      });
      return true;
    case FaultKind::shut_down:
      if (node.is_leaving() || node.is_paused()) return false;
      node.shut_down();
      start_after_leaving(node, fault.length, 40);
      return true;
    case FaultKind::wall_clock: {
      const Duration steps[] = {1h, -1h, 24h, -24h, 700ms, -700ms};
      if (cluster_.options().days > 0) {  // somebody notices, and then it was one step and not one more
        node.set_wall_clock_right();
        after(fault.length + fault.c % 3 * 10min, [&node] { node.set_wall_clock_right(); });
      }
      node.step_wall_clock(steps[fault.b % 6]);
      return true;
    }
    case FaultKind::crash_loop:
      for (int i = 0; i < 4; ++i) {
        after(i * 2s, [this, &node] { kill(node, 200ms); });
      }
      return true;
    default:
      return false;
  }
}

// One after the other, each when the one before is back.
void Injector::restart_from(size_t index, Duration pause) {
  if (index >= cluster_.nodes().size()) return;
  Node& node = *cluster_.nodes()[index];
  if (node.is_running() && !node.is_leaving() && !node.is_paused()) {
    node.shut_down();
    start_after_leaving(node, pause, 40);
  }
  after(pause + 40s, [this, index, pause] { restart_from(index + 1, pause); });
}

bool Injector::apply_to_all(const Fault& fault) {
  if (fault.kind == FaultKind::rolling_restart) {
    restart_from(0, fault.length);
    return true;
  }
  const bool power = fault.kind == FaultKind::power_all;
  if (power && !cluster_.options().synced) return false;
  int i = 0;
  for (const auto& node : cluster_.nodes()) {
    const Duration down = fault.length + (fault.b >> (3 * i) & 7u) * 300ms;
    if (power) {
      lose_power(*node, down, fault.c >> (2 * i));
    } else {
      kill(*node, down);
    }
    ++i;
  }
  probes_.hit(Probe::all_down);
  return true;
}

bool Injector::apply_to_quorum(const Fault& fault) {
  Node* controller = cluster_.active_controller();
  if (controller == nullptr) return false;
  if (fault.kind == FaultKind::kill_controller) return kill(*controller, fault.length);
  quorum::Raft& raft = controller->core().quorum().raft();
  if (fault.kind == FaultKind::hand_over) {
    cluster_.world().at(cluster_.world().now(), controller->process().get(), [controller, &raft] {
      Process::look(controller->controller_shard(),
                    [&] { raft.transfer_leadership(std::nullopt, [](const common::model::Result<void>&) {}); });
    });
    return true;
  }
  return change_voters(raft.describe(), fault);
}

// One out, and after a while in again under the same key; or one that only follows in, and after a while out again.
bool Injector::change_voters(const controller::raft::QuorumStatus& quorum, const Fault& fault) {
  using controller::raft::Voter;
  const auto& voters = quorum.voters.voters();
  // In a long life also while all is healed: else it would not be taken back for days.
  const auto later = [this](Duration length, std::function<void()> f) {
    if (cluster_.options().days <= 0) return after(length, std::move(f));
    cluster_.world().after(length, nullptr, std::move(f));
  };
  const bool grows = fault.c % 2 == 1 && voters.size() < controller::raft::voters_max;
  if (grows) {
    const auto observer =
        std::find_if(quorum.replicas.begin(), quorum.replicas.end(), [](const auto& r) { return !r.is_voter; });
    if (observer == quorum.replicas.end() || !atlas_.may_change_voters()) return false;
    const Voter voter{observer->key, Cluster::peer_address(observer->key.id), {}};
    add_voter(voter, add_attempts);
    later(fault.length + 1s, [this, voter] { remove_voter(voter); });
    return true;
  }
  if (voters.size() < 3 || !atlas_.may_change_voters()) return false;
  const Voter voter = voters[fault.b % voters.size()];
  remove_voter(voter);
  later(fault.length + 1s, [this, voter] { add_voter(voter, add_attempts); });
  return true;
}

void Injector::on_controller(std::function<void(quorum::Raft&)> f) {
  Node* now = cluster_.active_controller();
  if (now == nullptr) return;
  cluster_.world().at(cluster_.world().now(), now->process().get(), [now, f = std::move(f)] {
    Process::look(now->controller_shard(), [&] { f(now->core().quorum().raft()); });
  });
}

// It may be catching up, or another change be under way.
void Injector::add_voter(const controller::raft::Voter& voter, int attempts) {
  on_controller([this, voter, attempts](quorum::Raft& raft) {
    raft.add_voter(voter, [this, voter, attempts](const common::model::Result<void>& done) {
      if (!done && attempts > 1) after(500ms, [this, voter, attempts] { add_voter(voter, attempts - 1); });
    });
  });
}

void Injector::remove_voter(const controller::raft::Voter& voter) {
  on_controller(
      [voter](quorum::Raft& raft) { raft.remove_voter(voter.key, [](const common::model::Result<void>&) {}); });
}

// ---- the network ----

std::vector<Host> Injector::broker_hosts() const {
  std::vector<Host> hosts;
  for (const auto& node : cluster_.nodes()) hosts.push_back(node->host());
  return hosts;
}

Node& Injector::other(const Node& node, uint64_t choice) const {
  const size_t count = cluster_.nodes().size();
  const size_t self = static_cast<size_t>(node.host()) - 1;
  return *cluster_.nodes()[(self + 1 + choice % (count - 1)) % count];
}

void Injector::cut(std::vector<std::pair<Host, Host>> directions, Duration length) {
  for (const auto& [from, to] : directions) cluster_.network().block(from, to);
  // Opened one by one, in an order of their own.
  Duration later = length;
  for (const auto& [from, to] : directions) {
    after(later, [this, from = from, to = to] { cluster_.network().unblock(from, to); });
    later += 7ms;
  }
}

// A RST to everything, while both live: what looks like the end of a process is none.
void Injector::refuse_connections(Host from, Host to, bool both_ways, Duration length) {
  Network& network = cluster_.network();
  network.refuse(from, to);
  if (both_ways) network.refuse(to, from);
  network.reset(from, to);
  after(length, [&network, from, to, both_ways] {
    network.accept_again(from, to);
    if (both_ways) network.accept_again(to, from);
  });
}

namespace {

using Directions = std::vector<std::pair<Host, Host>>;

void add_both(Directions& directions, Host x, Host y) {
  directions.emplace_back(x, y);
  directions.emplace_back(y, x);
}

// Every pair of which `is_cut` says so, both ways.
template <class IsCut>
Directions between(const std::vector<Host>& hosts, IsCut is_cut) {
  Directions directions;
  for (size_t i = 0; i < hosts.size(); ++i) {
    for (size_t j = i + 1; j < hosts.size(); ++j) {
      if (is_cut(i, j)) add_both(directions, hosts[i], hosts[j]);
    }
  }
  return directions;
}

// What is cut for as long as the fault lasts; nothing if it is of another kind.
Directions cut_by(const Fault& fault, const std::vector<Host>& hosts, Host a, Host b) {
  switch (fault.kind) {
    case FaultKind::isolate: {
      Directions all;
      for (const Host h : hosts) {
        if (h != a) add_both(all, a, h);
      }
      return all;
    }
    case FaultKind::one_way:
      return {{a, b}};
    case FaultKind::pair:
      return {{a, b}, {b, a}};
    case FaultKind::split:
      return between(hosts, [&](size_t i, size_t j) { return (fault.c >> i & 1u) != (fault.c >> j & 1u); });
    case FaultKind::bridge:
      return between(hosts, [&](size_t i, size_t j) { return hosts[i] != a && hosts[j] != a; });
    default:
      return {};
  }
}

}  // namespace
bool Injector::apply_to_network(const Fault& fault, Node& node) {
  Network& network = cluster_.network();
  const std::vector<Host> hosts = broker_hosts();
  if (fault.kind == FaultKind::clients_cut) {
    Directions directions;
    for (Host client = 1000; client < 1003; ++client) add_both(directions, node.host(), client);
    cut(std::move(directions), fault.length);
    return true;
  }
  if (hosts.size() < 2) return false;
  const Host a = node.host();
  const Host b = other(node, fault.b).host();
  switch (fault.kind) {
    case FaultKind::flap:
      for (int i = 0; i < 10; ++i) {
        after(i * 400ms, [this, a, b] { cut({{a, b}, {b, a}}, 200ms); });
      }
      return true;
    case FaultKind::reset:
      return network.reset(a, fault.c % 2 == 0 ? b : -1) > 0;
    case FaultKind::refusal:
      for (const Host h : hosts) {
        if (h != a && (fault.c % 3 != 0 || h == b)) refuse_connections(h, a, fault.c % 4 == 0, fault.length);
      }
      return true;
    case FaultKind::delay:
      for (const Host h : hosts) {
        const Duration extra = fault.c % 2 == 0 ? Duration(100ms) : Duration(600ms);
        network.set_extra_delay(a, h, extra);
        if (fault.b % 2 == 0) network.set_extra_delay(h, a, extra);
        after(fault.length, [&network, a, h] {
          network.set_extra_delay(a, h, Duration(0));
          network.set_extra_delay(h, a, Duration(0));
        });
      }
      return true;
    default: {
      Directions directions = cut_by(fault, hosts, a, b);
      if (directions.empty()) return false;
      cut(std::move(directions), fault.length);
      return true;
    }
  }
}

// ---- disks ----

bool Injector::fail_writes(Node& node, const Fault& fault) {
  const bool sync = fault.b % 2 == 0;
  const bool metadata = fault.b % 5 == 0;  // then the process ends by itself (R76)
  // After a failed sync the kernel may take for clean what is not on the disk: the next loss of power takes it,
  // although the process has ended, come back and found everything in place.
  if (sync && !(metadata ? atlas_.may_lose_metadata(node) : atlas_.may_lose_records(node))) return false;
  node.disk().add_fault({.operation = sync ? SimulatedDisk::Operation::sync : SimulatedDisk::Operation::write,
                         .path_contains = metadata ? "/meta" : "/data",
                         .skip = fault.c % 20,
                         .times = 1,
                         .fault = IoFault::failed});
  if (sync && !metadata) atlas_.begin_threat(node);
  after(fault.length + 5s, [this, &node, threat = sync && !metadata] {
    node.disk().clear_faults();
    if (threat) atlas_.end_threat(node);
    kill(node, 100ms);  // an operator replaces the cable
  });
  return true;
}

bool Injector::apply_to_disk(const Fault& fault, Node& node) {
  SimulatedDisk& disk = node.disk();
  switch (fault.kind) {
    case FaultKind::slow_disk: {
      const double factors[] = {5, 50, 500};
      node.set_disk_slowness(factors[fault.b % 3]);
      after(fault.length, [&node] { node.set_disk_slowness(1); });
      return true;
    }
    case FaultKind::disk_full:
      disk.fill(fault.b % 20'000);
      after(fault.length, [&node] { node.disk().set_capacity(std::nullopt); });
      probes_.hit(Probe::disk_full);
      return true;
    case FaultKind::write_error:
      return fail_writes(node, fault);
    case FaultKind::read_error:
      disk.add_fault({.operation = SimulatedDisk::Operation::read,
                      .path_contains = "/data",
                      .skip = fault.c % 20,
                      .times = 1 + fault.b % 3,
                      .fault = IoFault::failed});
      after(fault.length + 5s, [this, &node] {
        node.disk().clear_faults();
        kill(node, 100ms);
      });
      return true;
    case FaultKind::rot:
      return rot(node, fault);
    case FaultKind::misdirected:
      return misdirect(node, fault);
    case FaultKind::lost_directory:
      return lose_directory(node, fault);
    case FaultKind::wipe:
    case FaultKind::roll_back:
      return replace_disk(node, fault);
    case FaultKind::torn_write:
      if (!node.is_running() || !atlas_.may_lose_unsynced(node)) return false;
      disk.stop_after(1 + fault.b % 40);
      if (may_stop_.insert(node.host()).second) atlas_.begin_threat(node);
      return true;
    case FaultKind::descriptors:
    case FaultKind::name_error:
      return fail_other_calls(node, fault);
    default:
      return false;
  }
}

// Three kinds of calls, a few of each. Those that find no descriptor work when they are made again, and nothing is lost;
// an error of a name is final (R76). Not the vote's file, whose descriptor is kept.
bool Injector::fail_other_calls(Node& node, const Fault& fault) {
  using Operation = SimulatedDisk::Operation;
  constexpr Operation with_descriptor[] = {Operation::create, Operation::read, Operation::write,
                                           Operation::truncate, Operation::sync, Operation::sync_directory};
  constexpr Operation of_names[] = {Operation::create, Operation::rename, Operation::remove, Operation::truncate,
                                    Operation::sync_directory};
  const bool passes = fault.kind == FaultKind::descriptors;
  for (int i = 0; i < 3; ++i) {
    const uint64_t choice = fault.b >> (16 * i);
    const Operation operation =
        passes ? with_descriptor[choice % std::size(with_descriptor)] : of_names[choice % std::size(of_names)];
    const bool in_any_log = passes && (fault.c >> i & 1u) != 0;  // the metadata's, too
    node.disk().add_fault({.operation = operation,
                           .path_contains = in_any_log ? ".log" : "/data",
                           .skip = fault.c >> (8 + 5 * i) & 31u,
                           .times = passes ? 1 + (choice >> 8) % 8 : 1,
                           .fault = passes ? IoFault::exhausted : IoFault::failed});
  }
  after(fault.length + (passes ? Duration(0) : Duration(5s)), [this, &node, passes] {
    node.disk().clear_faults();
    if (!node.is_running()) {
      start_later(node, 100ms);  // one that could not start, and did not fail for good
    } else if (!passes) {
      kill(node, 100ms);
    }
  });
  return true;
}

void Injector::look_for_stopped(Process*) {
  if (may_stop_.empty()) return;
  for (auto host = may_stop_.begin(); host != may_stop_.end();) {
    Node& node = cluster_.node(BrokerId(*host));
    if (!node.disk().has_stopped()) {
      ++host;
      continue;
    }
    host = may_stop_.erase(host);
    atlas_.end_threat(node);
    probes_.hit(Probe::crash_torn);
    node.die(Death::power_lost, SimulatedDisk::Unsynced::torn);  // also if the broker has given up on its disk already
    start_later(node, 1s);
  }
}

// Files of partitions that end like that.
std::vector<std::string> Injector::files_of_partitions(Node& node, std::initializer_list<std::string_view> ends) {
  std::vector<std::string> files;
  for (const std::string& path : node.disk().paths()) {
    if (!path.starts_with("/data/") || path.find('-') == std::string::npos) continue;
    if (std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return path.ends_with(end); })) {
      files.push_back(path);
    }
  }
  return files;
}

// A block that was written to one file is in another, or elsewhere in the same, and where it should be is nothing.
// Mostly it is among the last that were written.
bool Injector::misdirect(Node& node, const Fault& fault) {
  const auto sources = files_of_partitions(node, {".log"});
  const auto targets =
      fault.c % 4 == 0 ? files_of_partitions(node, {".log", ".index", ".timeindex", ".snapshot"}) : sources;
  if (sources.empty() || !node.is_running()) return false;
  const std::string& from = sources[fault.a / 7 % sources.size()];
  const std::string& to = targets[fault.b % targets.size()];
  const size_t from_size = node.disk().content(from).size();
  const size_t to_size = node.disk().content(to).size();
  if (from_size == 0 || to_size == 0) return false;
  constexpr size_t block = SimulatedDisk::write_block;
  const size_t blocks = (from_size + block - 1) / block;
  const size_t back = fault.c % 3 == 0 ? fault.c / 12 % blocks : std::min<size_t>(fault.c / 12 % 4, blocks - 1);
  const size_t at = (blocks - 1 - back) * block;
  const size_t there = fault.b / 1000 % ((to_size + block - 1) / block) * block;
  if ((from == to && at == there) || !atlas_.may_lose_records(node)) return false;
  const auto spoilt = node.disk().misdirect(from, at, to, there);
  if (spoilt.empty()) return false;
  for (const auto& [path, byte] : spoilt) atlas_.on_rot(node, path, byte);
  if (fault.c % 5 < 3) kill(node, fault.length);
  return true;
}

bool Injector::rot(Node& node, const Fault& fault) {
  const std::vector<std::string> candidates = files_of_partitions(node, {".log"});
  if (candidates.empty() || !node.is_running()) return false;
  const std::string& path = candidates[fault.b % candidates.size()];
  const size_t size = node.disk().content(path).size();
  if (size == 0 || !atlas_.may_lose_records(node)) return false;
  node.disk().flip_bit(path, fault.c % (size * 8));
  atlas_.on_rot(node, path, fault.c % (size * 8) / 8);
  if (fault.c % 3 != 0) kill(node, fault.length);  // found by recovery, or by whoever reads it
  return true;
}

// Directories of which a checkpoint knows that they had records: what came since is not missed (R44), and a loss that
// nobody can notice is nobody's fault.
std::vector<std::string> Injector::noticed_if_lost(Node& node) {
  const std::string checkpoint = "/data/replication-offset-checkpoint";
  std::vector<std::string> candidates;
  if (!node.disk().exists(checkpoint)) return candidates;
  const auto offsets = common::log::decode_offsets(node.disk().content(checkpoint).text());
  for (const auto& [partition, offset] : offsets.value_or(common::log::OffsetMap())) {
    const std::string path = fmt::format("/data/{}", partition);
    if (offset > common::model::Offset(0) && node.disk().exists(path + "/partition.metadata"))
      candidates.push_back(path);
  }
  return candidates;
}

bool Injector::repair_rot() {
  for (const auto& [broker, path] : atlas_.rotten()) {
    Node& node = cluster_.node(broker);
    const std::string directory = path.substr(0, path.rfind('/'));
    const auto noticed = noticed_if_lost(node);
    if (!node.is_running() || std::find(noticed.begin(), noticed.end(), directory) == noticed.end()) continue;
    node.die(Death::killed);
    const bool is_removed = node.disk().remove_tree(directory).has_value();
    if (is_removed) atlas_.end_rot(node, directory);
    node.start();
    return is_removed;
  }
  return false;
}

// Somebody, or a check of the file system, takes it away while the broker is down.
bool Injector::lose_directory(Node& node, const Fault& fault) {
  if (!node.is_running()) return false;
  const std::vector<std::string> candidates = noticed_if_lost(node);
  if (candidates.empty() || !atlas_.may_lose_records(node)) return false;
  kill(node, fault.length);
  return node.disk().remove_tree(candidates[fault.b % candidates.size()]).has_value();
}

bool Injector::replace_disk(Node& node, const Fault& fault) {
  auto& image = images_[static_cast<size_t>(node.host()) - 1];
  if (fault.kind == FaultKind::roll_back && !image) {
    // The first time only takes the image.
    if (!node.is_running()) return false;
    image = node.disk().clone();
    return false;
  }
  if (!node.is_running() || !atlas_.may_lose_metadata(node) || !atlas_.may_lose_records(node)) return false;
  node.die(Death::power_lost, SimulatedDisk::Unsynced::lost);
  if (fault.kind == FaultKind::wipe) {
    node.wipe();
  } else {
    image->crash(SimulatedDisk::Unsynced::kept);  // the machine has been started anew since
    node.replace_disk(std::move(image));
  }
  start_later(node, fault.length);
  return true;
}

void Injector::end_faults() {
  healed_ = true;
  ++heals_;
  end_copies();
  may_stop_.clear();
  atlas_.end_threats();
  cluster_.network().heal();
}

void Injector::make_well(Node& node) {
  node.set_disk_slowness(1);
  // A leader whose clock is more than an hour behind its producers' rightly refuses their timestamps
  // (message.timestamp.after.max.ms): such a clock is a fault that lasts until somebody sets it.
  node.set_wall_clock_right();
  node.disk().set_capacity(std::nullopt);
  node.disk().clear_faults();
  // Nor does one stop in the middle of a write any more, when nobody would start it again.
  if (!node.disk().has_stopped()) node.disk().stop_after(uint64_t{1} << 60);
  if (node.is_paused()) node.resume();
  // What stopped in the middle of something, or whose disk has failed, is started anew.
  if (node.disk().has_stopped() || (node.is_running() && (node.is_leaving() || node.has_failed_directory()))) {
    node.die(Death::killed);
  }
  if (!node.is_running()) node.start();
}

void Injector::heal() {
  end_faults();
  for (const auto& node : cluster_.nodes()) make_well(*node);
}

void Injector::heal_core(Node& out, Away how) {
  end_faults();
  for (const auto& node : cluster_.nodes()) {
    if (node.get() != &out || how == Away::cut_off) make_well(*node);
  }
  if (how == Away::dead) return out.die(Death::killed);
  for (const Host h : broker_hosts()) {
    if (h == out.host()) continue;
    cluster_.network().block(out.host(), h);
    cluster_.network().block(h, out.host());
  }
}

}  // namespace sim
