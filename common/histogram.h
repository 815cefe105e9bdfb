// How long things took, counted where they happen: a plain array of one shard, without locks or allocation. Four
// buckets to each doubling, so that a quantile is right within a quarter. Whoever wants to look copies it on its shard.
//
// Thread-compatible.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>

#include "common/model/types.h"

namespace common {

class Histogram {
 public:
  static constexpr size_t bucket_count = 124;  // up to 2^32 us, more than an hour

  void observe(model::Duration took) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
    const uint64_t value = us > 0 ? static_cast<uint64_t>(us) : 0;
    ++buckets_[bucket_of(value)];
    ++count_;
    sum_us_ += value;
  }
  void merge(const Histogram& other) {
    for (size_t i = 0; i < bucket_count; ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    sum_us_ += other.sum_us_;
  }
  // What was counted since `earlier`, an older copy of this one.
  [[nodiscard]] Histogram since(const Histogram& earlier) const {
    Histogram d;
    for (size_t i = 0; i < bucket_count; ++i) d.buckets_[i] = buckets_[i] - earlier.buckets_[i];
    d.count_ = count_ - earlier.count_;
    d.sum_us_ = sum_us_ - earlier.sum_us_;
    return d;
  }

  [[nodiscard]] uint64_t count() const { return count_; }
  [[nodiscard]] double sum_seconds() const { return static_cast<double>(sum_us_) / 1e6; }
  // How many took less than 2^power microseconds.
  [[nodiscard]] uint64_t below_power(int power) const {
    uint64_t sum = 0;
    for (size_t i = 0; i < bucket_of(uint64_t{1} << power); ++i) sum += buckets_[i];
    return sum;
  }
  // The upper end of the bucket in which the `q`-quantile lies, in seconds; 0 where nothing was counted.
  [[nodiscard]] double quantile_seconds(double q) const {
    const auto wanted = std::max<uint64_t>(1, static_cast<uint64_t>(q * static_cast<double>(count_) + 0.5));
    uint64_t sum = 0;
    for (size_t i = 0; i < bucket_count && count_ > 0; ++i) {
      sum += buckets_[i];
      if (sum >= wanted) return static_cast<double>(end_of(i)) / 1e6;
    }
    return 0;
  }

 private:
  static constexpr size_t bucket_of(uint64_t us) {
    if (us < 4) return static_cast<size_t>(us);
    const int exponent = std::bit_width(us) - 1;
    const auto index = static_cast<size_t>((exponent - 1) * 4) + static_cast<size_t>((us >> (exponent - 2)) & 3);
    return std::min(index, bucket_count - 1);
  }
  static constexpr uint64_t end_of(size_t index) {
    if (index < 4) return index + 1;
    const auto exponent = index / 4 + 1;
    return (uint64_t{4} + index % 4 + 1) << (exponent - 2);
  }

  std::array<uint64_t, bucket_count> buckets_{};
  uint64_t count_ = 0;
  uint64_t sum_us_ = 0;
};

}  // namespace common
