// The real file system, and a log on it.
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <filesystem>
#include <future>
#include <latch>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "common/disk/kernel_disk.h"
#include "common/log/log_directory.h"
#include "log/log_fixture.h"
#include "support/pool_threads.h"

using namespace log_test;
using common::disk::DiskPool;
using common::disk::Durability;
using common::disk::OpenMode;

namespace {

class Owner {
 public:
  Owner() {
    std::string name = (std::filesystem::temp_directory_path() / "naru-disk-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root = name;
  }
  ~Owner() {
    disk.reset();
    std::filesystem::remove_all(root);
  }
  void make(size_t descriptors) {
    disk = make_kernel_disk(pool,
                            [this](std::function<void()> f) {
                              std::lock_guard lock(mutex_);
                              posted_.push_back(std::move(f));
                              wake_.notify_one();
                            },
                            {.descriptors_max = descriptors});
  }
  // Runs what was posted until `done`.
  template <class F>
  void run_until(F done) {
    while (!done()) {
      std::function<void()> f;
      {
        std::unique_lock lock(mutex_);
        REQUIRE(wake_.wait_for(lock, std::chrono::seconds(30), [this] { return !posted_.empty(); }));
        f = std::move(posted_.front());
        posted_.pop_front();
      }
      f();
    }
  }
  size_t posted() {
    std::lock_guard lock(mutex_);
    return posted_.size();
  }

  std::string root;
  DiskPool pool{{}};
  std::unique_ptr<common::disk::Disk> disk;

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> posted_;
};

size_t open_descriptors(const std::string& under) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    if (std::filesystem::read_symlink(entry.path(), error).string().starts_with(under)) ++count;
  }
  return count;
}

// The thread that removes is busy until opened.
class BusyRemoval {
 public:
  explicit BusyRemoval(DiskPool& pool) {
    std::latch busy(1);
    pool.run_removal([&busy, opened = gate_.get_future().share()] {
      busy.count_down();
      opened.wait();
    });
    busy.wait();
  }
  ~BusyRemoval() { open(); }
  void open() {
    if (!std::exchange(is_open_, true)) gate_.set_value();
  }

 private:
  std::promise<void> gate_;
  bool is_open_ = false;
};

}  // namespace

TEST_CASE("many files share few descriptors") {
  Owner owner;
  owner.make(4);
  std::vector<std::shared_ptr<common::disk::File>> files;
  for (int i = 0; i < 20; ++i) {
    files.push_back(*owner.disk->open(fmt::format("{}/{}", owner.root, i), OpenMode::create_if_missing));
    const std::string text = fmt::format("file {}", i);
    const BytesView parts[] = {as_bytes(text), as_bytes("!")};
    REQUIRE(files.back()->write_at(0, parts));
  }
  size_t synced = 0;
  for (int i = 0; i < 20; ++i) {
    std::array<std::byte, 32> bytes;
    const auto n = files[static_cast<size_t>(i)]->read_at(0, bytes);
    REQUIRE(n);
    REQUIRE(common::model::as_text(BytesView(bytes).first(*n)) == fmt::format("file {}!", i));
    REQUIRE(open_descriptors(owner.root) <= 4 + 2);  // and one for each sync that runs
    files[static_cast<size_t>(i)]->sync([&](const auto& r) { synced += r ? 1 : 0; });
  }
  owner.run_until([&] { return synced == 20; });
  files.clear();
  REQUIRE(open_descriptors(owner.root) == 0);
}

TEST_CASE("an urgent change goes before the changes that wait") {
  Owner o;
  o.make(4);
  std::promise<void> first;
  std::promise<void> second;
  std::latch busy(2);
  std::vector<int> order;
  size_t done = 0;
  const auto queue = [&](common::disk::Job kind, std::function<void()> f) {
    o.disk->offload(
        kind,
        [f = std::move(f)]() -> common::disk::IoResult<void> {
          f();
          return {};
        },
        [&](const auto&) { ++done; });
  };
  for (std::promise<void>* gate : {&first, &second}) {  // both threads
    queue(common::disk::Job::changes, [&busy, gate] {
      busy.count_down();
      gate->get_future().wait();
    });
  }
  busy.wait();
  for (int i = 1; i <= 3; ++i) queue(common::disk::Job::changes, [&order, i] { order.push_back(i); });
  queue(common::disk::Job::urgent_changes, [&order] { order.push_back(0); });
  first.set_value();
  o.run_until([&] { return done == 5; });
  second.set_value();
  o.run_until([&] { return done == 6; });
  REQUIRE(order == std::vector<int>{0, 1, 2, 3});
}

