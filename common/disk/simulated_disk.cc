#include "common/disk/simulated_disk.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "common/disk/group_commit.h"

namespace common::disk {
namespace {

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

class SimulatedDisk::SimulatedFile final : public File, public std::enable_shared_from_this<SimulatedFile> {
 public:
  SimulatedFile(SimulatedDisk& disk, std::string path) : disk_(disk), path_(std::move(path)), life_(disk.life_) {}

  const std::string& path() const override { return path_; }

  IoResult<uint64_t> size() override {
    auto inode = get();
    if (!inode) return tl::unexpected(inode.error());
    return (*inode)->cached.size();
  }

  IoResult<void> hold_open() override {
    auto inode = get();
    if (!inode) return tl::unexpected(inode.error());
    return {};
  }

  IoResult<void> write_at(uint64_t position, std::span<const BytesView> parts) override {
    auto inode = get();
    if (!inode) return tl::unexpected(inode.error());
    std::vector<std::byte> joined;
    if (parts.size() > 1) {
      for (const BytesView part : parts) joined.insert(joined.end(), part.begin(), part.end());
    }
    const BytesView all = parts.size() == 1 ? parts.front() : BytesView(joined);
    size_t fits = all.size();
    auto allowed = disk_.change(Operation::write, path_, all.size(), &fits);
    IoResult<void> result = allowed;
    const uint64_t old_size = (*inode)->cached.size();
    const uint64_t growth = position + fits > old_size ? position + fits - old_size : 0;
    if (disk_.capacity_ && disk_.used_bytes() + growth > *disk_.capacity_) {
      const uint64_t room = *disk_.capacity_ > disk_.used_bytes() ? *disk_.capacity_ - disk_.used_bytes() : 0;
      fits = std::min<uint64_t>(fits, old_size + room > position ? old_size + room - position : 0);
      if (result) result = io_failure(IoFault::no_space, fmt::format("write {}: No space left on device", path_));
    }
    if (fits > 0) disk_.write(**inode, position, all.first(fits));
    return result;
  }

  IoResult<void> truncate(uint64_t length) override {
    auto inode = get();
    if (!inode) return tl::unexpected(inode.error());
    if (auto allowed = disk_.change(Operation::truncate, path_); !allowed) return allowed;
    disk_.resize(**inode, length);
    return {};
  }

  IoResult<void> allocate(uint64_t length) override {
    auto inode = get();
    if (!inode) return tl::unexpected(inode.error());
    if (auto allowed = disk_.change(Operation::allocate, path_); !allowed) return allowed;
    const uint64_t size = (*inode)->cached.size();
    if (length <= size) return {};
    if (disk_.capacity_ && disk_.used_bytes() + length - size > *disk_.capacity_) {
      return io_failure(IoFault::no_space, fmt::format("allocate {}: No space left on device", path_));
    }
    disk_.resize(**inode, length);
    return {};
  }

  IoResult<size_t> read_at(uint64_t position, std::span<std::byte> out) override {
    auto inode = get();
    if (!inode) return tl::unexpected(inode.error());
    if (auto fault = disk_.due_fault(Operation::read, path_)) return tl::unexpected(*fault);
    const auto& bytes = (*inode)->cached;
    if (position >= bytes.size()) return 0;
    const size_t n = std::min<uint64_t>(out.size(), bytes.size() - position);
    if (n > 0) std::memcpy(out.data(), bytes.data() + position, n);
    return n;
  }

  IoResult<size_t> try_read(uint64_t position, std::span<std::byte> out) override {
    if (disk_.cold_ && path_.find(*disk_.cold_) != std::string::npos) return io_failure(IoFault::would_block, path_);
    return read_at(position, out);
  }

