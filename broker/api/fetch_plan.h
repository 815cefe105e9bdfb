// The arithmetic of one fetch, apart from doing it: how many bytes each partition may still give, and when there is
// enough to answer (KIP-74). Pure; thread-compatible.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace broker::api {

// How a request limits its answer.
struct FetchBounds {
  size_t min_bytes = 1;
  size_t max_bytes = 0;
};

class FetchBudget {
 public:
  explicit FetchBudget(FetchBounds bounds) : bounds_(bounds) {}

  // What a partition that wants at most `partition_max_bytes` may read now.
  [[nodiscard]] size_t allowance(int32_t partition_max_bytes) const {
    const size_t wanted = static_cast<size_t>(std::max(0, partition_max_bytes));
    return std::min(wanted, bounds_.max_bytes - std::min(taken_, bounds_.max_bytes));
  }
  // Whether the next batch goes out even if it is larger than every limit: only the first of an answer does.
  [[nodiscard]] bool at_least_one_batch() const { return taken_ == 0; }

  void took(size_t bytes) { taken_ += bytes; }
  // Something must be said at once: an error, or a log that diverged.
  void must_answer() { must_answer_ = true; }

  [[nodiscard]] bool is_enough() const { return must_answer_ || taken_ >= bounds_.min_bytes; }
  [[nodiscard]] size_t taken() const { return taken_; }

 private:
  FetchBounds bounds_;
  size_t taken_ = 0;
  bool must_answer_ = false;
};

}  // namespace broker::api
