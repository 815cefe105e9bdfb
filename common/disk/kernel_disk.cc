#include "common/disk/kernel_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <filesystem>
#include <list>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "common/disk/group_commit.h"

namespace common::disk {

class DiskPool::Workers {
 public:
  Workers(int count, const char* name, int yields_by = 0) {
    for (int i = 0; i < std::max(1, count); ++i) {
      threads_.emplace_back([this, yields_by] {
        yield_by(yields_by);
        work();
      });
      pthread_setname_np(threads_.back().native_handle(), name);
    }
  }
  ~Workers() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& t : threads_) t.join();
  }
  void run(std::function<void()> job) {
    {
      std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
  }
  void run_next(std::function<void()> job) {
    {
      std::lock_guard lock(mutex_);
      jobs_.push_front(std::move(job));
    }
    wake_.notify_one();
  }

 private:
  // To the process' other threads: niceness is a thread's on Linux. More of it is nobody's to refuse.
  static void yield_by(int niceness) {
    if (niceness == 0) return;
    const auto thread = static_cast<id_t>(::gettid());
    ::setpriority(PRIO_PROCESS, thread, ::getpriority(PRIO_PROCESS, thread) + niceness);
  }

  void work() {
    for (;;) {
      std::function<void()> job;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
        if (jobs_.empty()) return;
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      job();
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

// Somebody who catches up with a gigabyte a second keeps a processor busy with copies and checksums: who writes, or reads
// what was just written, comes first. A third of a shard's share is left to it.
constexpr int behind_the_shards = 5;

DiskPool::DiskPool(Options options)
    : sync_(std::make_unique<Workers>(options.sync_threads, "disk-sync")),
      read_(std::make_unique<Workers>(options.read_threads, "disk-read", behind_the_shards)),
      removal_(std::make_unique<Workers>(1, "disk-remove", behind_the_shards)) {}
DiskPool::~DiskPool() = default;
void DiskPool::run_sync(std::function<void()> job) {
  sync_->run(std::move(job));
}
void DiskPool::run_sync_next(std::function<void()> job) {
  sync_->run_next(std::move(job));
}
void DiskPool::run_read(std::function<void()> job) {
  read_->run(std::move(job));
}
void DiskPool::run_removal(std::function<void()> job) {
  removal_->run(std::move(job));
}

namespace {

tl::unexpected<IoError> errno_failure(const char* operation, const std::string& path, int error = errno) {
  IoFault fault = IoFault::failed;
  if (error == ENOENT || error == ENOTDIR) fault = IoFault::not_found;
  if (error == EEXIST) fault = IoFault::already_exists;
  // EFBIG: the process' file size limit acts like a full disk (fault 26).
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) fault = IoFault::no_space;
  if (error == EMFILE || error == ENFILE || error == ENOMEM) fault = IoFault::exhausted;
  return io_failure(fault, fmt::format("{} {}: {}", operation, path, std::strerror(error)));
}

// Of a call that may have begun: what it left undone is not known, so a lack of memory is as final as anything else
// (R76).
tl::unexpected<IoError> sync_failure(const char* operation, const std::string& path) {
  auto failure = errno_failure(operation, path);
  failure.value().fault = IoFault::failed;
  return failure;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { ::close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

template <class F>
auto retry_interrupted(F f) {
  decltype(f()) r;
  do {
    r = f();
  } while (r < 0 && errno == EINTR);
  return r;
}

IoResult<void> write_all(int fd, const std::string& path, uint64_t position, std::span<const BytesView> parts) {
  std::array<iovec, 64> vectors;
  size_t part = 0;
  size_t skip = 0;  // of the first part, already written
  while (part < parts.size()) {
    int count = 0;
    for (size_t i = part; i < parts.size() && count < static_cast<int>(vectors.size()); ++i) {
      const BytesView rest = parts[i].subspan(i == part ? skip : 0);
      if (!rest.empty()) vectors[static_cast<size_t>(count++)] = {const_cast<std::byte*>(rest.data()), rest.size()};
    }
    if (count == 0) return {};
    const ssize_t n =
        retry_interrupted([&] { return ::pwritev(fd, vectors.data(), count, static_cast<off_t>(position)); });
    if (n < 0) return errno_failure("write", path);
    if (n == 0) return io_failure(IoFault::failed, fmt::format("write {}: nothing written", path));
    position += static_cast<uint64_t>(n);
    skip += static_cast<size_t>(n);
    while (part < parts.size() && skip >= parts[part].size()) skip -= parts[part++].size();
  }
  return {};
}

IoResult<size_t> read_all(int fd, const std::string& path, uint64_t position, std::span<std::byte> out) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = retry_interrupted(
        [&] { return ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(position + done)); });
    if (n < 0) return errno_failure("read", path);
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

class KernelFile;

// What of a disk runs on the pool, its files' business too: it is waited for before the owner's thread goes away, as
// its end is told there.
class RunningJobs {
 public:
  void begin() {
    std::lock_guard lock(mutex_);
    ++count_;
  }
  // Once what it has to tell is posted.
  void end() {
    std::lock_guard lock(mutex_);
    if (--count_ == 0) none_.notify_all();
  }
  void wait_for_all() {
    std::unique_lock lock(mutex_);
    none_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  size_t count_ = 0;
};

// Which files of a disk have a descriptor at the moment. The mutex is there for read_at, which the pool calls too.
struct DescriptorTable {
  explicit DescriptorTable(size_t limit) : max_open(std::max<size_t>(limit, 1)) {}
  std::mutex mutex;
  std::list<KernelFile*> recently_used;  // most recent first
  const size_t max_open;
  std::atomic<bool> nowait_refused = false;
  RunningJobs jobs;
};

class KernelFile final : public File, public std::enable_shared_from_this<KernelFile> {
 public:
  KernelFile(std::shared_ptr<DescriptorTable> table, DiskPool& pool, std::shared_ptr<const Poster> poster,
             std::string path)
      : table_(std::move(table)), pool_(pool), poster_(std::move(poster)), path_(std::move(path)) {}
  ~KernelFile() override {
    std::lock_guard lock(table_->mutex);
    if (descriptor_) table_->recently_used.erase(place_);
  }

  const std::string& path() const override { return path_; }

  IoResult<uint64_t> size() override {
    auto fd = descriptor();
    if (!fd) return tl::unexpected(fd.error());
    struct stat st;
    if (::fstat((*fd)->get(), &st) < 0) return errno_failure("stat", path_);
    return static_cast<uint64_t>(st.st_size);
  }

  IoResult<void> hold_open() override {
    std::lock_guard lock(table_->mutex);
    auto fd = acquire(0);
    if (!fd) return tl::unexpected(fd.error());
    held_ = *fd;
    return {};
  }

  IoResult<void> write_at(uint64_t position, std::span<const BytesView> parts) override {
    auto fd = descriptor();
    if (!fd) return tl::unexpected(fd.error());
    return write_all((*fd)->get(), path_, position, parts);
  }

  IoResult<void> truncate(uint64_t length) override {
    auto fd = descriptor();
    if (!fd) return tl::unexpected(fd.error());
    if (retry_interrupted([&] { return ::ftruncate((*fd)->get(), static_cast<off_t>(length)); }) < 0) {
      return errno_failure("truncate", path_);
    }
    return {};
  }

  IoResult<void> allocate(uint64_t length) override {
    auto fd = descriptor();
    if (!fd) return tl::unexpected(fd.error());
    if (retry_interrupted([&] { return ::fallocate((*fd)->get(), 0, 0, static_cast<off_t>(length)); }) == 0) return {};
    if (errno != EOPNOTSUPP) return errno_failure("allocate", path_);
    auto now = size();  // the file system cannot reserve: at least the size is set
    if (!now) return tl::unexpected(now.error());
    if (*now >= length) return {};
    return truncate(length);
  }

  IoResult<size_t> read_at(uint64_t position, std::span<std::byte> out) override {
    auto fd = descriptor();
    if (!fd) return tl::unexpected(fd.error());
    return read_all((*fd)->get(), path_, position, out);
  }

  IoResult<size_t> try_read(uint64_t position, std::span<std::byte> out) override {
    auto fd = descriptor();
    if (!fd) return tl::unexpected(fd.error());
    size_t done = 0;
    while (done < out.size()) {
      if (table_->nowait_refused.load(std::memory_order_relaxed)) return read_without_nowait(**fd, position, out);
      const iovec part{out.data() + done, out.size() - done};
      const ssize_t n = retry_interrupted(
          [&] { return ::preadv2((*fd)->get(), &part, 1, static_cast<off_t>(position + done), RWF_NOWAIT); });
      if (n == 0) break;
      if (n > 0) {
        done += static_cast<size_t>(n);
      } else if (errno == EAGAIN) {
        return io_failure(IoFault::would_block, path_);
      } else if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) {
        table_->nowait_refused = true;
      } else {
        return errno_failure("read", path_);
      }
    }
    return done;
  }

  void read_cold(uint64_t position, size_t length, Done<Buffer> done) override {
    table_->jobs.begin();
    pool_.run_read([table = table_, self = shared_from_this(), position, length, done = std::move(done)]() mutable {
      std::shared_ptr<std::byte[]> memory(new std::byte[length]);
      const auto n = self->read_at(position, {memory.get(), length});
      const BytesView view(memory.get(), n.value_or(0));
      (*self->poster_)([self, done = std::move(done), n, bytes = Buffer(std::move(memory), view)]() mutable {
        if (n) {
          done(std::move(bytes));
        } else {
          done(tl::unexpected(n.error()));
        }
      });
      table->jobs.end();
    });
  }

  void sync(Done<void> done) override {
    if (group_.request(std::move(done))) start_sync();
  }

  IoResult<void> sync_now() override {
    if (group_.failure()) return tl::unexpected(*group_.failure());
    auto fd = descriptor();
    IoResult<void> result = fd ? data_sync((*fd)->get(), path_) : IoResult<void>(tl::unexpected(fd.error()));
    if (!result && result.error().fault != IoFault::exhausted) group_.fail(result.error());
    return result;
  }

  void start_writeback(uint64_t position, uint64_t length) override {
    auto fd = descriptor();
    if (!fd) return;
    // On the pool: it waits when the device's queue is full.
    table_->jobs.begin();
    pool_.run_sync([table = table_, fd = *fd, position, length] {
      ::sync_file_range(fd->get(), static_cast<off_t>(position), static_cast<off_t>(length), SYNC_FILE_RANGE_WRITE);
      table->jobs.end();
    });
  }

  IoResult<std::shared_ptr<Descriptor>> open_now(int flags) {
    std::lock_guard lock(table_->mutex);
    return acquire(flags);
  }

 private:
  static IoResult<void> data_sync(int fd, const std::string& path) {
    if (retry_interrupted([&] { return ::fdatasync(fd); }) < 0) return sync_failure("sync", path);
    return {};
  }

  IoResult<std::shared_ptr<Descriptor>> descriptor() { return open_now(0); }

  IoResult<std::shared_ptr<Descriptor>> acquire(int flags) {
    if (held_) return held_;
    auto& order = table_->recently_used;
    if (descriptor_) {
      order.splice(order.begin(), order, place_);
      return descriptor_;
    }
    int fd = -1;
    for (;;) {
      fd = ::open(path_.c_str(), O_RDWR | O_CLOEXEC | flags, 0644);
      if (fd >= 0) break;
      if (errno == EINTR) continue;
      if ((errno != EMFILE && errno != ENFILE) || order.empty()) return errno_failure("open", path_);
      close_oldest();
    }
    if (order.size() >= table_->max_open) close_oldest();
    descriptor_ = std::make_shared<Descriptor>(fd);
    order.push_front(this);
    place_ = order.begin();
    return descriptor_;
  }

  // A file may be closed with unsynced pages: an error of their writeback is still reported to the next descriptor that
  // syncs, as nobody has seen it (Linux since 4.17).
  void close_oldest() {
    KernelFile* oldest = table_->recently_used.back();
    table_->recently_used.pop_back();
    oldest->descriptor_.reset();
  }

  IoResult<size_t> read_without_nowait(const Descriptor& fd, uint64_t position, std::span<std::byte> out) {
    struct statfs fs;
    const bool in_memory = ::fstatfs(fd.get(), &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
    if (!in_memory) return io_failure(IoFault::would_block, path_);
    return read_all(fd.get(), path_, position, out);
  }

  // The descriptor is taken when the sync runs: a thousand queued ones must not hold a thousand.
  void start_sync() {
    table_->jobs.begin();
    pool_.run_sync([table = table_, self = shared_from_this(), failed = group_.failure()]() mutable {
      IoResult<void> result;
      if (failed) {
        result = tl::unexpected(*failed);
      } else if (auto fd = self->descriptor(); fd) {
        result = data_sync((*fd)->get(), self->path_);
      } else {
        result = tl::unexpected(fd.error());
      }
      KernelFile& file = *self;
      (*file.poster_)([self = std::move(self), result = std::move(result)] {
        if (self->group_.finish(result)) self->start_sync();
      });
      table->jobs.end();
    });
  }

  const std::shared_ptr<DescriptorTable> table_;
  DiskPool& pool_;
  const std::shared_ptr<const Poster> poster_;
  const std::string path_;
  GroupCommit group_;
  // Guarded by table_->mutex.
  std::shared_ptr<Descriptor> descriptor_;
  std::shared_ptr<Descriptor> held_;  // beyond the table's limit
  std::list<KernelFile*>::iterator place_;
};

class KernelLock final : public FileLock {
 public:
  explicit KernelLock(int fd) : descriptor_(fd) {}

 private:
  Descriptor descriptor_;
};

std::string parent_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent;
}

class KernelDisk final : public Disk {
 public:
  KernelDisk(DiskPool& pool, Poster poster, KernelDiskOptions options)
      : pool_(pool),
        poster_(std::make_shared<const Poster>(std::move(poster))),
        table_(std::make_shared<DescriptorTable>(options.descriptors_max)) {}
  ~KernelDisk() override { table_->jobs.wait_for_all(); }

  IoResult<std::shared_ptr<File>> open(const std::string& path, OpenMode mode) override {
    auto file = std::make_shared<KernelFile>(table_, pool_, poster_, path);
    if (mode == OpenMode::create_if_missing) {
      if (auto fd = file->open_now(O_CREAT); !fd) return tl::unexpected(fd.error());
    }
    return file;
  }

  IoResult<void> create_directories(const std::string& path) override {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) return errno_failure("create directory", path, error.value());
    return {};
  }

  IoResult<std::vector<DirectoryEntry>> list(const std::string& path) override {
    DIR* directory = ::opendir(path.c_str());
    if (!directory) return errno_failure("list", path);
    const auto failed = [directory](const char* operation, const std::string& what) {
      const int error = errno;
      ::closedir(directory);
      return errno_failure(operation, what, error);
    };
    std::vector<DirectoryEntry> entries;
    for (errno = 0; const dirent* found = ::readdir(directory); errno = 0) {
      DirectoryEntry entry{found->d_name, false, 0, {}};
      if (entry.name == "." || entry.name == "..") continue;
      struct stat st;
      if (::fstatat(::dirfd(directory), found->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT) continue;  // gone meanwhile
        // R76: left out, it would be taken for one that is missing.
        return failed("stat", path + "/" + entry.name);
      }
      entry.is_directory = S_ISDIR(st.st_mode);
      entry.size_bytes = static_cast<uint64_t>(st.st_size);
      entry.modified = model::TimestampMs(st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000);
      entries.push_back(std::move(entry));
    }
    if (errno != 0) return failed("list", path);
    ::closedir(directory);
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return entries;
  }

  IoResult<void> rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) < 0) return errno_failure("rename", from);
    return {};
  }

  IoResult<void> remove_file(const std::string& path) override {
    if (::unlink(path.c_str()) < 0) return errno_failure("remove", path);
    return {};
  }

  IoResult<void> remove_tree(const std::string& path) override {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) return errno_failure("remove", path, error.value());
    return {};
  }

  IoResult<void> sync_directory(const std::string& path) override {
    return on_directory(path, "sync", [](int fd) { return ::fsync(fd); });
  }

  IoResult<void> sync_file_system(const std::string& path) override {
    return on_directory(path, "sync file system of", [](int fd) { return ::syncfs(fd); });
  }

  IoResult<Buffer> read_file(const std::string& path, size_t max_bytes) override {
    const int raw = retry_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); });
    if (raw < 0) return errno_failure("open", path);
    const Descriptor fd(raw);
    struct stat st;
    if (::fstat(raw, &st) < 0) return errno_failure("stat", path);
    const auto size = static_cast<uint64_t>(st.st_size);
    if (size > max_bytes)
      return io_failure(IoFault::too_large, fmt::format("{} has {} bytes, expected at most {}", path, size, max_bytes));
    std::vector<std::byte> bytes(size);
    auto n = read_all(raw, path, 0, bytes);
    if (!n) return tl::unexpected(n.error());
    bytes.resize(*n);
    return Buffer::own(std::move(bytes));
  }

  IoResult<void> replace_file(const std::string& path, BytesView content, Durability durability) override {
    const std::string temporary = path + ".tmp";
    auto replaced = write_new(temporary, content, durability);
    if (replaced) replaced = rename(temporary, path);
    if (!replaced) {
      // What is there of it holds the room that may have been lacking (R81); the next attempt may be for another name.
      ::unlink(temporary.c_str());
      return replaced;
    }
    if (durability == Durability::medium) return sync_directory(parent_of(path));
    return {};
  }

  IoResult<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    const int fd = retry_interrupted([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644); });
    if (fd < 0) return errno_failure("open", path);
    auto held = std::make_unique<KernelLock>(fd);
    if (retry_interrupted([&] { return ::flock(fd, LOCK_EX | LOCK_NB); }) < 0) {
      if (errno == EWOULDBLOCK) return io_failure(IoFault::locked, fmt::format("{} is held by another process", path));
      return errno_failure("lock", path);
    }
    return held;
  }

  IoResult<Space> space(const std::string& path) override {
    struct statvfs fs;
    if (::statvfs(path.c_str(), &fs) < 0) return errno_failure("statvfs", path);
    return Space{static_cast<uint64_t>(fs.f_bavail) * fs.f_frsize, static_cast<uint64_t>(fs.f_blocks) * fs.f_frsize};
  }

  IoResult<MachineIdentity> machine_identity(const std::string& path) override {
    struct stat st;
    struct statfs fs;
    if (::stat(path.c_str(), &st) < 0 || ::statfs(path.c_str(), &fs) < 0) return errno_failure("stat", path);
    // The file under /proc reports no size.
    std::array<std::byte, 64> text;
    const int raw = ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (raw < 0) return errno_failure("open", "/proc/sys/kernel/random/boot_id");
    const Descriptor fd(raw);
    auto n = read_all(raw, "boot_id", 0, text);
    if (!n) return tl::unexpected(n.error());
    std::string boot_id(model::as_text(BytesView(text).first(*n)));
    while (!boot_id.empty() && boot_id.back() == '\n') boot_id.pop_back();
    return MachineIdentity{std::move(boot_id),
                           fmt::format("{:x}-{:08x}{:08x}", st.st_dev, static_cast<uint32_t>(fs.f_fsid.__val[0]),
                                       static_cast<uint32_t>(fs.f_fsid.__val[1]))};
  }

  void offload(Job kind, std::function<IoResult<void>()> job, Done<void> done) override {
    table_->jobs.begin();
    auto work = [table = table_, poster = poster_, pool = &pool_, kind, job = std::move(job),
                 done = std::move(done)]() mutable {
      const bool is_left = kind == Job::removals && pool->leaves_removals();
      auto result = is_left ? IoResult<void>() : job();
      job = nullptr;
      (*poster)([done = std::move(done), result = std::move(result)] { done(result); });
      table->jobs.end();
    };
    switch (kind) {
      case Job::reads:
        return pool_.run_read(std::move(work));
      case Job::changes:
        return pool_.run_sync(std::move(work));
      case Job::urgent_changes:
        return pool_.run_sync_next(std::move(work));
      case Job::removals:
        return pool_.run_removal(std::move(work));
    }
  }

 private:
  static IoResult<void> write_new(const std::string& path, BytesView content, Durability durability) {
    const int raw =
        retry_interrupted([&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644); });
    if (raw < 0) return errno_failure("create", path);
    const Descriptor fd(raw);
    if (auto written = write_all(raw, path, 0, std::span(&content, 1)); !written) return written;
    if (durability == Durability::medium && retry_interrupted([&] { return ::fdatasync(raw); }) < 0)
      return sync_failure("sync", path);
    return {};
  }

  template <class F>
  IoResult<void> on_directory(const std::string& path, const char* operation, F f) {
    const int raw = retry_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
    if (raw < 0) return errno_failure("open", path);
    const Descriptor fd(raw);
    if (retry_interrupted([&] { return f(raw); }) < 0) return sync_failure(operation, path);
    return {};
  }

  DiskPool& pool_;
  const std::shared_ptr<const Poster> poster_;
  const std::shared_ptr<DescriptorTable> table_;
};

}  // namespace

std::unique_ptr<Disk> make_kernel_disk(DiskPool& pool, Poster poster, KernelDiskOptions options) {
  return std::make_unique<KernelDisk>(pool, std::move(poster), options);
}

}  // namespace common::disk