  void read_cold(uint64_t position, size_t length, Done<Buffer> done) override {
    disk_.later(disk_.options_.read_time, [self = shared_from_this(), position, length, done = std::move(done)] {
      std::vector<std::byte> bytes(length);
      auto n = self->read_at(position, bytes);
      if (!n) return done(tl::unexpected(n.error()));
      bytes.resize(*n);
      done(Buffer::own(std::move(bytes)));
    });
  }

  void sync(Done<void> done) override {
    if (group_.request(std::move(done))) start_sync();
  }

  IoResult<void> sync_now() override {
    IoResult<void> result = sync_what(snapshot());
    if (!result && result.error().fault != IoFault::exhausted && !group_.failure()) group_.fail(result.error());
    return result;
  }

  void start_writeback(uint64_t, uint64_t) override {}

 private:
  // What a sync that starts now covers: later writes do not count.
  struct Covered {
    IoResult<InodeRef> inode;
    uint64_t size = 0;
    std::vector<std::pair<uint64_t, uint64_t>> sectors;  // number, change
    std::vector<std::byte> image;                        // of those sectors, one after the other
  };

  IoResult<InodeRef> get() {
    if (life_ != disk_.life_) return io_failure(IoFault::failed, fmt::format("{}: opened before the crash", path_));
    if (auto alive = disk_.check_alive(path_); !alive) return tl::unexpected(alive.error());
    // As a descriptor that stays on its file when the name goes.
    if (!inode_) {
      auto found = disk_.find(path_);
      if (!found) return found;
      inode_ = *found;
    }
    return inode_;
  }

  Covered snapshot() {
    Covered covered{get(), 0, {}, {}};
    if (!covered.inode) return covered;
    const Inode& inode = **covered.inode;
    covered.size = inode.cached.size();
    covered.sectors.assign(inode.dirty.begin(), inode.dirty.end());
    covered.image.resize(covered.sectors.size() * sector);
    for (size_t i = 0; i < covered.sectors.size(); ++i) {
      const uint64_t from = covered.sectors[i].first * sector;
      if (from >= inode.cached.size()) continue;
      std::memcpy(covered.image.data() + i * sector, inode.cached.data() + from,
                  std::min<uint64_t>(sector, inode.cached.size() - from));
    }
    return covered;
  }

  IoResult<void> sync_what(const Covered& covered) {
    if (group_.failure()) return tl::unexpected(*group_.failure());
    if (!covered.inode) return tl::unexpected(covered.inode.error());
    if (auto allowed = disk_.change(Operation::sync, path_); !allowed) {
      if (allowed.error().fault == IoFault::exhausted) return allowed;  // no descriptor: the kernel was not asked
      // As Linux does: what could not be written counts as clean from now on, though it is not on the medium.
      for (const auto& [number, when] : covered.sectors) (*covered.inode)->dirty.erase(number);
      return allowed;
    }
    Inode& inode = **covered.inode;
    inode.durable.resize(covered.size);
    for (size_t i = 0; i < covered.sectors.size(); ++i) {
      const auto& [number, when] = covered.sectors[i];
      const uint64_t from = number * sector;
      if (from < covered.size) {
        const uint64_t n = std::min<uint64_t>(sector, covered.size - from);
        std::memcpy(inode.durable.data() + from, covered.image.data() + i * sector, n);
      }
      const auto it = inode.dirty.find(number);
      if (it != inode.dirty.end() && it->second == when) inode.dirty.erase(it);
    }
    return {};
  }

  void start_sync() {
    disk_.later(disk_.options_.sync_time, [self = shared_from_this(), covered = snapshot()] {
      const auto result = self->sync_what(covered);
      if (self->disk_.stopped_) return;
      if (self->group_.finish(result)) self->start_sync();
    });
  }

  SimulatedDisk& disk_;
  const std::string path_;
  const uint64_t life_;
  InodeRef inode_;
  GroupCommit group_;
  friend class SimulatedDisk;
};

class SimulatedDisk::SimulatedLock final : public FileLock {
 public:
  SimulatedLock(SimulatedDisk& disk, std::string path) : disk_(disk), path_(std::move(path)), life_(disk.life_) {}
  ~SimulatedLock() override {
    if (life_ == disk_.life_) disk_.locks_.erase(path_);
  }

