#include "sim/disk_view.h"

namespace sim {
namespace {

using common::disk::BytesView;
using common::disk::Disk;
using common::disk::Done;
using common::disk::File;
using common::disk::IoFault;
using common::disk::IoResult;
using common::model::Buffer;

// What both share; files may outlive the view for a while.
struct Hold {
  common::disk::SimulatedDisk& disk;
  std::shared_ptr<Process> process;
  common::Shard& shard;

  [[nodiscard]] bool is_over() const { return !process->is_alive(); }
  static tl::unexpected<common::disk::IoError> over() {
    return common::disk::io_failure(IoFault::failed, "the process has ended");
  }
  template <class T>
  Done<T> posted(Done<T> done) const {
    return [process = std::weak_ptr(process), &shard = shard, done = std::move(done)](IoResult<T> result) {
      const auto alive = process.lock();
      if (!alive || !alive->is_alive()) return;
      shard.post([done, result = std::move(result)] { done(result); });
    };
  }
};

class FileView final : public File {
 public:
  FileView(std::shared_ptr<Hold> hold, std::shared_ptr<File> file) : hold_(std::move(hold)), file_(std::move(file)) {}

  [[nodiscard]] const std::string& path() const override { return file_->path(); }
  IoResult<uint64_t> size() override { return hold_->is_over() ? IoResult<uint64_t>(Hold::over()) : file_->size(); }
  IoResult<void> write_at(uint64_t position, std::span<const BytesView> parts) override {
    return hold_->is_over() ? IoResult<void>(Hold::over()) : file_->write_at(position, parts);
  }
  IoResult<void> truncate(uint64_t length) override {
    return hold_->is_over() ? IoResult<void>(Hold::over()) : file_->truncate(length);
  }
  IoResult<void> allocate(uint64_t length) override {
    return hold_->is_over() ? IoResult<void>(Hold::over()) : file_->allocate(length);
  }
  IoResult<size_t> read_at(uint64_t position, std::span<std::byte> out) override {
    return hold_->is_over() ? IoResult<size_t>(Hold::over()) : file_->read_at(position, out);
  }
  IoResult<size_t> try_read(uint64_t position, std::span<std::byte> out) override {
    if (hold_->is_over()) return Hold::over();
    if (hold_->process->world().rarely(Rare::cold_reads)) {
      return common::disk::io_failure(IoFault::would_block, file_->path());
    }
    return file_->try_read(position, out);
  }
  void read_cold(uint64_t position, size_t length, Done<Buffer> done) override {
    if (!hold_->is_over()) file_->read_cold(position, length, hold_->posted(std::move(done)));
  }
  void sync(Done<void> done) override {
    if (!hold_->is_over()) file_->sync(hold_->posted(std::move(done)));
  }
  IoResult<void> sync_now() override { return hold_->is_over() ? IoResult<void>(Hold::over()) : file_->sync_now(); }
  IoResult<void> hold_open() override { return hold_->is_over() ? IoResult<void>(Hold::over()) : file_->hold_open(); }
  void start_writeback(uint64_t position, uint64_t length) override { file_->start_writeback(position, length); }

 private:
  std::shared_ptr<Hold> hold_;
  std::shared_ptr<File> file_;
};

class DiskView final : public Disk {
 public:
  explicit DiskView(std::shared_ptr<Hold> hold) : hold_(std::move(hold)) {}

  IoResult<std::shared_ptr<File>> open(const std::string& path, common::disk::OpenMode mode) override {
    if (hold_->is_over()) return Hold::over();
    auto file = hold_->disk.open(path, mode);
    if (!file) return file;
    return std::make_shared<FileView>(hold_, std::move(*file));
  }
  IoResult<void> create_directories(const std::string& path) override {
    return hold_->is_over() ? IoResult<void>(Hold::over()) : hold_->disk.create_directories(path);
  }
  IoResult<std::vector<common::disk::DirectoryEntry>> list(const std::string& path) override {
    if (hold_->is_over()) return Hold::over();
    return hold_->disk.list(path);
  }
  IoResult<void> rename(const std::string& from, const std::string& to) override {
    return hold_->is_over() ? IoResult<void>(Hold::over()) : hold_->disk.rename(from, to);
  }
  IoResult<void> remove_file(const std::string& path) override {
    return hold_->is_over() ? IoResult<void>(Hold::over()) : hold_->disk.remove_file(path);
  }
  IoResult<void> remove_tree(const std::string& path) override {
    return hold_->is_over() ? IoResult<void>(Hold::over()) : hold_->disk.remove_tree(path);
  }
  IoResult<void> sync_directory(const std::string& path) override {
    return hold_->is_over() ? IoResult<void>(Hold::over()) : hold_->disk.sync_directory(path);
  }
  IoResult<void> sync_file_system(const std::string& path) override {
    return hold_->is_over() ? IoResult<void>(Hold::over()) : hold_->disk.sync_file_system(path);
  }
  IoResult<Buffer> read_file(const std::string& path, size_t max_bytes) override {
    if (hold_->is_over()) return Hold::over();
    return hold_->disk.read_file(path, max_bytes);
  }
  IoResult<void> replace_file(const std::string& path, BytesView content,
                              common::disk::Durability durability) override {
    return hold_->is_over() ? IoResult<void>(Hold::over()) : hold_->disk.replace_file(path, content, durability);
  }
  IoResult<std::unique_ptr<common::disk::FileLock>> lock(const std::string& path) override {
    if (hold_->is_over()) return Hold::over();
    return hold_->disk.lock(path);
  }
  IoResult<common::disk::Space> space(const std::string& path) override {
    if (hold_->is_over()) return Hold::over();
    return hold_->disk.space(path);
  }
  IoResult<common::disk::MachineIdentity> machine_identity(const std::string& path) override {
    if (hold_->is_over()) return Hold::over();
    return hold_->disk.machine_identity(path);
  }
  void offload(common::disk::Job kind, std::function<IoResult<void>()> job, Done<void> done) override {
    if (!hold_->is_over()) hold_->disk.offload(kind, std::move(job), hold_->posted(std::move(done)));
  }

 private:
  std::shared_ptr<Hold> hold_;
};

}  // namespace

std::unique_ptr<Disk> make_disk_view(common::disk::SimulatedDisk& disk, std::shared_ptr<Process> process,
                                     common::Shard& shard) {
  return std::make_unique<DiskView>(std::make_shared<Hold>(disk, std::move(process), shard));
}

}  // namespace sim