TEST_CASE("no sync of a log waits while the file system removes what had been deleted (R78)") {
  Owner o;
  o.make(4);
  LogConfig config;
  config.segment_bytes = 400;
  config.file_delete_delay = std::chrono::milliseconds(0);
  LogEnvironment environment;
  environment.disk = o.disk.get();
  auto log = Log::open(environment, o.root + "/orders-0", config, {}, TimestampMs(1));
  REQUIRE(log);
  const auto put = [&] { REQUIRE((*log)->append_own(make_batch({}), LeaderEpoch(0), TimestampMs(1))); };
  const auto flush = [&] {
    std::optional<bool> flushed;
    (*log)->flush([&](const auto& r) { flushed = r.has_value(); });
    o.run_until([&] { return flushed.has_value(); });
    return *flushed;
  };
  const auto deleted = [&] {
    const auto entries = o.disk->list(o.root + "/orders-0").value();
    return std::count_if(entries.begin(), entries.end(), [](const auto& e) { return e.name.ends_with(".deleted"); });
  };
  for (int i = 0; i < 12; ++i) put();
  BusyRemoval removal(o.pool);
  (*log)->advance_log_start((*log)->log_end_offset());
  REQUIRE(flush());  // behind the files' new names
  REQUIRE(deleted() > 0);
  const common::log::Now later{common::model::Instant(std::chrono::seconds(1)), TimestampMs(2)};
  (*log)->tick(later);
  put();
  CHECK(flush());
  CHECK(deleted() > 0);
  removal.open();
  std::optional<bool> removed;
  o.disk->offload(common::disk::Job::removals, [] { return common::disk::IoResult<void>(); },
                  [&](const auto&) { removed = true; });
  o.run_until([&] { return removed.has_value(); });
  CHECK(deleted() == 0);
}

TEST_CASE("the name of a partition that is deleted is free before its files are gone (R42)") {
  Owner o;
  o.make(4);
  auto directory = LogDirectory::open(*o.disk, o.root + "/data");
  REQUIRE(directory);
  const common::model::TopicPartition orders{"orders", common::model::PartitionIndex(0)};
  REQUIRE((*directory)->create_partition(orders, common::model::Uuid::from_halves(1, 1)));
  REQUIRE((*directory)->begin_run());
  const auto leaving = [&] {
    const auto entries = o.disk->list(o.root + "/data").value();
    return std::count_if(entries.begin(), entries.end(), [](const auto& e) { return e.name.ends_with("-delete"); });
  };
  BusyRemoval removal(o.pool);
  std::optional<bool> deleted;
  (*directory)->delete_partition(orders, common::model::Uuid::from_halves(2, 2), {},
                                 [&](const auto& r) { deleted = r.has_value(); });
  o.run_until([&] { return deleted.has_value(); });
  CHECK(deleted == true);
  CHECK(leaving() == 1);
  CHECK((*directory)->create_partition(orders, common::model::Uuid::from_halves(1, 2)));
  removal.open();
  std::optional<bool> removed;
  o.disk->offload(common::disk::Job::removals, [] { return common::disk::IoResult<void>(); },
                  [&](const auto&) { removed = true; });
  o.run_until([&] { return removed.has_value(); });
  CHECK(leaving() == 0);
  CHECK(o.disk->list((*directory)->partition_path(orders)));
  directory->reset();
}

TEST_CASE("the end of a process does not wait for what is still to be removed") {
  Owner o;
  o.make(4);
  const std::string big = o.root + "/orders-0.0123-delete";
  REQUIRE(o.disk->create_directories(big));
  {
    BusyRemoval removal(o.pool);
    o.disk->offload(
        common::disk::Job::removals, [&big, disk = o.disk.get()] { return disk->remove_tree(big); },
        [](const auto&) {});
    o.pool.leave_removals();
  }
  o.disk.reset();  // waits for the pool
  CHECK(std::filesystem::exists(big));
}

