#include "controller/quorum/metadata_publisher.h"

#include <algorithm>

namespace controller::quorum {

// One image is under way to a subscriber at a time; newer ones wait here, merged.
struct MetadataPublisher::Slot {
  common::Shard& shard;
  MetadataSubscriber* subscriber;
  bool subscribed = true;  // touched on `shard` only
  // Touched on the publisher's shard only.
  bool gone = false;
  bool under_way = false;
  bool first = true;
  std::optional<metadata::ImageDelta> waiting;
  std::optional<LogIndex> done;
};

MetadataPublisher::MetadataPublisher(common::Shard& home)
    : home_(home), image_(std::make_shared<metadata::MetadataImage>()), alive_(std::make_shared<bool>(true)) {}

MetadataPublisher::~MetadataPublisher() {
  *alive_ = false;
}

std::shared_ptr<void> MetadataPublisher::subscribe(common::Shard& shard, MetadataSubscriber& subscriber) {
  auto slot = std::make_shared<Slot>(Slot{shard, &subscriber});
  home_.post([this, alive = std::weak_ptr(alive_), slot] {
    if (alive.expired()) return;
    slots_.push_back(slot);
    slot->waiting.emplace();
    send(slot);
  });
  // The slot's own memory is shared; what the token ends is the calling of the subscriber.
  return std::shared_ptr<void>(nullptr, [this, alive = std::weak_ptr(alive_), slot, &home = home_](void*) {
    slot->subscribed = false;
    home.post([this, alive, slot] {
      slot->gone = true;
      if (alive.expired()) return;
      std::erase(slots_, slot);
      report();
    });
  });
}

void MetadataPublisher::publish(ImagePtr image, DeltaPtr delta) {
  image_ = std::move(image);
  for (const auto& slot : slots_) {
    if (slot->waiting) {
      slot->waiting->merge(*delta);
    } else {
      slot->waiting = *delta;
    }
    if (!slot->under_way) send(slot);
  }
  if (slots_.empty()) report();
}

void MetadataPublisher::send(const std::shared_ptr<Slot>& slot) {
  if (slot->gone || !image_->offset()) return;  // nothing to tell yet
  auto delta = std::make_shared<metadata::ImageDelta>(
      slot->first ? metadata::difference(metadata::MetadataImage{}, *image_) : std::move(*slot->waiting));
  slot->first = false;
  slot->waiting.reset();
  slot->under_way = true;
  slot->shard.post(
      [this, alive = std::weak_ptr(alive_), &home = home_, slot, image = image_, delta = std::move(delta)] {
        if (!slot->subscribed) return;
        slot->subscriber->on_image(image, delta);
        home.post([this, alive, slot, offset = image->offset()] {
          if (!alive.expired()) on_done(slot, offset);
        });
      });
}

void MetadataPublisher::on_done(const std::shared_ptr<Slot>& slot, std::optional<LogIndex> offset) {
  slot->under_way = false;
  slot->done = offset;
  if (slot->waiting) send(slot);
  report();
}

std::optional<LogIndex> MetadataPublisher::applied() const {
  std::optional<LogIndex> least = image_->offset();
  for (const auto& slot : slots_) least = std::min(least, slot->done);
  return least;
}

void MetadataPublisher::report() {
  const auto now = applied();
  if (now == reported_) return;
  reported_ = now;
  if (on_applied_) on_applied_();
}

}  // namespace controller::quorum
