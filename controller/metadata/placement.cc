#include "controller/metadata/placement.h"

#include <algorithm>
#include <map>
#include <numeric>

#include <fmt/format.h>

namespace controller::metadata {
namespace {

using common::model::ErrorCode;
using common::model::fail;
using Brokers = std::vector<BrokerId>;

// The brokers of one rack, handed out in turn.
struct Rack {
  Brokers active;
  Brokers fenced;
  size_t next = 0;
};

// Hands out the racks' brokers in stripes: first replicas go round all racks, and each following replica continues with
// the next rack, so that neither a rack nor a broker gets more than its share.
class Stripes {
 public:
  Stripes(const MetadataImage& image, common::model::Random& random) {
    std::map<std::string, Rack> by_name;  // brokers without a rack share one
    for (const auto& [id, broker] : image.brokers()) {
      Rack& rack = by_name[broker->rack.value_or("")];
      (is_active(*broker) ? rack.active : rack.fenced).push_back(id);
      ++(is_active(*broker) ? active_count_ : fenced_count_);
    }
    for (auto& [name, rack] : by_name) racks_.push_back(std::move(rack));
    if (racks_.empty()) return;
    // One draw for all racks keeps what follows even: racks of one size advance in step.
    const uint64_t start = random.next();
    start_ = start % racks_.size();
    for (Rack& rack : racks_) rack.next = (start / racks_.size()) % std::max<size_t>(1, rack.active.size());
  }

  size_t active_count() const { return active_count_; }
  size_t registered_count() const { return active_count_ + fenced_count_; }

  Brokers next(size_t replication_factor) {
    Brokers chosen;
    pick(chosen, replication_factor, &Rack::active);
    pick(chosen, replication_factor, &Rack::fenced);
    // The next partition begins one rack further, and one broker further within each rack once all racks have had a
    // turn.
    start_ = (start_ + 1) % racks_.size();
    if (++turns_ % racks_.size() == 0) {
      for (Rack& rack : racks_) ++rack.next;
    }
    return chosen;
  }

 private:
  // Goes round the racks, one broker of `pool` from each, until enough are chosen or the pool is empty.
  void pick(Brokers& chosen, size_t wanted, Brokers Rack::* pool) {
    for (size_t round = 0; chosen.size() < wanted; ++round) {
      bool any = false;
      for (size_t r = 0; r < racks_.size() && chosen.size() < wanted; ++r) {
        const Rack& rack = racks_[(start_ + r) % racks_.size()];
        const Brokers& members = rack.*pool;
        if (round >= members.size()) continue;
        chosen.push_back(members[(rack.next + round * stride(members.size())) % members.size()]);
        any = true;
      }
      if (!any) return;
    }
  }

  // Followers of one leader differ from turn to turn: after each full turn of a rack's brokers the distance between
  // replicas within the rack grows by one, among the distances that reach every broker.
  size_t stride(size_t members) const {
    if (members < 3) return 1;
    const size_t turn = turns_ / racks_.size() / members;
    size_t step = 1 + turn % (members - 1);
    while (std::gcd(step, members) != 1) step = step % (members - 1) + 1;
    return step;
  }

  std::vector<Rack> racks_;
  size_t start_ = 0;
  size_t turns_ = 0;
  size_t active_count_ = 0;
  size_t fenced_count_ = 0;
};

}  // namespace

Result<std::vector<Brokers>> place_replicas(const MetadataImage& image, int32_t count, int16_t replication_factor,
                                            common::model::Random& random) {
  Stripes stripes(image, random);
  const auto wanted = static_cast<size_t>(replication_factor);
  if (stripes.registered_count() < wanted) {
    return fail(
        ErrorCode::invalid_replication_factor,
        fmt::format("Unable to replicate the partition {} time(s): The target replication factor of {} cannot be "
                    "reached because only {} broker(s) are registered.",
                    replication_factor, replication_factor, stripes.registered_count()));
  }
  if (stripes.active_count() == 0) {
    return fail(ErrorCode::invalid_replication_factor,
                fmt::format("Unable to replicate the partition {} time(s): All brokers are currently fenced.",
                            replication_factor));
  }
  std::vector<Brokers> assignments;
  for (int32_t i = 0; i < count; ++i) assignments.push_back(stripes.next(wanted));
  return assignments;
}

}  // namespace controller::metadata
