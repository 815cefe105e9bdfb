#include "broker/server/response_budget.h"

#include <algorithm>

#include "common/model/mutant.h"

namespace broker::server {

using common::model::mutant;

ResponseBudget::ResponseBudget(common::Shard& shard, uint64_t limit_bytes)
    : half_(std::max<uint64_t>(1, limit_bytes / 2)), freed_(shard) {}

ResponseBudget::Charge::Charge(ResponseBudget& budget, uint64_t taken_bytes) : budget_(budget), taken_(taken_bytes) {}

common::Awaitable<uint64_t> ResponseBudget::Charge::reserve(uint64_t wanted) {
  if (mutant<"R109-answers-beyond-its-budget">()) co_return wanted;
  hold(0);
  const uint64_t least = std::min({wanted, least_answer, budget_.half_});
  const uint64_t& used = budget_.used_by_those_like(taken_);
  while (used > 0 && used + least > budget_.half_) {  // a batch that is larger than everything passes alone
    ++budget_.waiting_;
    co_await common::until(budget_.freed_);
    --budget_.waiting_;
  }
  const uint64_t room = (budget_.half_ - std::min(used, budget_.half_)) / 2;  // the next one finds some, too
  const uint64_t granted = std::clamp(std::min(std::max(taken_, least), room), least, wanted);
  hold(granted);
  co_return granted;
}

void ResponseBudget::Charge::hold(uint64_t bytes) {
  uint64_t& used = budget_.used_by_those_like(taken_);
  NARU_CHECK(used >= bytes_, "used {} charge {}", used, bytes_);
  used = used - bytes_ + bytes;
  const bool is_less = bytes < bytes_;
  bytes_ = bytes;
  if (is_less) budget_.freed_.pulse();
}

}  // namespace broker::server
