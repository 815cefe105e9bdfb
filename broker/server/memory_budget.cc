#include "broker/server/memory_budget.h"

namespace broker::server {

MemoryBudget::Charge::~Charge() {
  if (budget_ == nullptr) return;
  NARU_CHECK(budget_->used_ >= bytes_, "used {} charge {}", budget_->used_, bytes_);
  budget_->used_ -= bytes_;
  if (budget_->beyond_ == this) budget_->beyond_ = nullptr;
  budget_->freed_.pulse();
}

common::Awaitable<void> MemoryBudget::Charge::grow(uint64_t bytes) {
  MemoryBudget& budget = *budget_;
  while (budget.used_ + bytes > budget.limit_ && budget.beyond_ != this) {
    if (budget.beyond_ == nullptr) {
      budget.beyond_ = this;
      break;
    }
    co_await common::until(budget.freed_);
  }
  budget.used_ += bytes;
  bytes_ += bytes;
}

}  // namespace broker::server
