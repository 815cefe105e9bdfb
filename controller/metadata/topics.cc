#include "controller/metadata/topics.h"

#include <algorithm>
#include <map>
#include <set>

#include "common/model/mutant.h"
#include "controller/metadata/election.h"
#include "controller/metadata/placement.h"

namespace controller::metadata {
namespace {

using common::model::fail;
using common::model::mutant;
using common::model::Unexpected;
using Brokers = std::vector<BrokerId>;
using Assignments = std::vector<Brokers>;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

// Whether they are the same but for '.' against '_'.
bool fold_alike(std::string_view a, std::string_view b) {
  const auto folded = [](char c) { return c == '.' ? '_' : c; };
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) { return folded(x) == folded(y); });
}

// Looks for another topic whose name folds to the same text. Both ways of writing each separator are tried, as far as
// there are topics that begin so: thousands may be created at once, and to compare each with all that share its first
// word would hold up the controller for seconds.
class CollisionSearch {
 public:
  CollisionSearch(const MetadataImage::TopicNames& names, std::string_view name)
      : names_(names), name_(name), candidate_(name) {}

  // None also where it has given up.
  std::optional<std::string> run() { return descend(0); }
  // There are names made to have it look at very many beginnings.
  [[nodiscard]] bool has_given_up() const { return looks_left_ == 0; }

 private:
  // `candidate_` before `from` is how some topic's name begins.
  std::optional<std::string> descend(size_t from) {
    const size_t at = name_.find_first_of("._", from);
    if (at == std::string_view::npos) {
      const bool is_other = candidate_ != name_ && names_.contains(candidate_);
      return is_other ? std::optional(candidate_) : std::nullopt;
    }
    for (const char separator : {'.', '_'}) {
      if (looks_left_ == 0 || --looks_left_ == 0) return std::nullopt;
      candidate_[at] = separator;
      const std::string_view beginning = std::string_view(candidate_).substr(0, at + 1);
      const auto next = names_.lower_bound(beginning);
      if (next == names_.end() || !next->first.starts_with(beginning)) continue;
      if (auto found = descend(at + 1)) return found;
    }
    return std::nullopt;
  }

  const MetadataImage::TopicNames& names_;
  const std::string_view name_;
  std::string candidate_;
  size_t looks_left_ = 1000;
};

}  // namespace

Result<void> check_assignment(const MetadataImage& image, const Brokers& replicas,
                              std::optional<int16_t> replication_factor) {
  const auto refuse = [](std::string why) { return fail(ErrorCode::invalid_replica_assignment, std::move(why)); };
  if (replicas.empty()) return refuse("The manual partition assignment includes an empty replica list.");
  Brokers sorted = replicas;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (image.broker(sorted[i]) == nullptr) {
      return refuse(fmt::format("The manual partition assignment includes broker {}, but no such broker is registered.",
                                sorted[i]));
    }
    if (i > 0 && sorted[i] == sorted[i - 1]) {
      return refuse(fmt::format("The manual partition assignment includes the broker {} more than once.", sorted[i]));
    }
  }
  if (replication_factor && *replication_factor != static_cast<int16_t>(replicas.size())) {
    return refuse(
        fmt::format("The manual partition assignment includes a partition with {} replica(s), but this is not "
                    "consistent with previous partitions, which have {} replica(s).",
                    replicas.size(), *replication_factor));
  }
  return {};
}

