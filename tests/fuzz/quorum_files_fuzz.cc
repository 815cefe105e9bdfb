// Whatever lies in the directory of the metadata log (entries, vote, snapshots, quorum.properties), a start refuses it,
// sets it aside as lost, or gives a node that works; what was opened, used and closed opens again (R1, R4, R15, R18,
// R21).
//
//   input = kind:u8, then 0 properties   1 a batch of records   2 a snapshot of the image   else damage...
//   (damaged_files.h)
#include "controller/metadata/image.h"
#include "controller/quorum/metadata_codec.h"
#include "controller/quorum/raft_disk.h"
#include "fuzz/damaged_files.h"

namespace {

using namespace controller;
using common::model::BrokerId;
using common::model::Buffer;
using common::model::Instant;
using common::model::LogIndex;
using common::model::Term;
using common::model::Uuid;
using fuzz::SimulatedDisk;
using quorum::RaftDisk;

const std::string directory = "meta/log";
const raft::NodeKey self{BrokerId(1), Uuid::from_halves(1, 1)};
const raft::VoterSet voters({raft::Voter{self, {"host", 1}, {}}});

// A node over its storage, until it is closed.
class Life {
 public:
  explicit Life(SimulatedDisk& disk) : disk_(disk) {}

  // Empty if it is refused.
  std::string start(bool is_member) {
    RaftDisk::Environment environment;
    environment.disk = &disk_;
    environment.clock = &clock_;
    environment.after = [](common::model::Duration, const std::function<void()>&) {};
    auto opened = RaftDisk::open(environment, directory, is_member, is_member ? raft::VoterSet() : voters);
    if (!opened) return opened.error().message;
    if (opened->lost) return "lost: " + *opened->lost;
    storage_ = std::move(opened->storage);
    bool is_finished = false;
    storage_->finish_open([&](const auto& done) { is_finished = done.has_value(); });
    disk_.run_until_idle();
    if (!is_finished) return "the storage does not finish its start";
    quorum::RaftStorage::Events events;
    events.on_durable = [this](raft::PersistToken token, std::optional<raft::Snapshot> installed) {
      if (installed) node_->on_snapshot_installed(std::move(*installed));
      take(node_->on_durable(token, now_));
    };
    events.on_failed = [this](const std::string& why) { take(node_->halt(why, now_)); };
    storage_->listen(std::move(events));
    raft::Config config;
    config.self = self;
    node_ = std::make_unique<raft::Node>(config, std::move(opened->restored), random_, now_);
    take(node_->start(now_));
    return {};
  }
  void use() {
    for (int i = 0; i < 6; ++i) {
      now_ = std::max(now_, node_->next_deadline());
      take(node_->on_tick(now_));
      disk_.run_until_idle();
      if (auto proposed = node_->propose(Buffer::copy_of(std::string("records")), now_))
        take(std::move(proposed->effects));
      disk_.run_until_idle();
    }
  }
  void close() {
    bool is_closed = false;
    storage_->close([&] { is_closed = true; });
    disk_.run_until_idle();
    NARU_CHECK(is_closed, "closing never ends");
    storage_.reset();
  }
  [[nodiscard]] raft::LogIndex committed() const { return node_->committed(); }
  void save_snapshot() {
    raft::Snapshot snapshot{node_->snapshot_meta_at(node_->delivered()),
                            quorum::encode_snapshot(metadata::MetadataImage{})};
    storage_->save_snapshot(std::move(snapshot), [this](quorum::Result<raft::Snapshot> saved) {
      if (saved) take(node_->on_snapshot_made(std::move(*saved), now_));
    });
    disk_.run_until_idle();
  }

 private:
  void take(raft::Effects effects) { storage_->persist(std::move(effects.persist)); }

  SimulatedDisk& disk_;
  common::SystemClock clock_;
  common::model::SeededRandom random_{1};
  std::unique_ptr<RaftDisk> storage_;
  std::unique_ptr<raft::Node> node_;
  Instant now_{std::chrono::hours(1)};
};

std::unique_ptr<SimulatedDisk> make_base(bool has_snapshot) {
  auto disk = std::make_unique<SimulatedDisk>();
  NARU_CHECK(disk->create_directories(directory));
  NARU_CHECK(disk->sync_directory("meta"));
  quorum::QuorumProperties properties;
  properties.key = self;
  properties.state = quorum::FormationState::formed;
  properties.cluster_id = "cluster";
  NARU_CHECK(quorum::write_properties(*disk, directory, properties));
  Life life(*disk);
  const std::string refused = life.start(false);
  NARU_CHECK(refused.empty(), "{}", refused);
  life.use();
  NARU_CHECK(life.committed() > LogIndex(3), "committed {}", life.committed());
  if (has_snapshot) {
    life.save_snapshot();
    life.use();
  }
  life.close();
  return disk;
}

void boot(fuzz::Input& input, const SimulatedDisk& base) {
  const auto disk = base.clone();
  fuzz::damage(*disk, input);
  const auto properties = quorum::read_properties(*disk, directory);
  if (!properties || !*properties) return;
  Life life(*disk);
  if (!life.start(true).empty()) return;
  life.use();
  life.close();
  Life next(*disk);
  const std::string refused = next.start(true);
  NARU_CHECK(refused.empty(), "what was closed does not open: {}", refused);
}

void apply(const std::vector<metadata::MetadataRecord>& records) {
  const auto again = quorum::decode_records(quorum::encode_records(records).view());
  NARU_CHECK(again && *again == records, "our own records are not understood");
  metadata::ImageEditor editor{metadata::MetadataImage{}};
  int64_t index = 0;
  for (const auto& record : records) {
    if (!editor.apply(record, LogIndex(index++))) return;
  }
  editor.set_offset(LogIndex(index));
  const metadata::MetadataImage image = editor.take_image();
  NARU_CHECK(quorum::decode_snapshot(quorum::encode_snapshot(image).view()).has_value(),
             "our own image is not understood");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool quiet = (common::configure_logging(common::LogLevel::off, common::LogFormat::text), true);
  static const std::array<std::unique_ptr<SimulatedDisk>, 2> bases = {make_base(false), make_base(true)};
  (void)quiet;
  fuzz::Input input(data, size);
  const unsigned kind = input.u8() % 8;
  if (kind == 0) {
    const auto properties = quorum::decode_properties(common::model::as_text(input.rest()));
    if (!properties) return 0;
    const auto again = quorum::decode_properties(quorum::encode_properties(*properties));
    NARU_CHECK(again && *again == *properties, "our own properties are not understood");
  } else if (kind == 1) {
    if (const auto records = quorum::decode_records(input.rest())) apply(*records);
  } else if (kind == 2) {
    (void)quorum::decode_snapshot(input.rest());
  } else {
    boot(input, *bases[kind % 2]);
  }
  return 0;
}
