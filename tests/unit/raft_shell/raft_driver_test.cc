#include <algorithm>
#include <array>
#include <filesystem>

#include <catch2/catch.hpp>

#include "raft_shell/quorum_node.h"

namespace raft_shell_test {
namespace {

using Texts = std::vector<std::string>;

// Three nodes that can be stopped and started, each in its own directory.
class Trio {
 public:
  explicit Trio(uint64_t snapshot_bytes = 4u << 20) : snapshot_bytes_(snapshot_bytes) {
    for (int id = 1; id <= 3; ++id) {
      ports_[static_cast<size_t>(id)] = free_port();
      voters_.push_back({BrokerId(id), {"127.0.0.1", ports_[static_cast<size_t>(id)]}});
    }
  }
  QuorumNode& start(int id) {
    const auto i = static_cast<size_t>(id);
    QuorumNode::Options options;
    options.id = id;
    options.directory = directories_[i].path();
    options.port = ports_[i];
    options.voters = voters_;
    options.snapshot_bytes = snapshot_bytes_;
    nodes_[i] = std::make_unique<QuorumNode>(options);
    return *nodes_[i];
  }
  void start_all() {
    for (int id = 1; id <= 3; ++id) start(id);
    // Two can lead and write before the third has heard that the cluster is formed.
    for (int id = 1; id <= 3; ++id) REQUIRE(QuorumNode::wait([&] { return (*this)[id].cluster_id().has_value(); }));
  }
  void stop(int id) { nodes_[static_cast<size_t>(id)].reset(); }
  QuorumNode& operator[](int id) { return *nodes_[static_cast<size_t>(id)]; }
  std::vector<ConfiguredPeer> voters() const { return voters_; }
  [[nodiscard]] std::string directory(int id) const { return directories_[static_cast<size_t>(id)].path(); }

  // The id of the only leader.
  int leader() {
    int found = 0;
    REQUIRE(QuorumNode::wait([&] {
      int count = 0;
      for (int id = 1; id <= 3; ++id) {
        if (!nodes_[static_cast<size_t>(id)] || !(*this)[id].leads()) continue;
        found = id;
        ++count;
      }
      return count == 1;
    }));
    return found;
  }
  // Proposes through whoever leads, until it is committed: if the leader changes meanwhile it may be so twice.
  void write(const std::string& text) {
    REQUIRE(QuorumNode::wait([&] { return (*this)[leader()].propose(text).has_value(); }));
  }
  // What a node has applied, once each.
  Texts applied(int id) {
    Texts all = (*this)[id].applied();
    all.erase(std::ranges::unique(all).begin(), all.end());
    return all;
  }

