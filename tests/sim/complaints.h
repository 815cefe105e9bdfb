// The first broken promise of a run, and when it was seen. The run ends there.
#pragma once
#include <optional>
#include <string>

#include "sim/world.h"

namespace sim {

class Complaints {
 public:
  explicit Complaints(const World& world) : world_(world) {}
  void broken(const std::string& invariant, const std::string& what);
  [[nodiscard]] bool any() const { return first_.has_value(); }
  [[nodiscard]] const std::string& first() const { return *first_; }

 private:
  const World& world_;
  std::optional<std::string> first_;
};

}  // namespace sim
