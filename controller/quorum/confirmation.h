// Since when a broker may doubt that it is still what it believes (R33). An answered heartbeat alone proves nothing:
// the controller may have given this broker's leaderships away while it heard nothing, and the records that say so are
// still under way, or find no room on its disk. So an answer names an offset of the metadata log, and counts from the
// moment at which its heartbeat was sent, once everything up to that offset has been applied here.
//
// Pure; thread-compatible, lives with its BrokerSession.
#pragma once
#include <deque>
#include <optional>

#include "common/clock.h"
#include "common/model/types.h"

namespace controller::quorum {

using common::model::Instant;
using common::model::LogIndex;

class Confirmation {
 public:
  // `window`: how long one confirmation is worth anything.
  Confirmation(Instant start, common::model::Duration window) : window_(window), confirmed_at_(start) {}

  // A heartbeat sent at `sent` was answered at `now`: true as of `as_of` in the metadata log.
  void on_answer(Instant sent, LogIndex as_of, std::optional<LogIndex> applied, Instant now);
  // `applied` has moved.
  void on_applied(std::optional<LogIndex> applied, Instant now);
  // Somebody who must know says that we are not what we believe, or whoever confirmed it was not entitled to.
  void on_doubt();

  // When the newest heartbeat that counts was sent; nullopt: none does.
  [[nodiscard]] std::optional<Instant> confirmed_at() const { return confirmed_at_; }
  // Since when no metadata has been applied though there is some (R32); nullopt: none that we have heard of.
  [[nodiscard]] std::optional<Instant> stalled_since() const { return stalled_since_; }

 private:
  [[nodiscard]] bool is_behind(std::optional<LogIndex> applied) const;
  void confirm(std::optional<LogIndex> applied);
  struct Answer {
    Instant sent;
    LogIndex as_of;
  };
  const common::model::Duration window_;
  std::deque<Answer> waiting_;  // for their offsets to be applied; in the order of sending, offsets never fall
  std::optional<Instant> confirmed_at_;
  std::optional<LogIndex> newest_;  // that an answer has named
  std::optional<Instant> stalled_since_;
};

}  // namespace controller::quorum
