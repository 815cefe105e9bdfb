#include "sim/invariant_durability.h"

#include "common/log/file_names.h"
#include "common/records/batch.h"
#include "controller/quorum/quorum_state_file.h"

namespace sim {

namespace raft = controller::raft;

namespace {

constexpr const char* metadata_directory = "/meta/__cluster_metadata-0";

}  // namespace

void DurabilityInvariants::on_sent(Node& node, const raft::Message& message) {
  if (const auto* request = std::get_if<raft::VoteRequest>(&message.body)) {
    if (request->kind != raft::VoteKind::pre_vote) check_vote(node, message, message.from);
  } else if (const auto* answer = std::get_if<raft::VoteResponse>(&message.body)) {
    if (answer->granted && answer->kind != raft::VoteKind::pre_vote) check_vote(node, message, message.to);
  } else if (const auto* appended = std::get_if<raft::AppendResponse>(&message.body)) {
    if (appended->outcome != raft::AppendOutcome::accepted) return;
    const auto known = ends_.find(node.host());
    if (known != ends_.end() && appended->matched.value <= known->second.next) return;
    int64_t end = durable_end(node);
    if (appended->matched.value > end) {
      ends_.erase(node.host());  // it may have been cut and written again where the walk had stopped
      end = durable_end(node);
    }
    if (appended->matched.value > end) {
      complaints_.broken("no acknowledgement of metadata before its sync (R2)",
                         fmt::format("node {} acknowledges entries before {}, durable are those before {}", node.id(),
                                     appended->matched, end));
    }
  }
}

void DurabilityInvariants::check_vote(Node& node, const raft::Message& message, const raft::NodeKey& vote) {
  common::disk::SimulatedDisk copy;
  copy.overwrite("q/quorum-state", node.disk().durable_content(std::string(metadata_directory) + "/quorum-state"));
  const auto opened = controller::quorum::QuorumStateFile::open(copy, "q");
  const raft::HardState durable = opened && opened->state ? opened->state->hard_state : raft::HardState{};
  if (durable.term > message.term || (durable.term == message.term && durable.voted_for && durable.voted_for->id == vote.id))
    return;
  complaints_.broken("no vote before its sync (R1)",
                     fmt::format("node {} says in term {} that it votes for {}; durable is term {} with {}", node.id(),
                                 message.term, vote.id, durable.term,
                                 durable.voted_for ? fmt::format("a vote for {}", durable.voted_for->id) : "no vote"));
}

int64_t DurabilityInvariants::durable_end(Node& node) {
  End& end = ends_[node.host()];
  for (const std::string& path : node.disk().durable_paths(metadata_directory)) {
    const auto base = common::log::offset_in_name(path.substr(path.rfind('/') + 1), common::log::log_suffix);
    if (!base || path < end.path) continue;
    const common::model::BytesView bytes = node.disk().durable_content(path);
    if (path != end.path || end.position > bytes.size()) end = {path, 0, base->value};
    while (end.position < bytes.size()) {
      const auto batch = common::records::BatchView::parse_header(bytes.subspan(end.position));
      if (!batch || batch->size_bytes() > bytes.size() - end.position || batch->base_offset().value != end.next) break;
      end.position += batch->size_bytes();
      end.next = batch->next_offset().value;
    }
  }
  return end.next;
}

}  // namespace sim