 private:
  uint64_t snapshot_bytes_;
  std::array<uint16_t, 4> ports_{};
  std::array<TemporaryDirectory, 4> directories_;
  std::vector<ConfiguredPeer> voters_;
  std::array<std::unique_ptr<QuorumNode>, 4> nodes_;
};

}  // namespace

TEST_CASE("a single voter founds a cluster, and finds everything again after a restart") {
  TemporaryDirectory directory;
  QuorumNode::Options options;
  options.directory = directory.path();
  std::string cluster_id;
  {
    QuorumNode node(options);
    REQUIRE(QuorumNode::wait([&] { return node.leads(); }));
    REQUIRE(node.propose("a"));
    REQUIRE(node.propose("b"));
    CHECK(node.read_index());
    CHECK(node.applied() == Texts{"a", "b"});
    CHECK(node.measures().commit_latency.count() == 2);
    CHECK(node.measures().election_latency.count() == 1);
    CHECK(node.describe().voted_for == BrokerId(1));
    cluster_id = node.cluster_id().value();
  }
  {
    QuorumNode node(options);
    REQUIRE(QuorumNode::wait([&] { return node.leads(); }));
    CHECK(node.applied() == Texts{"a", "b"});
    CHECK(node.cluster_id() == cluster_id);
    REQUIRE(node.propose("c"));
  }
  options.cluster_id = "another";
  QuorumNode stranger(options);
  REQUIRE(QuorumNode::wait([&] { return stranger.refusal().has_value(); }));
  CHECK(stranger.refusal()->find("belongs to cluster " + cluster_id) != std::string::npos);
}

TEST_CASE("a directory of another node is refused") {
  TemporaryDirectory directory;
  QuorumNode::Options options;
  options.directory = directory.path();
  {
    QuorumNode node(options);
    REQUIRE(QuorumNode::wait([&] { return node.leads(); }));
  }
  options.id = 2;
  QuorumNode node(options);
  REQUIRE(QuorumNode::wait([&] { return node.refusal().has_value(); }));
  CHECK(node.refusal()->find("belongs to node 1") != std::string::npos);
}

TEST_CASE("a note that its state is lost, which cannot be read, keeps a node from voting (R20, R76)") {
  TemporaryDirectory directory;
  QuorumNode::Options options;
  options.directory = directory.path();
  {
    QuorumNode node(options);
    REQUIRE(QuorumNode::wait([&] { return node.leads(); }));
  }
  std::filesystem::create_directory(directory.path() + "/__cluster_metadata-0/state-lost");  // opens, and does not read
  QuorumNode node(options);
  REQUIRE(QuorumNode::wait([&] { return node.refusal().has_value(); }));
  CHECK(node.refusal()->find("state-lost") != std::string::npos);
}

TEST_CASE("three nodes found a cluster, elect, replicate, and survive the restart of each") {
  Trio trio;
  trio.start(3);
  trio.start(1);
  CHECK_FALSE(trio[1].cluster_id());  // not before all three have answered
  trio.start(2);
  trio.write("first");
  for (int id = 1; id <= 3; ++id) {
    REQUIRE(QuorumNode::wait([&] { return trio.applied(id) == Texts{"first"}; }));
    CHECK(trio[id].cluster_id() == trio[1].cluster_id());
  }
  Texts expected{"first"};
  for (int id = 1; id <= 3; ++id) {
    trio.stop(id);
    expected.push_back(fmt::format("without {}", id));
    trio.write(expected.back());
    trio.start(id);
    REQUIRE(QuorumNode::wait([&] { return trio.applied(id) == expected; }));
  }
  for (int id = 1; id <= 3; ++id) trio.stop(id);
  trio.start_all();
  trio.write("after all");
  expected.emplace_back("after all");
  for (int id = 1; id <= 3; ++id) REQUIRE(QuorumNode::wait([&] { return trio.applied(id) == expected; }));
}

TEST_CASE("leadership is handed over on request") {
  Trio trio;
  trio.start_all();
  trio.write("a");
  const int from = trio.leader();
  const int to = from == 1 ? 2 : 1;
  REQUIRE(trio[from].transfer(to));
  REQUIRE(QuorumNode::wait([&] { return trio[to].leads(); }));
  trio.write("b");
  REQUIRE(QuorumNode::wait([&] { return trio.applied(to) == Texts{"a", "b"}; }));
}

TEST_CASE("a node that was away for longer than the log reaches back gets a snapshot") {
  Trio trio(2000);
  trio.start_all();
  trio.write("first");
  const int away = trio.leader() == 3 ? 2 : 3;
  REQUIRE(QuorumNode::wait([&] { return trio.applied(away) == Texts{"first"}; }));
  trio.stop(away);
  Texts expected{"first"};
  const std::string padding(200, 'x');
  const auto log_has_been_cut = [&] { return trio[trio.leader()].describe().log_start > LogIndex(5); };
  for (int i = 0; i < 200 && !log_has_been_cut(); ++i) {
    expected.push_back(fmt::format("{} {}", i, padding));
    trio.write(expected.back());
  }
  REQUIRE(log_has_been_cut());
  trio.start(away);
  REQUIRE(QuorumNode::wait([&] { return trio.applied(away) == expected; }));
  CHECK(trio[away].snapshots_loaded() > 0);
  CHECK(trio[away].measures().snapshots_loaded > 0);
  size_t made = 0;
  for (int id = 1; id <= 3; ++id) {
    if (id != away && trio[id].measures().snapshot_made_at && trio[id].measures().snapshot_bytes > 0) ++made;
  }
  CHECK(made > 0);
  // And from its own disk again.
  trio.stop(away);
  trio.start(away);
  trio.write("last");
  expected.emplace_back("last");
  REQUIRE(QuorumNode::wait([&] { return trio.applied(away) == expected; }));
}

TEST_CASE("a wiped voter comes back as an observer under another directory id, and can be made a voter again") {
  Trio trio;
  trio.start_all();
  trio.write("a");
  const int leader = trio.leader();
  const int wiped = leader == 1 ? 2 : 1;
  const auto former = trio[wiped].key();
  trio.stop(wiped);
  std::filesystem::remove_all(trio.directory(wiped) + "/__cluster_metadata-0");
  trio.start(wiped);
  REQUIRE(QuorumNode::wait([&] { return trio.applied(wiped) == Texts{"a"}; }));
  const auto now = trio[wiped].key();
  CHECK(now.id == former.id);
  CHECK(now.directory != former.directory);
  CHECK_FALSE(trio[leader].describe().voters.contains(now));
  // Refused until the leader has heard the other one lately.
  REQUIRE(QuorumNode::wait([&] { return trio[leader].remove_voter(former).has_value(); }));
  const raft::Voter voter{now, trio.voters()[static_cast<size_t>(wiped - 1)].endpoint, {}};
  REQUIRE(QuorumNode::wait([&] { return trio[leader].add_voter(voter).has_value(); }));
  CHECK(trio[leader].describe().voters.contains(now));
}

TEST_CASE("a vote that was lost is not given again: the node sets its log aside") {
  Trio trio;
  trio.start_all();
  trio.write("a");
  const int leader = trio.leader();
  const int victim = leader == 1 ? 2 : 1;
  const auto former = trio[victim].key();
  trio.stop(victim);
  std::filesystem::remove(trio.directory(victim) + "/__cluster_metadata-0/quorum-state");
  trio.start(victim);
  REQUIRE(QuorumNode::wait([&] { return trio.applied(victim) == Texts{"a"}; }));
  CHECK(trio[victim].key().directory != former.directory);
  CHECK(std::filesystem::exists(trio.directory(victim) + "/__cluster_metadata-0.lost-1"));
}

// Its sessions begin again below those that the others have heard, so they drop what it says (R23) and could never tell
// it what it lacks: it must find out from their greeting.
TEST_CASE("a voter whose directory is an older image sets its log aside") {
  Trio trio;
  trio.start_all();
  trio.write("a");
  const int leader = trio.leader();
  const int victim = leader == 1 ? 2 : 1;
  const auto former = trio[victim].key();
  const std::string log = trio.directory(victim) + "/__cluster_metadata-0";
  TemporaryDirectory image;
  const auto has_all = [&] {  // a change of leaders may have written it twice
    const Texts all = trio[leader].applied();
    return std::ranges::count(all, "b") > 0 && trio[victim].applied() == all;
  };
  trio.stop(victim);
  std::filesystem::copy(log, image.path() + "/image", std::filesystem::copy_options::recursive);
  trio.start(victim);
  trio.write("b");
  REQUIRE(QuorumNode::wait(has_all));
  // Of a life that nobody has heard nothing can be forgotten.
  REQUIRE(QuorumNode::wait([&] {
    const raft::QuorumStatus status = trio[trio.leader()].describe();
    return std::ranges::any_of(status.replicas,
                               [&](const auto& r) { return r.key == former && r.log_end == status.log_end; });
  }));
  trio.stop(victim);
  std::filesystem::remove_all(log);
  std::filesystem::copy(image.path() + "/image", log, std::filesystem::copy_options::recursive);
  trio.start(victim);
  REQUIRE(QuorumNode::wait([&] { return trio[victim].halted().has_value(); }));
  CHECK(trio[victim].halted()->find("an older image") != std::string::npos);
  trio.stop(victim);
  trio.start(victim);
  REQUIRE(QuorumNode::wait(has_all));
  CHECK(trio[victim].key().directory != former.directory);
}

TEST_CASE("bootstrap servers are enough: the ids come from the handshake") {
  std::array<TemporaryDirectory, 3> directories;
  std::vector<ConfiguredPeer> peers;
  for (size_t i = 0; i < 3; ++i) peers.push_back({std::nullopt, {"127.0.0.1", free_port()}});
  std::vector<std::unique_ptr<QuorumNode>> nodes;
  for (size_t i = 0; i < 3; ++i) {
    QuorumNode::Options options;
    options.id = static_cast<int>(i) + 7;
    options.directory = directories[i].path();
    options.port = peers[i].endpoint.port;
    options.voters = peers;
    options.cluster_id = "wished-for";
    nodes.push_back(std::make_unique<QuorumNode>(options));
  }
  REQUIRE(QuorumNode::wait([&] { return nodes[0]->leads() || nodes[1]->leads() || nodes[2]->leads(); }));
  REQUIRE(QuorumNode::wait([&] { return nodes[0]->cluster_id() == "wished-for"; }));
  CHECK(nodes[0]->describe().voters.size() == 3);
}

}  // namespace raft_shell_test
