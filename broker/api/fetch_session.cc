#include "broker/api/fetch_session.h"

#include <algorithm>
#include <utility>

#include "broker/api/long_names.h"
#include "common/model/check.h"

namespace broker::api {

using common::model::ErrorCode;
using common::model::Instant;

namespace {

constexpr int32_t no_session_epoch = -1;
constexpr int32_t new_session_epoch = 0;

// Sessions are bounded in partitions, so each must be small: no topic has a longer name, and who asks for one is
// answered without a session.
bool may_be_kept(const FetchTarget& target) {
  return !is_too_long_for_a_topic(target.topic->name);
}

}  // namespace

int32_t fetch_epoch_after(int32_t epoch) {
  return epoch == INT32_MAX ? 1 : epoch + 1;
}

size_t FetchSessionCache::KeyHash::operator()(const Key& key) const {
  const size_t topic = key.topic->name.empty() ? std::hash<common::model::TopicId>{}(key.topic->id)
                                               : std::hash<std::string>{}(key.topic->name);
  return topic * 31 + static_cast<size_t>(static_cast<uint32_t>(key.partition));
}

FetchPlan FetchSessionCache::begin(FetchAsk ask, Instant now) {
  FetchPlan plan;
  plan.naming = ask.naming;
  if (ask.session_epoch == no_session_epoch || ask.session_epoch == new_session_epoch) {
    if (ask.session_id != 0) drop(ask.session_id);
    plan.wants_session = ask.session_epoch == new_session_epoch;
    plan.targets = std::move(ask.targets);
    return plan;
  }
  const auto found = sessions_.find(ask.session_id);
  if (found == sessions_.end()) {
    plan.error = ErrorCode::fetch_session_id_not_found;
    return plan;
  }
  Session& session = *found->second;
  if (session.next_epoch != ask.session_epoch) {
    plan.error = ErrorCode::invalid_fetch_session_epoch;
    return plan;
  }
  if (session.naming != ask.naming) {
    plan.error = ErrorCode::fetch_session_topic_id_error;
    return plan;
  }
  const int32_t id = ask.session_id;
  if (!update(session, std::move(ask))) {
    // No room for what it adds: the client starts over with a full fetch.
    drop(id);
    plan.error = ErrorCode::fetch_session_id_not_found;
    return plan;
  }
  for (const Cached& cached : session.order) plan.targets.push_back(cached.target);
  if (session.order.empty()) {
    drop(id);
    return plan;
  }
  session.next_epoch = fetch_epoch_after(session.next_epoch);
  session.last_used = now;
  plan.session_id = id;
  plan.next_epoch = session.next_epoch;
  return plan;
}

bool FetchSessionCache::update(Session& session, FetchAsk ask) {
  for (FetchTarget& target : ask.targets) {
    const auto known = session.by_key.find(Key{target.topic.get(), target.partition});
    if (known != session.by_key.end()) {
      // The key points at the topic that is cached: keep that one.
      target.topic = known->second->target.topic;
      known->second->target = std::move(target);
      continue;
    }
    if (partition_count_ >= limits_.partitions_max || !may_be_kept(target)) return false;
    const auto at = session.order.insert(session.order.end(), Cached{std::move(target), -1, -1});
    session.by_key.emplace(Key{at->target.topic.get(), at->target.partition}, at);
    ++partition_count_;
  }
  for (const ForgottenPartition& gone : ask.forgotten) forget(session, Key{gone.topic.get(), gone.partition});
  return true;
}

void FetchSessionCache::forget(Session& session, const Key& key) {
  const auto known = session.by_key.find(key);
  if (known == session.by_key.end()) return;
  const auto at = known->second;
  session.by_key.erase(known);
  session.order.erase(at);
  --partition_count_;
}

void FetchSessionCache::drop(int32_t session_id) {
  const auto found = sessions_.find(session_id);
  if (found == sessions_.end()) return;
  partition_count_ -= found->second->order.size();
  sessions_.erase(found);
}

bool FetchSessionCache::must_include(Cached& cached, const FetchFound& found) {
  const bool changed =
      found.high_watermark != cached.high_watermark || found.log_start_offset != cached.log_start_offset;
  cached.high_watermark = found.must_tell ? -1 : found.high_watermark;
  cached.log_start_offset = found.log_start_offset;
  return found.has_records || found.must_tell || changed;
}

FetchReply FetchSessionCache::finish(const FetchPlan& plan, const std::vector<FetchFound>& found, Instant now) {
  NARU_CHECK(found.size() == plan.targets.size(), "{} of {}", found.size(), plan.targets.size());
  if (!plan.session_id) return finish_full(plan, found, now);

  FetchReply reply;
  const auto at = sessions_.find(*plan.session_id);
  if (at == sessions_.end() || at->second->next_epoch != plan.next_epoch) {
    // Dropped, or a later request of this session overtook this one.
    reply.error =
        at == sessions_.end() ? ErrorCode::fetch_session_id_not_found : ErrorCode::invalid_fetch_session_epoch;
    return reply;
  }
  Session& session = *at->second;
  session.last_used = now;
  reply.session_id = *plan.session_id;
  reply.include.resize(found.size());
  for (size_t i = 0; i < found.size(); ++i) {
    const FetchTarget& target = plan.targets[i];
    const auto known = session.by_key.find(Key{target.topic.get(), target.partition});
    NARU_CHECK(known != session.by_key.end(), "a session changed without its epoch");
    reply.include[i] = must_include(*known->second, found[i]);
    if (found[i].has_records) session.order.splice(session.order.end(), session.order, known->second);
  }
  return reply;
}

FetchReply FetchSessionCache::finish_full(const FetchPlan& plan, const std::vector<FetchFound>& found, Instant now) {
  FetchReply reply;
  reply.include.assign(found.size(), true);
  if (!plan.wants_session || plan.targets.empty() || !std::ranges::all_of(plan.targets, may_be_kept)) return reply;
  if (!make_room(plan.targets.size(), now)) return reply;
  auto session = std::make_unique<Session>();
  session->naming = plan.naming;
  session->last_used = now;
  for (size_t i = 0; i < found.size(); ++i) {
    const FetchTarget& target = plan.targets[i];
    if (session->by_key.contains(Key{target.topic.get(), target.partition})) continue;
    const auto at = session->order.insert(session->order.end(), Cached{target, -1, -1});
    session->by_key.emplace(Key{at->target.topic.get(), at->target.partition}, at);
    (void)must_include(*at, found[i]);
  }
  partition_count_ += session->order.size();
  reply.session_id = unused_id();
  sessions_.emplace(reply.session_id, std::move(session));
  return reply;
}

bool FetchSessionCache::make_room(size_t partitions, Instant now) {
  while (sessions_.size() >= limits_.sessions_max || partition_count_ + partitions > limits_.partitions_max) {
    const auto oldest =
        std::ranges::min_element(sessions_, {}, [](const auto& entry) { return entry.second->last_used; });
    if (oldest == sessions_.end() || now - oldest->second->last_used < limits_.evictable_after) return false;
    drop(oldest->first);
  }
  return true;
}

int32_t FetchSessionCache::unused_id() {
  for (;;) {
    const auto id = static_cast<int32_t>(random_.next() & 0x7fffffff);
    if (id != 0 && !sessions_.contains(id)) return id;
  }
}

}  // namespace broker::api
