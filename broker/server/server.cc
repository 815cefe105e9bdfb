#include "broker/server/server.h"

#include <unistd.h>

#include <future>
#include <unordered_map>
#include <unordered_set>

#include "common/model/address_text.h"
#include "common/model/mutant.h"

namespace broker::server {

using namespace std::chrono_literals;
using common::model::mutant;
using common::model::Result;

struct Server::PerShard {
  PerShard(common::Shard& on, uint64_t request_memory, uint64_t response_memory, Dispatch how)
      : shard(on),
        budget(std::make_shared<MemoryBudget>(on, request_memory)),
        responses(std::make_shared<ResponseBudget>(on, response_memory)),
        dispatch(std::move(how)) {}
  common::Shard& shard;
  std::shared_ptr<MemoryBudget> budget;
  std::shared_ptr<ResponseBudget> responses;
  std::shared_ptr<SoftwareTable> software = std::make_shared<SoftwareTable>();
  Dispatch dispatch;
  std::unordered_set<std::shared_ptr<Connection>> connections;
  common::TimerHandle sweep;
  common::RateLimit bad_client_line{10s};
};

struct Server::Listener {
  ListenerSpec spec;
  std::unique_ptr<common::net::Acceptor> acceptor;
  std::unique_ptr<common::Event> connection_closed;  // descriptors may be free again
  size_t next_shard = 0;
  // On the first shard, where accepting happens.
  std::unordered_map<std::string, uint32_t> per_ip;
  uint32_t open = 0;
  // For who looks from elsewhere.
  std::atomic<uint64_t> connected{0};
  std::atomic<uint64_t> accepted{0};
};

Server::Server(std::vector<common::Shard*> shards, ServerLimits limits, std::vector<Dispatch> dispatch,
               common::Logger log)
    : shards_(std::move(shards)), limits_(std::move(limits)), counts_(limits_.counts), log_(std::move(log)) {
  NARU_CHECK(!shards_.empty() && shards_.size() == dispatch.size());
  for (size_t i = 0; i < shards_.size(); ++i) {
    per_shard_.push_back(std::make_unique<PerShard>(*shards_[i], limits_.request_memory_bytes / shards_.size(),
                                                    limits_.response_memory_bytes / shards_.size(),
                                                    std::move(dispatch[i])));
  }
}

Server::~Server() {
  stop();
}

Result<void> Server::listen(const std::vector<ListenerSpec>& listeners) {
  for (const ListenerSpec& spec : listeners) {
    auto acceptor = common::net::Acceptor::listen(*shards_.front(), spec.host, spec.port, limits_.listen);
    if (!acceptor) return tl::unexpected(acceptor.error());
    auto listener = std::make_unique<Listener>();
    listener->spec = spec;
    listener->acceptor = std::move(*acceptor);
    listener->connection_closed = std::make_unique<common::Event>(*shards_.front());
    listeners_.push_back(std::move(listener));
  }
  return {};
}

uint16_t Server::port(const std::string& name) const {
  for (const auto& listener : listeners_) {
    if (listener->spec.name == name) return listener->acceptor->port();
  }
  return 0;
}

void Server::start() {
  for (const auto& listener : listeners_) shards_.front()->spawn("accept", accept_loop(*this, *listener));
  for (const auto& part : per_shard_) {
    part->shard.post([this, part = part.get()] {
      // One timer a shard watches all its connections.
      struct Sweep {
        static void arm(Server& server, PerShard& on) {
          on.sweep = on.shard.call_at(on.shard.now() + 1s, [&server, &on] {
            if (server.stopping_) return;
            const auto now = on.shard.now();
            const auto all = on.connections;  // closing one changes the set
            for (const auto& connection : all) connection->check_deadlines(now);
            arm(server, on);
          });
        }
      };
      Sweep::arm(*this, *part);
    });
  }
}

void Server::set_connection_counts(ConnectionCounts counts) {
  shards_.front()->post([this, counts = std::move(counts)]() mutable { counts_ = std::move(counts); });
}

Awaitable<void> Server::accept_loop(Server& server, Listener& listener) {
  common::Shard& shard = *server.shards_.front();
  common::RateLimit exhausted_line(10s);
  while (!server.stopping_) {
    common::net::Acceptor::Accepted accepted = co_await listener.acceptor->accept();
    if (accepted.failure == common::net::AcceptFailure::closed) co_return;
    if (accepted.failure == common::net::AcceptFailure::descriptors_exhausted) {
      if (exhausted_line.ask(shard.now()).allowed) {
        server.log_.error("listener {}: cannot take a connection, out of descriptors or buffers; accepting pauses",
                          listener.spec.name);
      }
      // Goes on when one of ours closes; the deadline is for descriptors that others hold.
      co_await common::until(*listener.connection_closed, shard.now() + 1s);
      continue;
    }
    server.hand_over(listener, std::move(accepted));
  }
}

const char* Server::bound_reached(const Listener& listener, const std::string& ip, uint32_t from_ip) const {
  if (open_ >= counts_.in_all) return "max.connections, or the descriptor limit";
  const auto own = counts_.of_listener.find(listener.spec.name);
  if (own != counts_.of_listener.end() && listener.open >= own->second) return "this listener's max.connections";
  const auto single = counts_.of_single.find(ip);
  const uint32_t from_ip_max = single != counts_.of_single.end() ? single->second : counts_.per_ip;
  return from_ip >= from_ip_max ? "max.connections.per.ip" : nullptr;
}

void Server::hand_over(Listener& listener, common::net::Acceptor::Accepted accepted) {
  const std::string ip = accepted.peer.host;
  uint32_t& from_ip = listener.per_ip[ip];
  const char* const bound = bound_reached(listener, ip, from_ip);
  if (bound != nullptr && !mutant<"R111-takes-any-number-of-connections">()) {
    ++refused_;
    if (refused_line_.ask(shards_.front()->now()).allowed) {
      log_.warn("listener {}: {} connections are open, {} of them here, {} from {}: no more are taken ({})",
                listener.spec.name, open_.load(), listener.open, from_ip, ip, bound);
    }
    if (from_ip == 0) listener.per_ip.erase(ip);
    ::close(accepted.descriptor);
    return;
  }
  ++from_ip;
  ++listener.open;
  ++open_;
  ++accepted_;
  ++listener.connected;
  ++listener.accepted;
  PerShard& part = *per_shard_[listener.next_shard++ % per_shard_.size()];
  part.shard.post([this, &part, &listener, accepted, ip] {
    common::net::Socket socket(part.shard, accepted.descriptor);
    ConnectionInfo info{.id = next_id_++,
                        .listener = listener.spec.name,
                        .peer = socket.peer(),
                        .local = socket.local(),
                        .software = std::make_shared<ClientSoftware>(part.software, listener.spec.name)};
    auto on_closed = [this, &part, &listener, ip](Connection& connection, const std::string& why) {
      if (!why.empty()) {
        if (const auto grant = part.bad_client_line.ask(part.shard.now()); grant.allowed) {
          log_.warn("closed the connection of {} on {}: {}{}",
                    common::model::address_text(connection.info().peer.host, connection.info().peer.port),
                    listener.spec.name, why,
                    grant.suppressed > 0 ? fmt::format(" ({} such lines left out)", grant.suppressed) : "");
        }
      }
      part.connections.erase(connection.shared_from_this());
      shards_.front()->post([&listener, ip] {
        if (const auto it = listener.per_ip.find(ip); it != listener.per_ip.end() && --it->second == 0)
          listener.per_ip.erase(it);
        --listener.open;
        listener.connection_closed->pulse();
      });
      --listener.connected;
      --open_;  // after that: where none is open, none is counted for long
    };
    auto connection = std::make_shared<Connection>(part.shard, std::move(socket), std::move(info), limits_.connection,
                                                   part.budget, part.responses, part.dispatch, std::move(on_closed));
    part.connections.insert(connection);
    connection->start();
    if (stopping_) connection->close("");
  });
}

void Server::stop() {
  if (stopping_.exchange(true)) return;
  const auto run_on = [](common::Shard& shard, const std::function<void()>& f) {
    std::promise<void> done;
    shard.post([&] {
      f();
      done.set_value();
    });
    done.get_future().wait();
  };
  run_on(*shards_.front(), [this] {
    for (const auto& listener : listeners_) listener->acceptor->close();
  });
  for (const auto& part : per_shard_) {
    run_on(part->shard, [&part] {
      part->sweep.cancel();
      const auto all = part->connections;
      for (const auto& connection : all) connection->close("");
    });
  }
}

const SoftwareTable& Server::software(size_t shard) const {
  return *per_shard_[shard]->software;
}

uint64_t Server::request_bytes_held(size_t shard) const {
  return per_shard_[shard]->budget->used();
}

ServerStats Server::stats() const {
  ServerStats stats{.connections = open_, .accepted = accepted_, .refused = refused_, .listeners = {}};
  for (const auto& listener : listeners_)
    stats.listeners.push_back({listener->spec.name, listener->connected, listener->accepted});
  return stats;
}

}  // namespace broker::server
