// An ordered map whose copies share everything that did not change: set() and erase() copy only the path from the root
// to the changed node (an AVL tree of shared nodes). The metadata image is made of these, so that one record costs a
// handful of small nodes however large the cluster is: the image is never copied whole for a record.
//
// Immutable value: copies may be read on any thread.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <utility>

#include "common/model/check.h"

namespace controller::metadata {

template <class Key, class Value, class Less = std::less<>>
class PersistentMap {
  struct Node;
  using Link = std::shared_ptr<const Node>;
  struct Node {
    std::pair<Key, Value> item;
    Link left;
    Link right;
    uint8_t height = 1;
  };
  // An AVL tree of height h has more than 1.6^h nodes: 48 levels are never reached.
  static constexpr size_t max_height = 48;

 public:
  using value_type = std::pair<Key, Value>;

  class const_iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = std::pair<Key, Value>;
    using difference_type = std::ptrdiff_t;
    using pointer = const value_type*;
    using reference = const value_type&;

    const_iterator() = default;
    reference operator*() const { return path_[depth_ - 1]->item; }
    pointer operator->() const { return &path_[depth_ - 1]->item; }
    const_iterator& operator++() {
      const Node* at = path_[--depth_];
      descend(at->right.get());
      return *this;
    }
    const_iterator operator++(int) {
      const_iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const const_iterator& a, const const_iterator& b) {
      return a.depth_ == b.depth_ && (a.depth_ == 0 || a.path_[a.depth_ - 1] == b.path_[b.depth_ - 1]);
    }

   private:
    friend class PersistentMap;
    void descend(const Node* at) {
      for (; at != nullptr; at = at->left.get()) push(at);
    }
    void push(const Node* at) {
      NARU_CHECK(depth_ < max_height);
      path_[depth_++] = at;
    }
    std::array<const Node*, max_height> path_;  // the nodes still to visit, the current one last
    size_t depth_ = 0;
  };

  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  // The value of `key`, or nullptr. The pointer lives as long as any copy of this map that holds the entry.
  template <class K>
  [[nodiscard]] const Value* find(const K& key) const {
    const Node* at = root_.get();
    while (at != nullptr) {
      if (Less{}(key, at->item.first)) {
        at = at->left.get();
      } else if (Less{}(at->item.first, key)) {
        at = at->right.get();
      } else {
        return &at->item.second;
      }
    }
    return nullptr;
  }
  template <class K>
  [[nodiscard]] bool contains(const K& key) const {
    return find(key) != nullptr;
  }

  // This map with `key` bound to `value`.
  [[nodiscard]] PersistentMap set(Key key, Value value) const {
    bool added = false;
    Link root = insert(root_, std::move(key), std::move(value), added);
    return PersistentMap(std::move(root), size_ + (added ? 1 : 0));
  }
  // This map without `key`; the same map if it has none.
  template <class K>
  [[nodiscard]] PersistentMap erase(const K& key) const {
    if (!contains(key)) return *this;
    return PersistentMap(remove(root_, key), size_ - 1);
  }

  [[nodiscard]] const_iterator begin() const {
    const_iterator it;
    it.descend(root_.get());
    return it;
  }
  [[nodiscard]] const_iterator end() const { return {}; }
  // The first entry whose key is not less than `key`.
  template <class K>
  [[nodiscard]] const_iterator lower_bound(const K& key) const {
    const_iterator it;
    const Node* at = root_.get();
    while (at != nullptr) {
      if (Less{}(at->item.first, key)) {
        at = at->right.get();
      } else {
        it.push(at);
        at = at->left.get();
      }
    }
    return it;
  }

  // Whether both are the same tree: equal without looking at the entries.
  [[nodiscard]] bool same_as(const PersistentMap& other) const { return root_ == other.root_; }

  friend bool operator==(const PersistentMap& a, const PersistentMap& b) {
    return a.size_ == b.size_ && (a.root_ == b.root_ || std::equal(a.begin(), a.end(), b.begin()));
  }

 private:
  friend struct PersistentMapInspector;  // the test that checks the balance

  explicit PersistentMap(Link root, size_t size) : root_(std::move(root)), size_(size) {}
  PersistentMap(std::nullptr_t) = delete;

  static int height(const Link& n) { return n ? n->height : 0; }

  static Link make(value_type item, Link left, Link right) {
    const auto tall = static_cast<uint8_t>(std::max(height(left), height(right)) + 1);
    return std::make_shared<const Node>(Node{std::move(item), std::move(left), std::move(right), tall});
  }

  // A node over two subtrees whose heights differ by at most two, rotated where needed.
  static Link balance(value_type item, Link left, Link right) {
    const int lean = height(left) - height(right);
    if (lean > 1) {
      if (height(left->left) >= height(left->right)) {
        return make(left->item, left->left, make(std::move(item), left->right, std::move(right)));
      }
      const Link mid = left->right;
      return make(mid->item, make(left->item, left->left, mid->left),
                  make(std::move(item), mid->right, std::move(right)));
    }
    if (lean < -1) {
      if (height(right->right) >= height(right->left)) {
        return make(right->item, make(std::move(item), std::move(left), right->left), right->right);
      }
      const Link mid = right->left;
      return make(mid->item, make(std::move(item), std::move(left), mid->left),
                  make(right->item, mid->right, right->right));
    }
    return make(std::move(item), std::move(left), std::move(right));
  }

  static Link insert(const Link& at, Key&& key, Value&& value, bool& added) {
    if (!at) {
      added = true;
      return make(value_type(std::move(key), std::move(value)), nullptr, nullptr);
    }
    if (Less{}(key, at->item.first)) {
      return balance(at->item, insert(at->left, std::move(key), std::move(value), added), at->right);
    }
    if (Less{}(at->item.first, key)) {
      return balance(at->item, at->left, insert(at->right, std::move(key), std::move(value), added));
    }
    return make(value_type(std::move(key), std::move(value)), at->left, at->right);
  }

  template <class K>
  static Link remove(const Link& at, const K& key) {
    if (Less{}(key, at->item.first)) return balance(at->item, remove(at->left, key), at->right);
    if (Less{}(at->item.first, key)) return balance(at->item, at->left, remove(at->right, key));
    if (!at->left) return at->right;
    if (!at->right) return at->left;
    const Node* successor = at->right.get();
    while (successor->left) successor = successor->left.get();
    return balance(successor->item, at->left, remove_first(at->right));
  }
  static Link remove_first(const Link& at) {
    if (!at->left) return at->right;
    return balance(at->item, remove_first(at->left), at->right);
  }

  Link root_;
  size_t size_ = 0;

 public:
  PersistentMap() = default;
};

}  // namespace controller::metadata