TEST_CASE("a disk that goes away waits for what its files have asked of the pool, as its owner goes next") {
  Owner o;
  o.make(4);
  const auto file = *o.disk->open(o.root + "/log", OpenMode::create_if_missing);
  REQUIRE(file->write_at(0, as_bytes("abc")));
  std::promise<void> gate;
  const std::shared_future<void> opened = gate.get_future().share();
  std::latch busy(2);
  for (int i = 0; i < 2; ++i) {  // both threads
    o.pool.run_sync([&busy, opened] {
      busy.count_down();
      opened.wait();
    });
  }
  busy.wait();
  file->sync([](const auto&) {});
  file->start_writeback(0, 3);
  file->read_cold(0, 3, [](const auto&) {});
  size_t posted = 0;
  std::latch begun(1);
  std::thread owner([&] {
    begun.count_down();
    o.disk.reset();
    posted = o.posted();
  });
  begun.wait();
  gate.set_value();
  owner.join();
  REQUIRE(posted == 2);  // nobody hears of the writeback
}

TEST_CASE("a file that is held open stays the file that it is, whatever its name comes to mean") {
  Owner o;
  o.make(1);
  const auto written = [&](const std::string& name, std::string_view text) {
    auto file = o.disk->open(o.root + name, OpenMode::create_if_missing);
    REQUIRE(file);
    REQUIRE((*file)->write_at(0, as_bytes(text)));
    return *file;
  };
  const auto text_of = [](common::disk::File& file) {
    std::array<std::byte, 3> bytes;
    const auto n = file.read_at(0, bytes);
    REQUIRE((n && *n == 3));
    return std::string(common::model::as_text(BytesView(bytes)));
  };
  const auto held = written("/a", "old");
  const auto loose = o.disk->open(o.root + "/a", OpenMode::existing);
  REQUIRE(held->hold_open());
  written("/b", "new");  // the only other descriptor
  REQUIRE(o.disk->rename(o.root + "/b", o.root + "/a"));
  CHECK(text_of(*held) == "old");
  CHECK(text_of(**loose) == "new");
  REQUIRE(o.disk->remove_file(o.root + "/a"));
  CHECK(text_of(*held) == "old");
}

TEST_CASE("reads, truncation, names and the whole content of a file") {
  Owner owner;
  owner.make(16);
  const std::string path = owner.root + "/f";
  auto file = *owner.disk->open(path, OpenMode::create_if_missing);
  REQUIRE(file->write_at(0, as_bytes("0123456789")));
  REQUIRE(file->truncate(6));
  REQUIRE(file->allocate(4096));
  REQUIRE(*file->size() == 4096);
  REQUIRE(file->truncate(6));
  std::array<std::byte, 16> bytes;
  const auto warm = file->try_read(2, bytes);
  REQUIRE((warm || warm.error().fault == IoFault::would_block));
  if (warm) REQUIRE(*warm == 4);
  std::string cold;
  file->read_cold(4, 100, [&](const auto& r) { cold = r->text(); });
  owner.run_until([&] { return !cold.empty(); });
  REQUIRE(cold == "45");

  REQUIRE(owner.disk->replace_file(path, as_bytes("whole"), Durability::medium));
  REQUIRE(owner.disk->read_file(path, 10)->text() == "whole");
  REQUIRE(owner.disk->read_file(path, 3).error().fault == IoFault::too_large);
  REQUIRE(owner.disk->read_file(owner.root + "/none", 3).error().fault == IoFault::not_found);
  REQUIRE(owner.disk->rename(path, owner.root + "/g"));
  REQUIRE(owner.disk->sync_directory(owner.root));
  REQUIRE(owner.disk->list(owner.root)->size() == 1);
  REQUIRE(owner.disk->list(owner.root)->front().name == "g");
  REQUIRE(owner.disk->remove_file(owner.root + "/g"));
  REQUIRE(owner.disk->space(owner.root)->total_bytes > 0);
  REQUIRE(owner.disk->machine_identity(owner.root)->boot_id.size() == 36);
  REQUIRE(*owner.disk->machine_identity(owner.root) == *owner.disk->machine_identity(owner.root));
  auto lock = owner.disk->lock(owner.root + "/.lock");
  REQUIRE(lock);
  REQUIRE(owner.disk->lock(owner.root + "/.lock").error().fault == IoFault::locked);
  lock->reset();
  REQUIRE(owner.disk->lock(owner.root + "/.lock"));
}

