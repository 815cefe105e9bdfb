// From an opened or empty directory to a running node: whose directory it is, whether its promises can be kept, first
// start with the other nodes (formation.h), and the parts put together.
#include <algorithm>

#include "common/disk/durable_directory.h"
#include "common/model/mutant.h"
#include "controller/quorum/raft_disk.h"
#include "controller/quorum/raft_driver.h"

namespace controller::quorum {

using common::Awaitable;
using common::model::ErrorCode;
using common::model::fail;
using common::model::mutant;

namespace {

constexpr auto ask_timeout = std::chrono::milliseconds(500);
constexpr auto ask_interval = std::chrono::milliseconds(50);
constexpr const char* lost_marker = "/state-lost";

struct Round {
  explicit Round(common::Shard& shard) : done(shard) {}
  std::vector<std::optional<PeerAnswer>> answers;
  size_t waiting = 0;
  common::Event done;
};

Awaitable<void> ask_one(RaftWire& wire, raft::Endpoint endpoint, size_t slot, std::shared_ptr<Round> round) {
  round->answers[slot] = co_await wire.identify(std::move(endpoint), ask_timeout);
  if (--round->waiting == 0) round->done.set();
}

}  // namespace

void RaftDriver::start(std::function<void(Result<QuorumIdentity>)> ready) {
  shard_.post([this, ready = std::move(ready)]() mutable {
    ready_ = std::move(ready);
    starting_ = true;
    shard_.spawn("raft start", run_start_to_end(*this));
  });
}

Awaitable<void> RaftDriver::run_start_to_end(RaftDriver& self) {
  const std::weak_ptr<bool> alive(self.alive_);
  co_await run_start(self);
  if (alive.expired()) co_return;
  self.starting_ = false;
  if (auto ended = std::exchange(self.on_start_end_, nullptr)) ended();
}

Awaitable<void> RaftDriver::run_start(RaftDriver& self) {
  const std::weak_ptr<bool> alive(self.alive_);
  const auto refuse = [&](const common::model::Error& error) {
    std::exchange(self.ready_, nullptr)(tl::unexpected(error));
  };
  if (auto loaded = self.load_properties(); !loaded) {
    refuse(loaded.error());
    co_return;
  }
  if (self.properties_.state != FormationState::formed) {
    const Result<void> formed = co_await self.form();
    if (alive.expired() || self.stopping_) co_return;
    if (!formed) {
      refuse(formed.error());
      co_return;
    }
  }
  auto restored = co_await self.open_storage();
  if (alive.expired() || self.stopping_) co_return;
  if (!restored) {
    refuse(restored.error());
    co_return;
  }
  const bool knows_voters = restored->snapshot || !restored->entries.empty();
  if (!knows_voters) co_await self.find_someone();
  if (alive.expired() || self.stopping_) co_return;
  self.begin(*std::move(restored));
}

// Whose directory is this?
Result<void> RaftDriver::load_properties() {
  if (auto made = common::disk::create_directories_durably(disk_, directory_); !made)
    return common::disk::storage_error(made.error());
  auto found = read_properties(disk_, directory_);
  if (!found && found.error().code != ErrorCode::corrupt_message) return tl::unexpected(found.error());
  if (!found) return begin_anew(found.error().message);  // cannot even say who voted here
  const auto lost = disk_.read_file(directory_ + lost_marker, 4096);
  // R76: a marker that cannot be read may say that what lies here must not vote.
  if (!lost && lost.error().fault != common::disk::IoFault::not_found &&
      !mutant<"R20-votes-beside-an-unreadable-marker">())
    return common::disk::storage_error(lost.error());
  if (lost && *found) {
    properties_ = **found;
    return begin_anew(std::string(lost->text()));
  }
  if (!*found) {
    QuorumProperties fresh;
    fresh.key = {options_.node_id, common::model::random_uuid(random_.next(), random_.next())};
    return store_properties(std::move(fresh));
  }
  properties_ = **found;
  stored_properties_ = properties_;
  was_formed_ = properties_.state == FormationState::formed;
  if (properties_.key.id != options_.node_id)
    return fail(ErrorCode::invalid_config, fmt::format("{} belongs to node {}, but node.id is {}", directory_,
                                                       properties_.key.id, options_.node_id));
  if (properties_.state != FormationState::empty && options_.cluster_id &&
      *options_.cluster_id != properties_.cluster_id)
    return fail(ErrorCode::inconsistent_cluster_id, fmt::format("{} belongs to cluster {}, not to {}", directory_,
                                                                properties_.cluster_id, *options_.cluster_id));
  publish();
  return {};
}

Result<void> RaftDriver::store_properties(QuorumProperties properties) {
  if (auto stored = write_properties(disk_, directory_, properties); !stored) return stored;
  properties_ = std::move(properties);
  stored_properties_ = properties_;
  publish();
  return {};
}

// Nothing is written where it is there already: a full disk does not keep a member from starting (R81).
Result<void> RaftDriver::confirm_properties() {
  if (stored_properties_ != properties_) return store_properties(properties_);
  if (auto synced = disk_.sync_directory(directory_); !synced) return common::disk::storage_error(synced.error());
  return {};
}

// R4, R20, R21: what was promised here cannot be kept, so nobody must think that we still promise it. The new life has
// another directory id, is an observer, and asks the cluster for everything.
Result<void> RaftDriver::begin_anew(const std::string& why) {
  auto kept = set_lost_state_aside(disk_, directory_);
  if (!kept) return tl::unexpected(kept.error());
  logger_.error("the metadata log cannot be trusted: {}. It was set aside as {}; this node rejoins as an observer", why,
                *kept);
  if (const auto removed = remove_spare_former_lives(disk_, directory_); !removed) {
    logger_.warn("former metadata logs stay: {}", removed.error().message);
  } else {
    for (const std::string& path : *removed)
      logger_.warn("{} is deleted: of many that were set aside the first and the newest are kept", path);
  }
  QuorumProperties fresh;
  fresh.key = {options_.node_id, common::model::random_uuid(random_.next(), random_.next())};
  if (properties_.state == FormationState::formed) {
    fresh.state = FormationState::formed;
    fresh.cluster_id = properties_.cluster_id;
  }
  was_formed_ = false;
  return store_properties(std::move(fresh));
}

void RaftDriver::publish() {
  const raft::VoterSet& voters = node_ && !node_->voters().empty() ? node_->voters() : properties_.first_voters;
  wire_.set_answer(
      {properties_.key, options_.endpoint, {}, true, properties_.state, properties_.cluster_id, voters});
}

// First start with the others; returns once the directory belongs to a cluster.
Awaitable<Result<void>> RaftDriver::form() {
  const std::weak_ptr<bool> alive(alive_);
  FormationInput input;
  input.own_endpoint = options_.endpoint;
  input.configured = options_.voters;
  input.wanted_cluster_id = options_.cluster_id;
  input.must_join = options_.data_directories_have_cluster;
  input.random_cluster_id = common::model::random_uuid(random_.next(), random_.next()).to_string();
  std::string awaited;
  for (;;) {
    const auto answers = co_await ask_peers();
    if (alive.expired() || stopping_) co_return Result<void>();
    input.own = properties_;
    FormationStep step = decide_formation(input, answers);
    if (const auto* wait = std::get_if<KeepWaiting>(&step)) {
      if (std::exchange(awaited, wait->what) != wait->what) logger_.info("first start: waiting for {}", wait->what);
      co_await common::until(stop_, shard_.now() + ask_interval);
      if (alive.expired() || stopping_) co_return Result<void>();
    } else if (auto* accept = std::get_if<AcceptProposal>(&step)) {
      logger_.info("first start: cluster {} with {} voters accepted", accept->properties.cluster_id,
                   accept->properties.first_voters.size());
      if (auto stored = store_properties(std::move(accept->properties)); !stored) co_return stored;
    } else if (auto* member = std::get_if<BeMember>(&step)) {
      logger_.info("member of cluster {}", member->properties.cluster_id);
      properties_ = std::move(member->properties);  // on disk once the log is
      co_return Result<void>();
    } else {
      co_return fail(ErrorCode::inconsistent_cluster_id, std::get<GiveUp>(step).reason);
    }
  }
}

Awaitable<std::vector<std::optional<PeerAnswer>>> RaftDriver::ask_peers() {
  const std::weak_ptr<bool> alive(alive_);
  const auto round = std::make_shared<Round>(shard_);
  round->answers.resize(options_.voters.size());
  for (size_t i = 0; i < options_.voters.size(); ++i) {
    const ConfiguredPeer& peer = options_.voters[i];
    if (peer.id == options_.node_id) {
      round->answers[i] = PeerAnswer{properties_.key,        peer.endpoint,           {}, true, properties_.state,
                                     properties_.cluster_id, properties_.first_voters};
      continue;
    }
    ++round->waiting;
    shard_.spawn("raft identify", ask_one(wire_, peer.endpoint, i, round));
  }
  while (round->waiting > 0) co_await common::until(round->done);
  if (!alive.expired()) {
    for (const auto& answer : round->answers) {
      if (!answer) continue;
      answering_peers_[answer->key.id] = answer->endpoint;
      for (const raft::Voter& voter : answer->voters.voters())
        answering_peers_.try_emplace(voter.key.id, voter.endpoint);
    }
  }
  co_return round->answers;
}

// An observer whose log is empty knows no voters: it needs an id behind one of the configured addresses.
Awaitable<void> RaftDriver::find_someone() {
  const std::weak_ptr<bool> alive(alive_);
  const auto has_id = [](const ConfiguredPeer& peer) { return peer.id.has_value(); };
  if (!options_.voters.empty() && std::all_of(options_.voters.begin(), options_.voters.end(), has_id)) co_return;
  while (answering_peers_.empty()) {
    co_await ask_peers();
    if (alive.expired() || stopping_) co_return;
    if (answering_peers_.empty()) co_await common::until(stop_, shard_.now() + ask_interval);
    if (alive.expired() || stopping_) co_return;
  }
}

Awaitable<Result<raft::RestoredState>> RaftDriver::open_storage() {
  const std::weak_ptr<bool> alive(alive_);
  for (int attempt = 0;; ++attempt) {
    RaftDisk::Environment environment;
    environment.disk = &disk_;
    environment.clock = &shard_.clock();
    environment.logger = logger_;
    environment.after = [this](common::Duration delay, std::function<void()> f) {
      auto timer = std::make_shared<common::TimerHandle>();
      *timer = shard_.call_at(shard_.now() + delay, [timer, f = std::move(f)] { f(); });
    };
    const raft::VoterSet first =
        properties_.first_voters.contains(properties_.key) ? properties_.first_voters : raft::VoterSet();
    auto opened = RaftDisk::open(std::move(environment), directory_, was_formed_, first);
    if (!opened) co_return tl::unexpected(opened.error());
    if (opened->lost) {
      if (attempt > 0) co_return fail(ErrorCode::kafka_storage_error, *opened->lost);
      if (auto fresh = begin_anew(*opened->lost); !fresh) co_return tl::unexpected(fresh.error());
      continue;
    }
    struct Finished {
      explicit Finished(common::Shard& shard) : done(shard) {}
      Result<void> result;
      common::Event done;
    };
    const auto finished = std::make_shared<Finished>(shard_);
    opened->storage->finish_open([finished](Result<void> result) {
      finished->result = std::move(result);
      finished->done.set();
    });
    storage_ = std::move(opened->storage);
    co_await common::until(finished->done);
    if (alive.expired()) co_return fail(ErrorCode::kafka_storage_error, "stopped");
    if (!finished->result) co_return tl::unexpected(finished->result.error());
    // Last: from now on a missing vote is a forgotten one.
    if (auto stored = confirm_properties(); !stored) co_return tl::unexpected(stored.error());
    co_return std::move(opened->restored);
  }
}

void RaftDriver::begin(raft::RestoredState restored) {
  const TransportIdentity identity{properties_.key, properties_.cluster_id, options_.endpoint, storage_->starts()};
  transport_ = std::make_unique<PeerTransport>(shard_, wire_, identity, logger_, options_.links);
  raft::Config config = options_.raft;
  config.self = properties_.key;
  for (const ConfiguredPeer& peer : options_.voters)
    if (peer.id) config.bootstrap_peers.push_back(*peer.id);
  for (const auto& [id, endpoint] : answering_peers_) config.bootstrap_peers.push_back(id);
  snapshot_at_ = shard_.now();
  node_ = std::make_unique<raft::Node>(std::move(config), std::move(restored), random_, shard_.now());
  listen_to_storage();
  listen_to_transport();
  // What the log says comes before the configuration (R112).
  learn_addresses(node_->voters());
  add_fallbacks();
  publish();
  std::exchange(ready_,
                nullptr)(QuorumIdentity{properties_.cluster_id, cluster_uuid(properties_.cluster_id), properties_.key});
  carry_out(node_->start(shard_.now()));
  look_for_leader();
}

void RaftDriver::listen_to_storage() {
  storage_->listen({
      .on_durable =
          [this](raft::PersistToken token, std::optional<raft::Snapshot> installed) {
            if (!node_) return;
            if (installed) node_->on_snapshot_installed(*std::move(installed));
            carry_out(node_->on_durable(token, shard_.now()));
          },
      .on_hard_state_durable =
          [this](raft::PersistToken token) {
            if (node_) carry_out(node_->on_hard_state_durable(token, shard_.now()));
          },
      .on_stalled =
          [this] {
            // A full disk here must not hold the cluster: another leads (R81).
            if (is_leader()) transfer_leadership(std::nullopt, [](const Result<void>&) {});
          },
      .on_failed =
          [this](const std::string& reason) {
            if (!node_) return;
            carry_out(node_->halt(reason, shard_.now()));
            listener_.on_halted(reason);
          },
  });
}

void RaftDriver::listen_to_transport() {
  transport_->listen({
      .on_message =
          [this](const raft::Message& message) {
            if (node_) carry_out(node_->on_message(message, shard_.now()));
          },
      .on_connected =
          [this](BrokerId peer) {
            if (node_) carry_out(node_->on_peer_connected(peer, shard_.now()));
          },
      .on_gone =
          [this](BrokerId peer) {
            if (node_) carry_out(node_->on_peer_gone(peer, shard_.now()));
          },
      .on_older_image =
          [this](BrokerId peer) {
            if (node_) carry_out(node_->on_older_image(peer, shard_.now()));
          },
      .on_endpoint = [](BrokerId, const raft::Endpoint&) {},
  });
}

// Where voters may be found too: whoever answered while this one looked for its quorum, and what the file says. A peer
// without an id may be any of them.
void RaftDriver::add_fallbacks() {
  for (const auto& [id, endpoint] : answering_peers_) transport_->add_fallback(id, endpoint);
  for (const ConfiguredPeer& peer : options_.voters) {
    if (peer.id) transport_->add_fallback(*peer.id, peer.endpoint);
    if (peer.id) continue;
    for (const raft::Voter& voter : node_->voters().voters()) transport_->add_fallback(voter.key.id, peer.endpoint);
  }
}

}  // namespace controller::quorum
