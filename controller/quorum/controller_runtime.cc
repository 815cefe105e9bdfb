#include "controller/quorum/controller_runtime.h"

#include <algorithm>
#include <set>

#include "common/model/mutant.h"
#include "controller/quorum/metadata_codec.h"

namespace controller::quorum {
namespace {

using common::model::Error;
using common::model::ErrorCode;
using common::model::mutant;
using metadata::Refused;

constexpr auto tick_interval = std::chrono::milliseconds(50);
// Beyond this many unanswered requests the controller says so instead of queueing.
constexpr size_t held_max = 10'000;

// What is refused may be done all the same, by a controller that comes after: who asked must know (`perhaps`) before it
// asks again.
enum class Happened { never, perhaps };

Reply refused(ErrorCode code, std::string message, Happened happened = Happened::never) {
  Reply reply;
  reply.answer = Refused{Error{code, std::move(message)}, happened == Happened::perhaps};
  return reply;
}
Reply not_controller(Happened happened = Happened::never) {
  return refused(ErrorCode::not_controller, "this broker is not the active controller", happened);
}

// Sessions must get through whatever else waits.
bool is_session_request(const ControllerRequest& request) {
  return std::holds_alternative<metadata::RegisterBroker>(request) ||
         std::holds_alternative<metadata::BrokerHeartbeat>(request);
}

// What keeps partitions going is small; an operator's request may be megabytes, and can come later.
bool is_by_client(const ControllerRequest& request) {
  return !is_session_request(request) && !std::holds_alternative<metadata::AlterPartition>(request) &&
         !std::holds_alternative<metadata::AllocateProducerIds>(request);
}

bool creates_partitions(const ControllerRequest& request) {
  return std::holds_alternative<metadata::CreateTopics>(request) ||
         std::holds_alternative<metadata::CreatePartitions>(request);
}

std::vector<std::string> topics_in(const ControllerAnswer& answer) {
  std::vector<std::string> names;
  const auto add = [&names](const auto& topics) {
    for (const auto& t : topics) {
      if (t.error.code == ErrorCode::none) names.push_back(t.name);
    }
  };
  if (const auto* created = std::get_if<metadata::CreateTopicsAnswer>(&answer)) add(created->topics);
  if (const auto* grown = std::get_if<metadata::CreatePartitionsAnswer>(&answer)) add(grown->topics);
  return names;
}

}  // namespace

ControllerRuntime::ControllerRuntime(common::Shard& shard, metadata::ControllerOptions options,
                                     const metadata::ConfigSchema& schema, common::model::Random& random,
                                     Prober& prober, common::Logger log, RuntimeHooks hooks)
    : shard_(shard),
      options_(std::move(options)),
      schema_(schema),
      random_(random),
      prober_(prober),
      log_(std::move(log)),
      hooks_(std::move(hooks)),
      publisher_(shard),
      alive_(std::make_shared<bool>(true)) {
  publisher_.when_applied_moves([this] {
    check_awaiting_image();
    for (const auto& f : applied_watchers_) f();
  });
}

ControllerRuntime::~ControllerRuntime() = default;

// ---- the committed log ----

void ControllerRuntime::publish(metadata::MetadataImage image, metadata::ImageDelta delta) {
  publisher_.publish(std::make_shared<const metadata::MetadataImage>(std::move(image)),
                     std::make_shared<const metadata::ImageDelta>(std::move(delta)));
}

void ControllerRuntime::on_committed(std::span<const raft::Entry> entries) {
  if (halted_ || entries.empty()) return;
  metadata::ImageEditor editor(*publisher_.image());
  for (const raft::Entry& entry : entries) {
    if (entry.kind == raft::EntryKind::data) {
      auto records = decode_records(entry.payload.view());
      if (!records)
        return halt(fmt::format("metadata entry {} cannot be read: {}", entry.index, records.error().message));
      for (const metadata::MetadataRecord& record : *records) {
        const auto applied = editor.apply(record, entry.index);
        if (!applied && mutant<"R18-skips-what-does-not-apply">()) continue;
        if (!applied)
          return halt(fmt::format("metadata entry {} does not apply: {}", entry.index, applied.error().message));
      }
    }
    editor.set_offset(entry.index);
  }
  metadata::MetadataImage image = editor.take_image();
  publish(std::move(image), editor.take_delta());
}

void ControllerRuntime::on_snapshot(Buffer state, LogIndex end) {
  if (halted_) return;
  auto image = decode_snapshot(state.view());
  if (!image)
    return halt(fmt::format("the metadata snapshot before {} cannot be read: {}", end, image.error().message));
  metadata::ImageDelta delta = metadata::difference(*publisher_.image(), *image);
  publish(std::move(*image), std::move(delta));
}

Buffer ControllerRuntime::make_snapshot() {
  return encode_snapshot(*publisher_.image());
}

void ControllerRuntime::on_halted(const std::string& reason) {
  halt(reason);
}

// R18: skipping a committed record would be divergence.
void ControllerRuntime::halt(const std::string& why) {
  if (halted_) return;
  halted_ = true;
  log_.error("the metadata log cannot be followed any further: {}", why);
  deactivate();
  hooks_.on_fatal(why);
}

// ---- leadership ----

void ControllerRuntime::on_leader_changed(std::optional<BrokerId> leader, Term term) {
  if (known_leader_ && known_leader_ != options_.node_id) previous_leader_ = known_leader_;
  if (leader && leader != known_leader_) log_.info("controller is broker {}, term {}", *leader, term);
  known_leader_ = leader;
  tell_leader_watchers();
}

void ControllerRuntime::on_leadership_gained(Term term, LogIndex start) {
  if (halted_) return;
  metadata::ActivationStart activation;
  activation.image = *publisher_.image();
  activation.next_index = start.next();
  activation.cluster_id = hooks_.cluster_id();
  activation.previous_controller = previous_leader_;
  state_ = std::make_unique<metadata::ControllerState>(options_, schema_, random_, std::move(activation), shard_.now());
  term_ = std::make_shared<bool>(true);
  voter_changes_ = std::make_unique<VoterChanges>(shard_, *raft_, log_);
  last_proposed_ = last_committed_ = start;
  log_.info("active controller since term {}, {} topics, {} brokers", term, image()->topic_names().size(),
            image()->brokers().size());
  submit(state_->bootstrap(), std::nullopt, nullptr);
  tick();
  tell_leader_watchers();
}

void ControllerRuntime::on_leadership_lost(Term term) {
  log_.info("no longer the active controller (term {})", term);
  if (!mutant<"R34-decides-after-it-was-deposed">()) deactivate();
  tell_leader_watchers();
}

// R16: what was not committed is forgotten, and who waited for it is told.
void ControllerRuntime::deactivate() {
  state_.reset();
  if (auto changes = std::exchange(voter_changes_, nullptr)) changes->stop();
  term_.reset();
  tick_timer_.cancel();
  auto held = std::exchange(held_, {});
  for (Held& h : held) {
    if (mutant<"R16-answers-what-was-not-committed">() && h.done) {
      h.done(std::move(h.reply));
      continue;
    }
    if (h.done) h.done(not_controller(h.has_records ? Happened::perhaps : Happened::never));
  }
  for (Deferred& d : std::exchange(deferred_, {})) d.done(not_controller());
  // These are committed; whether every leader has applied them is no longer ours to know.
  auto awaiting = std::exchange(awaiting_brokers_, {});
  for (AwaitingBrokers& a : awaiting) a.done(std::move(a.reply));
}

void ControllerRuntime::tell_leader_watchers() {
  for (const auto& f : leader_watchers_) f();
}

// ---- requests ----

void ControllerRuntime::handle(const ControllerRequest& request, Instant deadline, Done done) {
  if (!active()) return done(not_controller());
  if (std::holds_alternative<metadata::DescribeQuorum>(request)) {
    if (mutant<"R17-describes-without-asking">()) {
      Reply at_once = not_controller();
      at_once.answer = describe_quorum();
      return done(std::move(at_once));
    }
    // R17: only after a majority has confirmed that we still lead.
    return raft_->read_index(
        [this, alive = std::weak_ptr(alive_), done = std::move(done)](const Result<LogIndex>& confirmed) {
          if (alive.expired()) return;
          Reply reply = not_controller();
          if (confirmed) reply.answer = describe_quorum();
          done(std::move(reply));
        });
  }
  if (const auto* add = std::get_if<metadata::AddRaftVoter>(&request)) {
    return voter_changes_->add(*add, *image(), deadline, std::move(done));
  }
  if (const auto* remove = std::get_if<metadata::RemoveRaftVoter>(&request)) {
    return voter_changes_->remove(*remove, deadline, std::move(done));
  }
  if (held_.size() + deferred_.size() >= held_max && !is_session_request(request)) {
    return done(refused(ErrorCode::throttling_quota_exceeded, "the controller has too many requests waiting"));
  }
  // R10: nothing is decided during a hand-over. If it fails, this controller goes on where it was.
  const Room room = raft_->room();
  if (room == Room::none || !deferred_.empty()) return deferred_.push_back({request, deadline, std::move(done)});
  if (room == Room::scarce && is_by_client(request)) {
    return done(refused(ErrorCode::throttling_quota_exceeded, "too many metadata changes wait for a majority"));
  }
  decide(request, deadline, std::move(done));
}

void ControllerRuntime::decide(const ControllerRequest& request, Instant deadline, Done done) {
  const Instant begun = shard_.now();
  metadata::Decision decision = state_->handle(request, begun);
  ++measures_.requests;
  measures_.processing.observe(shard_.now() - begun);
  submit(std::move(decision), creates_partitions(request) ? std::optional(deadline) : std::nullopt, std::move(done));
  if (std::holds_alternative<metadata::BrokerHeartbeat>(request)) check_awaiting_brokers();
}

void ControllerRuntime::submit(metadata::Decision decision, std::optional<Instant> leaders_until, Done done) {
  Held held;
  held.has_records = !decision.records.empty();
  held.log = std::move(decision.log);
  held.done = std::move(done);
  held.reply.answer = std::move(decision.answer);
  if (held.has_records) {
    held.leaders_until = leaders_until;
    const auto index =
        raft_->propose(encode_records(decision.records), [this, term = std::weak_ptr(term_)](Result<LogIndex> r) {
          if (!term.expired()) on_proposal_done(std::move(r));
        });
    if (!index) {
      // The state machine has gone ahead of a log that did not take its records: it cannot go on in this term.
      log_.warn("the metadata log refused a batch: {}", index.error().message);
      if (held.done) held.done(not_controller());
      return give_up_leadership();
    }
    if (!active()) {  // deposed by what the proposal met at once: a disk that failed, a term that is over
      if (held.done) held.done(not_controller(Happened::perhaps));
      return;
    }
    NARU_CHECK(*index >= decision.index, "metadata batch at {} instead of {}", *index, decision.index);
    if (*index != decision.index) state_->set_next_index(index->next());  // a change of voters came in between
    last_proposed_ = *index;
    held.reply.committed_at = *index;
  }
  held.need = last_proposed_;
  if (held.need <= last_committed_ || mutant<"R16-answers-before-the-commit">()) return release(std::move(held));
  held_.push_back(std::move(held));
}

// To a successor if there is one; but a Raft leader without an active controller would be the end of all decisions, so
// it does not stay one.
void ControllerRuntime::give_up_leadership() {
  deactivate();
  raft_->transfer_leadership(std::nullopt, [this, alive = std::weak_ptr(alive_)](const Result<void>& ended) {
    if (ended || alive.expired()) return;
    shard_.post([this, alive] {  // apart from Raft's own turn
      if (!alive.expired() && !active()) raft_->resign("its controller gave up, and nobody took over from it");
    });
  });
}

void ControllerRuntime::on_proposal_done(Result<LogIndex> index) {
  if (!index) return;  // deposed: on_leadership_lost follows and fails all that is held
  last_committed_ = std::max(last_committed_, *index);
  release_committed();
}

void ControllerRuntime::release_committed() {
  while (!held_.empty() && held_.front().need <= last_committed_) {
    Held held = std::move(held_.front());
    held_.pop_front();
    release(std::move(held));
  }
}

// One request may change thousands of things.
void ControllerRuntime::log_changes(const std::vector<std::string>& lines) {
  constexpr size_t lines_max = 20;
  for (size_t i = 0; i < std::min(lines.size(), lines_max); ++i) log_.info("{}", lines[i]);
  if (lines.size() > lines_max) log_.info("... and {} more changes", lines.size() - lines_max);
}

void ControllerRuntime::release(Held held) {
  NARU_CHECK(held.need <= last_committed_, "R16: an answer that needs {} with {} committed", held.need,
             last_committed_);
  log_changes(held.log);
  if (!held.done) return;
  // R33: nobody may take it for a confirmation if others may have decided meanwhile: this process stood still, or hears
  // no majority.
  auto* beat = std::get_if<metadata::BrokerHeartbeatAnswer>(&held.reply.answer);
  if (beat != nullptr && (raft_->is_confirmed() || mutant<"R33-confirms-unconfirmed">()))
    beat->metadata_offset = held.need;
  if (!held.leaders_until) return held.done(std::move(held.reply));

  // The leaders of the topics in question, as far as they are in service.
  AwaitingBrokers waiting;
  waiting.index = held.need;
  waiting.until = *held.leaders_until;
  std::set<BrokerId> leaders;
  for (const std::string& name : topics_in(held.reply.answer)) {
    const metadata::TopicImage* topic = image()->topic_by_name(name);
    if (topic == nullptr) continue;
    for (const auto& [partition, state] : topic->partitions) {
      if (state->leader) leaders.insert(*state->leader);
    }
  }
  waiting.brokers.assign(leaders.begin(), leaders.end());
  waiting.reply = std::move(held.reply);
  waiting.done = std::move(held.done);
  awaiting_brokers_.push_back(std::move(waiting));
  check_awaiting_brokers();
}

void ControllerRuntime::check_awaiting_brokers() {
  if (awaiting_brokers_.empty() || !state_) return;
  std::vector<AwaitingBrokers> ready;
  const Instant now = shard_.now();
  std::erase_if(awaiting_brokers_, [&](AwaitingBrokers& a) {
    const bool all = std::all_of(a.brokers.begin(), a.brokers.end(), [&](BrokerId id) {
      const auto applied = state_->applied(id);
      return !state_->image().is_active(id) || (applied && *applied >= a.index);
    });
    if (!all && now < a.until) return false;
    if (!all) ++measures_.timed_out;
    ready.push_back(std::move(a));
    return true;
  });
  for (AwaitingBrokers& a : ready) a.done(std::move(a.reply));
}

void ControllerRuntime::when_applied(LogIndex index, Instant deadline, std::function<void(bool)> f) {
  awaiting_image_.push_back({index, deadline, std::move(f)});
  check_awaiting_image();
}

void ControllerRuntime::check_awaiting_image() {
  if (awaiting_image_.empty()) return;
  const auto applied = publisher_.applied();
  const Instant now = shard_.now();
  std::vector<std::pair<std::function<void(bool)>, bool>> ready;
  std::optional<Instant> next;
  std::erase_if(awaiting_image_, [&](AwaitingImage& a) {
    const bool reached = applied && *applied >= a.index;
    if (!reached && now < a.until) {
      next = next ? std::min(*next, a.until) : a.until;
      return false;
    }
    ready.emplace_back(std::move(a.f), reached);
    return true;
  });
  image_timer_ = next ? shard_.call_at(*next, [this] { check_awaiting_image(); }) : common::TimerHandle();
  for (auto& [f, reached] : ready) f(reached);
}

// ---- time and evidence ----

void ControllerRuntime::tick() {
  if (!active()) return;
  if (raft_->room() == Room::none) {
    check_awaiting_brokers();
    if (active()) arm_tick();
    return;
  }
  for (Deferred& d : std::exchange(deferred_, {})) {
    // Who was told that it timed out may have asked for something else since: a deletion that is carried out then takes
    // what has the name by now. Sessions have no deadline.
    if (is_by_client(d.request) && d.deadline <= shard_.now()) {
      d.done(refused(ErrorCode::request_timed_out, "the controller had no time for it"));
    } else {
      handle(d.request, d.deadline, std::move(d.done));
    }
  }
  if (!active()) return;
  for (metadata::Decision& decision : state_->on_tick(shard_.now())) {
    submit(std::move(decision), std::nullopt, nullptr);
    if (!active()) return;
  }
  check_awaiting_brokers();
  if (!active()) return;
  voter_changes_->on_tick(*image());
  if (!active()) return;
  start_probes();
  arm_tick();
}

void ControllerRuntime::arm_tick() {
  Instant next = shard_.now() + tick_interval;
  if (const auto deadline = state_->next_deadline())
    next = std::min(next, std::max(*deadline, shard_.now() + std::chrono::milliseconds(1)));
  tick_due_ = next;
  tick_timer_ = shard_.call_at(next, [this] {
    measures_.lateness.observe(shard_.now() - tick_due_);
    tick();
  });
}

void ControllerRuntime::start_probes() {
  for (const metadata::ProbeOrder& order : state_->take_probes(shard_.now())) {
    prober_.probe(order, [this, term = std::weak_ptr(term_), order](metadata::ProbeResult result) {
      if (term.expired() || !active()) return;
      state_->on_probe(order.broker_id, order.epoch, result, shard_.now());
      tick();
    });
  }
}

void ControllerRuntime::on_session_lost(BrokerId id, common::model::BrokerEpoch epoch) {
  if (!active()) return;
  state_->on_stream_lost(id, epoch, shard_.now());
  tick();
}

void ControllerRuntime::on_witness(BrokerId reporter, BrokerId id, common::model::BrokerEpoch epoch) {
  if (!active()) return;
  state_->on_witness(reporter, id, epoch, shard_.now());
  tick();
}

ControllerMeasures ControllerRuntime::measures() const {
  ControllerMeasures now = measures_;
  now.waiting = held_.size() + deferred_.size() + awaiting_brokers_.size();
  now.slow_brokers = state_ ? state_->slow_brokers() : 0;
  return now;
}

// ---- DescribeQuorum ----

metadata::DescribeQuorumAnswer ControllerRuntime::describe_quorum() const {
  const raft::QuorumStatus status = raft_->describe();
  const Instant now = shard_.now();
  const auto wall = shard_.clock().wall_now();
  const auto at = [&](std::optional<Instant> t) -> std::optional<common::model::TimestampMs> {
    if (!t) return std::nullopt;
    return common::model::TimestampMs{wall.value -
                                      std::chrono::duration_cast<std::chrono::milliseconds>(now - *t).count()};
  };
  metadata::DescribeQuorumAnswer answer;
  answer.leader = status.leader;
  answer.term = status.term;
  answer.high_watermark = status.committed;
  for (const raft::ReplicaStatus& r : status.replicas) {
    metadata::DescribeQuorumAnswer::Replica replica;
    replica.broker_id = r.key.id;
    replica.directory_id = r.key.directory;
    replica.log_end = r.log_end;
    replica.last_fetch = at(r.last_contact);
    replica.last_caught_up = at(r.last_caught_up);
    (r.is_voter ? answer.voters : answer.observers).push_back(replica);
  }
  // As Apache Kafka's controller answers: a voter set is in the order in which its members joined, which tells nobody
  // anything.
  const auto key = [](const metadata::DescribeQuorumAnswer::Replica& r) {
    return std::pair(r.broker_id, r.directory_id);
  };
  std::ranges::sort(answer.voters, {}, key);
  std::ranges::sort(answer.observers, {}, key);
  for (const raft::Voter& v : status.voters.voters()) {
    answer.nodes.push_back({v.key.id, {v.endpoint.host, v.endpoint.port}});
  }
  return answer;
}

}  // namespace controller::quorum