namespace {

// A partition at birth: in sync are those of its replicas that are active.
Result<PartitionState> first_state(const MetadataImage& image, const Brokers& replicas, int32_t index) {
  PartitionState state;
  state.replicas = replicas;
  for (const BrokerId r : replicas) {
    if (image.is_active(r)) state.isr.push_back(r);
  }
  if (state.isr.empty()) {
    return fail(
        ErrorCode::invalid_replica_assignment,
        fmt::format("All brokers specified in the manual partition assignment for partition {} are fenced or in "
                    "controlled shutdown.",
                    index));
  }
  state.leader = state.isr.front();
  return state;
}

Result<std::vector<PartitionState>> first_states(const MetadataImage& image, const Assignments& assignments,
                                                 int32_t first) {
  std::vector<PartitionState> states;
  for (const Brokers& replicas : assignments) {
    auto state = first_state(image, replicas, first + static_cast<int32_t>(states.size()));
    if (!state) return Unexpected(std::move(state).error());
    states.push_back(std::move(*state));
  }
  return states;
}

Result<Assignments> manual_assignments(const MetadataImage& image, const CreateTopics::Topic& topic) {
  if (topic.replication_factor) {
    return fail(ErrorCode::invalid_request,
                "A manual partition assignment was specified, but replication factor was not set to -1.");
  }
  if (topic.partition_count) {
    return fail(ErrorCode::invalid_request,
                "A manual partition assignment was specified, but numPartitions was not set to -1.");
  }
  std::map<PartitionIndex, Brokers> by_index;
  std::optional<int16_t> replication_factor;
  for (const auto& [index, replicas] : topic.assignments) {
    if (by_index.contains(index)) {
      return fail(ErrorCode::invalid_replica_assignment,
                  fmt::format("Found multiple manual partition assignments for partition {}", index));
    }
    if (auto good = check_assignment(image, replicas, replication_factor); !good)
      return Unexpected(std::move(good).error());
    replication_factor = static_cast<int16_t>(replicas.size());
    by_index.emplace(index, replicas);
  }
  Assignments assignments;
  for (const auto& [index, replicas] : by_index) {
    if (index.value != static_cast<int32_t>(assignments.size())) {
      return fail(ErrorCode::invalid_replica_assignment, "partitions should be a consecutive 0-based integer sequence");
    }
    assignments.push_back(replicas);
  }
  return assignments;
}

Result<Assignments> automatic_assignments(const MetadataImage& image, const CreateTopics::Topic& topic,
                                          const ControllerOptions& options, common::model::Random& random) {
  const int32_t count = topic.partition_count.value_or(options.partitions_default);
  const int16_t replication_factor = topic.replication_factor.value_or(options.replication_factor_default);
  if (replication_factor <= 0) {
    return fail(ErrorCode::invalid_replication_factor,
                "Replication factor must be larger than 0, or -1 to use the default value.");
  }
  if (count <= 0)
    return fail(ErrorCode::invalid_partitions, "Number of partitions was set to an invalid non-positive value.");
  return place_replicas(image, count, replication_factor, random);
}

Result<void> check_configs(const CreateTopics::Topic& topic, const ConfigSchema& schema) {
  const ConfigResource resource{ResourceType::topic, topic.name};
  ConfigMap all;
  for (const auto& [key, value] : topic.configs) {
    if (!value)
      return fail(ErrorCode::invalid_config, fmt::format("Null value not supported for topic configs: {}", key));
    if (!all.emplace(key, *value).second)
      return fail(ErrorCode::invalid_request, fmt::format("Duplicate topic config {}", key));
    if (auto good = schema.validate(resource, key, *value); !good) return good;
  }
  return schema.validate_together(resource, all);
}

// Its partitions' directories would be the metadata log's own, or what was set aside of it.
bool is_metadata_log(std::string_view name) {
  return name == "__cluster_metadata" || name.starts_with("__cluster_metadata-");
}

Result<void> check_name(const MetadataImage& image, const std::string& name) {
  if (const auto reason = invalid_topic_name(name)) {
    return fail(ErrorCode::invalid_topic_exception, fmt::format("Topic name is invalid: {}", *reason));
  }
  if (is_metadata_log(name)) {
    return fail(ErrorCode::invalid_topic_exception,
                fmt::format("Topic name is invalid: '{}' is a name of the metadata log", name));
  }
  if (image.topic_by_name(name) != nullptr) {
    return fail(ErrorCode::topic_already_exists, fmt::format("Topic '{}' already exists.", name));
  }
  if (const auto other = colliding_topic(image, name)) {
    return fail(ErrorCode::invalid_topic_exception,
                fmt::format("Topic '{}' collides with existing topic: {}", name, *other));
  }
  return {};
}

struct NewTopic {
  TopicId id;
  std::vector<PartitionState> partitions;
};

// All checks come before the first record, so that a refused topic leaves nothing behind.
Result<NewTopic> create_one(Draft& draft, const CreateTopics::Topic& topic, const ControllerOptions& options,
                            const ConfigSchema& schema, common::model::Random& random) {
  const MetadataImage before = draft.image();
  const auto is_asked_for = [&](const TopicId& id) {
    return topic.topic_id == id || std::ranges::find(topic.former_ids, id) != topic.former_ids.end();
  };
  if (const TopicImage* old = before.topic_by_name(topic.name); old != nullptr && is_asked_for(old->id)) {
    NewTopic made{old->id, {}};  // asked before, by the same
    for (const auto& [index, state] : old->partitions) made.partitions.push_back(*state);
    return made;
  }
  if (auto good = check_name(before, topic.name); !good) return Unexpected(std::move(good).error());
  if (auto good = check_configs(topic, schema); !good) return Unexpected(std::move(good).error());
  auto assignments = topic.assignments.empty() ? automatic_assignments(before, topic, options, random)
                                               : manual_assignments(before, topic);
  if (!assignments) return Unexpected(std::move(assignments).error());
  auto states = first_states(before, *assignments, 0);
  if (!states) return Unexpected(std::move(states).error());

  NewTopic made{topic.topic_id.value_or(TopicId{}), {}};
  while (made.id.is_zero() || before.topic_by_id(made.id) != nullptr) {
    const uint64_t high = random.next();
    made.id = common::model::random_uuid(high, random.next());
  }
  made.partitions = std::move(*states);
  if (const TopicId* kept = before.kept_topics().find(topic.name);
      kept != nullptr && !mutant<"R42-makes-another-beside-the-kept-one">()) {
    draft.note("topic {} ({}), deleted before, can no more be restored: another one of its name is made", topic.name,
               *kept);
    draft.add(RemoveTopicRecord{*kept});
  }
  draft.add(TopicRecord{made.id, topic.name});
  for (const auto& [key, value] : topic.configs) {
    draft.add(ConfigRecord{{ResourceType::topic, topic.name}, key, schema.canonical(ResourceType::topic, key, *value)});
  }
  for (size_t i = 0; i < made.partitions.size(); ++i) {
    draft.add(PartitionRecord{made.id, PartitionIndex{static_cast<int32_t>(i)}, made.partitions[i]});
  }
  draft.note("topic {} ({}) created: {} partition(s), {} replica(s)", topic.name, made.id, made.partitions.size(),
             made.partitions.front().replicas.size());
  return made;
}

Result<void> grow_one(Draft& draft, const CreatePartitions::Topic& asked, const ControllerOptions& options,
                      common::model::Random& random) {
  const MetadataImage before = draft.image();
  const TopicImage* topic = before.topic_by_name(asked.name);
  if (topic == nullptr)
    return fail(ErrorCode::unknown_topic_or_partition, "This server does not host this topic-partition.");
  // Which partition a group or a transactional id belongs to is a matter of how many there are: with another number all
  // that is stored would be looked for where it is not (R104).
  if (options.internal_replication.contains(asked.name) && !mutant<"R104-grows-internal-topics">()) {
    return fail(ErrorCode::invalid_partitions,
                fmt::format("The number of partitions of the internal topic {} cannot be changed.", asked.name));
  }
  const int32_t have = topic->partition_count();
  if (asked.count == have) {
    return fail(ErrorCode::invalid_partitions, fmt::format("Topic already has {} partition(s).", have));
  }
  if (asked.count < have) {
    return fail(ErrorCode::invalid_partitions,
                fmt::format("The topic {} currently has {} partition(s); {} would not be an increase.", asked.name,
                            have, asked.count));
  }
  const auto added = static_cast<size_t>(asked.count - have);
  const auto replication_factor = static_cast<int16_t>(target_replicas(*topic->partitions.begin()->second).size());
  Assignments assignments;
  if (asked.assignments) {
    if (asked.assignments->size() != added) {
      return fail(ErrorCode::invalid_replica_assignment,
                  fmt::format("Attempted to add {} additional partition(s), but only {} assignment(s) were specified.",
                              added, asked.assignments->size()));
    }
    for (const Brokers& replicas : *asked.assignments) {
      if (auto good = check_assignment(before, replicas, replication_factor); !good) return good;
    }
    assignments = *asked.assignments;
  } else {
    auto placed = place_replicas(before, static_cast<int32_t>(added), replication_factor, random);
    if (!placed) return Unexpected(std::move(placed).error());
    assignments = std::move(*placed);
  }
  auto states = first_states(before, assignments, have);
  if (!states) return Unexpected(std::move(states).error());
  for (size_t i = 0; i < states->size(); ++i) {
    draft.add(PartitionRecord{topic->id, PartitionIndex{have + static_cast<int32_t>(i)}, (*states)[i]});
  }
  draft.note("topic {} grown from {} to {} partitions", asked.name, have, asked.count);
  return {};
}

// A request is one atomic batch of the metadata log, so what it may ask for is bounded as a whole.
bool is_too_large(const CreateTopics& request, const ControllerOptions& options) {
  uint64_t partitions = 0;
  for (const CreateTopics::Topic& topic : request.topics) {
    const int32_t count = topic.partition_count.value_or(options.partitions_default);
    partitions += topic.assignments.empty() ? static_cast<uint64_t>(std::max(count, 1)) : topic.assignments.size();
  }
  return partitions > options.partitions_per_request_max;
}

bool is_too_large(const MetadataImage& image, const CreatePartitions& request, const ControllerOptions& options) {
  uint64_t partitions = 0;
  for (const CreatePartitions::Topic& asked : request.topics) {
    const TopicImage* topic = image.topic_by_name(asked.name);
    if (topic != nullptr && asked.count > topic->partition_count())
      partitions += static_cast<uint64_t>(asked.count - topic->partition_count());
  }
  return partitions > options.partitions_per_request_max;
}

const common::model::Error too_large{ErrorCode::policy_violation,
                                     "Excessively large number of partitions per request."};

template <class Items>
std::set<std::string> duplicate_names(const Items& items) {
  std::set<std::string> seen;
  std::set<std::string> duplicates;
  for (const auto& item : items) {
    if (!seen.insert(item.name).second) duplicates.insert(item.name);
  }
  return duplicates;
}

}  // namespace

