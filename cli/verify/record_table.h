// Where the history checker keeps what it knows of records: by value and by offset, a few tens of bytes for each, in
// steps that keep ten million records well below two gigabytes. Both tables cost memory in proportion to what was put
// in, wherever it lies, so that a history of nonsense cannot ask for more than a constant times its own size.
// Thread-compatible.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <unordered_map>

#include "cli/verify/verdict.h"

namespace cli::verify {

constexpr int groups_max = 8;

struct Record {
  int64_t counter = 0;
  int64_t offset = -1;  // as acknowledged, or where it was found
  int64_t floor = -1;   // the largest offset acknowledged before it was sent
  int32_t transaction = -1;
  uint8_t polled = 0;  // a bit for each group
  bool acknowledged : 1 = false;
  bool refused : 1 = false;  // definitely
  bool was_read : 1 = false;
  bool found : 1 = false;  // in the final read
};
static_assert(sizeof(Record) == 32);

// The records of one producer in one partition, in the order of sending.
class ProducerRecords {
 public:
  // The new record, or null if the value was there.
  Record* add(int64_t counter) {
    if (in_order_.empty() || counter > in_order_.back().counter) {
      in_order_.emplace_back();
      in_order_.back().counter = counter;
      return &in_order_.back();
    }
    if (find(counter) != nullptr) return nullptr;
    Record& record = late_[counter];
    record.counter = counter;
    return &record;
  }
  // Constant time when counters are without gaps, which is how workloads count.
  Record* find(int64_t counter) {
    if (in_order_.empty() || counter < in_order_.front().counter || counter > in_order_.back().counter)
      return late(counter);
    const auto guess = std::min(static_cast<size_t>(counter - in_order_.front().counter), in_order_.size() - 1);
    if (in_order_[guess].counter == counter) return &in_order_[guess];
    const auto it = std::lower_bound(in_order_.begin(), in_order_.begin() + static_cast<std::ptrdiff_t>(guess), counter,
                                     [](const Record& record, int64_t wanted) { return record.counter < wanted; });
    return it->counter == counter ? &*it : late(counter);
  }
  template <class F>
  void for_each(F f) {
    for (Record& record : in_order_) f(record);
    for (auto& [counter, record] : late_) f(record);
  }

  // Up to the last in the order of sending that is known to lie below `offset`. What has no offset, among them, has
  // none that counts.
  void forget_below(int64_t offset) {
    size_t gone = 0;
    for (size_t i = 0; i < in_order_.size() && in_order_[i].offset < offset; ++i) {
      if (in_order_[i].offset >= 0) gone = i + 1;
    }
    in_order_.erase(in_order_.begin(), in_order_.begin() + static_cast<std::ptrdiff_t>(gone));
    std::erase_if(late_, [offset](const auto& entry) { return entry.second.offset >= 0 && entry.second.offset < offset; });
  }

  int64_t last_found = -1;

 private:
  Record* late(int64_t counter) {
    const auto it = late_.find(counter);
    return it == late_.end() ? nullptr : &it->second;
  }
  std::deque<Record> in_order_;
  std::map<int64_t, Record> late_;  // added behind a larger counter
};

// One T for each offset; `absent` where nothing was put.
template <class T, T absent>
class OffsetTable {
 public:
  T& at(int64_t offset) {
    const int64_t page = offset / page_size;
    if (page != last_page_) {
      std::unique_ptr<Page>& found = pages_[page];
      if (!found) {
        found = std::make_unique<Page>();
        found->fill(absent);
      }
      last_ = found.get();
      last_page_ = page;
    }
    return (*last_)[static_cast<size_t>(offset % page_size)];
  }
  [[nodiscard]] T get(int64_t offset) const {
    if (offset / page_size == last_page_) return (*last_)[static_cast<size_t>(offset % page_size)];
    const auto it = pages_.find(offset / page_size);
    return it == pages_.end() ? absent : (*it->second)[static_cast<size_t>(offset % page_size)];
  }
  // Whether [from, to) holds something that `counts`. The cost is bounded by the number of pages there are.
  template <class F>
  [[nodiscard]] bool any_in(int64_t from, int64_t to, F counts) const {
    const auto in_page = [&](int64_t first, int64_t last) {
      for (int64_t at = first; at < last; ++at) {
        const T held = get(at);
        if (held != absent && counts(held)) return true;
      }
      return false;
    };
    if ((to - from) / page_size > static_cast<int64_t>(pages_.size())) {
      return std::ranges::any_of(pages_, [&](const auto& entry) {
        const int64_t start = entry.first * page_size;
        return in_page(std::max(from, start), std::min(to, start + page_size));
      });
    }
    for (int64_t at = from; at < to; at = (at / page_size + 1) * page_size) {
      if (in_page(at, std::min(to, (at / page_size + 1) * page_size))) return true;
    }
    return false;
  }
  [[nodiscard]] bool any_in(int64_t from, int64_t to) const {
    return any_in(from, to, [](const T&) { return true; });
  }
  void forget_below(int64_t offset) {
    std::erase_if(pages_, [offset](const auto& entry) { return (entry.first + 1) * page_size <= offset; });
    last_page_ = -1;
    last_ = nullptr;
  }
  [[nodiscard]] size_t pages() const { return pages_.size(); }
  static constexpr size_t page_bytes() { return sizeof(Page) + 64; }

 private:
  static constexpr int64_t page_size = 128;
  using Page = std::array<T, page_size>;
  std::unordered_map<int64_t, std::unique_ptr<Page>> pages_;
  int64_t last_page_ = -1;
  Page* last_ = nullptr;
};

}  // namespace cli::verify
