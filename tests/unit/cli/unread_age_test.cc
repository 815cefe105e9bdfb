// How old what a group has not read is.
#include "cli/unread_age.h"

#include <catch2/catch.hpp>

using namespace cli;
using std::chrono::milliseconds;

TEST_CASE("the lag in time is the age of the first record that is not read") {
  const SystemTime now(milliseconds(100'000));
  GroupOffset offset;
  offset.committed = 7;
  offset.end = 10;
  CHECK_FALSE(lag_time(offset, now));  // nobody told
  offset.unread_since = 97'500;
  CHECK(lag_time(offset, now) == milliseconds(2500));
  offset.unread_since = 100'001;  // a clock that is ahead
  CHECK(lag_time(offset, now) == milliseconds(0));
  offset.committed = 10;
  CHECK(lag_time(offset, now) == milliseconds(0));
  offset.committed.reset();
  CHECK_FALSE(lag_time(offset, now));
}

TEST_CASE("a group is as far behind as the partition that is furthest behind") {
  const SystemTime now(milliseconds(100'000));
  GroupFacts group;
  CHECK_FALSE(lag_time(group, now));
  GroupOffset offset;
  offset.committed = 1;
  offset.end = 1;
  group.offsets.push_back(offset);
  CHECK(lag_time(group, now) == milliseconds(0));
  offset.end = 2;
  group.offsets.push_back(offset);  // not known
  CHECK(lag_time(group, now) == milliseconds(0));
  for (const int64_t since : {99'000, 40'000, 98'000}) {
    offset.unread_since = since;
    group.offsets.push_back(offset);
  }
  CHECK(lag_time(group, now) == milliseconds(60'000));
}

namespace {
// Leaders as they answer: whole batches as far as there is room, the first one always. Counts what it is asked.
struct Leaders {
  int64_t batch_bytes = 0;
  int requests = 0;
  int64_t bytes = 0;

  AskLeader ask() {
    return [this](int32_t, const std::vector<Place>& places, ReadSize size) {
      ++requests;
      PlaceTimes answer;
      for (const Place& place : places) {
        const bool fits = batch_bytes <= size.each && answer.bytes + batch_bytes <= size.all;
        if (!fits && answer.bytes > 0) continue;
        answer.bytes += batch_bytes;
        answer.times[place] = place.offset;
      }
      bytes += answer.bytes;
      return answer;
    };
  }
};

struct Lagging {
  std::set<Place> places;
  std::map<common::model::TopicPartition, int32_t> leader_of;
};

Lagging lagging(int partitions, int groups, int leaders) {
  Lagging all;
  for (int p = 0; p < partitions; ++p) {
    const common::model::TopicPartition partition{"t", common::model::PartitionIndex(p)};
    all.leader_of[partition] = p % leaders;
    for (int g = 0; g < groups; ++g) all.places.insert({partition, g});
  }
  return all;
}
}  // namespace

TEST_CASE("what is asked of leaders is learnt in as few rounds as it takes") {
  Leaders leaders{.batch_bytes = 1000};
  const Lagging few = lagging(6, 2, 3);
  const PlaceTimes learnt = learn_times(few.places, few.leader_of, leaders.ask());
  CHECK(learnt.is_whole);
  CHECK(learnt.times.size() == 12);
  CHECK(learnt.times.at({{"t", common::model::PartitionIndex(5)}, 1}) == 1);
  CHECK(leaders.requests == 6);  // two groups, three leaders

  // Batches that are larger than the room of a partition do not take a round each.
  Leaders large{.batch_bytes = 200'000};
  const Lagging some = lagging(100, 1, 1);
  CHECK(learn_times(some.places, some.leader_of, large.ask()).times.size() == 100);
  CHECK(large.requests == 3);

  // Nobody answers, nobody leads.
  int asked = 0;
  const AskLeader silent = [&](int32_t, const std::vector<Place>&, ReadSize) {
    ++asked;
    return PlaceTimes();
  };
  const PlaceTimes none = learn_times(few.places, few.leader_of, silent);
  CHECK(none.times.empty());
  CHECK(none.is_whole);
  CHECK(asked == 3);
  CHECK(learn_times(few.places, {}, silent).times.empty());
  CHECK(asked == 3);
}

TEST_CASE("what is read for ages has bounds") {
  Leaders leaders{.batch_bytes = 60'000};
  const Lagging many = lagging(10'000, 1, 3);
  const PlaceTimes learnt = learn_times(many.places, many.leader_of, leaders.ask());
  CHECK_FALSE(learnt.is_whole);
  CHECK(learnt.bytes == leaders.bytes);
  CHECK(leaders.bytes <= unread_bytes_max + 60'000);
  CHECK(learnt.times.size() >= 1000);

  Leaders shared{.batch_bytes = 100};
  const Lagging groups = lagging(1, 1000, 1);
  const PlaceTimes first = learn_times(groups.places, groups.leader_of, shared.ask());
  CHECK_FALSE(first.is_whole);
  CHECK(shared.requests == unread_rounds_max);
  CHECK(first.times.size() == static_cast<size_t>(unread_rounds_max));
}
