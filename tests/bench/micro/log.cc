// The log: appends, look-ups in an index, and what a fetch makes of the tail. On real files in a temporary directory,
// whose system calls cost no instructions that are counted here.
#include "common/log/log.h"

#include <unistd.h>

#include <filesystem>

#include "common/disk/kernel_disk.h"
#include "common/log/index_file.h"
#include "kafka/fetch.h"
#include "micro.h"

namespace micro {

using common::model::Buffer;
using common::model::LeaderEpoch;
using common::model::Offset;
using common::model::TimestampMs;
using namespace common::log;  // NOLINT: what is measured

namespace {

// A directory, a disk and a cache; gone with the last step that holds them.
struct Files {
  Files() { std::filesystem::create_directories(root); }
  ~Files() {
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
  }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  std::unique_ptr<Log> open(int partition) {
    const std::string path = fmt::format("{}/t-{}", root, partition);
    std::filesystem::create_directories(path);
    LogEnvironment environment;
    environment.disk = disk.get();
    environment.tail_cache = &cache;
    auto log = Log::open(environment, path, {}, {}, TimestampMs(1000));
    NARU_CHECK(log.has_value(), "{}", log.error().message);
    return std::move(*log);
  }

  const std::string root = fmt::format("{}/naru-micro-{}", std::filesystem::temp_directory_path().string(), getpid());
  common::disk::DiskPool pool{{.sync_threads = 1, .read_threads = 1}};
  std::unique_ptr<common::disk::Disk> disk = common::disk::make_kernel_disk(pool, [](std::function<void()> f) { f(); });
  TailCache cache{16 << 20};
};

struct OneLog {
  Files files;
  std::unique_ptr<Log> log = files.open(0);
};

// The copy stands for the frame that came from the socket.
void append(Log& log, const Buffer& sample) {
  const Buffer batch = Buffer::copy_of(sample.view());
  const auto facts = common::records::validate_produced(batch.view(), {}, TimestampMs(2000));
  NARU_CHECK(facts.has_value());
  NARU_CHECK(log.append_as_leader(batch, *facts, LeaderEpoch(1), TimestampMs(2000)).has_value());
}

Step appending(int records, common::records::Codec codec) {
  return [own = std::make_shared<OneLog>(), sample = batch_of(records, codec)] { append(*own->log, sample); };
}

Step index_lookup() {
  struct Index {
    Files files;
    IndexFile<OffsetEntry> file;
    std::string path = files.root + "/index";
    int64_t next = 0;
  };
  constexpr int64_t entries = 100'000;
  auto own = std::make_shared<Index>();
  own->file.reset();
  for (uint32_t i = 1; i <= entries; ++i) own->file.append({.relative_offset = i * 16, .position = i * 4096});
  NARU_CHECK(own->file.write(*own->files.disk, own->path).has_value());
  return [own] {
    own->next = (own->next + 7919) % entries;
    const auto found = own->file.find(*own->files.disk, own->path, own->next * 16 + 20, Waiting::never);
    NARU_CHECK(found.has_value() && found->has_value());
    keep(found);
  };
}

// Ten partitions, four batches of 16 KiB of each, as one answer on the wire.
Step fetch_assembly() {
  struct Logs {
    Files files;
    std::vector<std::unique_ptr<Log>> all;
  };
  auto own = std::make_shared<Logs>();
  const Buffer sample = batch_of(16);
  for (int p = 0; p < 10; ++p) {
    own->all.push_back(own->files.open(p));
    for (int i = 0; i < 4; ++i) append(*own->all.back(), sample);
  }
  return [own] {
    kafka::FetchResponse response;
    response.responses.emplace_back();
    response.responses[0].topic = "orders";
    for (size_t p = 0; p < own->all.size(); ++p) {
      auto read = own->all[p]->read({.from = Offset(0), .limit = own->all[p]->log_end_offset()});
      NARU_CHECK(read.has_value() && !read->is_cold);
      auto& part = response.responses[0].partitions.emplace_back();
      part.partition_index = static_cast<int32_t>(p);
      part.high_watermark = own->all[p]->log_end_offset().value;
      part.records = std::move(read->records);
    }
    const auto bytes = kafka::encode(response, 12);
    NARU_CHECK(bytes.has_value() && bytes->size() > 10 * 4 * 16'000);
    keep(bytes);
  };
}

}  // namespace

void add_log(Cases& all) {
  using common::records::Codec;
  all.push_back({"validate and append 16 KiB", 50, [] { return appending(16, Codec::none); }});
  all.push_back({"validate and append 128 KiB", 10, [] { return appending(128, Codec::none); }});
  all.push_back({"validate and append 16 KiB, lz4", 20, [] { return appending(16, Codec::lz4); }});
  all.push_back({"look up an offset among 100,000 in an index", 500, index_lookup});
  all.push_back({"assemble a fetch of 10 partitions from the tail", 50, fetch_assembly});
}

}  // namespace micro
