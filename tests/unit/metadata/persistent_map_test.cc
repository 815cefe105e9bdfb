#include <map>
#include <vector>

#include <catch2/catch.hpp>

#include "common/model/random.h"
#include "controller/metadata/persistent_map.h"

namespace controller::metadata {

// Sees the tree inside: order and balance are promises too.
struct PersistentMapInspector {
  template <class Map>
  static int check(const Map& map) {
    return check_node(map.root_.get());
  }
  template <class Node>
  static int check_node(const Node* n) {
    if (n == nullptr) return 0;
    const int left = check_node(n->left.get());
    const int right = check_node(n->right.get());
    REQUIRE(std::abs(left - right) <= 1);
    REQUIRE(n->height == std::max(left, right) + 1);
    if (n->left) REQUIRE(n->left->item.first < n->item.first);
    if (n->right) REQUIRE(n->item.first < n->right->item.first);
    return n->height;
  }
};

}  // namespace controller::metadata

using controller::metadata::PersistentMap;
using controller::metadata::PersistentMapInspector;
using Map = PersistentMap<int, int>;

namespace {

void require_same(const Map& map, const std::map<int, int>& model) {
  REQUIRE(map.size() == model.size());
  REQUIRE(std::equal(map.begin(), map.end(), model.begin(), model.end(),
                     [](const auto& a, const auto& b) { return a.first == b.first && a.second == b.second; }));
}

}  // namespace

TEST_CASE(
    "a persistent map follows std::map through random changes, stays balanced, and old copies stay as they were") {
  const auto seed = GENERATE(1u, 2u, 3u, 4u);
  common::model::SeededRandom random(seed);
  Map map;
  std::map<int, int> model;
  std::vector<std::pair<Map, std::map<int, int>>> kept;
  const int span = 20 << seed;
  for (int step = 0; step < 3000; ++step) {
    const int key = static_cast<int>(random.below(static_cast<uint64_t>(span)));
    if (random.below(5) < 3) {
      map = map.set(key, step);
      model[key] = step;
    } else {
      map = map.erase(key);
      model.erase(key);
    }
    const int probe = static_cast<int>(random.below(static_cast<uint64_t>(span)));
    const int* found = map.find(probe);
    REQUIRE((found != nullptr) == model.contains(probe));
    if (found != nullptr) REQUIRE(*found == model.at(probe));
    const auto at = map.lower_bound(probe);
    const auto expected = model.lower_bound(probe);
    REQUIRE((at == map.end()) == (expected == model.end()));
    if (expected != model.end()) REQUIRE(at->first == expected->first);
    if (step % 300 == 0) {
      PersistentMapInspector::check(map);
      kept.emplace_back(map, model);
    }
  }
  for (const auto& [old_map, old_model] : kept) require_same(old_map, old_model);
}

TEST_CASE("ascending and descending insertions stay balanced") {
  Map up;
  Map down;
  for (int i = 0; i < 4096; ++i) {
    up = up.set(i, i);
    down = down.set(-i, i);
  }
  REQUIRE(PersistentMapInspector::check(up) <= 13);
  REQUIRE(PersistentMapInspector::check(down) <= 13);
}

TEST_CASE("iterating from a key onwards") {
  Map map;
  for (int i = 0; i < 100; i += 10) map = map.set(i, i);
  std::vector<int> seen;
  for (auto at = map.lower_bound(45); at != map.end(); ++at) seen.push_back(at->first);
  REQUIRE(seen == std::vector{50, 60, 70, 80, 90});
  REQUIRE(map.lower_bound(95) == map.end());
  REQUIRE(Map{}.begin() == Map{}.end());
}

TEST_CASE("equality looks at the entries, not at the shape of the tree") {
  Map a;
  Map b;
  for (int i = 0; i < 50; ++i) a = a.set(i, i);
  for (int i = 49; i >= 0; --i) b = b.set(i, i);
  REQUIRE(a == b);
  REQUIRE_FALSE(a.same_as(b));
  REQUIRE_FALSE(a == b.set(7, 8));
  REQUIRE_FALSE(a == b.erase(7));
}
