#include "sim/atlas.h"

#include <algorithm>
#include <functional>

namespace sim {

// Serving, in service, and in the ISR of all that it should hold, by the newest metadata.
bool Atlas::is_whole(BrokerId id) const {
  const Node& node = cluster_.node(id);
  const auto image = cluster_.newest_image();
  if (!image || !node.is_serving() || !image->is_active(id)) return false;
  if (node.core().controller().epoch() != image->broker(id)->epoch) return false;
  for (const auto& [topic_id, topic] : image->topics()) {
    for (const auto& [index, state] : topic->partitions) {
      const bool should = std::find(state->replicas.begin(), state->replicas.end(), id) != state->replicas.end();
      if (should && std::find(state->isr.begin(), state->isr.end(), id) == state->isr.end()) return false;
    }
  }
  return true;
}

void Atlas::on_rot(Node& node, std::string path, size_t byte) {
  const std::byte value = node.disk().content(path).view()[byte];
  rots_.push_back({node.id(), std::move(path), byte, value});
}

void Atlas::end_threat(const Node& node) {
  if (const auto found = threatened_.find(node.id()); found != threatened_.end()) threatened_.erase(found);
}

bool Atlas::is_there(const Rot& rot) const {
  common::disk::SimulatedDisk& disk = cluster_.node(rot.broker).disk();
  if (!disk.exists(rot.path)) return false;
  const common::model::Buffer content = disk.content(rot.path);
  return rot.byte < content.size() && content.view()[rot.byte] == rot.value;
}

std::vector<std::pair<BrokerId, std::string>> Atlas::rotten() {
  std::erase_if(rots_, [this](const Rot& rot) { return !is_there(rot); });
  std::vector<std::pair<BrokerId, std::string>> all;
  for (const Rot& rot : rots_) all.emplace_back(rot.broker, rot.path);
  return all;
}

void Atlas::end_rot(const Node& node, const std::string& directory) {
  std::erase_if(rots_,
                [&](const Rot& rot) { return rot.broker == node.id() && rot.path.starts_with(directory + "/"); });
}

bool Atlas::may_lose_records(const Node& node) {
  const Options& options = cluster_.options();
  std::erase_if(rots_, [this](const Rot& rot) { return !is_there(rot); });
  std::erase_if(harmed_, [this](BrokerId id) {
    return is_whole(id) && !threatened_.contains(id) &&
           std::none_of(rots_.begin(), rots_.end(), [id](const Rot& rot) { return rot.broker == id; });
  });
  if (harmed_.contains(node.id())) return true;  // what it has since is not counted on yet
  if (static_cast<int>(harmed_.size()) >= options.min_isr - 1) return false;
  harmed_.insert(node.id());
  return true;
}

bool Atlas::may_lose_metadata(const Node& node) {
  const int voters = cluster_.options().voters;
  if (lost_voters_.contains(node.id())) return true;
  if (voters_changed_) return false;  // an observer too may be a voter by now
  if (node.id().value > voters) return true;
  if (static_cast<int>(lost_voters_.size()) >= (voters - 1) / 2) return false;
  lost_voters_.insert(node.id());
  return true;
}

// Up, as the metadata knows it, and nothing that will be started anew when everything is healed.
bool Atlas::stands_firm(BrokerId id, const controller::metadata::MetadataImage& image) const {
  Node& node = cluster_.node(id);
  const auto* broker = image.broker(id);
  return broker != nullptr && !harmed_.contains(id) && !threatened_.contains(id) && node.is_serving() &&
         !node.is_leaving() && !node.has_failed_directory() && !node.disk().has_stopped() &&
         node.core().controller().epoch() == broker->epoch;
}

bool Atlas::can_do_without(const Node& out, const controller::metadata::MetadataImage& image) const {
  const Options& options = cluster_.options();
  if (voters_changed_ || options.min_isr < 2) return false;
  int voters = 0;
  for (int32_t id = 1; id <= options.voters; ++id) {
    if (BrokerId(id) != out.id() && !lost_voters_.contains(BrokerId(id))) ++voters;
  }
  if (voters <= options.voters / 2) return false;
  const auto is_out = [&](BrokerId id) { return id == out.id(); };
  const auto holds = [&](BrokerId id) { return stands_firm(id, image); };
  for (const auto& [topic_id, topic] : image.topics()) {
    for (const auto& [index, state] : topic->partitions) {
      const auto left = std::count_if(state->replicas.begin(), state->replicas.end(), std::not_fn(is_out));
      if (left < options.min_isr) return false;
      if (std::all_of(state->isr.begin(), state->isr.end(), is_out)) return false;
      for (const BrokerId id : state->isr) {
        if (!is_out(id) && !holds(id)) return false;
      }
    }
  }
  return true;
}

bool Atlas::may_have_twin(const Node& node) {
  if (voters_changed_ || node.id().value <= cluster_.options().voters || !may_lose_records(node)) return false;
  had_twins_ = true;
  return true;
}

bool Atlas::may_change_voters() {
  if (!lost_voters_.empty() || had_twins_) return false;
  voters_changed_ = true;
  return true;
}

}  // namespace sim
