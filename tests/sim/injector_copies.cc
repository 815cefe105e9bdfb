// Copies of disks, and brokers that are started with them (R24, R26, R83): another broker's under one's own id, which is
// refused however often it is tried; and one's own, of now or of an earlier day, on a second machine while the first
// goes on, of which at most one counts.
#include "sim/injector.h"

#include <algorithm>

namespace sim {

using namespace std::chrono_literals;

// The wrong disk is put in, and after a while the right one again, as it was.
bool Injector::start_with_disk_of_another(Node& node, const Fault& fault) {
  if (cluster_.nodes().size() < 2 || !node.is_running()) return false;
  const Node& source = other(node, fault.b);
  if (!source.is_serving()) return false;  // it might not say yet whose it is
  const auto rotten = atlas_.rotten();
  const auto is_its = [&node](const auto& rot) { return rot.first == node.id(); };
  if (std::any_of(rotten.begin(), rotten.end(), is_its)) return false;  // and nobody would look after that meanwhile
  node.die(Death::killed);
  auto& own = own_disks_[node.host()];
  own = node.replace_disk(node.copy_of_disk(source));
  node.set_holds_foreign_disk(true);
  start(node);
  after(fault.length, [this, &node] {
    give_own_disk_back(node);
    start(node);
  });
  return true;
}

void Injector::give_own_disk_back(Node& node) {
  auto own = own_disks_.extract(node.host());
  if (own.empty()) return;
  node.die(Death::killed);
  node.replace_disk(std::move(own.mapped()));
  node.set_holds_foreign_disk(false);
  // What was to end meanwhile ended on the other one.
  node.disk().clear_faults();
  node.disk().set_capacity(std::nullopt);
}

// Sometimes nobody hears the first for a while, or it stands still: then the second is let in, and the first comes back.
bool Injector::start_twin(Node& node, const Fault& fault) {
  if (!node.is_serving() || have_twins_.contains(node.host()) || !atlas_.may_have_twin(node)) return false;
  Node& twin = cluster_.twin_of(node.id());
  auto& former = former_disks_[node.host()];
  auto disk = former && fault.b % 2 == 0 ? std::move(former) : twin.copy_of_disk(node);
  former = twin.copy_of_disk(node);
  twin.replace_disk(std::move(disk));
  have_twins_.insert(node.host());
  atlas_.begin_threat(node);  // what the twin acknowledges goes with it
  twin.start();
  const Duration length = 5s + 2 * fault.length;
  if (fault.c % 3 == 0) {
    std::vector<std::pair<Host, Host>> directions;
    for (const Host h : broker_hosts()) {
      if (h == node.host()) continue;
      directions.emplace_back(node.host(), h);
      directions.emplace_back(h, node.host());
    }
    cut(std::move(directions), length - 2s);
  } else if (fault.c % 3 == 1 && !node.is_paused()) {
    node.pause();
    after(length - 2s, [&node, lives = node.lives()] {
      if (node.lives() == lives) node.resume();
    });
  }
  after(length, [this, &node] {
    end_twin(node);
    kill(node, 100ms);
  });
  return true;
}

// Whoever finds two under one id stops both and starts the right one. (Those who heard the twin take the first for an
// earlier life of its metadata log, and listen to it again only when it comes back as another one: R21, R23.)
void Injector::end_twin(Node& node) {
  if (have_twins_.erase(node.host()) == 0) return;
  Node& twin = cluster_.twin_of(node.id());
  twin.die(Death::killed);
  twin.wipe();
  atlas_.end_threat(node);
}

void Injector::end_copies() {
  for (const auto& node : cluster_.nodes()) {
    give_own_disk_back(*node);
    if (!have_twins_.contains(node->host())) continue;
    end_twin(*node);
    node->die(Death::killed);
  }
}

}  // namespace sim
