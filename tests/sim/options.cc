#include "sim/options.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "sim/buggify.h"

namespace sim {

using namespace std::chrono_literals;

namespace {

template <class T>
T pick(Rng& rng, std::initializer_list<T> values) {
  return *(values.begin() + static_cast<std::ptrdiff_t>(rng.below(values.size())));
}

Options draw_base(uint64_t seed);

void draw_extras(Options& o) {
  o.compacted = Rng(o.seed, "compacted").chance(0.25);
  Rng clients(o.seed, "clients");
  o.loose = clients.chance(0.3) ? static_cast<int>(clients.range(1, 3)) : 0;
  o.onlookers = clients.chance(0.3) ? 1 : 0;
  o.misdirected = Rng(o.seed, "misdirected").chance(0.3);
  o.lost_directories = Rng(o.seed, "lost directories").chance(0.3);
  // The stories of seeds that were run before there was this stay what they are.
  constexpr uint64_t first_with_refusals = 100'000'000;
  o.refusals = o.seed >= first_with_refusals && Rng(o.seed, "refusals").chance(0.3);
  constexpr uint64_t first_with_clones = 200'000'000;  // likewise, and those with topics that are asked back
  o.clones = o.seed >= first_with_clones && Rng(o.seed, "clones").chance(0.3);
  o.restores = o.seed >= first_with_clones && Rng(o.seed, "restores").chance(0.3);
  o.core = o.seed >= first_with_clones && Rng(o.seed, "healed core").chance(0.3);
  constexpr uint64_t first_with_descriptors = 300'000'000;  // likewise, and those with errors of names
  o.descriptors = o.seed >= first_with_descriptors && Rng(o.seed, "descriptors").chance(0.3);
  o.name_errors = o.seed >= first_with_descriptors && Rng(o.seed, "name errors").chance(0.3);
  o.rare = draw_rare(o.seed);
  // What bug reports say of the first seeds stays true, and who commits need not wait: they live for minutes.
  if (o.seed > 1000 && Rng(o.seed, "long life").chance(0.02)) live_for(o, 1);
}

void take_extras_away(Options& o) {
  if (o.days > 0) o = draw_base(o.seed);
  o.compacted = false;
  o.loose = 0;
  o.onlookers = 0;
  o.misdirected = false;
  o.lost_directories = false;
  o.refusals = false;
  o.clones = false;
  o.descriptors = false;
  o.name_errors = false;
  o.core = false;
  o.restores = false;
  o.rare = 0;
}

// What may be set by name: numbers, and times in milliseconds.
struct Named {
  const char* name;
  void (*set)(Options&, double);
};
const Named named[] = {
    {"brokers", [](Options& o, double v) { o.brokers = static_cast<int>(v); }},
    {"voters", [](Options& o, double v) { o.voters = static_cast<int>(v); }},
    {"shards", [](Options& o, double v) { o.shards = static_cast<int>(v); }},
    {"replication", [](Options& o, double v) { o.replication_factor = static_cast<int>(v); }},
    {"min-isr", [](Options& o, double v) { o.min_isr = static_cast<int>(v); }},
    {"synced", [](Options& o, double v) { o.synced = v != 0; }},
    {"topics", [](Options& o, double v) { o.topics = static_cast<int>(v); }},
    {"partitions", [](Options& o, double v) { o.partitions = static_cast<int>(v); }},
    {"producers", [](Options& o, double v) { o.producers = static_cast<int>(v); }},
    {"pipelined", [](Options& o, double v) { o.pipelined = static_cast<int>(v); }},
    {"consumers", [](Options& o, double v) { o.consumers = static_cast<int>(v); }},
    {"groups", [](Options& o, double v) { o.groups = static_cast<int>(v); }},
    {"members", [](Options& o, double v) { o.members = static_cast<int>(v); }},
    {"loose", [](Options& o, double v) { o.loose = static_cast<int>(v); }},
    {"onlookers", [](Options& o, double v) { o.onlookers = static_cast<int>(v); }},
    {"sleepers", [](Options& o, double v) { o.sleepers = static_cast<int>(v); }},
    {"restores", [](Options& o, double v) { o.restores = v != 0; }},
    {"compacted", [](Options& o, double v) { o.compacted = v != 0; }},
    {"admin", [](Options& o, double v) { o.admin = v != 0; }},
    {"moves", [](Options& o, double v) { o.moves = v != 0; }},
    {"drift", [](Options& o, double v) { o.clock_drift = v; }},
    {"repeat", [](Options& o, double v) { o.repeat_chance = v; }},
    {"slow-messages", [](Options& o, double v) { o.slow_message_chance = v; }},
    {"think-ms", [](Options& o, double v) { o.think_time = Duration(static_cast<int64_t>(v * 1e6)); }},
    {"safety-ms", [](Options& o, double v) { o.safety = Duration(static_cast<int64_t>(v * 1e6)); }},
    {"fault-interval-ms", [](Options& o, double v) { o.fault_interval = Duration(static_cast<int64_t>(v * 1e6)); }},
    {"kinds", [](Options& o, double v) { o.fault_kinds = static_cast<uint32_t>(v); }},
    {"faults", [](Options& o, double v) { o.faults = v != 0; }},
    {"misdirected", [](Options& o, double v) { o.misdirected = v != 0; }},
    {"lost-directories", [](Options& o, double v) { o.lost_directories = v != 0; }},
    {"refusals", [](Options& o, double v) { o.refusals = v != 0; }},
    {"core", [](Options& o, double v) { o.core = v != 0; }},
    {"clones", [](Options& o, double v) { o.clones = v != 0; }},
    {"descriptors", [](Options& o, double v) { o.descriptors = v != 0; }},
    {"name-errors", [](Options& o, double v) { o.name_errors = v != 0; }},
    {"rare", [](Options& o, double v) { o.rare = static_cast<uint32_t>(v); }},
    {"days", [](Options& o, double v) { live_for(o, v); }},
    {"extras", [](Options& o, double v) { v != 0 ? draw_extras(o) : take_extras_away(o); }},
};

}  // namespace

void live_for(Options& o, double days) {
  if (days <= 0) return;
  Rng rng(o.seed, "a long life");
  o.days = days;
  o.safety = Duration(static_cast<int64_t>(days * 24 * 3600 * 1e9));
  o.liveness = 10min;
  o.brokers = pick(rng, {3, 3, 3, 4, 5});
  o.voters = 3;
  o.shards = pick(rng, {1, 1, 2});
  o.replication_factor = 3;
  o.min_isr = pick(rng, {1, 2, 2, 2});
  o.topics = 2;  // one with the retention that topics have by themselves, one with a short one
  o.partitions = pick(rng, {1, 2});
  o.segment_bytes = pick(rng, {1 << 17, 1 << 20, 1 << 30});
  o.tail_cache_bytes = pick<int64_t>(rng, {65536, 16 << 20});
  o.metadata_snapshot_bytes = pick<int64_t>(rng, {65536, 20'971'520});
  o.replica_fetch_response_bytes = 10'485'760;
  o.replica_fetch_bytes = 1'048'576;
  o.checkpoints_often = false;
  o.producers = 3;
  o.think_time = pick<Duration>(rng, {200ms, 500ms, 1000ms});
  o.records_per_batch = pick(rng, {1, 2, 8});
  o.record_bytes = 60;
  o.consumers = 2;
  o.groups = 1;
  o.members = 2;
  o.sleepers = 1;
  o.loose = 0;
  o.onlookers = 1;
  o.admin = true;
  o.moves = rng.chance(0.7);
  o.restores = false;  // it is kept for an hour
  o.core = false;
  o.compacted = true;
  o.clock_drift = pick(rng, {0.0, 0.0001, 0.001});
  o.network_delay_max = pick<Duration>(rng, {200us, 500us, 2ms});
  o.sync_time = pick<Duration>(rng, {200us, 1ms, 5ms});
  o.fault_interval = pick<Duration>(rng, {6min, 12min, 20min});
  if (rng.chance(0.5)) o.fault_kinds = ~0u;
  o.rare = 0;
}

bool set_option(Options& options, std::string_view assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string text(assignment.substr(equals + 1));
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0') return false;
  for (const Named& n : named) {
    if (assignment.substr(0, equals) != n.name) continue;
    n.set(options, value);
    return true;
  }
  return false;
}

std::string option_names() {
  std::string names;
  for (const Named& n : named) names += (names.empty() ? "" : ", ") + std::string(n.name);
  return names;
}

namespace {

Options draw_base(uint64_t seed) {
  Rng rng(seed, "options");
  Options o;
  o.seed = seed;
  o.brokers = pick(rng, {1, 2, 3, 3, 3, 3, 3, 3, 4, 5, 5, 7});
  o.voters = std::min(o.brokers, pick(rng, {1, 3, 3, 3, 3, 5}));
  o.shards = pick(rng, {1, 1, 1, 2, 3});
  o.replication_factor = std::min(o.brokers, pick(rng, {1, 2, 3, 3, 3, 3, 4, 5}));
  o.min_isr = std::min(o.replication_factor, pick(rng, {1, 2, 2, 2, 2, 3}));
  o.synced = rng.chance(0.25);
  o.topics = pick(rng, {1, 1, 2});
  o.partitions = pick(rng, {1, 2, 2, 3, 6});
  o.offsets_partitions = pick(rng, {1, 2, 3});
  o.segment_bytes = pick(rng, {1 << 14, 1 << 15, 1 << 17, 1 << 20});
  o.tail_cache_bytes = pick<int64_t>(rng, {0, 4096, 65536, 1 << 20, 1 << 20});
  o.metadata_snapshot_bytes = pick<int64_t>(rng, {2048, 8192, 65536, 256 << 10});
  o.replica_fetch_response_bytes = pick(rng, {1, 4096, 1 << 20, 1 << 20});
  o.replica_fetch_bytes = pick(rng, {1, 2048, 256 << 10});
  o.checkpoints_often = rng.chance(0.3);
  o.producers = static_cast<int>(rng.range(1, 4));
  o.pipelined = pick(rng, {1, 2, 5, 5});
  o.records_per_batch = pick(rng, {1, 2, 8, 20});
  o.record_bytes = pick(rng, {20, 60, 60, 400});
  o.think_time = pick<Duration>(rng, {50ms, 100ms, 200ms, 400ms, 1000ms});
  o.consumers = static_cast<int>(rng.range(0, 2));
  o.groups = static_cast<int>(rng.range(0, 2));
  o.members = static_cast<int>(rng.range(1, 3));
  o.admin = rng.chance(0.5);
  o.clock_drift = pick(rng, {0.0, 0.0001, 0.01, 0.05});
  o.repeat_chance = pick(rng, {0.0, 0.0, 0.01, 0.1});
  o.slow_message_chance = pick(rng, {0.0, 0.0, 0.01, 0.1});
  o.network_delay_max = pick<Duration>(rng, {200us, 500us, 2ms, 10ms});
  o.sync_time = pick<Duration>(rng, {200us, 1ms, 5ms, 20ms});
  o.fault_interval = pick<Duration>(rng, {2s, 5s, 10s, 20s});
  // From a stream of its own. What bug reports say of the first seeds stays true: they have none.
  o.moves = seed >= 200 && Rng(seed, "moves").chance(0.4);
  // About half of the kinds, differently in each run.
  o.fault_kinds = static_cast<uint32_t>(rng.next());
  if (rng.chance(0.1)) o.fault_kinds = ~0u;
  return o;
}

}  // namespace

Options draw_options(uint64_t seed) {
  Options o = draw_base(seed);
  draw_extras(o);
  return o;
}

std::string describe(const Options& o) {
  const auto ms = [](Duration d) { return std::chrono::duration_cast<std::chrono::microseconds>(d).count() / 1000.0; };
  return fmt::format(
      "{}brokers={} voters={} shards={} rf={} min-isr={} flush={} topics={} partitions={} segment={} cache={} "
      "snapshot={} fetch={}/{} producers={}x{} think={}ms consumers={} groups={}x{} loose={} onlookers={} admin={} "
      "moves={} restores={} compacted={} drift={} repeat={} "
      "delay={}ms sync={}ms faults-every={}ms kinds={:08x} misdirected={} lost-directories={} refusals={} "
      "core={} clones={} descriptors={} name-errors={} rare={}",
      o.days > 0 ? fmt::format("days={} sleepers={} ", o.days, o.sleepers) : "", o.brokers, o.voters, o.shards,
      o.replication_factor, o.min_isr, o.synced ? "sync" : "os", o.topics, o.partitions,
      o.segment_bytes, o.tail_cache_bytes, o.metadata_snapshot_bytes, o.replica_fetch_response_bytes,
      o.replica_fetch_bytes, o.producers, o.pipelined, ms(o.think_time), o.consumers, o.groups, o.members, o.loose,
      o.onlookers, o.admin, o.moves, o.restores, o.compacted, o.clock_drift, o.repeat_chance, ms(o.network_delay_max),
      ms(o.sync_time), ms(o.fault_interval), o.faults ? o.fault_kinds : 0u, o.misdirected, o.lost_directories, o.refusals,
      o.core, o.clones, o.descriptors, o.name_errors, o.rare);
}

}  // namespace sim
