#include "controller/quorum/broker_session.h"

#include <algorithm>

#include "common/model/mutant.h"
#include "controller/quorum/session_server.h"

namespace controller::quorum {

using common::model::ErrorCode;
using common::model::mutant;
using metadata::BrokerHeartbeat;
using metadata::BrokerHeartbeatAnswer;
using metadata::RegisterBroker;
using metadata::RegisterBrokerAnswer;

namespace {

// Sooner there is a new one most times; the controller fences no sooner for a lost one alone (lost_stream_timeout).
constexpr std::chrono::milliseconds lost_session_grace{150};

// Retrying cannot help.
bool is_final(ErrorCode code) {
  return code == ErrorCode::inconsistent_cluster_id || code == ErrorCode::invalid_registration ||
         code == ErrorCode::unsupported_version;
}

}  // namespace

// The session of a broker with the controller in its own process: the same messages, posted instead of sent.
class BrokerSession::OwnPort final : public SessionPort {
 public:
  OwnPort(common::Shard& shard, BrokerSession& session, std::weak_ptr<bool> alive)
      : shard_(shard), session_(session), alive_(std::move(alive)) {}
  void send(uint64_t sequence, SessionDown message) override {
    shard_.post([this, alive = alive_, sequence, message = std::move(message)]() mutable {
      if (!alive.expired()) session_.on_down(sequence, std::move(message));
    });
  }
  void close() override {
    shard_.post([this, alive = alive_] {
      if (!alive.expired()) session_.on_closed("closed");
    });
  }

 private:
  common::Shard& shard_;
  BrokerSession& session_;
  std::weak_ptr<bool> alive_;  // of the stream
};

class BrokerSession::OwnStream final : public SessionStream {
 public:
  OwnStream(common::Shard& shard, SessionServer& server, BrokerSession& session)
      : shard_(shard), server_(server), alive_(std::make_shared<bool>(true)) {
    port_ = std::make_shared<OwnPort>(shard, session, alive_);
    session_ = server.open(port_);
  }
  ~OwnStream() override {
    alive_.reset();
    // The port lives on in the closure until nobody can be using it. The server may end with the session, before its turn.
    shard_.post([&server = server_, alive = server_.alive(), session = session_, port = port_] {
      if (!alive.expired()) server.on_closed(session);
    });
  }
  void send(uint64_t sequence, SessionUp message) override {
    shard_.post([this, alive = std::weak_ptr(alive_), sequence, message = std::move(message)]() mutable {
      if (!alive.expired()) server_.on_message(session_, sequence, std::move(message));
    });
  }

 private:
  common::Shard& shard_;
  SessionServer& server_;
  std::shared_ptr<bool> alive_;
  std::shared_ptr<OwnPort> port_;
  SessionServer::Session session_ = 0;
};

BrokerSession::BrokerSession(common::Shard& shard, ControllerRuntime& runtime, SessionServer& own_server,
                             ControllerLinks& links, SessionOptions options, SessionHooks hooks, common::Logger log)
    : shard_(shard),
      runtime_(runtime),
      own_server_(own_server),
      links_(links),
      options_(std::move(options)),
      hooks_(std::move(hooks)),
      log_(std::move(log)),
      confirmation_(shard.now(), options_.session_timeout),
      heartbeat_interval_(options_.heartbeat_interval),
      confirmed_at_(shard.now().time_since_epoch().count()),
      alive_(std::make_shared<bool>(true)) {}

BrokerSession::~BrokerSession() = default;

void BrokerSession::start() {
  runtime_.when_leader_changes([this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) on_leader_change();
  });
  runtime_.when_applied_moves([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    confirmation_.on_applied(runtime_.publisher().applied(), shard_.now());
    note_confirmation();
    heartbeat_soon();
  });
  connect();
  on_heartbeat_timer();
}

common::Duration BrokerSession::unconfirmed() const {
  const int64_t confirmed = confirmed_at_.load(std::memory_order_acquire);
  return confirmed == never ? common::Duration::max() : shard_.clock().now() - Instant{common::Duration(confirmed)};
}

bool BrokerSession::isolated() const {
  return unconfirmed() > options_.session_timeout;
}

bool BrokerSession::has_lost_session() const {
  const int64_t lost = lost_at_.load(std::memory_order_acquire);
  return lost != never && shard_.clock().now() - Instant{common::Duration(lost)} > lost_session_grace;
}

