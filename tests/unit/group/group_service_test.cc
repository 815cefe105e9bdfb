// The shell over a log of memory: what is loaded, when requests wait, what happens when writing goes wrong.
#include "broker/group/service/group_service.h"

#include <algorithm>
#include <memory>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "broker/group/service/record_codec.h"
#include "common/records/batch_builder.h"
#include "group/memory_log.h"

using namespace broker::group;
using common::Awaitable;
using common::model::BufferChain;
using common::model::BytesView;
using common::model::fail;
using common::model::Result;
using common::model::SeededRandom;
using group_test::Disk;
using group_test::MemoryLog;

namespace {

Buffer batch_of(const std::vector<std::pair<std::string, std::optional<std::string>>>& records) {
  common::records::BatchBuilder builder;
  for (const auto& [key, value] : records) {
    const auto bytes = value ? std::optional(common::model::as_bytes(*value)) : std::nullopt;
    builder.add({.timestamp = TimestampMs(1), .key = common::model::as_bytes(key), .value = bytes});
  }
  return builder.build();
}

Buffer offset_batch(const std::string& group, int64_t offset) {
  StoredOffset value;
  value.offset = Offset(offset);
  const EncodedRecord e = *encode_record(OffsetStored{group, {"t", PartitionIndex(0)}, value});
  return batch_of({{std::string(e.key.text()), std::string(e.value->text())}});
}

struct Fixture {
  boost::asio::io_context io;
  common::SystemClock clock;
  std::unique_ptr<common::Shard> shard = common::make_manual_shard(0, clock, io);
  SeededRandom random{1};
  TopicIdPartition where{common::model::Uuid::from_halves(1, 1), PartitionIndex(3)};
  Disk disk;
  std::unique_ptr<GroupService> service;

  explicit Fixture(milliseconds load_patience = milliseconds(60)) {
    GroupServiceOptions options;
    options.shards = {shard.get()};
    options.home_of = [](const TopicIdPartition&) { return 0; };
    options.config.initial_rebalance_delay = milliseconds(0);
    options.config.write_timeout = milliseconds(20);
    options.config.removal_retry = milliseconds(5);
    options.batch_bytes_max = 4096;
    options.load_patience = load_patience;
    service = std::make_unique<GroupService>(std::move(options), random);
  }
  ~Fixture() {
    service->stop();
    io.poll();
  }

  void run(std::function<void()> f) {
    shard->post(std::move(f));
    io.restart();
    io.poll();
  }
  void lead(int32_t epoch) {
    run([this, epoch] { service->on_leading(where, LeaderEpoch(epoch), std::make_unique<MemoryLog>(disk, *shard)); });
  }

  template <class R>
  using Slot = std::shared_ptr<std::optional<typename AnswerTo<R>::type>>;

  template <class R>
  static Awaitable<void> ask_into(Fixture& f, R request, Slot<R> slot) {
    *slot = co_await f.service->ask(*f.shard, f.where, std::move(request));
  }
  template <class R>
  Slot<R> begin(R request) {
    auto slot = std::make_shared<std::optional<typename AnswerTo<R>::type>>();
    shard->spawn("ask", ask_into<R>(*this, std::move(request), slot));
    io.restart();
    io.poll();
    return slot;
  }
  // Runs until the answer is there; timers are real.
  template <class T>
  T wait(const std::shared_ptr<std::optional<T>>& slot) {
    io.restart();
    while (!*slot && io.run_one() > 0) {
    }
    REQUIRE(slot->has_value());
    return std::move(**slot);
  }
  template <class R>
  typename AnswerTo<R>::type ask(R request) {
    return wait(begin(std::move(request)));
  }

  static Awaitable<void> load_times_into(Fixture& f, std::shared_ptr<std::optional<size_t>> slot) {
    *slot = (co_await f.service->load_times(*f.shard)).size();
  }
  // How many coordinators have loaded.
  size_t loaded() {
    auto slot = std::make_shared<std::optional<size_t>>();
    shard->spawn("load times", load_times_into(*this, slot));
    return wait(slot);
  }

  // Timers are real; what is waited for is asked again and again, so no time is assumed.
  void run_for_a_moment() {
    io.restart();
    io.run_for(milliseconds(5));
  }

