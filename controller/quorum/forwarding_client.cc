#include "controller/quorum/forwarding_client.h"

#include <algorithm>
#include <map>

#include "controller/metadata/topics.h"

namespace controller::quorum {

using common::model::ErrorCode;
using common::model::TopicId;
using metadata::CreatePartitions;
using metadata::CreatePartitionsAnswer;
using metadata::CreateTopics;
using metadata::DeleteTopics;
using metadata::DeleteTopicsAnswer;
using metadata::Refused;

namespace {

constexpr auto retry_interval = std::chrono::milliseconds(10);
constexpr size_t former_ids_max = 16;

uint64_t mixed(uint64_t n) {  // splitmix64
  n += 0x9e3779b97f4a7c15;
  n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9;
  n = (n ^ (n >> 27)) * 0x94d049bb133111eb;
  return n ^ (n >> 31);
}

// The topic of the attempt before may be there, and is found by its id; it may be deleted, too, and a broker that was
// away meanwhile still have its records: they must not be taken for those of the next one.
void renew_ids(CreateTopics& request) {
  for (CreateTopics::Topic& topic : request.topics) {
    if (!topic.topic_id || topic.former_ids.size() == former_ids_max) continue;
    topic.former_ids.push_back(*topic.topic_id);
    topic.topic_id = common::model::random_uuid(mixed(topic.topic_id->high()), mixed(topic.topic_id->low()));
  }
}

// A change of voters, or the removal of a broker, whose answer was lost, asked for again: what it was to bring about is
// so.
void forgive_repetition(ControllerAnswer& answer) {
  if (auto* added = std::get_if<metadata::AddRaftVoterAnswer>(&answer); added != nullptr && added->is_voter)
    added->error = {ErrorCode::none, {}};
  auto* removed = std::get_if<metadata::RemoveRaftVoterAnswer>(&answer);
  if (removed != nullptr && removed->error.code == ErrorCode::voter_not_found) removed->error = {ErrorCode::none, {}};
  auto* unregistered = std::get_if<metadata::UnregisterBrokerAnswer>(&answer);
  if (unregistered != nullptr && unregistered->error.code == ErrorCode::broker_id_not_registered)
    unregistered->error = {ErrorCode::none, {}};
}

}  // namespace

// One call on its way, over as many controllers as it takes.
struct ForwardingClient::Attempt {
  ControllerRequest request;
  Instant deadline;
  RequestOrigin origin;
  std::function<void(ControllerAnswer)> done;
  // The node whose answer is waited for, and which time it is that somebody is asked: what comes late from one that was
  // given up does not count.
  std::optional<BrokerId> waits_for;
  uint64_t asked = 0;
  // An answer was lost, so what we ask for may have been done already.
  bool may_have_happened = false;
  // Topics to delete, named or given by id, as this broker knew them when it was asked. Once an answer is lost all go
  // by id: what a later attempt finds gone was deleted by an earlier one, and a topic that somebody made meanwhile
  // under the name is spared.
  std::map<std::string, TopicId> ids;
  std::map<TopicId, std::string> asked_by_id;
  bool finished = false;
  common::TimerHandle retry;
  common::TimerHandle timeout;
};

ForwardingClient::ForwardingClient(common::Shard& home, ControllerRuntime& runtime, ControllerLinks& links,
                                   BrokerId self, common::model::Random& random)
    : home_(home),
      runtime_(runtime),
      links_(links),
      self_(self),
      random_(random),
      alive_(std::make_shared<bool>(true)) {
  runtime_.when_leader_changes([this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) on_leader_change();
  });
}

// A timer holds its attempt, and so would not end with us.
ForwardingClient::~ForwardingClient() {
  for (const auto& attempt : unanswered_) {
    attempt->retry.cancel();
    attempt->timeout.cancel();
  }
}

common::Awaitable<ControllerAnswer> ForwardingClient::call(common::Shard& here, ControllerRequest request,
                                                           Instant deadline, RequestOrigin origin) {
  struct Waiting {
    explicit Waiting(common::Shard& shard) : answered(shard) {}
    ControllerAnswer answer;
    common::Event answered;
  };
  auto waiting = std::make_shared<Waiting>(here);
  // The answer is written on `here`, where the caller reads it.
  std::function<void(ControllerAnswer)> done = [waiting, &here](ControllerAnswer answer) {
    here.post([waiting, answer = std::move(answer)]() mutable {
      waiting->answer = std::move(answer);
      waiting->answered.set();
    });
  };
  home_.post(
      [this, request = std::move(request), deadline, origin = std::move(origin), done = std::move(done)]() mutable {
        ask(std::move(request), deadline, std::move(origin), std::move(done));
      });
  co_await common::until(waiting->answered);
  co_return std::move(waiting->answer);
}

void ForwardingClient::ask(ControllerRequest request, Instant deadline, RequestOrigin origin,
                           std::function<void(ControllerAnswer)> done) {
  auto attempt = std::make_shared<Attempt>();
  choose_topic_ids(request);
  if (const auto* remove = std::get_if<DeleteTopics>(&request)) {
    for (const DeleteTopics::Topic& topic : remove->topics) {
      const metadata::TopicImage* known = metadata::topic_to_delete(*runtime_.image(), *remove, topic);
      if (known != nullptr) attempt->ids.emplace(known->name, known->id);
    }
  }
  attempt->request = std::move(request);
  attempt->deadline = deadline;
  attempt->origin = std::move(origin);
  attempt->done = std::move(done);
  attempt->timeout = home_.call_at(deadline, [this, attempt] {
    Reply reply;
    reply.answer =
        Refused{{ErrorCode::request_timed_out, "the controller did not answer in time"}, attempt->may_have_happened};
    finish(attempt, std::move(reply));
  });
  unanswered_.insert(attempt);
  start(attempt);
}

