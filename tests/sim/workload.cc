#include "sim/workload.h"

#include <algorithm>

namespace sim {

using namespace std::chrono_literals;

namespace {

int64_t ms_of(Duration d) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}

}  // namespace

Workload::Workload(Cluster& cluster, History& history, Probes& probes)
    : cluster_(cluster), history_(history), probes_(probes), options_(cluster.options()) {
  running_.long_lived = options_.days > 0;
}

Client& Workload::new_client(const std::string& name) {
  clients_.push_back(std::make_unique<Client>(cluster_, cluster_.add_client_host(), name));
  return *clients_.back();
}

void Workload::start() {
  Client& client = new_client("admin");
  client.shard().spawn("prepare", prepare(*this));
  wake(client);
}

Awaitable<void> Workload::prepare(Workload& self) {
  Client& client = *self.clients_.front();
  for (int t = 0; t < self.options_.topics; ++t) {
    const std::string name = "orders-" + std::to_string(t);
    std::optional<Uuid> id;
    while (!id) {
      id = co_await Admin::make_topic(client, name, self.options_.partitions, self.options_.replication_factor, 60s,
                                      self.settings_of_topic(t));
    }
    for (int p = 0; p < self.options_.partitions; ++p) self.places_.push_back({*id, p});
  }
  if (self.options_.loose > 0) {
    std::optional<Uuid> id;
    while (!id) id = co_await Admin::make_topic(client, "loose-0", 1, self.options_.replication_factor, 60s);
    self.loose_place_ = Place{*id, 0};
  }
  if (self.options_.restores) {
    std::optional<Uuid> id;
    while (!id) {
      id = co_await Admin::make_topic(client, std::string(regretted_topic), 1, self.options_.replication_factor, 60s);
    }
    self.regretted_place_ = Place{*id, 0};
  }
  if (self.options_.compacted) {
    std::optional<Uuid> id;
    while (!id) {
      Admin::Settings settings{{"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0.01"}};
      if (self.running_.long_lived) {
        settings = {{"cleanup.policy", "compact"},
                    {"max.compaction.lag.ms", std::to_string(ms_of(long_life::compaction_lag_max))}};
      }
      id = co_await Admin::make_topic(client, std::string(compacted_topic), 1, self.options_.replication_factor, 60s,
                                      std::move(settings));
    }
    self.keyed_places_.push_back({*id, 0});
  }
  self.ready_ = true;
  self.start_programs();
}

// In a long life the first keeps what topics have by themselves, and the others keep little.
Admin::Settings Workload::settings_of_topic(int number) const {
  if (!running_.long_lived || number == 0) return {};
  return {{"retention.ms", std::to_string(ms_of(long_life::short_retention))},
          {"segment.ms", std::to_string(ms_of(long_life::short_segment))}};
}

Producer& Workload::add_producer(const Place& place, Value first_value, int keys) {
  Client& client = new_client("producer " + std::to_string(producers_.size()));
  producers_.push_back(
      std::make_unique<Producer>(client, history_, probes_, options_, running_, place, first_value, keys));
  client.shard().spawn("producer", Producer::run(*producers_.back()));
  wake(client);
  return *producers_.back();
}

// What was spawned runs with the next event of its process.
void Workload::wake(Client& client) {
  cluster_.world().at(cluster_.world().now(), &client.shard().process(), [] {});
}

void Workload::start_programs() {
  const size_t producers = std::min(static_cast<size_t>(options_.producers), places_.size());
  for (size_t i = 0; i < producers; ++i) {
    add_producer(places_[i % places_.size()], 1);
  }
  for (int i = 0; i < options_.consumers; ++i) {
    Client& client = new_client("consumer " + std::to_string(i));
    const Place place = places_[static_cast<size_t>(i) % places_.size()];
    consumers_.push_back(std::make_unique<Consumer>(client, history_, running_, i, place));
    client.shard().spawn("consumer", Consumer::run(*consumers_.back()));
  }
  start_compacted();
  for (const Place& place : places_) {
    if (place.topic == places_.front().topic) first_topic_.push_back(place);
  }
  for (int g = 0; g < options_.groups; ++g) {
    groups_.push_back(std::make_unique<GroupHistory>("group-" + std::to_string(g)));
    for (int m = 0; m < options_.members; ++m) {
      Client& client = new_client(fmt::format("member {} of group {}", m, g));
      members_.push_back(
          std::make_unique<GroupMember>(client, *groups_.back(), probes_, running_, first_topic_, "orders-0"));
      client.shard().spawn("member", GroupMember::run(*members_.back()));
    }
  }
  start_sleepers();
  start_loose();
  start_onlookers();
  start_regretted();
  if (options_.admin) {
    admin_ = std::make_unique<Admin>(*clients_.front(), *this, history_, probes_, options_, running_);
    clients_.front()->shard().spawn("admin", Admin::run(*admin_));
  }
  if (options_.moves) {
    mover_ = std::make_unique<Mover>(new_client("mover"), options_, running_);
    clients_.back()->shard().spawn("mover", Mover::run(*mover_));
  }
  for (const auto& client : clients_) wake(*client);
}