 private:
  SimulatedDisk& disk_;
  std::string path_;
  uint64_t life_;
};

SimulatedDisk::SimulatedDisk() : SimulatedDisk(Options{}) {}
SimulatedDisk::SimulatedDisk(Options options) : options_(std::move(options)), random_state_(options_.seed * 2 + 1) {}
SimulatedDisk::~SimulatedDisk() = default;

uint64_t SimulatedDisk::random(uint64_t bound) {
  random_state_ = random_state_ * 6364136223846793005ull + 1442695040888963407ull;
  return (random_state_ >> 33) % bound;
}

void SimulatedDisk::later(model::Duration delay, std::function<void()> f) {
  auto guarded = [this, life = life_, f = std::move(f)] {
    if (life == life_ && !stopped_) f();
  };
  if (options_.scheduler) {
    options_.scheduler(delay, std::move(guarded));
  } else {
    queue_.push_back(std::move(guarded));
  }
}

bool SimulatedDisk::run_one() {
  if (queue_.empty()) return false;
  auto f = std::move(queue_.front());
  queue_.pop_front();
  f();
  return true;
}

void SimulatedDisk::run_until_idle() {
  while (run_one()) {
  }
}

void SimulatedDisk::kill() {
  ++life_;
  stopped_ = false;
  stop_at_.reset();
  queue_.clear();
  locks_.clear();
}

void SimulatedDisk::crash(Unsynced unsynced, size_t block_bytes) {
  kill();
  ++boot_;
  size_t names_kept = 0;
  if (unsynced == Unsynced::kept) names_kept = name_changes_.size();
  if (unsynced == Unsynced::torn) names_kept = random(name_changes_.size() + 1);
  for (size_t i = 0; i < names_kept; ++i) apply(durable_names_, name_changes_[i]);
  name_changes_.clear();
  for (auto& [path, inode] : cached_names_) inode->names = 0;
  cached_names_ = durable_names_;
  for (auto& [path, inode] : cached_names_) lose_unsynced(*inode, unsynced, block_bytes);
  count_used_bytes();
}

void SimulatedDisk::lose_unsynced(Inode& inode, Unsynced unsynced, size_t block_bytes) {
  if (unsynced == Unsynced::kept) make_durable(inode);
  if (unsynced == Unsynced::torn) {
    const uint64_t low = std::min(inode.durable.size(), inode.cached.size());
    const uint64_t high = std::max(inode.durable.size(), inode.cached.size());
    // The size is metadata and moves in one go, mostly to where some write ended; any block boundary will do as well.
    uint64_t size = random(2) == 0 ? inode.durable.size() : inode.cached.size();
    if (high > low && random(2) == 0) size = low + random((high - low) / block_bytes + 1) * block_bytes;
    inode.durable.resize(size);
    std::map<uint64_t, bool> keep;
    for (const auto& [number, when] : inode.dirty) {
      const uint64_t from = number * sector;
      const uint64_t block = from / block_bytes;
      if (!keep.contains(block)) keep[block] = random(2) == 0;
      if (!keep[block] || from >= size || from >= inode.cached.size()) continue;
      const uint64_t n = std::min<uint64_t>({sector, size - from, inode.cached.size() - from});
      std::memcpy(inode.durable.data() + from, inode.cached.data() + from, n);
    }
  }
  inode.cached = inode.durable;
  inode.dirty.clear();
}

IoResult<void> SimulatedDisk::check_alive(const std::string& path) const {
  if (stopped_) return io_failure(IoFault::failed, fmt::format("{}: the machine has stopped", path));
  return {};
}

std::optional<IoError> SimulatedDisk::due_fault(Operation operation, const std::string& path) {
  if (observed_) return std::nullopt;
  for (Fault& fault : faults_) {
    if (fault.operation != operation || fault.times == 0 || path.find(fault.path_contains) == std::string::npos)
      continue;
    if (fault.skip > 0) {
      --fault.skip;
      continue;
    }
    --fault.times;
    return IoError{fault.fault, fmt::format("{}: injected", path)};
  }
  return std::nullopt;
}

IoResult<void> SimulatedDisk::change(Operation operation, const std::string& path, size_t bytes, size_t* cut) {
  if (auto alive = check_alive(path); !alive) {
    if (cut) *cut = 0;
    return alive;
  }
  ++operations_;
  if (stop_at_ && operations_ >= *stop_at_) {
    stopped_ = true;
    if (cut) *cut = bytes == 0 ? 0 : random(bytes + 1);
    return check_alive(path);
  }
  if (auto fault = due_fault(operation, path)) {
    if (cut) *cut = bytes == 0 ? 0 : random(bytes);
    return tl::unexpected(*fault);
  }
  return {};
}

IoResult<SimulatedDisk::InodeRef> SimulatedDisk::find(const std::string& path) const {
  const auto it = cached_names_.find(path);
  if (it == cached_names_.end()) return io_failure(IoFault::not_found, fmt::format("{}: No such file", path));
  return it->second;
}

void SimulatedDisk::name(const std::string& path, const InodeRef& inode) {
  unname(path);
  cached_names_[path] = inode;
  ++inode->names;
  used_bytes_ += inode->cached.size();
}

void SimulatedDisk::unname(const std::string& path) {
  const auto found = cached_names_.find(path);
  if (found == cached_names_.end()) return;
  --found->second->names;
  used_bytes_ -= found->second->cached.size();
  cached_names_.erase(found);
}

void SimulatedDisk::set_size(Inode& inode, uint64_t size) {
  used_bytes_ += (size - inode.cached.size()) * inode.names;  // modulo 2^64, if it gets smaller
  inode.cached.resize(size);
}

// Of names that are new, all of them.
void SimulatedDisk::count_used_bytes() {
  used_bytes_ = 0;
  for (const auto& [path, inode] : cached_names_) {
    ++inode->names;
    used_bytes_ += inode->cached.size();
  }
}

void SimulatedDisk::resize(Inode& inode, uint64_t size) {
  const uint64_t old_size = inode.cached.size();
  set_size(inode, size);
  inode.modified = wall_now();
  for (uint64_t s = std::min(old_size, size) / sector; s * sector < std::max(old_size, size); ++s) {
    inode.dirty[s] = ++change_number_;
  }
}

void SimulatedDisk::write(Inode& inode, uint64_t position, BytesView bytes) {
  if (inode.cached.size() < position + bytes.size()) set_size(inode, position + bytes.size());
  std::memcpy(inode.cached.data() + position, bytes.data(), bytes.size());
  inode.modified = wall_now();
  for (uint64_t s = position / sector; s * sector < position + bytes.size(); ++s) inode.dirty[s] = ++change_number_;
}

void SimulatedDisk::make_durable(Inode& inode) {
  if (inode.dirty.empty() && inode.durable.size() == inode.cached.size()) return;
  inode.durable = inode.cached;
  inode.dirty.clear();
}

void SimulatedDisk::apply(Names& names, const NameChange& change) {
  if (!change.removed.empty()) names.erase(change.removed);
  if (!change.added.empty()) names[change.added] = change.inode;
  for (const NameChange& each : change.inside) apply(names, each);
}

void SimulatedDisk::apply_cached(const NameChange& change) {
  if (!change.removed.empty()) unname(change.removed);
  if (!change.added.empty()) name(change.added, change.inode);
  for (const NameChange& each : change.inside) apply_cached(each);
}

void SimulatedDisk::change_name(NameChange change) {
  apply_cached(change);
  name_changes_.push_back(std::move(change));
}

IoResult<std::shared_ptr<File>> SimulatedDisk::open(const std::string& path, OpenMode mode) {
  if (auto alive = check_alive(path); !alive) return tl::unexpected(alive.error());
  if (mode == OpenMode::create_if_missing && !cached_names_.contains(path)) {
    if (!cached_names_.contains(parent_of(path)))
      return io_failure(IoFault::not_found, fmt::format("{}: no directory", path));
    if (auto allowed = change(Operation::create, path); !allowed) return tl::unexpected(allowed.error());
    auto inode = std::make_shared<Inode>();
    inode->modified = wall_now();
    change_name({{}, path, std::move(inode)});
  }
  return std::make_shared<SimulatedFile>(*this, path);
}

IoResult<void> SimulatedDisk::create_directories(const std::string& path) {
  if (auto alive = check_alive(path); !alive) return alive;
  if (path.empty() || cached_names_.contains(path)) return {};
  if (const std::string parent = parent_of(path); parent != "." && parent != path) {
    if (auto made = create_directories(parent); !made) return made;
  }
  if (auto allowed = change(Operation::create, path); !allowed) return allowed;
  auto inode = std::make_shared<Inode>();
  inode->is_directory = true;
  change_name({{}, path, std::move(inode)});
  return {};
}

IoResult<std::vector<DirectoryEntry>> SimulatedDisk::list(const std::string& path) {
  if (auto alive = check_alive(path); !alive) return tl::unexpected(alive.error());
  if (auto found = find(path); !found) return tl::unexpected(found.error());
  std::vector<DirectoryEntry> entries;
  const std::string prefix = path + "/";
  for (auto it = cached_names_.lower_bound(prefix); it != cached_names_.end() && it->first.starts_with(prefix); ++it) {
    const std::string name = it->first.substr(prefix.size());
    if (name.find('/') != std::string::npos) continue;
    entries.push_back({name, it->second->is_directory, it->second->cached.size(), it->second->modified});
  }
  return entries;
}

IoResult<void> SimulatedDisk::rename(const std::string& from, const std::string& to) {
  auto found = find(from);
  if (auto alive = check_alive(from); !alive) return alive;
  if (!found) return tl::unexpected(found.error());
  if (auto allowed = change(Operation::rename, from); !allowed) return allowed;
  NameChange moved{from, to, *found};
  const std::string prefix = from + "/";
  for (auto it = cached_names_.lower_bound(prefix); it != cached_names_.end() && it->first.starts_with(prefix); ++it) {
    moved.inside.push_back({it->first, to + it->first.substr(from.size()), it->second});
  }
  change_name(std::move(moved));
  return {};
}

IoResult<void> SimulatedDisk::remove_file(const std::string& path) {
  if (auto alive = check_alive(path); !alive) return alive;
  if (auto found = find(path); !found) return tl::unexpected(found.error());
  if (auto allowed = change(Operation::remove, path); !allowed) return allowed;
  change_name({path, {}, nullptr});
  return {};
}

IoResult<void> SimulatedDisk::remove_tree(const std::string& path) {
  if (auto alive = check_alive(path); !alive) return alive;
  std::vector<std::string> all;
  const std::string prefix = path + "/";
  for (auto it = cached_names_.lower_bound(prefix); it != cached_names_.end() && it->first.starts_with(prefix); ++it) {
    all.push_back(it->first);
  }
  std::reverse(all.begin(), all.end());
  if (cached_names_.contains(path)) all.push_back(path);
  for (const std::string& each : all) {
    if (auto removed = remove_file(each); !removed) return removed;
  }
  return {};
}

IoResult<void> SimulatedDisk::sync_directory(const std::string& path) {
  if (auto alive = check_alive(path); !alive) return alive;
  if (auto found = find(path); !found) return tl::unexpected(found.error());
  if (auto allowed = change(Operation::sync_directory, path); !allowed) return allowed;
  // In order: everything up to the last change in this directory.
  const auto concerns = [&](const NameChange& c) {
    return (!c.removed.empty() && parent_of(c.removed) == path) || (!c.added.empty() && parent_of(c.added) == path);
  };
  const auto last = std::find_if(name_changes_.rbegin(), name_changes_.rend(), concerns);
  const auto end = last.base();
  for (auto it = name_changes_.begin(); it != end; ++it) apply(durable_names_, *it);
  name_changes_.erase(name_changes_.begin(), end);
  return {};
}

IoResult<void> SimulatedDisk::sync_file_system(const std::string& path) {
  if (auto alive = check_alive(path); !alive) return alive;
  if (auto allowed = change(Operation::sync, path); !allowed) return allowed;
  for (const NameChange& c : name_changes_) apply(durable_names_, c);
  name_changes_.clear();
  for (auto& [name, inode] : cached_names_) make_durable(*inode);
  return {};
}

IoResult<Buffer> SimulatedDisk::read_file(const std::string& path, size_t max_bytes) {
  if (auto alive = check_alive(path); !alive) return tl::unexpected(alive.error());
  auto found = find(path);
  if (!found) return tl::unexpected(found.error());
  if (auto fault = due_fault(Operation::read, path)) return tl::unexpected(*fault);
  if ((*found)->cached.size() > max_bytes) return io_failure(IoFault::too_large, fmt::format("{} is too large", path));
  return Buffer::copy_of((*found)->cached);
}

IoResult<void> SimulatedDisk::replace_file(const std::string& path, BytesView content, Durability durability) {
  const std::string temporary = path + ".tmp";
  auto file = open(temporary, OpenMode::create_if_missing);
  if (!file) return tl::unexpected(file.error());
  if (auto cut = (*file)->truncate(0); !cut) return cut;
  if (auto written = (*file)->write_at(0, content); !written) return written;
  if (durability == Durability::medium) {
    if (auto synced = (*file)->sync_now(); !synced) return synced;
  }
  if (auto renamed = rename(temporary, path); !renamed) return renamed;
  if (durability == Durability::medium) return sync_directory(parent_of(path));
  return {};
}

IoResult<std::unique_ptr<FileLock>> SimulatedDisk::lock(const std::string& path) {
  if (auto file = open(path, OpenMode::create_if_missing); !file) return tl::unexpected(file.error());
  if (!locks_.insert(path).second)
    return io_failure(IoFault::locked, fmt::format("{} is held by another process", path));
  return std::make_unique<SimulatedLock>(*this, path);
}

IoResult<Space> SimulatedDisk::space(const std::string& path) {
  if (auto alive = check_alive(path); !alive) return tl::unexpected(alive.error());
  const uint64_t total = capacity_.value_or(uint64_t{1} << 40);
  const uint64_t used = used_bytes();
  return Space{total > used ? total - used : 0, total};
}

IoResult<MachineIdentity> SimulatedDisk::machine_identity(const std::string&) {
  return MachineIdentity{fmt::format("boot-{}", boot_), "fs-1"};
}

void SimulatedDisk::offload(Job kind, std::function<IoResult<void>()> job, Done<void> done) {
  later(kind == Job::reads ? options_.read_time : options_.sync_time,
        [this, job = std::move(job), done = std::move(done)] {
          const auto result = job();
          if (!stopped_) done(result);
        });
}

void SimulatedDisk::flip_bit(const std::string& path, uint64_t bit) {
  Inode& inode = *cached_names_.at(path);
  const auto flip = [bit](std::vector<std::byte>& bytes) {
    if (bit / 8 < bytes.size()) bytes[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
  };
  flip(inode.cached);
  flip(inode.durable);
}

std::vector<std::pair<std::string, size_t>> SimulatedDisk::misdirect(const std::string& from, size_t at,
                                                                     const std::string& to, size_t there) {
  Inode& source = *cached_names_.at(from);
  Inode& target = *cached_names_.at(to);
  const size_t length = std::min({write_block, source.cached.size() - std::min(at, source.cached.size()),
                                  target.cached.size() - std::min(there, target.cached.size())});
  const std::vector<std::byte> block(source.cached.begin() + static_cast<std::ptrdiff_t>(at),
                                     source.cached.begin() + static_cast<std::ptrdiff_t>(at + length));
  std::vector<std::pair<std::string, size_t>> spoilt;
  const auto put = [&spoilt, length](Inode& inode, const std::string& path, size_t position, auto byte_at) {
    std::optional<size_t> first;
    for (size_t i = 0; i < length; ++i) {
      if (!first && inode.cached[position + i] != byte_at(i)) first = position + i;
      inode.cached[position + i] = byte_at(i);
      if (position + i < inode.durable.size()) inode.durable[position + i] = byte_at(i);
    }
    if (first) spoilt.emplace_back(path, *first);
  };
  put(source, from, at, [](size_t) { return std::byte{0}; });
  put(target, to, there, [&block](size_t i) { return block[i]; });
  return spoilt;
}

void SimulatedDisk::overwrite(const std::string& path, BytesView content) {
  const auto there = cached_names_.find(path);
  const InodeRef inode = there != cached_names_.end() ? there->second : std::make_shared<Inode>();
  if (there == cached_names_.end()) name(path, inode);
  set_size(*inode, content.size());
  std::copy(content.begin(), content.end(), inode->cached.begin());
  inode->durable = inode->cached;
  inode->dirty.clear();
  durable_names_[path] = inode;
}

void SimulatedDisk::erase(const std::string& path) {
  unname(path);
  durable_names_.erase(path);
}

bool SimulatedDisk::exists(const std::string& path) const {
  return cached_names_.contains(path);
}

Buffer SimulatedDisk::content(const std::string& path) const {
  return Buffer::copy_of(cached_names_.at(path)->cached);
}

std::vector<std::string> SimulatedDisk::paths() const {
  std::vector<std::string> all;
  for (const auto& [path, inode] : cached_names_) {
    if (!inode->is_directory) all.push_back(path);
  }
  return all;
}

BytesView SimulatedDisk::durable_content(const std::string& path) const {
  const auto found = durable_names_.find(path);
  return found == durable_names_.end() ? BytesView() : BytesView(found->second->durable);
}

std::vector<std::string> SimulatedDisk::durable_paths(const std::string& directory) const {
  std::vector<std::string> all;
  const std::string prefix = directory + "/";
  for (auto it = durable_names_.lower_bound(prefix); it != durable_names_.end() && it->first.starts_with(prefix);
       ++it) {
    if (!it->second->is_directory) all.push_back(it->first);
  }
  return all;
}

std::unique_ptr<SimulatedDisk> SimulatedDisk::clone(Options options) const {
  auto copy = std::make_unique<SimulatedDisk>(std::move(options));
  std::map<const Inode*, InodeRef> copies;
  const auto of = [&](const InodeRef& inode) {
    if (!inode) return InodeRef();
    InodeRef& made = copies[inode.get()];
    if (!made) {
      made = std::make_shared<Inode>(*inode);
      made->names = 0;
    }
    return made;
  };
  for (const auto& [path, inode] : cached_names_) copy->cached_names_[path] = of(inode);
  copy->count_used_bytes();
  for (const auto& [path, inode] : durable_names_) copy->durable_names_[path] = of(inode);
  for (const NameChange& c : name_changes_) {
    NameChange& change = copy->name_changes_.emplace_back(c);
    change.inode = of(c.inode);
    for (NameChange& each : change.inside) each.inode = of(each.inode);
  }
  copy->random_state_ = random_state_;
  copy->boot_ = boot_;
  return copy;
}

}  // namespace common::disk