TEST_CASE("a process without descriptors says so, and of the disk nothing (fault 40)") {
  Owner owner;
  test_support::await_threads(owner.pool);
  owner.make(1);
  auto file = *owner.disk->open(owner.root + "/log", OpenMode::create_if_missing);
  REQUIRE(file->write_at(0, as_bytes("abc")));
  auto other = *owner.disk->open(owner.root + "/other", OpenMode::create_if_missing);  // takes the only place
  REQUIRE(owner.disk->remove_file(owner.root + "/other"));
  other.reset();
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{3, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const auto checkpoint = owner.disk->replace_file(owner.root + "/checkpoint", as_bytes("0"), Durability::medium);
  const auto listed = owner.disk->list(owner.root);
  const auto written = file->write_at(3, as_bytes("def"));
  const auto synced = file->sync_now();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(checkpoint.error().fault == IoFault::exhausted);
  CHECK(listed.error().fault == IoFault::exhausted);
  CHECK(written.error().fault == IoFault::exhausted);
  CHECK(synced.error().fault == IoFault::exhausted);
  CHECK(file->write_at(3, as_bytes("def")));
  CHECK(file->sync_now());  // the kernel had not been asked: nothing is final
  CHECK(owner.disk->read_file(owner.root + "/log", 10)->text() == "abcdef");
}

TEST_CASE("what could not take the place of a file leaves nothing of itself on a disk that may be full (R81)") {
  Owner owner;
  owner.make(1);
  namespace fs = std::filesystem;
  const std::string path = owner.root + "/00000000000000000007-0000000002.checkpoint";
  SECTION("it is written in part") {
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    const rlimit little{4096, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &little) == 0);
    const auto replaced = owner.disk->replace_file(path, as_bytes(std::string(10000, 'x')), Durability::medium);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    std::signal(SIGXFSZ, handler);
    REQUIRE_FALSE(replaced);
    CHECK(replaced.error().fault == IoFault::no_space);
    CHECK(owner.disk->list(owner.root)->empty());
  }
  SECTION("it does not get its name") {
    fs::create_directories(path + "/something");
    REQUIRE_FALSE(owner.disk->replace_file(path, as_bytes("abc"), Durability::medium));
    CHECK(owner.disk->list(owner.root)->size() == 1);
  }
}

TEST_CASE("a file of which nothing can be learned is not one that is missing from its directory (R76)") {
  Owner owner;
  owner.make(1);
  namespace fs = std::filesystem;
  const std::string directory = owner.root + "/orders-0";
  REQUIRE(owner.disk->create_directories(directory));
  REQUIRE(owner.disk->open(directory + "/00000000000000000000.log", OpenMode::create_if_missing));
  REQUIRE(owner.disk->list(directory)->size() == 1);
  // Its names can be read, and no more than those. The superuser could, so somebody else looks.
  fs::permissions(owner.root, fs::perms(0755));
  fs::permissions(directory, fs::perms(0444));
  const bool is_superuser = ::geteuid() == 0;
  if (is_superuser) ::setfsuid(65534);
  const auto listed = owner.disk->list(directory);
  if (is_superuser) ::setfsuid(0);
  fs::permissions(directory, fs::perms(0755));
  REQUIRE_FALSE(listed);
  INFO(listed.error().message);
  REQUIRE(listed.error().message.find("stat " + directory + "/00000000000000000000.log") == 0);
}

TEST_CASE("a log on the real file system: append, roll, flush, close, open again") {
  Owner owner;
  owner.make(3);
  auto directory = LogDirectory::open(*owner.disk, owner.root + "/data");
  REQUIRE(directory);
  const common::model::TopicPartition orders{"orders", common::model::PartitionIndex(0)};
  const auto path = (*directory)->create_partition(orders, common::model::Uuid::from_halves(1, 1));
  REQUIRE(path);
  LogConfig config;
  config.segment_bytes = 20000;
  if (GENERATE(false, true)) config.preallocate_bytes = 8192;
  LogEnvironment environment;
  environment.disk = owner.disk.get();
  auto log = Log::open(environment, *path, config, {PreviousEnd::clean, {}, {}, {}}, TimestampMs(1));
  REQUIRE(log);
  REQUIRE((*directory)->begin_run());
  for (int i = 0; i < 200; ++i) {
    REQUIRE((*log)->append_own(make_batch({.records = 2, .value_bytes = 300, .timestamp = 1000 + i}),
                               LeaderEpoch(i / 50), TimestampMs(1)));
  }
  std::optional<Offset> flushed;
  (*log)->flush([&](const auto& r) { flushed = *r; });
  owner.run_until([&] { return flushed.has_value(); });
  REQUIRE(flushed == Offset(400));
  REQUIRE((*log)->segment_count() > 5);
  std::optional<int64_t> next;
  (*log)->read_cold({Offset(77), Offset(400)}, [&](const auto& r) { next = r->next_offset.value; });
  owner.run_until([&] { return next.has_value(); });
  REQUIRE(*next > 77);
  bool closed = false;
  (*log)->close([&](const auto& r) { closed = r.has_value(); });
  owner.run_until([&] { return closed; });
  const auto epochs = (*log)->epochs().entries();
  log->reset();
  log = Log::open(environment, *path, config, {PreviousEnd::clean, Offset(400), {}, {}}, TimestampMs(1));
  REQUIRE(log);
  REQUIRE((*log)->log_end_offset() == Offset(400));
  REQUIRE((*log)->epochs().entries() == epochs);
  REQUIRE((*log)->recovery_report().rebuilt_indexes == 0);
  std::optional<FoundRecord> found;
  bool done = false;
  (*log)->find_timestamp(TimestampMs(1150), Offset(400), [&](const auto& r) {
    found = *r;
    done = true;
  });
  owner.run_until([&] { return done; });
  REQUIRE(found);
  REQUIRE(found->timestamp == TimestampMs(1150));
  log->reset();
  directory->reset();
}

