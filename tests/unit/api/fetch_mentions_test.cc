#include "broker/api/fetch_mentions.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "common/model/random.h"

using namespace broker::api;

namespace {

std::shared_ptr<const FetchTopicKey> named(const std::string& name) {
  FetchTopicKey key;
  key.name = name;
  return std::make_shared<const FetchTopicKey>(key);
}

FetchTarget target(std::shared_ptr<const FetchTopicKey> topic, int32_t partition, int64_t offset = 0) {
  FetchTarget t;
  t.topic = std::move(topic);
  t.partition = partition;
  t.fetch_offset = offset;
  return t;
}

using Text = std::vector<std::string>;

Text text_of(const std::vector<FetchTarget>& targets) {
  Text all;
  for (const FetchTarget& t : targets)
    all.push_back(t.topic->name + "-" + std::to_string(t.partition) + "@" + std::to_string(t.fetch_offset));
  return all;
}

// Kafka's map, slowly.
Text expected_of(const std::vector<FetchTarget>& targets) {
  std::vector<FetchTarget> kept;
  for (const FetchTarget& t : targets) {
    const auto at = std::find_if(kept.begin(), kept.end(), [&](const FetchTarget& other) {
      return *other.topic == *t.topic && other.partition == t.partition;
    });
    if (at == kept.end()) {
      kept.push_back(t);
    } else {
      *at = t;
    }
  }
  return text_of(kept);
}

}  // namespace

TEST_CASE("a partition stands where a fetch first names it, with what is said of it last (R109)") {
  const auto t = named("t");
  const auto u = named("u");
  const auto t_again = named("t");
  std::vector<FetchTarget> targets{target(t, 1, 10), target(t, 0, 20),       target(u, 1, 30),
                                   target(t, 1, 40), target(t_again, 0, 50), target(u, 2, 60)};
  std::vector<FetchTarget> many = targets;
  for (int32_t i = 0; i < 100; ++i) many.push_back(target(u, 2, i));

  keep_each_partition_once(targets);
  CHECK(text_of(targets) == Text{"t-1@40", "t-0@50", "u-1@30", "u-2@60"});
  keep_each_partition_once(many);
  CHECK(text_of(many) == Text{"t-1@40", "t-0@50", "u-1@30", "u-2@99"});
}

TEST_CASE("what a fetch names once stays as it is, few or many") {
  const size_t count = GENERATE(size_t{0}, size_t{1}, size_t{16}, size_t{17}, size_t{1000});
  std::vector<FetchTarget> targets;
  for (size_t i = 0; i < count; ++i) {
    const auto at = static_cast<int32_t>(i);
    targets.push_back(target(named("t" + std::to_string(i % 3)), 1000 - at, at));
  }
  const Text before = text_of(targets);
  keep_each_partition_once(targets);
  CHECK(text_of(targets) == before);
}

TEST_CASE("topics are told apart by id as well as by name") {
  FetchTopicKey one;
  one.id = common::model::Uuid::from_halves(1, 1);
  FetchTopicKey other;
  other.id = common::model::Uuid::from_halves(1, 2);
  const int32_t count = GENERATE(1, 20);
  std::vector<FetchTarget> targets;
  for (int32_t i = 0; i < count; ++i) {
    targets.push_back(target(std::make_shared<const FetchTopicKey>(one), i, 1));
    targets.push_back(target(std::make_shared<const FetchTopicKey>(other), i, 2));
    targets.push_back(target(std::make_shared<const FetchTopicKey>(one), i, 3));
  }
  keep_each_partition_once(targets);
  REQUIRE(targets.size() == static_cast<size_t>(2 * count));
  for (int32_t i = 0; i < count; ++i) {
    CHECK(targets[static_cast<size_t>(2 * i)].fetch_offset == 3);
    CHECK(targets[static_cast<size_t>(2 * i + 1)].fetch_offset == 2);
  }
}

TEST_CASE("any fetch means what Kafka's map of it says") {
  const uint64_t seed = GENERATE(range(uint64_t{1}, uint64_t{200}));
  INFO("seed " << seed);
  common::model::SeededRandom random(seed);
  const size_t count = random.next() % 60;
  const std::vector<std::shared_ptr<const FetchTopicKey>> topics{named("t"), named("u"), named("t"), named("tt")};
  std::vector<FetchTarget> targets;
  for (size_t i = 0; i < count; ++i) {
    targets.push_back(target(topics[random.next() % topics.size()], static_cast<int32_t>(random.next() % 12) - 1,
                             static_cast<int64_t>(i)));
  }
  const Text expected = expected_of(targets);
  keep_each_partition_once(targets);
  CHECK(text_of(targets) == expected);
}