void BrokerSession::note_confirmation() {
  const auto at = confirmation_.confirmed_at();
  is_behind_.store(confirmation_.stalled_since().has_value(), std::memory_order_release);
  confirmed_at_.store(at ? at->time_since_epoch().count() : never, std::memory_order_release);
}

// ---- finding the controller ----

void BrokerSession::on_leader_change() {
  const auto leader = runtime_.leader();
  if (controller_ == options_.broker_id && !runtime_.active()) {
    // The controller in our own process went on answering us for as long as it did not notice that a majority had left.
    confirmation_.on_doubt();
    note_confirmation();
  }
  if (stream_ && leader == controller_) return;
  if (!leader) return;  // stay where we are until somebody else leads: a hint may be wrong
  disconnect();
  connect();
}

void BrokerSession::connect() {
  if (stream_) return;
  const auto leader = runtime_.leader();
  const Uuid cluster = hooks_.cluster_id();
  if (!leader || cluster.is_zero() || (leader == options_.broker_id && !runtime_.active())) {
    return connect_later(options_.retry_interval);
  }
  controller_ = leader;
  sequence_ = 0;
  if (leader == options_.broker_id) {
    stream_ = std::make_unique<OwnStream>(shard_, own_server_, *this);
  } else {
    SessionEvents events;
    events.on_message = [this](uint64_t sequence, SessionDown message) { on_down(sequence, std::move(message)); };
    events.on_closed = [this](const std::string& why) { on_closed(why); };
    stream_ = links_.open_session(*leader, std::move(events));
  }
  SessionHello hello;
  hello.cluster_id = cluster;
  hello.broker_id = options_.broker_id;
  hello.incarnation_id = options_.incarnation_id;
  hello.to_node = *leader;
  send(hello);
  asked_at_ = shard_.now();
}

void BrokerSession::connect_later(common::Duration delay) {
  connect_timer_ = shard_.call_at(shard_.now() + delay, [this] { connect(); });
}

void BrokerSession::disconnect() {
  if (welcomed_) lost_at_.store(shard_.now().time_since_epoch().count(), std::memory_order_release);
  stream_.reset();
  controller_.reset();
  welcomed_ = registering_ = false;
  unanswered_.clear();
  asked_at_.reset();
  eager_.reset();
  eager_again_ = false;
  told_log_ends_.clear();
}

void BrokerSession::on_closed(const std::string& why) {
  if (welcomed_) {
    log_.info("session with controller {} ended: {}", controller_ ? controller_->value : -1, why);
  } else if (why != last_trouble_) {
    log_.debug("no session with controller {}: {}", controller_ ? controller_->value : -1, why);
    last_trouble_ = why;
  }
  disconnect();
  connect_later(options_.retry_interval);
}

// ---- messages ----

void BrokerSession::send(SessionUp message) {
  NARU_CHECK(stream_ != nullptr);
  stream_->send(++sequence_, std::move(message));
}

void BrokerSession::on_down(uint64_t sequence, SessionDown message) {
  if (!stream_) return;
  std::visit([&](const auto& m) { on(m, sequence); }, message);
}

void BrokerSession::on(const SessionWelcome& m, uint64_t) {
  welcomed_ = true;
  lost_at_.store(never, std::memory_order_release);
  asked_at_.reset();
  last_trouble_.clear();
  trouble_is_news_ = true;
  follow_pace_of(m.session_timeout);
  if (epoch()) {
    send_heartbeat();  // the new controller wants to know at once that we live
  } else {
    register_broker();
  }
}

void BrokerSession::on(const SessionRefused& m, uint64_t) {
  // Our metadata says that we are of this cluster, and so is the leader that we have heard of: somebody else listens
  // where it was. The next address may be the right one; only the controller itself can refuse our registration.
  const Uuid& ours = runtime_.image()->cluster_id();
  const bool is_elsewhere = m.error.code == ErrorCode::inconsistent_cluster_id && !welcomed_ && !ours.is_zero() &&
                            ours == hooks_.cluster_id();
  if (is_final(m.error.code) && !is_elsewhere && hooks_.on_rejected) hooks_.on_rejected(m.error.message);
  on_closed(m.error.message);
}