TEST_CASE("a log on the real file system is compacted while it is read and appended to") {
  Owner o;
  o.make(4);
  LogConfig config;
  config.segment_bytes = 2000;
  config.retention_ms.reset();
  config.file_delete_delay = std::chrono::milliseconds(0);
  LogEnvironment environment;
  environment.disk = o.disk.get();
  auto log = Log::open(environment, o.root + "/orders-0", config, {}, TimestampMs(1000));
  REQUIRE(log);
  const auto put = [&](int i) {
    BatchBuilder builder;
    builder.add({.timestamp = TimestampMs(1000 + i),
                 .key = as_bytes(fmt::format("key {}", i % 7)),
                 .value = as_bytes(fmt::format("{}", i)),
                 .headers = {}});
    REQUIRE((*log)->append_own(builder.build(), LeaderEpoch(0), TimestampMs(1000 + i)));
  };
  const auto newest = [&](Log& of) {
    std::map<std::string, std::string> found;
    for_each_batch(of, Offset(0), of.log_end_offset(), 1000, [&](const BatchView& batch) {
      REQUIRE(common::records::for_each_record(batch, {}, [&](const common::records::Record& r) {
        found[std::string(common::model::as_text(*r.key))] = std::string(common::model::as_text(*r.value));
      }));
    });
    return found;
  };
  int written = 0;
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 200; ++i) put(written++);
    std::optional<Offset> flushed;
    (*log)->flush([&](const common::log::Result<Offset>& done) { flushed = done.value(); });
    o.run_until([&] { return flushed.has_value(); });
    auto run = (*log)->compact(
        {.first_dirty = (*log)->cleaned_offset(), .end = *flushed, .now = TimestampMs(written), .step_bytes = 1000});
    REQUIRE(run);
    for (bool is_over = false; !is_over;) {
      bool is_done = false;
      (*run)->step([&](common::log::Result<CompactionStep> step) {
        INFO((step ? std::string() : step.error().message));
        REQUIRE(step);
        is_done = true;
        is_over = step->report.has_value();
      });
      o.run_until([&] { return is_done; });
      put(written++);
      REQUIRE(newest(**log).size() == 7);
    }
    (*log)->tick({common::model::Instant(std::chrono::seconds(10 * round)), TimestampMs(written)});
  }
  CHECK((*log)->size_bytes() < 16'000);  // of some 70,000
  const auto before = newest(**log);
  REQUIRE((*log)->close_blocking());
  log->reset();
  log = Log::open(environment, o.root + "/orders-0", config, {}, TimestampMs(1000));
  REQUIRE(log);
  CHECK(newest(**log) == before);
}

TEST_CASE("who reads the medium or removes files yields the processor to those who serve and sync") {
  DiskPool pool{{}};
  const auto niceness = [] { return ::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid())); };
  const auto in = [&](void (DiskPool::*run)(std::function<void()>)) {
    std::promise<int> found;
    (pool.*run)([&] { found.set_value(niceness()); });
    return found.get_future().get();
  };
  const int ours = niceness();
  CHECK(in(&DiskPool::run_sync) == ours);
  CHECK(in(&DiskPool::run_read) >= std::min(ours + 1, 19));  // 19: nothing yields more
  CHECK(in(&DiskPool::run_removal) >= std::min(ours + 1, 19));
}