void Workload::start_sleepers() {
  for (int i = 0; i < options_.sleepers; ++i) {
    Client& client = new_client(fmt::format("sleeper {}", i));
    groups_.push_back(std::make_unique<GroupHistory>("sleepers-" + std::to_string(i)));
    members_.push_back(std::make_unique<GroupMember>(client, *groups_.back(), probes_, running_, first_topic_,
                                                     "orders-0", GroupMember::Habit::sleeps));
    client.shard().spawn("member", GroupMember::run(*members_.back()));
  }
}

void Workload::start_loose() {
  if (!loose_place_) return;
  const int16_t acks[] = {0, 1, -1};
  const int16_t wanted = acks[std::clamp(options_.loose, 1, 3) - 1];
  history_.promise(loose_place_->topic, LooseProducer::promise(wanted));
  Client& client = new_client("loose producer");
  loose_ = std::make_unique<LooseProducer>(client, history_, probes_, options_, running_, *loose_place_, wanted, 1);
  client.shard().spawn("loose producer", LooseProducer::run(*loose_));
  Client& reader = new_client("loose consumer");
  consumers_.push_back(std::make_unique<Consumer>(reader, history_, running_, 1000, *loose_place_));
  reader.shard().spawn("consumer", Consumer::run(*consumers_.back()));
}

void Workload::start_onlookers() {
  for (int i = 0; i < options_.onlookers; ++i) {
    Client& client = new_client("onlooker " + std::to_string(i));
    onlookers_.push_back(std::make_unique<Onlooker>(client, cluster_, history_, running_, first_topic_, "orders-0"));
    client.shard().spawn("onlooker", Onlooker::run(*onlookers_.back()));
  }
}

void Workload::start_regretted() {
  if (!regretted_place_) return;
  constexpr int consumer_number = 1001;  // beside that of the loose topic
  add_producer(*regretted_place_, 1);
  Client& reader = new_client("consumer of the regretted topic");
  consumers_.push_back(std::make_unique<Consumer>(reader, history_, running_, consumer_number, *regretted_place_));
  reader.shard().spawn("consumer", Consumer::run(*consumers_.back()));
  Client& client = new_client("restorer");
  restorer_ = std::make_unique<Restorer>(client, probes_, running_, regretted_place_->topic);
  client.shard().spawn("restorer", Restorer::run(*restorer_));
}

// A producer, and a consumer that reads what the cleaner has left.
void Workload::start_compacted() {
  for (const Place& place : keyed_places_) {
    history_.keyed(place, keys);
    add_producer(place, 1, keys);
    Client& client = new_client("consumer of the compacted topic");
    consumers_.push_back(std::make_unique<Consumer>(client, history_, running_, options_.consumers, place));
    client.shard().spawn("consumer", Consumer::run(*consumers_.back()));
  }
}

bool Workload::is_settled() const {
  if (loose_ && !loose_->is_done()) return false;
  for (const auto& producer : producers_) {
    if (!producer->is_done()) return false;
  }
  return true;
}

std::string Workload::what_is_owed() const {
  std::string owed;
  for (const auto& producer : producers_) {
    if (!producer->is_done()) owed += (owed.empty() ? " " : ", ") + producer->what_is_owed();
  }
  return owed;
}

std::string Workload::complaint() const {
  for (const auto& consumer : consumers_) {
    if (!consumer->complaint().empty()) return consumer->complaint();
  }
  for (const auto& group : groups_) {
    if (!group->complaint().empty()) return group->complaint();
  }
  return {};
}

bool Workload::groups_are_stable() const {
  return std::all_of(members_.begin(), members_.end(), [](const auto& member) { return member->is_stable(); });
}

void Workload::start_final_read() {
  std::vector<Place> places = places_;
  places.insert(places.end(), keyed_places_.begin(), keyed_places_.end());
  if (loose_place_) places.push_back(*loose_place_);
  if (regretted_place_) places.push_back(*regretted_place_);
  final_reads_left_ = places.size();
  Client& client = new_client("final reader");
  for (const Place& place : places) history_.will_be_read_to_end(place);
  for (const Place& place : places) client.shard().spawn("final read", read_to_end(*this, place));
  wake(client);
}

Awaitable<void> Workload::read_to_end(Workload& self, Place place) {
  Client& client = *self.clients_.back();
  int64_t log_start = 0;
  auto records = co_await read_all(client, place, 60s, log_start);
  if (records) {
    if (self.running_.long_lived) self.history_.log_start(place, log_start);
    for (const FinalRecord& record : *records) self.history_.final_read(place, record.offset, record.value);
    self.final_records_[place] = std::move(*records);
  } else {
    self.final_read_failure_ = fmt::format("partition {} cannot be read to its end", place.partition);
  }
  --self.final_reads_left_;
}

}  // namespace sim
