#include "controller/metadata/config_lists.h"

#include <algorithm>
#include <compare>
#include <string>

#include <catch2/catch.hpp>

#include "common/model/random.h"

using namespace controller::metadata;

namespace {

using List = std::vector<std::string>;

List appended(List items, const List& added) {
  append_items(items, added);
  return items;
}

List subtracted(List items, const List& taken) {
  subtract_items(items, taken);
  return items;
}

// One by one, each looked for among all.
List changed_slowly(List items, const List& named, bool append) {
  for (const std::string& item : named) {
    const auto at = std::find(items.begin(), items.end(), item);
    if (append && at == items.end()) items.push_back(item);
    if (!append && at != items.end()) items.erase(at);
  }
  return items;
}

// Knows how often any two were compared.
struct Counted {
  int value = 0;
  static inline size_t comparisons = 0;
  [[maybe_unused]] friend bool operator==(const Counted& a, const Counted& b) {
    ++comparisons;
    return a.value == b.value;
  }
  friend std::strong_ordering operator<=>(const Counted& a, const Counted& b) {
    ++comparisons;
    return a.value <=> b.value;
  }
};

std::vector<Counted> numbers(int first, int count) {
  std::vector<Counted> all;
  for (int i = 0; i < count; ++i) all.push_back({first + (i * 7919) % count});  // in no order
  return all;
}

}  // namespace

TEST_CASE("a list keeps its order, takes what is new once, and gives up what is named (KIP-339)") {
  CHECK(appended({"delete"}, {"compact"}) == List{"delete", "compact"});
  CHECK(appended({"b", "a"}, {"c", "a", "c", "0"}) == List{"b", "a", "c", "0"});
  CHECK(appended({}, {"x", "x"}) == List{"x"});
  CHECK(appended({"a", "a"}, {}) == List{"a", "a"});
  CHECK(subtracted({"delete", "compact"}, {"delete"}) == List{"compact"});
  CHECK(subtracted({"c", "b", "a"}, {"a", "z", "c"}) == List{"b"});
  CHECK(subtracted({"a", "b", "a"}, {"a"}) == List{"b", "a"});
  CHECK(subtracted({"a", "b", "a"}, {"a", "a", "a"}) == List{"b"});
  CHECK(subtracted({}, {"a"}).empty());
}

TEST_CASE("lists change as if each item were looked for among all") {
  const uint64_t seed = GENERATE(range(uint64_t{1}, uint64_t{200}));
  INFO("seed " << seed);
  common::model::SeededRandom random(seed);
  const auto some = [&] {
    List list;
    for (uint64_t i = random.below(12); i > 0; --i)
      list.push_back(std::string(1, static_cast<char>('a' + random.below(8))));
    return list;
  };
  const List items = some();
  const List named = some();
  CHECK(appended(items, named) == changed_slowly(items, named, true));
  CHECK(subtracted(items, named) == changed_slowly(items, named, false));
}

TEST_CASE("no item of a long list walks all others") {
  constexpr int count = 4000;
  // The trees compare some 20 times for each item; who walks the list does it thousands of times.
  constexpr size_t most = 100 * count;
  std::vector<Counted> items;
  SECTION("appended") {
    Counted::comparisons = 0;
    append_items(items, numbers(0, count));
    append_items(items, numbers(count / 2, count));
    CHECK(Counted::comparisons < most);
    CHECK(items.size() == count + count / 2);
  }
  SECTION("subtracted") {
    items = numbers(0, count);
    std::vector<Counted> others = numbers(count / 2, count);
    Counted::comparisons = 0;
    subtract_items(items, others);
    CHECK(Counted::comparisons < most);
    CHECK(items.size() == count / 2);
  }
}
