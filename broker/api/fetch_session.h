// Fetch sessions (KIP-227): a consumer names its partitions once, afterwards only what changed about them, and is
// answered only with what changed there. A consumer of a thousand idle partitions then costs a few bytes a fetch.
//
// A fetch calls begin(), reads the partitions that the plan names, in that order, and calls finish() with what it
// found; finish() says which of them go into the response. Partitions that gave records move to the end of their
// session's order, so that a byte limit starves none.
//
// The cache is bounded in sessions and in partitions; whoever finds no room fetches without a session, as Kafka
// specifies. A session lives in the cache of the shard that its connection is on; asked elsewhere it is unknown and the
// client makes a new one.
//
// Pure: no clock, `now` is an argument. Thread-compatible: one per shard.
#pragma once
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "common/model/error_code.h"
#include "common/model/random.h"
#include "common/model/types.h"

namespace broker::api {

// A topic as clients name it: by name up to Fetch v12, by id from v13 on. The other member is empty.
struct FetchTopicKey {
  std::string name;
  common::model::TopicId id;
  friend bool operator==(const FetchTopicKey&, const FetchTopicKey&) = default;
};

// One partition of a fetch. The topic is shared with the topic's other partitions.
struct FetchTarget {
  std::shared_ptr<const FetchTopicKey> topic;
  int32_t partition = 0;
  int64_t fetch_offset = 0;
  int32_t max_bytes = 0;
  std::optional<common::model::LeaderEpoch> current_leader_epoch;
  std::optional<common::model::LeaderEpoch> last_fetched_epoch;
};

enum class FetchTopicNaming : uint8_t { by_name, by_id };

// The topic is shared, as a target's is.
struct ForgottenPartition {
  std::shared_ptr<const FetchTopicKey> topic;
  int32_t partition = 0;
};

// What a request says.
struct FetchAsk {
  int32_t session_id = 0;
  int32_t session_epoch = -1;  // -1: no session, ends the one named; 0: wants a new one; else the next in its session
  FetchTopicNaming naming = FetchTopicNaming::by_name;
  std::vector<FetchTarget> targets;
  std::vector<ForgottenPartition> forgotten;
};

// What to read.
struct FetchPlan {
  common::model::ErrorCode error = common::model::ErrorCode::none;  // answer just this
  std::vector<FetchTarget> targets;
  bool wants_session = false;
  FetchTopicNaming naming = FetchTopicNaming::by_name;
  std::optional<int32_t> session_id;  // of an incremental fetch
  int32_t next_epoch = 0;             // of that session
};

// What was found at one target.
struct FetchFound {
  bool has_records = false;
  bool must_tell = false;  // an error or a divergence
  int64_t high_watermark = -1;
  int64_t log_start_offset = -1;
};

struct FetchReply {
  common::model::ErrorCode error = common::model::ErrorCode::none;
  int32_t session_id = 0;     // 0: no session
  std::vector<bool> include;  // by target
};

struct FetchSessionLimits {
  size_t sessions_max = 1000;                                         // max.incremental.fetch.session.cache.slots
  size_t partitions_max = 200'000;                                    // of all sessions together
  common::model::Duration evictable_after = std::chrono::minutes(2);  // unused for so long
};

// Session epochs run from 1 to 2^31-1 and over again; 0 and -1 have other meanings.
[[nodiscard]] int32_t fetch_epoch_after(int32_t epoch);

class FetchSessionCache {
 public:
  // `random` outlives the cache; ids must not be guessable by other clients.
  FetchSessionCache(FetchSessionLimits limits, common::model::Random& random) : limits_(limits), random_(random) {}

  [[nodiscard]] FetchPlan begin(FetchAsk ask, common::model::Instant now);
  // `found[i]` belongs to `plan.targets[i]`.
  [[nodiscard]] FetchReply finish(const FetchPlan& plan, const std::vector<FetchFound>& found,
                                  common::model::Instant now);

  [[nodiscard]] size_t session_count() const { return sessions_.size(); }
  [[nodiscard]] size_t partition_count() const { return partition_count_; }

 private:
  struct Cached {
    FetchTarget target;
    // As the client was last told; -1 makes the next answer tell again.
    int64_t high_watermark = -1;
    int64_t log_start_offset = -1;
  };
  // A view of a cached partition, or of a request's.
  struct Key {
    const FetchTopicKey* topic = nullptr;
    int32_t partition = 0;
    friend bool operator==(const Key& a, const Key& b) { return a.partition == b.partition && *a.topic == *b.topic; }
  };
  struct KeyHash {
    size_t operator()(const Key& key) const;
  };
  using Order = std::list<Cached>;
  struct Session {
    FetchTopicNaming naming = FetchTopicNaming::by_name;
    int32_t next_epoch = 1;
    common::model::Instant last_used;
    Order order;
    boost::unordered_flat_map<Key, Order::iterator, KeyHash> by_key;  // keys point into `order`
  };

  [[nodiscard]] bool update(Session& session, FetchAsk ask);
  void forget(Session& session, const Key& key);
  void drop(int32_t session_id);
  static bool must_include(Cached& cached, const FetchFound& found);
  FetchReply finish_full(const FetchPlan& plan, const std::vector<FetchFound>& found, common::model::Instant now);
  bool make_room(size_t partitions, common::model::Instant now);
  int32_t unused_id();

  const FetchSessionLimits limits_;
  common::model::Random& random_;
  boost::unordered_flat_map<int32_t, std::unique_ptr<Session>> sessions_;
  size_t partition_count_ = 0;  // in all sessions
};

}  // namespace broker::api