// One that is paused, or cut off, does not even refuse.
void ForwardingClient::on_leader_change() {
  const auto leader = runtime_.leader();
  if (!leader) return;
  const auto unanswered = unanswered_;
  for (const auto& attempt : unanswered) {
    if (attempt->waits_for && attempt->waits_for != leader) on_lost(attempt);
  }
}

void ForwardingClient::choose_topic_ids(ControllerRequest& request) {
  auto* create = std::get_if<CreateTopics>(&request);
  if (create == nullptr) return;
  for (CreateTopics::Topic& topic : create->topics) {
    const uint64_t high = random_.next();
    if (!topic.topic_id) topic.topic_id = common::model::random_uuid(high, random_.next());
  }
}

void ForwardingClient::start(const std::shared_ptr<Attempt>& attempt) {
  const auto leader = runtime_.leader();
  if (!leader || (leader == self_ && !runtime_.active())) return again_later(attempt);
  if (leader == self_) {
    return runtime_.handle(attempt->request, attempt->deadline,
                           [this, attempt, alive = std::weak_ptr(alive_)](Reply reply) {
                             if (!alive.expired()) on_reply(attempt, std::move(reply));
                           });
  }
  attempt->waits_for = leader;
  links_.call(*leader, attempt->request, attempt->origin, attempt->deadline,
              [this, attempt, asked = ++attempt->asked, alive = std::weak_ptr(alive_)](Result<Reply> reply) {
                if (alive.expired() || attempt->asked != asked) return;
                attempt->waits_for.reset();
                if (reply) return on_reply(attempt, std::move(*reply));
                on_lost(attempt);
              });
}

// Nobody knows whether the request was carried out.
void ForwardingClient::on_lost(const std::shared_ptr<Attempt>& attempt) {
  if (attempt->finished) return;
  attempt->may_have_happened = true;
  attempt->waits_for.reset();
  ++attempt->asked;
  if (auto* request = std::get_if<CreateTopics>(&attempt->request)) renew_ids(*request);
  if (auto* request = std::get_if<DeleteTopics>(&attempt->request)) {
    for (const auto& [name, id] : attempt->ids) attempt->asked_by_id.emplace(id, name);
    for (DeleteTopics::Topic& topic : request->topics) {
      const auto known = topic.name ? attempt->ids.find(*topic.name) : attempt->ids.end();
      if (known == attempt->ids.end()) continue;
      topic.topic_id = known->second;
      topic.name.reset();
    }
  }
  again_later(attempt);
}

void ForwardingClient::again_later(const std::shared_ptr<Attempt>& attempt) {
  attempt->retry = home_.call_at(home_.now() + retry_interval, [this, attempt] {
    if (!attempt->finished) start(attempt);
  });
}

void ForwardingClient::on_reply(const std::shared_ptr<Attempt>& attempt, Reply reply) {
  if (attempt->finished) return;
  if (const auto* refused = std::get_if<Refused>(&reply.answer);
      refused && refused->error.code == ErrorCode::not_controller) {
    return refused->may_have_happened ? on_lost(attempt) : again_later(attempt);
  }
  if (auto* deleted = std::get_if<DeleteTopicsAnswer>(&reply.answer)) {
    for (DeleteTopicsAnswer::Topic& topic : deleted->topics) {
      const auto asked = attempt->asked_by_id.find(topic.topic_id);
      if (asked == attempt->asked_by_id.end()) continue;
      topic.name = asked->second;
      if (topic.error.code == ErrorCode::unknown_topic_id) topic.error = {ErrorCode::none, {}};
    }
  }
  if (auto* grown = std::get_if<CreatePartitionsAnswer>(&reply.answer); grown && attempt->may_have_happened) {
    const auto& asked = std::get<CreatePartitions>(attempt->request).topics;
    for (size_t i = 0; i < std::min(asked.size(), grown->topics.size()); ++i) {
      const metadata::TopicImage* topic = runtime_.image()->topic_by_name(asked[i].name);
      const bool there = topic != nullptr && topic->partition_count() == asked[i].count;
      if (there && grown->topics[i].error.code == ErrorCode::invalid_partitions)
        grown->topics[i].error = {ErrorCode::none, {}};
    }
  }
  if (attempt->may_have_happened) forgive_repetition(reply.answer);
  if (!reply.committed_at) return finish(attempt, std::move(reply));
  // The asker must see what it did.
  const common::model::LogIndex index = *reply.committed_at;
  runtime_.when_applied(index, attempt->deadline,
                        [this, attempt, reply = std::move(reply)](bool) mutable { finish(attempt, std::move(reply)); });
}

void ForwardingClient::finish(const std::shared_ptr<Attempt>& attempt, Reply reply) {
  if (std::exchange(attempt->finished, true)) return;
  unanswered_.erase(attempt);
  attempt->retry.cancel();
  attempt->timeout.cancel();
  attempt->done(std::move(reply.answer));
}

}  // namespace controller::quorum
