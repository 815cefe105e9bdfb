// The public face: each event is enter, decide, leave.
#include "controller/raft/node.h"

#include <algorithm>

#include "common/model/mutant.h"
#include "controller/raft/node_impl.h"

namespace controller::raft {

Node::Node(Config config, RestoredState restored, common::model::Random& random, Instant now)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(restored), random, now)) {}
Node::~Node() = default;

Effects Node::start(Instant now) {
  impl_->now_ = now;
  impl_->start();
  return std::exchange(impl_->effects_, {});
}
Effects Node::on_message(const Message& message, Instant now) {
  impl_->enter(now);
  impl_->dispatch(message);
  return impl_->leave();
}
Effects Node::on_peer_connected(BrokerId peer, Instant now) {
  impl_->enter(now);
  impl_->on_peer_connected(peer);
  return impl_->leave();
}
Effects Node::on_peer_gone(BrokerId peer, Instant now) {
  impl_->enter(now);
  impl_->on_peer_gone(peer);
  return impl_->leave();
}
Effects Node::on_older_image(BrokerId peer, Instant now) {
  impl_->enter(now);
  if (!common::model::mutant<"R21-goes-on-with-an-older-image">()) impl_->on_older_image(peer);
  return impl_->leave();
}
Effects Node::on_durable(PersistToken token, Instant now) {
  impl_->enter(now);
  impl_->on_durable(token);
  return impl_->leave();
}
Effects Node::on_hard_state_durable(PersistToken token, Instant now) {
  impl_->enter(now);
  impl_->on_hard_state_durable(token);
  return impl_->leave();
}
void Node::on_snapshot_installed(Snapshot snapshot) {
  impl_->installed_snapshot_ = std::move(snapshot);
}
Effects Node::on_snapshot_made(Snapshot snapshot, Instant now) {
  impl_->enter(now);
  impl_->on_snapshot_made(std::move(snapshot));
  return impl_->leave();
}
Effects Node::halt(std::string reason, Instant now) {
  impl_->enter(now);
  impl_->halt(std::move(reason));
  return impl_->leave();
}
Effects Node::on_tick(Instant now) {
  impl_->enter(now);
  impl_->on_tick();
  return impl_->leave();
}
Instant Node::next_deadline() const {
  return impl_->next_deadline();
}

namespace {
Result<Proposed> proposed(Result<LogIndex> index, Term term, Effects effects) {
  if (!index) return tl::unexpected(index.error());
  return Proposed{*index, term, std::move(effects)};
}
}  // namespace

Result<Proposed> Node::propose(Buffer payload, Instant now) {
  impl_->enter(now);
  auto index = impl_->propose(EntryKind::data, std::move(payload));
  return proposed(std::move(index), impl_->term_, impl_->leave());
}
Result<Proposed> Node::add_voter(Voter voter, Instant now) {
  impl_->enter(now);
  auto index = impl_->add_voter(std::move(voter));
  return proposed(std::move(index), impl_->term_, impl_->leave());
}
Result<Proposed> Node::remove_voter(const NodeKey& voter, Instant now, Afterwards afterwards) {
  impl_->enter(now);
  auto index = impl_->remove_voter(voter, afterwards);
  return proposed(std::move(index), impl_->term_, impl_->leave());
}
Result<Proposed> Node::update_voter(const NodeKey& voter, Endpoint endpoint, Instant now) {
  impl_->enter(now);
  auto index = impl_->update_voter(voter, std::move(endpoint));
  return proposed(std::move(index), impl_->term_, impl_->leave());
}
Result<Effects> Node::read_index(uint64_t id, Instant now) {
  impl_->enter(now);
  const auto begun = impl_->read_index(id);
  Effects effects = impl_->leave();
  if (!begun) return tl::unexpected(begun.error());
  return effects;
}
Result<Effects> Node::transfer_leadership(std::optional<BrokerId> target, Instant now) {
  impl_->enter(now);
  const auto begun = impl_->transfer_leadership(target);
  Effects effects = impl_->leave();
  if (!begun) return tl::unexpected(begun.error());
  return effects;
}

Effects Node::resign(std::string_view why, Instant now) {
  impl_->enter(now);
  if (impl_->is_leader()) impl_->resign(why);
  return impl_->leave();
}

Role Node::role() const {
  return impl_->role_;
}
Term Node::term() const {
  return impl_->term_;
}
bool Node::is_handing_over() const {
  return impl_->leadership_ && impl_->leadership_->is_transferring();
}
size_t Node::uncommitted_bytes() const {
  return impl_->leadership_ ? impl_->leadership_->uncommitted_bytes() : 0;
}
bool Node::is_confirmed(Instant now) const {
  return impl_->leadership_ && impl_->leadership_->is_confirmed(impl_->membership_.current(), now);
}
std::optional<BrokerId> Node::leader() const {
  return impl_->leader_;
}
LogIndex Node::committed() const {
  return impl_->committed_;
}
LogIndex Node::delivered() const {
  return impl_->delivered_;
}
LogIndex Node::durable_end() const {
  return impl_->durability_.durable_end();
}
LogPosition Node::log_end() const {
  return impl_->log_.end_position();
}
SnapshotMeta Node::snapshot_meta_at(LogIndex end) const {
  const auto position = impl_->log_.position_at(end);
  NARU_CHECK(position && end <= impl_->delivered_, "R14: no snapshot can be made at {}", end);
  if (common::model::mutant<"R14-forgets-the-voters">()) return {*position, {}, 0};
  return {*position, impl_->membership_.at(end), 0};
}
const VoterSet& Node::voters() const {
  return impl_->membership_.current();
}
const NodeKey& Node::self() const {
  return impl_->config_.self;
}
QuorumStatus Node::status() const {
  return impl_->status();
}
std::vector<Entry> Node::entries_from(LogIndex from) const {
  return impl_->log_.entries(std::max(from, impl_->log_.start()), SIZE_MAX);
}

}  // namespace controller::raft
