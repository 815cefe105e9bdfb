// One classic group: its members, what state its rebalance is in, and who is waiting for it. Bookkeeping only; the
// rules of joining, syncing and leaving are in membership.h.
//
//   empty -> preparing_rebalance -> completing_rebalance -> stable
//   Any state with members goes back to preparing_rebalance when the membership changes; preparing_rebalance ends in
//   empty when nobody is left. Kafka's fifth state, Dead, is a group that is not there.
//
// Thread-compatible.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broker/group/offset_table.h"
#include "broker/group/record.h"
#include "broker/group/request.h"

namespace broker::group {

using common::model::Duration;
using common::model::Instant;

// Names a request that waits for its answer; given by whoever asks.
using RequestToken = common::model::Id<struct RequestTokenTag, uint64_t>;

enum class GroupState : uint8_t { empty, preparing_rebalance, completing_rebalance, stable };
// Kafka's words: "Empty", "PreparingRebalance", ...
[[nodiscard]] std::string_view to_string(GroupState state);

inline constexpr std::string_view consumer_protocol_type = "consumer";

struct ClientIdentity {
  std::string id;
  std::string host;
};

struct Member {
  std::string member_id;
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string client_host;
  milliseconds session_timeout{0};
  milliseconds rebalance_timeout{0};
  std::vector<Protocol> protocols;
  Buffer assignment;

  std::optional<RequestToken> awaiting_join;
  std::optional<RequestToken> awaiting_sync;
  bool is_new = false;                      // has not been part of a generation yet
  bool must_sync = false;                   // was told of the generation and has not asked for its assignment
  std::optional<Instant> session_deadline;  // none while its request waits here: that is a sign of life

  [[nodiscard]] bool is_static() const { return instance_id.has_value(); }
  [[nodiscard]] bool has_protocols(const std::vector<Protocol>& other) const;
  [[nodiscard]] Buffer metadata_for(const std::optional<std::string>& protocol) const;
  [[nodiscard]] size_t memory_bytes() const;
};

// Kafka waits a little before a new group's first rebalance, and longer while members keep arriving.
struct InitialDelay {
  milliseconds remaining{0};
  milliseconds current{0};
  bool member_added = false;
};

class Group {
 public:
  explicit Group(std::string id) : id_(std::move(id)) {}

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] GroupState state() const { return state_; }
  void set_state(GroupState state, TimestampMs since);
  [[nodiscard]] std::optional<TimestampMs> state_since() const { return state_since_; }
  [[nodiscard]] Generation generation() const { return generation_; }
  [[nodiscard]] const std::optional<std::string>& protocol_type() const { return protocol_type_; }
  [[nodiscard]] const std::optional<std::string>& protocol() const { return protocol_; }
  [[nodiscard]] const std::optional<std::string>& leader() const { return leader_; }
  [[nodiscard]] bool is_leader(std::string_view member_id) const { return leader_ && *leader_ == member_id; }
  // Topics that members of a consumer group subscribe to; none if that cannot be known.
  [[nodiscard]] const std::optional<std::set<std::string, std::less<>>>& subscribed_topics() const {
    return subscribed_topics_;
  }
  [[nodiscard]] bool is_subscribed_to(std::string_view topic) const;

  // ---- Members ----
  using Members = std::map<std::string, Member, std::less<>>;
  [[nodiscard]] const Members& members() const { return members_; }
  Member* find(std::string_view member_id);
  [[nodiscard]] const Member* find(std::string_view member_id) const {
    return const_cast<Group*>(this)->find(member_id);
  }
  [[nodiscard]] const std::string* static_member_id(const std::string& instance_id) const;
  Member& add(Member member, const std::string& protocol_type);
  // Its waiting requests must have been answered.
  void remove(const std::string& member_id);
  // The static member under another member id; returns what it was. Waiting requests of the old one stay in the result.
  Member replace_static(const std::string& old_member_id, const std::string& new_member_id, ClientIdentity client);
  // Undoes replace_static.
  Member& restore_static(const std::string& new_member_id, Member old_member);
  void set_protocols(Member& member, std::vector<Protocol> protocols);
  void set_assignment(Member& member, Buffer assignment);
  [[nodiscard]] bool supports(const std::string& protocol_type, const std::vector<Protocol>& protocols) const;
  [[nodiscard]] milliseconds rebalance_timeout() const;  // the longest that any member asks for

