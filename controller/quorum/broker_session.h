// A broker's place in the cluster: finds the active controller, registers, keeps in service by heartbeats, and leaves
// in good order (R24-R33). When the controller changes, it goes to the new one at once.
//
// Lives on the controller's shard; epoch(), isolated() and in_service() may be read on any thread.
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/logging.h"
#include "controller/quorum/confirmation.h"
#include "controller/quorum/controller_links.h"

namespace controller::quorum {

class SessionServer;

struct SessionOptions {
  BrokerId broker_id;
  std::vector<common::model::DirectoryId> directories;
  std::vector<metadata::Listener> listeners;  // as advertised to clients
  metadata::ClusterEndpoint cluster_endpoint;
  std::optional<std::string> rack;
  std::optional<BrokerEpoch> previous_broker_epoch;  // from a valid clean marker (R44, R70, R75)
  IncarnationId incarnation_id;
  common::Duration heartbeat_interval = std::chrono::milliseconds(100);
  common::Duration session_timeout = std::chrono::milliseconds(1500);
  common::Duration retry_interval = std::chrono::milliseconds(20);  // between attempts to reach the controller
};

struct SessionHooks {
  std::function<Uuid()> cluster_id;  // zero until this node has an identity
  // How long each loop has stood still (R32); absent: no stalls are reported.
  std::function<metadata::Progress()> progress;
  // Where this broker's copies end (R46); `answer` may be called later, on the controller's shard.
  std::function<void(std::vector<metadata::LogEndQuery>, std::function<void(std::vector<metadata::LogEnd>)> answer)>
      log_ends;
  // Registered with a new epoch.
  std::function<void(BrokerEpoch)> on_registered;
  // Each heartbeat's turn: for how long nothing has confirmed that this broker is what it believes (R33).
  std::function<void(common::Duration unconfirmed)> on_turn;
  // The controller will never accept this broker (another cluster, a foreign disk, an old version): it must exit.
  std::function<void(const std::string& why)> on_rejected;
};

class BrokerSession {
 public:
  // References outlive the session. Nothing happens before start().
  BrokerSession(common::Shard& shard, ControllerRuntime& runtime, SessionServer& own_server, ControllerLinks& links,
                SessionOptions options, SessionHooks hooks, common::Logger log);
  ~BrokerSession();
  BrokerSession(const BrokerSession&) = delete;
  BrokerSession& operator=(const BrokerSession&) = delete;

  void start();
  // Logs are recovered and everything runs: the broker may be put in service (R27).
  void set_ready();
  // Recovery found records missing that had been acknowledged: registers as after an unclean stop (R44, R72). Before
  // start().
  void report_damaged_logs() { damaged_logs_ = true; }
  // Controlled shutdown (R31): `done(true)` when the broker leads nothing and everybody knows, `done(false)` at
  // `deadline`.
  void shut_down(Instant deadline, std::function<void(bool)> done);
  // Asks to be fenced, and stays so: this process cannot do its work (R32).
  void ask_to_be_fenced();
  // Replicas whose directory has failed or is low on space (R76, R81); replaces what was said before.
  void set_trouble(metadata::ReplicaTrouble trouble);
  // The connection to that broker's process broke.
  void report_lost(BrokerId id);

  [[nodiscard]] std::optional<BrokerEpoch> epoch() const {
    const int64_t e = epoch_.load(std::memory_order_acquire);
    return e < 0 ? std::nullopt : std::optional(BrokerEpoch{e});
  }
  // R33: nothing has confirmed for a whole session that this broker is still what it believes: refuse acks=0/1 produces
  // and coordinator work. Safety does not depend on it.
  [[nodiscard]] bool isolated() const;
  // For how long nothing has; any thread.
  [[nodiscard]] common::Duration unconfirmed() const;
  // No controller has welcomed this broker for longer than a new session takes: one that still runs may have fenced it
  // long before it is isolated, by its broken connections. Any thread.
  [[nodiscard]] bool has_lost_session() const;
  // Isolated, and the controller has said that there is metadata which does not arrive here or cannot be applied:
  // others may well lead what this broker believes to lead.
  [[nodiscard]] bool behind() const { return is_behind_.load(std::memory_order_acquire) && isolated(); }
  // As the controller last said.
  [[nodiscard]] bool in_service() const { return in_service_.load(std::memory_order_acquire); }

 private:
  class OwnPort;
  class OwnStream;

  void connect();
  void connect_later(common::Duration delay);
  void note_confirmation();
  void disconnect();
  void on_leader_change();
  void on_down(uint64_t sequence, SessionDown message);
  void on_closed(const std::string& why);
  void on(const SessionWelcome& m, uint64_t sequence);
  void on(const SessionRefused& m, uint64_t sequence);
  void on(const metadata::RegisterBrokerAnswer& m, uint64_t sequence);
  void on(const metadata::BrokerHeartbeatAnswer& m, uint64_t sequence);
  void register_broker();
  void send(SessionUp message);
  void send_heartbeat();
  void heartbeat_soon();
  void follow_pace_of(common::Duration controllers_timeout);
  void on_heartbeat_timer();
  void answer_queries(const std::vector<metadata::LogEndQuery>& queries);
  void end_shutdown(bool in_good_order);

  common::Shard& shard_;
  ControllerRuntime& runtime_;
  SessionServer& own_server_;
  ControllerLinks& links_;
  const SessionOptions options_;
  const SessionHooks hooks_;
  const common::Logger log_;

  std::unique_ptr<SessionStream> stream_;
  std::optional<BrokerId> controller_;  // of the stream
  bool welcomed_ = false;
  bool registering_ = false;
  uint64_t sequence_ = 0;
  std::optional<BrokerEpoch> last_epoch_;  // claimed when registering again: this process never stopped
  bool ready_ = false;
  bool damaged_logs_ = false;
  bool want_fence_ = false;
  metadata::ReplicaTrouble trouble_;
  bool trouble_is_news_ = false;  // the controller of this session has not heard of it
  std::vector<metadata::LogEnd> log_ends_;       // to be sent
  std::vector<metadata::LogEnd> told_log_ends_;  // what this session's controller was told last
  bool asking_log_ends_ = false;
  // Heartbeats: at most one out of turn is unanswered, so that they follow the pace of the controller.
  std::optional<uint64_t> eager_;
  bool eager_again_ = false;
  std::map<uint64_t, Instant> unanswered_;  // sequence -> when sent
  std::optional<Instant> asked_at_;         // hello or registration, not answered yet
  Confirmation confirmation_;
  common::Duration heartbeat_interval_;  // ours, or what the controller's session timeout demands
  common::TimerHandle heartbeat_timer_;
  common::TimerHandle connect_timer_;
  common::TimerHandle shutdown_timer_;
  static constexpr std::chrono::milliseconds first_shutdown_pace{4};
  common::Duration shutdown_pace_{};  // to the next heartbeat of a controlled shutdown: doubles with each
  std::function<void(bool)> on_shutdown_;

  std::atomic<int64_t> epoch_{-1};
  std::atomic<bool> in_service_{false};
  static constexpr int64_t never = INT64_MIN;
  std::atomic<int64_t> confirmed_at_;  // of confirmation_; Instant ticks
  std::atomic<bool> is_behind_{false};  // likewise
  std::atomic<int64_t> lost_at_{never};  // since when there is no session after one; Instant ticks
  std::string last_trouble_;          // logged once, not at each attempt
  std::shared_ptr<bool> alive_;
};

}  // namespace controller::quorum