void BrokerSession::register_broker() {
  if (registering_) return;
  registering_ = true;
  RegisterBroker r;
  r.broker_id = options_.broker_id;
  r.cluster_id = hooks_.cluster_id();
  r.incarnation_id = options_.incarnation_id;
  r.directories = options_.directories;
  r.listeners = options_.listeners;
  r.cluster_endpoint = options_.cluster_endpoint;
  r.rack = options_.rack;
  r.features = {{metadata::metadata_version_feature, {1, metadata::metadata_version_latest}}};
  r.previous_broker_epoch = last_epoch_ ? last_epoch_ : options_.previous_broker_epoch;
  if (!last_epoch_ && damaged_logs_ && !mutant<"R72-keeps-its-claim-after-rot">()) r.previous_broker_epoch.reset();
  send(std::move(r));
  asked_at_ = shard_.now();
}

void BrokerSession::on(const RegisterBrokerAnswer& m, uint64_t) {
  registering_ = false;
  asked_at_.reset();
  if (m.error.code == ErrorCode::none) {
    last_epoch_ = m.broker_epoch;
    epoch_.store(m.broker_epoch.value, std::memory_order_release);
    trouble_is_news_ = true;
    log_.info("registered with controller {}, epoch {}", controller_->value, m.broker_epoch);
    if (hooks_.on_registered) hooks_.on_registered(m.broker_epoch);
    return heartbeat_soon();
  }
  if (is_final(m.error.code)) {
    log_.error("the controller refuses this broker: {}", m.error.message);
    if (hooks_.on_rejected) hooks_.on_rejected(m.error.message);
    return;
  }
  if (m.error.message != last_trouble_) log_.warn("not registered yet: {}", m.error.message);
  last_trouble_ = m.error.message;
  connect_timer_ = shard_.call_at(shard_.now() + options_.heartbeat_interval, [this] {
    if (welcomed_ && !epoch()) register_broker();
  });
}

void BrokerSession::on(const BrokerHeartbeatAnswer& m, uint64_t sequence) {
  if (const auto sent = unanswered_.find(sequence); sent != unanswered_.end()) {
    const auto applied = runtime_.publisher().applied();
    // Without an offset the controller itself cannot tell whether it still is one.
    if (m.error == ErrorCode::none && m.metadata_offset) {
      // Fenced, and the records that say so are still to come: others lead already.
      if (m.fenced && applied < m.metadata_offset) confirmation_.on_doubt();
      confirmation_.on_answer(sent->second, *m.metadata_offset, applied, shard_.now());
    }
    unanswered_.erase(unanswered_.begin(), std::next(sent));
  }
  if (m.error != ErrorCode::none) confirmation_.on_doubt();
  note_confirmation();
  if (m.error != ErrorCode::none) {  // R30: stale; somebody replaced or removed us
    log_.warn("heartbeat refused with {}: registering again", m.error);
    epoch_.store(-1, std::memory_order_release);
    in_service_.store(false, std::memory_order_release);
    return register_broker();
  }
  const bool was = in_service_.exchange(!m.fenced, std::memory_order_acq_rel);
  if (was == m.fenced) log_.info("{}", m.fenced ? "fenced by the controller" : "in service");
  if (m.may_shut_down && on_shutdown_) end_shutdown(true);
  answer_queries(m.log_end_queries);
  if (eager_ == sequence) {
    eager_.reset();
    if (eager_again_) heartbeat_soon();
  }
}

void BrokerSession::answer_queries(const std::vector<metadata::LogEndQuery>& queries) {
  if (queries.empty() || asking_log_ends_ || !hooks_.log_ends) return;
  const auto applied = runtime_.publisher().applied();
  std::vector<metadata::LogEndQuery> ready;
  for (const auto& q : queries) {
    if (applied && *applied >= q.metadata_offset) ready.push_back(q);
  }
  if (ready.empty()) return;
  asking_log_ends_ = true;
  hooks_.log_ends(std::move(ready), [this, alive = std::weak_ptr(alive_)](std::vector<metadata::LogEnd> ends) {
    if (alive.expired()) return;
    asking_log_ends_ = false;
    // The controller goes on asking until the last broker that it waits for has answered: what it knows already can
    // wait for the next heartbeat in turn, or the two would keep each other busy until then.
    const bool is_news = ends != told_log_ends_;
    log_ends_ = told_log_ends_ = std::move(ends);
    if (is_news) heartbeat_soon();
  });
}

// ---- heartbeats ----

