// The __consumer_offsets partition that one coordinator stands on, as its leader sees it in one leader epoch.
// Lives on the partition's home shard.
#pragma once
#include <optional>
#include <string>

#include "common/believed_clock.h"
#include "common/model/bytes.h"
#include "common/model/result.h"
#include "common/model/types.h"
#include "common/model/uuid.h"
#include "common/shard.h"

namespace broker::group {

class CoordinatorLog {
 public:
  virtual ~CoordinatorLog() = default;

  // Appends one record batch with acks=all in this leader epoch only (R105) and waits, as long as it takes, until it is
  // committed. Errors: see is_definite(). Never called again before the last call has returned.
  virtual common::Awaitable<common::model::Result<common::model::Offset>> append(common::model::Buffer batch) = 0;

  // How large a batch the partition takes, as its settings are now.
  [[nodiscard]] virtual size_t batch_bytes_max() const = 0;

  // For loading (R104). Whole batches from `from` on, up to the log end, committed or not; empty at the log end.
  virtual common::Awaitable<common::model::Result<common::model::BufferChain>> read(common::model::Offset from,
                                                                                    size_t max_bytes) = 0;
  // Waits until everything before `end` is committed. false: not leader in this epoch any more.
  virtual common::Awaitable<bool> until_committed_before(common::model::Offset end) = 0;
  // R33: nothing can be committed here, and somebody else may coordinate by now.
  [[nodiscard]] virtual bool is_cut_off() const = 0;
  // R33: somebody else may have committed what is not known here; what is committed here is still told from what is
  // not.
  [[nodiscard]] virtual bool may_be_outdated() const = 0;
  // As the metadata has it, which is at least as new as the leader epoch.
  [[nodiscard]] virtual std::optional<common::model::Uuid> topic_id(const std::string& name) const = 0;
  // What offsets age by, as producers do in the partition's log.
  [[nodiscard]] virtual const common::BelievedClock& believed_clock() const = 0;
  // NOT_LEADER_OR_FOLLOWER once the epoch is over.
  [[nodiscard]] virtual common::model::Result<common::model::Offset> log_start_offset() const = 0;
  [[nodiscard]] virtual common::model::Result<common::model::Offset> log_end_offset() const = 0;
};

// Whether an append that failed with `error` has certainly written nothing. After any other error the records may be in
// the log: the coordinator must be loaded anew.
[[nodiscard]] bool is_definite(common::model::ErrorCode error);

}  // namespace broker::group