  // Requests that wait. A token is taken out to be answered.
  void wait_for_join(Member& member, RequestToken token);
  std::optional<RequestToken> take_join(Member& member);
  [[nodiscard]] size_t awaiting_join() const { return awaiting_join_; }
  [[nodiscard]] bool all_joined() const { return awaiting_join_ == members_.size() && reserved_ids_.empty(); }
  void set_must_sync(Member& member, bool must);
  [[nodiscard]] bool all_synced() const { return must_sync_ == 0; }

  // Member ids given out and not used yet (KIP-394).
  void reserve_id(const std::string& member_id, Instant until);
  bool release_id(const std::string& member_id);
  [[nodiscard]] bool has_reserved(const std::string& member_id) const { return reserved_ids_.contains(member_id); }
  [[nodiscard]] const std::map<std::string, Instant>& reserved_ids() const { return reserved_ids_; }

  // ---- Rebalance ----
  // False: none of the members has rejoined, so nobody could lead.
  bool elect_joined_leader();
  // The generation after this one, with the protocol that most members prefer.
  void begin_generation();
  // What begin_generation would choose; there are members.
  [[nodiscard]] std::optional<std::string> protocol_after_rebalance() const { return choose_protocol(); }
  std::optional<InitialDelay> initial_delay;
  bool storing_assignment = false;  // of this generation

  // ---- Timers ----
  [[nodiscard]] std::optional<Instant> join_deadline() const { return join_deadline_; }
  [[nodiscard]] std::optional<Instant> sync_deadline() const { return sync_deadline_; }
  void set_join_deadline(std::optional<Instant> at);
  void set_sync_deadline(std::optional<Instant> at);
  void set_session_deadline(Member& member, std::optional<Instant> at);
  // Not later than the first deadline: it only goes down until recompute_wake_up(), so that a heartbeat costs nothing.
  [[nodiscard]] std::optional<Instant> wake_up() const { return wake_up_; }
  void recompute_wake_up();
  std::optional<Instant> armed_at;  // the coordinator's entry for this group

  // ---- Records ----
  [[nodiscard]] StoredGroup stored_form(const std::map<std::string, Buffer>& assignments) const;
  // The group as a record has it: stable if it has members, else empty (R108). Replaces what was loaded before.
  void load(const StoredGroup& stored);
  void unload();  // a tombstone while loading
  // Whether the log holds, or is about to hold, a record of the group.
  [[nodiscard]] bool is_stored() const { return stored_ || writes_in_flight_ > 0; }
  // A log that commits nothing, because the ISR is below its minimum, may do so for hours, and each try of a group to
  // become stable, or of a static member to come back, is a record with all members in it.
  [[nodiscard]] bool has_room_to_write() const { return writes_in_flight_ < writes_in_flight_max; }
  void on_write_planned() { ++writes_in_flight_; }
  void on_write_done() { --writes_in_flight_; }
  void set_stored(bool stored) { stored_ = stored; }

  OffsetTable offsets;
  // Nothing would be lost without this object.
  [[nodiscard]] bool is_void() const;

  [[nodiscard]] size_t memory_bytes() const { return memory_bytes_; }
  size_t memory_accounted = 0;  // by the coordinator
  void check_invariants() const;

 private:
  void note_deadline(std::optional<Instant> at);
  void count_protocols(const Member& member, int by);
  [[nodiscard]] std::string choose_protocol() const;
  void recompute_subscribed_topics();

  static constexpr int writes_in_flight_max = 4;

  // After every event: (1) leader_ names a member, and is set exactly when there are members; (2) awaiting_join_ and
  // must_sync_ count the members of which it is true; (3) static_members_ and the members' instance ids agree; (4) an
  // empty group has no members, a stable or completing one has some and a protocol.
  const std::string id_;
  GroupState state_ = GroupState::empty;
  std::optional<TimestampMs> state_since_;
  Generation generation_{0};
  std::optional<std::string> protocol_type_;
  std::optional<std::string> protocol_;
  std::optional<std::string> leader_;
  std::optional<std::set<std::string, std::less<>>> subscribed_topics_;
  Members members_;
  std::map<std::string, std::string> static_members_;  // instance id -> member id
  std::map<std::string, int> protocol_counts_;         // how many members support each
  std::map<std::string, Instant> reserved_ids_;
  size_t awaiting_join_ = 0;
  size_t must_sync_ = 0;
  std::optional<Instant> join_deadline_;
  std::optional<Instant> sync_deadline_;
  std::optional<Instant> wake_up_;
  bool stored_ = false;
  int writes_in_flight_ = 0;
  size_t memory_bytes_ = 0;
};

}  // namespace broker::group
