// One node of the metadata quorum as in a broker, over a real directory, real gRPC on loopback and threads of its own,
// with a listener that remembers what it was told. The test's thread waits for conditions, never for time.
#pragma once
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/disk/kernel_disk.h"
#include "common/shard.h"
#include "controller/quorum/grpc_server.h"
#include "controller/quorum/raft_driver.h"
#include "controller/quorum/raft_service.h"
#include "support/temporary_directory.h"

namespace raft_shell_test {

using namespace controller::quorum;  // NOLINT: a test of that namespace
namespace raft = controller::raft;

using test_support::TemporaryDirectory;

uint16_t free_port();

class QuorumNode final : private RaftListener {
 public:
  struct Options {
    int id = 1;
    std::string directory;
    uint16_t port = 0;
    std::vector<ConfiguredPeer> voters;
    uint64_t snapshot_bytes = 4u << 20;
    std::optional<std::string> cluster_id;
  };
  explicit QuorumNode(Options options);
  ~QuorumNode() override;  // stops

  // A controlled stop, as on SIGTERM.
  void stop();

  // --- what it was told, any thread
  [[nodiscard]] std::vector<std::string> applied() const;
  [[nodiscard]] bool leads() const;
  [[nodiscard]] std::optional<std::string> cluster_id() const;
  [[nodiscard]] std::optional<std::string> refusal() const;
  [[nodiscard]] std::optional<std::string> halted() const;
  [[nodiscard]] int snapshots_loaded() const;
  [[nodiscard]] raft::NodeKey key() const;

  // Proposes and waits for the answer.
  Result<LogIndex> propose(const std::string& text);
  Result<LogIndex> read_index();
  Result<void> transfer(int to);
  Result<void> add_voter(const raft::Voter& voter);
  Result<void> remove_voter(const raft::NodeKey& voter);
  raft::QuorumStatus describe();
  RaftMeasures measures();

  // Whether `condition` became true before the deadline; asked again whenever any node was told something.
  static bool wait(const std::function<bool()>& condition,
                   std::chrono::milliseconds at_most = std::chrono::seconds(60));

 private:
  void on_snapshot(Buffer state, LogIndex end) override;
  void on_committed(std::span<const raft::Entry> entries) override;
  void on_leadership_gained(Term term, LogIndex start) override;
  void on_leadership_lost(Term term) override;
  void on_leader_changed(std::optional<BrokerId> leader, Term term) override;
  Buffer make_snapshot() override;
  void on_halted(const std::string& reason) override;

  void run(const std::function<void()>& on_shard);
  template <class F>
  void told(F change);

  common::SystemClock clock_;
  common::model::SeededRandom random_;
  std::unique_ptr<common::Shard> shard_;
  common::disk::DiskPool pool_;
  std::unique_ptr<common::disk::Disk> disk_;
  std::unique_ptr<RaftService> service_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<RaftDriver> driver_;

  std::vector<std::string> applied_;
  bool leads_ = false;
  std::optional<QuorumIdentity> identity_;
  std::optional<std::string> refusal_, halted_;
  int snapshots_loaded_ = 0;
};

}  // namespace raft_shell_test
