// What APPEND and SUBTRACT make of a list (KIP-339). A value may hold thousands of items, legal or not, and none of
// them may walk all others: the controller's shard does nothing else meanwhile, not even Raft.
#pragma once
#include <cstddef>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace controller::metadata {

// At the end, in their order; what is there already, once.
template <class Item>
void append_items(std::vector<Item>& items, std::vector<Item> added) {
  std::set<Item> present(items.begin(), items.end());
  for (Item& item : added) {
    if (present.insert(item).second) items.push_back(std::move(item));
  }
}

// Each takes the first that equals it.
template <class Item>
void subtract_items(std::vector<Item>& items, const std::vector<Item>& taken) {
  std::map<Item, size_t> left;
  for (const Item& item : taken) ++left[item];
  std::erase_if(items, [&](const Item& item) {
    const auto at = left.find(item);
    if (at == left.end() || at->second == 0) return false;
    --at->second;
    return true;
  });
}

}  // namespace controller::metadata
