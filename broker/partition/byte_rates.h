// How many bytes a second clients write and read of late, from counters that are looked at now and then: whoever asks
// gets an answer at once, and nothing is counted for it that is not counted anyway.
//
// Pure; thread-compatible.
#pragma once
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/model/types.h"

namespace broker::partition {

class ByteRates {
 public:
  struct Counted {
    uint64_t in = 0;
    uint64_t out = 0;
  };
  struct PerSecond {
    double in = 0;
    double out = 0;
  };

  // A second has passed since the last look.
  [[nodiscard]] bool is_due(common::model::Instant now) const {
    return looks_ == 0 || now - newest().at >= std::chrono::seconds(1);
  }
  // Only when it is due.
  void look(common::model::Instant now, Counted counted) {
    ring_[looks_ % ring_.size()] = {now, counted};
    ++looks_;
  }
  // Over the last looks, about five seconds; none before there are two.
  [[nodiscard]] std::optional<PerSecond> per_second() const {
    if (looks_ < 2) return std::nullopt;
    const Look& oldest = ring_[looks_ <= ring_.size() ? 0 : looks_ % ring_.size()];
    const double seconds = std::chrono::duration<double>(newest().at - oldest.at).count();
    // Counters do not fall; a rate is not to be huge if one ever did.
    const auto rate = [&](uint64_t before, uint64_t after) {
      return after < before ? 0 : static_cast<double>(after - before) / seconds;
    };
    return PerSecond{rate(oldest.counted.in, newest().counted.in), rate(oldest.counted.out, newest().counted.out)};
  }

 private:
  struct Look {
    common::model::Instant at;
    Counted counted;
  };
  [[nodiscard]] const Look& newest() const { return ring_[(looks_ - 1) % ring_.size()]; }

  std::array<Look, 6> ring_{};
  size_t looks_ = 0;
};

}  // namespace broker::partition
