#include "controller/quorum/voter_changes.h"

#include <algorithm>

#include "common/model/address_text.h"

namespace controller::quorum {

using common::model::DirectoryId;
using common::model::Error;
using common::model::ErrorCode;
using metadata::AddRaftVoter;
using metadata::AddRaftVoterAnswer;
using metadata::RemoveRaftVoter;
using metadata::RemoveRaftVoterAnswer;

namespace {

constexpr auto retry_interval = std::chrono::milliseconds(50);
// What could not be done may be possible a little later; nobody waits for it.
constexpr auto upkeep_interval = std::chrono::milliseconds(500);

// Before whoever asked gives up, so that it hears the reason.
Instant last_attempt(Instant now, Instant deadline) {
  const auto time = std::max<common::Duration>(deadline - now, common::Duration::zero());
  return deadline - std::min<common::Duration>(time / 4, std::chrono::milliseconds(500));
}

std::map<BrokerId, raft::Endpoint> registered_endpoints(const metadata::MetadataImage& image) {
  std::map<BrokerId, raft::Endpoint> endpoints;
  for (const auto& [id, broker] : image.brokers())
    endpoints.emplace(id, raft::Endpoint{broker->cluster_endpoint.host, broker->cluster_endpoint.port});
  return endpoints;
}

}  // namespace

struct VoterChanges::Waiting {
  Instant until;
  Done done;
  std::function<void(Callback)> change;  // proposes it
  std::function<ControllerAnswer(Error)> answer;
  common::TimerHandle retry;
};

VoterChanges::VoterChanges(common::Shard& shard, Raft& raft, common::Logger log)
    : shard_(shard), raft_(raft), log_(std::move(log)), alive_(std::make_shared<bool>(true)) {}

VoterChanges::~VoterChanges() = default;

void VoterChanges::stop() {
  alive_.reset();
  for (const auto& waiting : std::exchange(waiting_, {})) {
    waiting->retry.cancel();
    Reply reply;
    // What was proposed may yet commit under the next leader.
    reply.answer =
        metadata::Refused{{ErrorCode::not_controller, "this broker is no longer the active controller"}, true};
    waiting->done(std::move(reply));
  }
}

// ---- by request ----

void VoterChanges::add(const AddRaftVoter& request, const metadata::MetadataImage& image, Instant deadline, Done done) {
  const auto* broker = image.broker(request.broker_id);
  std::optional<metadata::ClusterEndpoint> endpoint = request.endpoint;
  if (broker != nullptr) endpoint = broker->cluster_endpoint;
  if (!endpoint) {
    Reply reply;
    reply.answer = AddRaftVoterAnswer{
        {ErrorCode::invalid_request,
         fmt::format("broker {} has not registered, and the request does not say where it is", request.broker_id)}};
    return done(std::move(reply));
  }
  const auto directories = broker != nullptr ? broker->directories : std::vector<DirectoryId>();
  auto waiting = std::make_shared<Waiting>();
  waiting->until = last_attempt(shard_.now(), deadline);
  waiting->done = std::move(done);
  waiting->change = [this, request, directories, endpoint = raft::Endpoint{endpoint->host, endpoint->port}](
                        Callback f) { raft_.add_voter({key_of(request, directories), endpoint, {}}, std::move(f)); };
  waiting->answer = [this, request, directories](Error error) -> ControllerAnswer {
    return AddRaftVoterAnswer{std::move(error), raft_.describe().voters.contains(key_of(request, directories))};
  };
  begin(std::move(waiting));
}

void VoterChanges::remove(const RemoveRaftVoter& request, Instant deadline, Done done) {
  auto waiting = std::make_shared<Waiting>();
  waiting->until = last_attempt(shard_.now(), deadline);
  waiting->done = std::move(done);
  waiting->change = [this, key = raft::NodeKey{request.broker_id, request.directory_id}](Callback f) {
    raft_.remove_voter(key, raft::Afterwards::stays_out, std::move(f));
  };
  waiting->answer = [](Error error) -> ControllerAnswer { return RemoveRaftVoterAnswer{std::move(error)}; };
  begin(std::move(waiting));
}

// Kafka's tools name a directory by the meta.properties that they find in it, which is a data directory's where the
// metadata log lies among the data.
raft::NodeKey VoterChanges::key_of(const AddRaftVoter& request, const std::vector<DirectoryId>& registered) const {
  const raft::NodeKey asked{request.broker_id, request.directory_id};
  if (std::find(registered.begin(), registered.end(), request.directory_id) == registered.end()) return asked;
  const raft::QuorumStatus status = raft_.describe();
  const raft::ReplicaStatus* newest = nullptr;
  for (const raft::ReplicaStatus& replica : status.replicas) {
    if (replica.key.id == asked.id && (newest == nullptr || replica.last_contact > newest->last_contact))
      newest = &replica;
  }
  return newest != nullptr ? newest->key : asked;
}

void VoterChanges::begin(std::shared_ptr<Waiting> waiting) {
  waiting_.push_back(waiting);
  attempt(waiting);
}

void VoterChanges::attempt(const std::shared_ptr<Waiting>& waiting) {
  waiting->change([this, alive = std::weak_ptr(alive_), waiting](const Result<void>& outcome) {
    if (!alive.expired()) on_outcome(waiting, outcome);
  });
}

void VoterChanges::on_outcome(const std::shared_ptr<Waiting>& waiting, const Result<void>& outcome) {
  // Raft says so of what may be possible later, without having begun it.
  if (!outcome && outcome.error().code == ErrorCode::request_timed_out && shard_.now() < waiting->until) {
    waiting->retry = shard_.call_at(shard_.now() + retry_interval, [this, alive = std::weak_ptr(alive_), waiting] {
      if (!alive.expired()) attempt(waiting);
    });
    return;
  }
  waiting_.remove(waiting);
  Reply reply;
  if (!outcome && outcome.error().code == ErrorCode::not_controller) {
    reply.answer = metadata::Refused{outcome.error(), true};
  } else {
    reply.answer = waiting->answer(outcome ? Error{ErrorCode::none, {}} : outcome.error());
  }
  waiting->done(std::move(reply));
}

// ---- by itself ----

void VoterChanges::on_tick(const metadata::MetadataImage& image) {
  const Instant now = shard_.now();
  if (upkeep_in_flight_ || (next_upkeep_ && now < *next_upkeep_)) return;
  next_upkeep_ = now + upkeep_interval;
  if (const auto upkeep = raft::decide_upkeep(raft_.describe(), registered_endpoints(image), now)) carry_out(*upkeep);
}

void VoterChanges::carry_out(const raft::Upkeep& upkeep) {
  upkeep_in_flight_ = true;
  const auto done = [this, alive = std::weak_ptr(alive_)](std::string what) {
    return [this, alive, what = std::move(what)](const Result<void>& outcome) {
      if (alive.expired()) return;
      upkeep_in_flight_ = false;
      if (outcome) return log_.info("{}", what);
      if (outcome.error().code == ErrorCode::request_timed_out) return;
      if (std::exchange(upkeep_refused_, outcome.error().message) != outcome.error().message)
        log_.warn("not yet: {}: {}", what, outcome.error().message);
    };
  };
  if (const auto* lost = std::get_if<raft::ReplaceLostVoter>(&upkeep)) {
    raft_.remove_voter(lost->former, raft::Afterwards::returns,
                       done(fmt::format("voter {} lost its disk: its former directory votes no more", lost->former)));
  } else if (const auto* add = std::get_if<raft::AddAwaitedVoter>(&upkeep)) {
    raft_.add_voter(add->voter, done(fmt::format("broker {} votes again, from its new disk", add->voter.key)));
  } else if (const auto* move = std::get_if<raft::MoveVoter>(&upkeep)) {
    raft_.update_voter(move->key, move->endpoint,
                       done(fmt::format("voter {} is at {} now", move->key,
                                        common::model::address_text(move->endpoint.host, move->endpoint.port))));
  }
}

}  // namespace controller::quorum
