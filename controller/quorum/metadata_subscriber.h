// Whoever follows the cluster's metadata on one shard: told of every published image, in order.
#pragma once
#include "controller/metadata/image.h"

namespace controller::quorum {

using metadata::DeltaPtr;
using metadata::ImagePtr;

class MetadataSubscriber {
 public:
  virtual ~MetadataSubscriber() = default;

  // On the subscriber's own shard, never concurrently with itself, offsets increasing. The first call after subscribing
  // carries the current image and a delta from the empty one. Images may be skipped; deltas are then merged.
  virtual void on_image(ImagePtr image, DeltaPtr delta) = 0;
};

}  // namespace controller::quorum
