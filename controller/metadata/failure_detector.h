// Which brokers are gone: gathers evidence about each and says whom to fence. Soft state of
// one active controller, on its monotonic clock (R28). Wrong suspicion costs a re-election, never data, so it may be
// quick.
//
//   evidence                                                      fenced after
//   control stream lost (or broker unknown after a failover)
//     and the address refuses connections three times             about 30 ms
//   control stream lost, no handshake since                       lost_stream_timeout; half of it with two witnesses
//   silence                                                       session_timeout
//
// The first two are the fast path: once per process and pause (5 s, doubling), and off while we distrust our own clock.
// The pause is for suspicions that were wrong: who registers anew had died (R26), and its next death is believed as
// quickly.
//
// Pure; thread-compatible, lives with its ControllerState.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "controller/metadata/draft.h"
#include "controller/metadata/options.h"

namespace controller::metadata {

enum class Evidence : uint8_t { refused, lost_stream, silence };
[[nodiscard]] FenceReason reason_of(Evidence evidence);

enum class ProbeResult : uint8_t { refused, no_answer, connected };

// What is known of a broker when the watch begins.
enum class Standing : uint8_t {
  alive,      // it has just spoken to us
  unknown,    // we have just become active: probe it (R28)
  suspected,  // it lived in the process of the controller that we replaced: probe it first (R28)
};

struct Verdict {
  BrokerId broker_id;
  BrokerEpoch epoch;
  Evidence evidence = Evidence::silence;
  Duration silent_for{0};
};

class FailureDetector {
 public:
  FailureDetector(DetectorOptions options, Instant now) : options_(options), last_tick_(now) {}

  // Watches an unfenced broker; only watched ones get a verdict.
  void watch(const BrokerImage& broker, Standing standing, Instant now);
  // Fenced.
  void unwatch(BrokerId id);
  // It is no member of the cluster any more.
  void forget(BrokerId id) { sessions_.erase(id); }

  void on_heartbeat(BrokerId id, BrokerEpoch epoch, Instant now);
  void on_stream_lost(BrokerId id, BrokerEpoch epoch, Instant now);
  // Another broker lost its connection to this one.
  void on_witness(BrokerId reporter, BrokerId id, BrokerEpoch epoch);
  void on_probe(BrokerId id, BrokerEpoch epoch, ProbeResult result, Instant now);

  enum class OwnClock : uint8_t { trusted, paused };
  // To be called every few ten milliseconds. `paused`: this process stood still longer than own_gap_max; every session
  // has been restarted, for it was perhaps we who did not listen.
  [[nodiscard]] OwnClock on_tick(Instant now);

  // Whom to fence now. `may_fence_fast` can hold a fast verdict back; silence then decides.
  [[nodiscard]] std::vector<Verdict> verdicts(Instant now, const std::function<bool(BrokerId)>& may_fence_fast) const;
  // The verdict was carried out.
  void on_fenced(const Verdict& verdict, Instant now);

  // Connection attempts to make now; suspected brokers first.
  [[nodiscard]] std::vector<ProbeOrder> take_probes(Instant now);
  // When something is due, apart from ticks. What the last tick has seen is not due again.
  [[nodiscard]] std::optional<Instant> next_deadline() const;

  [[nodiscard]] std::optional<Instant> last_heartbeat(BrokerId id) const;

 private:
  struct Session {
    BrokerEpoch epoch;
    ClusterEndpoint endpoint;
    bool watched = false;
    Instant heard_at;                // last heartbeat, or the beginning of the watch
    bool heard = false;              // whether there was a heartbeat at all
    std::optional<Instant> lost_at;  // stream lost, no handshake since
    bool loss_assumed = false;       // nobody saw the stream break: a process that still accepts is given more time
    int refusals = 0;
    bool accepts = false;  // the last probe got through
    std::optional<Instant> next_probe;
    bool probing = false;
    std::set<BrokerId> witnesses;
    // Guard of the fast path.
    std::optional<Instant> fast_fenced_at;
    BrokerEpoch fast_fenced_epoch;
    Duration pause{0};
  };

  [[nodiscard]] std::optional<Evidence> evidence_against(const Session& s, Instant now) const;
  [[nodiscard]] Instant lost_deadline(const Session& s) const;
  [[nodiscard]] Session* watched(BrokerId id, BrokerEpoch epoch);

  const DetectorOptions options_;
  Instant last_tick_;
  std::map<BrokerId, Session> sessions_;
};

}  // namespace controller::metadata