// Its file may say another session timeout than ours: who beats more slowly than that is fenced for ever and ever.
void BrokerSession::follow_pace_of(common::Duration controllers_timeout) {
  const common::Duration before = std::exchange(heartbeat_interval_, options_.heartbeat_interval);
  if (controllers_timeout > common::Duration::zero() && 2 * heartbeat_interval_ > controllers_timeout)
    heartbeat_interval_ = controllers_timeout / 4;
  if (heartbeat_interval_ == before) return;
  const auto in_ms = [](common::Duration d) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
  };
  if (heartbeat_interval_ != options_.heartbeat_interval) {
    log_.warn(
        "broker.heartbeat.interval.ms={} does not go with broker.session.timeout.ms={} of the controller: a heartbeat "
        "every {} ms",
        in_ms(options_.heartbeat_interval), in_ms(controllers_timeout), in_ms(heartbeat_interval_));
  }
  heartbeat_timer_ = shard_.call_at(shard_.now() + heartbeat_interval_, [this] { on_heartbeat_timer(); });
}

void BrokerSession::on_heartbeat_timer() {
  // While shutting down, the answer is what everybody waits for: clients that were told of new leaders before all
  // brokers had heard of them wait until this one is gone. Most times that is a matter of milliseconds.
  auto interval = heartbeat_interval_;
  if (on_shutdown_) interval = std::exchange(shutdown_pace_, std::min(2 * shutdown_pace_, heartbeat_interval_ / 5));
  heartbeat_timer_ = shard_.call_at(shard_.now() + interval, [this] { on_heartbeat_timer(); });
  if (hooks_.on_turn) hooks_.on_turn(unconfirmed());
  // A stream on which nothing is answered may be half-open: try a fresh one.
  const Instant oldest =
      std::min(unanswered_.empty() ? shard_.now() : unanswered_.begin()->second, asked_at_.value_or(shard_.now()));
  if (shard_.now() - oldest > options_.session_timeout / 2) return on_closed("nothing is answered");
  send_heartbeat();
}

void BrokerSession::heartbeat_soon() {
  if (!welcomed_ || !epoch()) return;
  if (eager_) {
    eager_again_ = true;
    return;
  }
  eager_again_ = false;
  send_heartbeat();
  eager_ = sequence_;
}

void BrokerSession::send_heartbeat() {
  const auto current = epoch();
  if (!stream_ || !welcomed_ || !current) return;
  BrokerHeartbeat h;
  h.broker_id = options_.broker_id;
  h.broker_epoch = *current;
  h.metadata_offset = runtime_.publisher().applied();
  h.ready = ready_;
  h.want_fence = want_fence_;
  h.want_shutdown = on_shutdown_ != nullptr;
  if (hooks_.progress) h.progress = hooks_.progress();
  if (const auto since = confirmation_.stalled_since())
    h.progress.apply_stalled = std::chrono::duration_cast<std::chrono::milliseconds>(shard_.now() - *since);
  h.log_ends = std::exchange(log_ends_, {});
  if (std::exchange(trouble_is_news_, false)) h.trouble = trouble_;
  send(std::move(h));
  unanswered_.emplace(sequence_, shard_.now());
}

void BrokerSession::set_ready() {
  ready_ = true;
  heartbeat_soon();
}

void BrokerSession::ask_to_be_fenced() {
  want_fence_ = true;
  heartbeat_soon();
}

void BrokerSession::set_trouble(metadata::ReplicaTrouble trouble) {
  if (trouble == trouble_) return;
  trouble_ = std::move(trouble);
  trouble_is_news_ = true;
  heartbeat_soon();
}

void BrokerSession::report_lost(BrokerId id) {
  const metadata::BrokerImage* broker = runtime_.image()->broker(id);
  if (welcomed_ && broker != nullptr) send(Witness{id, broker->epoch});
}

void BrokerSession::shut_down(Instant deadline, std::function<void(bool)> done) {
  on_shutdown_ = std::move(done);
  if (!mutant<"R31-waits-for-ever-to-go">())
    shutdown_timer_ = shard_.call_at(deadline, [this] { end_shutdown(false); });
  shutdown_pace_ = std::min<common::Duration>(first_shutdown_pace, heartbeat_interval_ / 5);
  on_heartbeat_timer();
}

void BrokerSession::end_shutdown(bool in_good_order) {
  shutdown_timer_.cancel();
  if (auto done = std::exchange(on_shutdown_, nullptr)) done(in_good_order);
}

}  // namespace controller::quorum
