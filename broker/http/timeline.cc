#include "broker/http/timeline.h"

#include "broker/api/last_change.h"
#include "broker/http/cluster_json.h"
#include "controller/quorum/metadata_codec.h"

namespace broker::http {

namespace metadata = controller::metadata;
namespace quorum = controller::quorum;
namespace raft = controller::raft;
using common::model::BrokerId;
using common::model::Buffer;
using common::model::LogIndex;
using common::model::Term;
using nlohmann::json;

namespace {
constexpr size_t items_max = 2000;
constexpr size_t bytes_max = 4 << 20;

// Of a batch, what somebody wants to know who asks what has happened: whom clients have to follow, before what led to
// it. Null: nothing of that kind, but topics and settings.
const TimelineEvent* most_telling(const BatchStory& story) {
  const TimelineEvent* found = nullptr;
  for (const TimelineEvent& event : story.events) {
    if (event.kind == "election") return &event;
    if (event.kind == "isr" || event.kind == "fence" || event.kind == "broker" || event.kind == "quorum")
      found = &event;
  }
  return found;
}

// Not every terminal has the arrow.
std::string in_ascii(std::string text) {
  constexpr std::string_view arrow = "\u2192";
  for (size_t at = text.find(arrow); at != std::string::npos; at = text.find(arrow, at)) {
    text.replace(at, arrow.size(), "->");
  }
  return text;
}
}  // namespace

std::string json_of(const BatchStory& story, int64_t offset, int64_t time) {
  json out{{"offset", offset}, {"time", time}};
  for (const auto& p : story.partitions) {
    json one = partition_json(p.index, p.state);
    one["topic"] = p.topic;
    out["partitions"].push_back(std::move(one));
  }
  for (const metadata::BrokerImage& broker : story.brokers) out["brokers"].push_back(broker_json(broker));
  if (!story.gone_brokers.empty()) out["gone_brokers"] = story.gone_brokers;
  if (!story.gone_topics.empty()) out["gone_topics"] = story.gone_topics;
  if (story.partition_count) out["partition_count"] = *story.partition_count;
  for (const TimelineEvent& event : story.events) {
    json one{{"kind", event.kind}, {"text", event.text}};
    if (!event.reason.empty()) one["reason"] = event.reason;
    out["events"].push_back(std::move(one));
  }
  if (story.events_left_out > 0) {
    out["events"].push_back(
        {{"kind", "topic"}, {"text", fmt::format("and {} more of this batch", story.events_left_out)}});
  }
  return dump(out);
}

int64_t Timeline::wall_now() const {
  return live_ ? changed_.shard().clock().wall_now().value : 0;
}

void Timeline::keep(int64_t offset, std::string text) {
  const size_t bytes = text.size() + sizeof(Item);
  items_.push_back({offset, std::make_shared<const std::string>(std::move(text)), bytes});
  bytes_ += bytes;
  while (items_.size() > items_max || bytes_ > bytes_max) {
    forgotten_ = items_.front().offset;
    bytes_ -= items_.front().bytes;
    items_.pop_front();
  }
}

void Timeline::on_snapshot(const Buffer& state, LogIndex end) {
  auto image = quorum::decode_snapshot(state.view());
  if (!image) return;  // the runtime, which sees the same bytes, halts
  image_ = std::make_shared<const metadata::MetadataImage>(std::move(*image));
  items_.clear();
  bytes_ = 0;
  offset_ = end.value - 1;
  forgotten_ = offset_;
  forget_who_is_back();
  changed_.pulse();
}

// What lies between is told by nobody.
void Timeline::forget_who_is_back() {
  if (last_change_ == nullptr) return;
  for (const auto& [id, since] : last_change_->down()) {
    const metadata::BrokerImage* broker = image_->broker(id);
    if (broker == nullptr || !broker->fenced) last_change_->forget(id);
  }
}

void Timeline::on_committed(const std::vector<raft::Entry>& entries) {
  metadata::ImageEditor editor(*image_);
  for (const raft::Entry& entry : entries) {
    if (entry.index.value <= offset_) continue;
    offset_ = entry.index.value;
    BatchStory story;
    if (entry.kind == raft::EntryKind::data) {
      auto records = quorum::decode_records(entry.payload.view());
      if (!records) continue;  // likewise
      story = tell(editor, *records, entry.index);
      if (live_) sessions_lost_ += story.sessions_lost;
    } else if (entry.kind == raft::EntryKind::leader_change) {
      const bool known = leader_ && term_ == entry.term;
      story.events.push_back({"quorum",
                              known ? fmt::format("broker {} is the controller", *leader_) : "a controller is elected",
                              fmt::format("elected in term {}", entry.term)});
    } else {
      story.events.push_back({"quorum", "the members of the quorum are set", ""});
    }
    if (const TimelineEvent* event = most_telling(story); event != nullptr && live_ && last_change_ != nullptr)
      last_change_->tell({in_ascii(event->text), in_ascii(event->reason), changed_.shard().now()});
    if (live_ && last_change_ != nullptr) tell_who_is_down(story);
    keep(offset_, json_of(story, offset_, wall_now()));
  }
  image_ = std::make_shared<const metadata::MetadataImage>(editor.take_image());
  changed_.pulse();
}

void Timeline::tell_who_is_down(const BatchStory& story) {
  for (const metadata::BrokerImage& broker : story.brokers)
    last_change_->tell_of(broker.broker_id, broker.fenced, changed_.shard().now());
  for (const int32_t id : story.gone_brokers) last_change_->forget(BrokerId(id));
}

void Timeline::on_leader(std::optional<BrokerId> leader, Term term) {
  if (leader && term > last_elected_) {
    last_elected_ = term;
    ++controllers_seen_;
  }
  leader_ = leader;
  term_ = term;
  changed_.pulse();
}

std::optional<std::vector<Timeline::Item>> Timeline::since(int64_t after) const {
  if (after < forgotten_ || after > offset_) return std::nullopt;
  std::vector<Item> out;
  for (auto it = items_.rbegin(); it != items_.rend() && it->offset > after; ++it) out.push_back(*it);
  std::ranges::reverse(out);
  return out;
}

std::vector<std::shared_ptr<const std::string>> Timeline::recent() const {
  constexpr size_t most = 200;
  std::vector<std::shared_ptr<const std::string>> out;
  for (auto it = items_.rbegin(); it != items_.rend() && out.size() < most; ++it) out.push_back(it->json);
  std::ranges::reverse(out);
  return out;
}

void TimelineTap::on_snapshot(Buffer state, LogIndex end) {
  runtime_.on_snapshot(state, end);
  here_.post([this, state, end] { timeline_.on_snapshot(state, end); });
}

void TimelineTap::on_committed(std::span<const raft::Entry> entries) {
  runtime_.on_committed(entries);
  here_.post([this, copy = std::vector<raft::Entry>(entries.begin(), entries.end())] { timeline_.on_committed(copy); });
}

void TimelineTap::on_leader_changed(std::optional<BrokerId> leader, Term term) {
  runtime_.on_leader_changed(leader, term);
  here_.post([this, leader, term] { timeline_.on_leader(leader, term); });
}

}  // namespace broker::http
