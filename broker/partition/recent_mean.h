// How long something takes that a shard waits for, as a mean of the last moments: an addition where it happens, and
// looks at regular times, each of which forgets what lies more than one look back.
//
// Thread-compatible: lives on its shard.
#pragma once
#include <cstdint>
#include <optional>
#include <utility>

#include "common/model/types.h"

namespace broker::partition {

class RecentMean {
 public:
  // `times` of them took so long together.
  void add(common::model::Duration took, int64_t times = 1) {
    now_.took += took;
    now_.times += times;
  }
  // Since the look before the last one; unset: there was none.
  [[nodiscard]] std::optional<common::model::Duration> look() {
    const Sum both{before_.took + now_.took, before_.times + now_.times};
    before_ = std::exchange(now_, {});
    if (both.times == 0) return std::nullopt;
    return both.took / both.times;
  }

 private:
  struct Sum {
    common::model::Duration took{0};
    int64_t times = 0;
  };
  Sum before_, now_;
};

}  // namespace broker::partition
