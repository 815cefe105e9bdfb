// The language of tests/scenarios/raft: several nodes, their disks and the network between them, at a virtual time.
//
//   cluster voters=(1,2,3) observers=(4)   start from bootstrapped disks; node n's jitter is n * 10 ms
//   run for=500ms                          let time pass; deliver     only what is in flight
//   cut 1 2 | cut from=1 to=2 | isolate 1 | heal
//   keep from=3 to=1 | again from=3 to=1   what 1 heard last from 3 stays on the way; it arrives once more
//   disk 1 hold|go|step                    operations stay on the way; step finishes one of them
//   crash 1 [kept=N] | restart 1 [life=2] [empty] [lose-log-from=N] [vote-lost]
//   pause 1 | resume 1                     SIGSTOP, SIGCONT: messages wait
//   propose at=1 text=a | read at=1 | transfer at=1 to=2 | add-voter at=1 id=4 | remove-voter at=1 id=3 [returns]
//   update-voter at=1 id=3 host=h | upkeep at=1 [moved=3 host=h]     what the leader then does by itself, if anything
//   snapshot at=1 | halt 1 | gone 1 seen-by=2 | connected 1 at=2
//   send from=2 to=1 term=5 (pre-vote|vote|transfer-vote) log=3@2 [from-life=2] [to-life=2]
//   send from=2 to=1 term=5 append after=3@2 entries=(3@5) committed=1 [checksum-off]     arrives whatever is cut
//   trace (vote append heartbeat ...)      show messages as they arrive (x: lost)
//   status | log 1
//
// Thread-compatible.
#pragma once
#include <map>
#include <set>

#include "controller/raft/sequence_filter.h"
#include "raft/sim_node.h"
#include "support/scenario.h"

namespace raft_test {

class RaftScenario {
 public:
  std::string execute(const test_support::Command& command);

 private:
  struct Member {
    NodeKey key;
    SimDisk disk;
    std::unique_ptr<FixedRandom> random;
    std::unique_ptr<Node> node;  // none: down
    SimState state;
    bool disk_held = false;
    bool paused = false;
    std::vector<BrokerId> peers;
    SequenceFilter filter;  // R23: as controller/quorum/peer_transport.cc has it
    uint64_t session = 0;   // rises with each start
    uint64_t sequence = 0;
  };
  // As on a stream; session 0: made up by the scenario, and not numbered.
  struct Sent {
    Message message;
    uint64_t session = 0;
    uint64_t sequence = 0;
  };
  using Pair = std::pair<int, int>;  // from, to

  void create(const std::vector<int64_t>& voters, const std::vector<int64_t>& observers);
  void boot(int id);
  void restart(const test_support::Command& command);
  void run(Duration duration);
  void settle();
  bool step_disk();
  bool step_network();
  void absorb(int id, Effects effects);
  enum class Link { open, as_cut };
  void arrive(const Sent& sent, Link link);
  bool network(const test_support::Command& command);
  void finish_disk_operation(int id);
  void inject(const test_support::Command& command);
  std::string wish(const test_support::Command& command);
  std::string upkeep(const test_support::Command& command);
  std::string status() const;
  Member& member(int64_t id);
  Member& running(int64_t id);
  void say(int id, const std::string& line);
  bool is_traced(const Message& message) const;

  std::map<int, Member> members_;
  std::deque<Sent> flying_;
  std::map<Pair, Sent> heard_;  // last
  std::map<Pair, Sent> kept_;
  std::set<Pair> cut_;
  std::set<std::string> trace_;
  Instant start_{std::chrono::hours(1)};
  Instant now_{start_};
  std::string said_;
  uint64_t reads_ = 0;
};

}  // namespace raft_test
