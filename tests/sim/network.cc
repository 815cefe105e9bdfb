#include "sim/network.h"

#include <algorithm>

namespace sim {

using common::net::ProbeResult;

// ---- connections ----

Pipe::Pipe(Network& network, Host from, std::shared_ptr<Process> opener_process, Host to) : network_(network) {
  ends_[opener].host = from;
  ends_[opener].process = std::move(opener_process);
  ends_[acceptor].host = to;
}

bool Pipe::can_reach(Side from) const {
  return !network_.is_blocked(ends_[from].host, ends_[1 - from].host);
}

void Pipe::send(Side from, std::function<void()> deliver_it) {
  End& end = ends_[from];
  const Side to = static_cast<Side>(1 - from);
  if (end.closed) return;
  ++network_.messages_;
  if (ends_[to].silent_death) {
    // The machine is off, or back and knows nothing of this connection.
    if (!network_.machine(ends_[to].host).has_power || !can_reach(from)) return;
    return tell_closed(from);
  }
  if (!end.held.empty() || !can_reach(from)) {
    end.held.push_back(std::move(deliver_it));
    return;
  }
  deliver(to, std::move(deliver_it));
}

void Pipe::deliver(Side to, std::function<void()> f) {
  End& end = ends_[to];
  World& world = network_.world();
  const Instant when = std::max(end.last_delivery, world.now() + network_.delay(ends_[1 - to].host, end.host));
  end.last_delivery = when;
  if (!end.process) return;
  world.at(when, end.process.get(), [self = shared_from_this(), to, f = std::move(f)] {
    if (!self->ends_[to].closed) f();
  });
}

void Pipe::close(Side from) {
  if (ends_[from].closed) return;
  const Side to = static_cast<Side>(1 - from);
  send(from, [this, to] {
    if (std::exchange(ends_[to].closed, true)) return;
    if (const auto f = std::exchange(ends_[to].closed_callback, nullptr)) f();
  });
  ends_[from].closed = true;
  ends_[from].closed_callback = nullptr;
}

// That side learns that the connection is dead, a moment later.
void Pipe::tell_closed(Side side) {
  End& end = ends_[side];
  if (end.closed || !end.process) return;
  network_.world().after(network_.delay(end.host, end.host), end.process.get(), [self = shared_from_this(), side] {
    End& told = self->ends_[side];
    if (std::exchange(told.closed, true)) return;
    if (const auto f = std::exchange(told.closed_callback, nullptr)) f();
  });
}

void Pipe::reset() {
  for (const Side side : {opener, acceptor}) {
    ends_[side].held.clear();
    tell_closed(side);
  }
}

void Pipe::flush(Side from) {
  for (auto& f : std::exchange(ends_[from].held, {})) deliver(static_cast<Side>(1 - from), std::move(f));
}

// ---- the network ----

Network::Network(World& world, NetworkOptions options)
    : world_(world), options_(options), random_(world.seed(), "network") {}

Duration Network::delay(Host from, Host to) {
  Duration d = random_.between(options_.delay_min, options_.delay_max);
  if (options_.slow_chance > 0 && random_.chance(options_.slow_chance)) d += random_.between(Duration(0), options_.slow_max);
  if (!extra_.empty()) {
    if (const auto found = extra_.find({from, to}); found != extra_.end()) d += random_.between(Duration(0), found->second);
  }
  return d;
}

void Network::connect(Host from, std::shared_ptr<Process> from_process, Host to, Accept accept, Connected connected) {
  const auto pipe = std::make_shared<Pipe>(*this, from, from_process, to);
  Process* const opener = from_process.get();
  const auto over = std::make_shared<bool>(false);
  const Duration patience = world_.rarely(Rare::failed_connects) ? options_.delay_min : options_.connect_timeout;
  world_.after(patience, opener, [over, connected, pipe] {
    if (std::exchange(*over, true)) return;
    pipe->close(Pipe::opener);  // the other side may have accepted it
    connected(ProbeResult::no_answer, nullptr);
  });
  const auto answer = [this, opener, over, connected, from, to](ProbeResult result, std::shared_ptr<Pipe> made) {
    if (is_blocked(to, from)) return;
    const Instant when = world_.now() + delay(to, from);
    if (made) made->ends_[Pipe::opener].last_delivery = when;  // nothing that is sent there overtakes it
    world_.at(when, opener, [over, connected, result, made] {
      if (std::exchange(*over, true)) {
        if (made) made->close(Pipe::opener);
        return;
      }
      connected(result, made);
    });
  };
  if (is_blocked(from, to)) return;
  world_.after(delay(from, to), nullptr, [this, pipe, from, to, answer, accept = std::move(accept)] {
    const Machine& there = machine(to);
    if (!there.has_power || !pipe->is_open(Pipe::opener) || !pipe->ends_[Pipe::opener].process->is_alive()) return;
    if (answer_to_syn(from, to) == ProbeResult::refused) return answer(ProbeResult::refused, nullptr);
    pipe->ends_[Pipe::acceptor].process = there.listener;
    pipes_.push_back(pipe);
    prune();
    // The kernel accepts also for a process that is stopped.
    world_.at(world_.now(), there.listener.get(), [pipe, accept] { accept(pipe); });
    answer(ProbeResult::connected, pipe);
  });
}

void Network::probe(Host from, std::shared_ptr<Process> from_process, Host to, Duration timeout,
                    std::function<void(ProbeResult)> done) {
  Process* const opener = from_process.get();
  const auto over = std::make_shared<bool>(false);
  world_.after(timeout, opener, [over, done] {
    if (!std::exchange(*over, true)) done(ProbeResult::no_answer);
  });
  if (is_blocked(from, to)) return;
  world_.after(delay(from, to), nullptr, [this, held = std::weak_ptr(from_process), over, done, from, to] {
    const Machine& there = machine(to);
    const auto opener = held.lock();
    if (!opener || !opener->is_alive() || !there.has_power || is_blocked(to, from)) return;
    world_.after(delay(to, from), opener.get(), [over, done, result = answer_to_syn(from, to)] {
      if (!std::exchange(*over, true)) done(result);
    });
  });
}

ProbeResult Network::answer_to_syn(Host from, Host to) {
  const Machine& there = machine(to);
  const bool listens = there.listener && there.listener->is_alive();
  return listens && !refused_.contains({from, to}) ? ProbeResult::connected : ProbeResult::refused;
}

void Network::prune() {
  if (pipes_.size() < prune_at_) return;
  std::erase_if(pipes_, [](const auto& weak) {
    const auto pipe = weak.lock();
    return !pipe || (!pipe->is_open(Pipe::opener) && !pipe->is_open(Pipe::acceptor));
  });
  prune_at_ = std::max<size_t>(64, pipes_.size() * 2);
}

void Network::block(Host from, Host to) {
  ++blocked_[{from, to}];
}

void Network::unblock(Host from, Host to) {
  const auto found = blocked_.find({from, to});
  if (found == blocked_.end() || --found->second > 0) return;
  blocked_.erase(found);
  open_or_close(from, to);
}

// What was held in that direction goes on its way.
void Network::open_or_close(Host from, Host to) {
  for (const auto& weak : std::vector(pipes_)) {
    const auto pipe = weak.lock();
    if (!pipe) continue;
    for (const Pipe::Side side : {Pipe::opener, Pipe::acceptor}) {
      if (pipe->ends_[side].host == from && pipe->ends_[1 - side].host == to) pipe->flush(side);
    }
  }
}

void Network::accept_again(Host from, Host to) {
  const auto found = refused_.find({from, to});
  if (found != refused_.end() && --found->second <= 0) refused_.erase(found);
}

void Network::heal() {
  extra_.clear();
  refused_.clear();
  for (const auto& [direction, count] : std::exchange(blocked_, {})) open_or_close(direction.first, direction.second);
}

void Network::set_extra_delay(Host from, Host to, Duration extra) {
  if (extra == Duration(0)) {
    extra_.erase({from, to});
  } else {
    extra_[{from, to}] = extra;
  }
}

int Network::reset(Host a, Host b) {
  int count = 0;
  for (const auto& weak : std::vector(pipes_)) {
    const auto pipe = weak.lock();
    if (!pipe || !pipe->is_open(Pipe::opener)) continue;
    const Host x = pipe->ends_[0].host;
    const Host y = pipe->ends_[1].host;
    const bool matches = (a < 0 || x == a || y == a) && (b < 0 || x == b || y == b);
    if (!matches) continue;
    pipe->reset();
    ++count;
  }
  return count;
}

void Network::process_ended(const Process* process, bool has_power) {
  for (const auto& weak : std::vector(pipes_)) {
    const auto pipe = weak.lock();
    if (!pipe) continue;
    for (const Pipe::Side side : {Pipe::opener, Pipe::acceptor}) {
      Pipe::End& end = pipe->ends_[side];
      if (end.process.get() != process) continue;
      end.closed_callback = nullptr;
      if (has_power) {
        pipe->close(side);
      } else {
        end.held.clear();
        end.silent_death = true;
        end.closed = true;
      }
      end.process.reset();
    }
  }
}

}  // namespace sim
