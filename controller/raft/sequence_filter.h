// Keeps the order that Raft's bookkeeping relies on: of each peer only the newest session counts, and in it only rising
// sequence numbers (R23). Kafka gets this from one request in flight per connection; gRPC gives it to nobody.
// Thread-compatible.
#pragma once
#include <map>

#include "common/model/mutant.h"
#include "controller/raft/types.h"

namespace controller::raft {

class SequenceFilter {
 public:
  // Sessions of one (node, directory) rise over its restarts. False: an old message, to be dropped.
  bool accept(const NodeKey& from, uint64_t session, uint64_t sequence) {
    Last& last = last_[from];
    const bool old = session < last.session || (session == last.session && sequence <= last.sequence);
    if (old && !common::model::mutant<"R23-takes-messages-out-of-order">()) return false;
    last = {session, sequence};
    return true;
  }
  // The newest session that `from` was heard in; 0: none.
  [[nodiscard]] uint64_t newest_session(const NodeKey& from) const {
    const auto found = last_.find(from);
    return found == last_.end() ? 0 : found->second.session;
  }

 private:
  struct Last {
    uint64_t session = 0;
    uint64_t sequence = 0;
  };
  std::map<NodeKey, Last> last_;
};

}  // namespace controller::raft