  static CommitRequest commit(const std::string& group, int64_t offset) {
    CommitRequest r;
    r.group = group;
    r.partitions.push_back({.partition = {"t", PartitionIndex(0)}, .offset = Offset(offset)});
    return r;
  }
  struct Commits {
    int64_t begun = 0;
    int64_t ended = 0;  // on a machine that stands still some without success: writes have 20 ms
    std::vector<int64_t> acknowledged;
  };
  static Awaitable<void> commit_into(Fixture& f, Commits& commits) {
    const int64_t offset = ++commits.begun;
    const CommitAnswer answer = co_await f.service->ask(*f.shard, f.where, commit("g", offset));
    ++commits.ended;
    if (answer.partitions.at(0) == ErrorCode::none) commits.acknowledged.push_back(offset);
  }
  // -1: nothing committed.
  Result<int64_t> fetch(const std::string& group) {
    const FetchAnswer a = ask(FetchRequest{.group = group, .partitions = {{{"t", PartitionIndex(0)}}}});
    if (a.error != ErrorCode::none) return fail(a.error);
    return a.partitions.at(0).value ? a.partitions[0].value->offset.value : -1;
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a broker that does not lead the partition says so") {
  CHECK(ask(commit("g", 1)).partitions.at(0) == ErrorCode::not_coordinator);
  lead(1);
  CHECK(ask(commit("g", 1)).partitions.at(0) == ErrorCode::none);
  run([this] { service->on_stopped(where); });
  CHECK(ask(commit("g", 1)).partitions.at(0) == ErrorCode::not_coordinator);
}

TEST_CASE_METHOD(Fixture, "a coordinator that is cut off sends its members away, and serves again afterwards (R33)") {
  lead(1);
  CHECK(ask(commit("g", 1)).partitions.at(0) == ErrorCode::none);
  disk.cut_off = true;
  CHECK(ask(commit("g", 2)).partitions.at(0) == ErrorCode::coordinator_not_available);
  CHECK(fetch("g").error().code == ErrorCode::not_coordinator);  // Java's consumer gives up with the other one
  disk.cut_off = false;
  CHECK(fetch("g").value() == 1);
}

TEST_CASE_METHOD(Fixture,
                 "a coordinator that may be outdated tells no offsets, and goes on with what is written (R33)") {
  lead(1);
  CHECK(ask(commit("g", 1)).partitions.at(0) == ErrorCode::none);
  disk.may_be_outdated = true;
  CHECK(fetch("g").error().code == ErrorCode::not_coordinator);
  CHECK(ask(commit("g", 2)).partitions.at(0) == ErrorCode::none);
  disk.may_be_outdated = false;
  CHECK(fetch("g").value() == 2);
}

TEST_CASE_METHOD(Fixture, "an offset ages from when it is believed to be, where the clock was set back (R106)") {
  const TimestampMs right(clock.wall_now().value + 86'400'000);
  disk.clock.look(clock.now(), right);
  lead(1);
  CHECK(ask(commit("g", 1)).partitions.at(0) == ErrorCode::none);
  const FetchAnswer answer = ask(FetchRequest{.group = "g", .partitions = {{{"t", PartitionIndex(0)}}}});
  REQUIRE(answer.partitions.at(0).value);
  CHECK(answer.partitions[0].value->committed_at >= right);
}

TEST_CASE_METHOD(Fixture, "what was written is loaded by the next leader") {
  lead(1);
  CHECK(ask(commit("g", 1)).partitions.at(0) == ErrorCode::none);
  CHECK(ask(commit("h", 5)).partitions.at(0) == ErrorCode::none);
  CHECK(ask(commit("g", 2)).partitions.at(0) == ErrorCode::none);
  lead(2);
  CHECK(fetch("g").value() == 2);
  CHECK(loaded() == 1);
  CHECK(fetch("h").value() == 5);
  CHECK(fetch("i").value() == -1);
  CHECK(disk.reads == 3);
}

TEST_CASE_METHOD(Fixture,
                 "offsets of a topic that was deleted while nobody coordinated do not come back with its name") {
  disk.put(offset_batch("g", 7));
  SECTION("it is there") {
    lead(1);
    CHECK(fetch("g").value() == 7);
  }
  SECTION("deleted before the load") {
    disk.deleted_topics = {"t"};
    lead(1);
    CHECK(fetch("g").value() == -1);
    disk.deleted_topics.clear();  // made again
    lead(2);
    CHECK(fetch("g").value() == -1);
  }
  SECTION("deleted and made again before the load") {
    lead(1);
    CommitRequest by_id = commit("h", 5);
    by_id.partitions[0].topic_id = disk.topic_id;
    CHECK(ask(by_id).partitions.at(0) == ErrorCode::none);
    lead(2);
    CHECK(fetch("h").value() == 5);
    disk.topic_id = common::model::Uuid::from_halves(7, 2);
    lead(3);
    CHECK(fetch("h").value() == -1);
    CHECK(fetch("g").value() == 7);  // of which nobody knows
  }
  SECTION("deleted during the load, and made again") {
    disk.hold_load = true;
    lead(1);
    run([this] { service->on_topic_deleted("t"); });
    disk.hold_load = false;
    run([this] { disk.released->pulse(); });
    CHECK(fetch("g").value() == -1);
    CHECK(ask(commit("g", 2)).partitions.at(0) == ErrorCode::none);
    lead(2);
    CHECK(fetch("g").value() == 2);
  }
}

TEST_CASE_METHOD(Fixture, "a deletion that is told late takes no offsets of the next topic of that name") {
  lead(1);
  const auto committed_for = [&](const std::string& group, uint64_t topic) {
    CommitRequest request = commit(group, 5);
    disk.topic_id = common::model::Uuid::from_halves(7, topic);
    request.partitions[0].topic_id = disk.topic_id;
    CHECK(ask(std::move(request)).partitions.at(0) == ErrorCode::none);
  };
  committed_for("g", 1);
  committed_for("h", 2);
  run([this] { service->on_topic_deleted("t", common::model::Uuid::from_halves(7, 1)); });
  CHECK(fetch("g").value() == -1);
  CHECK(fetch("h").value() == 5);
}

TEST_CASE_METHOD(Fixture,
                 "a deletion that is told late is not written behind a commit for the next topic of that name") {
  const auto former = common::model::Uuid::from_halves(7, 1);
  disk.put(offset_batch("g", 7));  // of which topic nobody knows
  lead(1);
  CHECK(fetch("g").value() == 7);
  disk.hold = true;
  const auto in_front = begin(commit("h", 1));
  const auto begin_for = [&](uint64_t topic) {
    CommitRequest request = commit("g", 2);
    disk.topic_id = common::model::Uuid::from_halves(7, topic);
    request.partitions[0].topic_id = disk.topic_id;
    return begin(std::move(request));
  };
  const auto go_on = [&] {
    disk.hold = false;
    run([this] { disk.released->pulse(); });
  };
  SECTION("the commit is written") {
    const auto next = begin_for(2);
    run([&] { service->on_topic_deleted("t", former); });
    go_on();
    (void)wait(next);
    CHECK(fetch("g").value() == 2);
    lead(2);
    CHECK(fetch("g").value() == 2);
  }
  SECTION("the commit cannot be written: what it was to replace goes") {
    const auto next = begin_for(2);
    run([&] { service->on_topic_deleted("t", former); });
    disk.append_error = ErrorCode::not_enough_replicas;
    go_on();
    CHECK(wait(next).partitions.at(0) == ErrorCode::coordinator_not_available);
    disk.append_error.reset();
    while (fetch("g").value() != -1) run_for_a_moment();
    lead(2);
    CHECK(fetch("g").value() == -1);
  }
  SECTION("the commit is for the topic that is gone") {
    const auto next = begin_for(1);
    run([&] { service->on_topic_deleted("t", former); });
    go_on();
    (void)wait(next);
    CHECK(fetch("g").value() == -1);
  }
  (void)wait(in_front);
}

TEST_CASE_METHOD(Fixture, "a commit for a topic that this shard does not know yet is asked for again, not lost") {
  lead(1);
  CommitRequest next = commit("g", 5);
  next.partitions[0].topic_id = common::model::Uuid::from_halves(7, 2);  // as the shard of the connection has it
  CHECK(ask(next).partitions.at(0) == ErrorCode::coordinator_load_in_progress);
  CHECK(fetch("g").value() == -1);
  disk.topic_id = *next.partitions[0].topic_id;
  CHECK(ask(next).partitions.at(0) == ErrorCode::none);
  CHECK(fetch("g").value() == 5);
}

TEST_CASE_METHOD(Fixture, "what was committed for a former topic of that name is not answered, removed or not") {
  disk.put(offset_batch("g", 7));  // of which nobody knows
  lead(1);
  CommitRequest by_id = commit("h", 5);
  by_id.partitions[0].topic_id = disk.topic_id;
  CHECK(ask(std::move(by_id)).partitions.at(0) == ErrorCode::none);
  CHECK(fetch("h").value() == 5);
  CHECK(ask(FetchRequest{.group = "h"}).partitions.size() == 1);
  disk.append_error = ErrorCode::not_enough_replicas;
  disk.topic_id = common::model::Uuid::from_halves(7, 2);
  CHECK(fetch("h").value() == -1);
  CHECK(ask(FetchRequest{.group = "h"}).partitions.empty());
  CHECK(fetch("g").value() == 7);
}

TEST_CASE_METHOD(Fixture, "removals of a deleted topic's offsets that cannot be written are tried again") {
  disk.put(offset_batch("g", 7));
  lead(1);
  CHECK(fetch("g").value() == 7);
  SECTION("too few replicas") {
    disk.append_error = ErrorCode::not_enough_replicas;
    run([this] { service->on_topic_deleted("t"); });
    CHECK(fetch("g").value() == 7);
    run_for_a_moment();
    disk.append_error.reset();
  }
  SECTION("nobody knows whether they are written, and they are not") {
    disk.append_error = ErrorCode::kafka_storage_error;
    disk.hold_load = true;
    run([this] { service->on_topic_deleted("t"); });
    REQUIRE(disk.batches.size() == 2);
    disk.batches.pop_back();
    disk.end = Offset(1);
    disk.append_error.reset();
    disk.hold_load = false;
    run([this] { disk.released->pulse(); });
  }
  while (!fetch("g") || fetch("g").value() != -1) run_for_a_moment();
  lead(2);  // and in the log
  CHECK(fetch("g").value() == -1);
}

TEST_CASE_METHOD(Fixture, "a removal that is tried again takes nothing that was committed meanwhile") {
  disk.put(offset_batch("g", 7));
  disk.put(offset_batch("h", 8));
  lead(1);
  CHECK(fetch("g").value() == 7);
  disk.append_error = ErrorCode::not_enough_replicas;
  run([this] { service->on_topic_deleted("t"); });
  disk.append_error.reset();
  CHECK(ask(commit("g", 9)).partitions.at(0) == ErrorCode::none);
  while (fetch("h").value() != -1) run_for_a_moment();
  CHECK(fetch("g").value() == 9);
  lead(2);
  CHECK(fetch("g").value() == 9);
}

TEST_CASE_METHOD(Fixture, "requests wait a moment for a load, and a longer one is told") {
  disk.put(offset_batch("g", 7));
  disk.hold_load = true;
  lead(1);
  const auto early = begin(FetchRequest{.group = "g"});
  CHECK_FALSE(early->has_value());
  SECTION("it ends in time") {
    disk.hold_load = false;
    disk.released->pulse();
    CHECK(wait(early).partitions.at(0).value->offset == Offset(7));
  }
  SECTION("it does not") {
    CHECK(wait(early).error == ErrorCode::coordinator_load_in_progress);
    CHECK(ask(HeartbeatRequest{.group = "g"}).error == ErrorCode::coordinator_load_in_progress);
    // Some clients take that for a failure where they join, and look for the coordinator again on this.
    CHECK(ask(JoinRequest{.group = "g"}).error == ErrorCode::not_coordinator);
    CHECK(ask(SyncRequest{.group = "g"}).error == ErrorCode::not_coordinator);
  }
}

TEST_CASE("nobody overtakes who waits for a load, whenever in its end he comes (R87)") {
  Fixture f(std::chrono::minutes(1));
  f.disk.put(offset_batch("g", 0));
  f.disk.hold_load = true;
  f.lead(1);
  Fixture::Commits commits;
  const auto commit_another = [&] { f.shard->spawn("commit", Fixture::commit_into(f, commits)); };
  commit_another();
  commit_another();
  f.run([] {});
  REQUIRE(commits.begun == 2);
  REQUIRE(commits.ended == 0);
  f.disk.hold_load = false;
  f.disk.released->pulse();
  // One comes before each step that the loop takes.
  for (int step = 0; step < 40; ++step) {
    commit_another();
    f.io.restart();
    f.io.poll_one();
  }
  while (commits.ended < 42) f.run_for_a_moment();
  REQUIRE_FALSE(commits.acknowledged.empty());
  CHECK(std::is_sorted(commits.acknowledged.begin(), commits.acknowledged.end()));
  CHECK(f.fetch("g").value() >= commits.acknowledged.back());
}

TEST_CASE_METHOD(Fixture, "a topic that is deleted while a coordinator loads takes its offsets along") {
  disk.put(offset_batch("g", 7));
  disk.hold_load = true;
  lead(1);
  run([this] { service->on_topic_deleted("t"); });
  run([this] { service->on_topic_deleted("another"); });
  disk.hold_load = false;
  disk.released->pulse();
  while (!fetch("g") || fetch("g").value() != -1) run_for_a_moment();
  lead(2);  // and in the log
  CHECK(fetch("g").value() == -1);
}

TEST_CASE_METHOD(Fixture, "a partition that cannot be loaded never looks empty") {
  disk.put(offset_batch("g", 7));
  SECTION("it cannot be read") {
    disk.read_error = ErrorCode::kafka_storage_error;
  }
  SECTION("a record is of a version to come") {
    disk.put(batch_of({{std::string("\0\1\0\1g\0\1t\0\0\0\0", 11), std::string("\0\x63", 2)}}));
  }
  SECTION("a record has no meaning") {
    disk.put(batch_of({{"", "x"}}));
  }
  SECTION("a checksum is wrong") {
    Buffer& batch = disk.batches[0];
    const_cast<std::byte&>(batch.view()[batch.size() - 1]) ^= std::byte{1};
  }
  SECTION("a checksum is wrong, of records that can be read all the same") {
    Buffer& batch = disk.batches[0];
    const_cast<std::byte&>(batch.view()[batch.size() - 3]) ^= std::byte{1};
  }
  lead(1);
  CHECK(fetch("g").error().code == ErrorCode::not_coordinator);
  CHECK(loaded() == 0);
  const int reads = disk.reads;
  while (disk.reads == reads) run_for_a_moment();  // tried again
  disk.read_error.reset();
  disk.batches.clear();
  disk.end = Offset(0);
  disk.put(offset_batch("g", 8));
  while (!fetch("g")) run_for_a_moment();
  CHECK(fetch("g").value() == 8);
}

TEST_CASE_METHOD(Fixture, "what was read but is not committed yet is not served (R104)") {
  disk.put(offset_batch("g", 7));
  disk.hold_commit = true;
  lead(1);
  CHECK(fetch("g").error().code == ErrorCode::coordinator_load_in_progress);
  disk.hold_commit = false;
  disk.released->pulse();
  while (!fetch("g")) run_for_a_moment();
  CHECK(fetch("g").value() == 7);
}

TEST_CASE_METHOD(Fixture, "record types of others are skipped") {
  disk.put(batch_of({{std::string("\0\3\0\1x", 5), "future"}}));
  disk.put(offset_batch("g", 3));
  lead(1);
  CHECK(fetch("g").value() == 3);
}

TEST_CASE_METHOD(Fixture, "nothing is acknowledged or shown before it is committed") {
  lead(1);
  disk.hold = true;
  const auto first = begin(commit("g", 1));
  const auto second = begin(commit("g", 2));
  CHECK_FALSE(first->has_value());
  CHECK(fetch("g").value() == -1);
  SECTION("it commits, and what gathered meanwhile goes as one batch") {
    const auto third = begin(commit("h", 3));
    disk.hold = false;
    disk.released->pulse();
    CHECK(wait(first).partitions.at(0) == ErrorCode::none);
    CHECK(wait(second).partitions.at(0) == ErrorCode::none);
    CHECK(wait(third).partitions.at(0) == ErrorCode::none);
    CHECK(fetch("g").value() == 2);
    CHECK(disk.batches.size() == 2);
  }
  SECTION("it takes too long") {
    CHECK(wait(first).partitions.at(0) == ErrorCode::coordinator_not_available);
    CHECK(wait(second).partitions.at(0) == ErrorCode::coordinator_not_available);
    disk.hold = false;
    disk.released->pulse();
    io.restart();
    io.poll();
    CHECK(fetch("g").value() == 2);
  }
  SECTION("leadership ends") {
    run([this] { service->on_stopped(where); });
    CHECK(wait(first).partitions.at(0) == ErrorCode::not_coordinator);
  }
}

TEST_CASE_METHOD(Fixture, "a write that is refused, and one of which nobody knows") {
  lead(1);
  CHECK(ask(commit("g", 1)).partitions.at(0) == ErrorCode::none);
  SECTION("too few replicas: certainly not written") {
    disk.append_error = ErrorCode::not_enough_replicas;
    CHECK(ask(commit("g", 2)).partitions.at(0) == ErrorCode::coordinator_not_available);
    CHECK(fetch("g").value() == 1);
    disk.append_error.reset();
    CHECK(ask(commit("g", 3)).partitions.at(0) == ErrorCode::none);
  }
  SECTION("the outcome is unknown: the log is asked") {
    disk.append_error = ErrorCode::kafka_storage_error;
    CHECK(ask(commit("g", 2)).partitions.at(0) == ErrorCode::coordinator_not_available);
    disk.append_error.reset();
    CHECK(fetch("g").value() == 2);
  }
  SECTION("larger than a batch may be") {
    CommitRequest r;
    r.group = "g";
    for (int i = 0; i < 200; ++i)
      r.partitions.push_back({.partition = {"a-rather-long-name", PartitionIndex(i)}, .offset = Offset(1)});
    CHECK(ask(std::move(r)).partitions.at(0) == ErrorCode::invalid_commit_offset_size);
    CHECK(ask(commit("g", 4)).partitions.at(0) == ErrorCode::none);
  }
}

TEST_CASE_METHOD(Fixture, "what gathers is written in batches that the topic takes") {
  lead(1);
  disk.batch_bytes_max = 400;
  disk.hold = true;
  std::vector<Slot<CommitRequest>> commits;
  for (int i = 0; i < 20; ++i) commits.push_back(begin(commit(fmt::format("group-{}", i), i)));
  disk.hold = false;
  disk.released->pulse();
  for (const auto& one : commits) CHECK(wait(one).partitions.at(0) == ErrorCode::none);
}

TEST_CASE_METHOD(Fixture, "an older epoch does not replace a newer one") {
  lead(5);
  CHECK(ask(commit("g", 1)).partitions.at(0) == ErrorCode::none);
  const int reads = disk.reads;
  lead(4);
  CHECK(disk.reads == reads);
  CHECK(fetch("g").value() == 1);
}

TEST_CASE_METHOD(Fixture, "a group forms, and time passes for it") {
  lead(1);
  JoinRequest join;
  join.group = "g";
  join.client_id = "c";
  join.session_timeout = milliseconds(6000);
  join.rebalance_timeout = milliseconds(6000);
  join.protocol_type = "consumer";
  join.protocols.push_back({"range", Buffer::copy_of(std::string("\0\0\0\0\0\0", 6))});
  JoinRequest again = join;
  const JoinAnswer named = ask(std::move(join));
  REQUIRE(named.error == ErrorCode::member_id_required);
  CHECK(named.member_id.size() == std::string("c-").size() + 36);
  again.member_id = named.member_id;
  const JoinAnswer joined = ask(std::move(again));
  REQUIRE(joined.error == ErrorCode::none);
  SyncRequest sync{.group = "g", .generation = *joined.generation, .member_id = joined.member_id};
  sync.assignments.emplace_back(joined.member_id, Buffer::copy_of(std::string("all")));
  CHECK(ask(std::move(sync)).assignment.text() == "all");
  const ListAnswer listed = ask(ListRequest{});
  REQUIRE(listed.groups.size() == 1);
  CHECK(listed.groups[0].state == "Stable");
}
