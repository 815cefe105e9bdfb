// A decision in the making: records are applied to a private copy of the image as they are added, so that each step
// sees the ones before it and nothing is proposed that could not be applied (R18).
//
// Decision, ProbeOrder: plain values. Draft: thread-compatible, lives for one decision.
#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "controller/metadata/image.h"
#include "controller/metadata/requests.h"

namespace controller::metadata {

// Please connect to this address once, plainly, and tell FailureDetector how it went.
struct ProbeOrder {
  BrokerId broker_id;
  BrokerEpoch epoch;
  ClusterEndpoint endpoint;
  friend bool operator==(const ProbeOrder&, const ProbeOrder&) = default;
};

// What the active controller wants: one atomic batch appended to the log (nothing, if empty), and the answer given when
// that batch is committed; without records, when everything decided before it is committed (R16).
struct Decision {
  std::vector<MetadataRecord> records;
  ControllerAnswer answer;
  std::vector<std::string> log;  // state changes worth a line, once committed
  LogIndex index;                // where the batch must stand in the log
};

class Draft {
 public:
  // Whether a broker has said that it cannot use its replica (R72, R76), or that what it had of it is gone (R46).
  using IsOffline = std::function<bool(BrokerId, const TopicIdPartition&)>;
  // `index` is where this batch will stand in the metadata log.
  Draft(const MetadataImage& image, LogIndex index, IsOffline is_offline = {})
      : editor_(image), index_(index), is_offline_(std::move(is_offline)) {}

  void add(MetadataRecord record) {
    const auto applied = editor_.apply(record, index_);
    NARU_CHECK(applied.has_value(), "the controller made a record that does not apply: {}", applied.error().message);
    records_.push_back(std::move(record));
  }
  template <class... A>
  void note(fmt::format_string<A...> text, A&&... a) {
    log_.push_back(fmt::format(text, std::forward<A>(a)...));
  }

  [[nodiscard]] const MetadataImage& image() const { return editor_.image(); }
  [[nodiscard]] const ImageDelta& delta() const { return editor_.delta(); }
  [[nodiscard]] LogIndex index() const { return index_; }
  [[nodiscard]] bool is_offline(BrokerId id, const TopicIdPartition& partition) const {
    return is_offline_ && is_offline_(id, partition);
  }
  [[nodiscard]] bool empty() const { return records_.empty(); }
  [[nodiscard]] const std::vector<MetadataRecord>& records() const { return records_; }

  // Ends the draft.
  [[nodiscard]] Decision decide(ControllerAnswer answer) {
    return Decision{std::move(records_), std::move(answer), std::move(log_), index_};
  }
  [[nodiscard]] MetadataImage take_image() {
    editor_.set_offset(index_);
    return editor_.take_image();
  }

 private:
  ImageEditor editor_;
  LogIndex index_;
  IsOffline is_offline_;
  std::vector<MetadataRecord> records_;
  std::vector<std::string> log_;
};

}  // namespace controller::metadata