std::optional<std::string> invalid_topic_name(std::string_view name) {
  if (name.empty()) return "the empty string is not allowed";
  if (name == "." || name == "..") return fmt::format("'{}' is not allowed", name);
  if (name.size() > topic_name_length_max) {
    return fmt::format("the length of '{}' is longer than the max allowed length {}", name, topic_name_length_max);
  }
  if (!std::all_of(name.begin(), name.end(), is_name_character)) {
    return fmt::format("'{}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name);
  }
  return std::nullopt;
}

std::optional<std::string> colliding_topic(const MetadataImage& image, std::string_view name) {
  const auto& names = image.topic_names();
  CollisionSearch search(names, name);
  if (auto found = search.run(); found || !search.has_given_up()) return found;
  // Names that fold to the same text share everything before the first '.' or '_'.
  const std::string_view prefix = name.substr(0, name.find_first_of("._"));
  for (auto at = names.lower_bound(prefix); at != names.end() && at->first.starts_with(prefix); ++at) {
    if (at->first != name && fold_alike(at->first, name)) return at->first;
  }
  return std::nullopt;
}

CreateTopicsAnswer create_topics(Draft& draft, const CreateTopics& request, const ControllerOptions& options,
                                 const ConfigSchema& schema, common::model::Random& random) {
  CreateTopicsAnswer answer;
  const std::set<std::string> duplicates = duplicate_names(request.topics);
  const bool refused = is_too_large(request, options);
  for (const CreateTopics::Topic& topic : request.topics) {
    CreateTopicsAnswer::Topic item;
    item.name = topic.name;
    if (refused) {
      item.error = too_large;
    } else if (duplicates.contains(topic.name)) {
      item.error = {ErrorCode::invalid_request, "Duplicate topic name."};
    } else if (auto made = create_one(draft, topic, options, schema, random); !made) {
      item.error = std::move(made).error();
    } else {
      item.topic_id = made->id;
      item.partition_count = static_cast<int32_t>(made->partitions.size());
      item.replication_factor = static_cast<int16_t>(made->partitions.front().replicas.size());
    }
    answer.topics.push_back(std::move(item));
  }
  return answer;
}

namespace {

// Topics that one item names and another one gives the id of: as with one that is named twice, and in Kafka, neither
// counts. It is known here only: a broker's metadata may be older.
std::set<TopicId> asked_both_ways(const MetadataImage& image, const DeleteTopics& request) {
  std::set<TopicId> named;
  for (const DeleteTopics::Topic& asked : request.topics) {
    const TopicImage* topic = asked.name ? image.topic_by_name(*asked.name) : nullptr;
    if (topic != nullptr) named.insert(topic->id);
  }
  std::set<TopicId> both;
  for (const DeleteTopics::Topic& asked : request.topics) {
    if (!asked.name && asked.topic_id && named.contains(*asked.topic_id)) both.insert(*asked.topic_id);
  }
  return both;
}

void delete_one(Draft& draft, const TopicImage& topic, const DeleteTopics& request, bool may_be_kept) {
  if (!may_be_kept || !request.keep || request.keep->count() == 0 || mutant<"R42-keeps-no-topic">()) {
    draft.note("topic {} ({}) deleted", topic.name, topic.id);
    draft.add(RemoveTopicRecord{topic.id});
    return;
  }
  draft.note("topic {} ({}) deleted; it can be restored for {} s", topic.name, topic.id,
             std::chrono::duration_cast<std::chrono::seconds>(*request.keep).count());
  draft.add(ConfigRecord{{ResourceType::topic, topic.name},
                         std::string(kept_key),
                         to_setting({.deleted_at = request.asked_at, .time = *request.keep})});
}

}  // namespace

const TopicImage* topic_to_delete(const MetadataImage& image, const DeleteTopics& request,
                                  const DeleteTopics::Topic& asked) {
  const bool wants_kept = request.keep && request.keep->count() == 0;
  if (!asked.name) {
    const TopicId id = asked.topic_id.value_or(TopicId{});
    return wants_kept ? image.topic_by_id(id) : image.visible_topic(id);
  }
  if (const TopicImage* topic = image.topic_by_name(*asked.name)) return topic;
  const TopicId* kept = wants_kept ? image.kept_topics().find(*asked.name) : nullptr;
  return kept != nullptr ? image.topic_by_id(*kept) : nullptr;
}

DeleteTopicsAnswer delete_topics(Draft& draft, const DeleteTopics& request,
                                 const std::function<bool(const TopicImage&)>& may_be_kept) {
  DeleteTopicsAnswer answer;
  const std::set<TopicId> both_ways = asked_both_ways(draft.image(), request);
  for (const DeleteTopics::Topic& asked : request.topics) {
    DeleteTopicsAnswer::Topic item;
    item.name = asked.name;
    item.topic_id = asked.topic_id.value_or(TopicId{});
    const MetadataImage before = draft.image();
    const TopicImage* topic = topic_to_delete(before, request, asked);
    if (asked.name && asked.topic_id && !asked.topic_id->is_zero()) {
      item.error = {ErrorCode::invalid_request, "You may not specify both topic name and topic id."};
    } else if (topic == nullptr) {
      item.error = asked.name
                       ? Error{ErrorCode::unknown_topic_or_partition, "This server does not host this topic-partition."}
                       : Error{ErrorCode::unknown_topic_id, "This server does not host this topic ID."};
    } else if (both_ways.contains(topic->id)) {
      item.error = {ErrorCode::invalid_request, "The provided topic name maps to an ID that was already supplied."};
    } else {
      item.name = topic->name;
      item.topic_id = topic->id;
      delete_one(draft, *topic, request, may_be_kept(*topic));
    }
    answer.topics.push_back(std::move(item));
  }
  return answer;
}

Error restore_topic(Draft& draft, const std::string& name, std::optional<TopicId> id) {
  const MetadataImage before = draft.image();
  if (const TopicImage* there = before.topic_by_name(name)) {
    if (id == there->id) return {ErrorCode::none, {}};
    return {ErrorCode::topic_already_exists, fmt::format("Topic '{}' exists.", name)};
  }
  const TopicId* kept = before.kept_topics().find(name);
  if (kept == nullptr || (id && *id != *kept && !mutant<"R42-restores-another-topic">())) {
    return {ErrorCode::unknown_topic_or_partition,
            fmt::format("No deleted topic '{}' is kept: it is gone for good.", name)};
  }
  if (const auto other = colliding_topic(before, name)) {
    return {ErrorCode::invalid_topic_exception,
            fmt::format("Topic '{}' collides with existing topic: {}", name, *other)};
  }
  draft.note("topic {} ({}) restored", name, *kept);
  draft.add(ConfigRecord{{ResourceType::topic, name}, std::string(kept_key), std::nullopt});
  return {ErrorCode::none, {}};
}

CreatePartitionsAnswer create_partitions(Draft& draft, const CreatePartitions& request,
                                         const ControllerOptions& options, common::model::Random& random) {
  CreatePartitionsAnswer answer;
  const std::set<std::string> duplicates = duplicate_names(request.topics);
  const bool refused = is_too_large(draft.image(), request, options);
  for (const CreatePartitions::Topic& asked : request.topics) {
    CreatePartitionsAnswer::Topic item;
    item.name = asked.name;
    if (refused) {
      item.error = too_large;
    } else if (duplicates.contains(asked.name)) {
      item.error = {ErrorCode::invalid_request, "Duplicate topic name."};
    } else if (auto grown = grow_one(draft, asked, options, random); !grown) {
      item.error = std::move(grown).error();
    }
    answer.topics.push_back(std::move(item));
  }
  return answer;
}

}  // namespace controller::metadata
