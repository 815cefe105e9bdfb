// Randomness as an object of the node, so that the simulator can seed it.
// Thread-compatible.
#pragma once
#include <cstdint>
#include <random>

namespace common::model {

class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t next() = 0;
  // Uniform in [0, bound); bound > 0.
  uint64_t below(uint64_t bound) { return next() % bound; }
};

// A fixed sequence from a seed: simulator and tests.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : engine_(seed) {}
  uint64_t next() override { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace common::model
