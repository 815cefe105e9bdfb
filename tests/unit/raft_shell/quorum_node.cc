#include "raft_shell/quorum_node.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <random>

namespace raft_shell_test {
namespace {

// All nodes of a test share one lock: what they were told is read and waited for together.
std::mutex& told_mutex() {
  static std::mutex mutex;
  return mutex;
}
std::condition_variable& told_condition() {
  static std::condition_variable condition;
  return condition;
}

}  // namespace

// Below the range from which the kernel takes ports for outgoing connections, or one of those might take it meanwhile.
uint16_t free_port() {
  std::random_device random;
  for (;;) {
    const auto port = static_cast<uint16_t>(20000 + random() % 12000);
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool is_free = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (is_free) return port;
  }
}

QuorumNode::QuorumNode(Options options)
    : random_(std::random_device()()),
      shard_(common::make_thread_shard(0, clock_, "controller")),
      pool_({.sync_threads = 1, .read_threads = 1}),
      disk_(common::disk::make_kernel_disk(pool_, [this](std::function<void()> f) { shard_->post(std::move(f)); })) {
  const common::Logger logger(fmt::format("b{} raft", options.id));
  service_ = std::make_unique<RaftService>(*shard_, logger);
  server_ = std::make_unique<GrpcServer>(GrpcServerOptions{.host = "127.0.0.1", .port = options.port});
  server_->add(*service_);
  const auto started = server_->start();
  NARU_CHECK(started, "{}", started ? "" : started.error().message);
  RaftDriverOptions driver;
  driver.node_id = BrokerId(options.id);
  driver.metadata_log_dir = options.directory;
  driver.voters = options.voters;
  driver.endpoint = {"127.0.0.1", server_->port()};
  driver.snapshot_bytes = options.snapshot_bytes;
  driver.cluster_id = options.cluster_id;
  driver.raft.entries_kept_bytes = 0;
  driver_ = std::make_unique<RaftDriver>(driver, *shard_, *disk_, random_, *service_, static_cast<RaftListener&>(*this), logger);
  driver_->start([this](Result<QuorumIdentity> ready) {
    told([&] {
      if (ready) {
        identity_ = *ready;
      } else {
        refusal_ = ready.error().message;
      }
    });
  });
}

QuorumNode::~QuorumNode() {
  stop();
}

void QuorumNode::stop() {
  if (!driver_) return;
  std::promise<void> stopped;
  driver_->stop([&] { stopped.set_value(); });
  stopped.get_future().wait();
  server_->stop();
  run([this] { driver_.reset(); });
  common::stop_shard(*shard_);
}

template <class F>
void QuorumNode::told(F change) {
  {
    std::lock_guard lock(told_mutex());
    change();
  }
  told_condition().notify_all();
}

bool QuorumNode::wait(const std::function<bool()>& condition, std::chrono::milliseconds at_most) {
  std::unique_lock lock(told_mutex());
  const auto deadline = std::chrono::steady_clock::now() + at_most;
  for (;;) {
    lock.unlock();
    if (condition()) return true;
    lock.lock();
    // Bounded, because a condition may also ask what nobody is told of (describe()).
    told_condition().wait_for(lock, std::chrono::milliseconds(20));
    if (std::chrono::steady_clock::now() > deadline) return false;
  }
}

void QuorumNode::on_snapshot(Buffer state, LogIndex) {
  told([&] {
    ++snapshots_loaded_;
    applied_.clear();
    const std::string_view text = state.text();
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find('\n', at);
      applied_.emplace_back(text.substr(at, end - at));
      at = end + 1;
    }
  });
}
void QuorumNode::on_committed(std::span<const raft::Entry> entries) {
  told([&] {
    for (const raft::Entry& entry : entries)
      if (entry.kind == raft::EntryKind::data) applied_.emplace_back(entry.payload.text());
  });
}
void QuorumNode::on_leadership_gained(Term, LogIndex) {
  told([&] { leads_ = true; });
}
void QuorumNode::on_leadership_lost(Term) {
  told([&] { leads_ = false; });
}
void QuorumNode::on_leader_changed(std::optional<BrokerId>, Term) {}
Buffer QuorumNode::make_snapshot() {
  std::string state;
  for (const std::string& text : applied()) state += text + "\n";
  return Buffer::own(std::move(state));
}
void QuorumNode::on_halted(const std::string& reason) {
  told([&] { halted_ = reason; });
}

std::vector<std::string> QuorumNode::applied() const {
  std::lock_guard lock(told_mutex());
  return applied_;
}
bool QuorumNode::leads() const {
  std::lock_guard lock(told_mutex());
  return leads_;
}
std::optional<std::string> QuorumNode::cluster_id() const {
  std::lock_guard lock(told_mutex());
  return identity_ ? std::optional(identity_->cluster_id) : std::nullopt;
}
raft::NodeKey QuorumNode::key() const {
  std::lock_guard lock(told_mutex());
  return identity_ ? identity_->key : raft::NodeKey{};
}
std::optional<std::string> QuorumNode::refusal() const {
  std::lock_guard lock(told_mutex());
  return refusal_;
}
std::optional<std::string> QuorumNode::halted() const {
  std::lock_guard lock(told_mutex());
  return halted_;
}
int QuorumNode::snapshots_loaded() const {
  std::lock_guard lock(told_mutex());
  return snapshots_loaded_;
}

void QuorumNode::run(const std::function<void()>& on_shard) {
  std::promise<void> done;
  shard_->post([&] {
    on_shard();
    done.set_value();
  });
  done.get_future().wait();
}

Result<LogIndex> QuorumNode::propose(const std::string& text) {
  std::promise<Result<LogIndex>> answer;
  run([&] {
    const auto proposed =
        driver_->propose(Buffer::copy_of(text), [&](Result<LogIndex> index) { answer.set_value(std::move(index)); });
    if (!proposed) answer.set_value(proposed);
  });
  return answer.get_future().get();
}
Result<LogIndex> QuorumNode::read_index() {
  std::promise<Result<LogIndex>> answer;
  run([&] { driver_->read_index([&](Result<LogIndex> index) { answer.set_value(std::move(index)); }); });
  return answer.get_future().get();
}
Result<void> QuorumNode::transfer(int to) {
  std::promise<Result<void>> answer;
  run([&] {
    driver_->transfer_leadership(BrokerId(to), [&](Result<void> done) { answer.set_value(std::move(done)); });
  });
  return answer.get_future().get();
}
Result<void> QuorumNode::add_voter(const raft::Voter& voter) {
  std::promise<Result<void>> answer;
  run([&] { driver_->add_voter(voter, [&](Result<void> done) { answer.set_value(std::move(done)); }); });
  return answer.get_future().get();
}
Result<void> QuorumNode::remove_voter(const raft::NodeKey& voter) {
  std::promise<Result<void>> answer;
  run([&] { driver_->remove_voter(voter, [&](Result<void> done) { answer.set_value(std::move(done)); }); });
  return answer.get_future().get();
}
raft::QuorumStatus QuorumNode::describe() {
  raft::QuorumStatus status;
  run([&] { status = driver_->describe(); });
  return status;
}
RaftMeasures QuorumNode::measures() {
  RaftMeasures measures;
  run([&] { measures = driver_->measures(); });
  return measures;
}

}  // namespace raft_shell_test
