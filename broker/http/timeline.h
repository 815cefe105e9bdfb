// The metadata log as a page follows it: an image of the cluster, and the last changes with their offsets, kept so that
// a page which was connected to another broker goes on from the offset that it has seen. Offsets are the same on every
// broker: that is what makes them good ids for events.
//
// TimelineTap stands between Raft and the controller's runtime on the controller's shard and only hands on. Timeline
// lives on the HTTP shard.
#pragma once
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/http/timeline_events.h"
#include "common/shard.h"
#include "controller/quorum/raft_api.h"

namespace broker::api {
class LastChange;
}

namespace broker::http {

class Timeline {
 public:
  explicit Timeline(common::Shard& here)
      : changed_(here), image_(std::make_shared<controller::metadata::MetadataImage>()) {}

  struct Item {
    int64_t offset = 0;
    std::shared_ptr<const std::string> json;  // what a page is sent
    size_t bytes = 0;
  };

  // On the HTTP shard.
  void on_snapshot(const common::model::Buffer& state, common::model::LogIndex end);
  void on_committed(const std::vector<controller::raft::Entry>& entries);
  void on_leader(std::optional<common::model::BrokerId> leader, common::model::Term term);
  // Where each change that people look for is told; null: nowhere. Outlives the timeline.
  void set_last_change(api::LastChange* last_change) { last_change_ = last_change; }
  // What came before was history when this process started: its time is not known.
  void go_live() { live_ = true; }

  [[nodiscard]] const controller::metadata::ImagePtr& image() const { return image_; }
  // Everything up to and including this offset is in the image; -1: nothing yet.
  [[nodiscard]] int64_t offset() const { return offset_; }
  // Items later than `after` in order; none if some of them are gone (then a page takes a new snapshot).
  [[nodiscard]] std::optional<std::vector<Item>> since(int64_t after) const;
  // The newest events, oldest first.
  [[nodiscard]] std::vector<std::shared_ptr<const std::string>> recent() const;
  [[nodiscard]] std::optional<common::model::BrokerId> controller() const { return leader_; }
  [[nodiscard]] common::model::Term term() const { return term_; }
  // How often a broker became the controller since this process started.
  [[nodiscard]] uint64_t controllers_seen() const { return controllers_seen_; }
  // How often one was fenced because it was gone or silent, likewise.
  [[nodiscard]] uint64_t sessions_lost() const { return sessions_lost_; }
  // Pulsed after every change.
  [[nodiscard]] common::Event& changed() { return changed_; }

 private:
  void keep(int64_t offset, std::string json);
  void tell_who_is_down(const BatchStory& story);
  void forget_who_is_back();
  [[nodiscard]] int64_t wall_now() const;

  common::Event changed_;
  api::LastChange* last_change_ = nullptr;
  controller::metadata::ImagePtr image_;
  int64_t offset_ = -1;
  int64_t forgotten_ = -1;  // the largest offset that is no longer kept
  std::deque<Item> items_;
  size_t bytes_ = 0;
  bool live_ = false;
  std::optional<common::model::BrokerId> leader_;
  common::model::Term term_;
  common::model::Term last_elected_;
  uint64_t controllers_seen_ = 0;
  uint64_t sessions_lost_ = 0;
};

class TimelineTap final : public controller::quorum::RaftListener {
 public:
  // Both outlive the tap; `here` is the timeline's shard.
  TimelineTap(controller::quorum::RaftListener& runtime, common::Shard& here, Timeline& timeline)
      : runtime_(runtime), here_(here), timeline_(timeline) {}

  void on_snapshot(common::model::Buffer state, common::model::LogIndex end) override;
  void on_committed(std::span<const controller::raft::Entry> entries) override;
  void on_leadership_gained(common::model::Term term, common::model::LogIndex start) override {
    runtime_.on_leadership_gained(term, start);
  }
  void on_leadership_lost(common::model::Term term) override { runtime_.on_leadership_lost(term); }
  void on_leader_changed(std::optional<common::model::BrokerId> leader, common::model::Term term) override;
  common::model::Buffer make_snapshot() override { return runtime_.make_snapshot(); }
  void on_halted(const std::string& reason) override { runtime_.on_halted(reason); }

 private:
  controller::quorum::RaftListener& runtime_;
  common::Shard& here_;
  Timeline& timeline_;
};

// One broker or partition as the page's JSON has it (json text).
[[nodiscard]] std::string json_of(const BatchStory& story, int64_t offset, int64_t time);

}  // namespace broker::http
