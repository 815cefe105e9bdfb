// Hands every new image to whoever follows the metadata on any shard, and knows when all of them have applied it: that
// is the offset which the broker reports to the controller and for which callers of the controller wait.
//
// Lives on the controller's shard, but for subscribe(), which any thread may call.
#pragma once
#include <functional>
#include <list>
#include <memory>
#include <optional>

#include "common/shard.h"
#include "controller/quorum/metadata_subscriber.h"

namespace controller::quorum {

using common::model::LogIndex;

class MetadataPublisher {
 public:
  explicit MetadataPublisher(common::Shard& home);
  ~MetadataPublisher();
  MetadataPublisher(const MetadataPublisher&) = delete;
  MetadataPublisher& operator=(const MetadataPublisher&) = delete;

  // Calls `subscriber` on `shard` with every image from now on, until the returned token dies. The token must die on
  // `shard`; the subscriber is not called afterwards. The publisher must outlive the subscribing shard's work.
  [[nodiscard]] std::shared_ptr<void> subscribe(common::Shard& shard, MetadataSubscriber& subscriber);

  void publish(ImagePtr image, DeltaPtr delta);
  // Called on the controller's shard whenever applied() has moved.
  void when_applied_moves(std::function<void()> f) { on_applied_ = std::move(f); }

  [[nodiscard]] const ImagePtr& image() const { return image_; }
  // Every subscriber has come to it; the image's own offset while there is none.
  [[nodiscard]] std::optional<LogIndex> applied() const;

 private:
  struct Slot;
  void send(const std::shared_ptr<Slot>& slot);
  void on_done(const std::shared_ptr<Slot>& slot, std::optional<LogIndex> offset);
  void report();

  common::Shard& home_;
  ImagePtr image_;
  std::list<std::shared_ptr<Slot>> slots_;
  std::optional<LogIndex> reported_;
  std::function<void()> on_applied_;
  std::shared_ptr<bool> alive_;
};

}  // namespace controller::quorum
